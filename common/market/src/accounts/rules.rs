//! What each role may do, in one table. The checks before the handlers, the API's description, `docs/ACCOUNTS.md` and the test
//! that tries every cell of it are made of this table; an operation that is not in it nobody may do.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A part that an account plays. One account may have several, and may always do what a visitor may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks at the catalogue; nobody has to log in for that.
    #[serde(rename = "visitante")]
    Visitor,
    /// Buys for one usuario, and reads what is its own.
    #[serde(rename = "comprador")]
    Buyer,
    /// Makes the catalogue.
    #[serde(rename = "publicador")]
    Publisher,
    /// Adds money, and makes usuarios and the accounts of compradores.
    #[serde(rename = "tesorero")]
    Treasurer,
    /// Reads all ledgers and purchases, and the audit.
    #[serde(rename = "auditor")]
    Auditor,
}

impl Role {
    /// All of them, in the order of the table's columns.
    pub const ALL: [Self; 5] = [Self::Visitor, Self::Buyer, Self::Publisher, Self::Treasurer, Self::Auditor];

    /// Those that an account may have.
    pub const OF_ACCOUNTS: [Self; 4] = [Self::Buyer, Self::Publisher, Self::Treasurer, Self::Auditor];

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Visitor => "visitante",
            Self::Buyer => "comprador",
            Self::Publisher => "publicador",
            Self::Treasurer => "tesorero",
            Self::Auditor => "auditor",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A role of an account.
impl FromStr for Role {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let found = Self::OF_ACCOUNTS.into_iter().find(|role| role.name() == s);
        found.ok_or_else(|| format!("expected one of {}", Self::OF_ACCOUNTS.map(Self::name).join(", ")))
    }
}

/// How far an operation is open to a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// Not at all.
    No,
    /// For the usuario, or the account, of whoever asks.
    Own,
    /// For everybody's.
    All,
}

/// A row: an operation, and its grant for each of [`Role::ALL`].
#[derive(Debug)]
pub struct Rule {
    /// The HTTP method; HEAD goes with GET.
    pub method: &'static str,
    /// The pattern of its path.
    pub path: &'static str,
    /// What it does, for people.
    pub what: &'static str,
    /// In the order of [`Role::ALL`].
    pub grants: [Grant; 5],
}

const NO: Grant = Grant::No;
const OWN: Grant = Grant::Own;
const ALL: Grant = Grant::All;
const EVERYBODY: [Grant; 5] = [ALL; 5];
/// Whoever has logged in, for the own account.
const LOGGED_IN: [Grant; 5] = [NO, OWN, OWN, OWN, OWN];

const fn rule(method: &'static str, path: &'static str, what: &'static str, grants: [Grant; 5]) -> Rule {
    Rule { method, path, what, grants }
}

/// The table. Columns: visitante, comprador, publicador, tesorero, auditor.
pub const RULES: &[Rule] = &[
    rule("GET", "/tokens", "list the catalogue", EVERYBODY),
    rule("GET", "/tokens/{id}", "read a token", EVERYBODY),
    rule("GET", "/tokens/{id}/imagen", "see a token", EVERYBODY),
    rule("POST", "/tokens", "publish a token", [NO, NO, ALL, NO, NO]),
    rule("PATCH", "/tokens/{id}", "change a token", [NO, NO, ALL, NO, NO]),
    rule("DELETE", "/tokens/{id}", "withdraw a token", [NO, NO, ALL, NO, NO]),
    rule("POST", "/transacciones", "buy", [NO, OWN, NO, NO, NO]),
    rule("GET", "/transacciones", "list purchases", [NO, OWN, NO, NO, ALL]),
    rule("GET", "/transacciones/{id}", "read a purchase", [NO, OWN, NO, NO, ALL]),
    rule("GET", "/transacciones/eventos", "follow all purchases", [NO, NO, NO, NO, ALL]),
    rule("GET", "/transacciones/auditoria", "audit", [NO, NO, NO, NO, ALL]),
    rule("GET", "/usuarios", "list users", [NO, NO, NO, ALL, ALL]),
    rule("GET", "/usuarios/{id}", "read a user", [NO, OWN, NO, ALL, ALL]),
    rule("POST", "/usuarios", "create a user", [NO, NO, NO, ALL, NO]),
    rule("PATCH", "/usuarios/{id}", "rename a user", [NO, OWN, NO, ALL, NO]),
    rule("POST", "/usuarios/{id}/abonos", "add money", [NO, NO, NO, ALL, NO]),
    rule("GET", "/usuarios/{id}/movimientos", "read a ledger", [NO, OWN, NO, NO, ALL]),
    rule("GET", "/cuentas", "list accounts", [NO, NO, NO, ALL, NO]),
    rule("POST", "/cuentas", "open a comprador's account", [NO, NO, NO, ALL, NO]),
    rule("DELETE", "/cuentas/{nombre}", "revoke a comprador's account", [NO, NO, NO, ALL, NO]),
    rule("GET", "/cuenta", "see who one is", EVERYBODY),
    rule("PUT", "/cuenta/contrasena", "change one's password", LOGGED_IN),
    rule("GET", "/cuenta/claves-api", "list one's API keys", LOGGED_IN),
    rule("POST", "/cuenta/claves-api", "make an API key", LOGGED_IN),
    rule("DELETE", "/cuenta/claves-api/{id}", "revoke an API key", LOGGED_IN),
    rule("POST", "/sesiones/renovacion", "renew one's session", LOGGED_IN),
    rule("DELETE", "/sesiones", "log out", LOGGED_IN),
];

/// What is answered whoever asks, and whatever they show: to log in, the public keys, the page, probes, and the description.
pub const OPEN: &[(&str, &str)] = &[
    ("POST", "/sesiones"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/"),
    ("GET", "/web/{archivo}"),
    ("GET", "/hits"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/docs/{archivo:.*}"),
];

/// The rule of a route; `None` where there is none.
pub fn rule_of(method: &str, path: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.path == path && rule.method == method)
}

/// Whether a route is open to whoever asks.
pub fn is_open(method: &str, path: &str) -> bool {
    OPEN.contains(&(method, path))
}

impl Rule {
    /// The widest grant of some roles, a visitor's among them.
    pub fn grant(&self, roles: &[Role]) -> Grant {
        let of =
            |role: Role| Role::ALL.iter().zip(self.grants).find(|(known, _)| **known == role).map(|(_, g)| g);
        let widest = roles.iter().filter_map(|role| of(*role)).max();
        widest.unwrap_or(Grant::No).max(self.grants[0])
    }
}

/// The table as it stands in `docs/ACCOUNTS.md`.
pub fn as_page() -> String {
    let mut page = format!("| operation | {} |\n| --- |", Role::ALL.map(Role::name).join(" | "));
    page.push_str(&" --- |".repeat(Role::ALL.len()));
    for Rule { method, path, what, grants } in RULES {
        let cells = grants.map(|grant| match grant {
            Grant::No => "",
            Grant::Own => "own",
            Grant::All => "yes",
        });
        page.push_str(&format!("\n| `{method} {path}`: {what} | {} |", cells.join(" | ")));
    }
    page.push('\n');
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_table() {
        let page = include_str!("../../../../docs/ACCOUNTS.md");
        assert!(page.contains(&as_page()), "docs/ACCOUNTS.md must have this table:\n{}", as_page());
    }

    #[test]
    fn roles_add_up_and_never_take_away() {
        let rule = rule_of("GET", "/usuarios/{id}").unwrap();
        assert_eq!(rule.grant(&[]), Grant::No);
        assert_eq!(rule.grant(&[Role::Publisher]), Grant::No);
        assert_eq!(rule.grant(&[Role::Publisher, Role::Buyer]), Grant::Own);
        assert_eq!(rule.grant(&[Role::Auditor, Role::Buyer]), Grant::All);
        assert!(rule_of("PUT", "/usuarios/{id}").is_none() && !is_open("POST", "/tokens"));
        assert!(RULES.iter().all(|rule| !is_open(rule.method, rule.path)));
    }
}

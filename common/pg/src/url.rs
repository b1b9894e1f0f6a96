//! `STORE=postgres://…`.

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::fmt;
use std::str::FromStr;

/// Where the database is and who we are there. It is printed without the password.
#[derive(Clone)]
pub struct PostgresUrl {
    /// How to connect to each of its hosts, in their order.
    hosts: Vec<PgConnectOptions>,
    /// Whether a host is of use only where its sessions can write.
    read_write: bool,
    shown: String,
}

/// What to write instead.
const FORM: &str = "expected postgres://USER:PASSWORD@HOST:PORT/DATABASE, with ?sslmode=verify-full where the network is \
                    not to be trusted; several hosts are written HOST:PORT,HOST:PORT";
/// What sqlx reads; it ignores what it does not know, a misspelt `sslmode`, too.
const PARAMETERS: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];
/// What we read besides. libpq has it too.
const TARGET: &str = "target_session_attrs";

impl PostgresUrl {
    /// How to connect to each host: nothing is logged of what is asked, which a store's errors name.
    pub(super) fn hosts(&self) -> Vec<PgConnectOptions> {
        self.hosts.iter().map(|options| options.clone().disable_statement_logging()).collect()
    }

    /// Whether only a host that takes writes is the right one: where there are several, or the URL says so.
    pub(super) fn wants_read_write(&self) -> bool {
        self.read_write
    }

    /// Whether both lead to one database, as far as their text says.
    pub fn same_place(&self, other: &Self) -> bool {
        let place = |o: &PgConnectOptions| (host(o), o.get_port(), o.get_database().map(str::to_owned));
        self.hosts.iter().any(|mine| other.hosts.iter().any(|theirs| place(mine) == place(theirs)))
    }
}

fn host(options: &PgConnectOptions) -> String {
    options.get_socket().map_or_else(|| options.get_host().to_owned(), |s| s.display().to_string())
}

/// The URL in three pieces: up to the hosts, the hosts, and what follows them.
fn split(s: &str) -> Option<(&str, &str, &str)> {
    let begin = s.find("://")? + 3;
    let end = s[begin..].find(['/', '?', '#']).map_or(s.len(), |n| begin + n);
    let begin = s[begin..end].rfind('@').map_or(begin, |n| begin + n + 1);
    Some((&s[..begin], &s[begin..end], &s[end..]))
}

impl FromStr for PostgresUrl {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        // none of these errors repeats the text, which has a password in it
        let parse = |s: &str| reqwest::Url::parse(s).map_err(|e| format!("{e}; {FORM}"));
        let (head, hosts, tail) = split(s).ok_or(FORM)?;
        let pieces: Vec<_> = hosts.split(',').collect();
        let is_unnamed = |piece: &str| piece.is_empty() || piece.starts_with(':');
        // a URL must have a host where it has a user, and libpq's need not; `postgres:///db` leaves it to the environment
        let is_left_out = |piece: &str| is_unnamed(piece) && (pieces.len() > 1 || head.ends_with('@'));
        let urls: Vec<_> = pieces
            .iter()
            .map(|piece| if is_left_out(piece) { format!("localhost{piece}") } else { (*piece).to_owned() })
            .map(|piece| parse(&format!("{head}{piece}{tail}")))
            .collect::<Result<_, _>>()?;
        if urls.iter().any(|url| !matches!(url.scheme(), "postgres" | "postgresql")) {
            return Err(FORM.to_owned());
        }
        let (mut kept, mut hosts, mut ports, mut read_write) = (Vec::new(), None, None, false);
        for (name, value) in urls.first().ok_or(FORM)?.query_pairs() {
            let list = || Some(value.split(',').map(str::to_owned).collect::<Vec<_>>());
            match &*name {
                "host" => hosts = list(),
                "port" => ports = list(),
                // a primary is what takes writes, but for one that was told to refuse them
                TARGET if value == "read-write" || value == "primary" => read_write = true,
                TARGET => {
                    return Err(format!(
                        "{TARGET}={value} is of no use to a store that writes; read-write is"
                    ));
                }
                _ if PARAMETERS.contains(&&*name) || name.starts_with("options[") => {
                    kept.push((name.into_owned(), value.into_owned()));
                }
                _ => return Err(format!("{name:?} is not a parameter: {}, {TARGET}", PARAMETERS.join(", "))),
            }
        }
        let count = hosts.as_ref().map_or(urls.len(), Vec::len);
        if ports.as_ref().is_some_and(|ports| ports.len() != 1 && ports.len() != count) {
            return Err(format!("there are {count} hosts, so one port, or {count}; {FORM}"));
        }
        let mut all = Vec::new();
        for n in 0..count {
            let mut url = urls.get(n).or(urls.first()).ok_or(FORM)?.clone();
            let port = ports.as_ref().and_then(|ports| ports.get(n).or(ports.first()));
            let named = hosts.as_ref().and_then(|hosts| hosts.get(n));
            let unnamed = named.map_or_else(
                || pieces.get(n).is_some_and(|piece| is_left_out(piece)),
                |host| count > 1 && host.is_empty(),
            );
            if unnamed {
                return Err(format!("host {} of {count} has no name; {FORM}", n + 1));
            }
            let place = [("host", named), ("port", port)].into_iter().filter_map(|(k, v)| Some((k, v?)));
            url.query_pairs_mut().clear().extend_pairs(&kept).extend_pairs(place);
            if url.query() == Some("") {
                url.set_query(None);
            }
            all.push(PgConnectOptions::from_str(url.as_str()).map_err(|e| format!("{e}; {FORM}"))?);
        }
        let shown = shown(&all)?;
        Ok(Self { read_write: read_write || count > 1, hosts: all, shown })
    }
}

fn shown(hosts: &[PgConnectOptions]) -> Result<String, String> {
    let options = hosts.first().ok_or(FORM)?;
    let Some(database) = options.get_database().filter(|name| !name.is_empty()) else {
        return Err(format!("the database is missing; {FORM}"));
    };
    let places: Vec<_> = hosts.iter().map(|o| format!("{}:{}", host(o), o.get_port())).collect();
    let tls = match options.get_ssl_mode() {
        PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer => "",
        PgSslMode::Require => "?sslmode=require",
        PgSslMode::VerifyCa => "?sslmode=verify-ca",
        PgSslMode::VerifyFull => "?sslmode=verify-full",
    };
    Ok(format!("postgres://{}@{}/{database}{tls}", options.get_username(), places.join(",")))
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shown_without_its_password() {
        let url: PostgresUrl =
            "postgresql://ana:s%40creto@db.example:5433/shop?sslmode=require".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://ana@db.example:5433/shop?sslmode=require");
        assert_eq!(format!("{url:?}"), url.to_string());
        assert_eq!(url.hosts()[0].get_port(), 5433);
        assert!(!url.wants_read_write());
    }

    #[test]
    fn several_hosts_are_written_as_libpq_has_them() {
        for (url, places) in [
            ("postgres://u:p@ha,hb:5433/db", "ha:5432,hb:5433"),
            ("postgres://u:p@h1:1,h2:2/db", "h1:1,h2:2"),
            ("postgres://u:p@h1:1,[::1]:2/db?sslmode=require", "h1:1,[::1]:2"),
            ("postgres://u:p@ha,hb/db?port=6432", "ha:6432,hb:6432"),
            ("postgres://u:p@/db?host=ha,hb", "ha:5432,hb:5432"),
            ("postgres:///db?host=ha,hb&user=u", "ha:5432,hb:5432"),
            ("postgres://u:p@h/db?host=ha,hb&port=1,2&target_session_attrs=read-write", "ha:1,hb:2"),
            ("postgres://u:p@ha,hb/db?target_session_attrs=primary", "ha:5432,hb:5432"),
            ("postgres://u:p@/db?host=/run/a,/run/b", "/run/a:5432,/run/b:5432"),
        ] {
            let parsed: PostgresUrl = url.parse().unwrap_or_else(|e| panic!("{url}: {e}"));
            let found: Vec<_> =
                parsed.hosts().iter().map(|o| format!("{}:{}", host(o), o.get_port())).collect();
            assert_eq!(found.join(","), places, "{url}");
            assert!(parsed.wants_read_write() && parsed.to_string().contains(places), "{url}: {parsed}");
        }
        let one: PostgresUrl = "postgres://u:p@hb/db".parse().unwrap();
        assert!(one.same_place(&"postgres://u:p@ha,hb/db".parse().unwrap()));
        assert!(!one.same_place(&"postgres://u:p@ha,hb/other".parse().unwrap()));
    }

    #[test]
    fn what_is_wrong_is_named_and_the_password_is_not() {
        for (wrong, why) in [
            ("postgres://ana:secreto@db.example", "the database is missing"),
            ("postgres://ana:secreto@db.example:x/shop", "port"),
            ("mysql://ana:secreto@db.example/shop", "postgres://"),
            ("postgres://ana:secreto@db.example/shop?sslmod=require", "sslmod"),
            ("postgres://ana:secreto@db.example/shop?sslmode=perhaps", "perhaps"),
            ("postgres://ana:secreto@ha,/shop", "no name"),
            ("postgres://ana:secreto@/shop", "no name"),
            ("postgres://ana:secreto@/shop?host=ha,", "no name"),
            ("postgres://ana:secreto@ha,hb:x/shop", "port"),
            ("postgres://ana:secreto@ha,hb/shop?port=1,2,3", "2 hosts"),
            ("postgres://ana:secreto@ha,hb/shop?target_session_attrs=standby", "read-write"),
        ] {
            let reason = wrong.parse::<PostgresUrl>().unwrap_err();
            assert!(reason.contains(why) && !reason.contains("secreto"), "{wrong}: {reason}");
        }
    }
}

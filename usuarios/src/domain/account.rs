//! Accounts: who may log in, and the keys that sign their sessions. What is secret in them is a [`Secret`], which shows itself
//! to the disk only.

use crate::error::Error;
use chrono::{DateTime, TimeDelta, Utc};
use http_kit::problem::Text;
use http_kit::text;
use market::accounts::rules::Role;
use market::contract::SessionRef;
use market::domain::{UsuarioId, hex};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The members of records whose values nobody is shown, whatever looks at a store.
pub const SECRETS: &[&str] = &["contrasena", "hash", "semilla"];
/// The most API keys of an account.
pub const MAX_KEYS: usize = 20;
/// Seconds from when a session begins until it is over, however often it is renewed.
pub const SESSION: i64 = 12 * 3600;
/// The most sessions of an account that were ended and might still be renewed. One more ends all of them.
const MAX_ENDED: usize = 64;
/// The most characters of an account's name.
pub const MAX_ACCOUNT_NAME: usize = 64;

/// Text that no message and no log shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Of a text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The name with which one logs in: 1 to 64 of `a` to `z`, digits, `.`, `_` and `-`, the first a letter or digit. Capitals are
/// the same letters. No two names look alike, since no other letters are names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountName(String);

impl AccountName {
    /// The text, in small letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What would do, where a text is no name.
    pub fn expected() -> Text {
        text!(
            "debe tener de 1 a {MAX_ACCOUNT_NAME} letras de la a a la z, cifras, puntos, guiones o subrayados",
            "must have 1 to {MAX_ACCOUNT_NAME} letters a to z, digits, dots, hyphens or underscores"
        )
    }
}

impl FromStr for AccountName {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let name = s.to_ascii_lowercase();
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if first && name.len() <= MAX_ACCOUNT_NAME && name.bytes().all(legal) {
            Ok(Self(name))
        } else {
            Err(Self::expected().en.into_owned())
        }
    }
}

impl TryFrom<String> for AccountName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name: Self = text.parse()?;
        if name.0 == text { Ok(name) } else { Err(format!("{text} is not in small letters")) }
    }
}

impl From<AccountName> for String {
    fn from(name: AccountName) -> Self {
        name.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An account. It is never removed, so that its name and its number are never somebody else's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Account {
    /// Given in order.
    pub id: u64,
    /// With which one logs in.
    pub nombre: AccountName,
    /// The hash of its password.
    pub contrasena: Secret,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Whose money a comprador spends. One usuario has one account at most that is not revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usuario_id: Option<UsuarioId>,
    /// Grows whenever all of its sessions end.
    pub version: u64,
    /// Nobody logs in with it any more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub revocada: bool,
    /// Its password stands in the README: it counts on a loopback address only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub demo: bool,
    /// What programs log in with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claves: Vec<ApiKey>,
    /// The number of the newest API key, so that none is given twice.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ultima_clave: u32,
    /// Sessions that were ended before their time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cerradas: Vec<EndedSession>,
}

/// A key with which a program logs in. The key itself is shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKey {
    /// Given in order, for each account.
    pub id: u32,
    /// What it is for.
    pub nombre: String,
    /// The SHA-256 of its secret part, which is random and needs no slow hash.
    pub hash: Secret,
    /// When it was made.
    pub creada: DateTime<Utc>,
    /// When somebody logged in with it, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uso: Option<DateTime<Utc>>,
}

/// A session that was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndedSession {
    /// Which.
    #[serde(with = "hex")]
    pub sid: u128,
    /// Until when it might have been renewed.
    pub hasta: DateTime<Utc>,
}

fn is_false(b: &bool) -> bool {
    !b
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Account {
    /// Whether a session of it still lasts.
    pub fn has_session(&self, session: &SessionRef) -> bool {
        let by_key = session.api_key.is_none_or(|id| self.claves.iter().any(|key| key.id == id));
        let ended = self.cerradas.iter().any(|ended| ended.sid == session.sid);
        !self.revocada && self.version == session.version && by_key && !ended
    }

    /// Whether a usuario's money may be spent in a session of it.
    pub fn may_spend(&self, session: &SessionRef, usuario: UsuarioId) -> bool {
        self.has_session(session) && self.usuario_id == Some(usuario) && self.roles.contains(&Role::Buyer)
    }

    /// Ends one session, which was begun at a time.
    pub fn end(&mut self, sid: u128, begun: i64, now: DateTime<Utc>) {
        self.cerradas.retain(|ended| ended.hasta > now && ended.sid != sid);
        if self.cerradas.len() >= MAX_ENDED {
            return self.end_all();
        }
        let hasta = DateTime::from_timestamp(begun.saturating_add(SESSION), 0).unwrap_or(now);
        self.cerradas.push(EndedSession { sid, hasta });
    }

    /// Ends all of its sessions.
    pub fn end_all(&mut self) {
        self.version += 1;
        self.cerradas.clear();
    }

    /// Gives it another password, whose hash this is. Its sessions end; and so do the keys of an account whose password was
    /// published, since whoever read that may have made them.
    pub fn set_password(&mut self, hash: Secret) {
        self.contrasena = hash;
        if std::mem::take(&mut self.demo) {
            self.claves.clear();
        }
        self.end_all();
    }

    /// Closes it for good.
    pub fn revoke(&mut self) {
        self.revocada = true;
        self.claves.clear();
        self.end_all();
    }

    /// Adds an API key, whose secret part has this hash.
    pub fn add_key(&mut self, nombre: String, hash: Secret, creada: DateTime<Utc>) -> Result<ApiKey, Error> {
        let id = self.ultima_clave.checked_add(1).ok_or(Error::TooManyKeys)?;
        if self.claves.len() >= MAX_KEYS {
            return Err(Error::TooManyKeys);
        }
        let key = ApiKey { id, nombre, hash, creada, uso: None };
        self.ultima_clave = id;
        self.claves.push(key.clone());
        Ok(key)
    }
}

/// A key that signs sessions. Two of them are kept: what the older one signed is valid until it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SigningKey {
    /// Its name in tokens.
    pub kid: String,
    /// Its 32 secret bytes, base64url.
    pub semilla: Secret,
    /// When it was made.
    pub creada: DateTime<Utc>,
    /// From when it signs. Others have learned of it by then.
    pub desde: DateTime<Utc>,
}

/// How many keys are kept.
pub const KEYS_KEPT: usize = 2;

/// When a key counts as made that comes after another: later, so that their times are their order.
pub fn made_after(last: Option<&SigningKey>, now: DateTime<Utc>) -> DateTime<Utc> {
    last.map_or(now, |last| now.max(last.creada + TimeDelta::milliseconds(1)))
}

/// The keys that are kept when a new one comes: in the order in which they were made, the newest last.
pub fn kept(mut keys: Vec<SigningKey>, new: SigningKey) -> Vec<SigningKey> {
    keys.retain(|key| key.kid != new.kid);
    keys.push(new);
    keys.sort_by_key(|key| key.creada);
    let surplus = keys.len().saturating_sub(KEYS_KEPT);
    keys.split_off(surplus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use market::domain::timestamp;

    fn account() -> Account {
        Account {
            id: 1,
            nombre: "ana".parse().unwrap(),
            contrasena: Secret::new("$argon2id$secret".to_owned()),
            roles: vec![Role::Buyer],
            usuario_id: UsuarioId::new(1),
            version: 1,
            revocada: false,
            demo: false,
            claves: Vec::new(),
            ultima_clave: 0,
            cerradas: Vec::new(),
        }
    }

    fn session(sid: u128) -> SessionRef {
        SessionRef { account: 1, version: 1, sid, api_key: None }
    }

    #[test]
    fn names_that_look_alike_are_no_two_names() {
        for same in ["ana", "Ana", "ANA"] {
            assert_eq!(same.parse::<AccountName>().unwrap().as_str(), "ana");
        }
        for wrong in
            ["", "а", "аna", "ána", "ana ", " ana", "a\u{200b}na", "a/b", "-a", ".", "ａna", &"a".repeat(65)]
        {
            assert!(wrong.parse::<AccountName>().is_err(), "{wrong:?}");
        }
        assert!(serde_json::from_str::<AccountName>("\"Ana\"").is_err(), "on disk there is one spelling");
    }

    #[test]
    fn a_session_ends_alone_and_with_all_others() {
        let (mut ana, usuario) = (account(), UsuarioId::new(1).unwrap());
        let now = timestamp();
        assert!(
            ana.may_spend(&session(1), usuario) && !ana.may_spend(&session(1), UsuarioId::new(2).unwrap())
        );
        ana.end(1, now.timestamp(), now);
        assert!(!ana.has_session(&session(1)) && ana.has_session(&session(2)));
        for sid in 10..10 + MAX_ENDED as u128 {
            ana.end(sid, now.timestamp(), now);
        }
        assert!(!ana.has_session(&session(1)), "one that was ended never comes back");
        assert!(!ana.has_session(&session(2)) && ana.cerradas.is_empty(), "more than are kept end all");
        let key = ana.add_key("k6".to_owned(), Secret::new("00".to_owned()), now).unwrap();
        let by_key = SessionRef { api_key: Some(key.id), version: ana.version, ..session(3) };
        assert!(ana.has_session(&by_key));
        ana.claves.clear();
        assert!(!ana.has_session(&by_key), "its key was revoked");
        let by_password = SessionRef { version: ana.version, ..session(3) };
        assert!(ana.has_session(&by_password));
        ana.revoke();
        assert!(!ana.has_session(&SessionRef { version: ana.version, ..session(3) }));
    }

    #[test]
    fn keys_outlast_a_password_unless_everybody_knew_it() {
        for demo in [false, true] {
            let mut ana = Account { demo, ..account() };
            let key = ana.add_key("k6".to_owned(), Secret::new("00".to_owned()), timestamp()).unwrap();
            ana.set_password(Secret::new("$argon2id$other".to_owned()));
            assert!(!ana.demo && !ana.has_session(&session(1)));
            let by_key = SessionRef { api_key: Some(key.id), version: ana.version, ..session(2) };
            assert_eq!(ana.has_session(&by_key), !demo);
        }
    }

    #[test]
    fn an_account_reads_back_and_shows_no_secret() {
        let mut ana = account();
        let now = timestamp();
        ana.add_key("k6".to_owned(), Secret::new("5ec2e7".to_owned()), now).unwrap();
        ana.end(7, now.timestamp(), now);
        let json = serde_json::to_string(&ana).unwrap();
        assert_eq!(serde_json::from_str::<Account>(&json).unwrap(), ana);
        let shown = format!("{ana:?}");
        assert!(!shown.contains("argon2id") && !shown.contains("5ec2e7"), "{shown}");
    }
}

//! The operations on accounts, without HTTP.

use super::first;
use super::hasher::{Hasher, Password};
use super::limiter::{Limiter, Who};
use super::options::{LoginOptions, SigningSeed};
use super::signing::{self, Signing};
use crate::domain::account::{Account, AccountName, ApiKey, SESSION, Secret, SigningKey};
use crate::error::Error;
use crate::store::{NewAccount, Store};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use http_kit::metrics::Metrics;
use http_kit::problem::Problem;
use market::accounts::Sessions;
use market::accounts::rules::Role;
use market::accounts::token::{Claims, KeySet, Subject, random};
use market::accounts::verifier::Verifier;
use market::contract::SessionRef;
use market::domain::{UsuarioId, timestamp};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Between two looks at the store's signing keys, which another process may rotate.
const LOOK: Duration = Duration::from_secs(5);
/// Between two attempts to begin, while the store is not there.
const AGAIN: Duration = Duration::from_millis(200);
/// How long logging in waits for a process that has just started.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a charge may go by what a database said of an account; a change in this process counts at once.
const FRESH: Duration = Duration::from_secs(1);
/// The most accounts of which that is remembered.
const REMEMBERED: usize = 10_000;
/// What an API key begins with, so that people and programs that look for leaked secrets know one.
const KEY_PREFIX: &str = "mdt";

/// Accounts and their sessions. Clones share everything.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    store: Store,
    hasher: Hasher,
    limiter: Limiter,
    signing: Signing,
    verifier: Verifier,
    /// Whether accounts with published passwords count: only this machine reaches the process.
    loopback: bool,
    seeds: Option<SigningSeed>,
    ready: watch::Receiver<bool>,
    remembered: Mutex<HashMap<u64, Remembered>>,
}

/// What a database said of an account, when it was asked; nothing of one that was changed here at that time.
struct Remembered {
    at: Instant,
    account: Option<Account>,
}

/// A session that was begun or renewed.
#[derive(Debug)]
pub struct Session {
    /// What its token says.
    pub claims: Claims,
    /// The token.
    pub token: Secret,
}

impl Directory {
    /// Begins: the keys that sign, and the first accounts, are there soon, and logging in waits for them. Must be called on the
    /// process's Tokio runtime.
    pub fn start(
        store: Store,
        options: &LoginOptions,
        verifier: Verifier,
        loopback: bool,
        metrics: &Metrics,
    ) -> Self {
        let (said, ready) = watch::channel(false);
        let inner = Arc::new(Inner {
            store,
            hasher: Hasher::new(options.logins_at_once),
            limiter: Limiter::default(),
            signing: Signing::default(),
            verifier,
            loopback,
            seeds: options.signing_seed.clone(),
            ready,
            remembered: Mutex::default(),
        });
        let directory = Self(inner);
        directory.measure(metrics);
        tokio::spawn(keep(Arc::downgrade(&directory.0), options.clone(), said));
        directory
    }

    fn measure(&self, metrics: &Metrics) {
        // weak: the metrics live as long as the process, and the keeper ends with the directory
        let read = |pick: fn(&Inner) -> u64| {
            let inner = Arc::downgrade(&self.0);
            move || inner.upgrade().map_or(0, |inner| pick(&inner))
        };
        metrics.gauge(
            "logins_waiting",
            "Passwords that wait to be hashed, or are",
            read(|i| i.hasher.waiting()),
        );
        metrics.counter(
            "logins_turned_away",
            "Log-ins that were not tried, since too many waited",
            read(|i| i.hasher.turned_away()),
        );
        metrics.counter(
            "logins_limited",
            "Log-ins that were refused, since there were too many of an account or an address",
            read(|i| i.limiter.refused()),
        );
    }

    /// Whether sessions can be signed and verified.
    pub fn is_ready(&self) -> bool {
        *self.0.ready.borrow()
    }

    async fn ready(&self) -> Result<(), Error> {
        let mut ready = self.0.ready.clone();
        let waited = timeout(PATIENCE, ready.wait_for(|ready| *ready)).await;
        if matches!(waited, Ok(Ok(_))) { Ok(()) } else { Err(Error::NotReady) }
    }

    /// A session for a name and its password. A name that is nobody's, a wrong password and an account that is revoked are
    /// refused alike, and in the same time.
    pub async fn log_in(
        &self,
        name: &str,
        password: Password,
        address: Option<IpAddr>,
    ) -> Result<Session, Error> {
        self.ready().await?;
        let name = name.parse::<AccountName>().ok();
        let at = name.as_ref().map_or("", AccountName::as_str);
        let attempt = self.0.limiter.begin(Who::Account(at, address))?;
        let found = self.with_password(name.clone(), password).await;
        self.0.limiter.end(&attempt, &found);
        self.begin(&found?, None)
    }

    async fn with_password(&self, name: Option<AccountName>, password: Password) -> Result<Account, Error> {
        let found = match name {
            Some(name) => self.0.store.account_named(name).await?,
            None => None,
        };
        let counts = found.filter(|account| self.counts(account));
        let hash = counts.as_ref().map(|account| account.contrasena.clone());
        let is_right = self.0.hasher.verify(password, hash).await?;
        counts.filter(|_| is_right).ok_or(Error::WrongCredentials)
    }

    /// A session for an API key.
    pub async fn log_in_by_key(&self, key: &str, address: Option<IpAddr>) -> Result<Session, Error> {
        self.ready().await?;
        let attempt = self.0.limiter.begin(Who::Key(address))?;
        let found = self.with_key(key).await;
        self.0.limiter.end(&attempt, &found);
        let (account, ApiKey { id, uso, .. }) = found?;
        let now = timestamp();
        if uso.is_none_or(|used| now - used > TimeDelta::minutes(1)) {
            self.change(account.id, move |account| {
                account
                    .claves
                    .iter_mut()
                    .filter(|known| known.id == id)
                    .for_each(|known| known.uso = Some(now));
                Ok(())
            })
            .await?;
        }
        self.begin(&account, Some(id))
    }

    async fn with_key(&self, key: &str) -> Result<(Account, ApiKey), Error> {
        let (account, id, hash) = parse_key(key).ok_or(Error::WrongCredentials)?;
        let found = self.0.store.account(account).await?.filter(|account| self.counts(account));
        let account = found.ok_or(Error::WrongCredentials)?;
        let known = account.claves.iter().find(|known| known.id == id).cloned();
        let known = known.ok_or(Error::WrongCredentials)?;
        let is_right = bool::from(known.hash.expose().as_bytes().ct_eq(hash.expose().as_bytes()));
        if is_right { Ok((account, known)) } else { Err(Error::WrongCredentials) }
    }

    /// Whether anybody logs in with an account here.
    fn counts(&self, account: &Account) -> bool {
        !account.revocada && (!account.demo || self.0.loopback)
    }

    fn begin(&self, account: &Account, api_key: Option<u32>) -> Result<Session, Error> {
        let sid = random::<16>().ok_or_else(|| Error::bug("the system gives no random bytes"))?;
        self.session(account, u128::from_le_bytes(sid), api_key, timestamp().timestamp())
    }

    fn session(
        &self,
        account: &Account,
        sid: u128,
        api_key: Option<u32>,
        auth_time: i64,
    ) -> Result<Session, Error> {
        let now = timestamp();
        let subject = Subject {
            account: account.id,
            usuario_id: account.usuario_id,
            roles: account.roles.clone(),
            version: account.version,
            sid,
            api_key,
            auth_time,
        };
        let claims = Claims::new(subject, now.timestamp());
        let token = Secret::new(self.0.signing.sign(&claims, now)?);
        Ok(Session { claims, token })
    }

    /// The account of a session that lasts, by the store's word.
    async fn current(&self, claims: &Claims) -> Result<Account, Error> {
        let account = self.0.store.account(claims.sub).await?.ok_or(Error::SessionEnded)?;
        let lasts = account.has_session(&claims.session()) && self.counts(&account);
        if lasts { Ok(account) } else { Err(Error::SessionEnded) }
    }

    /// Another token for a session. The roles are those that the account has now.
    pub async fn renew(&self, claims: &Claims) -> Result<Session, Error> {
        let account = self.current(claims).await?;
        if timestamp().timestamp() >= claims.auth_time.saturating_add(SESSION) {
            return Err(Error::SessionEnded);
        }
        self.session(&account, claims.sid, claims.clave_api, claims.auth_time)
    }

    /// Ends a session.
    pub async fn log_out(&self, claims: &Claims) -> Result<(), Error> {
        let (sid, begun, version) = (claims.sid, claims.auth_time, claims.version);
        self.change(claims.sub, move |account| {
            // the sessions of an earlier version have ended already
            if account.version == version {
                account.end(sid, begun, timestamp());
            }
            Ok(())
        })
        .await
    }

    /// Who somebody is, as the store knows them.
    pub async fn who(&self, claims: &Claims) -> Result<Account, Error> {
        self.current(claims).await
    }

    /// Whether a charge may be made in a session.
    pub async fn check_charge(&self, session: &SessionRef, usuario: UsuarioId) -> Result<(), Error> {
        self.check(session, |account| account.may_spend(session, usuario)).await
    }

    async fn check(&self, session: &SessionRef, may: impl Fn(&Account) -> bool) -> Result<(), Error> {
        let may = |account: &Account| may(account) && self.counts(account);
        // what is old may let a session in that has just ended, but does not shut one out that has just begun elsewhere
        if self.remembered(session.account).is_some_and(|account| may(&account)) {
            return Ok(());
        }
        let asked = Instant::now();
        let account = self.0.store.account(session.account).await?.ok_or(Error::SessionEnded)?;
        let may = may(&account);
        self.remember(asked, account.id, Some(account));
        if may { Ok(()) } else { Err(Error::SessionEnded) }
    }

    /// What a database said a moment ago. Files are read where they are: in memory.
    fn remembered(&self, id: u64) -> Option<Account> {
        let remembered = self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(&id).filter(|known| known.at.elapsed() < FRESH).and_then(|known| known.account.clone())
    }

    /// Of two answers the one counts that was asked for later.
    fn remember(&self, at: Instant, id: u64, account: Option<Account>) {
        if !self.0.store.is_far() {
            return;
        }
        let mut remembered = self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED {
            remembered.retain(|_, known| known.at.elapsed() < FRESH);
        }
        if remembered.get(&id).is_none_or(|known| known.at < at)
            && (remembered.len() < REMEMBERED || account.is_none())
        {
            remembered.insert(id, Remembered { at, account });
        }
    }

    async fn change<T: Send + 'static>(
        &self,
        id: u64,
        f: impl Fn(&mut Account) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<T, Error> {
        let changed = self.0.store.change_account(id, f).await;
        // also over an answer that is under way: it may be from before
        self.remember(Instant::now(), id, None);
        changed
    }

    /// Opens an account.
    pub async fn open(
        &self,
        name: AccountName,
        password: Password,
        roles: Vec<Role>,
        usuario_id: Option<UsuarioId>,
    ) -> Result<Account, Error> {
        let contrasena = self.0.hasher.hash(password).await?;
        self.0
            .store
            .add_account(NewAccount { nombre: name, contrasena, roles, usuario_id, demo: false })
            .await
    }

    /// All accounts, by their ids.
    pub async fn accounts(&self, after: u64, limit: usize) -> Result<http_kit::paging::Page<Account>, Error> {
        self.0.store.accounts(after, limit).await
    }

    /// Closes the account of a comprador for good.
    pub async fn revoke_buyer(&self, name: AccountName) -> Result<(), Error> {
        let found = self.0.store.account_named(name).await?;
        let account = found.ok_or(Error::AccountNotFound)?;
        if account.roles != [Role::Buyer] {
            return Err(Error::NotABuyer);
        }
        self.change(account.id, |account| {
            account.revoke();
            Ok(())
        })
        .await
    }

    /// Another password. All sessions of the account end, and a new one begins.
    pub async fn change_password(
        &self,
        claims: &Claims,
        current: Password,
        new: Password,
        address: Option<IpAddr>,
    ) -> Result<Session, Error> {
        let account = self.by_password(claims).await?;
        let attempt = self.0.limiter.begin(Who::Session(claims.sid, address))?;
        let verified = self.0.hasher.verify(current, Some(account.contrasena.clone())).await;
        let verified = verified.and_then(|is_right| is_right.then_some(()).ok_or(Error::WrongPassword));
        self.0.limiter.end(&attempt, &verified);
        verified?;
        let (hash, before) = (self.0.hasher.hash(new).await?, account.contrasena);
        let changed = self
            .change(account.id, move |account| {
                // somebody else has changed it, or revoked the account, while this was hashed
                if account.contrasena != before || account.revocada {
                    return Err(Error::SessionEnded);
                }
                account.set_password(hash.clone());
                Ok(account.clone())
            })
            .await?;
        self.begin(&changed, None)
    }

    /// The account of a session that was begun with its password: a program's key is not to make other keys.
    async fn by_password(&self, claims: &Claims) -> Result<Account, Error> {
        if claims.clave_api.is_some() {
            return Err(Error::NotByKey);
        }
        self.current(claims).await
    }

    /// A new API key, which nobody can be shown again.
    pub async fn make_key(&self, claims: &Claims, name: String) -> Result<(ApiKey, Secret), Error> {
        let account = self.by_password(claims).await?;
        let secret = random::<32>().ok_or_else(|| Error::bug("the system gives no random bytes"))?;
        let (hash, now, session) = (hash(&secret), timestamp(), claims.session());
        let made = self
            .change(account.id, move |account| {
                if !account.has_session(&session) {
                    return Err(Error::SessionEnded);
                }
                account.add_key(name.clone(), hash.clone(), now)
            })
            .await?;
        let text = format!("{KEY_PREFIX}_{}_{}_{}", account.id, made.id, URL_SAFE_NO_PAD.encode(secret));
        Ok((made, Secret::new(text)))
    }

    /// Revokes an API key, and the sessions that were begun with it.
    pub async fn revoke_key(&self, claims: &Claims, id: u32) -> Result<(), Error> {
        let account = self.current(claims).await?;
        self.change(account.id, move |account| {
            let before = account.claves.len();
            account.claves.retain(|key| key.id != id);
            if account.claves.len() < before { Ok(()) } else { Err(Error::KeyNotFound) }
        })
        .await
    }

    /// The public keys.
    pub fn key_set(&self) -> KeySet {
        KeySet::of(&self.0.signing.public())
    }

    /// Whether a process can sign: where not, its public keys are no keys.
    pub async fn wait_for_keys(&self) -> Result<KeySet, Error> {
        self.ready().await?;
        Ok(self.key_set())
    }
}

impl Inner {
    async fn prepare(&self, options: &LoginOptions) -> Result<(), Error> {
        self.load_keys().await?;
        first::prepare(&self.store, &self.hasher, options, self.loopback).await
    }

    async fn load_keys(&self) -> Result<(), Error> {
        let keys = match &self.seeds {
            Some(seeds) => {
                let made: Result<Vec<_>, _> = seeds.seeds().map(|seed| of_option(&seed)).collect();
                made.map(|keys| keys.into_iter().rev().collect())?
            }
            None => {
                let mut keys = self.store.signing_keys().await?;
                if keys.is_empty() {
                    keys = self.store.add_signing_key(signing::fresh(true)?, true).await?;
                }
                keys
            }
        };
        self.signing.set(&keys);
        self.verifier.set(self.signing.public());
        Ok(())
    }
}

fn of_option(seed: &[u8]) -> Result<SigningKey, Error> {
    signing::of_seed(seed, DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MIN_UTC)
}

/// Prepares, and then looks for other keys, for as long as somebody has the directory.
async fn keep(inner: Weak<Inner>, options: LoginOptions, said: watch::Sender<bool>) {
    let mut ready = false;
    loop {
        let Some(inner) = inner.upgrade() else { return };
        let done = if ready { inner.load_keys().await } else { inner.prepare(&options).await };
        drop(inner);
        match done {
            Ok(()) if !ready => {
                ready = true;
                said.send_replace(true);
            }
            Ok(()) => {}
            Err(e) => log::debug!("accounts: {e}"),
        }
        sleep(if ready { LOOK } else { AGAIN }).await;
    }
}

#[async_trait]
impl Sessions for Directory {
    async fn lasts(&self, session: &SessionRef) -> Result<(), Problem> {
        self.check(session, |account| account.has_session(session)).await.map_err(Into::into)
    }
}

fn hash(secret: &[u8]) -> Secret {
    let digest = ring::digest::digest(&ring::digest::SHA256, secret);
    Secret::new(URL_SAFE_NO_PAD.encode(digest.as_ref()))
}

/// The account, the number and the hash of an API key: `mdt_1_3_…`.
fn parse_key(key: &str) -> Option<(u64, u32, Secret)> {
    let mut parts = key.splitn(4, '_');
    let (prefix, account, id, secret) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let secret = URL_SAFE_NO_PAD.decode(secret).ok().filter(|secret| secret.len() == 32)?;
    (prefix == KEY_PREFIX).then_some((account.parse().ok()?, id.parse().ok()?, hash(&secret)))
}

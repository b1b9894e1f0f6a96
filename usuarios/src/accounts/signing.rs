//! The keys that sign sessions: of the store, where the first one is made when it is needed, or of an option.

use crate::domain::account::{Secret, SigningKey};
use crate::error::Error;
use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use market::accounts::fetch;
use market::accounts::token::{Claims, PublicKey, Signer};
use market::domain::timestamp;
use std::sync::Arc;

/// The keys of a process. Clones share them.
#[derive(Clone, Default)]
pub struct Signing(Arc<ArcSwap<Vec<Timed>>>);

/// A key, and from when it signs.
#[derive(Debug)]
struct Timed {
    signer: Signer,
    from: DateTime<Utc>,
}

impl Signing {
    /// Takes the keys of the store, or of an option, the newest last.
    pub fn set(&self, keys: &[SigningKey]) {
        let timed = keys.iter().filter_map(|key| {
            let seed = URL_SAFE_NO_PAD.decode(key.semilla.expose()).ok()?;
            Some(Timed { signer: Signer::of(&seed)?, from: key.desde })
        });
        self.0.store(Arc::new(timed.collect()));
    }

    /// Their public halves.
    pub fn public(&self) -> Vec<PublicKey> {
        self.0.load().iter().map(|key| key.signer.public()).collect()
    }

    /// Signs with the newest key that others know by now.
    pub fn sign(&self, claims: &Claims, now: DateTime<Utc>) -> Result<String, Error> {
        let keys = self.0.load();
        let key = keys.iter().rev().find(|key| key.from <= now).or(keys.first()).ok_or(Error::NotReady)?;
        key.signer.sign(claims).map_err(|e| Error::bug(e.to_string()))
    }
}

/// A new key. The first one signs at once; a later one only when every service has had the time to learn of it.
pub fn fresh(first: bool) -> Result<SigningKey, Error> {
    let seed = Signer::fresh_seed().ok_or_else(|| Error::bug("the system gives no random bytes"))?;
    let now = timestamp();
    let wait = TimeDelta::from_std(2 * fetch::EVERY).unwrap_or(TimeDelta::zero());
    of_seed(&seed, now, if first { now } else { now + wait })
}

/// The key of a seed.
pub fn of_seed(seed: &[u8], made: DateTime<Utc>, from: DateTime<Utc>) -> Result<SigningKey, Error> {
    let signer = Signer::of(seed).ok_or_else(|| Error::bug("a seed has 32 bytes"))?;
    let semilla = Secret::new(URL_SAFE_NO_PAD.encode(seed));
    Ok(SigningKey { kid: signer.public().kid, semilla, creada: made, desde: from })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::{KEYS_KEPT, kept};
    use market::accounts::token::{Subject, read};

    fn claims(now: DateTime<Utc>) -> Claims {
        let subject = Subject {
            account: 1,
            usuario_id: None,
            roles: Vec::new(),
            version: 1,
            sid: 1,
            api_key: None,
            auth_time: now.timestamp(),
        };
        Claims::new(subject, now.timestamp())
    }

    #[test]
    fn a_new_key_signs_when_others_know_it_and_the_old_one_still_counts() {
        let now = timestamp();
        let (old, new) = (fresh(true).unwrap(), fresh(false).unwrap());
        let signing = Signing::default();
        assert!(matches!(signing.sign(&claims(now), now), Err(Error::NotReady)));
        let keys = kept(vec![old.clone()], new.clone());
        assert_eq!(keys.iter().map(|k| &k.kid).collect::<Vec<_>>(), [&old.kid, &new.kid]);
        signing.set(&keys);
        let public = signing.public();
        let signed_by = |at: DateTime<Utc>| {
            let token = signing.sign(&claims(at), at).unwrap();
            let by = public.iter().find(|key| read(&token, &[(*key).clone()], at.timestamp()).is_ok());
            by.unwrap().kid.clone()
        };
        assert_eq!(signed_by(now), old.kid);
        assert_eq!(signed_by(new.desde), new.kid);
        let newest = fresh(false).unwrap();
        let keys = kept(keys, newest.clone());
        assert_eq!(keys.len(), KEYS_KEPT);
        assert!(keys.iter().all(|key| key.kid != old.kid), "two rotations end what the first key signed");
    }
}

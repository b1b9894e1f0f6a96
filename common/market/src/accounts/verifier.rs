//! The public keys that count now, and the tokens that were verified with them. To verify a signature takes as long as a small
//! read, so a token is verified once and then known until it is no longer valid.

use super::token::{Claims, Invalid, PublicKey, read};
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Notify;

/// The most tokens that are remembered. One takes about a kilobyte.
const REMEMBERED: usize = 8192;

/// Some keys, and the tokens that they have verified: when the keys change, nothing is left of what the old ones said.
#[derive(Default)]
struct Known {
    keys: Vec<PublicKey>,
    tokens: RwLock<HashMap<Box<str>, Arc<Claims>>>,
}

/// Verifies tokens. Clones share the keys.
#[derive(Clone, Default)]
pub struct Verifier(Arc<Inner>);

#[derive(Default)]
struct Inner {
    known: ArcSwap<Known>,
    missed: Notify,
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// It is not valid.
    Invalid(Invalid),
    /// No key is known yet, so nothing can be said of any token.
    NoKeys,
}

impl Verifier {
    /// Takes other keys. None at all are taken for no answer: the last known ones stay.
    pub fn set(&self, keys: Vec<PublicKey>) {
        if !keys.is_empty() && self.0.known.load().keys != keys {
            self.0.known.store(Arc::new(Known { keys, tokens: RwLock::default() }));
        }
    }

    /// The keys that count.
    pub fn keys(&self) -> Vec<PublicKey> {
        self.0.known.load().keys.clone()
    }

    /// Waits until a token came whose key is not known.
    pub async fn missed(&self) {
        self.0.missed.notified().await;
    }

    /// What a token says, where it counts now.
    ///
    /// # Errors
    /// Why it does not.
    pub fn verify(&self, token: &str, now: i64) -> Result<Arc<Claims>, Unverified> {
        let known = self.0.known.load();
        if known.keys.is_empty() {
            self.0.missed.notify_one();
            return Err(Unverified::NoKeys);
        }
        let found = known.tokens.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned();
        if let Some(claims) = found {
            let valid = claims.is_valid(now);
            return if valid { Ok(claims) } else { Err(Unverified::Invalid(Invalid::Time)) };
        }
        let claims = read(token, &known.keys, now).inspect_err(|why| {
            if *why == Invalid::UnknownKey {
                self.0.missed.notify_one();
            }
        });
        let claims = Arc::new(claims.map_err(Unverified::Invalid)?);
        let mut tokens = known.tokens.write().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= REMEMBERED {
            tokens.retain(|_, claims| claims.is_valid(now));
        }
        if tokens.len() >= REMEMBERED {
            tokens.clear();
        }
        tokens.insert(token.into(), Arc::clone(&claims));
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::{LEEWAY, LIFE, SEED, Signer, Subject};
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn token(signer: &Signer, sid: u128) -> String {
        let subject = Subject {
            account: 1,
            usuario_id: None,
            roles: Vec::new(),
            version: 1,
            sid,
            api_key: None,
            auth_time: NOW,
        };
        signer.sign(&Claims::new(subject, NOW)).unwrap()
    }

    #[test]
    fn what_was_verified_once_ends_with_its_time_and_with_its_key() {
        let (old, new) = (Signer::of(&[1; SEED]).unwrap(), Signer::of(&[2; SEED]).unwrap());
        let verifier = Verifier::default();
        let mine = token(&old, 1);
        assert_eq!(verifier.verify(&mine, NOW), Err(Unverified::NoKeys));
        verifier.set(vec![old.public()]);
        for _ in 0..2 {
            assert_eq!(verifier.verify(&mine, NOW).unwrap().sid, 1);
        }
        let late = verifier.verify(&mine, NOW + LIFE + LEEWAY);
        assert_eq!(late, Err(Unverified::Invalid(Invalid::Time)), "also where it is remembered");
        verifier.set(Vec::new());
        assert!(verifier.verify(&mine, NOW).is_ok(), "no keys are no news");
        verifier.set(vec![new.public(), old.public()]);
        assert!(verifier.verify(&mine, NOW).is_ok() && verifier.verify(&token(&new, 2), NOW).is_ok());
        verifier.set(vec![new.public()]);
        assert_eq!(
            verifier.verify(&mine, NOW),
            Err(Unverified::Invalid(Invalid::UnknownKey)),
            "all were rotated"
        );
    }

    #[test]
    fn so_many_tokens_are_remembered_and_no_more() {
        let signer = Signer::of(&[1; SEED]).unwrap();
        let verifier = Verifier::default();
        verifier.set(vec![signer.public()]);
        for sid in 0..REMEMBERED as u128 + 10 {
            assert!(verifier.verify(&token(&signer, sid), NOW).is_ok());
        }
        assert!(verifier.0.known.load().tokens.read().unwrap().len() <= REMEMBERED);
    }
}

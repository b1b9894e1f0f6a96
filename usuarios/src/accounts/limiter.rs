//! How often one may try to log in: each account's name and each address has a bucket of attempts that fills up again slowly.
//! There is a fixed number of buckets, so that nobody makes this grow; two names may share one, and nobody can tell which.

use crate::error::Error;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Buckets of each kind.
const BUCKETS: usize = 16 * 1024;
/// Attempts at one account that may come at once, and milliseconds until there is one more.
const OF_ACCOUNT: Rate = Rate { burst: 10, every: 6000 };
/// The same from one address, which a whole class may have.
const OF_ADDRESS: Rate = Rate { burst: 100, every: 1000 };

#[derive(Clone, Copy)]
struct Rate {
    burst: u64,
    every: u64,
}

/// One kind of buckets. A bucket is the time at which it is full again, in milliseconds since the start (the generic cell rate
/// algorithm).
struct Buckets {
    rate: Rate,
    full_at: Box<[AtomicU64]>,
}

impl Buckets {
    fn new(rate: Rate) -> Self {
        Self { rate, full_at: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Takes one attempt; where there is none, says in how many milliseconds there is.
    fn take(&self, bucket: usize, now: u64) -> Result<(), u64> {
        let (full, every) = (self.rate.burst * self.rate.every, self.rate.every);
        let mut wait = 0;
        let taken = self.full_at[bucket].fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let next = full_at.max(now) + every;
            wait = (next - now).saturating_sub(full);
            (wait == 0).then_some(next)
        });
        taken.map(drop).map_err(|_| wait)
    }

    fn give_back(&self, bucket: usize) {
        let every = self.rate.every;
        let _ = self.full_at[bucket].fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            Some(full_at.saturating_sub(every))
        });
    }
}

/// The buckets of a process.
pub struct Limiter {
    accounts: Buckets,
    addresses: Buckets,
    key: RandomState,
    start: Instant,
    refused: AtomicU64,
}

/// An attempt that was let through.
#[must_use = "one that succeeds is given back"]
pub struct Attempt {
    account: Option<usize>,
    address: Option<usize>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            accounts: Buckets::new(OF_ACCOUNT),
            addresses: Buckets::new(OF_ADDRESS),
            key: RandomState::new(),
            start: Instant::now(),
            refused: AtomicU64::new(0),
        }
    }
}

impl Limiter {
    /// An attempt at an account, from an address, as far as they are known.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`], with the seconds to wait.
    pub fn begin(&self, account: Option<&str>, address: Option<IpAddr>) -> Result<Attempt, Error> {
        self.begin_at(account, address, u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn begin_at(&self, account: Option<&str>, address: Option<IpAddr>, now: u64) -> Result<Attempt, Error> {
        let (account, address) = (account.map(|name| self.bucket(name)), address.map(|a| self.bucket(a)));
        let refuse = |wait: u64| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            Error::TooManyAttempts { seconds: u32::try_from(wait.div_ceil(1000)).unwrap_or(u32::MAX) }
        };
        if let Some(bucket) = address {
            self.addresses.take(bucket, now).map_err(refuse)?;
        }
        if let Some(bucket) = account {
            self.accounts.take(bucket, now).map_err(refuse)?;
        }
        Ok(Attempt { account, address })
    }

    /// It succeeded: who knows the password may log in as often as they like.
    pub fn succeeded(&self, attempt: &Attempt) {
        attempt.account.into_iter().for_each(|bucket| self.accounts.give_back(bucket));
        attempt.address.into_iter().for_each(|bucket| self.addresses.give_back(bucket));
    }

    /// How many attempts were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn bucket(&self, of: impl Hash) -> usize {
        usize::try_from(self.key.hash_one(of) % BUCKETS as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_and_an_address_have_so_many_attempts() {
        let limiter = Limiter::default();
        let here = Some(IpAddr::from([10, 0, 0, 1]));
        let attempt = |name: &str, now| limiter.begin_at(Some(name), here, now);
        for _ in 0..OF_ACCOUNT.burst {
            assert!(attempt("ana", 0).is_ok());
        }
        assert!(matches!(attempt("ana", 0), Err(Error::TooManyAttempts { seconds: 6 })));
        assert!(attempt("ana", 6000).is_ok(), "after a while there is one more");
        assert!(attempt("ana", 6000).is_err());
        let mut refused = false;
        for n in 0..=OF_ADDRESS.burst {
            refused |= attempt(&format!("u{n}"), 6000).is_err();
        }
        assert!(refused, "and an address, whatever names it tries");
        assert!(limiter.begin_at(Some("luis"), None, 6000).is_ok());
        assert!(limiter.refused() >= 3);
    }

    #[test]
    fn who_succeeds_is_not_slowed_down() {
        let limiter = Limiter::default();
        for _ in 0..1000 {
            let attempt = limiter.begin_at(Some("ana"), Some(IpAddr::from([10, 0, 0, 1])), 0).unwrap();
            limiter.succeeded(&attempt);
        }
    }
}

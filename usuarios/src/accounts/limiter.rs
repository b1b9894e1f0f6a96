//! How often one may try to log in. Buckets of attempts that fill up again slowly: one of each address; one of each account at
//! each address, so that who guesses slows down nobody else; one of each account for all addresses together that it does not
//! know, so that many of them do not guess more; and one of each session, for another password. An account knows an address
//! from which somebody has logged in to it.
//!
//! There is a fixed number of buckets, so that nobody makes this grow; two names may share one, and nobody can tell which.

use crate::error::Error;
#[cfg(not(test))]
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// In tests always the same, so that no two names of theirs share a bucket by chance.
#[cfg(test)]
type RandomState = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// Buckets of each kind, and addresses that are known.
const BUCKETS: usize = 16 * 1024;
/// Attempts at one account from one address that may come at once, and milliseconds until there is one more.
const OF_PAIR: Rate = Rate { burst: 10, every: 6000 };
/// The same from one address, which a whole class may have.
const OF_ADDRESS: Rate = Rate { burst: 100, every: 1000 };
/// The same at one account from all addresses that it does not know. One address alone cannot use it up.
const OF_ACCOUNT: Rate = Rate { burst: 200, every: 2000 };
/// The same in one session.
const OF_SESSION: Rate = Rate { burst: 10, every: 6000 };
/// For how many milliseconds an account knows an address.
const KNOWN: u64 = 7 * 24 * 3_600_000;

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
        Self { rate, full_at: zeros() }
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

fn zeros() -> Box<[AtomicU64]> {
    (0..BUCKETS).map(|_| AtomicU64::new(0)).collect()
}

/// Of accounts, the addresses from which somebody has logged in. A later pair may take the place of an earlier one. A place has
/// a part of its pair's hash, and the second since the start.
struct Known(Box<[AtomicU64]>);

/// The bits of the hash; a start is not 68 years ago.
const HASH: u64 = !0 << 31;

impl Known {
    fn has(&self, pair: u64, now: u64) -> bool {
        let place = self.0[place(pair)].load(Ordering::Relaxed);
        place & HASH == pair & HASH && now.saturating_sub((place & !HASH) * 1000) < KNOWN
    }

    fn add(&self, pair: u64, now: u64) {
        self.0[place(pair)].store((pair & HASH) | ((now / 1000) & !HASH), Ordering::Relaxed);
    }
}

fn place(hash: u64) -> usize {
    usize::try_from(hash % BUCKETS as u64).unwrap_or_default()
}

/// Who tries.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// To log in to an account, from an address as far as it is known.
    Account(&'a str, Option<IpAddr>),
    /// To log in with an API key.
    Key(Option<IpAddr>),
    /// To change the password, in a session, from an address.
    Session(u128, Option<IpAddr>),
}

/// The buckets of a process.
pub struct Limiter {
    addresses: Buckets,
    pairs: Buckets,
    accounts: Buckets,
    sessions: Buckets,
    known: Known,
    key: RandomState,
    start: Instant,
    refused: AtomicU64,
}

/// An attempt that was let through: what it has taken, and of which account at which address it is.
#[must_use = "it must end"]
#[derive(Default)]
pub struct Attempt<'a> {
    taken: Vec<(&'a Buckets, usize)>,
    pair: Option<u64>,
}

impl Attempt<'_> {
    fn give_back(&self) {
        self.taken.iter().for_each(|(buckets, bucket)| buckets.give_back(*bucket));
    }
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            addresses: Buckets::new(OF_ADDRESS),
            pairs: Buckets::new(OF_PAIR),
            accounts: Buckets::new(OF_ACCOUNT),
            sessions: Buckets::new(OF_SESSION),
            known: Known(zeros()),
            key: RandomState::default(),
            start: Instant::now(),
            refused: AtomicU64::new(0),
        }
    }
}

impl Limiter {
    /// An attempt.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`], with the seconds to wait.
    pub fn begin(&self, who: Who<'_>) -> Result<Attempt<'_>, Error> {
        self.begin_at(who, self.now())
    }

    fn begin_at(&self, who: Who<'_>, now: u64) -> Result<Attempt<'_>, Error> {
        let mut attempt = Attempt::default();
        for (buckets, bucket) in self.buckets_of(who, now, &mut attempt.pair) {
            if let Err(wait) = buckets.take(bucket, now) {
                // nothing was guessed, so it costs nothing
                attempt.give_back();
                self.refused.fetch_add(1, Ordering::Relaxed);
                let seconds = u32::try_from(wait.div_ceil(1000)).unwrap_or(u32::MAX);
                return Err(Error::TooManyAttempts { seconds });
            }
            attempt.taken.push((buckets, bucket));
        }
        Ok(attempt)
    }

    /// Where an attempt is counted; and its account and address, for when it succeeds.
    fn buckets_of(&self, who: Who<'_>, now: u64, pair: &mut Option<u64>) -> Vec<(&Buckets, usize)> {
        let of_address = |address: Option<IpAddr>| address.map(|a| (&self.addresses, place(self.hash(a))));
        match who {
            Who::Key(address) => of_address(address).into_iter().collect(),
            // also of the address: a session costs nothing to who knows a password
            Who::Session(sid, address) => {
                of_address(address).into_iter().chain([(&self.sessions, place(self.hash(sid)))]).collect()
            }
            Who::Account(name, address) => {
                let hash = self.hash((name, address));
                *pair = Some(hash);
                let mut all: Vec<_> = of_address(address).into_iter().collect();
                all.push((&self.pairs, place(hash)));
                if !self.known.has(hash, now) {
                    all.push((&self.accounts, place(self.hash(name))));
                }
                all
            }
        }
    }

    /// It ended, in some way. Only one that was wrong counts: who knows the password may log in as often as they like, and one
    /// that was not tried guessed nothing. One whose client goes away ends in no way, and counts.
    pub fn end<T>(&self, attempt: &Attempt<'_>, how: &Result<T, Error>) {
        match how {
            Ok(_) => self.succeeded_at(attempt, self.now()),
            Err(Error::WrongCredentials | Error::WrongPassword) => {}
            Err(_) => attempt.give_back(),
        }
    }

    fn succeeded_at(&self, attempt: &Attempt<'_>, now: u64) {
        attempt.give_back();
        attempt.pair.into_iter().for_each(|pair| self.known.add(pair, now));
    }

    /// How many attempts were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn hash(&self, of: impl Hash) -> u64 {
        self.key.hash_one(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of many.
    fn address(n: u32) -> Option<IpAddr> {
        Some(IpAddr::from((0x0a00_0000 + n).to_be_bytes()))
    }

    #[test]
    fn an_account_and_an_address_have_so_many_attempts() {
        let limiter = Limiter::default();
        let attempt = |name: &str, now| limiter.begin_at(Who::Account(name, address(1)), now);
        for _ in 0..OF_PAIR.burst {
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
        assert!(limiter.begin_at(Who::Account("luis", None), 6000).is_ok());
        assert!(limiter.begin_at(Who::Key(address(1)), 6000).is_err(), "keys count there, too");
        assert!(limiter.begin_at(Who::Key(address(2)), 6000).is_ok());
        assert!(limiter.refused() >= 3);
    }

    #[test]
    fn who_succeeds_is_not_slowed_down() {
        let limiter = Limiter::default();
        for _ in 0..1000 {
            let attempt = limiter.begin_at(Who::Account("ana", address(1)), 0).unwrap();
            limiter.succeeded_at(&attempt, 0);
        }
    }

    /// Ten times a second, for an hour. She has never logged in from there before.
    #[test]
    fn one_address_that_guesses_does_not_lock_anybody_out() {
        let limiter = Limiter::default();
        let mut guesses = 0;
        for now in (0..3_600_000).step_by(100) {
            guesses += u64::from(limiter.begin_at(Who::Account("ana", address(1)), now).is_ok());
            if now % 30_000 == 0 {
                let own = limiter.begin_at(Who::Account("ana", address(2 + now as u32 / 30_000)), now);
                limiter.succeeded_at(&own.expect("the right password, from elsewhere"), now);
            }
        }
        assert!(guesses <= OF_PAIR.burst + 3_600_000 / OF_PAIR.every, "{guesses}");
        let refused = limiter.refused();
        let change = limiter.begin_at(Who::Session(7, address(0)), 3_600_000);
        limiter.succeeded_at(&change.expect("and a session changes its password"), 3_600_000);
        assert_eq!(limiter.refused(), refused);
    }

    #[test]
    fn guesses_from_very_many_addresses_are_few_and_who_is_known_is_not_slowed_down() {
        let limiter = Limiter::default();
        let own = |now| limiter.begin_at(Who::Account("ana", address(0)), now);
        limiter.succeeded_at(&own(0).unwrap(), 0);
        let mut guesses = 0;
        for n in 1..50_000 {
            let now = u64::from(n) * 10;
            guesses += u64::from(limiter.begin_at(Who::Account("ana", address(n)), now).is_ok());
            if n % 100 == 0 {
                limiter.succeeded_at(&own(now).expect("she is known here"), now);
            }
        }
        let most = OF_ACCOUNT.burst + 500_000 / OF_ACCOUNT.every;
        assert!((most - 1..=most + 1).contains(&guesses), "{guesses}");
        assert!(limiter.begin_at(Who::Account("luis", address(50_000)), 500_000).is_ok());
        // what is known is forgotten, and was never more than there are places
        assert!(!limiter.known.has(limiter.hash(("ana", address(0))), 500_000 + KNOWN));
        assert_eq!(limiter.known.0.len(), BUCKETS);
    }

    #[test]
    fn what_is_refused_is_not_counted_elsewhere() {
        let limiter = Limiter::default();
        let at = |name: &str| limiter.begin_at(Who::Account(name, address(1)), 0);
        for _ in 0..1000 {
            let _ = at("ana");
        }
        assert!(at("luis").is_ok(), "a class at this address still logs in");
    }

    #[test]
    fn a_session_has_so_many_attempts_at_another_password() {
        let limiter = Limiter::default();
        for _ in 0..OF_SESSION.burst {
            assert!(limiter.begin_at(Who::Session(1, address(1)), 0).is_ok());
        }
        assert!(limiter.begin_at(Who::Session(1, address(1)), 0).is_err());
        assert!(limiter.begin_at(Who::Session(2, address(1)), 0).is_ok());
        // sessions are free to who knows one password; their guesses are those of an address
        let refused = (3..100).any(|sid| limiter.begin_at(Who::Session(sid, address(1)), 0).is_err());
        assert!(refused && limiter.begin_at(Who::Session(100, address(2)), 0).is_ok());
    }

    #[test]
    fn one_that_was_not_tried_does_not_count() {
        let limiter = Limiter::default();
        for how in [Err(Error::TooManyLogins), Err(Error::bug("the store is away")), Ok(())] {
            for _ in 0..1000 {
                let attempt = limiter.begin(Who::Account("ana", address(1))).expect("no attempt counted");
                limiter.end(&attempt, &how);
            }
        }
        let wrong = (0..20).take_while(|_| {
            let attempt = limiter.begin(Who::Account("ana", address(1)));
            attempt.is_ok_and(|attempt| {
                limiter.end(&attempt, &Err::<(), _>(Error::WrongCredentials));
                true
            })
        });
        assert_eq!(wrong.count() as u64, OF_PAIR.burst);
    }
}

//! Passwords, and their hashes by Argon2id. One hash takes 19 MiB and some twenty milliseconds of a core, on purpose; so few
//! are made at once, on threads of their own, and only so many wait.

use crate::domain::account::Secret;
use crate::error::Error;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http_kit::problem::Text;
use http_kit::text;
use market::accounts::token::random;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

/// OWASP's password storage cheat sheet: Argon2id with 19 MiB of memory, two passes, one lane.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT: usize = 16;
const OUTPUT: usize = 32;
/// Hashes that may wait for their turn: a few seconds of work.
const WAITING: u64 = 200;

/// The fewest and the most characters of a new password.
pub const LENGTH: std::ops::RangeInclusive<usize> = 8..=128;

/// A password on its way to be hashed, in Unicode's form NFKC: the same keys on two machines are the same password.
#[derive(Clone)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Password {
    /// One that somebody logs in with: any text.
    pub fn given(text: &str) -> Self {
        Self(text.nfkc().collect())
    }

    /// A new one.
    ///
    /// # Errors
    /// What would do.
    pub fn chosen(text: &str) -> Result<Self, Text> {
        let password = Self::given(text);
        let n = password.0.chars().count();
        if LENGTH.contains(&n) && !password.0.chars().any(char::is_control) {
            return Ok(password);
        }
        let (least, most) = (LENGTH.start(), LENGTH.end());
        Err(text!(
            "debe tener de {least} a {most} caracteres, ninguno de control",
            "must have {least} to {most} characters, none a control character"
        ))
    }

    /// One that nobody can guess: 120 bits.
    pub fn fresh() -> Option<(Self, String)> {
        let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random::<15>()?);
        Some((Self(text.clone()), text))
    }
}

/// Makes hashes. Clones share the turns.
#[derive(Clone)]
pub struct Hasher(Arc<Inner>);

struct Inner {
    turns: Arc<Semaphore>,
    waiting: AtomicU64,
    turned_away: AtomicU64,
}

impl Hasher {
    /// So many at once.
    pub fn new(at_once: u16) -> Self {
        let turns = Arc::new(Semaphore::new(usize::from(at_once)));
        Self(Arc::new(Inner { turns, waiting: AtomicU64::new(0), turned_away: AtomicU64::new(0) }))
    }

    /// How many hashes wait or are being made.
    pub fn waiting(&self) -> u64 {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// How many were not made, since too many waited.
    pub fn turned_away(&self) -> u64 {
        self.0.turned_away.load(Ordering::Relaxed)
    }

    /// The hash of a password, with its parameters (the form of the PHC string format).
    pub async fn hash(&self, password: Password) -> Result<Secret, Error> {
        let salt = random::<SALT>().ok_or_else(|| Error::bug("the system gives no random bytes"))?;
        let output = self.run(move || digest(&password, &salt)).await?;
        let text = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes);
        let parameters = format!("$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}");
        Ok(Secret::new(format!("{parameters}${}${}", text(&salt), text(&output))))
    }

    /// Whether a password has a hash. Without a hash nothing has it, and that takes as long to say.
    pub async fn verify(&self, password: Password, hash: Option<Secret>) -> Result<bool, Error> {
        let (salt, expected) = match hash {
            Some(hash) => {
                parse(hash.expose()).ok_or_else(|| Error::bug("a password's hash cannot be read"))?
            }
            None => ([0; SALT], [0; OUTPUT]),
        };
        let output = self.run(move || digest(&password, &salt)).await?;
        Ok(bool::from(output.ct_eq(&expected)))
    }

    async fn run(
        &self,
        work: impl FnOnce() -> Option<[u8; OUTPUT]> + Send + 'static,
    ) -> Result<[u8; OUTPUT], Error> {
        let place = Place::among(&self.0)?;
        let turn = Arc::clone(&self.0.turns).acquire_owned().await.map_err(|e| Error::bug(e.to_string()))?;
        let done = tokio::task::spawn_blocking(move || {
            let output = work();
            // kept until the work is done: a client that hangs up does not let another one in
            drop((turn, place));
            output
        });
        let output = done.await.map_err(|e| Error::bug(e.to_string()))?;
        output.ok_or_else(|| Error::bug("a password could not be hashed"))
    }
}

/// A place among those that wait.
struct Place(Arc<Inner>);

impl Place {
    fn among(inner: &Arc<Inner>) -> Result<Self, Error> {
        let place = Self(Arc::clone(inner));
        if inner.waiting.fetch_add(1, Ordering::Relaxed) < WAITING {
            return Ok(place);
        }
        inner.turned_away.fetch_add(1, Ordering::Relaxed);
        Err(Error::TooManyLogins)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn digest(password: &Password, salt: &[u8]) -> Option<[u8; OUTPUT]> {
    let parameters = Params::new(MEMORY, PASSES, LANES, Some(OUTPUT)).ok()?;
    let mut output = [0; OUTPUT];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    argon.hash_password_into(password.0.as_bytes(), salt, &mut output).ok()?;
    Some(output)
}

/// Salt and output of a hash that [`Hasher::hash`] wrote; of other parameters there is none yet.
fn parse(hash: &str) -> Option<([u8; SALT], [u8; OUTPUT])> {
    let rest = hash.strip_prefix(&format!("$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}$"))?;
    let (salt, output) = rest.split_once('$')?;
    let bytes = |text: &str| STANDARD_NO_PAD.decode(text).ok();
    Some((bytes(salt)?.try_into().ok()?, bytes(output)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_has_its_own_hash_only() {
        let hasher = Hasher::new(2);
        let hash = hasher.hash(Password::given("gato cósmico")).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(hasher.hash(Password::given("gato cósmico")).await.unwrap(), hash, "each has its salt");
        for (password, is_right) in
            [("gato cósmico", true), ("gato co\u{301}smico", true), ("gato cosmico", false), ("", false)]
        {
            let answer = hasher.verify(Password::given(password), Some(hash.clone())).await.unwrap();
            assert_eq!(answer, is_right, "{password}");
        }
        assert!(!hasher.verify(Password::given("gato cósmico"), None).await.unwrap());
        assert!(
            hasher.verify(Password::given("x"), Some(Secret::new("$argon2id$".to_owned()))).await.is_err()
        );
        assert_eq!((hasher.waiting(), hasher.turned_away()), (0, 0));
    }

    /// What the reference implementation, in C, gives for the same parameters.
    #[test]
    fn a_hash_is_argon2id() {
        let output = digest(&Password::given("password"), b"somesaltsomesalt").unwrap();
        let hex: String = output.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "2b5dc4054886ec957ef59c73b661c54dd6fb274590b278f657c6d96aac8fa6d1");
    }

    #[test]
    fn a_new_password_is_neither_short_nor_endless() {
        for good in ["12345678", "contraseña", &"x".repeat(128), "🐱🐱🐱🐱🐱🐱🐱🐱"] {
            assert!(Password::chosen(good).is_ok(), "{good}");
        }
        for wrong in ["", "1", "1234567", &"x".repeat(129), &"x".repeat(10_000), "1234567\u{0}"] {
            assert!(Password::chosen(wrong).is_err(), "{wrong}");
        }
        assert_eq!(format!("{:?}", Password::given("secret")), "***");
    }
}

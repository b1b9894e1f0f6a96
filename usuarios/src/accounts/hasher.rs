//! Passwords, and their hashes by Argon2id. One hash takes 19 MiB and some twenty milliseconds of a core, on purpose; so few
//! are made at once, on threads of their own, and only so many wait. Their memory is made once and kept: what is made and freed
//! on ever other threads, an allocator may keep for each of them.

use super::demo;
use crate::domain::account::Secret;
use crate::error::Error;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http_kit::problem::Text;
use http_kit::text;
use market::accounts::token::random;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
    /// One that is known to be a password.
    pub fn given(text: &str) -> Self {
        Self(text.nfkc().collect())
    }

    /// One that somebody logs in with: any text that is no longer than a new one may be. As of a new one, the characters count
    /// that are hashed, and not those that were typed.
    ///
    /// # Errors
    /// What would do.
    pub fn typed(text: &str) -> Result<Self, Text> {
        let password = Self::given(text);
        let most = LENGTH.end();
        if (1..=*most).contains(&password.0.chars().count()) {
            return Ok(password);
        }
        Err(text!("debe tener de 1 a {most} caracteres", "must have 1 to {most} characters"))
    }

    /// A new one.
    ///
    /// # Errors
    /// What would do.
    pub fn chosen(text: &str) -> Result<Self, Text> {
        let password = Self::given(text);
        if demo::is_published(&password.0) {
            return Err(Text::new("está publicada: debe ser otra", "is published: it must be another one"));
        }
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
    /// The memory of the hashes that are not being made: no more of them than turns.
    memories: Mutex<Vec<Memory>>,
    waiting: AtomicU64,
    turned_away: AtomicU64,
}

impl Hasher {
    /// So many at once.
    pub fn new(at_once: u16) -> Self {
        let turns = Arc::new(Semaphore::new(usize::from(at_once)));
        let (memories, waiting, turned_away) = (Mutex::default(), AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Inner { turns, memories, waiting, turned_away }))
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
        let output = self.run(password, salt).await?;
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
        let output = self.run(password, salt).await?;
        Ok(bool::from(output.ct_eq(&expected)))
    }

    async fn run(&self, password: Password, salt: [u8; SALT]) -> Result<[u8; OUTPUT], Error> {
        let place = Place::among(&self.0)?;
        let turn = Arc::clone(&self.0.turns).acquire_owned().await.map_err(|e| Error::bug(e.to_string()))?;
        let inner = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            let output = inner.digest(&password, &salt);
            // kept until the work is done: a client that hangs up does not let another one in
            drop((turn, place));
            output
        });
        let output = done.await.map_err(|e| Error::bug(e.to_string()))?;
        output.ok_or_else(|| Error::bug("a password could not be hashed"))
    }
}

impl Inner {
    /// For who has a turn.
    fn digest(&self, password: &Password, salt: &[u8]) -> Option<[u8; OUTPUT]> {
        let memories = || self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = memories().pop();
        let mut memory = spare.or_else(Memory::new)?;
        let output = memory.digest(password, salt);
        memories().push(memory);
        output
    }
}

/// The memory in which one hash at a time is made. Between two hashes nothing of a password is in it.
struct Memory(Vec<Block>);

impl Memory {
    /// Where there is so much.
    fn new() -> Option<Self> {
        let count = parameters()?.block_count();
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(count).ok()?;
        blocks.resize(count, Block::new());
        Some(Self(blocks))
    }

    fn digest(&mut self, password: &Password, salt: &[u8]) -> Option<[u8; OUTPUT]> {
        let mut output = [0; OUTPUT];
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters()?);
        let made =
            argon.hash_password_into_with_memory(password.0.as_bytes(), salt, &mut output, &mut self.0[..]);
        self.0.fill(Block::new());
        made.ok().map(|()| output)
    }
}

fn parameters() -> Option<Params> {
    Params::new(MEMORY, PASSES, LANES, Some(OUTPUT)).ok()
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
        let mut memory = Memory::new().unwrap();
        for time in ["first", "again"] {
            let output = memory.digest(&Password::given("password"), b"somesaltsomesalt").unwrap();
            let hex: String = output.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, "2b5dc4054886ec957ef59c73b661c54dd6fb274590b278f657c6d96aac8fa6d1", "{time}");
            let is_clear = |block: &Block| block.as_ref().iter().all(|word| *word == 0);
            assert!(memory.0.iter().all(is_clear), "{time}: something of the password is left");
        }
    }

    #[tokio::test]
    async fn hashes_are_made_in_the_memory_of_those_before() {
        let hasher = Hasher::new(2);
        let kept = || hasher.0.memories.lock().unwrap().len();
        assert_eq!(kept(), 0, "made when it is needed");
        for n in 0..3 {
            hasher.verify(Password::given(&format!("x{n}")), None).await.unwrap();
            assert_eq!(kept(), 1);
        }
        let many = (0..8).map(|n| hasher.hash(Password::given(&format!("y{n}"))));
        let hashes = futures_util::future::join_all(many).await;
        assert!(hashes.iter().all(Result::is_ok), "{hashes:?}");
        assert!((1..=2).contains(&kept()), "as many as hashes at once, at most");
    }

    #[test]
    fn whatever_may_be_a_new_password_may_be_typed() {
        let marks = "한".repeat(128).nfd().collect::<String>();
        assert!(marks.len() > 1024, "in the form that some keyboards give");
        for good in ["x".repeat(128), "🐱".repeat(128), "ﷺ".repeat(7), "한".repeat(128), marks] {
            assert!(Password::chosen(&good).is_ok() && Password::typed(&good).is_ok(), "{good}");
        }
        for wrong in [String::new(), "x".repeat(129), "ﷺ".repeat(8)] {
            assert!(Password::typed(&wrong).is_err() && Password::chosen(&wrong).is_err(), "{wrong}");
        }
        assert!(
            Password::typed("x").is_ok() && Password::typed("1234567\u{0}").is_ok(),
            "wrong, and no more"
        );
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

//! What can be set of accounts, in the process that has them.

use crate::domain::account::{AccountName, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use market::accounts::token::SEED;
use std::str::FromStr;

/// The options of the process that people log in at.
#[derive(Args, Clone, Debug)]
pub struct LoginOptions {
    /// Passwords that are hashed at once: each takes 19 MiB, and a core for a moment
    #[arg(long, env = "LOGINS_AT_ONCE", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub logins_at_once: u16,
    /// The key that signs sessions, instead of one that is made and kept in the store: 32 bytes in base64url; after a comma the
    /// one before, whose sessions still count
    #[arg(long, env = "SIGNING_SEED", hide_env_values = true)]
    pub signing_seed: Option<SigningSeed>,
    /// `NAME:PASSWORD` of a tesorero's account, which is made where no account counts yet
    #[arg(long, env = "FIRST_ACCOUNT", hide_env_values = true)]
    pub first_account: Option<FirstAccount>,
}

/// One or two seeds, the one that signs first.
#[derive(Clone, Debug)]
pub struct SigningSeed(Vec<Secret>);

impl SigningSeed {
    /// Their bytes.
    pub fn seeds(&self) -> impl Iterator<Item = Vec<u8>> {
        self.0.iter().filter_map(|seed| URL_SAFE_NO_PAD.decode(seed.expose()).ok())
    }
}

impl FromStr for SigningSeed {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let is_seed = |text: &&str| URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == SEED);
        let seeds: Vec<_> = s.split(',').collect();
        if seeds.len() <= 2 && seeds.iter().all(is_seed) {
            Ok(Self(seeds.into_iter().map(|seed| Secret::new(seed.to_owned())).collect()))
        } else {
            Err("expected 32 bytes in base64url without =, and perhaps a comma and 32 more".to_owned())
        }
    }
}

/// A name and a password.
#[derive(Clone, Debug)]
pub struct FirstAccount {
    /// With which one logs in.
    pub name: AccountName,
    /// A new password.
    pub password: Secret,
}

impl FromStr for FirstAccount {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let (name, password) = s.split_once(':').ok_or("expected NAME:PASSWORD")?;
        super::hasher::Password::chosen(password).map_err(|detail| format!("the password {}", detail.en))?;
        Ok(Self { name: name.parse()?, password: Secret::new(password.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_whole_and_are_not_shown() {
        let seed = URL_SAFE_NO_PAD.encode([7; SEED]);
        let two: SigningSeed = format!("{seed},{seed}").parse().unwrap();
        assert_eq!(two.seeds().count(), 2);
        assert!(!format!("{two:?}").contains(&seed));
        for wrong in ["", "abc", &seed[1..], &format!("{seed},"), &format!("{seed},{seed},{seed}")] {
            assert!(wrong.parse::<SigningSeed>().is_err(), "{wrong}");
        }
        let first: FirstAccount = "Tere:gato:cosmico".parse().unwrap();
        assert_eq!((first.name.as_str(), first.password.expose()), ("tere", "gato:cosmico"));
        assert!(!format!("{first:?}").contains("cosmico"));
        for wrong in ["tere", "tere:", "tere:corta", ":gato-cosmico", "té:gato-cosmico"] {
            let said = wrong.parse::<FirstAccount>().unwrap_err();
            assert!(!said.contains("cosmico"), "{said}");
        }
    }
}

//! What people read, in Spanish and in English.

use clap::ValueEnum;
use std::sync::OnceLock;

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Spanish.
    #[default]
    Es,
    /// English.
    En,
}

static SPOKEN: OnceLock<Language> = OnceLock::new();

impl Language {
    /// What the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set asks for; Spanish where it is not English.
    pub fn of_locale() -> Self {
        let set = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set).unwrap_or_default();
        if locale.starts_with("en") { Self::En } else { Self::Es }
    }
}

/// Chooses the language of this process. The first choice counts.
pub fn speak(language: Language) {
    let _ = SPOKEN.set(language);
}

/// The language of this process.
pub fn language() -> Language {
    SPOKEN.get().copied().unwrap_or_default()
}

/// Formats the first text in Spanish, or the second in English. Both take the same arguments.
macro_rules! both {
    ($es:literal, $en:literal $(, $($arg:tt)*)?) => {
        match $crate::attack::words::language() {
            $crate::attack::words::Language::Es => format!($es $(, $($arg)*)?),
            $crate::attack::words::Language::En => format!($en $(, $($arg)*)?),
        }
    };
}
pub(super) use both;

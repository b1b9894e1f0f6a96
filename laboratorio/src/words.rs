//! What people read, in Spanish and in English. A process speaks one language, which `--idioma` or the locale chooses.

use clap::ValueEnum;
use std::sync::OnceLock;

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// Spanish.
    #[default]
    Es,
    /// English.
    En,
}

static SPOKEN: OnceLock<Lang> = OnceLock::new();

impl Lang {
    /// What the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set asks for; Spanish where it names neither.
    pub fn of_locale() -> Self {
        let set = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set).unwrap_or_default();
        if locale.starts_with("en") { Self::En } else { Self::Es }
    }

    /// As HTML and `Accept-Language` name it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Es => "es",
            Self::En => "en",
        }
    }
}

/// Chooses the language of this process. The first choice counts.
pub fn speak(lang: Lang) {
    let _ = SPOKEN.set(lang);
}

/// The language of this process.
pub fn lang() -> Lang {
    SPOKEN.get().copied().unwrap_or_default()
}

/// Formats the first text in Spanish, or the second in English. Both take the same arguments.
#[macro_export]
macro_rules! t {
    ($es:literal, $en:literal $(, $($arg:tt)*)?) => {
        match $crate::words::lang() {
            $crate::words::Lang::Es => format!($es $(, $($arg)*)?),
            $crate::words::Lang::En => format!($en $(, $($arg)*)?),
        }
    };
}

/// A number with its thousands apart.
pub fn whole(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

/// Microseconds as a person reads them.
pub fn time(micros: u64) -> String {
    let seconds = micros as f64 / 1e6;
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.1} ms", seconds * 1e3),
        10_000..1_000_000 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([whole(0), whole(999), whole(12_345_678)], ["0", "999", "12\u{a0}345\u{a0}678"]);
        assert_eq!(
            [time(999), time(1500), time(25_000), time(3_200_000)],
            ["999 µs", "1.5 ms", "25 ms", "3.2 s"]
        );
    }
}

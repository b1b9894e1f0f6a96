//! What people read, in Spanish and in English. A process speaks one language, which `--idioma` or the locale chooses.

use clap::ValueEnum;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::Path;
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

/// So many of something, by its word for one and its word for others in both languages.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(n: N, es: [&str; 2], en: [&str; 2]) -> String {
    let [one, many] = if lang() == Lang::Es { es } else { en };
    let noun = if n == N::from(1) { one } else { many };
    let text = n.to_string();
    let text = text.parse().map_or(text, whole);
    format!("{text} {noun}")
}

/// So much money.
pub fn credits<N: Copy + Display + PartialEq + From<u8>>(n: N) -> String {
    counted(n, ["crédito", "créditos"], ["credit", "credits"])
}

/// What went wrong with a file.
pub fn failed(path: &Path, e: &io::Error) -> String {
    let path = path.display();
    let why = match (lang(), e.kind()) {
        (Lang::Es, ErrorKind::NotFound) => "no existe",
        (Lang::Es, ErrorKind::AlreadyExists) => "ya existe",
        (Lang::Es, ErrorKind::PermissionDenied) => "falta permiso",
        (Lang::Es, ErrorKind::IsADirectory) => "es un directorio",
        (Lang::Es, ErrorKind::NotADirectory) => "una parte de la ruta no es un directorio",
        (Lang::Es, ErrorKind::StorageFull) => "no queda espacio en el disco",
        (Lang::Es, ErrorKind::ReadOnlyFilesystem) => "el sistema de archivos es de solo lectura",
        _ => return format!("{path}: {e}"),
    };
    format!("{path}: {why}")
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

/// A time that was measured, in microseconds; 0 is none: nothing takes that.
pub fn measured(micros: u64) -> String {
    match micros {
        0 => t!("no se midió", "not measured"),
        _ => time(micros),
    }
}

/// Names as a sentence has them.
pub fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [before @ .., last] => {
            let before = before.join(", ");
            t!("{before} y {last}", "{before} and {last}")
        }
    }
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
        assert_eq!(
            [credits(1), credits(-1), credits(1234)],
            ["1 crédito", "-1 créditos", "1\u{a0}234 créditos"]
        );
        let none = std::fs::read("/none").unwrap_err();
        assert_eq!(failed(Path::new("/none"), &none), "/none: no existe");
        assert_eq!([measured(0), measured(1500)], ["no se midió", "1.5 ms"]);
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!([listed(&names[..1]), listed(&names)], ["a", "a, b y c"]);
        assert_eq!([whole(0), whole(999), whole(12_345_678)], ["0", "999", "12\u{a0}345\u{a0}678"]);
        assert_eq!(
            [time(999), time(1500), time(25_000), time(3_200_000)],
            ["999 µs", "1.5 ms", "25 ms", "3.2 s"]
        );
    }
}

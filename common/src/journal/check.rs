//! `mercado journal check|dump DIR`: looks at a store's files without changing anything.

use std::{fmt, io, path::Path};

/// What [`check`] found; its `Display` is the command's output.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The store's name.
    pub name: String,
    /// Whether nothing is damaged.
    pub sound: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The names of the stores in a directory, sorted.
///
/// # Errors
/// The directory cannot be read.
pub fn stores(_dir: &Path) -> io::Result<Vec<String>> {
    Ok(Vec::new())
}

/// Reads and verifies every file of one store.
///
/// # Errors
/// A file cannot be read; what is wrong inside one is in the report.
pub fn check(_dir: &Path, name: &str) -> io::Result<Report> {
    Ok(Report { name: name.to_owned(), sound: true })
}

/// Prints a store's journal for a person to read.
///
/// # Errors
/// The journal cannot be read, or `out` not written.
pub fn dump(_dir: &Path, _name: &str, _out: &mut dyn io::Write) -> io::Result<()> {
    Ok(())
}

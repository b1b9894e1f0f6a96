//! The files of the repository, as text.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A file's text.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The files below a directory whose name ends so, relative to the root, in order.
pub(crate) fn files(below: &str, end: &str) -> Vec<PathBuf> {
    let (root, mut found) = (root(), Vec::new());
    collect(&root.join(below), end, &mut found);
    found.sort();
    found.into_iter().map(|path| path.strip_prefix(&root).unwrap().to_owned()).collect()
}

fn collect(dir: &Path, end: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            // what is built, kept by git, or made by running things
            if !matches!(&*name, "target" | ".git" | "datos" | "node_modules" | "corpus") {
                collect(&path, end, found);
            }
        } else if name.ends_with(end) {
            found.push(path);
        }
    }
}

/// The crates of the workspace, a lower one first: folder, package.
pub(crate) const LAYERS: [(&str, &str); 5] = [
    ("common/journal", "journal"),
    ("common/http", "http-kit"),
    ("common/pg", "pg"),
    ("common/market", "market"),
    ("common/testkit", "testkit"),
];

/// The services, which know the layers and not each other.
pub(crate) const SERVICES: [&str; 3] = ["usuarios", "tokens", "transacciones"];

//! The programs that a run on this machine starts.

use crate::t;
use std::path::{Path, PathBuf};

const SERVICES: [&str; 3] = ["usuarios", "tokens", "transacciones"];

/// Finds the three binaries beside this executable. In a checkout of the repository cargo builds them where one is missing.
///
/// # Errors
/// Where they cannot be built, or this executable was installed somewhere else without them.
pub fn services(exe: &Path) -> Result<PathBuf, String> {
    let bin = exe.parent().unwrap_or(exe);
    let place = bin.display();
    let missing: Vec<_> = SERVICES.into_iter().filter(|name| !bin.join(name).exists()).collect();
    if missing.is_empty() {
        return Ok(bin.to_owned());
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = bin.parent().unwrap_or(bin);
    // cargo leaves this file in each directory that it builds into
    if !target.join("CACHEDIR.TAG").exists() || !manifest.join("Cargo.toml").exists() {
        let missing = missing.join(", ");
        return Err(t!(
            "en {place} faltan {missing}: póngalos junto a este programa, o córralo desde el repositorio con «cargo run --release -p laboratorio»",
            "{missing} missing in {place}: put them beside this program, or run it in the repository by \"cargo run --release -p laboratorio\""
        ));
    }
    say!(
        "{}",
        t!(
            "se construyen los servicios, que no están en {place}",
            "building the services, which are not in {place}"
        )
    );
    let release = bin.file_name().is_some_and(|name| name == "release");
    let mut cargo = std::process::Command::new(option_env!("CARGO").unwrap_or("cargo"));
    cargo.args(["build", "-p", "usuarios", "-p", "tokens", "-p", "transacciones"]);
    cargo.args(release.then_some("--release")).arg("--target-dir").arg(target);
    cargo.current_dir(manifest);
    let status = cargo.status().map_err(|e| format!("cargo: {e}"))?;
    if status.success() { Ok(bin.to_owned()) } else { Err(format!("cargo build: {status}")) }
}

#[cfg(test)]
mod tests {
    use super::services;

    #[test]
    fn an_installed_program_says_what_it_needs() {
        let dir = tempfile::TempDir::new().unwrap();
        let said = services(&dir.path().join("bin/laboratorio")).unwrap_err();
        for name in ["usuarios", "tokens", "transacciones", "bin"] {
            assert!(said.contains(name), "{said}");
        }
    }
}

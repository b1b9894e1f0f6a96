//! What images are built of, as far as that can be seen without building one: `docker/check` does that.

use crate::tree::{files, read, root};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Whether `.dockerignore` keeps a file out.
fn is_ignored(path: &Path, lines: &str) -> bool {
    lines.lines().any(|line| match line.strip_prefix("**/") {
        Some(name) => match name.strip_prefix('*') {
            Some(end) => path.to_string_lossy().ends_with(end),
            None => path.iter().any(|part| part == name),
        },
        None => path.starts_with(line),
    })
}

/// Dependencies are built with manifests and crates that have nothing in them, so that they are built once.
#[test]
fn what_an_image_builds_its_dependencies_with_is_a_workspace() {
    let (dockerfile, ignored, dir) =
        (read("docker/Dockerfile"), read(".dockerignore"), TempDir::new().unwrap());
    for file in files("", "").into_iter().filter(|file| !is_ignored(file, &ignored)) {
        let copy = dir.path().join(&file);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(root().join(&file), copy).unwrap();
    }
    let (_, stage) = dockerfile.split_once("AS manifests\n").unwrap();
    let (_, run) = stage.split_once("RUN ").unwrap();
    let script = run.split("\n\n").next().unwrap();
    let sh = Command::new("sh").args(["-ec", script]).current_dir(&dir).status().unwrap();
    assert!(sh.success(), "{script}");
    assert_eq!(fs::read_to_string(dir.path().join("mercado/src/main.rs")).unwrap().trim(), "fn main() { }");
    assert_eq!(fs::metadata(dir.path().join("mercado/src/lib.rs")).unwrap().len(), 0);
    // cargo reads every manifest as for a build, and then finds nothing to build
    let (_, build) = dockerfile.split_once("ENV BUILD=\"").unwrap();
    let build = format!("{} --offline --bin none", build.split('"').next().unwrap());
    let cargo = Command::new("sh").args(["-c", &build]).current_dir(&dir).output().unwrap();
    let said = String::from_utf8_lossy(&cargo.stderr);
    assert!(said.contains("no bin target named `none`"), "{build}: {said}");
}

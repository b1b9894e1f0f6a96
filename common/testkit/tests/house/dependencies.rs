//! Each dependency of the workspace has its line in ADR 0002, and no line there speaks of one that is gone.

use std::collections::BTreeSet;

#[test]
fn every_dependency_is_accounted_for() {
    let manifest = include_str!("../../../../Cargo.toml");
    let table = manifest.split("\n[workspace.dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let ours = ["journal", "http-kit", "pg", "market", "testkit", "usuarios", "tokens", "transacciones"];
    let names: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with('#') && !ours.contains(name))
        .collect();
    assert!(names.contains("actix-web"), "the table was not read: {names:?}");

    let page = include_str!("../../../../docs/adr/0002-dependencies.md");
    let told: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, told, "Cargo.toml on the left, docs/adr/0002-dependencies.md on the right");
}

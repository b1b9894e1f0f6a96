//! The two READMEs say the same: the same commands in the same order, the same tables.

use crate::documents::commands;
use crate::tree::read;

/// Commands without their comments, which each language has in its own words.
fn bare(page: &str) -> Vec<String> {
    let lines =
        commands(page).into_iter().map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned());
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// The code in the first two cells of each row of each table.
fn tables(page: &str) -> Vec<String> {
    let rows = page.lines().filter(|line| line.starts_with('|'));
    rows.map(|row| {
        row.split('|')
            .skip(1)
            .take(2)
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .collect::<Vec<_>>()
            .join(" ")
    })
    .collect()
}

#[test]
fn both_languages_have_the_same_commands_and_tables() {
    let (english, spanish) = (read("README.md"), read("README.es.md"));
    assert!(bare(&english).len() > 20, "the commands were not found");
    assert_eq!(bare(&english), bare(&spanish), "README.md on the left, README.es.md on the right");
    assert_eq!(tables(&english), tables(&spanish), "README.md on the left, README.es.md on the right");
    assert!(tables(&english).len() > 20, "the tables were not found");
}

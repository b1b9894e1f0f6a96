//! What is there in two languages says the same: the READMEs have the same commands in the same order and the same tables, the
//! guides the same commands.

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

#[test]
fn both_guides_have_the_same_commands() {
    let in_spanish = |line: String| line.replace("--idioma en", "--idioma es");
    let english: Vec<_> = bare(&read("docs/GUIDE.md")).into_iter().map(in_spanish).collect();
    let spanish = bare(&read("docs/es/GUIA.md"));
    assert!(english.len() > 15, "the commands were not found");
    assert_eq!(english, spanish, "docs/GUIDE.md on the left, docs/es/GUIA.md on the right");
}

/// A reader who pastes a block into a terminal has seen what the page promises before the block ends the server, and has been
/// told before the block what must be free.
#[test]
fn the_guides_let_the_reader_see_the_red_light() {
    for (page, first) in
        [("docs/GUIDE.md", "End the classroom"), ("docs/es/GUIA.md", "Termine primero el aula")]
    {
        let text = read(page);
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{page}: {what}"));
        assert!(at(first) < at("target/release/mercado --store json:/tmp/mercado-rojo"), "{page}");
        let (_, last) = text.rsplit_once("& pid=$!").unwrap();
        let (see, _) = last.split_once("kill $pid").unwrap();
        assert!(see.contains("#/sistema"), "{page}: the server is ended before anybody has looked");
    }
}

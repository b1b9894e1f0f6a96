//! What a page names exists: files, links, modules, options, variables, metrics, error codes, tests.

use crate::tree::{files, read, root};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Names that pages use and this repository does not: of other programs, of the languages, of examples.
const OF_OTHERS: &[&str] = &include!("of_others.in");

/// The pages, relative to the root.
fn pages() -> Vec<PathBuf> {
    let pages = files("", ".md")
        .into_iter()
        .filter(|page| !page.starts_with("fuzz") && !page.starts_with(".schemathesis"));
    pages.collect()
}

/// A page's inline code, each with its line.
fn spans(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, text) in prose(page) {
        found.extend(text.split('`').skip(1).step_by(2).map(|span| (line, span.to_owned())));
    }
    found
}

/// The lines of a page that are not in a block of code. A span may go on in the next line, so a line is a paragraph here.
fn prose(page: &str) -> Vec<(usize, String)> {
    let (mut found, mut in_block, mut paragraph) = (Vec::<(usize, String)>::new(), false, false);
    for (at, line) in page.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            (in_block, paragraph) = (!in_block, false);
        } else if !in_block {
            let own = line.is_empty() || line.trim_start().starts_with(['|', '#', '-', '*']);
            match found.last_mut() {
                Some((_, text)) if paragraph && !own => {
                    text.push(' ');
                    text.push_str(line);
                }
                _ => found.push((at + 1, line.to_owned())),
            }
            paragraph = !line.is_empty();
        }
    }
    found
}

/// The lines of a page's blocks of commands.
pub(crate) fn commands(page: &str) -> Vec<String> {
    let (mut found, mut in_block) = (Vec::new(), false);
    for line in page.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            in_block = !in_block && matches!(language, "sh" | "bash");
        } else if in_block {
            found.push(line.to_owned());
        }
    }
    found
}

/// Whatever is in the repository and is no page, for names to be looked up.
fn sources() -> String {
    let mut all = String::new();
    for end in [
        ".rs",
        ".toml",
        ".sql",
        ".yaml",
        ".yml",
        ".json",
        ".js",
        ".html",
        ".css",
        ".py",
        ".lua",
        ".template",
        ".sh",
        ".in",
        "Dockerfile",
        ".envsh",
    ] {
        for file in files("", end) {
            all.push_str(&read(file));
        }
    }
    for folder in ["bench", "docker", "k8s", "fuzz", "web"] {
        for file in files(folder, "") {
            if file.extension().is_none() {
                all.push_str(&read(file));
            }
        }
    }
    for script in ["test", "sqlx-preparar", ".ci/run", ".gitattributes", ".editorconfig"] {
        if root().join(script).exists() {
            all.push_str(&read(script));
        }
    }
    all
}

/// Every name in a text: runs of letters, digits, `_` and `-`.
fn names(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-')
        .flat_map(|name| [name, name.trim_matches('-')])
        .collect()
}

/// The options that clap makes of fields: `--drain-seconds` of `drain_seconds`.
fn is_option(option: &str, all: &BTreeSet<&str>) -> bool {
    all.contains(option) || all.contains(&*option.replace('-', "_"))
}

fn is_name(span: &str, separator: char, letter: fn(&char) -> bool) -> bool {
    let parts: Vec<_> = span.split(separator).collect();
    let legal = |part: &&str| !part.is_empty() && part.chars().all(|c| letter(&c) || c.is_ascii_digit());
    parts.len() > 1 && parts.iter().all(legal) && span.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn is_camel(span: &str) -> bool {
    let humps = span.chars().filter(char::is_ascii_uppercase).count();
    humps > 1
        && span.starts_with(|c: char| c.is_ascii_uppercase())
        && span.contains(|c: char| c.is_ascii_lowercase())
        && span.chars().all(|c| c.is_ascii_alphanumeric())
}

#[test]
fn what_a_page_names_exists() {
    let text = sources();
    let all = names(&text);
    let mut wrong = Vec::new();
    for page in pages() {
        let content = read(&page);
        let looked = spans(&content);
        assert!(!looked.is_empty() || content.len() < 2000, "{}: no inline code was found", page.display());
        for (line, span) in looked {
            let mut miss = |what: &str| wrong.push(format!("{}:{line}: {what} `{span}`", page.display()));
            if OF_OTHERS.contains(&&*span) {
                continue;
            }
            if let Some(option) = span.strip_prefix("--") {
                let name = option.split([' ', '=']).next().unwrap_or_default();
                if !is_option(name, &all) && !OF_OTHERS.contains(&&*format!("--{name}")) {
                    miss("no option");
                }
            } else if is_path(&span) {
                if !exists(&page, &span) {
                    miss("no file");
                }
            } else if let Some((_, item)) = span.split_once("::").filter(|(head, _)| is_crate(head)) {
                let last =
                    item.trim_end_matches(['!', '(', ')', '*', ':']).rsplit("::").next().unwrap_or_default();
                if !last.is_empty() && !all.contains(last) {
                    miss("no module, type or function");
                }
            } else {
                let bare = span.split(['=', '(', '{', ' ']).next().unwrap_or_default().trim_end_matches('!');
                let named = is_name(bare, '_', char::is_ascii_lowercase)
                    || is_name(bare, '_', char::is_ascii_uppercase)
                    || is_name(bare, '-', char::is_ascii_lowercase)
                    || is_camel(bare);
                if named && !all.contains(bare) && !is_composed(bare, &all) && !OF_OTHERS.contains(&bare) {
                    miss("nothing is called");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "pages name what does not exist:\n{}", wrong.join("\n"));
}

/// Prometheus adds `_total` to a counter; `journal_tokens_lines` is composed of the name of a store; its source says `journal_{name}_{what}`.
fn is_composed(name: &str, all: &BTreeSet<&str>) -> bool {
    let counter = name.strip_suffix("_total").unwrap_or(name);
    let parts: Vec<_> = counter.split('_').collect();
    all.contains(counter)
        || matches!(&parts[..], ["journal", "usuarios" | "tokens" | "transacciones" | "NAME", rest @ ..]
        if !rest.is_empty() && all.contains(&*rest.join("_")))
}

fn is_crate(name: &str) -> bool {
    let layers = ["journal", "http_kit", "pg", "market", "testkit"];
    layers.contains(&name)
        || ["usuarios", "tokens", "transacciones", "mercado", "laboratorio"].contains(&name)
}

/// Whether it can only be a file or a folder of this repository.
fn is_path(span: &str) -> bool {
    let legal = span.chars().all(|c| c.is_ascii_alphanumeric() || "./_-*".contains(c));
    let known = ["rs", "md", "toml", "sql", "template", "js", "py"];
    let named = known.iter().any(|end| span.ends_with(&format!(".{end}")));
    let folder = span
        .split('/')
        .next()
        .is_some_and(|first| !first.is_empty() && first != "." && root().join(first).exists());
    legal && (named || (folder && span.contains('/')) || span.starts_with("./"))
}

/// Looks from the root, from the page's folder, and for a bare name anywhere; `*` stands for any text in a name.
fn exists(page: &Path, span: &str) -> bool {
    let bare = span.trim_start_matches("./").trim_end_matches('/');
    if !bare.contains('/') {
        return root().join(bare).exists() || !files("", &format!("/{bare}")).is_empty() || anywhere(bare);
    }
    let from = [root(), root().join(page.parent().unwrap())];
    from.iter().any(|dir| matches(dir, &bare.split('/').collect::<Vec<_>>())) || anywhere(bare)
}

fn matches(dir: &Path, names: &[&str]) -> bool {
    match names {
        [] => true,
        [pattern, rest @ ..] if pattern.contains('*') => {
            let (start, end) = pattern.split_once('*').unwrap_or_default();
            let entries = dir.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
            let fits = |path: &PathBuf| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                name.starts_with(start) && name.ends_with(end)
            };
            entries.filter(fits).any(|path| matches(&path, rest))
        }
        [name, rest @ ..] => dir.join(name).exists() && matches(&dir.join(name), rest),
    }
}

/// Whether some file's path ends so.
fn anywhere(bare: &str) -> bool {
    let end = Path::new(bare);
    files("", "").iter().any(|file| file.ancestors().any(|path| path.ends_with(end)))
}

/// A heading as the anchor that GitHub makes of it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for page in pages() {
        for (line, text) in prose(&read(&page)) {
            for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                if target.contains("://") || target.starts_with("mailto:") {
                    continue;
                }
                let (file, heading) = target.split_once('#').unwrap_or((target, ""));
                let to = if file.is_empty() {
                    root().join(&page)
                } else {
                    root().join(page.parent().unwrap()).join(file)
                };
                let has = |text: String| {
                    text.lines().any(|l| l.starts_with('#') && anchor(l.trim_start_matches('#')) == heading)
                };
                let good = to.exists() && (heading.is_empty() || has(read(&to)));
                if !good {
                    wrong.push(format!("{}:{line}: {target}", page.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn commands_name_packages_tests_and_scripts_that_exist() {
    let manifests: String = files("", "Cargo.toml").iter().map(read).collect();
    let mut wrong = Vec::new();
    for page in pages() {
        let content = read(&page);
        let inline = spans(&content).into_iter().map(|(_, span)| span);
        for command in commands(&content).into_iter().chain(inline) {
            let words: Vec<_> = command.split_whitespace().collect();
            if command.contains("cargo ") {
                for pair in words.windows(2) {
                    let good = match pair {
                        ["-p", package] => manifests.contains(&format!("name = \"{package}\"")),
                        ["--test", test] => {
                            anywhere(&format!("tests/{test}")) || anywhere(&format!("tests/{test}.rs"))
                        }
                        ["--example", example] => anywhere(&format!("examples/{example}.rs")),
                        _ => true,
                    };
                    if !good {
                        wrong.push(format!("{}: {command}", page.display()));
                    }
                }
            }
            // a script of ours, as the first word of a command
            if let Some(script) = words.first().filter(|w| {
                w.starts_with("./")
                    || w.starts_with("bench/")
                    || w.starts_with("k8s/check")
                    || w.starts_with("docker/check")
            }) {
                let path = root().join(script.trim_start_matches("./"));
                let runs = path.metadata().is_ok_and(|m| m.is_dir() || m.permissions().mode() & 0o111 != 0);
                if !runs && commands(&content).contains(&command) {
                    wrong.push(format!("{}: {command}: no such script, or it cannot be run", page.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "commands that cannot work:\n{}", wrong.join("\n"));
}

#[test]
fn prose_is_not_wider_than_a_screen() {
    let mut wrong = Vec::new();
    for page in pages() {
        for (at, line) in read(&page).lines().enumerate() {
            let long = line.chars().count() > 130 && !line.starts_with('|') && !line.contains("://");
            if long {
                wrong.push(format!("{}:{}", page.display(), at + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "lines over 130 characters: {}", wrong.join(", "));
}

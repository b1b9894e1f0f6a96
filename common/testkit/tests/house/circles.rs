//! No crate has a circle among its own modules.
//!
//! A module and what is below it are one room to those beside it: `store` and `store::files` may use each other. A circle is one
//! among rooms with the same parent, such as `store -> error -> audit -> store`.

use crate::tree::{LAYERS, SERVICES, files, read};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Module = Vec<String>;

/// The module that a file of `src` holds.
fn module(file: &Path, src: &str) -> Module {
    let path = file.strip_prefix(src).unwrap().with_extension("");
    let mut names: Module = path.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        names.pop();
    }
    names
}

/// A file's code without comments, and without the tests at its end.
fn code(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths that a file's code names from `crate` or `super`, resolved as far as they are modules.
fn targets(code: &str, here: &Module, all: &BTreeSet<Module>) -> Vec<Module> {
    let mut found = Vec::new();
    for (start, head) in ["crate::", "super::"].iter().flat_map(|head| code.match_indices(head)) {
        let whole = code[..start]
            .chars()
            .next_back()
            .is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '$');
        if !whole {
            continue;
        }
        let mut at: Module =
            if head == "crate::" { Vec::new() } else { here[..here.len().saturating_sub(1)].to_vec() };
        let mut rest = &code[start + head.len()..];
        while let Some(more) = rest.strip_prefix("super::") {
            at.pop();
            rest = more;
        }
        for tail in tails(rest) {
            let mut module = at.clone();
            for name in tail.split("::") {
                module.push(name.to_owned());
                if !all.contains(&module) {
                    module.pop();
                    break;
                }
            }
            found.push(module);
        }
    }
    found
}

/// `a::{b, c::d}` is `a::b` and `a::c::d`; anything else is one path.
fn tails(rest: &str) -> Vec<String> {
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(rest.len());
    let (path, after) = rest.split_at(end);
    let Some(list) = after.strip_prefix('{').filter(|_| path.is_empty() || path.ends_with("::")) else {
        return vec![path.trim_end_matches(':').to_owned()];
    };
    let (mut depth, mut starts, mut items) = (1, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            items.push(list[starts..at].trim());
            starts = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    let inner = items.into_iter().flat_map(tails);
    inner.map(|tail| format!("{path}{tail}")).collect()
}

/// Who uses whom among the rooms of one parent.
fn rooms(src: &str) -> BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> {
    let sources =
        files(src, ".rs").into_iter().filter(|file| !file.strip_prefix(src).unwrap().starts_with("tests"));
    let sources: Vec<_> = sources.map(|file| (module(&file, src), code(&read(&file)))).collect();
    let all: BTreeSet<Module> = sources.iter().map(|(module, _)| module.clone()).collect();
    let mut rooms = BTreeMap::<Module, BTreeMap<String, BTreeSet<String>>>::new();
    for (here, code) in &sources {
        for there in targets(code, here, &all) {
            let shared = here.iter().zip(&there).take_while(|(a, b)| a == b).count();
            if let (Some(from), Some(to)) = (here.get(shared), there.get(shared)) {
                let uses = rooms.entry(here[..shared].to_vec()).or_default().entry(from.clone()).or_default();
                uses.insert(to.clone());
            }
        }
    }
    rooms
}

/// A circle, if there is one: the names along it.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(
        at: &str,
        uses: &BTreeMap<String, BTreeSet<String>>,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> bool {
        if let Some(start) = path.iter().position(|name| name == at) {
            path.drain(..start);
            path.push(at.to_owned());
            return true;
        }
        if !done.insert(at.to_owned()) {
            return false;
        }
        path.push(at.to_owned());
        let found = uses.get(at).into_iter().flatten().any(|next| walk(next, uses, path, done));
        if !found {
            path.pop();
        }
        found
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|name| {
        let mut path = Vec::new();
        walk(name, uses, &mut path, &mut done).then_some(path)
    })
}

#[test]
fn no_crate_has_a_circle_among_its_modules() {
    let (layers, mut circles) = (LAYERS.map(|(folder, _)| folder), Vec::new());
    for folder in layers.into_iter().chain(SERVICES).chain(["mercado", "laboratorio"]) {
        let found = rooms(&format!("{folder}/src"));
        assert!(!found.is_empty(), "{folder}: no use of one module by another was found");
        for (parent, uses) in found {
            let circle = circle(&uses);
            assert_eq!(
                circle,
                None,
                "a circle in {folder}, among the modules of crate::{}",
                parent.join("::")
            );
        }
    }
}

#[test]
fn a_circle_is_found() {
    let uses = |pairs: &[(&str, &str)]| {
        let mut uses = BTreeMap::<String, BTreeSet<String>>::new();
        for (from, to) in pairs {
            uses.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        circle(&uses)
    };
    assert_eq!(uses(&[("store", "error"), ("error", "domain"), ("store", "domain")]), None);
    let found =
        uses(&[("app", "store"), ("store", "error"), ("error", "audit"), ("audit", "store")]).unwrap();
    assert_eq!(found.first(), found.last());
    assert_eq!(found.len(), 4);
}

#[test]
fn paths_are_read_as_the_compiler_reads_them() {
    assert_eq!(tails("a::b;"), ["a::b"]);
    assert_eq!(tails("a::{b, c::{d, e}};"), ["a::b", "a::c::d", "a::c::e"]);
    let all: BTreeSet<Module> =
        [vec![], vec!["a".into()], vec!["a".into(), "b".into()], vec!["c".into()]].into_iter().collect();
    let here = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(targets("use super::super::c::X;", &here, &all), [vec!["c".to_owned()]]);
    assert_eq!(targets("use crate::a::b::f;", &vec!["c".to_owned()], &all), [here]);
}

//! A lower crate knows nothing of a higher one, and the three lowest say no word of the market.

use crate::tree::{LAYERS, SERVICES, files, read};

/// The names in one table of a manifest.
fn table(manifest: &str, name: &str) -> Vec<String> {
    let head = format!("\n[{name}]\n");
    let Some(rest) = manifest.split(&head).nth(1) else { return Vec::new() };
    let lines = rest.split("\n[").next().unwrap_or_default().lines();
    let names = lines.filter_map(|line| line.split_once(['.', ' ', '=']));
    names.map(|(name, _)| name.to_owned()).filter(|name| !name.is_empty() && !name.starts_with('#')).collect()
}

fn dependencies(folder: &str) -> Vec<String> {
    table(&read(format!("{folder}/Cargo.toml")), "dependencies")
}

#[test]
fn no_crate_depends_on_one_above_it() {
    let above_all = ["usuarios", "tokens", "transacciones", "mercado", "laboratorio"];
    for (at, (folder, _)) in LAYERS.iter().enumerate() {
        let higher = LAYERS[at + 1..].iter().map(|(_, package)| *package).chain(above_all);
        let known = dependencies(folder);
        assert!(!known.is_empty(), "{folder}/Cargo.toml was not read");
        for higher in higher {
            assert!(
                !known.iter().any(|name| name == higher),
                "{folder} depends on {higher}, which is above it"
            );
        }
    }
    for service in SERVICES {
        let known = dependencies(service);
        for other in above_all.into_iter().filter(|other| *other != service) {
            assert!(!known.iter().any(|name| name == other), "{service} depends on {other}");
        }
        assert!(!known.iter().any(|name| name == "testkit"), "{service} needs what is for tests");
    }
    // it judges the others, so it must not share their mistakes
    let known = dependencies("laboratorio");
    let ours = LAYERS.map(|(_, package)| package).into_iter().chain(SERVICES).chain(["mercado"]);
    for name in ours {
        assert!(!known.iter().any(|known| known == name), "laboratorio depends on {name}");
    }
}

/// Each word of a text, in lower case: `UsuarioId` and `usuario_id` are `usuario` and `id`.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in text.chars() {
        if !c.is_alphabetic() || (c.is_uppercase() && before.is_lowercase()) {
            words.push(String::new());
        }
        if c.is_alphabetic()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `token` alone is also a technical word (a bearer token), and `cargo` the name of a tool.
const OF_THE_MARKET: [&str; 15] = [
    "usuario",
    "saldo",
    "precio",
    "transaccion",
    "transaccione",
    "compra",
    "movimiento",
    "abono",
    "reserva",
    "venta",
    "clave",
    "intento",
    "monto",
    "mercado",
    "migrar",
];

fn is_of_the_market(word: &str) -> bool {
    matches!(word, "tokens" | "cargos") || OF_THE_MARKET.contains(&word.strip_suffix('s').unwrap_or(word))
}

#[test]
fn the_lowest_layers_say_no_word_of_the_market() {
    for (folder, _) in &LAYERS[..3] {
        for end in [".rs", ".md", ".toml"] {
            for file in files(folder, end) {
                for (line, text) in read(&file).lines().enumerate() {
                    let said = words(text).into_iter().find(|word| is_of_the_market(word));
                    assert_eq!(said, None, "{}:{}: {text}", file.display(), line + 1);
                }
            }
        }
    }
}

#[test]
fn a_word_is_found_in_any_spelling() {
    for text in ["UsuarioId", "usuario_id", "the usuarios", "TokensTable", "`mercado migrar`", "clave#1"] {
        assert!(words(text).iter().any(|word| is_of_the_market(word)), "{text}");
    }
    for text in ["bearer token", "CancellationToken", "cargo test", "Claveless", "reserved"] {
        assert!(!words(text).iter().any(|word| is_of_the_market(word)), "{text}");
    }
}

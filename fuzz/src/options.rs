//! Options of the command line, and the values that travel as text.

use http_kit::config::{self, InternalToken, ServiceUrl};
use http_kit::exit::EX_USAGE;
use market::domain::{Clave, Intento};
use market::store::StoreUrl;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use tokens::store::{Cursor, SortBy};

/// Arguments, one a line. Each is read as every kind of value: what is accepted is written as it was read. As a command line
/// they are taken, or refused in words that do not give the secret away.
pub fn options(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|b| *b == b'\n').take(40).collect();
    for line in &lines {
        if let Ok(text) = std::str::from_utf8(line) {
            value(text);
        }
    }
    let args = lines.iter().map(|line| OsString::from_vec(line.to_vec()));
    let args: Vec<_> = [OsString::from("x")].into_iter().chain(args).collect();
    let secret = lines.iter().position(|line| *line == b"--internal-token").and_then(|at| lines.get(at + 1));
    // what begins with a dash is an option of its own, and what comes twice is somebody else's, too
    let secret = secret.and_then(|s| std::str::from_utf8(s).ok()).filter(|s| {
        let times = lines.iter().filter(|line| super::files::find(line, s.as_bytes()).is_some()).count();
        s.len() >= 8 && s.is_ascii() && !s.starts_with('-') && times == 1
    });
    let refused = [
        config::parse::<usuarios::config::Config>(args.clone()).err(),
        config::parse::<tokens::config::Config>(args.clone()).err(),
        config::parse::<transacciones::config::Config>(args.clone()).err(),
        config::parse::<mercado::config::Config>(args).err(),
    ];
    for error in refused.iter().flatten() {
        assert!(error.exit_code == EX_USAGE || error.exit_code == 0, "{error}");
        assert!(!error.message.trim().is_empty());
    }
    if let Some(secret) = secret {
        let told = refused[..3].iter().flatten().any(|error| error.message.contains(secret));
        assert!(
            !told || "--internal-token (INTERNAL_TOKEN)".contains(secret),
            "the secret is in {refused:?}"
        );
    }
}

fn value(text: &str) {
    if let Ok(StoreUrl::Json(dir)) = text.parse() {
        assert!(!dir.as_os_str().is_empty());
        assert_eq!(StoreUrl::Json(dir).to_string(), text);
    }
    if let Ok(url) = text.parse::<ServiceUrl>() {
        let url = url.url();
        assert_eq!(
            (url.scheme(), url.path(), url.query(), url.username(), url.password()),
            ("http", "/", None, "", None)
        );
        assert!(url.has_host() && url.host_str() != Some(""));
        assert_eq!(url.as_str().parse::<ServiceUrl>().unwrap().url(), url);
    }
    if let Ok(token) = text.parse::<InternalToken>() {
        assert_eq!(token.as_str(), text);
        assert!((16..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()));
        assert!(!format!("{token:?}").contains(text), "a secret in a log");
    }
    if let Ok(clave) = text.parse::<Clave>() {
        assert_eq!(clave.as_str(), text);
        assert!(text.bytes().all(|b| b.is_ascii_graphic()) && (1..=255).contains(&text.len()));
    }
    if let Ok(intento) = text.parse::<Intento>() {
        assert_eq!(intento.to_string(), text, "a second spelling of an attempt");
        assert!(intento.numero >= 1);
        assert_eq!(serde_json::to_value(&intento).unwrap(), text);
    }
    for sort_by in [SortBy::Id, SortBy::Precio, SortBy::Name] {
        match Cursor::parse(sort_by, text) {
            Some(Cursor::Id(id)) => assert!(sort_by == SortBy::Id && text.parse() == Ok(id.get())),
            Some(Cursor::Precio(precio, id)) => {
                let (head, last) = text.split_once('.').unwrap();
                assert_eq!((head.parse(), last.parse()), (Ok(precio.get()), Ok(id.get())));
            }
            Some(Cursor::Name(place, id)) => {
                let (head, last) = text.rsplit_once('.').unwrap();
                assert_eq!((head, last.parse()), (place.nombre(), Ok(id.get())));
            }
            None => {}
        }
    }
}

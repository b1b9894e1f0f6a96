//! Pictures from files: those of one directory, and nothing outside of it; and those of the sample market, which the
//! binary holds.

use actix_web::http::header::HeaderValue;
use http_kit::exit::{EX_USAGE, StartError};
use http_kit::file::FileReply;
use std::path::{Component, Path, PathBuf};

/// The largest file that is sent: what a page with a hundred of them can bear.
const MAX_BYTES: u64 = 8 << 20;

macro_rules! sample {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../imagenes/", $name, ".svg")))),*]
    };
}

/// The sample market's pictures, by a file's name without its extension: the seeds say `gato.jpg`, for ever.
const SAMPLE: &[(&str, &str)] = sample![
    "ajolote", "ballena", "bosque", "cactus", "ciudad", "colibri", "cometa", "faro", "gato", "jaguar",
    "luna", "medusa", "robot", "tren", "volcan", "zorro",
];

/// The sample market's picture of this name, where there is one.
pub fn sample(nombre: &str) -> Option<&'static str> {
    media_type(nombre)?;
    let (stem, _) = nombre.rsplit_once('.')?;
    let (_, svg) = SAMPLE.iter().find(|(name, _)| *name == stem)?;
    Some(svg)
}

/// The directory with the tokens' pictures, where there is one.
#[derive(Clone, Debug, Default)]
pub struct Pictures {
    /// Without symbolic links, so that a file's real place can be held against it.
    dir: Option<PathBuf>,
}

/// A picture's file.
#[derive(Debug)]
pub struct Picture {
    /// The file, open.
    pub file: FileReply,
    /// Its media type.
    pub media_type: &'static str,
}

impl Pictures {
    /// Finds the directory.
    ///
    /// # Errors
    /// Exit code 64 where it is none.
    pub fn open(dir: Option<&Path>) -> Result<Self, StartError> {
        let Some(dir) = dir else { return Ok(Self::default()) };
        match dir.canonicalize() {
            Ok(real) if real.is_dir() => Ok(Self { dir: Some(real) }),
            other => {
                let why = other.err().map_or_else(|| "it is not a directory".to_owned(), |e| e.to_string());
                let dir = dir.display();
                Err(StartError::new(EX_USAGE, format!("--imagenes (IMAGENES_DIR): {dir}: {why}")))
            }
        }
    }

    /// Whether there is a directory to look into.
    pub fn is_set(&self) -> bool {
        self.dir.is_some()
    }

    /// The picture of this name, where there is one of a known kind, not too large. Blocks.
    pub fn open_picture(&self, nombre: &str) -> Option<Picture> {
        let media_type = media_type(nombre)?;
        let dir = self.dir.as_ref()?;
        let mut components = Path::new(nombre).components();
        let (Some(Component::Normal(name)), None) = (components.next(), components.next()) else {
            return None;
        };
        let path = dir.join(name);
        // links inside are welcome (a mounted ConfigMap is made of them), links to elsewhere are not
        let real = path.canonicalize().ok().filter(|real| real.starts_with(dir))?;
        let file = match FileReply::open(&real, HeaderValue::from_static(media_type)) {
            Ok(file) => file?,
            Err(e) => {
                log::warn!("{}: {e}; a drawing is sent instead", real.display());
                return None;
            }
        };
        if file.length() > MAX_BYTES {
            log::warn!("{}: it is larger than {MAX_BYTES} bytes; a drawing is sent instead", real.display());
            return None;
        }
        Some(Picture { file, media_type })
    }
}

/// The media type that a name's extension stands for, of those that browsers show.
fn media_type(nombre: &str) -> Option<&'static str> {
    let (_, extension) = nombre.rsplit_once('.')?;
    match extension.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => Some("image/jpeg"),
        "png" => Some("image/png"),
        "svg" => Some("image/svg+xml"),
        "webp" => Some("image/webp"),
        "gif" => Some("image/gif"),
        "avif" => Some("image/avif"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_pictures_inside_the_directory_are_read() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("imagenes");
        std::fs::create_dir_all(dir.join("sub")).unwrap();
        for file in
            ["secreto.png", "imagenes/a.png", "imagenes/b.txt", "imagenes/sub/c.png", "imagenes/D.JPEG"]
        {
            std::fs::write(root.path().join(file), file).unwrap();
        }
        std::fs::create_dir(dir.join("dir.png")).unwrap();
        symlink("a.png", dir.join("inside.png")).unwrap();
        symlink("../secreto.png", dir.join("outside.png")).unwrap();
        symlink("nowhere.png", dir.join("dangling.png")).unwrap();
        let pictures = Pictures::open(Some(&dir)).unwrap();
        let read = |nombre| {
            let Picture { file, media_type } = pictures.open_picture(nombre)?;
            let bytes = file.read().unwrap().body().to_vec();
            Some((String::from_utf8(bytes).unwrap(), media_type))
        };
        assert_eq!(read("a.png"), Some(("imagenes/a.png".to_owned(), "image/png")));
        assert_eq!(read("inside.png"), Some(("imagenes/a.png".to_owned(), "image/png")));
        assert_eq!(read("D.JPEG"), Some(("imagenes/D.JPEG".to_owned(), "image/jpeg")));
        for none in [
            "b.txt",
            "dir.png",
            "outside.png",
            "dangling.png",
            "../secreto.png",
            "sub/c.png",
            "..",
            ".",
            ".png",
            "/etc/hostname",
            "no.png",
            "",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
        assert!(Pictures::default().open_picture("a.png").is_none());
    }

    #[test]
    fn each_token_of_the_sample_market_has_a_picture_of_its_own() {
        let seeds: Vec<serde_json::Value> = serde_json::from_str(include_str!("../tokens.json")).unwrap();
        let names: Vec<_> = seeds.iter().map(|t| t["imagen"].as_str().unwrap()).collect();
        for name in &names {
            let picture = sample(name).unwrap_or_else(|| panic!("{name}"));
            assert!(picture.starts_with("<svg ") && picture.len() < 5000, "{name}");
        }
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), SAMPLE.len());
        for none in ["gato", "gato.txt", "perro.svg", "", "GATO.svg", "../gato.svg"] {
            assert!(sample(none).is_none(), "{none}");
        }
    }

    #[test]
    fn a_picture_that_is_too_large_is_not_sent() {
        let dir = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(dir.path().join("big.png")).unwrap();
        file.set_len(MAX_BYTES).unwrap();
        let pictures = Pictures::open(Some(dir.path())).unwrap();
        assert!(pictures.open_picture("big.png").is_some());
        file.set_len(MAX_BYTES + 1).unwrap();
        assert!(pictures.open_picture("big.png").is_none());
    }

    #[test]
    fn a_directory_that_is_none_is_refused_by_name() {
        let error = Pictures::open(Some(Path::new("/no/such/place"))).unwrap_err();
        assert_eq!(error.exit_code, EX_USAGE);
        assert!(error.message.contains("IMAGENES_DIR"), "{error}");
    }
}

//! Who may read a store's files. A file that is made can be read and written by its owner only, in a directory that nobody else
//! may enter; where a group shares the directory (pods with an `fsGroup`), by that group as well. A file or directory that is
//! there already is never opened further than it is.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

const OWNER: u32 = 0o600;
const GROUP: u32 = 0o660;
/// On a directory: what is made in it belongs to its group.
const SETGID: u32 = 0o2000;
/// On a directory like `/tmp`: each removes only files of his own.
const STICKY: u32 = 0o1000;
/// How the names of stores' files end, but for edits that were set aside.
const ENDINGS: [&str; 6] = [".json", ".journal", ".lock", ".turn", ".compact", ".tmp"];
/// Of a mode: what is not the owner's own.
const OTHERS: u32 = 0o077;
/// Of a mode: what is neither the owner's nor the group's.
const EVERYBODY: u32 = 0o007;

/// Whether a directory is a group's. One that everybody may write (`/tmp`) is nobody's.
fn is_shared(dir: u32) -> bool {
    dir & SETGID != 0 || dir & 0o022 == 0o020
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn mode(path: &Path) -> io::Result<u32> {
    fs::metadata(path).map(|meta| meta.mode() & 0o7777)
}

/// What a file at this path may be at most.
fn most(path: &Path) -> io::Result<u32> {
    Ok(if is_shared(mode(directory(path))?) { GROUP } else { OWNER })
}

/// Opens a file to read and write it. It is made where it is missing.
pub(super) fn open_or_create(path: &Path, truncate: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    loop {
        match options.clone().truncate(truncate).open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            done => return done,
        }
        let most = most(path)?;
        match options.clone().create_new(true).mode(most).open(path) {
            // another process was first
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
            Ok(file) => {
                // the umask of a container takes away what the group is to have
                if most == GROUP {
                    file.set_permissions(Permissions::from_mode(GROUP))?;
                }
                return Ok(file);
            }
        }
    }
}

/// Makes a directory and those above it that are missing.
pub(super) fn create_dir_all(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = directory(dir);
    if above != dir {
        create_dir_all(above)?;
    }
    let shared = is_shared(mode(above)?);
    match DirBuilder::new().mode(if shared { 0o770 } else { 0o700 }).create(dir) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Ok(()) if shared => {
            let inherited = mode(dir)? & SETGID;
            fs::set_permissions(dir, Permissions::from_mode(inherited | 0o770))
        }
        done => done,
    }
}

/// Takes away from a file what its directory does not give. That there is none is fine.
pub(super) fn tighten(path: &Path) -> io::Result<()> {
    let now = match mode(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        now => now?,
    };
    narrow(path, now, most(path)?)
}

/// Takes away from the edits that were set aside in a directory what it does not give, and then from the directory itself what it
/// gives to everybody. The directory is left as it is where another user owns it than the files, as a pod's volume; and, with a
/// warning, where it is not for stores alone.
pub(super) fn tighten_dir(dir: &Path, edited: &str) -> io::Result<()> {
    let edited = format!(".json.{edited}-");
    let meta = fs::metadata(dir)?;
    let (mut is_ours, mut is_anothers) = (meta.mode() & STICKY == 0, false);
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // a compaction may have renamed it meanwhile
        let Ok(file) = entry.metadata() else { continue };
        let is_edit = file.is_file() && name.contains(&edited);
        if is_edit {
            tighten(&entry.path())?;
        }
        let is_known = is_edit || ENDINGS.iter().any(|ending| name.ends_with(ending));
        is_ours &= is_known && file.is_file();
        is_anothers |= is_known && file.uid() != meta.uid();
    }
    let now = meta.mode() & 0o7777;
    if is_anothers {
        return Ok(());
    }
    if now & EVERYBODY != 0 && !is_ours {
        log::warn!(
            "{}: everybody may look into this directory (mode {now:o}), which stays so: it is not the store's alone",
            dir.display()
        );
        return Ok(());
    }
    let most = if is_shared(now) || now & EVERYBODY == 0 { OTHERS & !EVERYBODY } else { 0 };
    narrow(dir, now, most)
}

/// Puts a file in the place of another, and makes it no more open than that one was.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    if let Ok(replaced) = mode(to) {
        narrow(from, mode(from)?, replaced)?;
    }
    fs::rename(from, to)
}

fn narrow(path: &Path, now: u32, most: u32) -> io::Result<()> {
    let narrowed = now & (most | !OTHERS);
    if narrowed == now { Ok(()) } else { fs::set_permissions(path, Permissions::from_mode(narrowed)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new directory of this mode.
    fn made(mode: u32) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
        dir
    }

    #[test]
    fn a_file_is_its_owners_and_a_groups_only_where_the_directory_is() {
        for (of_dir, of_file) in [
            (0o700, 0o600),
            (0o755, 0o600),
            (0o1777, 0o600),
            (0o770, 0o660),
            (0o2770, 0o660),
            (0o2755, 0o660),
        ] {
            let dir = made(of_dir);
            let file = dir.path().join("file");
            drop(open_or_create(&file, false).unwrap());
            assert_eq!(mode(&file).unwrap(), of_file, "in {of_dir:o}");
        }
    }

    #[test]
    fn a_directory_is_its_owners_and_a_groups_only_where_that_above_is() {
        for (above, expected) in [(0o700, 0o700), (0o755, 0o700), (0o770, 0o770), (0o2770, 0o2770)] {
            let dir = made(above);
            let deep = dir.path().join("a/b");
            create_dir_all(&deep).unwrap();
            for made in [deep.parent().unwrap(), &deep] {
                assert_eq!(mode(made).unwrap(), expected, "{} under {above:o}", made.display());
            }
            assert_eq!(mode(dir.path()).unwrap(), above, "what was there stays as it is");
        }
    }

    #[test]
    fn a_directory_that_was_there_is_closed_to_everybody_where_only_stores_use_it() {
        for (before, other, after) in [
            (0o755, None, 0o700),
            (0o777, None, 0o700),
            (0o775, None, 0o770),
            (0o2755, None, 0o2750),
            (0o750, None, 0o750),
            (0o1777, None, 0o1777),
            (0o755, Some("index.html"), 0o755),
        ] {
            let dir = made(before);
            for name in ["a.json", "a.journal", "a.json.edited-1"].into_iter().chain(other) {
                fs::write(dir.path().join(name), "").unwrap();
                let open = Permissions::from_mode(0o644);
                fs::set_permissions(dir.path().join(name), open).unwrap();
            }
            tighten_dir(dir.path(), "edited").unwrap();
            assert_eq!(mode(dir.path()).unwrap(), after, "{before:o} with {other:?}");
            let kept = if is_shared(before) { 0o640 } else { 0o600 };
            assert_eq!(mode(&dir.path().join("a.json.edited-1")).unwrap(), kept, "in {before:o}");
        }
    }

    #[test]
    fn a_file_that_was_there_is_tightened_and_never_loosened() {
        for (of_dir, before, after) in
            [(0o755, 0o644, 0o600), (0o755, 0o666, 0o600), (0o2770, 0o664, 0o660), (0o2770, 0o600, 0o600)]
        {
            let dir = made(of_dir);
            let (file, next) = (dir.path().join("file"), dir.path().join("next"));
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, Permissions::from_mode(before)).unwrap();
            tighten(&file).unwrap();
            assert_eq!(mode(&file).unwrap(), after, "{before:o} in {of_dir:o}");
            drop(open_or_create(&next, true).unwrap());
            rename(&next, &file).unwrap();
            assert_eq!(mode(&file).unwrap(), after, "{before:o} in {of_dir:o}, replaced");
        }
    }
}

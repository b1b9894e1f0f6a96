//! Other accounts of the machine that look at the store's files.

use super::Arena;
use crate::attack::seen::Seen;
use crate::t;
use std::os::unix::fs::MetadataExt;

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    let mut seen = Seen::default();
    tokio::time::sleep(arena.scale.time).await;
    let data = arena.dir.join("datos");
    let said = |e: std::io::Error| format!("{}: {e}", data.display());
    let mut files = 0;
    for entry in std::fs::read_dir(&data).map_err(said)? {
        let entry = entry.map_err(said)?;
        // a compaction may have removed it meanwhile
        let Ok(metadata) = entry.metadata() else { continue };
        files += 1;
        seen.rule(metadata.mode() & 0o007 == 0, || {
            format!("{}: {:o}", entry.path().display(), metadata.mode() & 0o777)
        });
    }
    let mode = data.metadata().map_err(said)?.mode();
    seen.rule(mode & 0o007 == 0, || format!("{}: {:o}", data.display(), mode & 0o777));
    seen.rule(files > 0, || t!("no hay archivos", "there are no files"));
    seen.what = t!("{} archivos cerrados a los demás", "{} files closed to others", files);
    Ok(seen)
}

//! A small disk of its own for the data, which can be filled.

use crate::child;
use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

/// A mounted tmpfs.
pub struct Disk(PathBuf);

impl Disk {
    /// On an empty directory, of so many MiB; it is memory as far as it is used.
    ///
    /// # Errors
    /// Where this user may not mount.
    pub async fn mount(dir: &Path, mib: u64) -> Result<Self, String> {
        let size = format!("size={mib}m,mode=0700");
        let done =
            child::command("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir).output().await;
        match done {
            Ok(output) if output.status.success() => Ok(Self(dir.to_owned())),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(e) => Err(format!("mount: {e}")),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("lastre")
    }

    /// Not a byte is left.
    ///
    /// # Errors
    /// Any but that.
    pub async fn fill(&self) -> Result<(), String> {
        let path = self.ballast();
        let fill = move || -> std::io::Result<()> {
            let mut file = std::fs::File::options().create(true).append(true).open(path)?;
            let block = vec![0; 1 << 20];
            loop {
                file.write_all(&block)?;
            }
        };
        match tokio::task::spawn_blocking(fill).await {
            Ok(Err(e)) if e.kind() == ErrorKind::StorageFull => Ok(()),
            Ok(Err(e)) => Err(format!("ballast: {e}")),
            Ok(Ok(())) => Ok(()),
            Err(e) => Err(format!("ballast: {e}")),
        }
    }

    /// There is space again.
    ///
    /// # Errors
    /// Where the ballast cannot be removed.
    pub async fn free(&self) -> Result<(), String> {
        match tokio::fs::remove_file(self.ballast()).await {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(format!("ballast: {e}")),
            _ => Ok(()),
        }
    }

    /// Copies what is on it to the directory below, and gives it back.
    pub async fn unmount(self) {
        let kept = self.0.with_extension("copia");
        let _ = child::command("cp").arg("-a").arg(&self.0).arg(&kept).output().await;
        drop(self);
        // `Drop` unmounts
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // lazily: a process that is just being killed may have files open
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).process_group(0).output();
    }
}

//! The disk and its open files as a process uses them.

use super::{
    ENOENT, Inner, Lie, Op, Process, Strike, errno,
    platter::{Event, Ino, Loss},
};
use crate::disk::{FileSystem, How, Inode, OpenFile, Volume};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, MutexGuard},
};

/// Of the page cache.
const PAGE: usize = 4096;

struct MemFile {
    process: Process,
    id: u64,
    ino: Ino,
    path: PathBuf,
}

impl Process {
    pub(in super::super) fn volume(&self) -> Volume {
        Volume::of(Arc::new(self.clone()))
    }

    /// Before each call: the hook, which may use the disk as another process does, then what the test planned.
    fn call(&self, path: &Path, op: Op) -> (MutexGuard<'_, Inner>, Result<(), Strike>) {
        let hook = if self.quiet { None } else { self.machine.inner().hook.take() };
        if let Some(mut hook) = hook {
            hook(op);
            self.machine.inner().hook.get_or_insert(hook);
        }
        let mut inner = self.machine.inner();
        if !self.quiet
            && ((op == Op::Unlock && inner.lies(Lie::MarkBeforeSync))
                || (op == Op::Lock && inner.lies(Lie::AckBeforeSync)))
        {
            inner.late_syncs();
        }
        let result = inner.verdict(self, path, op);
        (inner, result)
    }

    fn simple(&self, path: &Path, op: Op) -> io::Result<MutexGuard<'_, Inner>> {
        let (inner, result) = self.call(path, op);
        result.map_err(|strike| strike.error)?;
        Ok(inner)
    }

    /// An editor's or a copy's write: in the page cache, synced by nobody.
    pub(in super::super) fn place(&self, path: &Path, bytes: &[u8]) {
        let file = self.open(path, How::Truncate).unwrap();
        file.write_all_at(bytes, 0).unwrap();
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.id)
    }
}

impl fmt::Debug for MemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", self.path.display(), self.process)
    }
}

impl FileSystem for Process {
    fn open(&self, path: &Path, how: How) -> io::Result<Arc<dyn OpenFile>> {
        let mut inner = self.simple(path, Op::Open)?;
        let ino = match inner.names.get(path).copied() {
            Some(ino) => {
                if how == How::Truncate && !inner.cache[&ino].is_empty() {
                    inner.cache.insert(ino, Vec::new());
                    inner.happen(Event::SetLen(ino, 0));
                }
                ino
            }
            None if matches!(how, How::Read | How::Write) => return Err(errno(ENOENT)),
            None => {
                if path.parent().is_none_or(|dir| !inner.dirs.contains(dir)) {
                    return Err(errno(ENOENT));
                }
                inner.last += 1;
                let ino = inner.last;
                inner.names.insert(path.to_owned(), ino);
                inner.cache.insert(ino, Vec::new());
                inner.happen(Event::Create(path.to_owned(), ino));
                ino
            }
        };
        inner.last += 1;
        Ok(Arc::new(MemFile { process: self.clone(), id: inner.last, ino, path: path.to_owned() }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let inner = self.simple(path, Op::Read)?;
        let ino = inner.names.get(path).ok_or_else(|| errno(ENOENT))?;
        Ok(inner.cache[ino].clone())
    }

    fn inode(&self, path: &Path) -> io::Result<Inode> {
        let inner = self.simple(path, Op::Stat)?;
        inner.names.get(path).map(|ino| Inode(0, *ino)).ok_or_else(|| errno(ENOENT))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.simple(to, Op::Rename)?;
        let ino = inner.names.remove(from).ok_or_else(|| errno(ENOENT))?;
        inner.names.insert(to.to_owned(), ino);
        inner.happen(Event::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.simple(path, Op::Remove)?;
        inner.names.remove(path).ok_or_else(|| errno(ENOENT))?;
        inner.happen(Event::Remove(path.to_owned()));
        Ok(())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut inner = self.simple(dir, Op::CreateDir)?;
        let mut missing: Vec<_> = dir.ancestors().filter(|d| d.parent().is_some()).collect();
        missing.reverse();
        for dir in missing {
            if inner.dirs.insert(dir.to_owned()) {
                inner.happen(Event::CreateDir(dir.to_owned()));
            }
        }
        Ok(())
    }

    fn tighten(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn tighten_dir(&self, _: &Path, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut inner = self.simple(dir, Op::SyncDir)?;
        if !inner.lies(Lie::NoDirectorySync) {
            inner.happen(Event::SyncDir(dir.to_owned()));
        }
        Ok(())
    }

    fn network(&self, _: &Path) -> io::Result<Option<String>> {
        Ok(None)
    }

    /// Little: each byte of it is torn.
    fn growth(&self) -> usize {
        1 << 10
    }
}

impl MemFile {
    fn named(&self, end: &str) -> bool {
        self.path.to_string_lossy().ends_with(end)
    }
}

impl OpenFile for MemFile {
    fn inode(&self) -> io::Result<Inode> {
        self.process.simple(&self.path, Op::Stat).map(|_| Inode(0, self.ino))
    }

    fn len(&self) -> io::Result<u64> {
        self.process.simple(&self.path, Op::Stat).map(|inner| inner.cache[&self.ino].len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let inner = self.process.simple(&self.path, Op::Read)?;
        let rest = inner.cache[&self.ino].get(usize::try_from(at).unwrap()..).unwrap_or_default();
        let n = rest.len().min(bytes.len());
        bytes[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let at = usize::try_from(at).unwrap();
        let (mut inner, result) = self.process.call(&self.path, Op::Write);
        // A write that fails, or whose process is killed in it, has copied some of its pages: here up to a sector.
        let middle = (at + bytes.len() / 2) / 512 * 512;
        let copied = match &result {
            Ok(()) => bytes.len(),
            Err(strike) if strike.halfway => middle.saturating_sub(at),
            Err(_) => 0,
        };
        let file = inner.cache.get_mut(&self.ino).unwrap();
        let same = file.get(at..at + copied) == Some(&bytes[..copied]);
        if file.len() < at + copied {
            file.resize(at + copied, 0);
        }
        file[at..at + copied].copy_from_slice(&bytes[..copied]);
        if copied > 0 && !(same && inner.lies(Lie::NoRewrite)) {
            inner.happen(Event::Write(self.ino, at, bytes[..copied].to_vec()));
        }
        result.map_err(|strike| strike.error)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).unwrap();
        let mut inner = self.process.simple(&self.path, Op::SetLen)?;
        inner.cache.get_mut(&self.ino).unwrap().resize(len, 0);
        if !inner.lies(Lie::NoCut) {
            inner.happen(Event::SetLen(self.ino, len));
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let (mut inner, result) = self.process.call(&self.path, Op::Sync);
        if let Err(Strike { error, loss, .. }) = result {
            if !inner.dead.contains(&self.process.id) {
                let first = inner.platter.first_write(self.ino);
                inner.happen(Event::SyncFailed(self.ino, loss));
                if let (Loss::FirstPageEvicted, Some(first)) = (loss, first) {
                    let (settled, page) = (inner.platter.settled(self.ino), first / PAGE * PAGE);
                    let end = (page + PAGE).min(settled.len());
                    if let Some(file) = inner.cache.get_mut(&self.ino) {
                        file[page..end].copy_from_slice(&settled[page..end]);
                    }
                }
                if loss == Loss::Evicted {
                    let settled = inner.platter.settled(self.ino);
                    inner.cache.insert(self.ino, settled);
                }
            }
            return Err(error);
        }
        let skipped = (self.named(".json.tmp") && inner.lies(Lie::NoArraySync))
            || (self.named(".journal.tmp") && inner.lies(Lie::NoJournalSync));
        let late =
            self.named(".journal") && (inner.lies(Lie::AckBeforeSync) || inner.lies(Lie::MarkBeforeSync));
        if late {
            inner.late.push(self.ino);
        } else if !skipped {
            inner.happen(Event::Sync(self.ino));
        }
        Ok(())
    }

    fn lock(&self) -> io::Result<()> {
        let mut inner = self.process.simple(&self.path, Op::Lock)?;
        while !inner.lies(Lie::NoLock) && inner.locks.get(&self.ino).is_some_and(|(id, _)| *id != self.id) {
            assert!(inner.threads, "{self:?} waits for a lock that nobody will give back");
            inner = self.process.machine.0.1.wait(inner).unwrap();
        }
        inner.locks.insert(self.ino, (self.id, self.process.id));
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut inner = self.process.simple(&self.path, Op::Lock)?;
        let holder = *inner.locks.entry(self.ino).or_insert((self.id, self.process.id));
        Ok(holder.0 == self.id)
    }

    fn unlock(&self) -> io::Result<()> {
        let mut inner = self.process.simple(&self.path, Op::Unlock)?;
        inner.locks.retain(|_, (id, _)| *id != self.id);
        drop(inner);
        self.process.machine.wake();
        Ok(())
    }

    fn share(&self) -> io::Result<bool> {
        // who takes all of it moves a store, which is not done on this disk
        Ok(true)
    }
}

impl Drop for MemFile {
    fn drop(&mut self) {
        // A panic of the test may have poisoned it.
        if let Ok(mut inner) = self.process.machine.0.0.lock() {
            inner.locks.retain(|_, (id, _)| *id != self.id);
        }
        self.process.machine.wake();
    }
}

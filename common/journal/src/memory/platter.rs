//! What of a disk survives a power failure: the file operations in their order, and every state that they allow.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

pub(in super::super) type Ino = u64;

/// What a process did to the disk.
#[derive(Debug, Clone)]
pub(in super::super) enum Event {
    CreateDir(PathBuf),
    Create(PathBuf, Ino),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncDir(PathBuf),
    Write(Ino, usize, Vec<u8>),
    SetLen(Ino, usize),
    Sync(Ino),
    SyncFailed(Ino, Loss),
    /// A place in the log that somebody else knows the meaning of.
    Mark(usize),
}

/// What a failed sync leaves. In each case the pages count as clean: the next sync does not write them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Loss {
    /// Nothing of it is on disk; the page cache still shows it.
    Dropped,
    /// Nothing of it is on disk, and the page cache has forgotten it, too.
    Evicted,
    /// The same, but the page cache has forgotten only the first page of it.
    FirstPageEvicted,
    /// It is on disk all the same.
    Landed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Node {
    Dir,
    File(Ino),
}

/// A change that a file's next sync makes durable. Until then it may be or not, like each of its sectors.
#[derive(Debug, Clone)]
enum Pending {
    Write(usize, Vec<u8>),
    SetLen(usize),
    /// The length that a write gave the file, whose bytes a failed sync has dropped.
    Grow(usize),
}

#[derive(Debug, Clone)]
enum NameOp {
    Put(PathBuf, Node),
    Move(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl NameOp {
    fn dir(&self) -> Option<&Path> {
        match self {
            Self::Put(path, _) | Self::Move(path, _) | Self::Remove(path) => path.parent(),
        }
    }
}

/// What is left after the power failed: all of it durable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(in super::super) struct Image {
    pub(in super::super) files: BTreeMap<PathBuf, Vec<u8>>,
    pub(in super::super) dirs: BTreeSet<PathBuf>,
}

/// How much of a write that was not synced is found after a crash.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Kept {
    Nothing,
    All,
    Prefix(usize),
    /// Blocks of this size, each as the coin says.
    Blocks(usize),
}

/// Decides what survives a crash.
pub(in super::super) trait Choice {
    fn name(&mut self) -> bool;
    fn length(&mut self) -> bool;
    /// Of write number `nth` from the end of this file's unsynced writes.
    fn write(&mut self, ino: Ino, nth: usize) -> Kept;
    fn coin(&mut self) -> bool;
}

/// The durable contents, and what waits for a sync.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Platter {
    files: BTreeMap<Ino, (Vec<u8>, Vec<Pending>)>,
    names: BTreeMap<PathBuf, Node>,
    pending: Vec<NameOp>,
}

fn put(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    if bytes.len() < at + new.len() {
        bytes.resize(at + new.len(), 0);
    }
    bytes[at..at + new.len()].copy_from_slice(new);
}

impl Pending {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, new) => put(bytes, *at, new),
            Self::SetLen(len) => bytes.resize(*len, 0),
            Self::Grow(len) => bytes.resize(bytes.len().max(*len), 0),
        }
    }
}

fn apply_name(names: &mut BTreeMap<PathBuf, Node>, op: &NameOp, moved: Option<Node>) {
    match op {
        NameOp::Put(path, node) => drop(names.insert(path.clone(), *node)),
        NameOp::Move(from, to) => {
            names.remove(from);
            if let Some(node) = moved {
                names.insert(to.clone(), node);
            }
        }
        NameOp::Remove(path) => drop(names.remove(path)),
    }
}

impl Platter {
    pub(in super::super) fn of(image: &Image, inodes: &BTreeMap<PathBuf, Ino>) -> Self {
        let mut platter = Self::default();
        for dir in &image.dirs {
            platter.names.insert(dir.clone(), Node::Dir);
        }
        for (path, bytes) in &image.files {
            platter.names.insert(path.clone(), Node::File(inodes[path]));
            platter.files.insert(inodes[path], (bytes.clone(), Vec::new()));
        }
        platter
    }

    fn wait(&mut self, ino: Ino, pending: Pending) {
        self.files.entry(ino).or_default().1.push(pending);
    }

    /// What a file would be found with if nothing more were written of it.
    pub(in super::super) fn settled(&self, ino: Ino) -> Vec<u8> {
        let Some((durable, pending)) = self.files.get(&ino) else { return Vec::new() };
        let mut bytes = durable.clone();
        pending.iter().for_each(|p| p.apply(&mut bytes));
        bytes
    }

    /// The file that a name would have if nothing more happened to names.
    pub(in super::super) fn named(&self, path: &Path) -> Option<Ino> {
        match self.names_with(|_| true).get(path) {
            Some(Node::File(ino)) => Some(*ino),
            _ => None,
        }
    }

    /// Where the first unsynced write of a file begins.
    pub(in super::super) fn first_write(&self, ino: Ino) -> Option<usize> {
        self.files.get(&ino)?.1.iter().find_map(|p| match p {
            Pending::Write(at, _) => Some(*at),
            _ => None,
        })
    }

    /// How long the last unsynced write of a file is.
    pub(in super::super) fn last_write(&self, ino: Ino) -> usize {
        match self.files.get(&ino).and_then(|(_, pending)| pending.last()) {
            Some(Pending::Write(_, bytes)) => bytes.len(),
            _ => 0,
        }
    }

    pub(in super::super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Mark(_) => {}
            Event::CreateDir(path) => self.pending.push(NameOp::Put(path.clone(), Node::Dir)),
            Event::Create(path, ino) => {
                self.files.entry(*ino).or_default();
                self.pending.push(NameOp::Put(path.clone(), Node::File(*ino)));
            }
            Event::Rename(from, to) => self.pending.push(NameOp::Move(from.clone(), to.clone())),
            Event::Remove(path) => self.pending.push(NameOp::Remove(path.clone())),
            Event::SyncDir(dir) => {
                let names = self.names_with(|op| op.dir() == Some(dir));
                self.names = names;
                self.pending.retain(|op| op.dir() != Some(dir));
            }
            Event::Write(ino, at, bytes) => self.wait(*ino, Pending::Write(*at, bytes.clone())),
            Event::SetLen(ino, len) => self.wait(*ino, Pending::SetLen(*len)),
            Event::Sync(ino) | Event::SyncFailed(ino, Loss::Landed) => {
                let (durable, pending) = self.files.entry(*ino).or_default();
                pending.drain(..).for_each(|p| p.apply(durable));
            }
            Event::SyncFailed(ino, Loss::Dropped | Loss::Evicted | Loss::FirstPageEvicted) => {
                if let Some((_, pending)) = self.files.get_mut(ino) {
                    for p in pending {
                        if let Pending::Write(at, bytes) = p {
                            *p = Pending::Grow(*at + bytes.len());
                        }
                    }
                }
            }
        }
    }

    /// The names after the pending changes that `keep` picks. A rename carries the file that the name had when it was made,
    /// also where the name itself did not become durable.
    fn names_with(&self, mut keep: impl FnMut(&NameOp) -> bool) -> BTreeMap<PathBuf, Node> {
        let (mut names, mut cached) = (self.names.clone(), self.names.clone());
        for op in &self.pending {
            let moved = match op {
                NameOp::Move(from, _) => cached.get(from).copied(),
                _ => None,
            };
            apply_name(&mut cached, op, moved);
            if keep(op) {
                apply_name(&mut names, op, moved);
            }
        }
        names
    }

    /// The disk after a power failure now.
    pub(in super::super) fn image(&self, choice: &mut dyn Choice) -> Image {
        let names = self.names_with(|_| choice.name());
        let mut image = Image::default();
        for (path, node) in &names {
            let above = path.ancestors().skip(1).all(|dir| dir.parent().is_none() || names.contains_key(dir));
            match node {
                _ if !above => {}
                Node::Dir => drop(image.dirs.insert(path.clone())),
                Node::File(ino) => drop(image.files.insert(path.clone(), self.survivors(*ino, choice))),
            }
        }
        image
    }

    fn survivors(&self, ino: Ino, choice: &mut dyn Choice) -> Vec<u8> {
        let Some((durable, pending)) = self.files.get(&ino) else { return Vec::new() };
        let mut bytes = durable.clone();
        for (n, p) in pending.iter().enumerate() {
            let Pending::Write(at, new) = p else {
                if choice.length() {
                    p.apply(&mut bytes);
                }
                continue;
            };
            match choice.write(ino, pending.len() - 1 - n) {
                Kept::Nothing => {}
                Kept::All => put(&mut bytes, *at, new),
                Kept::Prefix(len) => put(&mut bytes, *at, &new[..len.min(new.len())]),
                Kept::Blocks(size) => {
                    let end = at + new.len();
                    if choice.coin() {
                        bytes.resize(bytes.len().max(end), 0);
                    }
                    let mut from = *at;
                    while from < end {
                        let to = end.min((from / size + 1) * size);
                        if choice.coin() {
                            put(&mut bytes, from, &new[from - at..to - at]);
                        }
                        from = to;
                    }
                }
            }
        }
        bytes
    }
}

/// The simple choices: of the names all or none, of the data all or none.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Plain {
    pub(in super::super) names: bool,
    pub(in super::super) data: bool,
}

impl Choice for Plain {
    fn name(&mut self) -> bool {
        self.names
    }
    fn length(&mut self) -> bool {
        self.data
    }
    fn write(&mut self, _: Ino, _: usize) -> Kept {
        if self.data { Kept::All } else { Kept::Nothing }
    }
    fn coin(&mut self) -> bool {
        self.data
    }
}

/// The last write of one file is torn after so many bytes; whatever came before it survives, of all files.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Torn {
    pub(in super::super) ino: Ino,
    pub(in super::super) bytes: usize,
}

impl Choice for Torn {
    fn name(&mut self) -> bool {
        true
    }
    fn length(&mut self) -> bool {
        true
    }
    fn write(&mut self, ino: Ino, nth: usize) -> Kept {
        if ino == self.ino && nth == 0 { Kept::Prefix(self.bytes) } else { Kept::All }
    }
    fn coin(&mut self) -> bool {
        true
    }
}

/// Anything that a disk may do, by a seed.
#[derive(Debug, Clone)]
pub(in super::super) struct Dice(pub(in super::super) u64);

impl Dice {
    /// SplitMix64.
    pub(in super::super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Choice for Dice {
    fn name(&mut self) -> bool {
        self.coin()
    }
    fn length(&mut self) -> bool {
        self.coin()
    }
    fn write(&mut self, _: Ino, _: usize) -> Kept {
        match self.next() % 8 {
            0 => Kept::Nothing,
            1 => Kept::All,
            2 => Kept::Blocks(4096),
            _ => Kept::Blocks(512),
        }
    }
    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

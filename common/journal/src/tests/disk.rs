//! The disk in memory, for the tests of other crates.

use super::super::{
    Journal, Model, OpenError, Options,
    check::{Report, check_on, dump_on},
    memory::{
        Machine,
        platter::{Image, Plain},
    },
    open,
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// A disk in memory, and the machine that it is in.
pub struct Disk(Machine);

impl Disk {
    /// With these files, all of them durable, and the directories that they are in.
    pub fn with(files: BTreeMap<PathBuf, Vec<u8>>) -> Self {
        let above = |path: &PathBuf| path.ancestors().skip(1).map(PathBuf::from).collect::<Vec<_>>();
        let dirs = files.keys().flat_map(above).filter(|dir| dir.parent().is_some()).collect();
        Self::boot(&Image { files, dirs })
    }

    fn boot(image: &Image) -> Self {
        Self(Machine::boot(image).with_threads())
    }

    /// Every file as a process sees it now.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.0.image().files
    }

    /// What is left after a power failure now: what was synced, and no more.
    #[must_use]
    pub fn after_power_failure(&self) -> Self {
        let (mut platter, log) = self.0.story();
        log.iter().for_each(|event| platter.apply(event));
        Self::boot(&platter.image(&mut Plain { names: false, data: false }))
    }

    /// [`Journal::open`] on this disk.
    ///
    /// # Errors
    /// Those of [`Journal::open`].
    pub fn open<M: Model>(&self, options: Options) -> Result<Journal<M>, OpenError> {
        Journal::open_on(self.0.quiet(1).volume(), options)
    }

    /// What a start shows, and its last line; the process ends without a stop.
    ///
    /// # Errors
    /// Those of [`Journal::open`].
    pub fn start<M: Model>(&self, options: Options) -> Result<(M, u64), OpenError> {
        let store = open::open::<M>(self.0.quiet(1).volume(), options)?;
        let state = store.state.load();
        Ok((state.model.clone(), state.seq))
    }

    /// [`super::super::check::check`] on this disk.
    ///
    /// # Errors
    /// Those of the check.
    pub fn check(&self, dir: &Path, name: &str) -> io::Result<Report> {
        check_on(self.0.quiet(2).volume(), dir, name)
    }

    /// [`super::super::check::dump`] on this disk.
    ///
    /// # Errors
    /// Those of the dump.
    pub fn dump(&self, dir: &Path, name: &str, out: &mut dyn io::Write) -> io::Result<()> {
        dump_on(self.0.quiet(2).volume(), dir, name, out)
    }
}

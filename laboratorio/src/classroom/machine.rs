//! What a class can break of its machine: the disk of the data, and the services' clocks.

use super::order;
use crate::clock;
use crate::disk::Disk;
use crate::local::Local;
use crate::plan::Service;
use crate::t;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Mutex as AsyncMutex;

/// A disk of its own for the data, where this user may mount one. Whoever serves requests keeps the class for ever, so that the
/// one who ends it must give the disk back.
type SharedDisk = Arc<AsyncMutex<Option<Disk>>>;

/// Gives the disk back, however the class ends.
pub(super) struct Borrowed(SharedDisk);

impl Drop for Borrowed {
    fn drop(&mut self) {
        // nobody fills it any more, or the order to do so has ended with this class
        if let Ok(mut disk) = self.0.try_lock() {
            drop(disk.take());
        }
    }
}

/// The disk and the clocks. In a cluster there are neither.
#[derive(Default)]
pub(super) struct Machine {
    disk: SharedDisk,
    fills: bool,
    full: AtomicBool,
    clocks: bool,
    /// By service, the seconds that its clock is off.
    off: Mutex<BTreeMap<&'static str, i64>>,
}

impl Machine {
    /// Mounts a disk for the data where this user may; where there is a library for it, clocks can jump.
    pub(super) async fn new(data: &Path, mib: u64, clocks: bool) -> (Self, Borrowed) {
        let disk = Disk::mount(data, mib).await.ok();
        let fills = disk.is_some();
        let disk: SharedDisk = Arc::new(AsyncMutex::new(disk));
        let borrowed = Borrowed(Arc::clone(&disk));
        (Self { disk, fills, clocks, ..Self::default() }, borrowed)
    }

    /// What can be broken, and what is.
    pub(super) fn state(&self) -> Value {
        json!({
            "disco": self.fills,
            "lleno": self.full.load(Ordering::Relaxed),
            "reloj": self.clocks,
            "fuera": *self.off.lock().unwrap_or_else(PoisonError::into_inner),
        })
    }

    /// Fills the disk, or makes room on it, where it is not so already.
    pub(super) async fn fill(&self, local: &Local, full: bool) -> Result<(), String> {
        let disk = self.disk.lock().await;
        let disk = disk.as_ref().ok_or_else(|| {
            t!(
                "llenar el disco requiere un usuario que pueda montar",
                "filling the disk needs a user who may mount"
            )
        })?;
        if self.full.load(Ordering::Relaxed) == full {
            return Err(match full {
                true => t!("el disco ya está lleno", "the disk is full already"),
                false => t!("nadie llenó el disco", "nobody has filled the disk"),
            });
        }
        if full {
            // also where that fails half-way: then room can be made
            self.full.store(true, Ordering::Relaxed);
            disk.fill().await
        } else {
            disk.free().await?;
            self.full.store(false, Ordering::Relaxed);
            local.reopen();
            Ok(())
        }
    }

    /// Moves the clock of a service to so many seconds from the machine's, and waits until it has jumped.
    pub(super) async fn turn(&self, local: &Local, service: Service, seconds: i64) -> Result<(), String> {
        if !self.clocks {
            return Err(t!("falta el paquete faketime", "the package faketime is not installed"));
        }
        let seconds = order::offset(seconds)?;
        if self.off(service) == seconds {
            let name = service.name();
            return Err(t!("el reloj de {name} ya marca eso", "the clock of {name} shows that already"));
        }
        clock::set(local.dir(), service, seconds)?;
        self.note(service, seconds);
        tokio::time::sleep(clock::JUMP).await;
        Ok(())
    }

    fn off(&self, service: Service) -> i64 {
        let off = self.off.lock().unwrap_or_else(PoisonError::into_inner);
        off.get(service.name()).copied().unwrap_or_default()
    }

    fn note(&self, service: Service, seconds: i64) {
        let mut off = self.off.lock().unwrap_or_else(PoisonError::into_inner);
        if seconds == 0 {
            off.remove(service.name());
        } else {
            off.insert(service.name(), seconds);
        }
    }

    /// There is room on the disk again, whatever it was.
    pub(super) async fn free(&self) -> Result<(), String> {
        match self.disk.lock().await.as_ref() {
            Some(disk) => disk.free().await,
            None => Ok(()),
        }
    }

    /// Gives the disk back, and keeps a copy of what is on it.
    pub(super) async fn unmount(&self) {
        if let Some(disk) = self.disk.lock().await.take() {
            disk.unmount().await;
        }
    }
}

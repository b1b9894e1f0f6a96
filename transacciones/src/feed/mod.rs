//! Purchases as they commit, for any number of readers: one task makes each event once, as bytes that all of them share.
//!
//! The task runs while somebody reads, and asks the store at most ten times a second. A reader begins at its own place: it
//! reads pages of the store by itself until it has caught up, and from then on takes the blocks that the task makes. A reader
//! for whom too many blocks wait is cut off; the place that it has reached is in the last event that it got.

mod reader;
mod task;

pub use reader::{Chunk, Reader};
pub use task::Render;

use crate::error::Error;
use crate::store::Store;
use market::domain::TransaccionId;
use reader::Seat;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use task::Shared;
use tokio::runtime::Handle;

/// The events of a process. Clones share them.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With the next purchase.
    Next,
    /// Behind a purchase, where there is one with this id; and with this `fecha` in milliseconds, where that is known.
    Behind(TransaccionId, Option<i64>),
    /// Behind what no purchase here can be.
    Elsewhere,
}

impl Feed {
    /// Nobody reads yet. At most `most` readers at once; the task runs on `runtime`.
    pub fn new(store: Store, render: Render, most: usize, runtime: Handle) -> Self {
        Self(Arc::new(Shared::new(store, render, most, runtime)))
    }

    /// How many read now.
    pub fn readers(&self) -> u64 {
        self.0.readers.load(Ordering::Relaxed) as u64
    }

    /// How many were turned away, since the start.
    pub fn turned_away(&self) -> u64 {
        self.0.turned_away.load(Ordering::Relaxed)
    }

    /// How many were cut off since they read too slowly, since the start.
    pub fn cut_off(&self) -> u64 {
        self.0.cut_off.load(Ordering::Relaxed)
    }

    /// Begins to read. `leaving` says whether the process leaves: the task ends then, after what was bought until then.
    ///
    /// # Errors
    /// [`Error::TooManyReaders`], and where the store cannot be read.
    pub async fn read(
        &self,
        place: Place,
        leaving: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Reader, Error> {
        let seat = Seat::take(&self.0)?;
        let known = match place {
            Place::Next | Place::Elsewhere => None,
            Place::Behind(id, fecha) => self
                .0
                .store
                .transaccion(id)
                .await?
                .filter(|t| fecha.is_none_or(|fecha| t.fecha.timestamp_millis() == fecha)),
        };
        let elsewhere = known.is_none() && place != Place::Next;
        let at = match known {
            Some(t) => Some(t.id),
            None => self.0.store.last().await?,
        };
        Ok(Reader::new(seat, Arc::new(leaving), at, elsewhere))
    }
}

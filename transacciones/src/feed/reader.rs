//! One reader of the events.

use super::task::{Block, Leaving, Sent, Shared};
use crate::domain::Transaccion;
use crate::error::Error;
use actix_web::web::Bytes;
use market::domain::TransaccionId;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Purchases that a reader reads at once who has not caught up yet: few, since each such reader has its own.
const OWN_PAGE: usize = 128;

/// A reader's place among those that may read at once.
pub(super) struct Seat(Arc<Shared>);

impl Seat {
    pub(super) fn take(shared: &Arc<Shared>) -> Result<Self, Error> {
        let seat = Self(Arc::clone(shared));
        if shared.readers.fetch_add(1, Ordering::Relaxed) < shared.most {
            return Ok(seat);
        }
        shared.turned_away.fetch_add(1, Ordering::Relaxed);
        Err(Error::TooManyReaders)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One stream of events.
pub struct Reader {
    seat: Seat,
    leaving: Leaving,
    /// The last purchase that it has seen.
    at: Option<TransaccionId>,
    elsewhere: bool,
    state: State,
}

enum State {
    Greeting,
    CatchingUp,
    /// Takes part in the blocks behind a purchase, and has not read up to there yet.
    Joined(Receiver<Sent>, Option<TransaccionId>),
    /// Takes the blocks; first those that it has seen already, up to and with a purchase.
    Live(Receiver<Sent>, Option<TransaccionId>),
    Ended,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, of) = match &self.state {
            State::Greeting => ("greeting", None),
            State::CatchingUp => ("catching up", None),
            State::Joined(_, from) => ("joined behind", *from),
            State::Live(_, seen) => ("live, has seen up to", *seen),
            State::Ended => ("ended or waiting", None),
        };
        f.debug_struct("Reader").field("at", &self.at).field(state, &of).finish_non_exhaustive()
    }
}

/// What a reader is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// The beginning. `elsewhere` where the reader named a purchase that is none of this store's: it begins anew.
    Greeting {
        /// See there.
        elsewhere: bool,
    },
    /// Purchases, as they are written.
    Purchases(Bytes),
    /// Nothing was bought for a while.
    SignOfLife,
}

impl Reader {
    pub(super) fn new(seat: Seat, leaving: Leaving, at: Option<TransaccionId>, elsewhere: bool) -> Self {
        Self { seat, leaving, at, elsewhere, state: State::Greeting }
    }

    /// What comes next. `None` at the end: the process leaves, or this reader is too slow. Nothing is lost where a call is
    /// given up while it waits.
    pub async fn next(&mut self) -> Option<Chunk> {
        loop {
            let chunk = match &mut self.state {
                State::Greeting => {
                    self.state = State::CatchingUp;
                    return Some(Chunk::Greeting { elsewhere: self.elsewhere });
                }
                State::CatchingUp => self.catch_up().await,
                State::Joined(_, from) => {
                    let from = *from;
                    self.meet(from).await
                }
                State::Live(blocks, seen) => match blocks.recv().await {
                    Ok(Sent::Block(block)) => Some(block.unseen(seen)),
                    Ok(Sent::SignOfLife) => return Some(Chunk::SignOfLife),
                    Err(RecvError::Lagged(_)) => {
                        self.seat.0.cut_off.fetch_add(1, Ordering::Relaxed);
                        None
                    }
                    Ok(Sent::End) | Err(RecvError::Closed) => None,
                },
                State::Ended => return None,
            };
            match chunk {
                None => self.state = State::Ended,
                Some(bytes) if bytes.is_empty() => {}
                Some(bytes) => return Some(Chunk::Purchases(bytes)),
            }
        }
    }

    /// A page of the store, and behind its last one the blocks.
    async fn catch_up(&mut self) -> Option<Bytes> {
        let page = self.page().await?;
        let bytes = self.see(&page);
        if page.len() < OWN_PAGE {
            let joined = self.seat.0.join(self.at, &self.leaving);
            self.state = joined.map_or(State::Ended, |(blocks, from)| State::Joined(blocks, from));
        }
        Some(bytes)
    }

    /// Reads on to the purchase behind which the blocks begin, or past it.
    async fn meet(&mut self, from: Option<TransaccionId>) -> Option<Bytes> {
        if self.at == from {
            self.live(None);
            return Some(Bytes::new());
        }
        let page = self.page().await?;
        if let Some(at) = page.iter().position(|t| Some(t.id) == from) {
            self.live(None);
            return Some(self.see(&page[..=at]));
        }
        let bytes = self.see(&page);
        if page.len() < OWN_PAGE {
            // it was past it from the beginning: the blocks will come to where it is
            self.live(self.at);
        }
        Some(bytes)
    }

    /// Takes the blocks from now on, and of them what is behind a purchase.
    fn live(&mut self, seen: Option<TransaccionId>) {
        if let State::Joined(blocks, _) = std::mem::replace(&mut self.state, State::Ended) {
            self.state = State::Live(blocks, seen);
        }
    }

    async fn page(&self) -> Option<Vec<Transaccion>> {
        let shared = &self.seat.0;
        let page = shared.store.following(self.at, OWN_PAGE).await;
        page.inspect_err(|why| shared.trouble.say(&format_args!("events: {why}"))).ok()
    }

    /// These purchases were seen: their bytes.
    fn see(&mut self, page: &[Transaccion]) -> Bytes {
        self.at = page.last().map(|t| t.id).or(self.at);
        Block::of(page, self.seat.0.render).bytes
    }
}

//! Purchases as they commit, for any number of readers: one task makes each event once, as bytes that all of them share.
//!
//! The task runs while somebody reads, and asks the store at most ten times a second. A reader begins at its own place: it
//! reads pages of the store by itself until it has caught up, and from then on takes the blocks that the task makes. A reader
//! for whom too many blocks wait is cut off; the place that it has reached is in the last event that it got.

use crate::complaint::Complaint;
use crate::domain::Transaccion;
use crate::error::Error;
use crate::store::Store;
use actix_web::web::Bytes;
use market::domain::TransaccionId;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep, timeout};

/// Between two rounds of events, at least.
const ROUND: Duration = Duration::from_millis(100);
/// The same for each reader: all readers together are woken at most a thousand times a second.
const ROUND_OF_A_READER: Duration = Duration::from_millis(1);
/// How long the task may take to notice that the process leaves.
const WAKE_EVERY: Duration = Duration::from_millis(250);
/// Between signs of life to readers of a quiet market, so that proxies keep a stream and a gone client is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Purchases that the task reads at once.
const PAGE: usize = 500;
/// Purchases that a reader reads at once who has not caught up yet: few, since each such reader has its own.
const OWN_PAGE: usize = 128;
/// Pages of one round: a market that buys faster gets its rounds one after another.
const PAGES_OF_A_ROUND: usize = 8;
/// Purchases of one block: about 9 KB, so that a connection that is not read from holds little more than its socket does.
const BLOCK: usize = 64;
/// Blocks that may wait for a reader: some 16,000 purchases.
const BLOCKS: usize = 256;

/// How a purchase is written.
pub type Render = fn(&Transaccion, &mut String);

/// The events of a process. Clones share them.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    store: Store,
    render: Render,
    // the process's own runtime: the thread of a request may end before the process does
    runtime: Handle,
    most: usize,
    readers: AtomicUsize,
    turned_away: AtomicU64,
    cut_off: AtomicU64,
    blocks: Sender<Sent>,
    // held for a few instructions, and never while anybody waits
    head: Mutex<Head>,
    trouble: Complaint,
}

/// How far the task has come.
#[derive(Default)]
struct Head {
    running: bool,
    /// The process leaves: there will be no more blocks.
    ended: bool,
    /// The last purchase of the blocks.
    last: Option<TransaccionId>,
}

#[derive(Clone)]
enum Sent {
    Block(Arc<Block>),
    SignOfLife,
    End,
}

/// Some purchases in the order of their commits.
struct Block {
    bytes: Bytes,
    /// Where each purchase ends in the bytes.
    ends: Vec<(TransaccionId, usize)>,
}

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With the next purchase.
    Next,
    /// Behind a purchase, where there is one with this id; and with this `fecha` in milliseconds, where that is known.
    Behind(TransaccionId, Option<i64>),
}

impl Feed {
    /// Nobody reads yet. At most `most` readers at once; the task runs on `runtime`.
    pub fn new(store: Store, render: Render, most: usize, runtime: Handle) -> Self {
        let (blocks, _) = channel(BLOCKS);
        Self(Arc::new(Shared {
            store,
            render,
            runtime,
            most,
            readers: AtomicUsize::new(0),
            turned_away: AtomicU64::new(0),
            cut_off: AtomicU64::new(0),
            blocks,
            head: Mutex::default(),
            trouble: Complaint::new(log::Level::Error),
        }))
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
            Place::Next => None,
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
        Ok(Reader { seat, leaving: Arc::new(leaving), at, elsewhere, state: State::Greeting })
    }
}

impl Shared {
    fn head(&self) -> MutexGuard<'_, Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes part in the blocks that come from now on, and says which purchase is the last before them. Where the task does
    /// not run, it begins behind `at`. `None` where there will be no more blocks.
    fn join(
        self: &Arc<Self>,
        at: Option<TransaccionId>,
        leaving: &Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Option<(Receiver<Sent>, Option<TransaccionId>)> {
        let mut head = self.head();
        if head.ended {
            return None;
        }
        let blocks = self.blocks.subscribe();
        if !head.running {
            (head.running, head.last) = (true, at);
            let (shared, leaving) = (Arc::clone(self), Arc::clone(leaving));
            self.runtime.spawn(async move { shared.run(&*leaving).await });
        }
        Some((blocks, head.last))
    }

    /// Makes blocks until nobody reads, the process leaves, or the store cannot be read.
    async fn run(&self, leaving: &(dyn Fn() -> bool + Send + Sync)) {
        let mut changed = self.store.changed();
        let mut last = self.head().last;
        let mut spoke = Instant::now();
        loop {
            let round = Instant::now();
            // asked before the store: what was bought until now is still sent
            let ends = leaving();
            let bought = match self.round(last).await {
                Ok(bought) => bought,
                Err(why) => {
                    if !ends {
                        self.trouble.say(&format_args!("events: {why}"));
                    }
                    let mut head = self.head();
                    head.running = false;
                    head.ended = ends;
                    let _nobody_reads = self.blocks.send(Sent::End);
                    return;
                }
            };
            let more = bought.len() == PAGE * PAGES_OF_A_ROUND;
            if bought.is_empty() && ends {
                let mut head = self.head();
                (head.running, head.ended) = (false, true);
                let _nobody_reads = self.blocks.send(Sent::End);
                return;
            }
            let blocks: Vec<_> =
                bought.chunks(BLOCK).map(|some| Arc::new(Block::of(some, self.render))).collect();
            {
                let mut head = self.head();
                if self.blocks.receiver_count() == 0 {
                    head.running = false;
                    return;
                }
                let sign_of_life = blocks.is_empty() && spoke.elapsed() >= KEEP_ALIVE;
                if sign_of_life || !blocks.is_empty() {
                    spoke = Instant::now();
                }
                for block in blocks {
                    last = block.ends.last().map(|(id, _)| *id).or(last);
                    let _nobody_reads = self.blocks.send(Sent::Block(block));
                }
                if sign_of_life {
                    let _nobody_reads = self.blocks.send(Sent::SignOfLife);
                }
                head.last = last;
            }
            if more {
                continue;
            }
            self.pause(round, leaving).await;
            if !bought.is_empty() {
                // the round may have ended before what it was told of
                changed.mark_unchanged();
                continue;
            }
            let _in_time = timeout(WAKE_EVERY, changed.changed()).await;
        }
    }

    /// What comes behind a purchase, up to some pages of it.
    async fn round(&self, mut last: Option<TransaccionId>) -> Result<Vec<Transaccion>, Error> {
        let mut bought = Vec::new();
        for _ in 0..PAGES_OF_A_ROUND {
            let page = self.store.following(last, PAGE).await?;
            let whole = page.len() == PAGE;
            last = page.last().map(|t| t.id).or(last);
            bought.extend(page);
            if !whole {
                break;
            }
        }
        Ok(bought)
    }

    /// Waits until a round may follow on the one that began then.
    async fn pause(&self, round: Instant, leaving: &(dyn Fn() -> bool + Send + Sync)) {
        let readers = u32::try_from(self.blocks.receiver_count()).unwrap_or(u32::MAX);
        let until = round + ROUND.max(ROUND_OF_A_READER.saturating_mul(readers));
        while Instant::now() < until && !leaving() {
            sleep((until - Instant::now()).min(WAKE_EVERY)).await;
        }
    }
}

impl Block {
    fn of(some: &[Transaccion], render: Render) -> Self {
        let (mut text, mut ends) = (String::with_capacity(some.len() * 160), Vec::with_capacity(some.len()));
        for t in some {
            render(t, &mut text);
            ends.push((t.id, text.len()));
        }
        Self { bytes: text.into(), ends }
    }

    /// What comes behind a purchase of the block; `None` where the purchase is not in it.
    fn behind(&self, id: TransaccionId) -> Option<Bytes> {
        let (_, end) = self.ends.iter().find(|(of, _)| *of == id)?;
        Some(self.bytes.slice(*end..))
    }
}

/// A reader's place among those that may read at once.
struct Seat(Arc<Shared>);

impl Seat {
    fn take(shared: &Arc<Shared>) -> Result<Self, Error> {
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
    leaving: Arc<dyn Fn() -> bool + Send + Sync>,
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
    /// What comes next. `None` at the end: the process leaves, or this reader is too slow.
    pub async fn next(&mut self) -> Option<Chunk> {
        loop {
            let chunk = match std::mem::replace(&mut self.state, State::Ended) {
                State::Greeting => {
                    self.state = State::CatchingUp;
                    return Some(Chunk::Greeting { elsewhere: self.elsewhere });
                }
                State::CatchingUp => self.catch_up().await?,
                State::Joined(blocks, from) => self.meet(blocks, from).await?,
                State::Live(blocks, seen) => return self.live(blocks, seen).await,
                State::Ended => return None,
            };
            if !chunk.is_empty() {
                return Some(Chunk::Purchases(chunk));
            }
        }
    }

    /// A page of the store, and behind its last one the blocks.
    async fn catch_up(&mut self) -> Option<Bytes> {
        let page = self.page().await?;
        if page.len() == OWN_PAGE {
            self.state = State::CatchingUp;
        } else if let Some((blocks, from)) = self.seat.0.join(self.at_behind(&page), &self.leaving) {
            self.state = State::Joined(blocks, from);
        }
        Some(self.see(&page))
    }

    /// Reads on to where the blocks begin, or past it.
    async fn meet(&mut self, blocks: Receiver<Sent>, from: Option<TransaccionId>) -> Option<Bytes> {
        if self.at == from {
            self.state = State::Live(blocks, None);
            return Some(Bytes::new());
        }
        let page = self.page().await?;
        if let Some(at) = page.iter().position(|t| Some(t.id) == from) {
            self.state = State::Live(blocks, None);
            return Some(self.see(&page[..=at]));
        }
        let whole = page.len() == OWN_PAGE;
        let bytes = self.see(&page);
        self.state = if whole { State::Joined(blocks, from) } else { State::Live(blocks, self.at) };
        Some(bytes)
    }

    /// The next block that it has not seen.
    async fn live(&mut self, mut blocks: Receiver<Sent>, mut seen: Option<TransaccionId>) -> Option<Chunk> {
        let chunk = loop {
            match blocks.recv().await {
                Ok(Sent::Block(block)) => {
                    let Some(id) = seen else { break Chunk::Purchases(block.bytes.clone()) };
                    if let Some(rest) = block.behind(id) {
                        seen = None;
                        if !rest.is_empty() {
                            break Chunk::Purchases(rest);
                        }
                    }
                }
                Ok(Sent::SignOfLife) => break Chunk::SignOfLife,
                Err(RecvError::Lagged(_)) => {
                    self.seat.0.cut_off.fetch_add(1, Ordering::Relaxed);
                    return None;
                }
                Ok(Sent::End) | Err(RecvError::Closed) => return None,
            }
        };
        self.state = State::Live(blocks, seen);
        Some(chunk)
    }

    async fn page(&self) -> Option<Vec<Transaccion>> {
        let shared = &self.seat.0;
        let page = shared.store.following(self.at, OWN_PAGE).await;
        page.inspect_err(|why| shared.trouble.say(&format_args!("events: {why}"))).ok()
    }

    fn at_behind(&self, page: &[Transaccion]) -> Option<TransaccionId> {
        page.last().map(|t| t.id).or(self.at)
    }

    /// These purchases were seen: their bytes.
    fn see(&mut self, page: &[Transaccion]) -> Bytes {
        self.at = self.at_behind(page);
        Block::of(page, self.seat.0.render).bytes
    }
}

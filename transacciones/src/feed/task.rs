//! The one task that makes events, and what it shares with the readers.

use crate::complaint::Complaint;
use crate::domain::Transaccion;
use crate::error::Error;
use crate::store::Store;
use actix_web::web::Bytes;
use market::domain::TransaccionId;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::broadcast::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep, timeout};

/// Between two rounds of events, at least.
const ROUND: Duration = Duration::from_millis(100);
/// The same for each reader: all readers together are woken at most a thousand times a second.
const ROUND_OF_A_READER: Duration = Duration::from_millis(1);
/// How long the task may take to notice that the process leaves.
const WAKE_EVERY: Duration = Duration::from_millis(250);
/// Between signs of life to readers of a quiet market. Proxies keep a stream that is not silent. A client that is gone shows
/// when the second one is written to it, and keeps its place until then.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Purchases that the task reads at once.
const PAGE: usize = 500;
/// Pages of one round: a market that buys faster gets its rounds one after another.
const PAGES_OF_A_ROUND: usize = 8;
/// Purchases of one block: about 9 KB, so that a connection that is not read from holds little more than its socket does.
const BLOCK: usize = 64;
/// Blocks that may wait for a reader: some 16,000 purchases.
const BLOCKS: usize = 256;

/// How a purchase is written.
pub type Render = fn(&Transaccion, &mut String);

/// Whether the process leaves.
pub(super) type Leaving = Arc<dyn Fn() -> bool + Send + Sync>;

/// What the task and its readers share.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) render: Render,
    // the process's own runtime: the thread of a request may end before the process does
    runtime: Handle,
    pub(super) most: usize,
    pub(super) readers: AtomicUsize,
    pub(super) turned_away: AtomicU64,
    pub(super) cut_off: AtomicU64,
    blocks: Sender<Sent>,
    // held for a few instructions, and never while anybody waits
    head: Mutex<Head>,
    pub(super) trouble: Complaint,
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

/// What the task sends to all readers at once.
#[derive(Clone)]
pub(super) enum Sent {
    Block(Arc<Block>),
    SignOfLife,
    End,
}

/// Some purchases in the order of their commits.
pub(super) struct Block {
    pub(super) bytes: Bytes,
    /// Where each purchase ends in the bytes.
    ends: Vec<(TransaccionId, usize)>,
}

impl Shared {
    pub(super) fn new(store: Store, render: Render, most: usize, runtime: Handle) -> Self {
        let (blocks, _) = channel(BLOCKS);
        Self {
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
        }
    }

    fn head(&self) -> MutexGuard<'_, Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes part in the blocks that come from now on, and says which purchase is the last before them. Where the task does
    /// not run, it begins behind `at`. `None` where there will be no more blocks.
    pub(super) fn join(
        self: &Arc<Self>,
        at: Option<TransaccionId>,
        leaving: &Leaving,
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
    pub(super) fn of(some: &[Transaccion], render: Render) -> Self {
        let (mut text, mut ends) = (String::with_capacity(some.len() * 160), Vec::with_capacity(some.len()));
        for t in some {
            render(t, &mut text);
            ends.push((t.id, text.len()));
        }
        Self { bytes: text.into(), ends }
    }

    /// What a reader has not seen of the block, whose last purchase is `seen`: once that is found, the rest, and all of the
    /// blocks that follow.
    pub(super) fn unseen(&self, seen: &mut Option<TransaccionId>) -> Bytes {
        let Some(id) = *seen else { return self.bytes.clone() };
        match self.ends.iter().find(|(of, _)| *of == id) {
            None => Bytes::new(),
            Some((_, end)) => {
                *seen = None;
                self.bytes.slice(*end..)
            }
        }
    }
}

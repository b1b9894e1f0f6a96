//! Group commit: while a batch of an operation is under way, the next requests of the operation wait together. They go as
//! one statement, and each gets an answer of its own. There is no timer: a request that meets no batch goes alone, at once.
//! Why so: ADR 0015.

use crate::Schema;
use crate::fate::Failed;
use crate::lanes::ENOUGH;
use crate::link::Link;
use crate::pool::{Lease, Waits};
use crate::turns::{Turn, Turns};
use journal::StoreError;
use sqlx::Error;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

/// How many requests go at once. More of them gain nothing (`docs/SCALE.md`), and hold their rows for longer.
const ROWS: usize = 128;

/// An operation whose requests can go together. It is repeatable: a second run finds what an earlier one did.
pub trait Operation: Send + Sync + 'static {
    /// Whether it writes nothing: then it does not wait for the commits of other operations.
    const READS: bool = false;
    /// What is asked for.
    type Request: Send + Sync + 'static;
    /// What comes of it; a refusal, too.
    type Answer: Send + 'static;

    /// Runs the requests as if they came one after the other, in any order. Each gets an answer; or `None`, where the others
    /// stood in its way: the request is run again then. The first request never meets another one, so one that runs alone
    /// is run again only where somebody else changed what it read.
    ///
    /// Nothing is done where it fails: it may read in several statements, and writes in one, which comes last or is followed
    /// by reading. The statement locks its rows in an order that all processes share.
    ///
    /// # Errors
    /// The database's. Where one request could be to blame (a conflict, a constraint), the requests are divided and run
    /// again, until it is alone.
    fn run(
        connection: &mut Link<'_>,
        turn: Turn,
        requests: &[&Self::Request],
    ) -> impl Future<Output = Result<Vec<Option<Self::Answer>>, Error>> + Send;
}

/// Gathers the requests of one operation. Clones share what is gathered.
pub struct Batcher<O: Operation>(Arc<Shared<O>>);

impl<O: Operation> Clone for Batcher<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<O: Operation> {
    schema: Schema,
    /// Told when [`ENOUGH`] requests wait.
    enough: Notify,
    gathered: Mutex<Gathered<O>>,
}

struct Gathered<O: Operation> {
    /// In the order in which they came.
    queue: VecDeque<Member<O>>,
    /// The number of the next one.
    next: u64,
    /// Whether a task serves them.
    served: bool,
}

struct Member<O: Operation> {
    number: u64,
    request: O::Request,
    deadline: Instant,
    answer: oneshot::Sender<Result<O::Answer, StoreError>>,
    /// Its place in the queue of the pool, until a batch takes it.
    waits: Option<Waits>,
}

impl<O: Operation> Member<O> {
    /// Nobody hears the answer where the caller has given up.
    fn answer(self, answer: Result<O::Answer, StoreError>) {
        let _ = self.answer.send(answer);
    }
}

/// A batch that ends at the deadline knows better than a clock what became of its requests: it has so long to say it.
const LAST_WORD: Duration = Duration::from_millis(100);

/// Requests that go together.
type Lot<O> = Vec<Member<O>>;

fn fail<O: Operation>(lot: impl IntoIterator<Item = Member<O>>, why: &StoreError) {
    lot.into_iter().for_each(|member| member.answer(Err(why.clone())));
}

impl<O: Operation> Batcher<O> {
    /// Of an operation on a schema.
    pub fn new(schema: &Schema) -> Self {
        let gathered = Mutex::new(Gathered { queue: VecDeque::new(), next: 0, served: false });
        Self(Arc::new(Shared { schema: schema.clone(), enough: Notify::new(), gathered }))
    }

    /// The answer to a request, within the patience of its database.
    ///
    /// # Errors
    /// As those of [`run!`](crate::run!); at once where too many requests wait.
    pub async fn ask(&self, request: O::Request) -> Result<O::Answer, StoreError> {
        let schema = &self.0.schema;
        let waits = schema.database.0.pool.queue.enter().map_err(|_| StoreError::Busy)?;
        let deadline = Instant::now() + schema.database.0.patience;
        let (answer, answered) = oneshot::channel();
        let number = self.0.gather(request, deadline, answer, waits);
        match timeout_at(deadline + LAST_WORD, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(schema.unknown("nobody waits for the database any more")),
            // nothing was asked of the server where no batch had taken it
            Err(_) if self.0.withdraw(number) => {
                schema.health().and_then(|()| Err(schema.not_done("not in time")))
            }
            Err(_) => Err(schema.unknown("no answer in time")),
        }
    }
}

impl<O: Operation> Shared<O> {
    fn gathered(&self) -> MutexGuard<'_, Gathered<O>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gather(
        self: &Arc<Self>,
        request: O::Request,
        deadline: Instant,
        answer: oneshot::Sender<Result<O::Answer, StoreError>>,
        waits: Waits,
    ) -> u64 {
        let mut gathered = self.gathered();
        let number = gathered.next;
        gathered.next += 1;
        gathered.queue.push_back(Member { number, request, deadline, answer, waits: Some(waits) });
        if gathered.queue.len() >= ENOUGH {
            self.enough.notify_one();
        }
        if !std::mem::replace(&mut gathered.served, true) {
            let shared = Arc::clone(self);
            // on the runtime of the process: that of a caller may end, and the batch is of many callers
            self.schema.database.0.runtime.spawn(async move { shared.serve_all().await });
        }
        number
    }

    /// Whether the request still waited; it does not any more.
    fn withdraw(&self, number: u64) -> bool {
        let mut gathered = self.gathered();
        let found = gathered.queue.iter().position(|member| member.number == number);
        found.and_then(|n| gathered.queue.remove(n)).is_some()
    }

    /// Serves until nobody waits.
    async fn serve_all(&self) {
        let _serving = Serving(self);
        loop {
            let deadline = {
                let mut gathered = self.gathered();
                let Some(oldest) = gathered.queue.front() else {
                    gathered.served = false;
                    return;
                };
                oldest.deadline
            };
            if let Err(why) = self.serve(deadline).await {
                // The others have more time.
                let mut gathered = self.gathered();
                let late = gathered.queue.partition_point(|member| member.deadline <= deadline);
                fail(gathered.queue.drain(..late), &why);
            }
        }
    }

    /// One batch, of those that have come by the time that there is a connection.
    async fn serve(&self, deadline: Instant) -> Result<(), StoreError> {
        let database = &self.schema.database.0;
        // Without a lane: tables that are not there keep no other schema's operations waiting.
        self.schema.wait_for_tables(deadline).await?;
        let _lane = if O::READS { None } else { database.lanes.enter(self.wait_for_enough()).await };
        let mut turns = Turns::of_batch(&self.schema, deadline);
        let begun = turns.begin().await?;
        // Whoever is ready to run asks first: the answers of one batch wake the requests of the next one, and it should go whole.
        yield_now().await;
        let lot = self.take();
        if let Some(last) = lot.last() {
            turns.deadline = last.deadline;
        }
        self.run(turns, begun, lot).await;
        Ok(())
    }

    /// Until [`ENOUGH`] requests wait.
    async fn wait_for_enough(&self) {
        while self.gathered().queue.len() < ENOUGH {
            self.enough.notified().await;
        }
    }

    fn take(&self) -> Lot<O> {
        let mut gathered = self.gathered();
        let all = gathered.queue.len();
        let many = if O::READS { all } else { self.schema.database.0.lanes.share(all) };
        let mut lot: Lot<O> =
            gathered.queue.drain(..many.min(ROWS)).filter(|m| !m.answer.is_closed()).collect();
        lot.iter_mut().for_each(|member| drop(member.waits.take()));
        lot
    }

    async fn run(&self, mut turns: Turns<'_>, begun: (Lease, Turn), lot: Lot<O>) {
        let database = &self.schema.database.0;
        let (mut begun, mut lots) = (Some(begun), vec![lot]);
        while let Some(mut lot) = lots.pop().filter(|lot| !lot.is_empty()) {
            let (mut lease, turn) = match begun.take() {
                Some(begun) => begun,
                None => match turns.begin().await {
                    Ok(begun) => begun,
                    Err(why) => {
                        fail(lot, &why);
                        continue;
                    }
                },
            };
            database.batches.fetch_add(1, Ordering::Relaxed);
            database.batched.fetch_add(lot.len() as u64, Ordering::Relaxed);
            let requests: Vec<_> = lot.iter().map(|member| &member.request).collect();
            let answers =
                turns.limit(async { O::run(&mut lease.connection()?, turn, &requests).await }).await;
            match answers {
                Ok(answers) => {
                    lease.keep();
                    let mut open = Lot::new();
                    for (member, answer) in lot.into_iter().zip(answers) {
                        match answer {
                            Some(answer) => member.answer(Ok(answer)),
                            None => open.push(member),
                        }
                    }
                    if !open.is_empty() {
                        lots.push(open);
                    }
                }
                Err(e) => {
                    let failed = Failed::of(&e);
                    if lot.len() > 1 && failed.concerns_a_row() {
                        drop(lease);
                        let half = lot.split_off(lot.len() / 2);
                        if failed.conflict
                            && let Err(why) = turns.after(failed).await
                        {
                            fail(lot.into_iter().chain(half), &why);
                            continue;
                        }
                        lots.extend([half, lot]);
                    } else {
                        match turns.end(lease, Err(e)).await {
                            Some(Err(why)) => fail(lot, &why),
                            Some(Ok(())) | None => lots.push(lot),
                        }
                    }
                }
            }
        }
        if let Some((lease, _)) = begun {
            lease.keep();
        }
    }
}

/// A task that serves. Where it ends before its time, the next request starts another one.
struct Serving<'a, O: Operation>(&'a Shared<O>);

impl<O: Operation> Drop for Serving<'_, O> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.gathered().served = false;
        }
    }
}

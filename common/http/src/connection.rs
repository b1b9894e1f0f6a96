//! One connection, as its stream, the middleware and the gate know it together.
//!
//! A connection is *idle*, then a request's *head* comes, then the request is *served*: its body is read, a handler works,
//! its answer is written. Whatever waits for the client has a deadline, and gives way first when connections run out.

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ResponseHead;
use actix_web::http::{Method, header};
use actix_web::web::Bytes;
use futures_util::task::AtomicWaker;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// What may be read of a body that does not say its length: more than any handler takes.
const CHUNKED: u64 = 32 * 1024;
/// How long what still comes of a request is thrown away after its answer.
pub(crate) const LINGER: Duration = Duration::from_secs(1);
/// The most bytes of an answer's body that the framework gets at once. It copies them.
pub(crate) const SLICE: usize = 64 * 1024;
/// Bodies of such lengths go to the kernel as they are, past the framework. Below, a copy costs nothing; above, the framework's
/// patience with an idle connection could end before a slow client has the body.
const HANDED: std::ops::RangeInclusive<usize> = 16 * 1024..=256 * 1024;

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Between requests, or before the first.
    Idle,
    /// A part of a head has come.
    Head,
    /// The parser has a whole head.
    Parsed,
    /// A request is served.
    Served,
    /// The last answer was given, or one before its request's body had come: what still comes is thrown away, for a moment.
    Closing,
}

const PHASES: [Phase; 5] = [Phase::Idle, Phase::Head, Phase::Parsed, Phase::Served, Phase::Closing];

/// One connection that was let in.
#[derive(Debug)]
pub struct Connection {
    born: Instant,
    reserved: bool,
    loopback: bool,
    client_time: Duration,
    phase: AtomicU8,
    /// When its phase began, in milliseconds.
    since: AtomicU64,
    /// When its answer began to wait for the client, in milliseconds; 0 where it does not.
    blocked: AtomicU64,
    /// Bytes of the request's body that are still to come.
    body: AtomicU64,
    /// The whole answer has been handed to the stream.
    answered: AtomicBool,
    /// The answer says that the connection ends with it.
    last: AtomicBool,
    /// The client has sent bytes ahead, and nobody is woken for them.
    ahead: AtomicBool,
    cut: AtomicBool,
    /// Another connection has its place.
    replaced: AtomicBool,
    waker: AtomicWaker,
    /// What is to be written after what the framework writes.
    handed: Mutex<Bytes>,
}

impl Connection {
    /// `reserved`: it was taken beyond the limit, for probes only; `loopback`: it came to a loopback address. It waits for
    /// its client for `client_time` in each phase.
    pub(crate) fn new(reserved: bool, loopback: bool, client_time: Duration) -> Self {
        Self {
            born: Instant::now(),
            reserved,
            loopback,
            client_time,
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU64::new(now()),
            blocked: AtomicU64::new(0),
            body: AtomicU64::new(0),
            answered: AtomicBool::new(false),
            last: AtomicBool::new(false),
            ahead: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            replaced: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            handed: Mutex::default(),
        }
    }

    pub(crate) fn born(&self) -> Instant {
        self.born
    }

    pub(crate) fn reserved(&self) -> bool {
        self.reserved
    }

    pub(crate) fn loopback(&self) -> bool {
        self.loopback
    }

    pub(crate) fn client_time(&self) -> Duration {
        self.client_time
    }

    pub(crate) fn phase(&self) -> Phase {
        PHASES[usize::from(self.phase.load(Ordering::Relaxed)) % PHASES.len()]
    }

    fn enter(&self, phase: Phase) {
        self.since.store(now(), Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The first bytes of a head have come. The time for the first head counts from the connection's begin.
    pub(crate) fn head_begins(&self) {
        if self.answered.load(Ordering::Relaxed) {
            self.enter(Phase::Head);
        } else {
            self.phase.store(Phase::Head as u8, Ordering::Relaxed);
        }
    }

    /// The parser has all of a head.
    pub(crate) fn head_ends(&self) {
        self.enter(Phase::Parsed);
    }

    /// When the head that is waited for was due to begin; `None` between requests, when none is.
    pub(crate) fn head_since(&self) -> Option<u64> {
        let none_is_due = self.phase() == Phase::Idle && self.answered.load(Ordering::Relaxed);
        (!none_is_due).then(|| self.since.load(Ordering::Relaxed))
    }

    /// Since when it is in its phase.
    pub(crate) fn entered(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }

    /// The middleware has a request, with a body of this length; `None` where the request does not say.
    pub(crate) fn begin(&self, body: Option<u64>) {
        self.answered.store(false, Ordering::Relaxed);
        self.body.store(body.unwrap_or(CHUNKED), Ordering::Relaxed);
        self.enter(Phase::Served);
        if body != Some(0) {
            self.waker.wake();
        }
    }

    /// The whole answer has been handed to the stream, or the framework answers by itself.
    pub(crate) fn answers(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// The rest of an answer's body that the stream writes by itself.
    pub(crate) fn handed(&self) -> MutexGuard<'_, Bytes> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer under way says that the connection ends with it.
    pub(crate) fn ends(&self) {
        self.last.store(true, Ordering::Relaxed);
    }

    /// Whether an answer has said so: what comes after its request is none.
    pub(crate) fn has_ended(&self) -> bool {
        self.last.load(Ordering::Relaxed)
    }

    /// How many bytes of the body may still be read.
    pub(crate) fn body(&self) -> u64 {
        self.body.load(Ordering::Relaxed)
    }

    /// So many bytes of the body have come.
    pub(crate) fn body_came(&self, n: u64) {
        self.body.store(self.body().saturating_sub(n), Ordering::Relaxed);
    }

    /// The whole body has come.
    pub(crate) fn body_ends(&self) {
        self.body.store(0, Ordering::Relaxed);
    }

    /// The client sends ahead, and is not read now.
    pub(crate) fn sends_ahead(&self) {
        self.ahead.store(true, Ordering::Relaxed);
    }

    /// A write waits for the client; since when.
    pub(crate) fn blocks(&self) -> u64 {
        match self.blocked.load(Ordering::Relaxed) {
            0 => self.blocks_anew(),
            since => since,
        }
    }

    /// The client has taken enough for a while.
    pub(crate) fn blocks_anew(&self) -> u64 {
        let since = now();
        self.blocked.store(since, Ordering::Relaxed);
        since
    }

    /// Everything that was to be written is with the kernel.
    pub(crate) fn flushed(&self) {
        self.blocked.store(0, Ordering::Relaxed);
        if self.phase() != Phase::Served || !self.answered.load(Ordering::Relaxed) {
            return;
        }
        let goes_on = self.body() == 0 && !self.has_ended();
        self.enter(if goes_on { Phase::Idle } else { Phase::Closing });
        if self.ahead.swap(false, Ordering::Relaxed) {
            self.waker.wake();
        }
    }

    /// For how long it has waited for its client, where it does.
    pub(crate) fn waited(&self) -> Option<Duration> {
        let blocked = self.blocked.load(Ordering::Relaxed);
        let works = self.phase() == Phase::Served && self.body() == 0;
        match blocked {
            0 if works => None,
            0 => Some(ago(self.since.load(Ordering::Relaxed))),
            since => Some(ago(since)),
        }
    }

    /// The same, where it does so in the middle of a request.
    pub(crate) fn stalled(&self) -> Option<Duration> {
        self.waited().filter(|_| self.phase() == Phase::Served)
    }

    /// Ends it as soon as its worker looks at it, which the worker is told to do now.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Ends it as soon as its worker has looked whether what the client has sent is a whole head. A request that is there is
    /// answered first.
    pub(crate) fn replace(&self) {
        self.replaced.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Acquire)
    }

    /// Who is woken by what happens elsewhere.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }
}

/// Milliseconds since the first call, plus one, so that 0 can stand for "not".
pub(crate) fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

/// How long ago a moment of [`now`] was.
pub(crate) fn ago(since: u64) -> Duration {
    Duration::from_millis(now().saturating_sub(since))
}

/// An answer's body, in slices, so that a client that does not read holds one slice and no more; or as a whole for the stream. It
/// tells its connection when all of it has been handed to the stream.
pub(crate) struct Sliced {
    size: BodySize,
    body: Source,
    connection: Arc<Connection>,
}

enum Source {
    Whole(Bytes),
    Parts(BoxBody),
    Handed(Bytes),
}

impl Sliced {
    /// The body of an answer to a request of this method.
    pub(crate) fn new(
        method: &Method,
        head: &mut ResponseHead,
        body: BoxBody,
        connection: Arc<Connection>,
    ) -> Self {
        let mut size = body.size();
        let body = match body.try_into_bytes() {
            // a HEAD is answered without the body, and after an unfinished request the framework waits for its end
            Ok(bytes)
                if *method == Method::GET && connection.body() == 0 && HANDED.contains(&bytes.len()) =>
            {
                // to the framework it is empty, and of no length that it would know of
                head.headers.insert(header::CONTENT_LENGTH, bytes.len().into());
                head.no_chunking(true);
                size = BodySize::Stream;
                Source::Handed(bytes)
            }
            Ok(bytes) => Source::Whole(bytes),
            Err(body) => Source::Parts(body),
        };
        Self { size, body, connection }
    }
}

impl Drop for Sliced {
    fn drop(&mut self) {
        self.connection.answers();
    }
}

impl MessageBody for Sliced {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let Self { body, connection, .. } = self.get_mut();
        match body {
            Source::Handed(bytes) => {
                *connection.handed() = std::mem::take(bytes);
                Poll::Ready(None)
            }
            Source::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Source::Whole(bytes) => Poll::Ready(Some(Ok(bytes.split_to(SLICE.min(bytes.len()))))),
            Source::Parts(body) => Pin::new(body).poll_next(cx),
        }
    }
}

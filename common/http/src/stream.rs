//! A connection's bytes, as the HTTP parser gets and gives them.
//!
//! The stream hands one head to the parser and nothing more until that request is served. So there is one answer in the
//! making for each connection, whatever its client sends ahead: that waits in the kernel. And no deadline is longer
//! because of a byte now and then: a head has one, and so has each [`PACE`] of an answer.

use crate::connection::{Connection, LINGER, Phase, SLICE, ago};
use crate::gate::Gate;
use actix_web::rt::net::TcpStream;
use actix_web::web::Buf;
use socket2::SockRef;
use std::io::{Error, ErrorKind, IoSlice, Read, Result, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// The most bytes of a request's head. Those of browsers have about one thousand.
const MAX_HEAD: usize = 16 * 1024;
/// A client must take so many bytes of an answer, or what is left of it, within each deadline.
const PACE: usize = SLICE;
/// The most bytes of a body that are read at once: a few hundred chunks of a byte each, of which the parser makes a queue.
const PART: usize = 2048;

/// One connection's stream.
pub(crate) struct Stream {
    io: TcpStream,
    connection: Arc<Connection>,
    gate: Arc<Gate>,
    id: u64,
    /// What came in one read with the end of a head.
    held: Vec<u8>,
    end: HeadEnd,
    /// Bytes of the current head.
    head: usize,
    /// Bytes that the client has taken since its answer began to wait for it.
    taken: usize,
    sleep: Option<Pin<Box<Sleep>>>,
    /// A part of a body was given, and the handler has not had the time to take it.
    fed: bool,
}

impl Stream {
    pub(crate) fn new(io: TcpStream, gate: Arc<Gate>, (id, connection): (u64, Arc<Connection>)) -> Self {
        let (held, end) = (Vec::new(), HeadEnd::default());
        Self { io, connection, gate, id, held, end, head: 0, taken: 0, sleep: None, fed: false }
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Whether what began at `since` has taken too long. Where it has not, this task is woken when it will have.
    fn late(&mut self, cx: &mut Context<'_>, since: u64, patience: Duration) -> bool {
        let deadline = Instant::now() + patience.saturating_sub(ago(since));
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        let set = sleep.deadline();
        // `since` is exact to the millisecond, so the same deadline comes out a little different each time
        if set.max(deadline) - set.min(deadline) > Duration::from_millis(2) {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx).is_ready()
    }

    /// Says in the fewest words why the connection ends. Only where no answer is under way.
    fn refuse(&self, status: &str) -> Error {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        // a client that does not even take this gets none
        let _ = self.io.try_write(answer.as_bytes());
        self.gate.count_cut();
        Error::new(ErrorKind::TimedOut, status.to_owned())
    }

    /// Whether the head that is waited for has taken too long.
    fn poll_head_time(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let patience = self.connection.client_time();
        match self.connection.head_since() {
            Some(since) if self.late(cx, since, patience) => {
                Poll::Ready(Err(self.refuse("408 Request Timeout")))
            }
            _ => Poll::Pending,
        }
    }

    /// Reads at most up to the end of one head.
    fn poll_head(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buf.filled().len();
        if self.held.is_empty() {
            if Pin::new(&mut self.io).poll_read(cx, buf)?.is_pending() {
                if !self.connection.is_replaced() {
                    return self.poll_head_time(cx);
                }
                let read = (&*SockRef::from(&self.io)).read(buf.initialize_unfilled());
                buf.advance(self.last(read)?);
            }
        } else {
            self.take_held(buf, usize::MAX);
        }
        let came = &buf.filled()[before..];
        if came.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if self.connection.phase() == Phase::Idle {
            self.connection.head_begins();
            (self.head, self.end) = (0, HeadEnd::default());
        }
        let end = self.end.find(came);
        self.head += end.unwrap_or(came.len());
        if self.head > MAX_HEAD {
            return Poll::Ready(Err(self.refuse("431 Request Header Fields Too Large")));
        }
        if let Some(end) = end {
            self.held.splice(0..0, came[end..].iter().copied());
            buf.set_filled(before + end);
            self.connection.head_ends();
        }
        Poll::Ready(Ok(()))
    }

    /// What came of a call past the runtime, which a connection that is replaced makes instead of waiting: the runtime does not
    /// know of a socket what was so before its worker first waited for it. An error where the kernel would wait, too.
    fn last<T>(&self, done: Result<T>) -> Result<T> {
        done.map_err(|e| if e.kind() == ErrorKind::WouldBlock { self.replaced() } else { e })
    }

    fn replaced(&self) -> Error {
        self.gate.count_cut();
        place_needed()
    }

    fn take_held(&mut self, buf: &mut ReadBuf<'_>, most: usize) -> usize {
        let n = self.held.len().min(buf.remaining()).min(most);
        buf.put_slice(&self.held[..n]);
        self.held.drain(..n);
        n
    }

    /// Reads at most so many bytes; gives how many.
    fn poll_part(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>, most: u64) -> Poll<Result<usize>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(buf.remaining()).min(PART);
        if !self.held.is_empty() {
            return Poll::Ready(Ok(self.take_held(buf, most)));
        }
        let mut bytes = [0; PART];
        let mut part = ReadBuf::new(&mut bytes[..most]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut part))?;
        buf.put_slice(part.filled());
        Poll::Ready(Ok(part.filled().len()))
    }

    /// Ends where the client has gone, and reads nothing: what it sends ahead stays in the kernel.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut byte = [0];
        if self.held.is_empty() && ready!(self.io.poll_peek(cx, &mut ReadBuf::new(&mut byte)))? == 0 {
            return Poll::Ready(Ok(()));
        }
        self.connection.sends_ahead();
        Poll::Pending
    }

    /// Whether the client takes its answer too slowly.
    fn poll_pace(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        let since = self.connection.blocks();
        if self.late(cx, since, self.connection.client_time()) {
            self.gate.count_cut();
            return Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the answer is not read")));
        }
        Poll::Pending
    }

    /// The client has taken so many bytes.
    fn takes(&mut self, n: usize) {
        self.taken += n;
        if self.taken >= PACE {
            self.taken = 0;
            self.connection.blocks_anew();
        }
    }

    fn check(&self, cx: &Context<'_>) -> Result<()> {
        self.connection.register(cx);
        if self.connection.is_cut() {
            return Err(place_needed());
        }
        Ok(())
    }
}

fn place_needed() -> Error {
    Error::new(ErrorKind::ConnectionAborted, "another connection needs the place")
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.gate.left(self.id);
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        this.check(cx)?;
        match this.connection.phase() {
            Phase::Idle | Phase::Head => this.poll_head(cx, buf),
            Phase::Parsed => this.poll_gone(cx),
            Phase::Served if this.connection.body() == 0 => this.poll_gone(cx),
            // one part at a time: else all that the client has sent would wait in the parser's queue before the handler runs
            Phase::Served if std::mem::take(&mut this.fed) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Phase::Served => {
                let n = ready!(this.poll_part(cx, buf, this.connection.body()))?;
                this.connection.body_came(n as u64);
                this.fed = this.connection.body() > 0;
                Poll::Ready(Ok(()))
            }
            Phase::Closing => {
                // the answer is with the client, who had its time to send the rest: who stands still now does not stay
                if this.late(cx, this.connection.entered(), LINGER) {
                    this.gate.count_cut();
                    return Poll::Ready(Err(Error::new(
                        ErrorKind::TimedOut,
                        "the rest of the body does not come",
                    )));
                }
                let part = this.poll_part(cx, buf, u64::MAX);
                if part.is_pending() && this.connection.is_replaced() {
                    return Poll::Ready(Err(this.replaced()));
                }
                part.map_ok(drop)
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        this.check(cx)?;
        let mut handed = this.connection.handed();
        let io = Pin::new(&mut this.io);
        let parts = [IoSlice::new(bytes), IoSlice::new(&handed)];
        let mut written =
            if handed.is_empty() { io.poll_write(cx, bytes) } else { io.poll_write_vectored(cx, &parts) };
        if written.is_pending() && this.connection.is_replaced() {
            let past_the_runtime = (&*SockRef::from(&this.io)).write_vectored(&parts);
            written = Poll::Ready(this.last(past_the_runtime));
        }
        let Poll::Ready(n) = written? else {
            drop(handed);
            return this.poll_pace(cx);
        };
        let of_bytes = n.min(bytes.len());
        handed.advance(n - of_bytes);
        drop(handed);
        this.takes(n);
        Poll::Ready(Ok(of_bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        while !this.connection.handed().is_empty() {
            ready!(Pin::new(&mut *this).poll_write(cx, &[]))?;
        }
        this.taken = 0;
        this.connection.flushed();
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// Finds the empty line that ends a head. A line ends with LF, before which there may be a CR (RFC 9112, 2.2).
#[derive(Debug, Default)]
struct HeadEnd {
    /// A line with something in it has come. Empty lines before the first are skipped.
    begun: bool,
    /// The current line has something in it.
    filled: bool,
}

impl HeadEnd {
    /// How many of these bytes belong to the head, where it ends among them.
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut line = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            self.filled |= bytes[line..end].iter().any(|byte| *byte != b'\r');
            line = end + 1;
            if self.begun && !self.filled {
                return Some(line);
            }
            self.begun |= self.filled;
            self.filled = false;
        }
        self.filled |= bytes[line..].iter().any(|byte| *byte != b'\r');
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_its_empty_line() {
        for (head, rest) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /b"),
            ("GET / HTTP/1.1\nHost: x\n\n", ""),
            ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", "\r\n\r\n"),
            ("GET / HTTP/1.1\r\na: b\n\r\n", "c"),
        ] {
            let whole = format!("{head}{rest}");
            assert_eq!(HeadEnd::default().find(whole.as_bytes()), Some(head.len()), "{whole:?}");
            // also where it comes byte by byte
            let mut end = HeadEnd::default();
            let found = whole.bytes().position(|byte| end.find(&[byte]).is_some());
            assert_eq!(found, Some(head.len() - 1), "{whole:?}");
        }
        for part in ["", "\r\n\r\n", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\n"] {
            assert_eq!(HeadEnd::default().find(part.as_bytes()), None, "{part:?}");
        }
    }
}

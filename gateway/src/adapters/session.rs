//! The life of one stream connection after its handshakes: reading, writing and every time limit.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::connections::Registration;
use super::counters::Counters;
use super::limits::{Bucket, Limits};
use super::outbox::{Order, Outbox, Standing};
use super::room::{Hold, NoRoom};
use crate::ports::BoxFuture;
use crate::ports::transport::{CloseReason, Destination, Edge, Ingress, SendError, Source};

/// A connection that carries whole SIP messages: WebSocket frames, or a framed byte stream.
pub(crate) trait Wire: Send + Unpin {
    /// The next thing the peer says.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received>;

    /// Puts a message into the write buffer; called only when that is flushed.
    fn start_send(&mut self, message: Bytes) -> Result<(), CloseReason>;

    /// Puts the question for a sign of life into the write buffer; called only when that is flushed.
    fn start_ping(&mut self) -> Result<(), CloseReason>;

    /// Writes what is in the buffer.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>>;

    /// The number of the message that has begun and not ended: each has another one.
    fn unfinished(&self) -> Option<u64>;

    /// Bytes of half messages, ours and the peer's, for which there is room.
    fn held(&self) -> usize;

    /// All bytes that came so far.
    fn bytes_received(&self) -> u64;

    /// What the socket said when it failed.
    fn error(&mut self) -> Option<io::Error> {
        None
    }

    /// Says goodbye as far as the protocol has a word for it.
    fn close(&mut self, why: CloseReason) -> impl Future<Output = ()> + Send;
}

/// What came from the peer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Message(Bytes),
    /// CRLF CRLF, to be answered with CRLF (RFC 5626 §4.4.1).
    KeepAlive,
    /// A ping or a pong; the wire has seen to the answer.
    Control,
    End(CloseReason),
}

/// What a session belongs to.
pub(crate) struct Line<I> {
    pub(crate) ingress: I,
    pub(crate) source: Arc<Source>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) registration: Registration,
}

/// Serves a connection until it ends.
pub(crate) async fn run<W: Wire, I: Ingress>(wire: W, line: Line<I>) {
    line.ingress.opened(&line.source);
    let mut session = Session::new(wire, line, Instant::now());
    let why = poll_fn(|cx| session.poll(cx)).await;
    // Boxed: the task of an idle connection should not hold room for its end.
    Box::pin(session.end(why)).await;
}

/// Hands one message to the application. A panic there ends the work on this message and nothing else.
pub(crate) fn deliver<I: Ingress>(
    ingress: &I,
    source: &Arc<Source>,
    raw: Bytes,
    counters: &Arc<Counters>,
) -> BoxFuture<'static, ()> {
    let (ingress, source, counters) = (ingress.clone(), Arc::clone(source), Arc::clone(counters));
    let work = AssertUnwindSafe(async move { ingress.receive(&source, raw).await }).catch_unwind();
    Box::pin(work.map(move |result| {
        if result.is_err() {
            counters.note_panic();
        }
    }))
}

/// The reason that a socket's error amounts to.
pub(crate) fn io_reason(error: &io::Error) -> CloseReason {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => CloseReason::Peer,
        _ => CloseReason::Io,
    }
}

struct Session<W, I> {
    wire: W,
    line: Line<I>,
    /// The message being worked on. Boxed: idle connections have none.
    work: Option<BoxFuture<'static, ()>>,
    bucket: Option<Bucket>,
    timer: Pin<Box<Sleep>>,
    clocks: Clocks,
    /// As long as the peer has not shown who it is.
    stranger: Option<Hold>,
}

/// When things began; what follows from it is in [`Session::due`].
struct Clocks {
    opened: Instant,
    /// Bytes came.
    heard: Instant,
    heard_bytes: u64,
    /// A message came or left.
    active: Instant,
    pinged: Option<Instant>,
    /// The unfinished message, and when it began.
    mid_message: Option<(u64, Instant)>,
    /// The write buffer is not empty.
    writing: Option<Instant>,
    /// The peer has spent its tokens; read again then.
    throttled: Option<Instant>,
}

/// What became of a look at what the peer says.
enum Reading {
    /// There may be more.
    More,
    /// There is nothing, or it is not its turn yet.
    Waits,
    /// Nothing will come any more.
    Over(CloseReason),
}

/// What the clocks ask for.
enum Due {
    Close(CloseReason),
    Ping,
    At(Instant),
    Nothing,
}

impl<W: Wire, I: Ingress> Session<W, I> {
    fn new(wire: W, line: Line<I>, now: Instant) -> Self {
        let bucket = line.limits.rate.map(|rate| Bucket::new(rate, now));
        let clocks = Clocks {
            opened: now,
            heard: now,
            heard_bytes: 0,
            active: now,
            pinged: None,
            mid_message: None,
            writing: None,
            throttled: None,
        };
        let timer = Box::pin(sleep_until(now + line.limits.identification));
        let stranger = Some(line.registration.hold(line.source.remote.ip()));
        Self { wire, line, work: None, bucket, timer, clocks, stranger }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        for _ in 0..TURN {
            let now = Instant::now();
            // What was said is answered before anything else is read, a Close frame or what breaks the framing above all.
            let reading = self.read(cx, now);
            if let Err(why) = self.write(cx, now) {
                return Poll::Ready(why);
            }
            if let Reading::Over(why) = reading {
                return Poll::Ready(why);
            }
            if let Err(why) = self.judge_stranger() {
                return Poll::Ready(why);
            }
            if let Reading::More = reading {
                continue;
            }
            match self.due(now) {
                Due::Close(why) => return Poll::Ready(why),
                Due::Ping => {
                    self.clocks.pinged = Some(now);
                    self.clocks.writing = Some(now);
                    if let Err(why) = self.wire.start_ping() {
                        return Poll::Ready(why);
                    }
                }
                Due::At(at) => {
                    // Setting a timer forward costs more than letting it fire early.
                    if self.timer.is_elapsed() || at < self.timer.deadline() {
                        self.timer.as_mut().reset(at);
                    }
                    std::task::ready!(self.timer.as_mut().poll(cx));
                }
                Due::Nothing => return Poll::Pending,
            }
        }
        // Others wait too.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Strangers share what they may hold; who is known leaves them.
    fn judge_stranger(&mut self) -> Result<(), CloseReason> {
        let Some(hold) = &mut self.stranger else { return Ok(()) };
        if !self.line.outbox.standing().identified {
            let held = self.wire.held() + self.line.outbox.bytes();
            return hold.resize(held).map_err(|NoRoom| CloseReason::Policy);
        }
        self.stranger = None;
        if let Some(admission) = self.line.registration.admission() {
            admission.identify();
        }
        Ok(())
    }

    /// When the next thing may be read, if not now.
    fn ready_at(&mut self, now: Instant) -> Option<Instant> {
        let own = self.bucket.as_ref().and_then(|bucket| bucket.ready_at(now));
        let stranger = self.stranger.as_ref().and(self.line.registration.admission());
        own.max(stranger.and_then(|admission| admission.ready_at(now)))
    }

    /// Reads one thing, once the work on the one before is done.
    fn read(&mut self, cx: &mut Context<'_>, now: Instant) -> Reading {
        if !self.work_is_done(cx) {
            return Reading::Waits;
        }
        self.clocks.throttled = self.ready_at(now);
        if self.clocks.throttled.is_some() {
            return Reading::Waits;
        }
        let received = self.wire.poll_receive(cx);
        self.note_bytes(now);
        match received {
            Poll::Ready(Received::Message(raw)) => {
                self.count_message(now);
                self.clocks.active = now;
                if self.line.source.edge == Edge::Trunk {
                    self.line.outbox.identify();
                }
                let line = &self.line;
                let counters = line.registration.counters();
                self.work = Some(deliver(&line.ingress, &line.source, raw, counters));
                if self.work_is_done(cx) { Reading::More } else { Reading::Waits }
            }
            Poll::Ready(Received::KeepAlive) => {
                self.count_message(now);
                // A full queue closes the connection by itself.
                let _ = self.line.outbox.push(Bytes::from_static(b"\r\n"));
                Reading::More
            }
            Poll::Ready(Received::Control) => {
                self.count_message(now);
                Reading::More
            }
            Poll::Ready(Received::End(why)) => Reading::Over(why),
            Poll::Pending => {
                let before = self.clocks.mid_message;
                self.clocks.mid_message = self
                    .wire
                    .unfinished()
                    .map(|number| before.filter(|(same, _)| *same == number).unwrap_or((number, now)));
                Reading::Waits
            }
        }
    }

    fn work_is_done(&mut self, cx: &mut Context<'_>) -> bool {
        if self.work.as_mut().is_some_and(|work| work.as_mut().poll(cx).is_pending()) {
            return false;
        }
        self.work = None;
        true
    }

    fn note_bytes(&mut self, now: Instant) {
        let bytes = self.wire.bytes_received();
        if bytes != self.clocks.heard_bytes {
            self.clocks.heard_bytes = bytes;
            self.clocks.heard = now;
            self.clocks.pinged = None;
            self.line.outbox.heard();
        }
    }

    fn count_message(&mut self, now: Instant) {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(now);
        }
        if self.stranger.is_some()
            && let Some(admission) = self.line.registration.admission()
        {
            admission.take(now);
        }
    }

    /// Writes until the queue is empty or the peer takes no more.
    fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), CloseReason> {
        loop {
            if self.clocks.writing.is_some() {
                match self.wire.poll_flush(cx) {
                    Poll::Ready(Ok(())) => self.clocks.writing = None,
                    Poll::Ready(Err(why)) => return Err(why),
                    Poll::Pending => return self.poll_abort(cx),
                }
            }
            match self.line.outbox.poll_next(cx) {
                Poll::Ready(Order::Write(message)) => {
                    self.wire.start_send(message)?;
                    self.clocks.writing = Some(now);
                    self.clocks.active = now;
                }
                Poll::Ready(Order::Close(why)) => return Err(why),
                Poll::Pending => return Ok(()),
            }
        }
    }

    /// Writes what is queued: as many bytes as the queue may hold.
    async fn write_rest(&mut self) {
        // It ends with the queue's order to close, or because the peer is gone.
        let _ = poll_fn(|cx| match self.write(cx, Instant::now()) {
            Ok(()) => Poll::Pending,
            Err(why) => Poll::Ready(why),
        })
        .await;
    }

    /// While the peer takes nothing, only an overfull queue is of interest.
    fn poll_abort(&self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        match self.line.outbox.poll_abort(cx) {
            Poll::Ready(why) => Err(why),
            Poll::Pending => Ok(()),
        }
    }

    fn due(&self, now: Instant) -> Due {
        let (clocks, limits) = (&self.clocks, &self.line.limits);
        let Standing { identified, suspected, kept } = self.line.outbox.standing();
        let reading = self.work.is_none() && clocks.throttled.is_none();
        let quiet_since = clocks.heard;
        let deadlines = [
            ((!identified).then_some(clocks.opened), limits.identification, CloseReason::TooSlow),
            (
                clocks.mid_message.filter(|_| reading).map(|(_, since)| since),
                limits.frame,
                CloseReason::TooSlow,
            ),
            (clocks.pinged.filter(|_| reading), limits.pong_within, CloseReason::Silent),
            (clocks.writing, limits.write, CloseReason::SlowReader),
            (suspected, SUSPICION, CloseReason::Silent),
            (
                limits.idle.filter(|_| !kept).map(|_| clocks.active.max(quiet_since)),
                limits.idle.unwrap_or_default(),
                CloseReason::Idle,
            ),
        ];
        let mut next = clocks.throttled;
        for (since, allowed, why) in deadlines {
            let Some(at) = since.map(|since| since + allowed) else { continue };
            if at <= now {
                return Due::Close(why);
            }
            next = Some(next.map_or(at, |next| next.min(at)));
        }
        if let Some(after) = limits.ping_after
            && clocks.pinged.is_none()
            && clocks.writing.is_none()
            && reading
        {
            let at = quiet_since + after;
            if at <= now {
                return Due::Ping;
            }
            next = Some(next.map_or(at, |next| next.min(at)));
        }
        next.map_or(Due::Nothing, Due::At)
    }

    async fn end(mut self, why: CloseReason) {
        let error = self.wire.error();
        // Whoever has something to send takes another connection from now on.
        self.line.outbox.close(why);
        // A peer that is too slow for its answers and the goodbye goes without.
        let _ = timeout(CLOSE_WITHIN, async {
            // What waits for a connection that we dialled is told below, and goes to the next address at once.
            if why.leaves_a_reader() && self.line.source.dialled.is_none() {
                self.write_rest().await;
            }
            self.wire.close(why).await;
        })
        .await;
        let unwritten = self.line.outbox.finish().len() + usize::from(self.clocks.writing.is_some());
        drop(self.wire);
        if let Some(work) = self.work {
            // What the application has begun is never cut off in the middle.
            work.await;
        }
        let Line { ingress, source, registration, .. } = self.line;
        let (why_word, error) = (why.as_str(), error.map(tracing::field::display));
        match source.edge {
            Edge::Browser => tracing::debug!(?source, why = why_word, error, unwritten, "connection ended"),
            Edge::Trunk => tracing::info!(?source, why = why_word, error, unwritten, "connection ended"),
        }
        let stood_for = registration.end(why);
        ingress.closed(&source, why);
        for id in stood_for {
            ingress.unreachable(&Destination::Connection(id), SendError::Gone);
        }
    }
}

/// A suspect connection that stays silent so long is closed: 64·T1, in which whatever was asked over it has failed.
const SUSPICION: Duration = Duration::from_secs(32);

/// Messages of one connection that are worked on before others get their turn: usually the second look finds nothing.
const TURN: usize = 2;

/// For the close handshake.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;

//! What waits to be written to one connection.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::time::Instant;

use super::limits::Limits;
use crate::ports::transport::{CloseReason, ConnectionId, SendError, Sink};

/// A bounded queue towards one connection, with the orders that concern it. An empty one keeps no buffer, because most
/// connections are idle.
///
/// When it is full the message is refused and the connection is closed: whoever reads so slowly is no use as a peer, and
/// SIP's own repeats would only add to the queue.
#[derive(Debug)]
pub(crate) struct Outbox {
    max_bytes: usize,
    max_messages: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Bytes>,
    bytes: usize,
    phase: Phase,
    identified: bool,
    suspected: Option<Instant>,
    kept: bool,
    /// Connections that could not be made, whose messages go here; at most [`MAX_STAND_INS`].
    stands_for: VecDeque<ConnectionId>,
    waker: Option<Waker>,
}

/// What is thought of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// It has shown who it is.
    pub(crate) identified: bool,
    /// It left a request without a response, and has not been heard since.
    pub(crate) suspected: Option<Instant>,
    /// Calls live on the connection.
    pub(crate) kept: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// No more is taken; what is queued is still written.
    Closing(CloseReason),
    /// Nothing is written any more.
    Aborting(CloseReason),
    Gone,
}

/// What the connection has to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Write(Bytes),
    Close(CloseReason),
}

impl Outbox {
    pub(crate) fn new(limits: &Limits) -> Self {
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            phase: Phase::Open,
            identified: false,
            suspected: None,
            kept: false,
            stands_for: VecDeque::new(),
            waker: None,
        };
        Self { max_bytes: limits.queue_bytes, max_messages: limits.queue_messages, state: Mutex::new(state) }
    }

    /// Takes one message to be written.
    pub(crate) fn push(&self, message: Bytes) -> Result<(), SendError> {
        let mut state = self.state();
        if state.phase != Phase::Open {
            return Err(SendError::Gone);
        }
        let full = state.queue.len() >= self.max_messages || state.bytes + message.len() > self.max_bytes;
        if full {
            state.phase = Phase::Aborting(CloseReason::SlowReader);
        } else {
            state.bytes += message.len();
            state.queue.push_back(message);
        }
        state.wake();
        if full { Err(SendError::Full) } else { Ok(()) }
    }

    /// Asks for a close once the queue is written.
    pub(crate) fn close(&self, why: CloseReason) {
        let mut state = self.state();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing(why);
            state.wake();
        }
    }

    /// Notes that the peer has shown who it is.
    pub(crate) fn identify(&self) {
        let mut state = self.state();
        state.identified = true;
        state.wake();
    }

    /// Notes that a request was left without a response; until bytes come, other connections are better.
    pub(crate) fn suspect(&self, now: Instant) {
        let mut state = self.state();
        state.suspected.get_or_insert(now);
        state.wake();
    }

    /// Notes that the peer was heard.
    pub(crate) fn heard(&self) {
        self.state().suspected = None;
    }

    /// Calls live on the connection: it may be idle.
    pub(crate) fn keep(&self) {
        self.state().kept = true;
    }

    /// No call lives on it any more.
    pub(crate) fn release(&self) {
        let mut state = self.state();
        state.kept = false;
        state.wake();
    }

    pub(crate) fn standing(&self) -> Standing {
        let state = self.state();
        Standing { identified: state.identified, suspected: state.suspected, kept: state.kept }
    }

    /// Takes messages.
    pub(crate) fn is_open(&self) -> bool {
        self.state().phase == Phase::Open
    }

    /// Takes messages, and nothing speaks against it.
    pub(crate) fn is_trusted(&self) -> bool {
        let state = self.state();
        state.phase == Phase::Open && state.suspected.is_none()
    }

    /// Notes that another connection's messages go here. Tells which one that is no longer so for.
    ///
    /// # Errors
    /// [`SendError::Gone`] if this one has ended meanwhile.
    pub(crate) fn stand_for(&self, id: ConnectionId) -> Result<Option<ConnectionId>, SendError> {
        let mut state = self.state();
        if state.phase == Phase::Gone {
            return Err(SendError::Gone);
        }
        state.stands_for.push_back(id);
        Ok((state.stands_for.len() > MAX_STAND_INS).then(|| state.stands_for.pop_front()).flatten())
    }

    /// All of these.
    pub(crate) fn stood_for(&self) -> Vec<ConnectionId> {
        self.state().stands_for.iter().copied().collect()
    }

    /// The next order for the connection's task.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Order> {
        let mut state = self.state();
        if let Phase::Aborting(why) = state.phase {
            return Poll::Ready(Order::Close(why));
        }
        if let Some(message) = state.queue.pop_front() {
            state.bytes -= message.len();
            if state.queue.is_empty() {
                state.queue = VecDeque::new();
            }
            return Poll::Ready(Order::Write(message));
        }
        if let Phase::Closing(why) = state.phase {
            return Poll::Ready(Order::Close(why));
        }
        state.wake_later(cx);
        Poll::Pending
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// Whether the queue ran over; for a connection that cannot write at the moment.
    pub(crate) fn poll_abort(&self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let mut state = self.state();
        if let Phase::Aborting(why) = state.phase {
            return Poll::Ready(why);
        }
        state.wake_later(cx);
        Poll::Pending
    }

    /// Ends it: nothing is taken from now on. Gives what was never written.
    pub(crate) fn finish(&self) -> VecDeque<Bytes> {
        let mut state = self.state();
        state.phase = Phase::Gone;
        state.waker = None;
        state.bytes = 0;
        std::mem::take(&mut state.queue)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Outbox {
    fn send_to(&self, _remote: SocketAddr, bytes: Bytes) -> Result<(), SendError> {
        self.push(bytes)
    }
}

impl State {
    fn wake_later(&mut self, cx: &Context<'_>) {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Whatever went over an older one is answered or timed out: there is one in thirty seconds for each target.
const MAX_STAND_INS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(queue_messages: usize, queue_bytes: usize) -> Outbox {
        Outbox::new(&Limits { queue_messages, queue_bytes, ..Limits::browser() })
    }

    fn next(outbox: &Outbox) -> Poll<Order> {
        outbox.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    fn message(length: usize) -> Bytes {
        vec![b'x'; length].into()
    }

    #[test]
    fn messages_leave_in_order_and_before_an_orderly_close() {
        let outbox = outbox(8, 100);
        outbox.push(message(1)).expect("room");
        outbox.push(message(2)).expect("room");
        outbox.close(CloseReason::Restart);
        assert_eq!(outbox.push(message(3)), Err(SendError::Gone));
        assert_eq!(next(&outbox), Poll::Ready(Order::Write(message(1))));
        assert_eq!(next(&outbox), Poll::Ready(Order::Write(message(2))));
        assert_eq!(next(&outbox), Poll::Ready(Order::Close(CloseReason::Restart)));
    }

    #[test]
    fn one_message_or_one_byte_too_many_closes_at_once() {
        for (messages, bytes) in [(2, 100), (8, 2)] {
            let outbox = outbox(messages, bytes);
            outbox.push(message(1)).expect("room");
            outbox.push(message(1)).expect("room");
            assert_eq!(outbox.push(message(1)), Err(SendError::Full));
            assert_eq!(outbox.push(message(1)), Err(SendError::Gone));
            assert_eq!(next(&outbox), Poll::Ready(Order::Close(CloseReason::SlowReader)));
            assert_eq!(outbox.finish().len(), 2, "never written");
        }
    }

    #[test]
    fn bytes_are_freed_as_messages_leave() {
        let outbox = outbox(8, 10);
        for _ in 0..100 {
            outbox.push(message(10)).expect("room");
            assert_eq!(next(&outbox), Poll::Ready(Order::Write(message(10))));
        }
        assert!(next(&outbox).is_pending());
    }
}

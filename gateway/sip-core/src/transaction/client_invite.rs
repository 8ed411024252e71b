//! INVITE client transaction: RFC 3261 §17.1.1 (figure 5) as amended by RFC 6026 §7.2.
//!
//! ```text
//!                 INVITE sent
//!                      │
//!               ┌──────▼─────┐ A: send again
//!               │  Calling   ├──────────┐   B, transport error: tell the TU
//!               └┬────┬─────┬┘          └──────────────────────────────────┐
//!            1xx │    │ 2xx │ 300–699                                      │
//!      ┌─────────▼──┐ │     └──────────┐                                   │
//!      │ Proceeding ├─┼──────────────┐ │ ACK                               │
//!      └─────────┬──┘ │ 2xx  300–699 │ │                                   │
//!                │    │              │ │                                   │
//!      ┌─────────▼────▼──┐     ┌─────▼─▼────┐                              │
//!      │    Accepted     │     │  Completed │ 300–699: ACK again           │
//!      │ 2xx: to the TU  │     └─────┬──────┘                              │
//!      └────────┬────────┘           │ D, transport error                  │
//!             M │              ┌─────▼──────┐                              │
//!               └──────────────► Terminated ◄──────────────────────────────┘
//!                              └────────────┘
//! ```

use std::time::Duration;

use super::backoff::Backoff;
use super::derived::ack_for;
use super::machine::Fired;
use super::timing::Timers;
use crate::message::{Message, Status};
use crate::time::Instant;

/// One INVITE of ours.
#[derive(Debug)]
pub(super) struct ClientInvite {
    state: State,
}

#[derive(Debug)]
enum State {
    Calling {
        request: Message,
        resend: Option<Backoff>,
        give_up: Instant,
    },
    Proceeding {
        request: Message,
        give_up: Instant,
    },
    /// Proceeding after a CANCEL was sent: RFC 3261 §9.1 allows 64·T1 more, whatever else is said meanwhile.
    Cancelled {
        request: Message,
        give_up: Instant,
    },
    Completed {
        ack: Message,
        until: Instant,
    },
    Accepted {
        until: Instant,
    },
    Terminated,
}

/// What is to be done about a response.
#[derive(Debug)]
pub(super) enum Answer {
    /// For the transaction user.
    ForTu,
    /// For the transaction user, and acknowledged by the transaction.
    ForTuWithAck(Message),
    /// Seen before, and acknowledged again.
    AckAgain(Message),
    /// Seen before.
    Nothing,
}

impl ClientInvite {
    /// The table sends the request for the first time.
    pub fn new(request: Message, timers: &Timers, now: Instant) -> Self {
        let resend = timers.a.map(|interval| Backoff::new(interval, Duration::MAX, now));
        Self { state: State::Calling { request, resend, give_up: now + timers.b } }
    }

    /// A response with this branch and CSeq method.
    pub fn handle_response(
        &mut self,
        response: &Message,
        status: Status,
        timers: &Timers,
        now: Instant,
    ) -> Answer {
        if status.is_provisional() {
            self.provisional(timers, now)
        } else if status.is_success() {
            self.success(timers, now)
        } else {
            self.failure(response, timers, now)
        }
    }

    /// The time of [`ClientInvite::poll_timeout`] may have come.
    pub fn handle_timeout(&mut self, now: Instant) -> Fired {
        match &mut self.state {
            State::Calling { give_up, .. }
            | State::Proceeding { give_up, .. }
            | State::Cancelled { give_up, .. }
                if now >= *give_up =>
            {
                self.state = State::Terminated;
                Fired::TimedOut
            }
            State::Calling { request, resend: Some(resend), .. } => resend.resend(request, now),
            State::Completed { until, .. } | State::Accepted { until } if now >= *until => {
                self.state = State::Terminated;
                Fired::Nothing
            }
            State::Calling { resend: None, .. }
            | State::Proceeding { .. }
            | State::Cancelled { .. }
            | State::Completed { .. }
            | State::Accepted { .. }
            | State::Terminated => Fired::Nothing,
        }
    }

    /// When there is next something to do; never again once the transaction is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Calling { resend: Some(resend), give_up, .. } => Some(resend.at().min(*give_up)),
            State::Calling { resend: None, give_up, .. }
            | State::Proceeding { give_up, .. }
            | State::Cancelled { give_up, .. } => Some(*give_up),
            State::Completed { until, .. } | State::Accepted { until } => Some(*until),
            State::Terminated => None,
        }
    }

    /// What the transaction sent last could not be sent. Says whether the transaction user is to know.
    pub fn handle_send_failure(&mut self) -> bool {
        match &self.state {
            State::Calling { .. } | State::Completed { .. } => {
                self.state = State::Terminated;
                true
            }
            // Nothing of the transaction is on its way in these.
            State::Proceeding { .. }
            | State::Cancelled { .. }
            | State::Accepted { .. }
            | State::Terminated => false,
        }
    }

    /// The peer cannot be reached any more. Ends what has had no response at all.
    pub fn handle_peer_lost(&mut self) -> bool {
        match &self.state {
            State::Calling { .. } => self.handle_send_failure(),
            // The final response may come by a new connection (RFC 3261 §18.2.2).
            State::Proceeding { .. } | State::Cancelled { .. } => false,
            State::Completed { .. } | State::Accepted { .. } | State::Terminated => false,
        }
    }

    /// A CANCEL for this INVITE was sent (RFC 3261 §9.1, last paragraph).
    pub fn handle_cancelled(&mut self, timers: &Timers, now: Instant) {
        self.state = match self.take() {
            State::Proceeding { request, .. } => State::Cancelled { request, give_up: now + timers.b },
            // Without a provisional response a CANCEL may not be sent; B is running anyway.
            calling @ State::Calling { .. } => calling,
            over @ (State::Cancelled { .. }
            | State::Completed { .. }
            | State::Accepted { .. }
            | State::Terminated) => over,
        };
    }

    /// The transaction user turned to another destination: late answers are still wanted, repetitions not.
    pub fn stop_resending(&mut self) {
        if let State::Calling { resend, .. } = &mut self.state {
            *resend = None;
        }
    }

    fn provisional(&mut self, timers: &Timers, now: Instant) -> Answer {
        let (next, answer) = match self.take() {
            State::Calling { request, .. } | State::Proceeding { request, .. } => {
                // A call may ring; within a dialog nobody has to be fetched to the phone, and a final response that got
                // lost together with its dialog would be waited for in vain.
                let limit = if request.to_tag().is_some() { timers.b } else { timers.ringing_limit };
                (State::Proceeding { request, give_up: now + limit }, Answer::ForTu)
            }
            cancelled @ State::Cancelled { .. } => (cancelled, Answer::ForTu),
            over @ (State::Completed { .. } | State::Accepted { .. } | State::Terminated) => {
                (over, Answer::Nothing)
            }
        };
        self.state = next;
        answer
    }

    fn success(&mut self, timers: &Timers, now: Instant) -> Answer {
        let (next, answer) = match self.take() {
            State::Calling { .. } | State::Proceeding { .. } | State::Cancelled { .. } => {
                (State::Accepted { until: now + timers.m }, Answer::ForTu)
            }
            // RFC 6026 §7.2: a repeated 2xx or one of another fork, both the TU's to acknowledge.
            accepted @ State::Accepted { .. } => (accepted, Answer::ForTu),
            over @ (State::Completed { .. } | State::Terminated) => (over, Answer::Nothing),
        };
        self.state = next;
        answer
    }

    fn failure(&mut self, response: &Message, timers: &Timers, now: Instant) -> Answer {
        let (next, answer) = match self.take() {
            State::Calling { request, .. }
            | State::Proceeding { request, .. }
            | State::Cancelled { request, .. } => {
                let ack = ack_for(&request, response);
                (completed(ack.clone(), timers, now), Answer::ForTuWithAck(ack))
            }
            State::Completed { ack, until } => {
                let again = Answer::AckAgain(ack.clone());
                (State::Completed { ack, until }, again)
            }
            over @ (State::Accepted { .. } | State::Terminated) => (over, Answer::Nothing),
        };
        self.state = next;
        answer
    }

    fn take(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Terminated)
    }
}

/// Timer D of zero is no state at all (RFC 3261 §17.1.1.2).
fn completed(ack: Message, timers: &Timers, now: Instant) -> State {
    if timers.d.is_zero() { State::Terminated } else { State::Completed { ack, until: now + timers.d } }
}

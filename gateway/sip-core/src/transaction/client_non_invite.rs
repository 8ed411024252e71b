//! Non-INVITE client transaction: RFC 3261 §17.1.2 (figure 6).
//!
//! ```text
//!                 request sent
//!                      │
//!               ┌──────▼─────┐ E: send again
//!               │   Trying   ├─────────────┐  F, transport error: tell the TU
//!               └┬──────────┬┘             └─────────────────────┐
//!            1xx │          │ 200–699                            │
//!      ┌─────────▼──┐       │                                    │
//!      │ Proceeding ├───────┼──────────────┐ F, transport error  │
//!      │ E: again   │       │ 200–699      │                     │
//!      └─────────┬──┘ ┌─────▼──────┐       │                     │
//!                └────► Completed  │       │                     │
//!                     └─────┬──────┘       │                     │
//!                         K │              │                     │
//!                     ┌─────▼──────┐       │                     │
//!                     │ Terminated ◄───────┴─────────────────────┘
//!                     └────────────┘
//! ```

use super::backoff::Backoff;
use super::machine::Fired;
use super::timing::Timers;
use crate::message::{Message, Status};
use crate::time::Instant;

/// One request of ours other than INVITE and ACK.
#[derive(Debug)]
pub(super) struct ClientNonInvite {
    state: State,
}

#[derive(Debug)]
enum State {
    Trying(Waiting),
    Proceeding(Waiting),
    Completed { until: Instant },
    Terminated,
}

/// What the two states before the final response have in common.
#[derive(Debug)]
struct Waiting {
    request: Message,
    resend: Option<Backoff>,
    give_up: Instant,
}

/// What is to be done about a response.
#[derive(Debug)]
pub(super) enum Answer {
    /// For the transaction user.
    ForTu,
    /// Seen before.
    Nothing,
}

impl ClientNonInvite {
    /// The table sends the request for the first time.
    pub fn new(request: Message, timers: &Timers, now: Instant) -> Self {
        let resend = timers.e.map(|interval| Backoff::new(interval, timers.t2, now));
        Self { state: State::Trying(Waiting { request, resend, give_up: now + timers.f }) }
    }

    /// A response with this branch and CSeq method.
    pub fn handle_response(&mut self, status: Status, timers: &Timers, now: Instant) -> Answer {
        let (next, answer) = match (self.take(), status.is_provisional()) {
            (State::Trying(waiting) | State::Proceeding(waiting), true) => {
                (State::Proceeding(waiting.settled()), Answer::ForTu)
            }
            (State::Trying(_) | State::Proceeding(_), false) => (completed(timers, now), Answer::ForTu),
            (over @ (State::Completed { .. } | State::Terminated), _) => (over, Answer::Nothing),
        };
        self.state = next;
        answer
    }

    /// The time of [`ClientNonInvite::poll_timeout`] may have come.
    pub fn handle_timeout(&mut self, now: Instant) -> Fired {
        match &mut self.state {
            State::Trying(waiting) | State::Proceeding(waiting) if now >= waiting.give_up => {
                self.state = State::Terminated;
                Fired::TimedOut
            }
            State::Trying(Waiting { request, resend: Some(resend), .. })
            | State::Proceeding(Waiting { request, resend: Some(resend), .. }) => resend.resend(request, now),
            State::Completed { until } if now >= *until => {
                self.state = State::Terminated;
                Fired::Nothing
            }
            State::Trying(_) | State::Proceeding(_) | State::Completed { .. } | State::Terminated => {
                Fired::Nothing
            }
        }
    }

    /// When there is next something to do; never again once the transaction is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Trying(waiting) | State::Proceeding(waiting) => Some(waiting.next()),
            State::Completed { until } => Some(*until),
            State::Terminated => None,
        }
    }

    /// The request could not be sent, or its peer cannot be reached any more. Says whether the transaction user is to
    /// know.
    pub fn handle_transport_error(&mut self) -> bool {
        match &self.state {
            State::Trying(_) | State::Proceeding(_) => {
                self.state = State::Terminated;
                true
            }
            State::Completed { .. } | State::Terminated => false,
        }
    }

    /// Late answers are still wanted, repetitions of the request not.
    pub fn stop_resending(&mut self) {
        match &mut self.state {
            State::Trying(waiting) | State::Proceeding(waiting) => waiting.resend = None,
            State::Completed { .. } | State::Terminated => {}
        }
    }

    fn take(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Terminated)
    }
}

impl Waiting {
    fn next(&self) -> Instant {
        self.resend.map_or(self.give_up, |resend| resend.at().min(self.give_up))
    }

    /// RFC 3261 §17.1.2.2: in Proceeding, E is always reset to T2.
    fn settled(self) -> Self {
        Self { resend: self.resend.map(Backoff::settled), ..self }
    }
}

/// Timer K of zero is no state at all.
fn completed(timers: &Timers, now: Instant) -> State {
    if timers.k.is_zero() { State::Terminated } else { State::Completed { until: now + timers.k } }
}

//! Non-INVITE server transaction: RFC 3261 §17.2.2 (figure 8).
//!
//! ```text
//!                 request: to the TU
//!                         │
//!                  ┌──────▼─────┐ request: nothing
//!                  │   Trying   │
//!                  └┬──────────┬┘
//!       1xx from TU │          │ 200–699 from TU
//!         ┌─────────▼──┐       │
//!         │ Proceeding │       │
//!         │ request:   │       │
//!         │ last again │       │
//!         └─────────┬──┘ ┌─────▼──────┐ request: last again
//!   200–699 from TU └────► Completed  │ 200–699 from the TU: nothing
//!                        └─────┬──────┘
//!                            J │
//!                        ┌─────▼──────┐
//!                        │ Terminated │
//!                        └────────────┘
//! ```
//!
//! A transport error is told to the TU and changes no state (RFC 6026 §8 on RFC 3261 §17.2.4).

use super::Gone;
use super::machine::Fired;
use super::timing::Timers;
use crate::message::{Message, Status};
use crate::time::Instant;

/// One request of a peer other than INVITE and ACK.
#[derive(Debug)]
pub(super) struct ServerNonInvite {
    state: State,
}

#[derive(Debug)]
enum State {
    Trying { give_up: Instant },
    Proceeding { last: Message, give_up: Instant },
    Completed { last: Message, until: Instant },
    Terminated,
}

impl ServerNonInvite {
    /// The table passes the request to the transaction user.
    pub fn new(timers: &Timers, now: Instant) -> Self {
        // RFC 4320 §4.2: once the client's timer F has run out, a response is of no use to anybody.
        Self { state: State::Trying { give_up: now + timers.f } }
    }

    /// The request again: the response to repeat, if any.
    pub fn handle_retransmission(&self) -> Option<Message> {
        match &self.state {
            State::Proceeding { last, .. } | State::Completed { last, .. } => Some(last.clone()),
            State::Trying { .. } | State::Terminated => None,
        }
    }

    /// A response from the transaction user: what of it is to be sent.
    pub fn respond(
        &mut self,
        response: Message,
        status: Status,
        timers: &Timers,
        now: Instant,
    ) -> Option<Message> {
        match self.state {
            State::Trying { give_up } | State::Proceeding { give_up, .. } => {
                self.state = if status.is_provisional() {
                    State::Proceeding { last: response.clone(), give_up }
                } else {
                    completed(response.clone(), timers, now)
                };
                Some(response)
            }
            // RFC 3261 §17.2.2: any other final response of the TU is discarded.
            State::Completed { .. } | State::Terminated => None,
        }
    }

    /// The time of [`ServerNonInvite::poll_timeout`] may have come.
    pub fn handle_timeout(&mut self, now: Instant) -> Fired {
        match &self.state {
            State::Trying { give_up } | State::Proceeding { give_up, .. } if now >= *give_up => {
                self.state = State::Terminated;
                Fired::Gone(Gone::NoReply)
            }
            State::Completed { until, .. } if now >= *until => {
                self.state = State::Terminated;
                Fired::Nothing
            }
            State::Trying { .. } | State::Proceeding { .. } | State::Completed { .. } | State::Terminated => {
                Fired::Nothing
            }
        }
    }

    /// When there is next something to do; never again once the transaction is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Trying { give_up } | State::Proceeding { give_up, .. } => Some(*give_up),
            State::Completed { until, .. } => Some(*until),
            State::Terminated => None,
        }
    }
}

/// Timer J of zero is no state at all.
fn completed(last: Message, timers: &Timers, now: Instant) -> State {
    if timers.j.is_zero() { State::Terminated } else { State::Completed { last, until: now + timers.j } }
}

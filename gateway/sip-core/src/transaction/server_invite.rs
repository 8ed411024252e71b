//! INVITE server transaction: RFC 3261 §17.2.1 (figure 7) as amended by RFC 6026 §7.1.
//!
//! ```text
//!                    INVITE: to the TU, 100
//!                           │
//!                   ┌───────▼────────┐ INVITE: last response again
//!                   │   Proceeding   │ 101–199 from the TU: send
//!                   └──┬──────────┬──┘
//!      300–699 from TU │          │ 2xx from TU
//!        ┌─────────────▼──┐    ┌──▼─────────────────────┐
//!        │   Completed    │    │        Accepted        │
//!        │ INVITE, G:     │    │ INVITE: nothing        │
//!        │ response again │    │ ACK: to the TU         │
//!        └──┬─────────┬───┘    │ 2xx from the TU: send  │
//!       ACK │         │ H      └───────────┬────────────┘
//!   ┌───────▼───┐     │ tell the TU        │ L
//!   │ Confirmed │     │                    │
//!   │ ACK: -    │     │                    │
//!   └───────┬───┘ ┌───▼────────┐           │
//!         I └─────► Terminated ◄───────────┘
//!                 └────────────┘
//! ```
//!
//! A transport error is told to the TU and changes no state (RFC 6026 §8 on RFC 3261 §17.2.4).

use super::backoff::Backoff;
use super::machine::Fired;
use super::timing::{Timers, Trying};
use super::{Attempt, Gone};
use crate::message::{Message, Status};
use crate::time::Instant;

/// One INVITE of a peer.
#[derive(Debug)]
pub(super) struct ServerInvite {
    state: State,
}

#[derive(Debug)]
enum State {
    Proceeding {
        last: Option<Message>,
        trying: Option<LateTrying>,
        give_up: Instant,
    },
    Completed {
        last: Message,
        resend: Backoff,
        give_up: Instant,
    },
    /// Completed over a reliable transport: nothing is repeated, so only what an ACK is known by is kept.
    Unacknowledged {
        to_tag: Option<Box<str>>,
        give_up: Instant,
    },
    Confirmed {
        until: Instant,
    },
    Accepted {
        until: Instant,
    },
    Terminated,
}

/// The 100 that is sent when the transaction user takes its time.
#[derive(Debug)]
struct LateTrying {
    at: Instant,
    response: Message,
}

/// Whose an ACK is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AckOf {
    /// Of a 2xx: the transaction user's.
    Success,
    /// Of a 300–699 response, or senseless.
    Failure,
}

impl ServerInvite {
    /// `trying` is the 100 for the request. Returned when it is to be sent at once.
    pub fn new(trying: Message, when: Trying, timers: &Timers, now: Instant) -> (Self, Option<Message>) {
        let (at_once, later) = match when {
            Trying::AtOnce => (Some(trying), None),
            Trying::After(delay) => (None, Some(LateTrying { at: now + delay, response: trying })),
        };
        let give_up = now + timers.ringing_limit;
        (Self { state: State::Proceeding { last: at_once.clone(), trying: later, give_up } }, at_once)
    }

    /// The INVITE again: the response to repeat, if any.
    pub fn handle_retransmission(&self) -> Option<Message> {
        match &self.state {
            State::Proceeding { last, .. } => last.clone(),
            State::Completed { last, .. } => Some(last.clone()),
            State::Unacknowledged { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => None,
        }
    }

    /// An ACK with the branch of the INVITE.
    pub fn handle_ack(&mut self, timers: &Timers, now: Instant) -> AckOf {
        match &self.state {
            State::Completed { .. } | State::Unacknowledged { .. } => {
                self.state = confirmed(timers, now);
                AckOf::Failure
            }
            State::Accepted { .. } => AckOf::Success,
            State::Proceeding { .. } | State::Confirmed { .. } | State::Terminated => AckOf::Failure,
        }
    }

    /// Whether an ACK with this To tag can mean what was answered; asked for RFC 2543 peers alone (RFC 3261 §17.2.3).
    pub fn has_answered_with(&self, to_tag: Option<&str>) -> bool {
        match &self.state {
            State::Completed { last, .. } => last.to_tag() == to_tag,
            State::Unacknowledged { to_tag: given, .. } => given.as_deref() == to_tag,
            State::Proceeding { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => true,
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
        match &self.state {
            State::Proceeding { .. } => {
                self.state = answered(response.clone(), status, timers, now);
                Some(response)
            }
            // RFC 6026 §7.1: the TU repeats its 2xx until the ACK, and this only passes it on.
            State::Accepted { .. } => status.is_success().then_some(response),
            // RFC 3261 §17.2.1: any other final response of the TU is discarded.
            State::Completed { .. }
            | State::Unacknowledged { .. }
            | State::Confirmed { .. }
            | State::Terminated => None,
        }
    }

    /// The time of [`ServerInvite::poll_timeout`] may have come.
    pub fn handle_timeout(&mut self, now: Instant) -> Fired {
        match &mut self.state {
            State::Proceeding { give_up, .. } if now >= *give_up => self.gone(Gone::NoReply),
            State::Proceeding { last, trying, .. } => match trying.take_if(|trying| now >= trying.at) {
                Some(trying) => {
                    *last = Some(trying.response.clone());
                    Fired::Send(trying.response, Attempt::First)
                }
                None => Fired::Nothing,
            },
            State::Completed { give_up, .. } | State::Unacknowledged { give_up, .. } if now >= *give_up => {
                self.gone(Gone::NoAck)
            }
            State::Completed { last, resend, .. } => resend.resend(last, now),
            State::Confirmed { until } | State::Accepted { until } if now >= *until => {
                self.state = State::Terminated;
                Fired::Nothing
            }
            State::Unacknowledged { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => Fired::Nothing,
        }
    }

    /// When there is next something to do; never again once the transaction is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Proceeding { trying: Some(trying), give_up, .. } => Some(trying.at.min(*give_up)),
            State::Completed { resend, give_up, .. } => Some(resend.at().min(*give_up)),
            State::Proceeding { trying: None, give_up, .. } | State::Unacknowledged { give_up, .. } => {
                Some(*give_up)
            }
            State::Confirmed { until } | State::Accepted { until } => Some(*until),
            State::Terminated => None,
        }
    }

    fn gone(&mut self, reason: Gone) -> Fired {
        self.state = State::Terminated;
        Fired::Gone(reason)
    }
}

/// Where the first response of each class leads from Proceeding.
fn answered(response: Message, status: Status, timers: &Timers, now: Instant) -> State {
    if status.is_provisional() {
        State::Proceeding { last: Some(response), trying: None, give_up: now + timers.ringing_limit }
    } else if status.is_success() {
        // RFC 6026 §7.1: a 2xx is the TU's to repeat, so it is not kept here.
        State::Accepted { until: now + timers.l }
    } else {
        let give_up = now + timers.h;
        match timers.g {
            Some(interval) => {
                State::Completed { last: response, resend: Backoff::new(interval, timers.t2, now), give_up }
            }
            None => State::Unacknowledged { to_tag: response.to_tag().map(Box::from), give_up },
        }
    }
}

/// Timer I of zero is no state at all.
fn confirmed(timers: &Timers, now: Instant) -> State {
    if timers.i.is_zero() { State::Terminated } else { State::Confirmed { until: now + timers.i } }
}

//! What either side of a leg still owes the other: an open request in either direction, or the ACK of a 2xx.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::message::{Message, Method, Name, Status};
use crate::routing::{Destination, LegId};
use crate::sdp::Format;
use crate::time::UnixMillis;

use super::Effect;
use super::leg::Line;
use super::media::Wish;
use super::policy::Policy;
use super::refusal::Refusal;
use super::step::Step;
use super::stored::Stored;

/// The one exchange of offer and answer that a confirmed dialog may have open: a further offer is refused (RFC 3261 §14.2),
/// and none of ours goes out meanwhile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Exchange {
    None,
    /// The peer's re-INVITE or UPDATE waits for our final response.
    Asked(Asked),
    /// Our re-INVITE waits for the peer's.
    Asking(Asking),
    /// Our 2xx to an INVITE waits for its ACK, and is repeated until then.
    Unacked(Unacked),
}

/// A request of the peer that we did not answer yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) request: Stored,
    pub(super) from: Destination,
    /// The last provisional response, to be repeated for a repeated INVITE.
    pub(super) told: Option<Status>,
}

/// A re-INVITE of ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asking {
    pub(super) cseq: u32,
    pub(super) offer: Offer,
}

/// What we offer within the dialog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Offer {
    pub(super) why: Why,
    pub(super) formats: Vec<Format>,
    pub(super) wish: Wish,
    /// How often it met a 491.
    pub(super) refused: u8,
}

/// Why we send a re-INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Why {
    /// The other leg's peer made an offer and waits for what this peer answers.
    Forward,
    /// The other leg changed by an answer, which can't be refused any more.
    Follow,
    /// The session timer (RFC 4028).
    Refresh,
}

/// A 2xx of ours without ACK (RFC 3261 §13.3.1.4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Unacked {
    pub(super) response: Stored,
    pub(super) to: Destination,
    /// Milliseconds until the next repetition.
    interval: u64,
    give_up: UnixMillis,
    pub(super) kind: AckKind,
}

/// What kind of 2xx waits for its ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AckKind {
    /// The 2xx holds our offer, so the ACK must bring the answer.
    pub(super) brings_answer: bool,
    /// It answered the call's first INVITE.
    pub(super) is_first: bool,
}

impl Asked {
    /// Does this CANCEL mean the request (RFC 3261 §9.2)?
    pub(super) fn is_cancelled_by(&self, cancel: &Message) -> bool {
        let request = &self.request.0;
        request.cseq() == (cancel.cseq().0, &Method::Invite)
            && request.call_id() == cancel.call_id()
            && request.via().branch == cancel.via().branch
    }

    /// RFC 3261 §14.2: another offer while this one waits comes again after 0 to 10 s.
    pub(super) fn later(line: &Line, request: &Message, step: &Step<'_>) -> Refusal {
        let seconds = step.sealer.number(step.call, line.id, request.call_id()) % 10 + 1;
        Refusal::from(Status::SERVER_INTERNAL_ERROR).with(Name::RetryAfter, seconds)
    }
}

impl Unacked {
    pub(super) fn new(
        response: Message,
        to: Destination,
        kind: AckKind,
        policy: &Policy,
        now: UnixMillis,
    ) -> Self {
        let interval = millis(policy.t1);
        let give_up = now.plus(policy.t1.saturating_mul(64));
        Self { response: Stored(response), to, interval, give_up, kind }
    }

    /// Once more.
    pub(super) fn send(&self, leg: LegId, step: &mut Step<'_>) {
        step.push(Effect::Respond { leg, message: self.response.0.clone(), to: self.to.clone() });
    }

    /// CSeq number of the INVITE that it answers.
    pub(super) fn cseq(&self) -> u32 {
        self.response.0.cseq().0
    }

    /// Time passed without an ACK: how long to wait after the next repetition; `None` if it is time to give up.
    pub(super) fn again(&mut self, policy: &Policy, now: UnixMillis) -> Option<Duration> {
        if now >= self.give_up {
            return None;
        }
        self.interval = self.interval.saturating_mul(2).min(millis(policy.t2));
        Some(Duration::from_millis(self.interval))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

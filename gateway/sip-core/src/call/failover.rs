//! The callee's candidates, one after the other (RFC 3263 §4.3), and what late answers of abandoned ones get.
//!
//! Each attempt is a new INVITE of the same call: new branch, next CSeq number, so that two addresses of one server don't
//! take the second for a merged request (RFC 3261 §8.2.2.2). The caller never hears of an attempt that came to nothing.

use std::net::IpAddr;
use std::time::Duration;

use relay_api::LegName;
use serde::{Deserialize, Serialize};

use crate::message::{Message, Method, Status};
use crate::routing::Destination;
use crate::transaction::cancel_for;

use super::leg::{HOPS, Leg, Peer, State};
use super::session::Then;
use super::step::Step;
use super::stored::Stored;
use super::{Call, CallTimer, Candidate, Effect, Failure, FarEnd, PassedOver, orphan, status};

/// An attempt that was given up before its final response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Abandoned {
    /// The INVITE, without body.
    invite: Stored,
    to: Destination,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// No response yet, so no CANCEL either (RFC 3261 §9.1).
    Silent,
    /// The CANCEL was sent.
    Cancelled,
    /// A final response came, or none will come.
    Over,
}

impl Call {
    /// The callee sent no response to its INVITE in time: the next candidate is called, or the caller is refused.
    pub(super) fn callee_silent(&mut self, step: &mut Step<'_>) {
        let FarEnd::Leg(b) = &mut self.b else { return };
        if b.was_heard() {
            return;
        }
        match b.state {
            State::Early => {}
            State::Cancelled { .. } => return b.stop_resending(step),
            State::Waiting
            | State::Confirmed
            | State::Closing { .. }
            | State::Leaving { .. }
            | State::Ended => return,
        }
        let status = match b.link.destination {
            Destination::Flow(_) => Status::TEMPORARILY_UNAVAILABLE,
            Destination::Trunk(_) => Status::SERVICE_UNAVAILABLE,
        };
        b.pass_over(None, PassedOver::Silent, step);
        b.abandon_attempt(step);
        if !self.call_next(step) {
            self.callee_gone(status, None, step);
        }
    }

    /// A refusal that says nothing about the user, but that this way to him is closed.
    pub(super) fn callee_refused(&mut self, response: &Message, told: Status, step: &mut Step<'_>) {
        let FarEnd::Leg(b) = &mut self.b else { return };
        b.note_final(step);
        if told == Status::SERVICE_UNAVAILABLE
            && let Some(seconds) = status::retry_after(response)
        {
            b.pass_over(Some(seconds), PassedOver::Unavailable, step);
        }
        if !(b.is_way_closed(told) && self.call_next(step)) {
            let (status, retry_after) = super::answer::refusal(response, told);
            self.callee_gone(status, retry_after, step);
        }
    }

    /// The INVITE got no final response from the transport or the transaction.
    pub(super) fn callee_unreachable(&mut self, failure: Failure, step: &mut Step<'_>) {
        let FarEnd::Leg(b) = &mut self.b else { return };
        let over_flow = b.link.destination.flow().is_some();
        if b.state == State::Early && !b.was_heard() {
            b.pass_over(None, PassedOver::Failed(failure), step);
        }
        b.note_final(step);
        if !self.call_next(step) {
            self.callee_gone(status::of_failure(failure, over_flow), None, step);
        }
    }

    /// Calls the next candidate; false if there is none, or if nobody wants the call any more.
    pub(super) fn call_next(&mut self, step: &mut Step<'_>) -> bool {
        let FarEnd::Leg(b) = &mut self.b else { return false };
        let is_open = matches!(b.state, State::Waiting | State::Early);
        if self.ending.is_some() || !is_open || b.further.is_empty() {
            return false;
        }
        let next = b.further.remove(0);
        let is_elsewhere = next.destination.trunk_ip() != b.link.destination.trunk_ip();
        b.turn_to(next, step);
        if is_elsewhere {
            // The relay may have another address for it.
            step.stop(CallTimer::NoAnswer);
            b.state = State::Waiting;
            self.declare_media_then(Then::Call, step);
        } else {
            self.declare_media(step);
            self.invite_callee(step);
        }
        true
    }

    /// The relay has no address for this peer. If the callee is there, its next candidate at another address is called;
    /// false if there is none, or if the peer is the caller.
    pub(super) fn call_elsewhere(&mut self, peer: IpAddr, step: &mut Step<'_>) -> bool {
        let FarEnd::Leg(b) = &mut self.b else { return false };
        let is_there =
            |to: &Destination| to.trunk_ip().is_some_and(|ip| ip.to_canonical() == peer.to_canonical());
        if !is_there(&b.link.destination) {
            return false;
        }
        b.further.retain(|next| !is_there(&next.destination));
        self.call_next(step)
    }

    /// A response to an attempt that was abandoned; false if it is to another request.
    pub(super) fn late_response(
        &mut self,
        name: LegName,
        response: &Message,
        status: Status,
        step: &mut Step<'_>,
    ) -> bool {
        let Some(attempt) = self.abandoned(name, response.cseq().0) else { return false };
        match (attempt.stage, status.code()) {
            (Stage::Silent, 100..=199) => attempt.cancel(step),
            (Stage::Cancelled | Stage::Over, 100..=199) => {}
            (_, 200..=299) => attempt.clear(response, step),
            (_, _) => attempt.stage = Stage::Over,
        }
        self.stop_waiting(step);
        true
    }

    /// The transaction of an abandoned attempt ended without a final response.
    pub(super) fn late_failure(&mut self, name: LegName, cseq: u32, step: &mut Step<'_>) {
        if let Some(attempt) = self.abandoned(name, cseq) {
            attempt.stage = Stage::Over;
            self.stop_waiting(step);
        }
    }

    /// Abandoned attempts stayed without a final response.
    pub(super) fn abandoned_over(&mut self) {
        let FarEnd::Leg(b) = &mut self.b else { return };
        b.abandoned.iter_mut().for_each(|attempt| attempt.stage = Stage::Over);
    }

    fn abandoned(&mut self, name: LegName, cseq: u32) -> Option<&mut Abandoned> {
        let leg = self.leg_mut(name)?;
        leg.abandoned.iter_mut().find(|attempt| attempt.invite.0.cseq().0 == cseq)
    }

    fn stop_waiting(&mut self, step: &mut Step<'_>) {
        if let FarEnd::Leg(b) = &self.b
            && b.attempts_are_over()
            && !self.over
        {
            step.stop(CallTimer::Abandoned);
        }
    }
}

impl Leg {
    /// May the leg be forgotten, as far as its former attempts are concerned?
    pub(super) fn attempts_are_over(&self) -> bool {
        self.abandoned.iter().all(|attempt| attempt.stage == Stage::Over)
    }

    /// How long this attempt may stay without a response. Each candidate gets half the time of the one before: all of them
    /// together less than twice the first.
    pub(super) fn patience(&self, cseq: u32) -> Duration {
        self.link.first_reply / 2u32.saturating_pow(cseq.saturating_sub(1))
    }

    /// The INVITE has had a response: its address lives.
    pub(super) fn note_provisional(&mut self, step: &mut Step<'_>) {
        if let Some(asking) = &mut self.asking
            && !std::mem::replace(&mut asking.provisional, true)
        {
            step.stop(CallTimer::FirstReply);
        }
    }

    /// The INVITE is over.
    fn note_final(&mut self, step: &mut Step<'_>) {
        self.note_provisional(step);
        self.asking = None;
    }

    fn was_heard(&self) -> bool {
        self.asking.as_ref().is_some_and(|asking| asking.provisional)
    }

    /// RFC 3263 §4.3 for 503; RFC 5626 §5.3 for 430; a binding that does not answer is passed over as well.
    fn is_way_closed(&self, told: Status) -> bool {
        match told.code() {
            503 => true,
            408 | 430 => self.link.destination.flow().is_some(),
            _ => false,
        }
    }

    fn pass_over(&self, seconds: Option<u32>, why: PassedOver, step: &mut Step<'_>) {
        step.push(Effect::PassOver { to: self.link.destination.clone(), seconds, why });
    }

    /// The INVITE, which had no response, is not waited for; a late one will find it here, to be cancelled, or acknowledged
    /// and ended (RFC 3261 §9.1, §13.2.2.4).
    fn abandon_attempt(&mut self, step: &mut Step<'_>) {
        let Some(invite) = self.open_invite() else { return };
        self.stop_resending(step);
        self.asking = None;
        step.start(CallTimer::Abandoned, step.policy.t1.saturating_mul(64));
        self.abandoned.push(Abandoned {
            invite: Stored(invite),
            to: self.destination(),
            stage: Stage::Silent,
        });
    }

    /// Who was silent until now would be rung by a repetition once he is back, and nobody wants him any more.
    fn stop_resending(&self, step: &mut Step<'_>) {
        if let Some(invite) = self.open_invite() {
            step.push(Effect::StopResending { invite });
        }
    }

    /// Our INVITE without a final response, but for its body. Its dialog takes shape with a 2xx alone, so it still says
    /// what the INVITE said.
    pub(super) fn open_invite(&self) -> Option<Message> {
        let asking = self.asking.as_ref()?;
        self.dialog.request(&Method::Invite, asking.cseq, &asking.via, HOPS).build().ok()
    }

    fn turn_to(&mut self, next: Candidate, step: &Step<'_>) {
        self.dialog.retarget(next.request_uri);
        self.link.destination = next.destination;
        self.link.local = next.local;
        *self.media = self.media.anew(&self.link, super::leg::session_id(step.call, self.name));
        self.forks.clear();
        self.peer = Peer::default();
        self.lost = false;
    }
}

impl Abandoned {
    fn cancel(&mut self, step: &mut Step<'_>) {
        let message = cancel_for(&self.invite.0);
        step.push(Effect::Send { leg: LegName::B, message, to: self.to.clone() });
        step.start(CallTimer::Abandoned, step.policy.t1.saturating_mul(64));
        self.stage = Stage::Cancelled;
    }

    /// The CANCEL came too late: ACK and BYE, for a repeated 2xx the ACK alone.
    fn clear(&mut self, response: &Message, step: &mut Step<'_>) {
        let known = std::mem::replace(&mut self.stage, Stage::Over) == Stage::Over;
        for effect in orphan(response, &self.to, step.sealer) {
            if !known || matches!(effect, Effect::SendAck { .. }) {
                step.push(effect);
            }
        }
    }
}

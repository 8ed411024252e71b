//! How calls end: CANCEL, BYE, refusals, lost connections, and what is left to do then.

use relay_api::LegName;
use serde::{Deserialize, Serialize};

use crate::message::{Message, Method, Name, Status};
use crate::routing::{Destination, FlowId};
use crate::sdp::SdpError;

use super::leg::{HOPS, Leg, State, with_reason};
use super::status::Warning;
use super::step::Step;
use super::{Call, CallTimer, Cause, Effect, Failure, FarEnd, Summary, status};

/// Why the call ends; the first reason counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ending {
    cause: Cause,
    by: Option<LegName>,
    /// For leg A's INVITE, if it has no final response yet.
    status: Status,
    retry_after: Option<u32>,
    /// For leg A's INVITE, to say why (RFC 3261 §20.43).
    warning: Option<Warning>,
    /// For BYE and CANCEL (RFC 3326).
    reason: Option<String>,
}

impl Ending {
    fn of(cause: Cause, by: Option<LegName>, reason: Option<String>) -> Self {
        let (status, warning) = (status::status_of(cause), status::warning_of(cause));
        Self { cause, by, status, retry_after: None, warning, reason }
    }
}

impl Call {
    /// CANCEL of the first INVITE or of a re-INVITE (RFC 3261 §9.2). It has no effect on what is answered already.
    pub(super) fn cancel(
        &mut self,
        name: LegName,
        cancel: &Message,
        from: &Destination,
        step: &mut Step<'_>,
    ) {
        let Some(leg) = self.leg(name) else { return };
        let (cseq, _) = cancel.cseq();
        leg.reply(cancel, Status::OK, from, step);
        let meant = leg.asked.as_ref().filter(|asked| {
            let request = &asked.request.0;
            request.cseq() == (cseq, &Method::Invite)
                && request.call_id() == cancel.call_id()
                && request.via().branch == cancel.via().branch
        });
        match (meant.is_some(), &leg.state) {
            (false, _) => {}
            (true, State::Early) => self.end(Cause::Cancelled, Some(name), reason_in(cancel), step),
            (true, _) => self.offer_cancelled(name, step),
        }
    }

    /// The peer hangs up (RFC 3261 §15.1.2). A callee may not end an early dialog like that.
    pub(super) fn bye(&mut self, name: LegName, bye: &Message, from: &Destination, step: &mut Step<'_>) {
        let Some(leg) = self.leg_mut(name) else { return };
        match (name, &leg.state) {
            (LegName::B, State::Waiting | State::Early | State::Cancelled { .. }) => {
                leg.reply(bye, Status::CALL_DOES_NOT_EXIST, from, step);
            }
            (LegName::A, State::Early) => {
                leg.reply(bye, Status::OK, from, step);
                self.end(Cause::Cancelled, Some(name), reason_in(bye), step);
            }
            (_, _) => {
                leg.reply(bye, Status::OK, from, step);
                leg.drop_open_request(Status::REQUEST_TERMINATED, step);
                leg.forget_timers(step);
                leg.state = State::Ended;
                self.end(Cause::HungUp, Some(name), reason_in(bye), step);
            }
        }
    }

    /// The wait after a BYE that was not delivered is over.
    pub(super) fn bye_again(&mut self, name: LegName, step: &mut Step<'_>) {
        let Some(leg) = self.leg_mut(name) else { return };
        if let State::Leaving { failed, reason, .. } = &leg.state {
            let (failed, reason) = (*failed, reason.clone());
            leg.try_bye(reason, failed, step);
        }
    }

    /// Leg B can't be reached, or refused.
    pub(super) fn callee_gone(&mut self, status: Status, retry_after: Option<u32>, step: &mut Step<'_>) {
        let FarEnd::Leg(b) = &mut self.b else { return };
        let cancelled = matches!(b.state, State::Cancelled { .. });
        step.stop(if cancelled { CallTimer::CancelWait } else { CallTimer::NoAnswer });
        b.asking = None;
        b.state = State::Ended;
        let (cause, by) = (Cause::Refused, Some(LegName::B));
        self.end_as(Ending { cause, by, status, retry_after, warning: None, reason: None }, step);
    }

    pub(super) fn no_answer(&mut self, step: &mut Step<'_>) {
        if self.leg(LegName::B).is_some_and(|b| b.state == State::Early) {
            self.end(Cause::NoAnswer, None, None, step);
        }
    }

    /// A cancelled INVITE stays without a final response (RFC 3261 §9.1).
    pub(super) fn cancel_wait_over(&mut self, step: &mut Step<'_>) {
        let FarEnd::Leg(b) = &mut self.b else { return };
        if matches!(b.state, State::Cancelled { .. }) {
            b.abandon_invite(step);
        }
    }

    pub(super) fn flow_lost(&mut self, name: LegName, flow: FlowId, step: &mut Step<'_>) {
        let Some(leg) = self.leg_mut(name).filter(|leg| leg.uses(flow) && !leg.lost) else { return };
        leg.lost = true;
        match leg.state {
            State::Early if name == LegName::A => self.end(Cause::FlowLost, Some(name), None, step),
            State::Early if !leg.further.is_empty() => {
                leg.drop_invite(step);
                self.call_next(step);
            }
            State::Early | State::Cancelled { .. } => {
                leg.abandon_invite(step);
                self.end(Cause::FlowLost, Some(name), None, step);
            }
            State::Confirmed => step.start(CallTimer::Grace(name), step.policy.grace),
            State::Closing { .. } | State::Leaving { .. } => {
                leg.forget_timers(step);
                leg.state = State::Ended;
            }
            State::Waiting | State::Ended => {}
        }
    }

    pub(super) fn flow_restored(&mut self, name: LegName, was: FlowId, flow: FlowId, step: &mut Step<'_>) {
        let Some(leg) = self.leg_mut(name).filter(|leg| leg.uses(was)) else { return };
        let to = Destination::Flow(flow);
        if std::mem::take(&mut leg.lost) {
            step.stop(CallTimer::Grace(name));
        }
        if let Some(asked) = &mut leg.asked {
            asked.from = to.clone();
        }
        if let Some(unacked) = &mut leg.unacked {
            unacked.to = to.clone();
        }
        leg.link.destination = to;
    }

    pub(super) fn grace_over(&mut self, name: LegName, step: &mut Step<'_>) {
        if self.leg(name).is_some_and(|leg| leg.lost) {
            self.end(Cause::FlowLost, Some(name), None, step);
        }
    }

    /// Ends the call for a cause of ours or of one leg.
    pub(super) fn end(
        &mut self,
        cause: Cause,
        by: Option<LegName>,
        reason: Option<String>,
        step: &mut Step<'_>,
    ) {
        let reason = reason.or_else(|| status::reason_of(cause).map(str::to_owned));
        self.end_as(Ending::of(cause, by, reason), step);
    }

    /// Ends the call because of what the callee's answer says.
    pub(super) fn end_for_sdp(&mut self, error: SdpError, step: &mut Step<'_>) {
        let cause = Cause::NoCommonCodec;
        let reason = status::reason_of(cause).map(str::to_owned);
        let warning = Some(Warning::of_callee(error));
        self.end_as(Ending { warning, ..Ending::of(cause, Some(LegName::B), reason) }, step);
    }

    fn end_as(&mut self, ending: Ending, step: &mut Step<'_>) {
        if self.ending.is_some() {
            return;
        }
        self.release_media(step);
        self.prepared = None;
        self.behind = None;
        self.close_caller(&ending, step);
        if let FarEnd::Leg(b) = &mut self.b {
            b.close(ending.reason.as_deref(), step);
        }
        self.ending = Some(ending);
    }

    /// Leg A: a final response while its INVITE is open, else as any leg.
    fn close_caller(&mut self, ending: &Ending, step: &mut Step<'_>) {
        if self.a.state != State::Early {
            self.a.close(ending.reason.as_deref(), step);
            return;
        }
        if let Some(asked) = self.a.asked.take() {
            let response = self.a.response(&asked.request.0, ending.status);
            let response = match ending.retry_after {
                Some(seconds) => response.header(Name::RetryAfter, seconds),
                None => response,
            };
            let response = match &ending.warning {
                Some(warning) => response.header(Name::Warning, warning.value(&self.a.link.local)),
                None => response,
            };
            step.respond(LegName::A, response, &asked.from);
            self.status = Some(ending.status.code());
        }
        self.a.forget_timers(step);
        self.a.state = State::Ended;
    }

    /// Says so once both legs are over.
    pub(super) fn finish(&mut self, step: &mut Step<'_>) {
        let b_over = match &self.b {
            FarEnd::Leg(b) => b.is_ended() && b.attempts_are_over(),
            FarEnd::Service(_) => true,
        };
        let Some(ending) = self.ending.as_ref().filter(|_| !self.over && b_over && self.a.is_ended()) else {
            return;
        };
        self.over = true;
        step.push(Effect::Ended(Summary {
            call: self.id,
            parties: (*self.parties).clone(),
            started: self.started,
            answered: self.answered,
            ended: step.now,
            ended_by: ending.by,
            cause: ending.cause,
            status: self.status,
            reason: ending.reason.clone(),
        }));
    }
}

impl Leg {
    /// Is this the connection by which its peer is reached?
    fn uses(&self, flow: FlowId) -> bool {
        !self.is_ended() && self.link.destination.flow() == Some(flow)
    }

    /// Ends this leg in the way its state wants.
    fn close(&mut self, reason: Option<&str>, step: &mut Step<'_>) {
        if self.lost {
            step.stop(CallTimer::Grace(self.name));
        }
        match &self.state {
            State::Waiting | State::Early if self.asking.is_none() => self.state = State::Ended,
            State::Early => self.give_up_invite(reason, step),
            State::Confirmed => {
                self.drop_open_request(Status::REQUEST_TERMINATED, step);
                self.hang_up(reason, step);
            }
            State::Waiting
            | State::Cancelled { .. }
            | State::Closing { .. }
            | State::Leaving { .. }
            | State::Ended => {}
        }
    }

    /// BYE now, or once the first 2xx is acknowledged: before that the callee must not send one (RFC 3261 §15).
    fn hang_up(&mut self, reason: Option<&str>, step: &mut Step<'_>) {
        let unconfirmed = self.unacked.as_ref().is_some_and(|unacked| unacked.first);
        if unconfirmed && !self.lost {
            self.state = State::Closing { reason: reason.map(str::to_owned) };
        } else {
            self.send_bye(reason, step);
        }
    }

    /// Our BYE got no response: while there is hope of another connection it is tried again, for the peer's call stays up
    /// without it.
    pub(super) fn bye_undelivered(&mut self, failure: Failure, step: &mut Step<'_>) {
        let is_reliable = self.destination().is_reliable();
        let State::Leaving { failed, .. } = &mut self.state else { return };
        let wait = match (failure, &self.link.destination) {
            (_, Destination::Flow(_)) => None,
            (Failure::Transport, Destination::Trunk(_)) => BYE_AGAIN_AFTER.get(usize::from(*failed)),
            // Over UDP timer F has seen eleven copies of it; a connection may have been dead.
            (Failure::Timeout, Destination::Trunk(_)) => {
                BYE_AGAIN_AFTER.first().filter(|_| is_reliable && *failed == 0)
            }
        };
        match wait {
            Some(times_t1) => {
                *failed += 1;
                step.start(CallTimer::Bye(self.name), step.policy.t1.saturating_mul(*times_t1));
            }
            None => self.state = State::Ended,
        }
    }

    /// Gives our first INVITE up. The CANCEL waits for a provisional response (RFC 3261 §9.1): for its sake the INVITE is
    /// repeated until [`CallTimer::FirstReply`].
    fn give_up_invite(&mut self, reason: Option<&str>, step: &mut Step<'_>) {
        step.stop(CallTimer::NoAnswer);
        step.start(CallTimer::CancelWait, step.policy.t1.saturating_mul(64));
        self.state = State::Cancelled { sent: false, reason: reason.map(str::to_owned) };
        if self.asking.as_ref().is_some_and(|asking| asking.provisional) {
            self.send_cancel(step);
        }
    }

    /// Sends the CANCEL, once.
    pub(super) fn send_cancel(&mut self, step: &mut Step<'_>) {
        let (State::Cancelled { sent, reason }, Some(asking)) = (&mut self.state, &self.asking) else {
            return;
        };
        if !std::mem::replace(sent, true) {
            // RFC 3261 §9.1: the INVITE's Via. Its dialog is as it was, too: it takes shape with a 2xx alone.
            let cancel = self.dialog.request(&Method::Cancel, asking.cseq, &asking.via, HOPS);
            let cancel = with_reason(cancel, reason.as_deref());
            step.send(self.name, cancel, self.destination());
        }
    }

    /// The connection that our INVITE went to is gone.
    fn drop_invite(&mut self, step: &mut Step<'_>) {
        if let Some(invite) = self.open_invite() {
            step.push(Effect::Abandon { invite });
        }
        self.note_provisional(step);
        self.asking = None;
    }

    /// Nobody will answer our INVITE any more.
    fn abandon_invite(&mut self, step: &mut Step<'_>) {
        self.drop_invite(step);
        step.stop(CallTimer::NoAnswer);
        step.stop(CallTimer::CancelWait);
        self.state = State::Ended;
    }

    /// A request of the peer that is still open gets a final response (RFC 3261 §15.1.2).
    fn drop_open_request(&mut self, status: Status, step: &mut Step<'_>) {
        self.media.rollback();
        if let Some(asked) = self.asked.take() {
            self.reply(&asked.request.0, status, &asked.from, step);
        }
    }
}

/// The Reason of a CANCEL or BYE, for the other leg (RFC 3326): all its values, in as many rows as they came (RFC 3261
/// §7.3.1), in one. What does not fit stays behind.
fn reason_in(message: &Message) -> Option<String> {
    let mut reason = String::new();
    for value in message.values(Name::Reason) {
        let separator = if reason.is_empty() { "" } else { ", " };
        if reason.len() + separator.len() + value.len() <= MAX_REASON {
            reason.extend([separator, value]);
        }
    }
    Some(reason).filter(|reason| !reason.is_empty())
}

/// Multiples of T1 after which a BYE is tried again: half a second, 4 and 16.
const BYE_AGAIN_AFTER: [u32; 3] = [1, 8, 32];

/// Octets of the Reasons that cross.
const MAX_REASON: usize = 512;

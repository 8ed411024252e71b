//! A leg that we leave, until its peer has said its last word. It still answers what comes late.

use serde::{Deserialize, Serialize};

use crate::message::{Message, Method, Status};
use crate::routing::{Destination, FlowId};

use super::super::digits::{self, Ear};
use super::super::exchange::Unacked;
use super::super::step::Step;
use super::super::{CallTimer, Effect, Failure, PassedOver, status};
use super::calling::Invitation;
use super::{Comes, Line, Successes, Wants, with_reason};

/// A leg on its way out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Parting {
    pub(in super::super) line: Line,
    successes: Successes,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// We gave our INVITE up and wait for its final response (RFC 3261 §9.1).
    Cancelling(Cancelling),
    /// To be ended as soon as the caller acknowledged our 2xx, before which there must be no BYE (RFC 3261 §15).
    Closing { unacked: Unacked, reason: Option<String> },
    /// Our BYE has no final response yet.
    Leaving(Leaving),
    /// Nothing is owed.
    Over,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cancelling {
    invitation: Invitation,
    is_sent: bool,
    reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Leaving {
    cseq: u32,
    /// So many BYEs before were not delivered.
    failed: u8,
    reason: Option<String>,
}

impl Parting {
    /// Nothing is left to do.
    pub(in super::super) fn over(line: Line, successes: Successes) -> Self {
        Self { line, successes, stage: Stage::Over }
    }

    /// The CANCEL waits for a provisional response (RFC 3261 §9.1): for its sake the INVITE is repeated until
    /// [`CallTimer::FirstReply`].
    pub(super) fn cancelling(
        line: Line,
        invitation: Invitation,
        reason: Option<String>,
        step: &mut Step<'_>,
    ) -> Self {
        step.start(CallTimer::CancelWait(line.id), step.policy.t1.saturating_mul(64));
        let mut cancelling = Cancelling { invitation, is_sent: false, reason };
        if cancelling.invitation.is_heard {
            cancelling.send(&line, step);
        }
        Self { line, successes: Successes::default(), stage: Stage::Cancelling(cancelling) }
    }

    /// Our first 2xx must be acknowledged before the BYE.
    pub(super) fn closing(
        line: Line,
        successes: Successes,
        unacked: Unacked,
        reason: Option<String>,
    ) -> Self {
        Self { line, successes, stage: Stage::Closing { unacked, reason } }
    }

    /// BYE now.
    pub(super) fn leaving(
        line: Line,
        successes: Successes,
        reason: Option<String>,
        step: &mut Step<'_>,
    ) -> Self {
        let mut leg = Self::over(line, successes);
        leg.send_bye(reason, 0, step);
        leg
    }

    pub(in super::super) fn is_over(&self) -> bool {
        match self.stage {
            Stage::Over => true,
            Stage::Cancelling(_) | Stage::Closing { .. } | Stage::Leaving(_) => false,
        }
    }

    /// A request of the peer's, ACK excepted.
    pub(in super::super) fn request(&mut self, request: &Message, from: &Destination, step: &mut Step<'_>) {
        if request.to_tag().is_none() {
            return self.repeat_2xx(request, step);
        }
        match self.admit(request, from, step) {
            None => {}
            Some(Comes::Again) if *request.method() == Method::Invite => self.repeat_2xx(request, step),
            Some(Comes::Again) => self.line.answer_again(request, from, step),
            Some(Comes::New) => match self.line.sort(request, from, step) {
                None => {}
                Some(Wants::ToLeave) => self.bye(request, from, step),
                Some(Wants::AnExchange) => {
                    self.line.reply(request, Status::CALL_DOES_NOT_EXIST, from, step);
                }
                Some(Wants::ARefresh) => self.refresh(request, from, step),
                Some(Wants::ADigit) => digits::info(&self.line, request, from, Ear::None, step),
            },
        }
    }

    /// The ACK that the BYE waited for.
    pub(in super::super) fn acknowledged(&mut self, ack: &Message, step: &mut Step<'_>) {
        if let Stage::Closing { unacked, reason } = &mut self.stage
            && unacked.cseq() == ack.cseq().0
            && self.line.is_from_peer(ack)
        {
            let reason = reason.take();
            step.stop(CallTimer::Resend2xx(self.line.id));
            self.send_bye(reason, 0, step);
        }
    }

    /// A response to a request of ours.
    pub(in super::super) fn answered(&mut self, response: &Message, step: &mut Step<'_>) {
        let Some(status) = response.status() else { return };
        match response.method() {
            Method::Invite => self.invite_answered(response, status, step),
            Method::Bye if status.is_final() && self.is_leaving_by(response.cseq().0) => self.conclude(step),
            Method::Bye
            | Method::Info
            | Method::Cancel
            | Method::Ack
            | Method::Update
            | Method::Options
            | Method::Notify
            | Method::Register
            | Method::Prack
            | Method::Subscribe
            | Method::Refer
            | Method::Message
            | Method::Publish
            | Method::Other(_) => {}
        }
    }

    /// A request of ours came to nothing.
    pub(in super::super) fn failed(
        &mut self,
        cseq: u32,
        method: &Method,
        failure: Failure,
        step: &mut Step<'_>,
    ) {
        match &mut self.stage {
            Stage::Cancelling(cancelling)
                if *method == Method::Invite && cancelling.invitation.cseq == cseq =>
            {
                self.not_answered(step);
            }
            Stage::Leaving(leaving) if *method == Method::Bye && leaving.cseq == cseq => {
                self.bye_undelivered(failure, step);
            }
            Stage::Cancelling(_) | Stage::Closing { .. } | Stage::Leaving(_) | Stage::Over => {}
        }
    }

    /// A timer of this leg is due.
    pub(in super::super) fn timer(&mut self, timer: CallTimer, step: &mut Step<'_>) {
        match timer {
            CallTimer::FirstReply(_) => self.silent(step),
            CallTimer::CancelWait(_) => self.cancel_wait_over(step),
            CallTimer::Resend2xx(_) => self.resend_2xx(step),
            CallTimer::Bye(_) => self.bye_again(step),
            CallTimer::Retry(_)
            | CallTimer::Grace(_)
            | CallTimer::Session(_)
            | CallTimer::NoAnswer
            | CallTimer::Abandoned => {}
        }
    }

    /// Who was silent until now would be rung by a repetition once he is back, and nobody wants him any more.
    fn silent(&self, step: &mut Step<'_>) {
        if let Stage::Cancelling(cancelling) = &self.stage
            && !cancelling.invitation.is_heard
            && let Some(invite) = cancelling.invitation.invite(&self.line)
        {
            step.push(Effect::StopResending { invite });
        }
    }

    /// The cancelled INVITE stays without a final response (RFC 3261 §9.1).
    fn cancel_wait_over(&mut self, step: &mut Step<'_>) {
        if let Stage::Cancelling(cancelling) = &self.stage {
            if let Some(invite) = cancelling.invitation.invite(&self.line) {
                step.push(Effect::Abandon { invite });
            }
            self.not_answered(step);
        }
    }

    /// No ACK yet: the 2xx once more, or the BYE without it.
    fn resend_2xx(&mut self, step: &mut Step<'_>) {
        let Stage::Closing { unacked, reason } = &mut self.stage else { return };
        match unacked.again(step.policy, step.now) {
            Some(wait) => {
                step.start(CallTimer::Resend2xx(self.line.id), wait);
                unacked.send(self.line.id, step);
            }
            None => {
                let reason = reason.take();
                self.send_bye(reason, 0, step);
            }
        }
    }

    /// The wait after a BYE that was not delivered is over.
    fn bye_again(&mut self, step: &mut Step<'_>) {
        if let Stage::Leaving(leaving) = &self.stage {
            let (failed, reason) = (leaving.failed, leaving.reason.clone());
            self.send_bye(reason, failed, step);
        }
    }

    /// Nobody can hear what we owe.
    pub(in super::super) fn flow_lost(&mut self, step: &mut Step<'_>) {
        match &self.stage {
            Stage::Cancelling(_) => self.cancel_wait_over(step),
            Stage::Closing { .. } | Stage::Leaving(_) => self.conclude(step),
            Stage::Over => {}
        }
    }

    /// The browser's connection is another one from now on.
    pub(in super::super) fn moved(&mut self, to: Destination) {
        if let Stage::Closing { unacked, .. } = &mut self.stage {
            unacked.to = to.clone();
        }
        self.line.link.destination = to;
    }

    /// Does the peer's way out go over this connection?
    pub(in super::super) fn uses(&self, flow: FlowId) -> bool {
        !self.is_over() && self.line.uses(flow)
    }

    fn admit(&mut self, request: &Message, from: &Destination, step: &mut Step<'_>) -> Option<Comes> {
        match &mut self.stage {
            Stage::Cancelling(cancelling) => cancelling.invitation.admit(&self.line, request, from, step),
            Stage::Closing { .. } | Stage::Leaving(_) => self.line.admit(request, from, step),
            Stage::Over if *request.method() == Method::Bye && self.line.is_from_peer(request) => {
                self.line.admit_to(request, from, step).map(|()| Comes::Again)
            }
            Stage::Over => {
                self.line.reply(request, Status::CALL_DOES_NOT_EXIST, from, step);
                None
            }
        }
    }

    /// A callee may not end an early dialog like that (RFC 3261 §15.1.2).
    fn bye(&mut self, request: &Message, from: &Destination, step: &mut Step<'_>) {
        match &self.stage {
            Stage::Cancelling(_) => self.line.reply(request, Status::CALL_DOES_NOT_EXIST, from, step),
            Stage::Closing { .. } | Stage::Leaving(_) | Stage::Over => {
                self.line.reply(request, Status::OK, from, step);
                self.conclude(step);
            }
        }
    }

    fn refresh(&mut self, request: &Message, from: &Destination, step: &mut Step<'_>) {
        match &mut self.stage {
            Stage::Cancelling(cancelling) => cancelling.invitation.refresh(request),
            Stage::Closing { .. } | Stage::Leaving(_) | Stage::Over => {
                self.line.dialog.refresh_target(request);
            }
        }
        step.respond(self.line.id, self.line.presented(self.line.response(request, Status::OK)), from);
    }

    fn repeat_2xx(&self, request: &Message, step: &mut Step<'_>) {
        if let Stage::Closing { unacked, .. } = &self.stage
            && *request.method() == Method::Invite
            && unacked.cseq() == request.cseq().0
        {
            unacked.send(self.line.id, step);
        }
    }

    fn invite_answered(&mut self, response: &Message, status: Status, step: &mut Step<'_>) {
        let (cseq, _) = response.cseq();
        let Stage::Cancelling(cancelling) = &mut self.stage else {
            return self.late_answer(response, status, step);
        };
        if cancelling.invitation.cseq != cseq {
            return self.late_answer(response, status, step);
        }
        match status.code() {
            100..=199 => {
                cancelling.invitation.note_heard(self.line.id, step);
                cancelling.send(&self.line, step);
            }
            200..=299 => self.answered_too_late(response, step),
            _ => {
                if let Some(seconds) = status::asks_to_wait(response, status) {
                    let to = self.line.link.destination.clone();
                    step.push(Effect::PassOver { to, seconds: Some(seconds), why: PassedOver::Unavailable });
                }
                self.not_answered(step);
            }
        }
    }

    fn late_answer(&mut self, response: &Message, status: Status, step: &mut Step<'_>) {
        if status.is_success() {
            self.successes.repeated(&self.line, response, step);
        }
    }

    /// Our CANCEL came too late: ACK and BYE (RFC 3261 §15).
    fn answered_too_late(&mut self, response: &Message, step: &mut Step<'_>) {
        let Stage::Cancelling(cancelling) = std::mem::replace(&mut self.stage, Stage::Over) else { return };
        let Cancelling { mut invitation, reason, .. } = cancelling;
        invitation.note_heard(self.line.id, step);
        self.successes = invitation.confirmed(&mut self.line, response);
        self.line.send_ack(response.cseq().0, step);
        step.stop(CallTimer::CancelWait(self.line.id));
        self.send_bye(reason, 0, step);
    }

    /// The INVITE that was given up is over.
    fn not_answered(&mut self, step: &mut Step<'_>) {
        if let Stage::Cancelling(cancelling) = &mut self.stage {
            cancelling.invitation.note_heard(self.line.id, step);
            step.stop(CallTimer::CancelWait(self.line.id));
            self.successes = cancelling.invitation.unanswered();
            self.stage = Stage::Over;
        }
    }

    /// Sends a BYE after so many that were not delivered.
    fn send_bye(&mut self, reason: Option<String>, failed: u8, step: &mut Step<'_>) {
        let cseq = self.line.dialog.next_cseq();
        let to = self.destination_of_try(failed);
        let bye = self.line.request_to(&to, &Method::Bye, cseq, step);
        let sent = step.send(self.line.id, with_reason(bye, reason.as_deref()), to);
        self.stage = match sent {
            Some(_) => Stage::Leaving(Leaving { cseq, failed, reason }),
            None => Stage::Over,
        };
    }

    /// Over UDP each second try goes where the dialog came from, for nobody may listen at the Contact. Of connections the
    /// transport itself finds another one ([`crate::routing::TrunkAddress::otherwise`]).
    fn destination_of_try(&self, failed: u8) -> Destination {
        match &self.line.link.destination {
            came_by if failed % 2 == 1 && !came_by.is_reliable() => came_by.clone(),
            Destination::Flow(_) | Destination::Trunk(_) => self.line.destination(),
        }
    }

    /// Our BYE got no response: while there is hope of another connection it is tried again, for the peer's call stays up
    /// without it.
    fn bye_undelivered(&mut self, failure: Failure, step: &mut Step<'_>) {
        let is_reliable = self.line.destination().is_reliable();
        let Stage::Leaving(leaving) = &mut self.stage else { return };
        let wait = match (failure, &self.line.link.destination) {
            (_, Destination::Flow(_)) => None,
            (Failure::Transport, Destination::Trunk(_)) => BYE_AGAIN_AFTER.get(usize::from(leaving.failed)),
            // Over UDP timer F has seen eleven copies of it; a connection may have been dead.
            (Failure::Timeout, Destination::Trunk(_)) => {
                BYE_AGAIN_AFTER.first().filter(|_| is_reliable && leaving.failed == 0)
            }
        };
        match wait {
            Some(times_t1) => {
                leaving.failed += 1;
                step.start(CallTimer::Bye(self.line.id), step.policy.t1.saturating_mul(*times_t1));
            }
            None => self.stage = Stage::Over,
        }
    }

    fn is_leaving_by(&self, cseq: u32) -> bool {
        match &self.stage {
            Stage::Leaving(leaving) => leaving.cseq == cseq,
            Stage::Cancelling(_) | Stage::Closing { .. } | Stage::Over => false,
        }
    }

    /// Nothing is waited for any more.
    fn conclude(&mut self, step: &mut Step<'_>) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Closing { .. } => step.stop(CallTimer::Resend2xx(self.line.id)),
            Stage::Leaving(Leaving { failed: 1.., .. }) => step.stop(CallTimer::Bye(self.line.id)),
            Stage::Leaving(_) | Stage::Cancelling(_) | Stage::Over => {}
        }
    }
}

impl Cancelling {
    /// Sends the CANCEL, once. The dialog is as it was: it takes shape with a 2xx alone.
    fn send(&mut self, line: &Line, step: &mut Step<'_>) {
        if !std::mem::replace(&mut self.is_sent, true) {
            let cancel = with_reason(self.invitation.cancel(line), self.reason.as_deref());
            step.send(line.id, cancel, line.destination());
        }
    }
}

/// Multiples of T1 after which a BYE is tried again: half a second, 4 and 16.
const BYE_AGAIN_AFTER: [u32; 3] = [1, 8, 32];

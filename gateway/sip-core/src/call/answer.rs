//! 2xx and ACK of the call's first INVITEs (RFC 3261 §13.2.2.4, §13.3.1.4).

use relay_api::LegName;

use crate::message::{Message, Method, Name, Status};
use crate::sdp::{SdpError, Unacceptable};

use super::leg::{AckKind, BranchPart, Fork, HOPS, Leg, MAX_FORKS, State};
use super::screen::{SDP, sdp_of};
use super::session_timer::{Role, SessionTimer};
use super::setup::{crossing, with_headers};
use super::step::Step;
use super::{Call, CallTimer, Cause, Effect, FarEnd, status};

impl Call {
    /// The callee took the call: ACK at once, then the caller's 200.
    pub(super) fn callee_answered(&mut self, response: &Message, step: &mut Step<'_>) {
        let own = self.own_addresses();
        let FarEnd::Leg(b) = &mut self.b else { return };
        self.prepared = None;
        b.note_provisional(step);
        let given_up = b.confirm(response, step);
        if let Some(reason) = given_up {
            // RFC 3261 §15: our CANCEL came too late.
            step.stop(CallTimer::CancelWait);
            b.send_bye(reason.as_deref(), step);
            return;
        }
        step.stop(CallTimer::NoAnswer);
        let agreed = match sdp_of(response) {
            Some(sdp) => b.media.receive_answer(sdp, &own),
            None if b.media.is_agreed() => Ok(()),
            None => Err(SdpError::NotAcceptable(Unacceptable::NoAudio)),
        };
        if let Err(error) = agreed {
            return self.end_for_sdp(error, step);
        }
        b.session = SessionTimer::granted(response, step);
        b.restart_session(step);
        let headers = crossing(response, b.link.profile, step);
        self.answer_caller(headers, step);
    }

    /// The caller's 200: with our answer, with the one the caller knows from a 18x, or with our offer.
    pub(super) fn answer_caller(&mut self, headers: Vec<(String, String)>, step: &mut Step<'_>) {
        let (formats, wish) = (self.far_formats(), self.far_wishes());
        let (open, agreed) = (self.a.media.has_open_offer(), self.a.media.is_agreed());
        let sdp = match (open, agreed) {
            (true, _) => self.a.media.make_answer(&formats, wish),
            (false, true) => self.a.media.repeated(),
            (false, false) => self.a.media.make_offer(formats, wish),
        };
        let (Some(sdp), Some(asked)) = (sdp, self.a.asked.take()) else {
            self.end(Cause::NoCommonCodec, None, None, step);
            return;
        };
        // RFC 3261 §13.2.2.4: what a 18x said may not be what the 2xx says, least of all if another fork took the call.
        self.catch_up(LegName::A);
        self.declare_media(step);
        let response = self.a.presented(self.a.response(&asked.request.0, Status::OK));
        let response = with_headers(self.a.with_session(response), &headers).body(SDP, sdp);
        let Some(response) = step.respond(LegName::A, response, &asked.from) else {
            self.end(Cause::DialogLost, None, None, step);
            return;
        };
        self.a.state = State::Confirmed;
        let kind = AckKind { awaits_answer: !open && !agreed, first: true };
        self.a.await_ack(response, asked.from, kind, step);
        self.a.restart_session(step);
        self.answered = Some(step.now);
        self.status = Some(Status::OK.code());
    }

    /// An ACK of a 2xx of ours, of the first INVITE or a later one.
    pub(super) fn acknowledged(&mut self, name: LegName, ack: &Message, step: &mut Step<'_>) {
        let own = self.own_addresses();
        let Some(leg) = self.leg_mut(name) else { return };
        let Some(unacked) = leg.unacked.take_if(|unacked| unacked.cseq == ack.cseq().0) else { return };
        step.stop(CallTimer::Resend2xx(name));
        if let State::Closing { reason } = &leg.state {
            let reason = reason.clone();
            leg.send_bye(reason.as_deref(), step);
            return;
        }
        if !unacked.awaits_answer {
            return;
        }
        let answer = sdp_of(ack).is_some_and(|sdp| leg.media.receive_answer(sdp, &own).is_ok());
        if !answer {
            leg.media.rollback();
            self.end(Cause::NoCommonCodec, Some(name), None, step);
            return;
        }
        self.declare_media(step);
        self.catch_up(name.other());
    }

    /// No ACK yet: the 2xx once more, or the end.
    pub(super) fn resend_2xx(&mut self, name: LegName, step: &mut Step<'_>) {
        let Some(leg) = self.leg_mut(name) else { return };
        let Some(unacked) = &mut leg.unacked else { return };
        if step.now.0 < unacked.give_up {
            let longest = u64::try_from(step.policy.t2.as_millis()).unwrap_or(u64::MAX);
            unacked.interval = unacked.interval.saturating_mul(2).min(longest);
            step.start(CallTimer::Resend2xx(name), std::time::Duration::from_millis(unacked.interval));
            let (message, to) = (unacked.response.0.clone(), unacked.to.clone());
            step.push(Effect::Respond { leg: name, message, to });
            return;
        }
        leg.unacked = None;
        match leg.state.clone() {
            State::Closing { reason } => leg.send_bye(reason.as_deref(), step),
            State::Confirmed => self.end(Cause::NotAcknowledged, Some(name), None, step),
            State::Waiting
            | State::Early
            | State::Cancelled { .. }
            | State::Leaving { .. }
            | State::Ended => {}
        }
    }

    /// A 2xx to an INVITE of ours that is answered already: the ACK was lost, or another fork answered too.
    pub(super) fn repeated_2xx(&mut self, name: LegName, response: &Message, step: &mut Step<'_>) {
        let Some(leg) = self.leg_mut(name) else { return };
        let (cseq, _) = response.cseq();
        let own = leg.acked.is_some() && response.to_tag() == leg.dialog.remote_tag.as_deref();
        // Only leg B's first INVITE can fork; its 2xx may even come after we gave up waiting.
        let first = name == LegName::B && leg.called == Some(cseq);
        match own {
            true if first || leg.acked == Some(cseq) => leg.send_ack(cseq, step),
            false if first => leg.refuse_fork(response, step),
            true | false => {}
        }
    }
}

impl Leg {
    /// The first INVITE got its 2xx. Gives the reason if the call was given up meanwhile.
    fn confirm(&mut self, response: &Message, step: &mut Step<'_>) -> Option<Option<String>> {
        let (cseq, _) = response.cseq();
        self.asking = None;
        self.acked = Some(cseq);
        self.dialog.answered(response);
        let early = self.forks.iter().find(|fork| Some(fork.tag.as_str()) == response.to_tag());
        if let Some(cseq) = early.and_then(|fork| fork.cseq) {
            self.dialog.judge_cseq(cseq);
        }
        self.note_peer(response);
        self.send_ack(cseq, step);
        match std::mem::replace(&mut self.state, State::Confirmed) {
            State::Cancelled { reason, .. } => Some(reason),
            State::Waiting
            | State::Early
            | State::Confirmed
            | State::Closing { .. }
            | State::Leaving { .. }
            | State::Ended => None,
        }
    }

    /// RFC 3261 §13.2.2.4: a further 2xx makes a dialog of its own, which we end; a repeated one gets its ACK only.
    fn refuse_fork(&mut self, response: &Message, step: &mut Step<'_>) {
        let Some(tag) = response.to_tag() else { return };
        if self.fork_mut(tag).is_none() {
            if self.forks.len() == MAX_FORKS {
                return;
            }
            self.forks.push(Fork { tag: tag.to_owned(), cseq: None, stray: false });
        }
        let at = self.forks.iter().position(|fork| fork.tag == tag).unwrap_or(MAX_FORKS);
        let part = BranchPart::Stray(u8::try_from(at).unwrap_or(u8::MAX));
        let known = self.fork_mut(tag).is_some_and(|fork| std::mem::replace(&mut fork.stray, true));
        let (cseq, _) = response.cseq();
        let mut dialog = self.dialog.clone();
        dialog.answered(response);
        let ack = self.request_in(&dialog, &Method::Ack, cseq, part, HOPS, step);
        if let Ok(message) = ack.build() {
            step.push(Effect::SendAck { leg: self.name, message, to: self.destination_in(&dialog) });
        }
        if !known {
            let bye = self.request_in(&dialog, &Method::Bye, cseq.saturating_add(1), part, HOPS, step);
            step.send(self.name, bye, self.destination_in(&dialog));
        }
    }

    /// Adds what was agreed about the session timer to a 2xx (RFC 4028 §9).
    pub(super) fn with_session(&self, response: crate::message::Builder) -> crate::message::Builder {
        match self.session {
            Some(session) => {
                let response = response.header(Name::SessionExpires, session.value(Role::Uas));
                // The peer must know that it has to refresh.
                if self.peer.timer { response.header(Name::Require, "timer") } else { response }
            }
            None => response,
        }
    }
}

/// Why the caller's status is what it is, for a callee that refused.
pub(super) fn refusal(response: &Message, told: Status) -> (Status, Option<u32>) {
    let status = status::towards_caller(told);
    let waits = matches!(status.code(), 480 | 486 | 503 | 600 | 603);
    (status, if waits { status::retry_after(response) } else { None })
}

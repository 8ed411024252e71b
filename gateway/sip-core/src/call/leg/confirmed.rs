//! A leg whose dialog a 2xx confirmed: offers within it both ways (RFC 3261 §14, RFC 3311), its session timer, its end.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::message::{Builder, Message, Method, Name, Status};
use crate::routing::{Destination, FlowId, LegId};
use crate::sdp::{self, Format};

use super::super::exchange::{AckKind, Asked, Asking, Exchange, Offer, Unacked, Why};
use super::super::media::{LegMedia, Wish, common};
use super::super::refusal::Refusal;
use super::super::screen::{SDP, sdp_of, session_body};
use super::super::session_timer::{Refresher, Role, SessionTimer};
use super::super::shared::Shared;
use super::super::step::Step;
use super::super::stored::Stored;
use super::super::{CallTimer, Cause, Failure, status};
use super::line::Peer;
use super::{BranchPart, Comes, HOPS, Line, Parting, Serves, Successes, Wants};

/// A leg that is up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Confirmed {
    pub(in super::super) line: Line,
    pub(in super::super) media: Shared<LegMedia>,
    exchange: Exchange,
    /// A re-INVITE that met a 491 and is tried again later.
    retry: Option<Offer>,
    session: Option<SessionTimer>,
    successes: Successes,
    presence: Presence,
}

/// Can the peer be reached?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Presence {
    Here,
    /// The browser's connection broke and it is not back yet.
    Lost,
}

/// What a request of the peer's that was taken wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Taken {
    /// Our offer.
    OurOffer,
    /// An answer to its offer.
    AnAnswer,
    /// The same, of an offer that restarts ICE: the relay must know it first (RFC 8839 §4.4.1.1).
    AnAnswerAfterRestart,
}

/// What a request of the peer's asks of both legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Asks {
    /// All is said.
    Nothing,
    /// It hangs up.
    ToLeave,
    /// It offers, or wants our offer.
    AnExchange(Taken),
    /// An INFO.
    ADigit,
    /// Its ACK answered our offer.
    WhatFollows,
    /// Its ACK brought no answer that can be used, though our offer waited for one.
    TheEnd,
}

/// What became of a re-INVITE of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Outcome {
    /// Nothing follows.
    Nothing,
    /// Answered.
    Agreed(Why),
    /// A 2xx that brought no answer which can be used; all is as it was.
    Unusable(Why),
    /// Refused for this reason.
    Refused(Why, Status),
    /// The dialog is gone, as far as the peer is concerned (RFC 3261 §12.2.1.2).
    DialogGone,
}

/// How digits reach a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum TakesDigits {
    AsEvents,
    AsInfo,
    Not,
}

impl Confirmed {
    pub(super) fn new(
        line: Line,
        media: Shared<LegMedia>,
        exchange: Exchange,
        session: Option<SessionTimer>,
        successes: Successes,
    ) -> Self {
        Self { line, media, exchange, retry: None, session, successes, presence: Presence::Here }
    }

    /// No offer of either side is open, and every 2xx was acknowledged: a re-INVITE may go out.
    pub(in super::super) fn is_settled(&self) -> bool {
        self.exchange == Exchange::None && self.retry.is_none()
    }

    pub(in super::super) fn is_lost(&self) -> bool {
        self.presence == Presence::Lost
    }

    /// Does a request of the peer's wait for our answer?
    pub(in super::super) fn is_asked(&self) -> bool {
        matches!(self.exchange, Exchange::Asked(_))
    }

    /// A request of the peer's, or an ACK: what of it the two legs must decide together.
    pub(in super::super) fn request(
        &mut self,
        request: &Message,
        from: &Destination,
        own: &[SocketAddr],
        step: &mut Step<'_>,
    ) -> Asks {
        if *request.method() == Method::Ack {
            let is_ours = self.line.is_from_peer(request) && self.line.may_come_from(from);
            return if is_ours { self.acknowledged(request, own, step) } else { Asks::Nothing };
        }
        if request.to_tag().is_none() {
            self.repeat_2xx(request, step);
            return Asks::Nothing;
        }
        let wants = match self.line.admit(request, from, step) {
            Some(Comes::New) => self.line.sort(request, from, step),
            Some(Comes::Again) => {
                self.repeat_2xx(request, step);
                self.line.answer_again(request, from, step);
                None
            }
            None => None,
        };
        match wants {
            None => Asks::Nothing,
            Some(Wants::ToLeave) => Asks::ToLeave,
            Some(Wants::ADigit) => Asks::ADigit,
            Some(Wants::AnExchange) => {
                self.take(request, from, own, step).map_or(Asks::Nothing, Asks::AnExchange)
            }
            Some(Wants::ARefresh) => {
                self.refresh(request, from, step);
                Asks::Nothing
            }
        }
    }

    /// A response to a request of ours.
    pub(in super::super) fn response(
        &mut self,
        response: &Message,
        own: &[SocketAddr],
        step: &mut Step<'_>,
    ) -> Outcome {
        let Some(status) = response.status() else { return Outcome::Nothing };
        match (response.method(), status.code()) {
            (_, 100..=199) => Outcome::Nothing,
            (Method::Invite, _) => self.answered(response, status, own, step),
            (Method::Info, 408 | 481) => Outcome::DialogGone,
            (Method::Info, 405 | 415 | 501) => {
                self.line.peer.info = Serves::No;
                Outcome::Nothing
            }
            // Of these we want nothing but that they were delivered.
            (_, _) => Outcome::Nothing,
        }
    }

    /// Takes a re-INVITE, or an UPDATE with an offer; a refusal is sent here.
    fn take(
        &mut self,
        request: &Message,
        from: &Destination,
        own: &[SocketAddr],
        step: &mut Step<'_>,
    ) -> Option<Taken> {
        match self.try_take(request, from, own, step) {
            Ok(taken) => Some(taken),
            Err(refusal) => {
                self.line.refuse(request, &refusal, from, step);
                None
            }
        }
    }

    fn try_take(
        &mut self,
        request: &Message,
        from: &Destination,
        own: &[SocketAddr],
        step: &mut Step<'_>,
    ) -> Result<Taken, Refusal> {
        self.admit_offer(request, step)?;
        let timer = SessionTimer::asked(request, step)?;
        let skeleton = Stored::skeleton(request).ok_or(Status::BAD_REQUEST)?;
        if let Some(sdp) = sdp_of(request) {
            let taken = self.media.receive_offer(sdp, &self.line.link.codecs, own);
            taken.map_err(|error| status::of_sdp(error, &self.line.link.local))?;
        }
        self.stop_resending(step);
        self.refreshed_by(request, timer, step);
        self.exchange = Exchange::Asked(Asked { request: skeleton, from: from.clone(), told: None });
        Ok(match (self.media.has_open_offer(), self.media.restarts_ice()) {
            (false, _) => Taken::OurOffer,
            (true, false) => Taken::AnAnswer,
            (true, true) => Taken::AnAnswerAfterRestart,
        })
    }

    /// May this offer, or wish for one, come now (RFC 3261 §14.2, RFC 3311 §5.2)?
    fn admit_offer(&self, request: &Message, step: &Step<'_>) -> Result<(), Refusal> {
        match &self.exchange {
            Exchange::Asked(_) => Err(Asked::later(&self.line, request, step)),
            Exchange::Asking(_) => Err(Status::REQUEST_PENDING.into()),
            Exchange::Unacked(unacked) if unacked.kind.brings_answer => Err(Status::REQUEST_PENDING.into()),
            Exchange::Unacked(_) | Exchange::None => session_body(request),
        }
    }

    /// The 2xx to the open request.
    pub(in super::super) fn accept(&mut self, sdp: String, step: &mut Step<'_>) {
        let Some(asked) = self.take_asked() else { return };
        let request = &asked.request.0;
        let response = self.line.presented(self.line.response(request, Status::OK));
        let response = with_session(response, self.session, self.line.peer).body(SDP, sdp);
        let invite = *request.method() == Method::Invite;
        let sent = step.respond(self.line.id, response, &asked.from);
        if let Some(response) = sent.filter(|_| invite) {
            let kind = AckKind { brings_answer: self.media.has_open_proposal(), is_first: false };
            step.start(CallTimer::Resend2xx(self.line.id), step.policy.t1);
            self.exchange =
                Exchange::Unacked(Unacked::new(response, asked.from, kind, step.policy, step.now));
        }
    }

    /// The open request came to nothing; everything stays as agreed before (RFC 3261 §14.1, §15.1.2).
    pub(in super::super) fn refuse_open(&mut self, status: Status, step: &mut Step<'_>) {
        self.media.rollback();
        if let Some(asked) = self.take_asked() {
            self.line.reply(&asked.request.0, status, &asked.from, step);
        }
    }

    /// A CANCEL, which is answered in any case: does it mean the peer's re-INVITE that waits (RFC 3261 §9.2)?
    pub(in super::super) fn is_cancelled_by(
        &self,
        cancel: &Message,
        from: &Destination,
        step: &mut Step<'_>,
    ) -> bool {
        self.line.reply(cancel, Status::OK, from, step);
        match &self.exchange {
            Exchange::Asked(asked) => asked.is_cancelled_by(cancel),
            Exchange::None | Exchange::Asking(_) | Exchange::Unacked(_) => false,
        }
    }

    /// UPDATE without an offer: a refresh of target and session timer (RFC 3311 §5.2, RFC 4028 §9).
    fn refresh(&mut self, request: &Message, from: &Destination, step: &mut Step<'_>) {
        let timer = match SessionTimer::asked(request, step) {
            Ok(timer) => timer,
            Err(refusal) => return self.line.refuse(request, &refusal, from, step),
        };
        self.refreshed_by(request, timer, step);
        let response = self.line.presented(self.line.response(request, Status::OK));
        step.respond(self.line.id, with_session(response, self.session, self.line.peer), from);
    }

    /// The INVITE once more that our 2xx answered: its ACK was lost, or its transaction is on another node.
    fn repeat_2xx(&self, request: &Message, step: &mut Step<'_>) {
        match &self.exchange {
            Exchange::Unacked(unacked)
                if *request.method() == Method::Invite && unacked.cseq() == request.cseq().0 =>
            {
                unacked.send(self.line.id, step);
            }
            Exchange::Unacked(_) | Exchange::None | Exchange::Asked(_) | Exchange::Asking(_) => {}
        }
    }

    fn acknowledged(&mut self, ack: &Message, own: &[SocketAddr], step: &mut Step<'_>) -> Asks {
        let kind = match &self.exchange {
            Exchange::Unacked(unacked) if unacked.cseq() == ack.cseq().0 => unacked.kind,
            Exchange::Unacked(_) | Exchange::None | Exchange::Asked(_) | Exchange::Asking(_) => {
                return Asks::Nothing;
            }
        };
        self.stop_resending(step);
        if !kind.brings_answer {
            return Asks::Nothing;
        }
        match sdp_of(ack).is_some_and(|sdp| self.media.receive_answer(sdp, own).is_ok()) {
            true => Asks::WhatFollows,
            false => {
                self.media.rollback();
                Asks::TheEnd
            }
        }
    }

    /// A timer of this leg is due.
    pub(in super::super) fn timer(&mut self, timer: CallTimer, step: &mut Step<'_>) -> TimerSays {
        match timer {
            CallTimer::Resend2xx(_) => self.resend_2xx(step),
            CallTimer::Retry(_) => self.retry.take().map_or(TimerSays::Nothing, TimerSays::Retry),
            CallTimer::Grace(_) if self.is_lost() => TimerSays::TheEnd(Cause::FlowLost),
            CallTimer::Session(_) => self.session_due(step),
            CallTimer::Grace(_)
            | CallTimer::FirstReply(_)
            | CallTimer::NoAnswer
            | CallTimer::CancelWait(_)
            | CallTimer::Abandoned
            | CallTimer::Bye(_) => TimerSays::Nothing,
        }
    }

    /// No ACK yet: the 2xx once more, or the end.
    fn resend_2xx(&mut self, step: &mut Step<'_>) -> TimerSays {
        let Exchange::Unacked(unacked) = &mut self.exchange else { return TimerSays::Nothing };
        match unacked.again(step.policy, step.now) {
            Some(wait) => {
                step.start(CallTimer::Resend2xx(self.line.id), wait);
                unacked.send(self.line.id, step);
                TimerSays::Nothing
            }
            None => {
                self.exchange = Exchange::None;
                TimerSays::TheEnd(Cause::NotAcknowledged)
            }
        }
    }

    /// The session timer (RFC 4028 §10): refresh, or give the silent peer up.
    fn session_due(&mut self, step: &mut Step<'_>) -> TimerSays {
        match self.session.map(|session| session.refresher) {
            Some(Refresher::Us) => {
                let (formats, wish) = (self.media.local_formats().to_vec(), self.media.we_say());
                if !self.send_offer(Offer { why: Why::Refresh, formats, wish, refused: 0 }, step) {
                    // An offer is on its way already, and refreshes as well.
                    self.restart_session(step);
                }
                TimerSays::Nothing
            }
            Some(Refresher::Peer) => TimerSays::TheEnd(Cause::SessionExpired),
            None => TimerSays::Nothing,
        }
    }

    /// Sends a re-INVITE; false if that is not possible now.
    pub(in super::super) fn send_offer(&mut self, offer: Offer, step: &mut Step<'_>) -> bool {
        if !self.is_settled() {
            return false;
        }
        let Some(sdp) = self.media.make_offer(offer.formats.clone(), offer.wish) else { return false };
        let cseq = self.line.dialog.next_cseq();
        let invite = self.line.request(&Method::Invite, cseq, BranchPart::Own, HOPS, step);
        let invite = self.line.presented(invite);
        let invite = match self.session {
            Some(session) => invite.header(Name::SessionExpires, session.value(Role::Uac)),
            None => invite,
        };
        match step.send(self.line.id, invite.body(SDP, sdp), self.line.destination()) {
            Some(_) => {
                self.exchange = Exchange::Asking(Asking { cseq, offer });
                true
            }
            None => {
                self.media.rollback();
                false
            }
        }
    }

    /// A request of ours got no final response.
    pub(in super::super) fn failed(
        &mut self,
        cseq: u32,
        method: &Method,
        failure: Failure,
        step: &mut Step<'_>,
    ) -> Outcome {
        let status = match failure {
            Failure::Timeout => Status::REQUEST_TIMEOUT,
            Failure::Transport => Status::SERVICE_UNAVAILABLE,
        };
        let asking = Some(method).filter(|method| **method == Method::Invite);
        let asking = asking.and_then(|_| self.take_asking(cseq));
        asking.map_or(Outcome::Nothing, |asking| self.offer_refused(asking, status, step))
    }

    fn answered(
        &mut self,
        response: &Message,
        status: Status,
        own: &[SocketAddr],
        step: &mut Step<'_>,
    ) -> Outcome {
        match (self.take_asking(response.cseq().0), status.is_success()) {
            (Some(asking), true) => self.offer_accepted(asking, response, own, step),
            (Some(asking), false) => self.offer_refused(asking, status, step),
            (None, true) => {
                self.successes.repeated(&self.line, response, step);
                Outcome::Nothing
            }
            (None, false) => Outcome::Nothing,
        }
    }

    /// Starts the session timer anew, after each refresh.
    pub(in super::super) fn restart_session(&self, step: &mut Step<'_>) {
        if let Some(session) = self.session {
            step.start(CallTimer::Session(self.line.id), session.wait());
        }
    }

    /// A connection broke: the browser's, if it is this one.
    pub(in super::super) fn flow_lost(&mut self, flow: FlowId, step: &mut Step<'_>) {
        if self.line.uses(flow) && !self.is_lost() {
            self.presence = Presence::Lost;
            step.start(CallTimer::Grace(self.line.id), step.policy.grace);
        }
    }

    /// The browser came back on another connection.
    pub(in super::super) fn moved(&mut self, was: FlowId, flow: FlowId, step: &mut Step<'_>) {
        if !self.line.uses(was) {
            return;
        }
        if std::mem::replace(&mut self.presence, Presence::Here) == Presence::Lost {
            step.stop(CallTimer::Grace(self.line.id));
        }
        let to = Destination::Flow(flow);
        match &mut self.exchange {
            Exchange::Asked(asked) => asked.from = to.clone(),
            Exchange::Unacked(unacked) => unacked.to = to.clone(),
            Exchange::None | Exchange::Asking(_) => {}
        }
        self.line.link.destination = to;
    }

    /// We hang up: with BYE now, or once the first 2xx is acknowledged, before which the callee must not send one
    /// (RFC 3261 §15). A peer that nobody can reach is left at once.
    pub(in super::super) fn hang_up(mut self, reason: Option<String>, step: &mut Step<'_>) -> Parting {
        self.refuse_open(Status::REQUEST_TERMINATED, step);
        match self.into_first_unacked(step) {
            (line, successes, Presence::Lost, _) => Parting::over(line, successes),
            (line, successes, Presence::Here, Some(unacked)) => {
                Parting::closing(line, successes, unacked, reason)
            }
            (line, successes, Presence::Here, None) => Parting::leaving(line, successes, reason, step),
        }
    }

    /// The peer hung up.
    pub(in super::super) fn left(
        mut self,
        bye: &Message,
        from: &Destination,
        step: &mut Step<'_>,
    ) -> Parting {
        self.line.reply(bye, Status::OK, from, step);
        self.refuse_open(Status::REQUEST_TERMINATED, step);
        let (line, successes, _, unacked) = self.into_first_unacked(step);
        if unacked.is_some() {
            step.stop(CallTimer::Resend2xx(line.id));
        }
        Parting::over(line, successes)
    }

    /// Nothing is retried or refreshed any more, and of our 2xx only the call's first is repeated further.
    fn into_first_unacked(self, step: &mut Step<'_>) -> (Line, Successes, Presence, Option<Unacked>) {
        let Self { line, exchange, retry, session, mut successes, presence, .. } = self;
        if retry.is_some() {
            step.stop(CallTimer::Retry(line.id));
        }
        if session.is_some() {
            step.stop(CallTimer::Session(line.id));
        }
        if presence == Presence::Lost {
            step.stop(CallTimer::Grace(line.id));
        }
        let first = match exchange {
            Exchange::Unacked(unacked) if unacked.kind.is_first && presence == Presence::Here => {
                Some(unacked)
            }
            Exchange::Unacked(_) => {
                step.stop(CallTimer::Resend2xx(line.id));
                None
            }
            Exchange::Asking(asking) => {
                // Its 2xx still gets an ACK.
                successes.acked = Some(asking.cseq);
                None
            }
            Exchange::None | Exchange::Asked(_) => None,
        };
        (line, successes, presence, first)
    }

    pub(in super::super) fn takes_digits(&self) -> TakesDigits {
        match (self.media.has_telephone_event(), self.line.peer.info) {
            (true, _) => TakesDigits::AsEvents,
            (false, Serves::Yes | Serves::Unsaid) => TakesDigits::AsInfo,
            (false, Serves::No) => TakesDigits::Not,
        }
    }

    /// What this leg used so far, then whatever else its settings and the far end allow.
    fn full_list(&self, far: &[Format]) -> Vec<Format> {
        let mut formats = common(self.media.local_formats(), far);
        for format in sdp::select(far, &self.line.link.codecs) {
            if !formats.iter().any(|known| known.same_codec(&format)) {
                formats.push(format);
            }
        }
        formats.sort_by_key(Format::is_telephone_event);
        formats
    }

    /// Our offer in a 2xx: everything this leg could use, so that the peer may choose anew.
    pub(in super::super) fn make_full_offer(&mut self, far: &[Format], wish: Wish) -> Option<String> {
        let formats = self.full_list(far);
        self.media.make_offer(formats, wish)
    }

    fn offer_accepted(
        &mut self,
        asking: Asking,
        response: &Message,
        own: &[SocketAddr],
        step: &mut Step<'_>,
    ) -> Outcome {
        self.successes.acked = Some(asking.cseq);
        self.line.dialog.refresh_target(response);
        self.line.note_peer(response);
        self.line.send_ack(asking.cseq, step);
        if let Some(timer) = SessionTimer::granted(response, step) {
            self.session = Some(timer);
        }
        self.restart_session(step);
        match sdp_of(response).is_some_and(|sdp| self.media.receive_answer(sdp, own).is_ok()) {
            true => Outcome::Agreed(asking.offer.why),
            false => {
                self.media.rollback();
                Outcome::Unusable(asking.offer.why)
            }
        }
    }

    fn offer_refused(&mut self, asking: Asking, status: Status, step: &mut Step<'_>) -> Outcome {
        self.media.rollback();
        let mut offer = asking.offer;
        match status.code() {
            491 if offer.refused < MAX_RETRIES => {
                offer.refused += 1;
                step.start(CallTimer::Retry(self.line.id), self.glare_wait(offer.refused, step));
                self.retry = Some(offer);
                Outcome::Nothing
            }
            408 | 481 if !self.is_lost() => Outcome::DialogGone,
            _ => Outcome::Refused(offer.why, status),
        }
    }

    /// RFC 3261 §14.1: who made the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in steps of 10 ms.
    fn glare_wait(&self, attempt: u8, step: &Step<'_>) -> Duration {
        let what = format!("glare {attempt} {}", self.line.dialog.local_cseq());
        let chance = step.sealer.number(step.call, self.line.id, &what);
        let tens = match self.line.id {
            LegId::A => chance % 201,
            _ => 210 + chance % 191,
        };
        Duration::from_millis(tens * 10)
    }

    /// A peer that starts the next exchange has seen our 2xx (RFC 5407 §3.1.5: its ACK was overtaken).
    fn stop_resending(&mut self, step: &mut Step<'_>) {
        if matches!(self.exchange, Exchange::Unacked(_)) {
            self.exchange = Exchange::None;
            step.stop(CallTimer::Resend2xx(self.line.id));
        }
    }

    /// Any INVITE or UPDATE within the dialog may move the Contact, and refreshes the session.
    fn refreshed_by(&mut self, request: &Message, timer: Option<SessionTimer>, step: &mut Step<'_>) {
        self.line.dialog.refresh_target(request);
        self.line.note_peer(request);
        if timer.is_some() {
            self.session = timer;
        }
        self.restart_session(step);
    }

    fn take_asked(&mut self) -> Option<Asked> {
        match std::mem::replace(&mut self.exchange, Exchange::None) {
            Exchange::Asked(asked) => Some(asked),
            other @ (Exchange::None | Exchange::Asking(_) | Exchange::Unacked(_)) => {
                self.exchange = other;
                None
            }
        }
    }

    fn take_asking(&mut self, cseq: u32) -> Option<Asking> {
        match std::mem::replace(&mut self.exchange, Exchange::None) {
            Exchange::Asking(asking) if asking.cseq == cseq => Some(asking),
            other @ (Exchange::None | Exchange::Asking(_) | Exchange::Asked(_) | Exchange::Unacked(_)) => {
                self.exchange = other;
                None
            }
        }
    }
}

/// What follows from a timer.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum TimerSays {
    Nothing,
    /// The wait after a 491 is over: this offer is to be sent once more.
    Retry(Offer),
    /// The call ends for this cause.
    TheEnd(Cause),
}

/// Adds what was agreed about the session timer to a 2xx (RFC 4028 §9).
pub(super) fn with_session(response: Builder, session: Option<SessionTimer>, peer: Peer) -> Builder {
    match session {
        Some(session) => {
            let response = response.header(Name::SessionExpires, session.value(Role::Uas));
            // The peer must know that it has to refresh.
            if peer.timer { response.header(Name::Require, "timer") } else { response }
        }
        None => response,
    }
}

/// How often an offer is repeated after a 491.
const MAX_RETRIES: u8 = 3;

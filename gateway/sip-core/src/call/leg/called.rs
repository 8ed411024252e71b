//! The leg of the peer that called us, until its INVITE has a final response.

use serde::{Deserialize, Serialize};

use crate::dialog::{self, Dialog};
use crate::message::{Builder, Message, Method, Name, Status};
use crate::routing::{Destination, LegId};
use crate::sdp::Format;

use super::super::digits::{self, Ear};
use super::super::exchange::{AckKind, Asked, Exchange, Unacked};
use super::super::media::{LegMedia, Wish, session_id};
use super::super::refusal::Refusal;
use super::super::screen::{SDP, sdp_of, session_body};
use super::super::session_timer::SessionTimer;
use super::super::setup::with_headers;
use super::super::shared::Shared;
use super::super::step::Step;
use super::super::stored::Stored;
use super::super::{CallTimer, Link, status};
use super::confirmed::with_session;
use super::{Comes, Confirmed, Line, Parting, Successes, Wants};

/// A leg whose peer waits for our answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Called {
    pub(in super::super) line: Line,
    pub(in super::super) media: Shared<LegMedia>,
    invite: Asked,
    session: Option<SessionTimer>,
}

/// What a caller who waits asks of the whole call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum CallerAsks {
    /// Nothing.
    Nothing,
    /// He hangs up (RFC 3261 §15.1.2).
    ToLeave,
}

impl Called {
    /// The leg that this INVITE makes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(in super::super) fn new(request: &Message, link: Link, step: &Step<'_>) -> Result<Self, Refusal> {
        let bad = || Refusal::from(Status::BAD_REQUEST);
        dialog::target_of(request).ok_or_else(bad)?;
        session_body(request)?;
        let session = SessionTimer::asked(request, step)?;
        let from = link.destination.clone();
        let dialog = Dialog::called(request, step.sealer.tag(step.call, LegId::A));
        let mut line = Line::new(LegId::A, link, dialog);
        line.note_peer(request);
        let mut media = LegMedia::new(line.link.profile, session_id(step.call, line.id));
        if let Some(offer) = sdp_of(request) {
            let taken = media.receive_offer(offer, &line.link.codecs, &[]);
            taken.map_err(|error| status::of_sdp(error, &line.link.local))?;
        }
        let invite = Asked { request: Stored::skeleton(request).ok_or_else(bad)?, from, told: None };
        Ok(Self { line, media: Shared::new(media), invite, session })
    }

    /// A provisional response.
    pub(in super::super) fn ring(
        &mut self,
        status: Status,
        body: Option<String>,
        headers: &[(String, String)],
        step: &mut Step<'_>,
    ) {
        self.invite.told = Some(status);
        let response = with_headers(self.presented(status), headers);
        let response = match body {
            Some(sdp) => response.body(SDP, sdp),
            None => response,
        };
        step.respond(self.line.id, response, &self.invite.from);
    }

    /// The 2xx; gives the leg back if that can't be written.
    pub(in super::super) fn accept(
        self,
        sdp: String,
        kind: AckKind,
        headers: &[(String, String)],
        step: &mut Step<'_>,
    ) -> Result<Confirmed, Box<Self>> {
        let response = with_session(self.presented(Status::OK), self.session, self.line.peer);
        let response = with_headers(response, headers).body(SDP, sdp);
        let Some(response) = step.respond(self.line.id, response, &self.invite.from) else {
            return Err(Box::new(self));
        };
        let Self { line, media, invite, session } = self;
        step.start(CallTimer::Resend2xx(line.id), step.policy.t1);
        let unacked = Unacked::new(response, invite.from, kind, step.policy, step.now);
        let leg = Confirmed::new(line, media, Exchange::Unacked(unacked), session, Successes::default());
        leg.restart_session(step);
        Ok(leg)
    }

    /// A final response that is no 2xx.
    pub(in super::super) fn refuse(
        self,
        status: Status,
        headers: &[(Name<'static>, String)],
        step: &mut Step<'_>,
    ) -> Parting {
        let response = self.line.response(&self.invite.request.0, status);
        let response = headers.iter().fold(response, |response, (name, value)| response.header(*name, value));
        step.respond(self.line.id, response, &self.invite.from);
        Parting::over(self.line, Successes::default())
    }

    /// A CANCEL, which is answered in any case: does it mean the INVITE that waits (RFC 3261 §9.2)?
    pub(in super::super) fn is_cancelled_by(
        &self,
        cancel: &Message,
        from: &Destination,
        step: &mut Step<'_>,
    ) -> bool {
        self.line.reply(cancel, Status::OK, from, step);
        self.invite.is_cancelled_by(cancel)
    }

    /// A request of the caller's while he waits; INFO goes to whom he may hear.
    pub(in super::super) fn request(
        &mut self,
        request: &Message,
        from: &Destination,
        ear: Ear<'_>,
        step: &mut Step<'_>,
    ) -> CallerAsks {
        if *request.method() == Method::Ack {
            return CallerAsks::Nothing;
        }
        if request.to_tag().is_none() {
            self.repeat(request, step);
            return CallerAsks::Nothing;
        }
        let wants = match self.line.admit(request, from, step) {
            Some(Comes::New) => self.line.sort(request, from, step),
            Some(Comes::Again) => {
                self.line.answer_again(request, from, step);
                None
            }
            None => None,
        };
        match wants {
            None => {}
            Some(Wants::ToLeave) => {
                self.line.reply(request, Status::OK, from, step);
                return CallerAsks::ToLeave;
            }
            // RFC 3261 §14.2: no second offer while the first waits.
            Some(Wants::AnExchange) => {
                self.line.refuse(request, &Asked::later(&self.line, request, step), from, step);
            }
            Some(Wants::ARefresh) => self.refresh(request, from, step),
            Some(Wants::ADigit) => digits::info(&self.line, request, from, ear, step),
        }
        CallerAsks::Nothing
    }

    /// Our description in the 2xx: the answer to the caller's offer, the one he knows from a 18x, or our offer.
    pub(in super::super) fn describe_towards(
        &mut self,
        far: &[Format],
        wish: Wish,
    ) -> (Option<String>, AckKind) {
        let (open, agreed) = (self.media.has_open_offer(), self.media.is_agreed());
        let sdp = match (open, agreed) {
            (true, _) => self.media.make_answer(far, wish),
            (false, true) => self.media.repeated(),
            (false, false) => self.media.make_offer(far.to_vec(), wish),
        };
        (sdp, AckKind { brings_answer: !open && !agreed, is_first: true })
    }

    /// The INVITE once more, on a node that had no transaction for it.
    fn repeat(&self, request: &Message, step: &mut Step<'_>) {
        let is_it = *request.method() == Method::Invite && request.cseq() == self.invite.request.0.cseq();
        if is_it {
            let status = self.invite.told.unwrap_or(Status::TRYING);
            let response = self.line.presented(self.line.response(request, status));
            step.respond(self.line.id, response, &self.invite.from);
        }
    }

    /// UPDATE without an offer: a refresh of target and session timer (RFC 3311 §5.2, RFC 4028 §9).
    fn refresh(&mut self, request: &Message, from: &Destination, step: &mut Step<'_>) {
        let timer = match SessionTimer::asked(request, step) {
            Ok(timer) => timer,
            Err(refusal) => return self.line.refuse(request, &refusal, from, step),
        };
        self.line.dialog.refresh_target(request);
        self.line.note_peer(request);
        if timer.is_some() {
            self.session = timer;
        }
        let response = self.line.presented(self.line.response(request, Status::OK));
        step.respond(self.line.id, with_session(response, self.session, self.line.peer), from);
    }

    /// The browser's connection is another one from now on.
    pub(in super::super) fn moved(&mut self, to: Destination) {
        self.invite.from = to.clone();
        self.line.link.destination = to;
    }

    fn presented(&self, status: Status) -> Builder {
        self.line.presented(self.line.response(&self.invite.request.0, status))
    }
}

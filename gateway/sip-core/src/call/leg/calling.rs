//! A leg that we call, until our INVITE has a final response.

use std::net::SocketAddr;
use std::time::Duration;

use relay_api::LegDescription;
use serde::{Deserialize, Serialize};

use crate::dialog::Dialog;
use crate::message::{Builder, Message, Method, Name, Status};
use crate::routing::{Destination, LegId};
use crate::sdp::{Format, SdpError, Unacceptable};

use super::super::abandoned::Abandoned;
use super::super::exchange::Exchange;
use super::super::media::{LegMedia, Wish, session_id};
use super::super::screen::{SDP, sdp_of};
use super::super::session_timer::SessionTimer;
use super::super::setup::{Prepared, with_headers};
use super::super::shared::Shared;
use super::super::step::Step;
use super::super::{CallTimer, Callee, Candidate, Effect, PassedOver};
use super::{BranchPart, Comes, Confirmed, Forks, HOPS, Line, MAX_FORKS, Parting, Successes};

/// A leg whose peer is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Calling {
    pub(in super::super) line: Line,
    /// Our offer; each early dialog has its own answer to it.
    offer: Shared<LegMedia>,
    attempt: Attempt,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Attempt {
    /// The relay makes its side first.
    Preparing,
    /// The INVITE is out.
    Inviting(Invitation),
    /// It came to nothing.
    Over(Successes),
}

/// An INVITE of ours that has no final response yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Invitation {
    pub(super) cseq: u32,
    /// Its Via, which its CANCEL must have as well.
    via: String,
    /// Was there a provisional response? A CANCEL must wait for one (RFC 3261 §9.1).
    pub(super) is_heard: bool,
    /// At most [`MAX_FORKS`].
    early: Vec<EarlyDialog>,
    /// Whose early media is let through: the last that had any.
    sounding: Option<usize>,
}

/// What one fork made of the INVITE (RFC 3261 §12.1.2). Requests of its peer are answered; nothing is sent there but a CANCEL,
/// which needs no dialog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct EarlyDialog {
    dialog: Dialog,
    /// Its answer to our offer, if there was one.
    media: Option<Shared<LegMedia>>,
}

/// What a provisional response brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Heard {
    /// Nothing but its status.
    Status,
    /// An answer to our offer.
    EarlyMedia,
}

impl Calling {
    /// The leg before its INVITE.
    pub(in super::super) fn new(id: LegId, callee: &Callee, way: Candidate, step: &Step<'_>) -> Self {
        let mut link = callee.link.clone();
        link.destination = way.destination;
        link.local = way.local;
        // The id of the call is as hard to foresee as any Call-ID should be.
        let dialog = Dialog::calling(
            step.call.session(id).0,
            step.sealer.tag(step.call, id),
            callee.caller.name_addr(),
            &callee.to,
            way.request_uri,
        );
        let offer = Shared::new(LegMedia::new(link.profile, session_id(step.call, id)));
        Self { line: Line::new(id, link, dialog), offer, attempt: Attempt::Preparing }
    }

    /// Sends the INVITE; false if that is not possible.
    pub(in super::super) fn invite(
        &mut self,
        formats: Vec<Format>,
        wish: Wish,
        prepared: &Prepared,
        step: &mut Step<'_>,
    ) -> bool {
        let Some(sdp) = self.offer.make_offer(formats, wish) else { return false };
        let cseq = self.line.dialog.next_cseq();
        let invite = self.line.request(&Method::Invite, cseq, BranchPart::Own, prepared.hops, step);
        let invite = with_headers(self.line.presented(invite), &prepared.headers);
        let invite = self.expiring(invite, step).body(SDP, sdp);
        let sent = step.send(self.line.id, invite, self.line.destination());
        let Some(via) = sent.as_ref().and_then(|invite| invite.header(Name::Via)) else { return false };
        let via = via.to_owned();
        self.attempt =
            Attempt::Inviting(Invitation { cseq, via, is_heard: false, early: Vec::new(), sounding: None });
        step.start(CallTimer::FirstReply(self.line.id), self.patience(cseq));
        step.start(CallTimer::NoAnswer, step.policy.no_answer);
        true
    }

    /// Takes what the relay made for this leg.
    pub(in super::super) fn describe(&mut self, ours: LegDescription) {
        self.offer.set_description(ours);
    }

    /// The sound of the leg as it is now.
    pub(in super::super) fn media(&self) -> &LegMedia {
        match &self.attempt {
            Attempt::Inviting(invitation) => invitation.sound().unwrap_or(&self.offer),
            Attempt::Preparing | Attempt::Over(_) => &self.offer,
        }
    }

    /// Is this the INVITE that waits for its final response?
    pub(in super::super) fn is_inviting_by(&self, cseq: u32) -> bool {
        self.invitation().is_some_and(|invitation| invitation.cseq == cseq)
    }

    /// Has the INVITE had a response? Its address lives then.
    pub(in super::super) fn was_heard(&self) -> bool {
        self.invitation().is_some_and(|invitation| invitation.is_heard)
    }

    /// A provisional response.
    pub(in super::super) fn hears(
        &mut self,
        response: &Message,
        own: &[SocketAddr],
        step: &mut Step<'_>,
    ) -> Heard {
        let Attempt::Inviting(invitation) = &mut self.attempt else { return Heard::Status };
        invitation.note_heard(self.line.id, step);
        // RFC 3261 §12.1: a 100 makes no dialog.
        if response.status() == Some(Status::TRYING) {
            return Heard::Status;
        }
        self.line.note_peer(response);
        let Some(at) = invitation.place(&self.line.dialog, response) else { return Heard::Status };
        let early = &mut invitation.early[at];
        let taken = sdp_of(response).is_some_and(|sdp| {
            let media = early.media.get_or_insert_with(|| self.offer.clone());
            media.receive_answer(sdp, own).is_ok()
        });
        early.media.take_if(|media| !media.is_agreed());
        if !taken {
            return Heard::Status;
        }
        invitation.sounding = Some(at);
        Heard::EarlyMedia
    }

    /// The first 2xx: acknowledged at once. Whether its SDP can be used is told beside.
    pub(in super::super) fn confirm(
        self,
        response: &Message,
        own: &[SocketAddr],
        step: &mut Step<'_>,
    ) -> (Confirmed, Result<(), SdpError>) {
        let Self { mut line, offer, attempt } = self;
        let Attempt::Inviting(mut invitation) = attempt else {
            unreachable!("a response comes to an INVITE that was sent")
        };
        invitation.note_heard(line.id, step);
        let mut media = invitation.media_of(response).unwrap_or(offer);
        let successes = invitation.confirmed(&mut line, response);
        line.send_ack(invitation.cseq, step);
        let agreed = match sdp_of(response) {
            Some(sdp) => media.receive_answer(sdp, own),
            None if media.is_agreed() => Ok(()),
            None => Err(SdpError::NotAcceptable(Unacceptable::NoAudio)),
        };
        let session = SessionTimer::granted(response, step).filter(|_| agreed.is_ok());
        let leg = Confirmed::new(line, media, Exchange::None, session, successes);
        leg.restart_session(step);
        (leg, agreed)
    }

    /// A request of an early dialog's peer.
    pub(in super::super) fn admit(
        &mut self,
        request: &Message,
        from: &Destination,
        step: &mut Step<'_>,
    ) -> Option<Comes> {
        match &mut self.attempt {
            Attempt::Inviting(invitation) => invitation.admit(&self.line, request, from, step),
            Attempt::Preparing | Attempt::Over(_) => {
                self.line.reply(request, Status::CALL_DOES_NOT_EXIST, from, step);
                None
            }
        }
    }

    /// UPDATE without an offer moves the target of its early dialog.
    pub(in super::super) fn refresh(&mut self, request: &Message, from: &Destination, step: &mut Step<'_>) {
        if let Attempt::Inviting(invitation) = &mut self.attempt {
            invitation.refresh(request);
        }
        step.respond(self.line.id, self.line.presented(self.line.response(request, Status::OK)), from);
    }

    /// Nobody wants the peer any more: his INVITE is cancelled (RFC 3261 §9.1), if it is not over.
    pub(in super::super) fn give_up(self, reason: Option<String>, step: &mut Step<'_>) -> Parting {
        match self.attempt {
            Attempt::Preparing => Parting::over(self.line, Successes::default()),
            Attempt::Inviting(invitation) => Parting::cancelling(self.line, invitation, reason, step),
            Attempt::Over(successes) => Parting::over(self.line, successes),
        }
    }

    /// The INVITE has its final response, or will have none.
    pub(in super::super) fn conclude(&mut self, step: &mut Step<'_>) {
        if let Attempt::Inviting(invitation) = &mut self.attempt {
            invitation.note_heard(self.line.id, step);
            self.attempt = Attempt::Over(invitation.unanswered());
        }
    }

    /// The connection that the INVITE went to is gone: nobody can answer it.
    pub(in super::super) fn drop_invite(&mut self, step: &mut Step<'_>) {
        if let Some(invite) = self.open_invite() {
            step.push(Effect::Abandon { invite });
        }
        self.conclude(step);
    }

    /// The INVITE, which had no response, is not waited for; a late one will find it here, to be cancelled, or acknowledged
    /// and ended (RFC 3261 §9.1, §13.2.2.4). Who was silent until now would be rung by a repetition once he is back, and nobody
    /// wants him any more.
    pub(in super::super) fn abandon_invite(&mut self, step: &mut Step<'_>) -> Option<Abandoned> {
        let invite = self.open_invite()?;
        step.push(Effect::StopResending { invite: invite.clone() });
        self.attempt = Attempt::Preparing;
        Some(Abandoned::new(self.line.id, invite, self.line.destination(), step))
    }

    /// Says that the way which was tried should be passed over.
    pub(in super::super) fn pass_over(&self, seconds: Option<u32>, why: PassedOver, step: &mut Step<'_>) {
        step.push(Effect::PassOver { to: self.line.link.destination.clone(), seconds, why });
    }

    /// Another way to the peer, after the INVITE of the one before is over.
    pub(in super::super) fn turn_to(&mut self, next: Candidate, step: &Step<'_>) {
        self.attempt = Attempt::Preparing;
        self.line.dialog.retarget(next.request_uri);
        self.line.link.destination = next.destination;
        self.line.link.local = next.local;
        self.line.peer = super::line::Peer::default();
        *self.offer = self.offer.anew(&self.line.link, session_id(step.call, self.line.id));
    }

    fn invitation(&self) -> Option<&Invitation> {
        match &self.attempt {
            Attempt::Inviting(invitation) => Some(invitation),
            Attempt::Preparing | Attempt::Over(_) => None,
        }
    }

    fn open_invite(&self) -> Option<Message> {
        self.invitation()?.invite(&self.line)
    }

    /// How long this attempt may stay without a response. Each candidate gets half the time of the one before: all of them
    /// together less than twice the first.
    fn patience(&self, cseq: u32) -> Duration {
        self.line.link.first_reply / 2u32.saturating_pow(cseq.saturating_sub(1))
    }

    /// RFC 3261 §13.2.1: where all responses may be lost, nobody is there to cancel a phone that rings for ever.
    fn expiring(&self, invite: Builder, step: &Step<'_>) -> Builder {
        match self.line.destination().is_reliable() {
            true => invite,
            false => invite.header(Name::Expires, step.policy.no_answer.as_secs().max(1)),
        }
    }
}

impl Invitation {
    /// The INVITE but for its body. Its dialog takes shape with a 2xx alone, so it still says what the INVITE said.
    pub(super) fn invite(&self, line: &Line) -> Option<Message> {
        line.dialog.request(&Method::Invite, self.cseq, &self.via, HOPS).build().ok()
    }

    /// Its CANCEL (RFC 3261 §9.1): with the INVITE's Via.
    pub(super) fn cancel(&self, line: &Line) -> Builder {
        line.dialog.request(&Method::Cancel, self.cseq, &self.via, HOPS)
    }

    pub(super) fn note_heard(&mut self, leg: LegId, step: &mut Step<'_>) {
        if !std::mem::replace(&mut self.is_heard, true) {
            step.stop(CallTimer::FirstReply(leg));
        }
    }

    /// The line takes the dialog that a 2xx confirms; who else may still answer.
    pub(super) fn confirmed(&mut self, line: &mut Line, response: &Message) -> Successes {
        if let Some(early) = self.early.iter().find(|early| early.has_tag(response.to_tag())) {
            line.dialog = early.dialog.clone();
        }
        line.dialog.answered(response);
        line.note_peer(response);
        Successes { acked: Some(self.cseq), ..self.unanswered() }
    }

    /// Who may still answer an INVITE that is given up.
    pub(super) fn unanswered(&self) -> Successes {
        let tags = self.early.iter().filter_map(|early| early.dialog.remote_tag.clone());
        Successes { acked: None, called: Some(Forks::new(self.cseq, tags)) }
    }

    pub(super) fn admit(
        &mut self,
        line: &Line,
        request: &Message,
        from: &Destination,
        step: &mut Step<'_>,
    ) -> Option<Comes> {
        let Some(early) = self.early_mut(request).filter(|_| request.call_id() == line.dialog.call_id) else {
            line.reply(request, Status::CALL_DOES_NOT_EXIST, from, step);
            return None;
        };
        line.admit_to(request, from, step)?;
        // Each early dialog counts the peer's requests by itself.
        let order = early.dialog.judge_cseq(request.cseq().0);
        line.in_order(order, request, from, step)
    }

    pub(super) fn refresh(&mut self, request: &Message) {
        if let Some(early) = self.early_mut(request) {
            early.dialog.refresh_target(request);
        }
    }

    fn sound(&self) -> Option<&LegMedia> {
        self.sounding.and_then(|at| self.early[at].media.as_deref())
    }

    /// The sound of the fork that answered; a 2xx without SDP repeats what a 18x said, be it under another tag.
    fn media_of(&self, response: &Message) -> Option<Shared<LegMedia>> {
        let own = self.early.iter().find(|early| early.has_tag(response.to_tag()));
        let last = self.sounding.map(|at| &self.early[at]);
        own.filter(|early| early.media.is_some()).or(last).and_then(|early| early.media.clone())
    }

    /// Where the early dialog of a response stands; none if there is no room for it. A missing tag is a tag too
    /// (RFC 3261 §12.1.2).
    fn place(&mut self, base: &Dialog, response: &Message) -> Option<usize> {
        let tag = response.to_tag();
        if let Some(known) = self.early.iter().position(|early| early.has_tag(tag)) {
            return Some(known);
        }
        let has_room = self.early.len() < MAX_FORKS;
        has_room.then(|| {
            let mut dialog = base.clone();
            dialog.answered(response);
            self.early.push(EarlyDialog { dialog, media: None });
            self.early.len() - 1
        })
    }

    fn early_mut(&mut self, request: &Message) -> Option<&mut EarlyDialog> {
        let tag = request.from_tag();
        self.early.iter_mut().find(|early| early.has_tag(tag))
    }
}

impl EarlyDialog {
    fn has_tag(&self, tag: Option<&str>) -> bool {
        self.dialog.remote_tag.as_deref() == tag
    }
}

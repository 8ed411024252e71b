//! Offers within the established call: re-INVITE and UPDATE, both ways (RFC 3261 §14, RFC 3311).
//!
//! What only moves a peer's address, reorders its codecs or refreshes the session is answered at once; the other leg
//! never hears of it. A changed direction (hold) or a needed codec goes to the other leg as a re-INVITE of our own, and
//! its answer decides ours.

use std::time::Duration;

use relay_api::LegName;

use crate::message::{Message, Method, Name, Status};
use crate::routing::Destination;
use crate::sdp::{self, Format};

use super::in_dialog::TakesDigits;
use super::leg::{AckKind, Asked, Asking, BranchPart, HOPS, Leg, Offer, State, Why};
use super::media::{Wish, common, has_events, has_sound};
use super::refusal::Refusal;
use super::screen::{SDP, sdp_of, session_body};
use super::session::Then;
use super::session_timer::{Refresher, Role, SessionTimer};
use super::setup::session_timer;
use super::step::Step;
use super::stored::Stored;
use super::{Call, CallTimer, Cause, FarEnd, status};

impl Call {
    /// A re-INVITE, or an UPDATE with an offer.
    pub(super) fn reinvite(
        &mut self,
        name: LegName,
        request: &Message,
        from: &Destination,
        step: &mut Step<'_>,
    ) {
        let own = self.own_addresses();
        let Some(leg) = self.leg_mut(name) else { return };
        let admitted = leg.admit_offer(request, step).and_then(|()| session_timer(request, step));
        let timer = match admitted {
            Ok(timer) => timer,
            Err(refusal) => return self.refuse(name, request, refusal, from, step),
        };
        let offer = match sdp_of(request) {
            Some(sdp) => leg
                .media
                .receive_offer(sdp, &leg.link.codecs, &own)
                .map_err(|error| status::of_sdp(error, &leg.link.local)),
            None => Ok(()),
        };
        let skeleton =
            offer.and_then(|()| Stored::skeleton(request).ok_or_else(|| Refusal::from(Status::BAD_REQUEST)));
        let skeleton = match skeleton {
            Ok(skeleton) => skeleton,
            Err(refusal) => return self.refuse(name, request, refusal, from, step),
        };
        leg.implied_ack(step);
        leg.refreshed_by(request, timer, step);
        leg.asked = Some(Asked { request: skeleton, from: from.clone(), told: None });
        if !leg.media.has_open_offer() {
            self.offer_in_2xx(name, step);
        } else if leg.media.restarts_ice() {
            self.declare_media_then(Then::Answer(name), step);
        } else {
            self.answer_offer(name, step);
        }
    }

    /// Answers the open offer of one leg, or asks the other leg's peer first.
    pub(super) fn answer_offer(&mut self, name: LegName, step: &mut Step<'_>) {
        let service = self.far_formats();
        let Some((leg, other)) = self.pair_mut(name) else { return };
        if !has_sound(leg.media.acceptable()) {
            return self.refuse_offer(name, Status::NOT_ACCEPTABLE_HERE, step);
        }
        let Some(other) = other else {
            let sdp = leg.media.make_answer(&service, Wish::default());
            return self.accept_offer(name, sdp, step);
        };
        if !must_ask(leg, other) {
            let formats = other.media.answerable(leg.media.acceptable());
            let sdp = leg.media.make_answer(&formats, other.media.wishes());
            self.accept_offer(name, sdp, step);
            return self.catch_up(name.other());
        }
        let formats = sdp::select(leg.media.acceptable(), &other.link.codecs);
        if !has_sound(&formats) {
            return self.refuse_offer(name, Status::NOT_ACCEPTABLE_HERE, step);
        }
        let offer = Offer { why: Why::Forward, formats, wish: leg.media.wishes(), refused: 0 };
        if !other.is_settled() || other.lost || !other.send_offer(offer, step) {
            self.refuse_offer(name, Status::REQUEST_PENDING, step);
        }
    }

    /// A re-INVITE without SDP wants our offer: everything this leg could use, so that the peer may choose anew.
    fn offer_in_2xx(&mut self, name: LegName, step: &mut Step<'_>) {
        let (service, wish) = (self.far_formats(), self.far_wishes());
        let Some((leg, other)) = self.pair_mut(name) else { return };
        let (far, wish) = match other {
            Some(other) => {
                let mut far = other.media.common();
                far.extend(sdp::offered(&other.link.codecs));
                (far, other.media.wishes())
            }
            None => (service, wish),
        };
        let formats = leg.full_list(&far);
        let sdp = leg.media.make_offer(formats, wish);
        self.accept_offer(name, sdp, step);
    }

    /// The 2xx to the open request of one leg.
    fn accept_offer(&mut self, name: LegName, sdp: Option<String>, step: &mut Step<'_>) {
        let Some(sdp) = sdp else { return self.refuse_offer(name, Status::NOT_ACCEPTABLE_HERE, step) };
        self.declare_media(step);
        let Some(leg) = self.leg_mut(name) else { return };
        let Some(asked) = leg.asked.take() else { return };
        let request = &asked.request.0;
        let response = leg.with_session(leg.presented(leg.response(request, Status::OK))).body(SDP, sdp);
        let invite = *request.method() == Method::Invite;
        let sent = step.respond(name, response, &asked.from);
        if let Some(response) = sent.filter(|_| invite) {
            let kind = AckKind { awaits_answer: leg.media.has_open_proposal(), first: false };
            leg.await_ack(response, asked.from, kind, step);
        }
    }

    /// The open request of one leg came to nothing; everything stays as agreed before.
    fn refuse_offer(&mut self, name: LegName, status: Status, step: &mut Step<'_>) {
        let Some(leg) = self.leg_mut(name) else { return };
        leg.media.rollback();
        if let Some(asked) = leg.asked.take() {
            leg.reply(&asked.request.0, status, &asked.from, step);
        }
        self.declare_media(step);
    }

    /// The peer cancelled its re-INVITE.
    pub(super) fn offer_cancelled(&mut self, name: LegName, step: &mut Step<'_>) {
        self.refuse_offer(name, Status::REQUEST_TERMINATED, step);
    }

    /// A 2xx to a re-INVITE of ours.
    pub(super) fn offer_accepted(&mut self, name: LegName, response: &Message, step: &mut Step<'_>) {
        let own = self.own_addresses();
        let Some(leg) = self.leg_mut(name) else { return };
        let Some(asking) = leg.asking.take() else { return };
        leg.acked = Some(asking.cseq);
        leg.dialog.refresh_target(response);
        leg.note_peer(response);
        leg.send_ack(asking.cseq, step);
        if !leg.is_confirmed() {
            return;
        }
        if let Some(timer) = SessionTimer::granted(response, step) {
            leg.session = Some(timer);
        }
        leg.restart_session(step);
        let answered = sdp_of(response).is_some_and(|sdp| leg.media.receive_answer(sdp, &own).is_ok());
        if !answered {
            leg.media.rollback();
        }
        match asking.offer.map(|offer| offer.why) {
            Some(Why::Forward) => self.answer_forwarded(name, answered, step),
            Some(Why::Follow | Why::Refresh) | None => {
                self.declare_media(step);
                self.catch_up(name.other());
            }
        }
    }

    /// The answer to an offer that we passed on decides about the answer to the one we got.
    fn answer_forwarded(&mut self, name: LegName, answered: bool, step: &mut Step<'_>) {
        let Some((leg, Some(asker))) = self.pair_mut(name) else { return };
        let asker_name = asker.name;
        if asker.asked.is_none() {
            // Cancelled meanwhile: this leg's peer now knows a state that the other one took back.
            self.declare_media(step);
            self.catch_up(name);
            return;
        }
        let (formats, wish) = (leg.media.common(), leg.media.wishes());
        let sdp = answered.then(|| asker.media.make_answer(&formats, wish)).flatten();
        self.accept_offer(asker_name, sdp, step);
        self.catch_up(name);
    }

    /// A re-INVITE of ours was refused or not answered.
    pub(super) fn offer_refused(&mut self, name: LegName, status: Status, step: &mut Step<'_>) {
        let Some(leg) = self.leg_mut(name) else { return };
        let Some(asking) = leg.asking.take() else { return };
        leg.media.rollback();
        let Some(mut offer) = asking.offer.filter(|_| leg.is_confirmed()) else { return };
        match status.code() {
            491 if offer.refused < MAX_RETRIES => {
                offer.refused += 1;
                let wait = leg.glare_wait(offer.refused, step);
                leg.retry = Some(offer);
                step.start(CallTimer::Retry(name), wait);
            }
            // RFC 3261 §12.2.1.2: the dialog is gone, as far as the peer is concerned.
            408 | 481 if !leg.lost => self.end(Cause::DialogLost, Some(name), None, step),
            _ => self.give_up_offer(name, offer.why, status, step),
        }
    }

    fn give_up_offer(&mut self, name: LegName, why: Why, status: Status, step: &mut Step<'_>) {
        match why {
            Why::Forward => self.refuse_offer(name.other(), status::of_refused_offer(status), step),
            Why::Follow => {}
            Why::Refresh => {
                if let Some(leg) = self.leg(name) {
                    leg.restart_session(step);
                }
            }
        }
    }

    /// The wait after a 491 is over.
    pub(super) fn retry_offer(&mut self, name: LegName, step: &mut Step<'_>) {
        let Some(leg) = self.leg_mut(name) else { return };
        let Some(offer) = leg.retry.take() else { return };
        let why = offer.why;
        if !leg.is_settled() || !leg.send_offer(offer, step) {
            self.give_up_offer(name, why, Status::REQUEST_PENDING, step);
        }
    }

    /// Brings a leg up to what the other leg changed by an answer. Waits until both are settled.
    pub(super) fn follow(&mut self, step: &mut Step<'_>) {
        let Some(name) = self.behind else { return };
        let behind = self.is_behind(name);
        let Some((leg, Some(other))) = self.pair_mut(name) else { return };
        if !leg.is_settled() || !other.is_settled() {
            return;
        }
        let (wish, formats) = (other.media.wishes(), sdp::select(&other.media.common(), &leg.link.codecs));
        if behind && has_sound(&formats) {
            leg.send_offer(Offer { why: Why::Follow, formats, wish, refused: 0 }, step);
        }
        self.behind = None;
    }

    /// Notes a leg whose peer must hear of a change of the other one.
    pub(super) fn catch_up(&mut self, name: LegName) {
        if self.is_behind(name) {
            self.behind = Some(name);
        }
    }

    /// Does this leg's peer know something else than what the other leg's peer said last?
    fn is_behind(&self, name: LegName) -> bool {
        match (name, &self.b) {
            (LegName::A, FarEnd::Leg(b)) => differs(&self.a, b),
            (LegName::B, FarEnd::Leg(b)) => differs(b, &self.a),
            (_, FarEnd::Service(_)) => false,
        }
    }

    /// The session timer (RFC 4028 §10): refresh, or give the silent peer up.
    pub(super) fn session_due(&mut self, name: LegName, step: &mut Step<'_>) {
        let Some(leg) = self.leg_mut(name).filter(|leg| leg.is_confirmed()) else { return };
        match leg.session.map(|session| session.refresher) {
            Some(Refresher::Us) => {
                let (formats, wish) = (leg.media.local_formats().to_vec(), leg.media.we_say());
                let offer = Offer { why: Why::Refresh, formats, wish, refused: 0 };
                if !leg.is_settled() || !leg.send_offer(offer, step) {
                    // An offer is on its way already, and refreshes as well.
                    leg.restart_session(step);
                }
            }
            Some(Refresher::Peer) => self.end(Cause::SessionExpired, Some(name), None, step),
            None => {}
        }
    }
}

impl Leg {
    /// May this offer, or wish for one, come now (RFC 3261 §14.2, RFC 3311 §5.2)?
    fn admit_offer(&self, request: &Message, step: &Step<'_>) -> Result<(), Refusal> {
        let later = || {
            let seconds = step.sealer.number(step.call, self.name, request.call_id()) % 10 + 1;
            Refusal::from(Status::SERVER_INTERNAL_ERROR).with(Name::RetryAfter, seconds)
        };
        let awaits_answer = self.unacked.as_ref().is_some_and(|unacked| unacked.awaits_answer);
        match self.state {
            _ if self.asked.is_some() => Err(later()),
            State::Early if self.asking.is_some() => Err(Status::REQUEST_PENDING.into()),
            State::Confirmed if self.asking.is_some() || awaits_answer => Err(Status::REQUEST_PENDING.into()),
            State::Confirmed => session_body(request),
            State::Waiting
            | State::Early
            | State::Cancelled { .. }
            | State::Closing { .. }
            | State::Leaving { .. }
            | State::Ended => Err(Status::CALL_DOES_NOT_EXIST.into()),
        }
    }

    /// A peer that starts the next exchange has seen our 2xx (RFC 5407 §3.1.5: its ACK was overtaken).
    fn implied_ack(&mut self, step: &mut Step<'_>) {
        if self.unacked.take().is_some() {
            step.stop(CallTimer::Resend2xx(self.name));
        }
    }

    /// Any INVITE or UPDATE within the dialog may move the Contact, and refreshes the session.
    pub(super) fn refreshed_by(
        &mut self,
        request: &Message,
        timer: Option<SessionTimer>,
        step: &mut Step<'_>,
    ) {
        self.dialog.refresh_target(request);
        self.note_peer(request);
        if timer.is_some() {
            self.session = timer;
        }
        self.restart_session(step);
    }

    /// Sends a re-INVITE; false if that is not possible.
    fn send_offer(&mut self, offer: Offer, step: &mut Step<'_>) -> bool {
        let cseq = self.dialog.next_cseq();
        let sdp = self.media.make_offer(offer.formats.clone(), offer.wish);
        let sent = sdp.and_then(|sdp| {
            let invite = self.request(&Method::Invite, cseq, BranchPart::Own, HOPS, step);
            let invite = self.presented(invite);
            let invite = match self.session {
                Some(session) => invite.header(Name::SessionExpires, session.value(Role::Uac)),
                None => invite,
            };
            step.send(self.name, invite.body(SDP, sdp), self.destination())
        });
        match sent.as_ref().and_then(|invite| invite.header(Name::Via)) {
            Some(via) => {
                let via = via.to_owned();
                self.asking = Some(Asking { cseq, via, provisional: false, offer: Some(offer) });
                true
            }
            None => {
                self.media.rollback();
                false
            }
        }
    }

    /// RFC 3261 §14.1: who made the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in steps of 10 ms.
    fn glare_wait(&self, attempt: u8, step: &Step<'_>) -> Duration {
        let chance = step.sealer.number(
            step.call,
            self.name,
            &format!("glare {attempt} {}", self.dialog.local_cseq()),
        );
        let tens = match self.name {
            LegName::A => chance % 201,
            LegName::B => 210 + chance % 191,
        };
        Duration::from_millis(tens * 10)
    }

    /// What this leg used so far, then whatever else its settings and the far end allow.
    fn full_list(&self, far: &[Format]) -> Vec<Format> {
        let mut formats = common(self.media.local_formats(), far);
        for format in sdp::select(far, &self.link.codecs) {
            if !formats.iter().any(|known| known.same_codec(&format)) {
                formats.push(format);
            }
        }
        formats.sort_by_key(Format::is_telephone_event);
        formats
    }
}

/// Must the other leg's peer be asked before this leg's open offer can be answered?
fn must_ask(leg: &Leg, other: &Leg) -> bool {
    turns(leg, other) || !can_join(leg.media.acceptable(), other)
}

/// Must this leg's peer be told what the other leg's peer said last?
fn differs(leg: &Leg, other: &Leg) -> bool {
    leg.media.is_agreed()
        && (turns(other, leg) || !can_join(&other.media.common(), leg) || events_differ(leg, other))
}

/// Would the sound of the other leg go another way if it were as this leg's peer wants it?
fn turns(leg: &Leg, other: &Leg) -> bool {
    other.media.would_flow(leg.media.wishes()) != other.media.flow()
}

/// Does this leg's peer send digits as RTP events in vain, or could it do so and does not know?
fn events_differ(leg: &Leg, other: &Leg) -> bool {
    match leg.media.has_telephone_event() {
        true => matches!(other.takes_digits(), TakesDigits::Not),
        false => {
            has_events(&sdp::select(&other.media.common(), &leg.link.codecs)) && leg.media.may_have_events()
        }
    }
}

/// Is there a common format, and is what the other peer most likely sends (our first) among them?
fn can_join(formats: &[Format], other: &Leg) -> bool {
    let shared = common(&other.media.common(), formats);
    let first = other.media.common().into_iter().find(|format| !format.is_telephone_event());
    !other.media.is_agreed()
        || first.is_some_and(|first| shared.iter().any(|format| format.same_codec(&first)))
}

/// How often an offer is repeated after a 491.
const MAX_RETRIES: u8 = 3;

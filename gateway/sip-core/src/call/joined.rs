//! Two legs that are joined, and offers within the call: re-INVITE and UPDATE, both ways (RFC 3261 §14, RFC 3311).
//!
//! What only moves a peer's address, reorders its codecs or refreshes the session is answered at once; the other leg
//! never hears of it. A changed direction (hold) or a needed codec goes to the other leg as a re-INVITE of our own, and
//! its answer decides ours.

use std::net::SocketAddr;

use relay_api::EventKind;
use serde::{Deserialize, Serialize};

use crate::message::{Message, Status};
use crate::routing::{Destination, FlowId, LegId};
use crate::sdp::{self, Format};

use super::digits::{self, Dtmf, Ear};
use super::end::{self, Ending, reason_in};
use super::exchange::{Offer, Why};
use super::leg::{Asks, Confirmed, Outcome, Taken, TakesDigits, TimerSays};
use super::media::{common, has_events, has_sound};
use super::session::{self, Session, Side, Then};
use super::shared::Shared;
use super::step::Step;
use super::{CallTimer, Cause, Event, Record, Stage, status};

/// Both legs are up, and hear each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Joined {
    a: Shared<Confirmed>,
    b: Shared<Confirmed>,
    session: Session,
    /// A leg whose peer must be told about a change of the other leg.
    behind: Option<Side>,
}

/// What follows from an event.
enum Next {
    Stay,
    /// This side hung up.
    Left(Side, Message, Destination),
    End(Ending),
}

impl Joined {
    /// RFC 3261 §13.2.2.4: what the caller heard in a 18x may not be what the 2xx says, least of all if another fork took the
    /// call.
    pub(super) fn new(a: Confirmed, b: Confirmed, session: Session) -> Self {
        let mut joined = Self { a: Shared::new(a), b: Shared::new(b), session, behind: None };
        joined.catch_up(Side::A);
        joined
    }

    pub(super) fn handle(mut self, event: Event, record: &mut Record, step: &mut Step<'_>) -> Stage {
        match self.turn(event, step) {
            Next::Stay => {
                self.follow(step);
                Stage::Joined(self)
            }
            Next::Left(side, bye, from) => self.left(side, &bye, &from, record, step),
            Next::End(ending) => self.end(ending, record, step),
        }
    }

    /// The browsers' connections which the call needs.
    pub(super) fn flows(&self) -> Vec<(LegId, FlowId)> {
        let lines = [&self.a.line, &self.b.line].into_iter();
        lines.filter_map(|line| Some((line.id, line.link.destination.flow()?))).collect()
    }

    fn turn(&mut self, event: Event, step: &mut Step<'_>) -> Next {
        // Of a device that another one was faster than.
        if event.session().is_some_and(|id| !self.session.is(id, step.call)) {
            return Next::Stay;
        }
        match event {
            Event::Request { leg, message, from } => match self.side_of(leg) {
                Some(side) => self.request(side, message, from, step),
                None => Next::Stay,
            },
            Event::Cancel { leg, message, from } => {
                if let Some(side) = self.side_of(leg)
                    && self.leg(side).is_cancelled_by(&message, &from, step)
                {
                    self.refuse(side, Status::REQUEST_TERMINATED, step);
                }
                Next::Stay
            }
            Event::Response { leg, message } => {
                let own = self.own_addresses();
                let Some(side) = self.side_of(leg) else { return Next::Stay };
                let outcome = self.leg_mut(side).response(&message, &own, step);
                self.follows(side, outcome, step)
            }
            Event::ClientFailed { leg, cseq, method, failure } => {
                let Some(side) = self.side_of(leg) else { return Next::Stay };
                let outcome = self.leg_mut(side).failed(cseq, &method, failure, step);
                self.follows(side, outcome, step)
            }
            Event::Timer(timer) => self.timer(timer, step),
            Event::MediaReady(made) => {
                let (far, then) = self.session.made(*made);
                self.a.media.describe_as(self.session.for_caller());
                self.b.media.set_description(far);
                match then {
                    Some(Then::Answer(side)) => self.answer_offer(side, step),
                    Some(Then::Call) | None => {}
                }
                Next::Stay
            }
            Event::MediaFailed { error, .. } => {
                session::cause_of(&error).map_or(Next::Stay, |cause| Next::End(Ending::of(cause, None, None)))
            }
            Event::Media { side, kind, .. } => self.media_says(side.into(), &kind, step),
            Event::FlowLost { leg, flow } => {
                if let Some(side) = self.side_of(leg) {
                    self.leg_mut(side).flow_lost(flow, step);
                }
                Next::Stay
            }
            Event::FlowRestored { leg, was, flow } => {
                if let Some(side) = self.side_of(leg) {
                    self.leg_mut(side).moved(was, flow, step);
                }
                Next::Stay
            }
            Event::Terminate { cause } => Next::End(Ending::of(cause, None, None)),
        }
    }

    fn request(&mut self, side: Side, request: Message, from: Destination, step: &mut Step<'_>) -> Next {
        let own = self.own_addresses();
        match self.leg_mut(side).request(&request, &from, &own, step) {
            Asks::Nothing => {}
            Asks::ToLeave => return Next::Left(side, request, from),
            Asks::AnExchange(Taken::OurOffer) => self.offer_in_2xx(side, step),
            Asks::AnExchange(Taken::AnAnswer) => self.answer_offer(side, step),
            Asks::AnExchange(Taken::AnAnswerAfterRestart) => {
                self.declare(step);
                self.session.then(Then::Answer(side));
            }
            Asks::ADigit => self.digit(side, &request, &from, step),
            Asks::WhatFollows => {
                self.declare(step);
                self.catch_up(side.other());
            }
            Asks::TheEnd => return Next::End(self.by(side, Cause::NoCommonCodec)),
        }
        Next::Stay
    }

    /// Answers the open offer of one leg, or asks the other leg's peer first.
    fn answer_offer(&mut self, side: Side, step: &mut Step<'_>) {
        let (leg, other) = self.pair_mut(side);
        if !has_sound(leg.media.acceptable()) {
            return self.refuse(side, Status::NOT_ACCEPTABLE_HERE, step);
        }
        if !must_ask(leg, other) {
            let formats = other.media.answerable(leg.media.acceptable());
            let sdp = leg.media.make_answer(&formats, other.media.wishes());
            self.accept(side, sdp, step);
            return self.catch_up(side.other());
        }
        let formats = sdp::select(leg.media.acceptable(), &other.line.link.codecs);
        if !has_sound(&formats) {
            return self.refuse(side, Status::NOT_ACCEPTABLE_HERE, step);
        }
        let offer = Offer { why: Why::Forward, formats, wish: leg.media.wishes(), refused: 0 };
        if other.is_lost() || !other.send_offer(offer, step) {
            self.refuse(side, Status::REQUEST_PENDING, step);
        }
    }

    /// A re-INVITE without SDP wants our offer: everything this leg could use, so that the peer may choose anew.
    fn offer_in_2xx(&mut self, side: Side, step: &mut Step<'_>) {
        let (leg, other) = self.pair_mut(side);
        let mut far = other.media.common();
        far.extend(sdp::offered(&other.line.link.codecs));
        let sdp = leg.make_full_offer(&far, other.media.wishes());
        self.accept(side, sdp, step);
    }

    /// The 2xx to the open request of one leg.
    fn accept(&mut self, side: Side, sdp: Option<String>, step: &mut Step<'_>) {
        match sdp {
            Some(sdp) => {
                self.declare(step);
                self.leg_mut(side).accept(sdp, step);
            }
            None => self.refuse(side, Status::NOT_ACCEPTABLE_HERE, step),
        }
    }

    /// The open request of one leg came to nothing; everything stays as agreed before.
    fn refuse(&mut self, side: Side, status: Status, step: &mut Step<'_>) {
        self.leg_mut(side).refuse_open(status, step);
        self.declare(step);
    }

    /// What became of a request of ours.
    fn follows(&mut self, side: Side, outcome: Outcome, step: &mut Step<'_>) -> Next {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Agreed(Why::Forward) => self.answer_forwarded(side, Answered::Usably, step),
            Outcome::Unusable(Why::Forward) => self.answer_forwarded(side, Answered::Unusably, step),
            Outcome::Agreed(Why::Follow | Why::Refresh) | Outcome::Unusable(Why::Follow | Why::Refresh) => {
                self.declare(step);
                self.catch_up(side.other());
            }
            Outcome::Refused(why, status) => self.give_up_offer(side, why, status, step),
            Outcome::DialogGone => return Next::End(self.by(side, Cause::DialogLost)),
        }
        Next::Stay
    }

    /// The answer to an offer that we passed on decides about the answer to the one we got.
    fn answer_forwarded(&mut self, side: Side, answered: Answered, step: &mut Step<'_>) {
        let (leg, asker) = self.pair_mut(side);
        if !asker.is_asked() {
            // Cancelled meanwhile: this leg's peer now knows a state that the other one took back.
            self.declare(step);
            return self.catch_up(side);
        }
        let sdp = match answered {
            Answered::Usably => asker.media.make_answer(&leg.media.common(), leg.media.wishes()),
            Answered::Unusably => None,
        };
        self.accept(side.other(), sdp, step);
        self.catch_up(side);
    }

    fn give_up_offer(&mut self, side: Side, why: Why, status: Status, step: &mut Step<'_>) {
        match why {
            Why::Forward => self.refuse(side.other(), status::of_refused_offer(status), step),
            Why::Follow => {}
            Why::Refresh => self.leg(side).restart_session(step),
        }
    }

    fn timer(&mut self, timer: CallTimer, step: &mut Step<'_>) -> Next {
        let Some(side) = timer.leg().and_then(|leg| self.side_of(leg)) else { return Next::Stay };
        match self.leg_mut(side).timer(timer, step) {
            TimerSays::Nothing => {}
            TimerSays::Retry(offer) => {
                let why = offer.why;
                if !self.leg_mut(side).send_offer(offer, step) {
                    self.give_up_offer(side, why, Status::REQUEST_PENDING, step);
                }
            }
            TimerSays::TheEnd(cause) => return Next::End(self.by(side, cause)),
        }
        Next::Stay
    }

    /// Brings a leg up to what the other leg changed by an answer. Waits until both are settled.
    fn follow(&mut self, step: &mut Step<'_>) {
        let Some(side) = self.behind else { return };
        let is_behind = self.is_behind(side);
        let (leg, other) = self.pair_mut(side);
        if !leg.is_settled() || !other.is_settled() {
            return;
        }
        let wish = other.media.wishes();
        let formats = sdp::select(&other.media.common(), &leg.line.link.codecs);
        if is_behind && has_sound(&formats) {
            leg.send_offer(Offer { why: Why::Follow, formats, wish, refused: 0 }, step);
        }
        self.behind = None;
    }

    /// Notes a leg whose peer must hear of a change of the other one.
    fn catch_up(&mut self, side: Side) {
        if self.is_behind(side) {
            self.behind = Some(side);
        }
    }

    /// Does this leg's peer know something else than what the other leg's peer said last?
    fn is_behind(&self, side: Side) -> bool {
        differs(self.leg(side), self.leg(side.other()))
    }

    fn digit(&mut self, side: Side, request: &Message, from: &Destination, step: &mut Step<'_>) {
        let session = self.session.place(step.call);
        let (leg, other) = self.pair_mut(side);
        let ear = match other.takes_digits() {
            TakesDigits::AsEvents => Ear::Events { session, side: side.other() },
            TakesDigits::AsInfo => Ear::Info(other),
            TakesDigits::Not => Ear::None,
        };
        digits::info(&leg.line, request, from, ear, step);
    }

    fn media_says(&mut self, side: Side, kind: &EventKind, step: &mut Step<'_>) -> Next {
        if let EventKind::Dtmf { digit, duration_ms } = kind {
            // The relay carries the digits of RTP events to the other leg itself, unless that one has none.
            let other = self.leg_mut(side.other());
            if other.takes_digits() == TakesDigits::AsInfo {
                other.send_dtmf(Dtmf::lasting(*digit, *duration_ms), step);
            }
            return Next::Stay;
        }
        end::of_media(kind, self.leg(side).line.id).map_or(Next::Stay, Next::End)
    }

    /// One side hung up (RFC 3261 §15.1.2).
    fn left(
        self,
        side: Side,
        bye: &Message,
        from: &Destination,
        record: &mut Record,
        step: &mut Step<'_>,
    ) -> Stage {
        let ending = Ending::of(Cause::HungUp, Some(self.leg(side).line.id), reason_in(bye));
        let Self { a, b, mut session, .. } = self;
        let (leaver, other) = match side {
            Side::A => (a, b),
            Side::B => (b, a),
        };
        record.part(leaver.take().left(bye, from, step));
        session.release(step);
        record.part(other.take().hang_up(ending.reason(), step));
        Stage::Ending(ending)
    }

    fn end(mut self, ending: Ending, record: &mut Record, step: &mut Step<'_>) -> Stage {
        self.session.release(step);
        record.part(self.a.take().hang_up(ending.reason(), step));
        record.part(self.b.take().hang_up(ending.reason(), step));
        Stage::Ending(ending)
    }

    fn by(&self, side: Side, cause: Cause) -> Ending {
        Ending::of(cause, Some(self.leg(side).line.id), None)
    }

    fn declare(&mut self, step: &mut Step<'_>) {
        let (a, b) = (self.a.media.spec(&self.a.line.link), self.b.media.spec(&self.b.line.link));
        self.session.declare(a, b, step);
    }

    /// Addresses that no peer can have.
    fn own_addresses(&self) -> Vec<SocketAddr> {
        [&self.a, &self.b].into_iter().filter_map(|leg| leg.media.own_address()).collect()
    }

    fn side_of(&self, leg: LegId) -> Option<Side> {
        [Side::A, Side::B].into_iter().find(|side| self.leg(*side).line.id == leg)
    }

    fn leg(&self, side: Side) -> &Confirmed {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }

    fn leg_mut(&mut self, side: Side) -> &mut Confirmed {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    /// A leg together with the other one.
    fn pair_mut(&mut self, side: Side) -> (&mut Confirmed, &mut Confirmed) {
        match side {
            Side::A => (&mut self.a, &mut self.b),
            Side::B => (&mut self.b, &mut self.a),
        }
    }
}

/// How an offer that was passed on was answered.
#[derive(Clone, Copy)]
enum Answered {
    Usably,
    Unusably,
}

/// Must the other leg's peer be asked before this leg's open offer can be answered?
fn must_ask(leg: &Confirmed, other: &Confirmed) -> bool {
    turns(leg, other) || !can_join(leg.media.acceptable(), other)
}

/// Must this leg's peer be told what the other leg's peer said last?
fn differs(leg: &Confirmed, other: &Confirmed) -> bool {
    leg.media.is_agreed()
        && (turns(other, leg) || !can_join(&other.media.common(), leg) || events_differ(leg, other))
}

/// Would the sound of the other leg go another way if it were as this leg's peer wants it?
fn turns(leg: &Confirmed, other: &Confirmed) -> bool {
    other.media.would_flow(leg.media.wishes()) != other.media.flow()
}

/// Does this leg's peer send digits as RTP events in vain, or could it do so and does not know?
fn events_differ(leg: &Confirmed, other: &Confirmed) -> bool {
    match leg.media.has_telephone_event() {
        true => other.takes_digits() == TakesDigits::Not,
        false => {
            let far = sdp::select(&other.media.common(), &leg.line.link.codecs);
            has_events(&far) && leg.media.may_have_events()
        }
    }
}

/// Is there a common format, and is what the other peer most likely sends (our first) among them?
fn can_join(formats: &[Format], other: &Confirmed) -> bool {
    let shared = common(&other.media.common(), formats);
    let first = other.media.common().into_iter().find(|format| !format.is_telephone_event());
    !other.media.is_agreed()
        || first.is_some_and(|first| shared.iter().any(|format| format.same_codec(&first)))
}

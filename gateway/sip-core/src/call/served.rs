//! Calls to the relay itself: there is no second SIP leg.

use std::net::SocketAddr;

use relay_api::{LegSpec, Service};
use serde::{Deserialize, Serialize};

use crate::message::{Message, Status};
use crate::routing::{Destination, FlowId, LegId};
use crate::sdp::{self, CodecName, Format};

use super::digits::{self, Ear};
use super::end::{self, Ending, reason_in};
use super::leg::{Asks, Called, CallerAsks, Confirmed, Outcome, Taken, TimerSays};
use super::media::{LegMedia, Wish, has_sound};
use super::refusal::Refusal;
use super::session::{self, Session, Side, Then};
use super::shared::Shared;
use super::step::Step;
use super::{Cause, Event, Link, Record, Stage};

/// The caller waits until the relay is ready to serve him.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Awaited {
    caller: Shared<Called>,
    service: Service,
    session: Session,
}

/// The relay serves the caller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Served {
    caller: Shared<Confirmed>,
    service: Service,
    session: Session,
}

/// What follows from an event.
enum Next {
    Stay,
    Serve,
    End(Ending),
}

impl Awaited {
    /// Takes an initial INVITE.
    ///
    /// # Errors
    /// The response to it.
    pub(super) fn begin(
        request: &Message,
        caller: Link,
        service: Service,
        step: &mut Step<'_>,
    ) -> Result<Self, Refusal> {
        let caller = Called::new(request, caller, step)?;
        if !has_sound(&formats(service, &caller.media, &caller.line.link.codecs)) {
            return Err(Status::NOT_ACCEPTABLE_HERE.into());
        }
        let mut session = Session::new(LegId::B);
        session.declare(caller.media.spec(&caller.line.link), LegSpec::Service(service), step);
        session.then(Then::Call);
        Ok(Self { caller: Shared::new(caller), service, session })
    }

    pub(super) fn handle(mut self, event: Event, record: &mut Record, step: &mut Step<'_>) -> Stage {
        match self.turn(event, step) {
            Next::Stay => Stage::Awaited(self),
            Next::Serve => self.serve(record, step),
            Next::End(ending) => self.end(ending, record, step),
        }
    }

    pub(super) fn flow(&self) -> Option<FlowId> {
        self.caller.line.link.destination.flow()
    }

    fn turn(&mut self, event: Event, step: &mut Step<'_>) -> Next {
        let caller = LegId::A;
        match event {
            Event::Request { message, from, .. } => {
                match self.caller.request(&message, &from, Ear::Deaf, step) {
                    CallerAsks::Nothing => Next::Stay,
                    CallerAsks::ToLeave => {
                        Next::End(Ending::of(Cause::Cancelled, Some(caller), reason_in(&message)))
                    }
                }
            }
            Event::Cancel { message, from, .. } => match self.caller.is_cancelled_by(&message, &from, step) {
                true => Next::End(Ending::of(Cause::Cancelled, Some(caller), reason_in(&message))),
                false => Next::Stay,
            },
            Event::MediaReady(made) => match self.session.made(*made) {
                (_, Some(_)) => Next::Serve,
                (_, None) => Next::Stay,
            },
            Event::MediaFailed { error, .. } => {
                session::cause_of(&error).map_or(Next::Stay, |cause| Next::End(Ending::of(cause, None, None)))
            }
            Event::Media { kind, .. } => end::of_media(&kind, caller).map_or(Next::Stay, Next::End),
            Event::FlowLost { flow, .. } if self.caller.line.uses(flow) => {
                Next::End(Ending::of(Cause::FlowLost, Some(caller), None))
            }
            Event::FlowRestored { was, flow, .. } if self.caller.line.uses(was) => {
                self.caller.moved(Destination::Flow(flow));
                Next::Stay
            }
            Event::Terminate { cause } => Next::End(Ending::of(cause, None, None)),
            Event::Response { .. }
            | Event::ClientFailed { .. }
            | Event::Timer(_)
            | Event::FlowLost { .. }
            | Event::FlowRestored { .. } => Next::Stay,
        }
    }

    /// The caller's 200.
    fn serve(mut self, record: &mut Record, step: &mut Step<'_>) -> Stage {
        let mut caller = self.caller.take();
        caller.media.describe_as(self.session.for_caller());
        let far = formats(self.service, &caller.media, &caller.line.link.codecs);
        let (sdp, kind) = caller.describe_towards(&far, Wish::default());
        let spec = caller.media.spec(&caller.line.link);
        let (caller, cause) = match sdp {
            None => (caller, Cause::NoCommonCodec),
            Some(sdp) => {
                self.session.declare(spec, LegSpec::Service(self.service), step);
                match caller.accept(sdp, kind, &[], step) {
                    Err(caller) => (*caller, Cause::DialogLost),
                    Ok(caller) => {
                        record.answered(step.now);
                        let caller = Shared::new(caller);
                        let (service, session) = (self.service, self.session);
                        return Stage::Served(Served { caller, service, session });
                    }
                }
            }
        };
        self.caller = Shared::new(caller);
        self.end(Ending::of(cause, None, None), record, step)
    }

    fn end(mut self, ending: Ending, record: &mut Record, step: &mut Step<'_>) -> Stage {
        self.session.release(step);
        record.refuse(self.caller.take(), &ending, step);
        Stage::Ending(ending)
    }
}

impl Served {
    pub(super) fn handle(mut self, event: Event, record: &mut Record, step: &mut Step<'_>) -> Stage {
        match self.turn(event, step) {
            Turn::Stay => Stage::Served(self),
            Turn::Left(bye, from) => {
                record.part(self.caller.take().left(&bye, &from, step));
                self.session.release(step);
                Stage::Ending(Ending::of(Cause::HungUp, Some(LegId::A), reason_in(&bye)))
            }
            Turn::End(ending) => {
                self.session.release(step);
                record.part(self.caller.take().hang_up(ending.reason(), step));
                Stage::Ending(ending)
            }
        }
    }

    pub(super) fn flow(&self) -> Option<FlowId> {
        self.caller.line.link.destination.flow()
    }

    fn turn(&mut self, event: Event, step: &mut Step<'_>) -> Turn {
        let own: Vec<_> = self.caller.media.own_address().into_iter().collect();
        match event {
            Event::Request { message, from, .. } => self.request(message, from, &own, step),
            Event::Cancel { message, from, .. } => {
                if self.caller.is_cancelled_by(&message, &from, step) {
                    self.refuse(Status::REQUEST_TERMINATED, step);
                }
                Turn::Stay
            }
            Event::Response { message, .. } => {
                let outcome = self.caller.response(&message, &own, step);
                self.follows(outcome, step)
            }
            Event::ClientFailed { cseq, method, failure, .. } => {
                let outcome = self.caller.failed(cseq, &method, failure, step);
                self.follows(outcome, step)
            }
            Event::Timer(timer) => match self.caller.timer(timer, step) {
                TimerSays::Nothing => Turn::Stay,
                TimerSays::Retry(offer) => {
                    if !self.caller.send_offer(offer, step) {
                        self.caller.restart_session(step);
                    }
                    Turn::Stay
                }
                TimerSays::TheEnd(cause) => Turn::End(Ending::of(cause, Some(LegId::A), None)),
            },
            Event::MediaReady(made) => {
                let (_, then) = self.session.made(*made);
                self.caller.media.describe_as(self.session.for_caller());
                if then.is_some() {
                    self.answer_offer(step);
                }
                Turn::Stay
            }
            Event::MediaFailed { error, .. } => {
                session::cause_of(&error).map_or(Turn::Stay, |cause| Turn::End(Ending::of(cause, None, None)))
            }
            Event::Media { kind, .. } => end::of_media(&kind, LegId::A).map_or(Turn::Stay, Turn::End),
            Event::FlowLost { flow, .. } => {
                self.caller.flow_lost(flow, step);
                Turn::Stay
            }
            Event::FlowRestored { was, flow, .. } => {
                self.caller.moved(was, flow, step);
                Turn::Stay
            }
            Event::Terminate { cause } => Turn::End(Ending::of(cause, None, None)),
        }
    }

    fn request(
        &mut self,
        request: Message,
        from: Destination,
        own: &[SocketAddr],
        step: &mut Step<'_>,
    ) -> Turn {
        match self.caller.request(&request, &from, own, step) {
            Asks::Nothing => {}
            Asks::ToLeave => return Turn::Left(request, from),
            Asks::AnExchange(Taken::OurOffer) => {
                let far = self.formats();
                let sdp = self.caller.make_full_offer(&far, Wish::default());
                self.accept(sdp, step);
            }
            Asks::AnExchange(Taken::AnAnswer) => self.answer_offer(step),
            Asks::AnExchange(Taken::AnAnswerAfterRestart) => {
                self.declare(step);
                self.session.then(Then::Answer(Side::A));
            }
            Asks::ADigit => digits::info(&self.caller.line, &request, &from, Ear::Deaf, step),
            Asks::WhatFollows => self.declare(step),
            Asks::TheEnd => return Turn::End(Ending::of(Cause::NoCommonCodec, Some(LegId::A), None)),
        }
        Turn::Stay
    }

    fn follows(&mut self, outcome: Outcome, step: &mut Step<'_>) -> Turn {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Agreed(_) | Outcome::Unusable(_) => self.declare(step),
            Outcome::Refused(..) => self.caller.restart_session(step),
            Outcome::DialogGone => return Turn::End(Ending::of(Cause::DialogLost, Some(LegId::A), None)),
        }
        Turn::Stay
    }

    fn answer_offer(&mut self, step: &mut Step<'_>) {
        let far = self.formats();
        let sdp = self.caller.media.make_answer(&far, Wish::default());
        self.accept(sdp, step);
    }

    fn accept(&mut self, sdp: Option<String>, step: &mut Step<'_>) {
        match sdp {
            Some(sdp) => {
                self.declare(step);
                self.caller.accept(sdp, step);
            }
            None => self.refuse(Status::NOT_ACCEPTABLE_HERE, step),
        }
    }

    fn refuse(&mut self, status: Status, step: &mut Step<'_>) {
        self.caller.refuse_open(status, step);
        self.declare(step);
    }

    fn declare(&mut self, step: &mut Step<'_>) {
        let spec = self.caller.media.spec(&self.caller.line.link);
        self.session.declare(spec, LegSpec::Service(self.service), step);
    }

    fn formats(&self) -> Vec<Format> {
        formats(self.service, &self.caller.media, &self.caller.line.link.codecs)
    }
}

/// What follows from an event while the relay serves.
enum Turn {
    Stay,
    Left(Message, Destination),
    End(Ending),
}

/// What a service can do: of the caller's offer, if he made one.
fn formats(service: Service, caller: &LegMedia, codecs: &[CodecName]) -> Vec<Format> {
    // The relay's melody exists in two encodings.
    let melody = [CodecName::Pcmu, CodecName::Pcma, CodecName::TelephoneEvent];
    let allowed = match service {
        Service::Echo => codecs,
        Service::Tone => &melody,
    };
    match caller.has_open_offer() {
        true => sdp::select(caller.acceptable(), allowed),
        false => sdp::offered(allowed),
    }
}

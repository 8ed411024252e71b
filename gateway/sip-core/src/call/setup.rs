//! From the caller's INVITE until its final response: the callee is looked for, on all his devices or one after the other.
//!
//! Each attempt at one address is a new INVITE of the same leg: new branch, next CSeq number, so that two addresses of one server
//! don't take the second for a merged request (RFC 3261 §8.2.2.2). The caller never hears of an attempt that came to nothing
//! while there is another way (RFC 3263 §4.3).

use std::net::{IpAddr, SocketAddr};

use relay_api::{EventKind, RelayError, SessionDescription, SessionId};
use serde::{Deserialize, Serialize};

use crate::message::text::Quoted;
use crate::message::{Builder, Message, Method, Name, Status};
use crate::routing::{CallId, Destination, FlowId, LegId};
use crate::sdp::{self, CodecName, Format, Profile};

use super::digits::{self, Ear};
use super::end::{self, Ending, reason_in};
use super::leg::{Called, CallerAsks, Calling, Comes, Confirmed, Heard, Wants};
use super::media::{self, LegMedia, has_sound};
use super::refusal::Refusal;
use super::session::{self, Session, Side, Then};
use super::shared::Shared;
use super::step::Step;
use super::{
    CallTimer, Callee, Candidate, Cause, Event, Failure, Identity, Joined, Link, MAX_CANDIDATES, PassedOver,
    Record, Ring, Stage, status,
};

/// The caller waits for the callee.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SetUp {
    caller: Shared<Called>,
    /// The callee's devices that ring, or are about to: at most [`MAX_CANDIDATES`].
    branches: Vec<Branch>,
    /// Where he is tried next when one of them can't be reached, fewer than [`MAX_CANDIDATES`].
    further: Vec<Candidate>,
    prepared: Shared<Prepared>,
    /// What the caller will hear of the branches that are over, if no other takes the call.
    best: Option<Ending>,
}

/// One of the callee's devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Branch {
    leg: Shared<Calling>,
    session: Session,
}

/// What the callee's INVITE says beyond its dialog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Prepared {
    pub(super) headers: Vec<(String, String)>,
    pub(super) hops: u8,
}

/// What follows from an event.
enum Next {
    Stay,
    /// This branch's 2xx.
    Answered(usize, Message),
    /// This branch came to nothing.
    Lost(usize, Ending),
    End(Ending),
}

impl SetUp {
    /// Takes an initial INVITE.
    ///
    /// # Errors
    /// The response to it.
    pub(super) fn begin(
        request: &Message,
        caller: Link,
        callee: Callee,
        step: &mut Step<'_>,
    ) -> Result<Self, Refusal> {
        let caller = Called::new(request, caller, step)?;
        if !has_sound(&first_formats(&caller, &callee.link.codecs)) {
            return Err(Status::NOT_ACCEPTABLE_HERE.into());
        }
        let prepared = Shared::new(Prepared::of(request, caller.line.link.profile, &callee, step));
        let mut ways = callee.ways();
        let further = match callee.ring {
            Ring::Together => Vec::new(),
            Ring::InTurn => ways.split_off(1),
        };
        let branches = ways.into_iter().enumerate();
        let branches = branches.filter_map(|(at, way)| Branch::new(at, &callee, way, step)).collect();
        let mut call = Self { caller: Shared::new(caller), branches, further, prepared, best: None };
        for branch in &mut call.branches {
            branch.declare(&call.caller, step);
            branch.session.then(Then::Call);
        }
        Ok(call)
    }

    pub(super) fn handle(mut self, event: Event, record: &mut Record, step: &mut Step<'_>) -> Stage {
        match self.turn(event, record, step) {
            Next::Stay => Stage::SetUp(self),
            Next::Answered(at, response) => self.answered(at, &response, record, step),
            Next::End(ending) => self.end(ending, record, step),
            Next::Lost(at, ending) => self.lost(at, ending, record, step),
        }
    }

    /// The browsers' connections which the call needs.
    pub(super) fn flows(&self) -> Vec<(LegId, FlowId)> {
        let branches = self.branches.iter().map(|branch| &branch.leg.line);
        let lines = std::iter::once(&self.caller.line).chain(branches);
        lines.filter_map(|line| Some((line.id, line.link.destination.flow()?))).collect()
    }

    fn turn(&mut self, event: Event, record: &mut Record, step: &mut Step<'_>) -> Next {
        match event {
            Event::Request { leg, message, from } => self.request(leg, &message, &from, step),
            Event::Cancel { leg, message, from } => self.cancel(leg, &message, &from, step),
            Event::Response { leg, message } => self.response(leg, message, step),
            Event::ClientFailed { leg, cseq, method, failure } => {
                self.failed(leg, cseq, &method, failure, step)
            }
            Event::Timer(timer) => self.timer(timer, record, step),
            Event::MediaReady(description) => self.media_ready(*description, step),
            Event::MediaFailed { session, error } => self.media_failed(&session, &error, step),
            Event::Media { session, side, kind } => self.media(&session, side.into(), &kind, step),
            Event::FlowLost { leg, flow } => self.flow_lost(leg, flow, step),
            Event::FlowRestored { leg, was, flow } => self.flow_restored(leg, was, flow),
            Event::Terminate { cause } => Next::End(Ending::of(cause, None, None)),
        }
    }

    fn request(&mut self, leg: LegId, request: &Message, from: &Destination, step: &mut Step<'_>) -> Next {
        if let Some(at) = self.branch_of(leg) {
            self.callee_asks(at, request, from, step);
            return Next::Stay;
        }
        let ear = self.ear_of_callee(step.call);
        match self.caller.request(request, from, ear, step) {
            CallerAsks::Nothing => Next::Stay,
            CallerAsks::ToLeave => Next::End(Ending::of(Cause::Cancelled, Some(leg), reason_in(request))),
        }
    }

    /// Within an early dialog of a branch. Its peer may not end it like that (RFC 3261 §15.1.2), nor offer while our offer waits
    /// (RFC 3311 §5.2).
    fn callee_asks(&mut self, at: usize, request: &Message, from: &Destination, step: &mut Step<'_>) {
        if *request.method() == Method::Ack || request.to_tag().is_none() {
            return;
        }
        let Branch { leg, session } = &mut self.branches[at];
        let wants = match leg.admit(request, from, step) {
            Some(Comes::New) => leg.line.sort(request, from, step),
            Some(Comes::Again) => {
                leg.line.answer_again(request, from, step);
                None
            }
            None => None,
        };
        match wants {
            None => {}
            Some(Wants::ToLeave) => leg.line.reply(request, Status::CALL_DOES_NOT_EXIST, from, step),
            Some(Wants::AnExchange) => leg.line.reply(request, Status::REQUEST_PENDING, from, step),
            Some(Wants::ARefresh) => leg.refresh(request, from, step),
            Some(Wants::ADigit) => {
                let ear = match self.caller.media.has_telephone_event() {
                    true => Ear::Events { session: session.place(step.call), side: Side::A },
                    false => Ear::None,
                };
                digits::info(&leg.line, request, from, ear, step);
            }
        }
    }

    /// In an early dialog digits go with the early media alone, as a menu before the answer wants them.
    fn ear_of_callee(&self, call: CallId) -> Ear<'static> {
        match self.branches.as_slice() {
            [only] if only.leg.media().has_telephone_event() => {
                Ear::Events { session: only.session.place(call), side: Side::B }
            }
            _ => Ear::None,
        }
    }

    /// CANCEL of the caller's INVITE (RFC 3261 §9.2).
    fn cancel(&mut self, leg: LegId, cancel: &Message, from: &Destination, step: &mut Step<'_>) -> Next {
        if let Some(at) = self.branch_of(leg) {
            self.branches[at].leg.line.reply(cancel, Status::OK, from, step);
            return Next::Stay;
        }
        match self.caller.is_cancelled_by(cancel, from, step) {
            true => Next::End(Ending::of(Cause::Cancelled, Some(leg), reason_in(cancel))),
            false => Next::Stay,
        }
    }

    fn response(&mut self, leg: LegId, response: Message, step: &mut Step<'_>) -> Next {
        let (Some(at), Some(status)) = (self.branch_of(leg), response.status()) else { return Next::Stay };
        if *response.method() != Method::Invite || !self.branches[at].leg.is_inviting_by(response.cseq().0) {
            return Next::Stay;
        }
        match status.code() {
            100..=199 => {
                self.progress(at, &response, status, step);
                Next::Stay
            }
            200..=299 => Next::Answered(at, response),
            _ => self.refused(at, &response, status, step),
        }
    }

    /// A provisional response. Early media are let through where one device alone rings: the caller can hear no more than one.
    fn progress(&mut self, at: usize, response: &Message, told: Status, step: &mut Step<'_>) {
        let is_alone = self.branches.len() == 1;
        let branch = &mut self.branches[at];
        let own = branch.own_addresses();
        let heard = branch.leg.hears(response, &own, step);
        let headers = crossing(response, branch.leg.line.link.profile, step);
        let Some(status) = status::provisional(told) else { return };
        let body = match heard {
            Heard::EarlyMedia if is_alone => branch.early_answer(&mut self.caller),
            Heard::EarlyMedia | Heard::Status => None,
        };
        if is_alone {
            branch.declare(&self.caller, step);
        }
        self.caller.ring(status, body, &headers, step);
    }

    /// A final response that is no 2xx. One that says nothing about the user, but that this way to him is closed, leads to the
    /// next.
    fn refused(&mut self, at: usize, response: &Message, told: Status, step: &mut Step<'_>) -> Next {
        let leg = &mut self.branches[at].leg;
        leg.conclude(step);
        if let Some(seconds) = status::asks_to_wait(response, told) {
            leg.pass_over(Some(seconds), PassedOver::Unavailable, step);
        }
        let (status, retry_after) = status::refusal(response, told);
        let ending = Ending::refused(leg.line.id, status, retry_after);
        match is_way_closed(told, &leg.line.link.destination) {
            true => self.call_next(at, ending, step),
            false => Next::Lost(at, ending),
        }
    }

    /// The INVITE got no final response from the transport or the transaction.
    fn failed(
        &mut self,
        leg: LegId,
        cseq: u32,
        method: &Method,
        failure: Failure,
        step: &mut Step<'_>,
    ) -> Next {
        let Some(at) = self.branch_of(leg) else { return Next::Stay };
        let leg = &mut self.branches[at].leg;
        if *method != Method::Invite || !leg.is_inviting_by(cseq) {
            return Next::Stay;
        }
        if !leg.was_heard() {
            leg.pass_over(None, PassedOver::Failed(failure), step);
        }
        leg.conclude(step);
        let over_flow = leg.line.link.destination.flow().is_some();
        let ending = Ending::refused(leg.line.id, status::of_failure(failure, over_flow), None);
        self.call_next(at, ending, step)
    }

    fn timer(&mut self, timer: CallTimer, record: &mut Record, step: &mut Step<'_>) -> Next {
        match timer {
            CallTimer::FirstReply(leg) => {
                self.branch_of(leg).map_or(Next::Stay, |at| self.silent(at, record, step))
            }
            CallTimer::NoAnswer => Next::End(Ending::of(Cause::NoAnswer, None, None)),
            CallTimer::Abandoned
            | CallTimer::CancelWait(_)
            | CallTimer::Resend2xx(_)
            | CallTimer::Retry(_)
            | CallTimer::Grace(_)
            | CallTimer::Session(_)
            | CallTimer::Bye(_) => Next::Stay,
        }
    }

    /// There was no response to the INVITE in time: the next candidate is called, or the caller is refused.
    fn silent(&mut self, at: usize, record: &mut Record, step: &mut Step<'_>) -> Next {
        let leg = &mut self.branches[at].leg;
        if leg.was_heard() {
            return Next::Stay;
        }
        let status = match leg.line.link.destination {
            Destination::Flow(_) => Status::TEMPORARILY_UNAVAILABLE,
            Destination::Trunk(_) => Status::SERVICE_UNAVAILABLE,
        };
        let ending = Ending::refused(leg.line.id, status, None);
        leg.pass_over(None, PassedOver::Silent, step);
        record.abandoned.extend(leg.abandon_invite(step));
        self.call_next(at, ending, step)
    }

    fn flow_lost(&mut self, leg: LegId, flow: FlowId, step: &mut Step<'_>) -> Next {
        let ending = Ending::of(Cause::FlowLost, Some(leg), None);
        match self.branch_of(leg) {
            Some(at) if self.branches[at].leg.line.uses(flow) => {
                self.branches[at].leg.drop_invite(step);
                self.call_next(at, ending, step)
            }
            None if self.caller.line.uses(flow) => Next::End(ending),
            Some(_) | None => Next::Stay,
        }
    }

    fn flow_restored(&mut self, leg: LegId, was: FlowId, flow: FlowId) -> Next {
        let to = Destination::Flow(flow);
        match self.branch_of(leg) {
            Some(at) if self.branches[at].leg.line.uses(was) => {
                self.branches[at].leg.line.link.destination = to;
            }
            None if self.caller.line.uses(was) => self.caller.moved(to),
            Some(_) | None => {}
        }
        Next::Stay
    }

    /// The next candidate is called; without one this branch is lost.
    fn call_next(&mut self, at: usize, ending: Ending, step: &mut Step<'_>) -> Next {
        if self.further.is_empty() {
            return Next::Lost(at, ending);
        }
        let next = self.further.remove(0);
        let branch = &mut self.branches[at];
        let is_elsewhere = next.destination.trunk_ip() != branch.leg.line.link.destination.trunk_ip();
        branch.leg.turn_to(next, step);
        branch.declare(&self.caller, step);
        if is_elsewhere {
            // The relay may have another address for it.
            step.stop(CallTimer::NoAnswer);
            branch.session.then(Then::Call);
            return Next::Stay;
        }
        self.invite(at, step)
    }

    /// Calls the callee there, now that the relay has its side.
    fn invite(&mut self, at: usize, step: &mut Step<'_>) -> Next {
        let leg = &mut self.branches[at].leg;
        let formats = first_formats(&self.caller, &leg.line.link.codecs);
        match leg.invite(formats, self.caller.media.wishes(), &self.prepared, step) {
            true => Next::Stay,
            false => Next::Lost(at, Ending::of(Cause::Refused, None, None)),
        }
    }

    fn media_ready(&mut self, made: SessionDescription, step: &mut Step<'_>) -> Next {
        let Some(at) = self.session_of(&made.id, step.call) else { return Next::Stay };
        let branch = &mut self.branches[at];
        let (far, then) = branch.session.made(made);
        branch.leg.describe(far);
        match then {
            Some(Then::Call) => self.invite(at, step),
            Some(Then::Answer(_)) | None => Next::Stay,
        }
    }

    fn media_failed(&mut self, id: &SessionId, error: &RelayError, step: &mut Step<'_>) -> Next {
        let (Some(cause), Some(at)) = (session::cause_of(error), self.session_of(id, step.call)) else {
            return Next::Stay;
        };
        let ending = Ending::of(cause, None, None);
        match error {
            RelayError::NoAddress { peer } => self.call_elsewhere(at, *peer, ending, step),
            RelayError::Stale { .. }
            | RelayError::Invalid { .. }
            | RelayError::Full { .. }
            | RelayError::Unknown
            | RelayError::NoInterface { .. }
            | RelayError::Unavailable => Next::Lost(at, ending),
        }
    }

    /// The relay has no address for this peer. If the callee is there, its next candidate at another address is called.
    fn call_elsewhere(&mut self, at: usize, peer: IpAddr, ending: Ending, step: &mut Step<'_>) -> Next {
        let is_there =
            |to: &Destination| to.trunk_ip().is_some_and(|ip| ip.to_canonical() == peer.to_canonical());
        if !is_there(&self.branches[at].leg.line.link.destination) {
            return Next::Lost(at, ending);
        }
        self.further.retain(|next| !is_there(&next.destination));
        self.call_next(at, ending, step)
    }

    /// What the relay says of a session that is being set up.
    fn media(&mut self, id: &SessionId, side: Side, kind: &EventKind, step: &mut Step<'_>) -> Next {
        let Some(at) = self.session_of(id, step.call) else { return Next::Stay };
        let leg = match side {
            Side::A => self.caller.line.id,
            Side::B => self.branches[at].leg.line.id,
        };
        end::of_media(kind, leg).map_or(Next::Stay, |ending| Next::Lost(at, ending))
    }

    /// One branch is over. Others may still take the call, unless its user declined for all of them (RFC 3261 §16.7 step 5).
    fn lost(mut self, at: usize, ending: Ending, record: &mut Record, step: &mut Step<'_>) -> Stage {
        let best = match self.best.take() {
            Some(best) if best.outranks(&ending) => best,
            Some(_) | None => ending,
        };
        if best.speaks_for_all() || self.branches.len() == 1 {
            return self.end(best, record, step);
        }
        self.best = Some(best);
        let reason = self.best.as_ref().and_then(Ending::reason);
        let Branch { leg, mut session } = self.branches.remove(at);
        record.part(leg.take().give_up(reason, step));
        session.drop_unheard(step);
        Stage::SetUp(self)
    }

    /// The callee took the call: ACK at once, then the caller's 200. His other devices ring no more.
    fn answered(mut self, at: usize, response: &Message, record: &mut Record, step: &mut Step<'_>) -> Stage {
        let Branch { leg, session } = self.branches.remove(at);
        let own = own_addresses(&session, leg.media());
        step.stop(CallTimer::NoAnswer);
        let (leg, agreed) = leg.take().confirm(response, &own, step);
        let stage = match agreed {
            Ok(()) => {
                let headers = crossing(response, leg.line.link.profile, step);
                join(self.caller.take(), leg, session, &headers, record, step)
            }
            Err(error) => {
                let ending = Ending::for_sdp(leg.line.id, error);
                part(self.caller.take(), leg, session, ending, record, step)
            }
        };
        for Branch { leg, mut session } in self.branches {
            record.part(leg.take().give_up(Some(ELSEWHERE.to_owned()), step));
            session.drop_unheard(step);
        }
        stage
    }

    /// The call comes to nothing.
    fn end(mut self, ending: Ending, record: &mut Record, step: &mut Step<'_>) -> Stage {
        step.stop(CallTimer::NoAnswer);
        let mut sessions = self.branches.iter_mut().map(|branch| &mut branch.session);
        sessions.by_ref().take(1).for_each(|session| session.release(step));
        sessions.for_each(|session| session.drop_unheard(step));
        record.refuse(self.caller.take(), &ending, step);
        for Branch { leg, .. } in self.branches {
            record.part(leg.take().give_up(ending.reason(), step));
        }
        Stage::Ending(ending)
    }

    fn session_of(&self, id: &SessionId, call: CallId) -> Option<usize> {
        self.branches.iter().position(|branch| branch.session.is(id, call))
    }

    fn branch_of(&self, leg: LegId) -> Option<usize> {
        self.branches.iter().position(|branch| branch.leg.line.id == leg)
    }
}

impl Branch {
    fn new(at: usize, callee: &Callee, way: Candidate, step: &Step<'_>) -> Option<Self> {
        let id = LegId::called(at)?;
        Some(Self { leg: Shared::new(Calling::new(id, callee, way, step)), session: Session::new(id) })
    }

    fn declare(&mut self, caller: &Called, step: &mut Step<'_>) {
        let a = caller.media.spec_in_set_up(&caller.line.link, self.session.for_caller());
        self.session.declare(a, self.leg.media().spec(&self.leg.line.link), step);
    }

    /// The caller's answer, as soon as the callee's is known; the same text each time.
    fn early_answer(&self, caller: &mut Called) -> Option<String> {
        match caller.media.has_open_offer() {
            true => {
                caller.media.describe_as(self.session.for_caller());
                caller.media.make_answer(&self.leg.media().common(), self.leg.media().wishes())
            }
            // Without an offer of the caller ours waits for the 200 (RFC 3261 §13.2.1: a 18x of ours is not reliable).
            false => caller.media.is_agreed().then(|| caller.media.repeated())?,
        }
    }

    fn own_addresses(&self) -> Vec<SocketAddr> {
        own_addresses(&self.session, self.leg.media())
    }
}

/// Addresses that no peer can have.
fn own_addresses(session: &Session, far: &LegMedia) -> Vec<SocketAddr> {
    let caller = session.for_caller().and_then(media::rtp_address);
    caller.into_iter().chain(far.own_address()).collect()
}

/// The caller's 200, and the two are joined.
fn join(
    mut caller: Called,
    b: Confirmed,
    mut session: Session,
    headers: &[(String, String)],
    record: &mut Record,
    step: &mut Step<'_>,
) -> Stage {
    caller.media.describe_as(session.for_caller());
    let (sdp, kind) = caller.describe_towards(&b.media.common(), b.media.wishes());
    let Some(sdp) = sdp else {
        return part(caller, b, session, Ending::of(Cause::NoCommonCodec, None, None), record, step);
    };
    session.declare(caller.media.spec(&caller.line.link), b.media.spec(&b.line.link), step);
    match caller.accept(sdp, kind, headers, step) {
        Ok(a) => {
            record.answered(step.now);
            Stage::Joined(Joined::new(a, b, session))
        }
        Err(caller) => part(*caller, b, session, Ending::of(Cause::DialogLost, None, None), record, step),
    }
}

/// The callee took the call, but the caller can't be joined to him.
fn part(
    caller: Called,
    b: Confirmed,
    mut session: Session,
    ending: Ending,
    record: &mut Record,
    step: &mut Step<'_>,
) -> Stage {
    session.release(step);
    record.refuse(caller, &ending, step);
    record.part(b.hang_up(ending.reason(), step));
    Stage::Ending(ending)
}

/// The formats of our first offer: the caller's order and payload types when it made an offer, else what both sides' settings
/// allow.
fn first_formats(caller: &Called, allowed: &[CodecName]) -> Vec<Format> {
    match caller.media.has_open_offer() {
        true => sdp::select(caller.media.acceptable(), allowed),
        false => {
            let codecs = &caller.line.link.codecs;
            let both: Vec<CodecName> =
                allowed.iter().filter(|codec| codecs.contains(codec)).copied().collect();
            sdp::offered(&both)
        }
    }
}

/// RFC 3263 §4.3 for 503; RFC 5626 §5.3 for 430; a binding that does not answer is passed over as well.
fn is_way_closed(told: Status, to: &Destination) -> bool {
    match told.code() {
        503 => true,
        408 | 430 => to.flow().is_some(),
        _ => false,
    }
}

impl Prepared {
    fn of(request: &Message, caller: Profile, callee: &Callee, step: &Step<'_>) -> Self {
        let mut headers = crossing(request, caller, step);
        headers.extend(callee.headers.iter().cloned());
        if callee.asserted {
            headers.push((Name::PAssertedIdentity.as_str().to_owned(), callee.caller.name_addr()));
        }
        // RFC 3261 §16.6 step 3; a request without the header starts at our own limit.
        let limit = step.policy.max_forwards;
        let hops = request.max_forwards().map_or(limit, |hops| hops.saturating_sub(1).min(limit));
        Self { headers, hops }
    }
}

impl Callee {
    /// All ways to him, best first.
    fn ways(&self) -> Vec<Candidate> {
        let first = Candidate {
            destination: self.link.destination.clone(),
            local: self.link.local.clone(),
            request_uri: self.request_uri.clone(),
        };
        std::iter::once(first).chain(self.further.iter().cloned()).take(MAX_CANDIDATES).collect()
    }
}

impl Identity {
    pub(super) fn name_addr(&self) -> String {
        match &self.display {
            Some(display) => format!("{} <{}>", Quoted(display), self.uri),
            None => format!("<{}>", self.uri),
        }
    }
}

/// Headers that the policy lets pass from such a peer, whatever else the message holds.
pub(super) fn crossing(message: &Message, from: Profile, step: &Step<'_>) -> Vec<(String, String)> {
    let names = step.policy.crossing.written_by(from).iter().filter(|name| !is_structural(name));
    let values = |name: &'_ String| {
        let name = name.clone();
        let values: Vec<_> =
            message.headers(Name::Other(&name)).take(MAX_CROSSING).map(str::to_owned).collect();
        values.into_iter().map(move |value| (name.clone(), value))
    };
    names.flat_map(values).filter(|(_, value)| value.len() <= MAX_CROSSING_VALUE).collect()
}

pub(super) fn with_headers(builder: Builder, headers: &[(String, String)]) -> Builder {
    headers.iter().fold(builder, |builder, (name, value)| builder.header(Name::Other(name), value))
}

/// Headers that carry the dialog, the session or credentials of one leg.
fn is_structural(name: &str) -> bool {
    STRUCTURAL.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The Reason of the CANCEL that the callee's other devices get (RFC 3326 §2).
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";
const STRUCTURAL: [&str; 44] = [
    "Via",
    "v",
    "From",
    "f",
    "To",
    "t",
    "Call-ID",
    "i",
    "CSeq",
    "Contact",
    "m",
    "Max-Forwards",
    "Route",
    "Record-Route",
    "Path",
    "Service-Route",
    "Content-Type",
    "c",
    "Content-Length",
    "l",
    "Content-Encoding",
    "e",
    "Content-Disposition",
    "MIME-Version",
    "Allow",
    "Supported",
    "k",
    "Require",
    "Proxy-Require",
    "Unsupported",
    "Authorization",
    "Proxy-Authorization",
    "WWW-Authenticate",
    "Proxy-Authenticate",
    "Session-Expires",
    "x",
    "Min-SE",
    "RSeq",
    "RAck",
    "Replaces",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Expires",
    "Event",
];
/// Lines of one crossing header.
const MAX_CROSSING: usize = 4;
/// Octets of a crossing header's value; a longer one stays behind.
const MAX_CROSSING_VALUE: usize = 1_024;

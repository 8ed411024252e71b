//! Which request or response within a dialog does what.

use relay_api::LegName;

use crate::dialog::Order;
use crate::message::{Message, Method, Name, Status};
use crate::routing::Destination;

use super::leg::{BranchPart, HOPS, Leg, Serves, State};
use super::refusal::Refusal;
use super::screen::{self, not_allowed, sdp_of};
use super::setup::session_timer;
use super::step::Step;
use super::{Call, Cause, Effect, Failure};

impl Call {
    /// A request that names one of our tags, or an INVITE that made this call and comes again.
    pub(super) fn request(
        &mut self,
        name: LegName,
        request: &Message,
        from: &Destination,
        step: &mut Step<'_>,
    ) {
        if *request.method() == Method::Ack {
            if self.leg(name).is_some_and(|leg| leg.is_from_peer(request) && leg.may_come_from(from)) {
                self.acknowledged(name, request, step);
            }
            return;
        }
        let Some(leg) = self.leg_mut(name) else { return };
        if request.to_tag().is_none() {
            leg.repeated_invite(request, step);
            return;
        }
        if let Err(refusal) = leg.admit(request, from) {
            return leg.refuse(request, &refusal, from, step);
        }
        match leg.judge(request) {
            Order::New => self.in_dialog(name, request, from, step),
            Order::Repeated => leg.repeated_request(request, from, step),
            // RFC 3261 §12.2.2.
            Order::Old => leg.reply(request, Status::SERVER_INTERNAL_ERROR, from, step),
        }
    }

    fn in_dialog(&mut self, name: LegName, request: &Message, from: &Destination, step: &mut Step<'_>) {
        match request.method() {
            Method::Bye => self.bye(name, request, from, step),
            Method::Invite => self.reinvite(name, request, from, step),
            Method::Update if sdp_of(request).is_some() => self.reinvite(name, request, from, step),
            Method::Update => self.update(name, request, from, step),
            Method::Info => self.info(name, request, from, step),
            Method::Options => self.options(name, request, from, step),
            Method::Notify => self.refuse(name, request, Status::BAD_EVENT.into(), from, step),
            Method::Ack | Method::Cancel => {}
            Method::Register
            | Method::Prack
            | Method::Subscribe
            | Method::Refer
            | Method::Message
            | Method::Publish => self.refuse(name, request, not_allowed(), from, step),
            Method::Other(_) => self.refuse(name, request, Status::NOT_IMPLEMENTED.into(), from, step),
        }
    }

    /// A response to one of our requests.
    pub(super) fn response(&mut self, name: LegName, response: &Message, step: &mut Step<'_>) {
        let Some(status) = response.status() else { return };
        match response.method() {
            Method::Invite => self.invite_response(name, response, status, step),
            Method::Bye => self.bye_response(name, response, status, step),
            Method::Info if matches!(status.code(), 408 | 481) => {
                self.end(Cause::DialogLost, Some(name), None, step)
            }
            Method::Info if matches!(status.code(), 405 | 415 | 501) => {
                if let Some(leg) = self.leg_mut(name) {
                    leg.peer.info = Serves::No;
                }
            }
            // Of these we want nothing but that they were delivered.
            Method::Info
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

    fn invite_response(&mut self, name: LegName, response: &Message, status: Status, step: &mut Step<'_>) {
        if self.late_response(name, response, status, step) {
            return;
        }
        let Some(leg) = self.leg(name) else { return };
        let asking = leg.asking.as_ref().filter(|asking| asking.cseq == response.cseq().0);
        let first = asking.map(|asking| asking.offer.is_none());
        match (first, status.code()) {
            (Some(true), 100..=199) => self.progress(response, status, step),
            (Some(true), 200..=299) => self.callee_answered(response, step),
            (Some(true), _) => self.callee_refused(response, status, step),
            (Some(false), 100..=199) => {}
            (Some(false), 200..=299) => self.offer_accepted(name, response, step),
            (Some(false), _) => self.offer_refused(name, status, step),
            (None, 200..=299) => self.repeated_2xx(name, response, step),
            (None, _) => {}
        }
    }

    fn bye_response(&mut self, name: LegName, response: &Message, status: Status, step: &mut Step<'_>) {
        let Some(leg) = self.leg_mut(name) else { return };
        if status.is_final() && leg.is_leaving_by(response.cseq().0) {
            leg.forget_timers(step);
            leg.state = State::Ended;
        }
    }

    /// A request of ours came to nothing.
    pub(super) fn client_failed(
        &mut self,
        name: LegName,
        cseq: u32,
        method: &Method,
        failure: Failure,
        step: &mut Step<'_>,
    ) {
        let Some(leg) = self.leg_mut(name) else { return };
        let asking = leg.asking.as_ref().filter(|asking| asking.cseq == cseq && *method == Method::Invite);
        let first = asking.map(|asking| asking.offer.is_none());
        match (first, leg.is_leaving_by(cseq)) {
            (Some(true), _) => self.callee_unreachable(failure, step),
            (Some(false), _) => {
                let gone = if failure == Failure::Timeout {
                    Status::REQUEST_TIMEOUT
                } else {
                    Status::SERVICE_UNAVAILABLE
                };
                self.offer_refused(name, gone, step);
            }
            (None, true) if *method == Method::Bye => leg.bye_undelivered(failure, step),
            (None, _) if *method == Method::Invite => self.late_failure(name, cseq, step),
            (None, _) => {}
        }
    }

    /// UPDATE without an offer: a refresh of target and session timer (RFC 3311 §5.2, RFC 4028 §9).
    fn update(&mut self, name: LegName, request: &Message, from: &Destination, step: &mut Step<'_>) {
        let timer = match session_timer(request, step) {
            Ok(timer) => timer,
            Err(refusal) => return self.refuse(name, request, refusal, from, step),
        };
        let Some(leg) = self.leg_mut(name) else { return };
        leg.refreshed_by(request, timer, step);
        let response = leg.presented(leg.response(request, Status::OK));
        step.respond(name, leg.with_session(response), from);
    }

    fn options(&mut self, name: LegName, request: &Message, from: &Destination, step: &mut Step<'_>) {
        let Some(leg) = self.leg(name) else { return };
        let response = leg.presented(leg.response(request, Status::OK));
        step.respond(name, response.header(Name::Accept, screen::SDP), from);
    }

    /// INFO carries DTMF of phones that don't send RTP events; the far peer gets it as RTP events, or as INFO where it
    /// has none. A digit that nobody can take is not said to be done. Anything else has no meaning here
    /// (RFC 6086 §4.2.2).
    fn info(&mut self, name: LegName, request: &Message, from: &Destination, step: &mut Step<'_>) {
        let session = self.place();
        let Some((leg, other)) = self.pair_mut(name) else { return };
        if request.body().is_empty() {
            return leg.reply(request, Status::OK, from, step);
        }
        let Some(dtmf) = Dtmf::of(request) else {
            let reply =
                leg.response(request, Status::UNSUPPORTED_MEDIA_TYPE).header(Name::Accept, DTMF_TYPES);
            step.respond(name, reply, from);
            return;
        };
        // A service listens to no digits.
        let Some(other) = other else { return leg.reply(request, Status::OK, from, step) };
        match other.takes_digits() {
            TakesDigits::AsEvents => {
                leg.reply(request, Status::OK, from, step);
                let Dtmf { digit, duration_ms } = dtmf;
                step.push(Effect::Dtmf { session, leg: other.name, digit, duration_ms });
            }
            TakesDigits::AsInfo => {
                leg.reply(request, Status::OK, from, step);
                other.send_dtmf(dtmf, step);
            }
            TakesDigits::Not => leg.reply(request, Status::NOT_ACCEPTABLE_HERE, from, step),
        }
    }

    /// The relay heard a digit in RTP events. It carries them to the other leg itself, unless that one has none.
    pub(super) fn digit_heard(&mut self, name: LegName, digit: char, duration_ms: u32, step: &mut Step<'_>) {
        let Some(other) = self.leg_mut(name.other()) else { return };
        match other.takes_digits() {
            TakesDigits::AsInfo => other.send_dtmf(Dtmf::lasting(digit, duration_ms), step),
            TakesDigits::AsEvents | TakesDigits::Not => {}
        }
    }

    pub(super) fn refuse(
        &self,
        name: LegName,
        request: &Message,
        refusal: Refusal,
        from: &Destination,
        step: &mut Step<'_>,
    ) {
        if let Some(leg) = self.leg(name) {
            leg.refuse(request, &refusal, from, step);
        }
    }
}

impl Leg {
    fn refuse(&self, request: &Message, refusal: &Refusal, from: &Destination, step: &mut Step<'_>) {
        let response = refusal.response(request).to_tag(&self.dialog.local_tag);
        step.respond(self.name, response, from);
    }

    /// The request belongs to this leg's dialog, and demands nothing we don't have.
    fn admit(&self, request: &Message, from: &Destination) -> Result<(), Refusal> {
        let early_fork = || {
            matches!(self.state, State::Early | State::Cancelled { .. })
                && request.call_id() == self.dialog.call_id
                && self.forks.iter().any(|fork| Some(fork.tag.as_str()) == request.from_tag())
        };
        let repeated_bye = self.is_ended() && *request.method() == Method::Bye && self.is_from_peer(request);
        let dialog =
            !self.is_ended() && self.state != State::Waiting && (self.is_from_peer(request) || early_fork());
        if !(dialog || repeated_bye) || !self.may_come_from(from) {
            return Err(Status::CALL_DOES_NOT_EXIST.into());
        }
        screen::extensions(request)
    }

    /// A browser's dialog is no business of a trunk, nor one trunk's of another. A browser itself may have moved to another
    /// connection before it registered there.
    fn may_come_from(&self, from: &Destination) -> bool {
        match (&self.link.destination, from) {
            (Destination::Flow(_), Destination::Flow(_)) => true,
            (Destination::Trunk(own), Destination::Trunk(other)) => own.trunk == other.trunk,
            (Destination::Flow(_), Destination::Trunk(_)) | (Destination::Trunk(_), Destination::Flow(_)) => {
                false
            }
        }
    }

    pub(super) fn is_from_peer(&self, request: &Message) -> bool {
        request.call_id() == self.dialog.call_id
            && request.to_tag().is_some_and(|tag| tag.eq_ignore_ascii_case(&self.dialog.local_tag))
            && request.from_tag() == self.dialog.remote_tag.as_deref()
    }

    /// Each early dialog counts the peer's requests by itself.
    fn judge(&mut self, request: &Message) -> Order {
        let (cseq, _) = request.cseq();
        if self.is_from_peer(request) {
            return match self.is_ended() {
                true => Order::Repeated,
                false => self.dialog.judge_cseq(cseq),
            };
        }
        let Some(fork) = request.from_tag().and_then(|tag| self.fork_mut(tag)) else { return Order::Old };
        match fork.cseq.replace(cseq) {
            Some(last) if cseq < last => {
                fork.cseq = Some(last);
                Order::Old
            }
            Some(last) if cseq == last => Order::Repeated,
            Some(_) | None => Order::New,
        }
    }

    /// The INVITE that made the call, on a node that had no transaction for it.
    fn repeated_invite(&mut self, request: &Message, step: &mut Step<'_>) {
        if *request.method() != Method::Invite {
            return;
        }
        let (cseq, _) = request.cseq();
        if let Some(asked) = self.asked.as_ref().filter(|asked| asked.request.0.cseq().0 == cseq) {
            let response = self.response(request, asked.told.unwrap_or(Status::TRYING));
            step.respond(self.name, self.presented(response), &asked.from.clone());
        } else {
            self.repeat_2xx(cseq, step);
        }
    }

    /// A repetition that the transaction layer of this node could not absorb.
    fn repeated_request(&mut self, request: &Message, from: &Destination, step: &mut Step<'_>) {
        match request.method() {
            Method::Bye | Method::Info | Method::Options => self.reply(request, Status::OK, from, step),
            Method::Invite => self.repeat_2xx(request.cseq().0, step),
            Method::Ack
            | Method::Cancel
            | Method::Update
            | Method::Register
            | Method::Prack
            | Method::Notify
            | Method::Subscribe
            | Method::Refer
            | Method::Message
            | Method::Publish
            | Method::Other(_) => {}
        }
    }

    fn repeat_2xx(&self, cseq: u32, step: &mut Step<'_>) {
        if let Some(unacked) = self.unacked.as_ref().filter(|unacked| unacked.cseq == cseq) {
            let (message, to) = (unacked.response.0.clone(), unacked.to.clone());
            step.push(Effect::Respond { leg: self.name, message, to });
        }
    }

    /// In an early dialog digits go with the early media alone, as a menu before the answer wants them.
    pub(super) fn takes_digits(&self) -> TakesDigits {
        match (&self.state, self.media.has_telephone_event(), self.peer.info) {
            (State::Early | State::Confirmed, true, _) => TakesDigits::AsEvents,
            (State::Confirmed, false, Serves::Yes | Serves::Unsaid) => TakesDigits::AsInfo,
            (State::Early | State::Confirmed, false, _)
            | (
                State::Waiting
                | State::Cancelled { .. }
                | State::Closing { .. }
                | State::Leaving { .. }
                | State::Ended,
                _,
                _,
            ) => TakesDigits::Not,
        }
    }

    fn send_dtmf(&mut self, dtmf: Dtmf, step: &mut Step<'_>) {
        let cseq = self.dialog.next_cseq();
        let body = format!("Signal={}\r\nDuration={}\r\n", dtmf.digit, dtmf.duration_ms);
        let info = self.request(&Method::Info, cseq, BranchPart::Own, HOPS, step).body(DTMF_RELAY, body);
        step.send(self.name, info, self.destination());
    }
}

/// How digits reach a peer.
pub(super) enum TakesDigits {
    AsEvents,
    AsInfo,
    Not,
}

/// A digit as INFO spells it: `Signal=5` and `Duration=160` in one type, the bare digit in the other.
#[derive(Clone, Copy)]
struct Dtmf {
    digit: char,
    duration_ms: u32,
}

impl Dtmf {
    fn of(request: &Message) -> Option<Self> {
        let body = std::str::from_utf8(request.body()).ok()?;
        let kind = request.content_type()?;
        if kind.is("application", "dtmf") {
            return Self::new(body.trim(), None);
        }
        if !kind.is("application", "dtmf-relay") {
            return None;
        }
        let field = |name: &str| {
            let pairs = body.lines().filter_map(|line| line.split_once('='));
            pairs
                .into_iter()
                .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim())
        };
        Self::new(field("Signal")?, field("Duration"))
    }

    fn new(digit: &str, duration: Option<&str>) -> Option<Self> {
        let duration = duration.and_then(|text| text.parse().ok()).unwrap_or(USUAL_MS);
        Some(Self::lasting(digit_of(digit)?, duration))
    }

    fn lasting(digit: char, duration_ms: u32) -> Self {
        Self { digit, duration_ms: duration_ms.clamp(SHORTEST_MS, LONGEST_MS) }
    }
}

/// A digit by itself, or the number of its event (RFC 4733 §3.2).
fn digit_of(text: &str) -> Option<char> {
    let mut characters = text.chars();
    match (characters.next()?.to_ascii_uppercase(), characters.next(), characters.next()) {
        (digit @ ('0'..='9' | '*' | '#' | 'A'..='D'), None, _) => Some(digit),
        ('1', Some(event @ '0'..='5'), None) => EVENTS_FROM_10.get(event.to_digit(10)? as usize).copied(),
        (_, _, _) => None,
    }
}

const EVENTS_FROM_10: [char; 6] = ['*', '#', 'A', 'B', 'C', 'D'];
const DTMF_RELAY: &str = "application/dtmf-relay";
const DTMF_TYPES: &str = "application/dtmf-relay, application/dtmf";
/// Milliseconds of a digit whose length nobody named.
const USUAL_MS: u32 = 160;
const SHORTEST_MS: u32 = 40;
const LONGEST_MS: u32 = 5_000;

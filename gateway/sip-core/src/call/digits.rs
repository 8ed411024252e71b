//! Digits in INFO: of phones that send no RTP events (RFC 4733), and for those that take none.

use relay_api::Place;

use crate::message::{Message, Method, Name, Status};
use crate::routing::Destination;

use super::Effect;
use super::leg::{BranchPart, Confirmed, HOPS, Line};
use super::session::Side;
use super::step::Step;

/// A digit as INFO spells it: `Signal=5` and `Duration=160` in one type, the bare digit in the other.
#[derive(Clone, Copy)]
pub(super) struct Dtmf {
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

    pub(super) fn lasting(digit: char, duration_ms: u32) -> Self {
        Self { digit, duration_ms: duration_ms.clamp(SHORTEST_MS, LONGEST_MS) }
    }

    fn new(digit: &str, duration: Option<&str>) -> Option<Self> {
        let duration = duration.and_then(|text| text.parse().ok()).unwrap_or(USUAL_MS);
        Some(Self::lasting(digit_of(digit)?, duration))
    }
}

/// Who could hear a digit.
pub(super) enum Ear<'a> {
    /// A service, which listens to none.
    Deaf,
    /// A peer that takes RTP events: the relay makes them.
    Events { session: Place, side: Side },
    /// A peer that takes INFO.
    Info(&'a mut Confirmed),
    /// Nobody.
    None,
}

/// INFO carries DTMF of phones that don't send RTP events; the far peer gets it as RTP events, or as INFO where it has none. A
/// digit that nobody can take is not said to be done. Anything else has no meaning here (RFC 6086 §4.2.2).
pub(super) fn info(line: &Line, request: &Message, from: &Destination, ear: Ear<'_>, step: &mut Step<'_>) {
    if request.body().is_empty() {
        return line.reply(request, Status::OK, from, step);
    }
    let Some(dtmf) = Dtmf::of(request) else {
        let reply = line.response(request, Status::UNSUPPORTED_MEDIA_TYPE).header(Name::Accept, DTMF_TYPES);
        step.respond(line.id, reply, from);
        return;
    };
    match ear {
        Ear::Deaf => line.reply(request, Status::OK, from, step),
        Ear::Events { session, side } => {
            line.reply(request, Status::OK, from, step);
            let Dtmf { digit, duration_ms } = dtmf;
            step.push(Effect::Dtmf { session, side: side.into(), digit, duration_ms });
        }
        Ear::Info(other) => {
            line.reply(request, Status::OK, from, step);
            other.send_dtmf(dtmf, step);
        }
        Ear::None => line.reply(request, Status::NOT_ACCEPTABLE_HERE, from, step),
    }
}

impl Confirmed {
    /// Tells the peer a digit by INFO.
    pub(super) fn send_dtmf(&mut self, dtmf: Dtmf, step: &mut Step<'_>) {
        let cseq = self.line.dialog.next_cseq();
        let body = format!("Signal={}\r\nDuration={}\r\n", dtmf.digit, dtmf.duration_ms);
        let info = self.line.request(&Method::Info, cseq, BranchPart::Own, HOPS, step);
        step.send(self.line.id, info.body(DTMF_RELAY, body), self.line.destination());
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

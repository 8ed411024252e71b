//! From the caller's INVITE until the callee rings.

use relay_api::{LegName, Service};
use serde::{Deserialize, Serialize};

use crate::dialog::{self, Dialog};
use crate::message::text::Quoted;
use crate::message::{Builder, Message, Method, Name, Status};
use crate::sdp::{self, CodecName, Format, Profile};

use super::leg::{Asked, Asking, BranchPart, Fork, Leg, MAX_FORKS, State};
use super::media::{Wish, has_sound};
use super::refusal::Refusal;
use super::screen::{SDP, sdp_of, session_body};
use super::session::{Session, Then};
use super::session_timer::{Role, SessionTimer};
use super::shared::Shared;
use super::step::Step;
use super::stored::Stored;
use super::{
    Admission, Call, CallTimer, Callee, Cause, FarEnd, Identity, Link, MAX_CANDIDATES, Target, status,
};

/// What leg B's INVITE says beyond its dialog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Prepared {
    headers: Vec<(String, String)>,
    hops: u8,
}

/// Makes the call of an initial INVITE.
///
/// # Errors
/// The response to the INVITE.
pub(super) fn begin(request: &Message, admission: Admission, step: &mut Step<'_>) -> Result<Call, Refusal> {
    let a = caller(request, admission.caller, step)?;
    let (b, prepared) = match admission.target {
        Target::Service(service) => (FarEnd::Service(service), None),
        Target::Sip(callee) => {
            let prepared = Prepared::of(request, a.link.profile, &callee, step);
            (FarEnd::Leg(Shared::new(called(*callee, step))), Some(Box::new(prepared)))
        }
    };
    let mut call = Call {
        v: super::Format,
        id: step.call,
        started: step.now,
        parties: Shared::new(admission.parties),
        a: Shared::new(a),
        b,
        prepared,
        session: Session::default(),
        answered: None,
        status: None,
        behind: None,
        ending: None,
        over: false,
    };
    if !has_sound(&call.first_formats()) {
        return Err(Status::NOT_ACCEPTABLE_HERE.into());
    }
    call.declare_media_then(Then::Call, step);
    Ok(call)
}

/// Leg A out of the INVITE that made it.
fn caller(request: &Message, link: Link, step: &Step<'_>) -> Result<Leg, Refusal> {
    let bad = || Refusal::from(Status::BAD_REQUEST);
    dialog::target_of(request).ok_or_else(bad)?;
    session_body(request)?;
    let session = session_timer(request, step)?;
    let from = link.destination.clone();
    let dialog = Dialog::called(request, step.sealer.tag(step.call, LegName::A));
    let mut leg = Leg::new(LegName::A, link, dialog, State::Early, step);
    leg.note_peer(request);
    leg.session = session;
    leg.asked = Some(Asked { request: Stored::skeleton(request).ok_or_else(bad)?, from, told: None });
    if let Some(offer) = sdp_of(request) {
        let taken = leg.media.receive_offer(offer, &leg.link.codecs, &[]);
        taken.map_err(|error| status::of_sdp(error, &leg.link.local))?;
    }
    Ok(leg)
}

/// Leg B before its INVITE.
fn called(callee: Callee, step: &Step<'_>) -> Leg {
    // The id of the call is as hard to foresee as any Call-ID should be.
    let dialog = Dialog::calling(
        step.call.to_string(),
        step.sealer.tag(step.call, LegName::B),
        callee.caller.name_addr(),
        &callee.to,
        callee.request_uri,
    );
    let mut leg = Leg::new(LegName::B, callee.link, dialog, State::Waiting, step);
    leg.further = callee.further;
    leg.further.truncate(MAX_CANDIDATES - 1);
    leg
}

/// The session timer an INVITE or UPDATE asks for, unless its interval is too small (RFC 4028 §9).
pub(super) fn session_timer(request: &Message, step: &Step<'_>) -> Result<Option<SessionTimer>, Refusal> {
    let timer = SessionTimer::of(request, Role::Uas);
    let least = u32::try_from(step.policy.min_session.as_secs()).unwrap_or(u32::MAX);
    match timer {
        Some(timer) if timer.interval < least => {
            Err(Refusal::from(Status::SESSION_INTERVAL_TOO_SMALL).with(Name::MinSe, least))
        }
        timer => Ok(timer),
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

impl Identity {
    fn name_addr(&self) -> String {
        match &self.display {
            Some(display) => format!("{} <{}>", Quoted(display), self.uri),
            None => format!("<{}>", self.uri),
        }
    }
}

impl Call {
    /// The media is there: the callee is called, or the service answers.
    pub(super) fn call_out(&mut self, step: &mut Step<'_>) {
        match self.b {
            FarEnd::Service(_) => self.answer_caller(Vec::new(), step),
            FarEnd::Leg(_) => self.invite_callee(step),
        }
    }

    pub(super) fn invite_callee(&mut self, step: &mut Step<'_>) {
        let (formats, wish) = (self.first_formats(), self.a.media.wishes());
        let (FarEnd::Leg(b), Some(prepared)) = (&mut self.b, self.prepared.take()) else { return };
        let cseq = b.dialog.next_cseq();
        let sent = b.media.make_offer(formats, wish).and_then(|sdp| {
            let invite = b.request(&Method::Invite, cseq, BranchPart::Own, prepared.hops, step);
            let invite = with_headers(b.presented(invite), &prepared.headers);
            step.send(LegName::B, b.expiring(invite, step).body(SDP, sdp), b.destination())
        });
        match sent.as_ref().and_then(|invite| invite.header(Name::Via)) {
            Some(via) => {
                let via = via.to_owned();
                b.asking = Some(Asking { cseq, via, provisional: false, offer: None });
                b.called = Some(cseq);
                b.state = State::Early;
                step.start(CallTimer::FirstReply, b.patience(cseq));
                step.start(CallTimer::NoAnswer, step.policy.no_answer);
                self.prepared = Some(prepared).filter(|_| !b.further.is_empty());
            }
            None => self.end(Cause::Refused, None, None, step),
        }
    }

    /// The formats of our first offer: to leg B, or of what a service can do. The caller's order and payload types when it
    /// made an offer, else what both sides' settings allow.
    fn first_formats(&self) -> Vec<Format> {
        let allowed = self.far_codecs();
        match self.a.media.has_open_offer() {
            true => sdp::select(self.a.media.acceptable(), &allowed),
            false => {
                let both: Vec<CodecName> =
                    allowed.into_iter().filter(|codec| self.a.link.codecs.contains(codec)).collect();
                sdp::offered(&both)
            }
        }
    }

    fn far_codecs(&self) -> Vec<CodecName> {
        match &self.b {
            FarEnd::Leg(leg) => leg.link.codecs.clone(),
            FarEnd::Service(Service::Echo) => self.a.link.codecs.clone(),
            // The relay's melody exists in these two encodings.
            FarEnd::Service(Service::Tone) => {
                vec![CodecName::Pcmu, CodecName::Pcma, CodecName::TelephoneEvent]
            }
        }
    }

    /// What the caller's answer may hold: what the far end has taken, or can do.
    pub(super) fn far_formats(&self) -> Vec<Format> {
        match &self.b {
            FarEnd::Leg(leg) => leg.media.common(),
            FarEnd::Service(_) if self.a.media.has_open_offer() => self.first_formats(),
            FarEnd::Service(_) => sdp::offered(&self.far_codecs()),
        }
    }

    pub(super) fn far_wishes(&self) -> Wish {
        match &self.b {
            FarEnd::Leg(leg) => leg.media.wishes(),
            FarEnd::Service(_) => Wish::default(),
        }
    }

    /// A provisional response to leg B's first INVITE.
    pub(super) fn progress(&mut self, response: &Message, told: Status, step: &mut Step<'_>) {
        let own = self.own_addresses();
        let FarEnd::Leg(b) = &mut self.b else { return };
        b.note_provisional(step);
        if matches!(b.state, State::Cancelled { .. }) {
            b.send_cancel(step);
            return;
        }
        b.note_fork(response);
        let early = sdp_of(response).is_some_and(|sdp| b.media.receive_answer(sdp, &own).is_ok());
        let Some(status) = status::provisional(told) else { return };
        let headers = crossing(response, b.link.profile, step);
        let body = if early { self.early_answer() } else { None };
        self.declare_media(step);
        self.ring(status, body, headers, step);
    }

    /// The caller's answer, as soon as the callee's is known; the same text each time.
    fn early_answer(&mut self) -> Option<String> {
        let (formats, wish) = (self.far_formats(), self.far_wishes());
        match self.a.media.has_open_offer() {
            true => self.a.media.make_answer(&formats, wish),
            // Without an offer of the caller ours waits for the 200 (RFC 3261 §13.2.1: a 18x of ours is not reliable).
            false => self.a.media.is_agreed().then(|| self.a.media.repeated())?,
        }
    }

    /// Tells the caller.
    fn ring(
        &mut self,
        status: Status,
        body: Option<String>,
        headers: Vec<(String, String)>,
        step: &mut Step<'_>,
    ) {
        let Some(mut asked) = self.a.asked.take() else { return };
        asked.told = Some(status);
        let response = self.a.presented(self.a.response(&asked.request.0, status));
        let response = with_headers(response, &headers);
        let response = match body {
            Some(sdp) => response.body(SDP, sdp),
            None => response,
        };
        step.respond(LegName::A, response, &asked.from);
        self.a.asked = Some(asked);
    }
}

impl Leg {
    /// RFC 3261 §13.2.1: where all responses may be lost, nobody is there to cancel a phone that rings for ever.
    fn expiring(&self, invite: Builder, step: &Step<'_>) -> Builder {
        match self.destination().is_reliable() {
            true => invite,
            false => invite.header(Name::Expires, step.policy.no_answer.as_secs().max(1)),
        }
    }

    /// Remembers an early dialog (RFC 3261 §12.1.2). The dialog proper takes shape with the 2xx.
    fn note_fork(&mut self, response: &Message) {
        let Some(tag) = response.to_tag() else { return };
        if self.forks.len() < MAX_FORKS && self.fork_mut(tag).is_none() {
            self.forks.push(Fork { tag: tag.to_owned(), cseq: None, stray: false });
        }
        // Requests of the early dialog are answered; nothing is sent there but a CANCEL, which needs no dialog.
        self.note_peer(response);
    }

    pub(super) fn fork_mut(&mut self, tag: &str) -> Option<&mut Fork> {
        self.forks.iter_mut().find(|fork| fork.tag == tag)
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

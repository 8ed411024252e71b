//! The two-leg call: a back-to-back user agent as one value.
//!
//! Leg A called us, leg B we called. A [`Call`] is the whole truth about both dialogs, their offer/answer and the
//! media between them; it is loaded, given one [`Event`], stored, and only then its [`Effect`]s are carried out.
//! Nothing of one leg's messages gets into the other's but what [`Policy::crossing`] names.
//!
//! Where to look: `setup` (INVITE until it rings), `answer` (2xx and ACK), `in_dialog` (which request does what),
//! `renegotiate` (re-INVITE, UPDATE), `end` (CANCEL, BYE), `failover` (the callee's
//! next address), `leg` (what one leg remembers), `media` (its sound).

mod admission;
mod answer;
mod effect;
mod end;
mod event;
mod failover;
mod in_dialog;
mod leg;
mod media;
mod orphan;
mod policy;
mod refusal;
mod renegotiate;
mod screen;
mod session;
mod session_timer;
mod setup;
mod shared;
mod status;
mod step;
mod stored;
mod summary;
mod timer;

pub use admission::{
    Admission, CallKind, Callee, Candidate, Identity, Link, MAX_CANDIDATES, Parties, Target, Way,
};
pub use effect::{Effect, PassedOver};
pub use event::{Event, Failure};
pub use orphan::orphan;
pub use policy::{Crossing, Policy};
pub use screen::{ALLOW, screen};
pub use summary::{Cause, Summary};
pub use timer::CallTimer;

pub use crate::routing::CallId;

use relay_api::{EventKind, LegName, Service};
use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::routing::{FlowId, Sealer};
use crate::time::UnixMillis;

use end::Ending;
use leg::Leg;
use session::Session;
use setup::Prepared;
use shared::Shared;
use step::Step;

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    v: Format,
    id: CallId,
    started: UnixMillis,
    parties: Shared<Parties>,
    a: Shared<Leg>,
    b: FarEnd,
    /// What leg B's INVITE says, while there may be another one.
    prepared: Option<Box<Prepared>>,
    session: Session,
    answered: Option<UnixMillis>,
    /// Final status of leg A's INVITE.
    status: Option<u16>,
    /// A leg whose peer must be told about a change of the other leg.
    behind: Option<LegName>,
    ending: Option<Ending>,
    over: bool,
}

/// What leg A talks to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FarEnd {
    Leg(Shared<Leg>),
    Service(Service),
}

impl Call {
    /// Takes an initial INVITE that [`screen()`] let pass and the application admitted.
    ///
    /// # Errors
    /// The response to send when its offer can't be used (400, 488) or it asks for what a call can't give (422).
    pub fn invite(
        request: &Message,
        admission: Admission,
        sealer: &Sealer,
        policy: &Policy,
        now: UnixMillis,
    ) -> Result<(Self, Vec<Effect>), Message> {
        let mut step = Step::new(sealer.call_id(request), sealer, policy, now);
        let call = setup::begin(request, admission, &mut step)
            .map_err(|refusal| screen::stateless(request, &refusal, sealer))?;
        Ok((call, step.finish()))
    }

    /// Decides what follows from an event. Events that no longer matter have no effects.
    pub fn handle(&mut self, event: Event, sealer: &Sealer, policy: &Policy, now: UnixMillis) -> Vec<Effect> {
        let mut step = Step::new(self.id, sealer, policy, now);
        match event {
            Event::Request { leg, message, from } => self.request(leg, &message, &from, &mut step),
            Event::Cancel { leg, message, from } => self.cancel(leg, &message, &from, &mut step),
            Event::Response { leg, message } => self.response(leg, &message, &mut step),
            Event::ClientFailed { leg, cseq, method, failure } => {
                self.client_failed(leg, cseq, &method, failure, &mut step);
            }
            Event::Timer(timer) => self.timer(timer, &mut step),
            Event::MediaReady(description) => self.media_ready(*description, &mut step),
            Event::MediaFailed(error) => self.media_failed(&error, &mut step),
            Event::Media { leg, kind } => self.media_event(leg, &kind, &mut step),
            Event::FlowLost { leg, flow } => self.flow_lost(leg, flow, &mut step),
            Event::FlowRestored { leg, was, flow } => self.flow_restored(leg, was, flow, &mut step),
            Event::Terminate { cause } => self.end(cause, None, None, &mut step),
        }
        self.follow(&mut step);
        self.finish(&mut step);
        step.finish()
    }

    /// The call's name.
    pub fn id(&self) -> CallId {
        self.id
    }

    /// Who calls whom.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// Did both legs end? [`Effect::Ended`] was given then.
    pub fn is_ended(&self) -> bool {
        self.over
    }

    /// When the caller's 200 was sent.
    pub fn answered(&self) -> Option<UnixMillis> {
        self.answered
    }

    /// The browsers' connections which this call needs: leg A's, leg B's.
    pub fn flows(&self) -> [Option<FlowId>; 2] {
        let flow = |leg: &Leg| leg.link.destination.flow().filter(|_| !leg.is_ended());
        [flow(&self.a), self.leg(LegName::B).and_then(flow)]
    }

    /// What the relay was told last; none before the first and after the release.
    pub fn media(&self) -> Option<&relay_api::SessionSpec> {
        self.session.declared()
    }

    fn timer(&mut self, timer: CallTimer, step: &mut Step<'_>) {
        match timer {
            CallTimer::FirstReply => self.callee_silent(step),
            CallTimer::NoAnswer => self.no_answer(step),
            CallTimer::Abandoned => self.abandoned_over(),
            CallTimer::CancelWait => self.cancel_wait_over(step),
            CallTimer::Resend2xx(leg) => self.resend_2xx(leg, step),
            CallTimer::Retry(leg) => self.retry_offer(leg, step),
            CallTimer::Grace(leg) => self.grace_over(leg, step),
            CallTimer::Session(leg) => self.session_due(leg, step),
            CallTimer::Bye(leg) => self.bye_again(leg, step),
        }
    }

    fn media_event(&mut self, leg: LegName, kind: &EventKind, step: &mut Step<'_>) {
        match kind {
            EventKind::MediaTimeout => self.end(Cause::MediaTimeout, Some(leg), None, step),
            EventKind::TransportFailed { .. } => self.end(Cause::MediaLost, Some(leg), None, step),
            EventKind::SessionLost { .. } => self.end(Cause::MediaLost, None, None, step),
            EventKind::Dtmf { digit, duration_ms } => self.digit_heard(leg, *digit, *duration_ms, step),
            // What the relay says of sound is for operators.
            EventKind::MediaStarted
            | EventKind::Quality(_)
            | EventKind::WrongSource { .. }
            | EventKind::Unknown => {}
        }
    }

    fn leg(&self, name: LegName) -> Option<&Leg> {
        match (name, &self.b) {
            (LegName::A, _) => Some(&self.a),
            (LegName::B, FarEnd::Leg(leg)) => Some(leg),
            (LegName::B, FarEnd::Service(_)) => None,
        }
    }

    fn leg_mut(&mut self, name: LegName) -> Option<&mut Leg> {
        match (name, &mut self.b) {
            (LegName::A, _) => Some(&mut self.a),
            (LegName::B, FarEnd::Leg(leg)) => Some(leg),
            (LegName::B, FarEnd::Service(_)) => None,
        }
    }

    /// A leg together with the other one.
    fn pair_mut(&mut self, name: LegName) -> Option<(&mut Leg, Option<&mut Leg>)> {
        match (name, &mut self.b) {
            (LegName::A, FarEnd::Leg(b)) => Some((&mut self.a, Some(b))),
            (LegName::A, FarEnd::Service(_)) => Some((&mut self.a, None)),
            (LegName::B, FarEnd::Leg(b)) => Some((b, Some(&mut self.a))),
            (LegName::B, FarEnd::Service(_)) => None,
        }
    }
}

/// Version of the stored form. A call that another version wrote is not guessed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
struct Format;

impl From<Format> for u8 {
    fn from(_: Format) -> Self {
        FORMAT
    }
}

impl TryFrom<u8> for Format {
    type Error = UnknownFormat;

    fn try_from(version: u8) -> Result<Self, UnknownFormat> {
        if version == FORMAT { Ok(Self) } else { Err(UnknownFormat(version)) }
    }
}

/// A stored call of a version that this program does not know.
#[derive(Debug, thiserror::Error)]
#[error("unknown version {0} of a stored call")]
struct UnknownFormat(u8);

/// Rises whenever a field changes its meaning.
const FORMAT: u8 = 3;

//! The call: a back-to-back user agent as one value.
//!
//! Leg A called us, the others we called. A [`Call`] is the whole truth about their dialogs, their offers and answers and the
//! media between them; it is loaded, given one [`Event`], stored, and only then its [`Effect`]s are carried out.
//! Nothing of one leg's messages gets into another's but what [`Policy::crossing`] names.
//!
//! A call goes through stages, each with a room of its own, and so do its legs:
//!
//! | stage | room | legs |
//! |---|---|---|
//! | the callee is looked for | `setup` | A `leg::Called`, one or several `leg::Calling` |
//! | the relay prepares a service | `served` | A `leg::Called` |
//! | two legs are joined | `joined` | both `leg::Confirmed` |
//! | the relay serves the caller | `served` | A `leg::Confirmed` |
//! | the call ends | here | all `leg::Parting` |
//!
//! Legs that are left while the call goes on are parting as well: devices that another one was faster than. What either side
//! of a leg owes the other is in `exchange`, its sound in `media`, the relay's part in `session`.

mod abandoned;
mod admission;
mod digits;
mod effect;
mod end;
mod event;
mod exchange;
mod joined;
mod leg;
mod media;
mod orphan;
mod policy;
mod record;
mod refusal;
mod screen;
mod served;
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
    Admission, CallKind, Callee, Candidate, Identity, Link, MAX_CANDIDATES, Parties, Ring, Target, Way,
};
pub use effect::{Effect, PassedOver};
pub use event::{Event, Failure};
pub use orphan::orphan;
pub use policy::{Crossing, Policy};
pub use screen::{ALLOW, screen};
pub use summary::{Cause, Summary};
pub use timer::CallTimer;

pub use crate::routing::{CallId, LegId};

use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::routing::{FlowId, Sealer};
use crate::time::UnixMillis;

use end::Ending;
use joined::Joined;
use record::Record;
use refusal::Refusal;
use served::{Awaited, Served};
use setup::SetUp;
use step::Step;

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    v: Format,
    id: CallId,
    record: Record,
    stage: Stage,
}

/// How far the call is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// The callee is looked for.
    SetUp(SetUp),
    /// The relay prepares a service.
    Awaited(Awaited),
    /// Two legs are joined.
    Joined(Joined),
    /// The relay serves the caller.
    Served(Served),
    /// Legs are parting; nothing changes that any more.
    Ending(Ending),
    /// All is said.
    Ended,
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
        let call = Self::begin(request, admission, &mut step)
            .map_err(|refusal| screen::stateless(request, &refusal, sealer))?;
        Ok((call, step.finish()))
    }

    fn begin(request: &Message, admission: Admission, step: &mut Step<'_>) -> Result<Self, Refusal> {
        let Admission { caller, target, parties } = admission;
        let stage = match target {
            Target::Service(service) => Stage::Awaited(Awaited::begin(request, caller, service, step)?),
            Target::Sip(callee) => Stage::SetUp(SetUp::begin(request, caller, *callee, step)?),
        };
        Ok(Self { v: Format, id: step.call, record: Record::new(parties, step.now), stage })
    }

    /// Decides what follows from an event. Events that no longer matter have no effects.
    pub fn handle(&mut self, event: Event, sealer: &Sealer, policy: &Policy, now: UnixMillis) -> Vec<Effect> {
        let mut step = Step::new(self.id, sealer, policy, now);
        if let Some(event) = self.record.handle(event, &mut step) {
            // Between two stages there is none.
            let stage = std::mem::replace(&mut self.stage, Stage::Ended);
            self.stage = match stage {
                Stage::SetUp(set_up) => set_up.handle(event, &mut self.record, &mut step),
                Stage::Awaited(awaited) => awaited.handle(event, &mut self.record, &mut step),
                Stage::Joined(joined) => joined.handle(event, &mut self.record, &mut step),
                Stage::Served(served) => served.handle(event, &mut self.record, &mut step),
                Stage::Ending(_) | Stage::Ended => stage,
            };
        }
        self.finish(&mut step);
        step.finish()
    }

    /// The call's name.
    pub fn id(&self) -> CallId {
        self.id
    }

    /// Who calls whom.
    pub fn parties(&self) -> &Parties {
        self.record.parties()
    }

    /// Did all legs end? [`Effect::Ended`] was given then.
    pub fn is_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }

    /// When the caller's 200 was sent.
    pub fn answered_at(&self) -> Option<UnixMillis> {
        self.record.answered_at()
    }

    /// The browsers' connections which this call needs, and for which leg.
    pub fn flows(&self) -> Vec<(LegId, FlowId)> {
        let staged = match &self.stage {
            Stage::SetUp(set_up) => set_up.flows(),
            Stage::Joined(joined) => joined.flows(),
            Stage::Awaited(awaited) => awaited.flow().map(|flow| (LegId::A, flow)).into_iter().collect(),
            Stage::Served(served) => served.flow().map(|flow| (LegId::A, flow)).into_iter().collect(),
            Stage::Ending(_) | Stage::Ended => Vec::new(),
        };
        staged.into_iter().chain(self.record.flows()).collect()
    }

    /// Says so once all legs are over.
    fn finish(&mut self, step: &mut Step<'_>) {
        if let Stage::Ending(ending) = &self.stage
            && self.record.is_over()
        {
            step.push(Effect::Ended(self.record.summary(ending, step)));
            self.stage = Stage::Ended;
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
const FORMAT: u8 = 4;

//! A media session at the relay: what it was told, and what waits for its word.

use relay_api::{
    LegDescription, LegName, LegSpec, Place, RelayError, RelayName, SessionDescription, SessionSpec,
};
use serde::{Deserialize, Serialize};

use crate::routing::{CallId, LegId};

use super::shared::Shared;
use super::step::Step;
use super::{Cause, Effect};

/// The relay's part in a call: the caller on its one side, a leg that we called or a service on the other. While several legs
/// are called there are as many sessions, of which that of the leg that answers stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    /// Its name is made of the leg on the far side.
    far: LegId,
    revision: u64,
    declared: Option<Shared<SessionSpec>>,
    /// Where it was made: it stays there.
    #[serde(default)]
    relay: Option<RelayName>,
    waiting: Option<Waiting>,
    /// What the relay made for the caller.
    caller: Option<LegDescription>,
}

/// What goes on once the relay carried out a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    revision: u64,
    then: Then,
}

/// What needs the relay's addresses or keys first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Then {
    /// To call the far leg, or to answer the caller on behalf of a service.
    Call,
    /// To answer an offer that restarted ICE.
    Answer(Side),
}

/// The two sides that are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    /// The caller.
    A,
    /// The leg that we called.
    B,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl From<Side> for LegName {
    fn from(side: Side) -> Self {
        match side {
            Side::A => Self::A,
            Side::B => Self::B,
        }
    }
}

impl From<LegName> for Side {
    fn from(leg: LegName) -> Self {
        match leg {
            LegName::A => Self::A,
            LegName::B => Self::B,
        }
    }
}

impl Session {
    pub(super) fn new(far: LegId) -> Self {
        Self { far, revision: 0, declared: None, relay: None, waiting: None, caller: None }
    }

    /// Tells the relay what the legs need now, if that changed. Called before anything is sent that relies on it.
    pub(super) fn declare(&mut self, a: LegSpec, b: LegSpec, step: &mut Step<'_>) {
        if self.declared.as_ref().is_some_and(|spec| spec.a == a && spec.b == b) {
            return;
        }
        self.revision += 1;
        let spec = SessionSpec { id: step.call.session(self.far), revision: self.revision, a, b };
        self.declared = Some(Shared::new(spec.clone()));
        step.push(Effect::Media { spec: Box::new(spec), relay: self.relay.clone() });
    }

    /// Goes on when the relay has carried out what it was told last.
    pub(super) fn then(&mut self, then: Then) {
        self.waiting = Some(Waiting { revision: self.revision, then });
    }

    /// Is this what the relay calls it?
    pub(super) fn is(&self, id: &relay_api::SessionId, call: CallId) -> bool {
        *id == call.session(self.far)
    }

    /// The relay made it so: what it made for the far side, and what goes on now.
    pub(super) fn made(&mut self, made: SessionDescription) -> (LegDescription, Option<Then>) {
        self.relay = made.relay;
        self.caller = Some(made.a);
        let waiting = self.waiting.take_if(|waiting| waiting.revision <= made.revision);
        (made.b, waiting.map(|waiting| waiting.then))
    }

    /// What the relay made for the caller.
    pub(super) fn for_caller(&self) -> Option<&LegDescription> {
        self.caller.as_ref()
    }

    /// Gives the media back, once.
    pub(super) fn release(&mut self, step: &mut Step<'_>) {
        self.waiting = None;
        if self.declared.take().is_some() {
            step.push(Effect::ReleaseMedia(self.place(step.call)));
        }
    }

    /// Gives media back that nobody heard, once.
    pub(super) fn drop_unheard(&mut self, step: &mut Step<'_>) {
        self.waiting = None;
        if self.declared.take().is_some() {
            step.push(Effect::DropMedia(self.place(step.call)));
        }
    }

    /// What the relay knows our media by.
    pub(super) fn place(&self, call: CallId) -> Place {
        Place { id: call.session(self.far), relay: self.relay.clone() }
    }
}

/// Why media that the relay refused end the call; `None` if they don't: a later specification is in force already, another
/// node was faster.
pub(super) fn cause_of(error: &RelayError) -> Option<Cause> {
    match error {
        RelayError::Stale { .. } => None,
        RelayError::Invalid { .. } => Some(Cause::NoCommonCodec),
        RelayError::NoAddress { .. } => Some(Cause::NoCommonAddress),
        RelayError::Full { .. }
        | RelayError::Unknown
        | RelayError::NoInterface { .. }
        | RelayError::Unavailable => Some(Cause::MediaLost),
    }
}

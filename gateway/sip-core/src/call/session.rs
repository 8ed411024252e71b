//! The media session at the relay: what it was told, and what waits for its word.

use std::net::SocketAddr;

use relay_api::{LegName, LegSpec, Place, RelayError, RelayName, SessionDescription, SessionSpec};
use serde::{Deserialize, Serialize};

use super::shared::Shared;
use super::step::Step;
use super::{Call, Cause, Effect, FarEnd};

/// The relay's part in a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    revision: u64,
    declared: Option<Shared<SessionSpec>>,
    /// Where it was made: it stays there.
    #[serde(default)]
    relay: Option<RelayName>,
    waiting: Option<Waiting>,
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
    /// To call leg B, or to answer leg A on behalf of a service.
    Call,
    /// To answer a leg's offer that restarted ICE.
    Answer(LegName),
}

impl Session {
    pub(super) fn declared(&self) -> Option<&SessionSpec> {
        self.declared.as_deref()
    }
}

impl Call {
    /// Tells the relay what the legs need now, if that changed. Called before anything is sent that relies on it.
    pub(super) fn declare_media(&mut self, step: &mut Step<'_>) {
        let (a, b) = (self.a.media.spec(&self.a.link), self.far_spec());
        let same = self.session.declared.as_ref().is_some_and(|spec| spec.a == a && spec.b == b);
        if same || self.ending.is_some() {
            return;
        }
        self.session.revision += 1;
        let spec = SessionSpec { id: self.id.session(), revision: self.session.revision, a, b };
        self.session.declared = Some(Shared::new(spec.clone()));
        step.push(Effect::Media { spec: Box::new(spec), relay: self.session.relay.clone() });
    }

    /// Tells the relay, and goes on when it has done so.
    pub(super) fn declare_media_then(&mut self, then: Then, step: &mut Step<'_>) {
        self.declare_media(step);
        self.session.waiting = Some(Waiting { revision: self.session.revision, then });
    }

    pub(super) fn media_ready(&mut self, description: SessionDescription, step: &mut Step<'_>) {
        if self.ending.is_some() || description.id != self.id.session() {
            return;
        }
        let revision = description.revision;
        self.session.relay = description.relay;
        self.a.media.set_description(description.a);
        if let FarEnd::Leg(b) = &mut self.b {
            b.media.set_description(description.b);
        }
        if let Some(waiting) = self.session.waiting.take_if(|waiting| waiting.revision <= revision) {
            match waiting.then {
                Then::Call => self.call_out(step),
                Then::Answer(leg) => self.answer_offer(leg, step),
            }
        }
    }

    pub(super) fn media_failed(&mut self, error: &RelayError, step: &mut Step<'_>) {
        match error {
            // A later specification is in force already: another node was faster.
            RelayError::Stale { .. } => {}
            RelayError::Invalid { .. } => self.end(Cause::NoCommonCodec, None, None, step),
            RelayError::NoAddress { peer } => {
                if !self.call_elsewhere(*peer, step) {
                    self.end(Cause::NoCommonAddress, None, None, step);
                }
            }
            RelayError::Full { .. }
            | RelayError::Unknown
            | RelayError::NoInterface { .. }
            | RelayError::Unavailable => {
                self.end(Cause::MediaLost, None, None, step);
            }
        }
    }

    /// Gives the media back, once.
    pub(super) fn release_media(&mut self, step: &mut Step<'_>) {
        self.session.waiting = None;
        if self.session.declared.take().is_some() {
            step.push(Effect::ReleaseMedia(self.place()));
        }
    }

    /// What the relay knows our media by.
    pub(super) fn place(&self) -> Place {
        Place { id: self.id.session(), relay: self.session.relay.clone() }
    }

    /// Addresses that no peer can have.
    pub(super) fn own_addresses(&self) -> Vec<SocketAddr> {
        let far = match &self.b {
            FarEnd::Leg(leg) => leg.media.own_address(),
            FarEnd::Service(_) => None,
        };
        self.a.media.own_address().into_iter().chain(far).collect()
    }

    fn far_spec(&self) -> LegSpec {
        match &self.b {
            FarEnd::Leg(leg) => leg.media.spec(&leg.link),
            FarEnd::Service(service) => LegSpec::Service(*service),
        }
    }
}

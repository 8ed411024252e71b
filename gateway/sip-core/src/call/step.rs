//! One step of a call: what it may consult, and the effects it gathers.

use crate::message::{Builder, Message};
use crate::routing::{CallId, Destination, LegId, Sealer};
use crate::time::UnixMillis;

use super::{CallTimer, Effect, Policy};

/// Everything a decision depends on besides the call itself.
pub(super) struct Step<'a> {
    pub(super) call: CallId,
    pub(super) sealer: &'a Sealer,
    pub(super) policy: &'a Policy,
    pub(super) now: UnixMillis,
    effects: Vec<Effect>,
}

impl<'a> Step<'a> {
    pub(super) fn new(call: CallId, sealer: &'a Sealer, policy: &'a Policy, now: UnixMillis) -> Self {
        Self { call, sealer, policy, now, effects: Vec::new() }
    }

    pub(super) fn finish(self) -> Vec<Effect> {
        self.effects
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// A response; one that can't be built (headers of the peer that are too long together) is not sent.
    pub(super) fn respond(&mut self, leg: LegId, response: Builder, to: &Destination) -> Option<Message> {
        let message = response.build().ok()?;
        self.push(Effect::Respond { leg, message: message.clone(), to: to.clone() });
        Some(message)
    }

    /// A request; `None` if it can't be built.
    pub(super) fn send(&mut self, leg: LegId, request: Builder, to: Destination) -> Option<Message> {
        let message = request.build().ok()?;
        self.push(Effect::Send { leg, message: message.clone(), to });
        Some(message)
    }

    pub(super) fn start(&mut self, timer: CallTimer, after: std::time::Duration) {
        self.push(Effect::StartTimer(timer, self.now.plus(after)));
    }

    pub(super) fn stop(&mut self, timer: CallTimer) {
        self.push(Effect::StopTimer(timer));
    }
}

//! Attempts to reach the callee that were passed over before any response, and what late answers to them get.

use serde::{Deserialize, Serialize};

use crate::message::{Message, Status};
use crate::routing::{Destination, LegId};
use crate::transaction::cancel_for;

use super::step::Step;
use super::stored::Stored;
use super::{CallTimer, Effect, orphan};

/// An INVITE that is not waited for any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Abandoned {
    leg: LegId,
    /// Without body.
    invite: Stored,
    to: Destination,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// No response yet, so no CANCEL either (RFC 3261 §9.1).
    Silent,
    /// The CANCEL was sent.
    Cancelled,
    /// A final response came, or none will come.
    Over,
}

impl Abandoned {
    pub(super) fn new(leg: LegId, invite: Message, to: Destination, step: &mut Step<'_>) -> Self {
        step.start(CallTimer::Abandoned, step.policy.t1.saturating_mul(64));
        Self { leg, invite: Stored(invite), to, stage: Stage::Silent }
    }

    /// Is this the INVITE that was answered?
    pub(super) fn is(&self, leg: LegId, cseq: u32) -> bool {
        self.leg == leg && self.invite.0.cseq().0 == cseq
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// None of its responses will come.
    pub(super) fn conclude(&mut self) {
        self.stage = Stage::Over;
    }

    /// A late response.
    pub(super) fn answered(&mut self, response: &Message, status: Status, step: &mut Step<'_>) {
        match (self.stage, status.code()) {
            (Stage::Silent, 100..=199) => self.cancel(step),
            (Stage::Cancelled | Stage::Over, 100..=199) => {}
            (_, 200..=299) => self.clear(response, step),
            (_, _) => self.stage = Stage::Over,
        }
    }

    fn cancel(&mut self, step: &mut Step<'_>) {
        let message = cancel_for(&self.invite.0);
        step.push(Effect::Send { leg: self.leg, message, to: self.to.clone() });
        step.start(CallTimer::Abandoned, step.policy.t1.saturating_mul(64));
        self.stage = Stage::Cancelled;
    }

    /// The CANCEL came too late: ACK and BYE, for a repeated 2xx the ACK alone.
    fn clear(&mut self, response: &Message, step: &mut Step<'_>) {
        let known = std::mem::replace(&mut self.stage, Stage::Over) == Stage::Over;
        for effect in orphan(response, &self.to, step.sealer) {
            if !known || matches!(effect, Effect::SendAck { .. }) {
                step.push(effect);
            }
        }
    }
}

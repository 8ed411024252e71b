//! Session timers (RFC 4028): a dialog whose peer vanished does not live for ever.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::message::{Message, Name, Params, Status};

use super::refusal::Refusal;
use super::step::Step;

/// An agreed session interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionTimer {
    /// Seconds within which a refresh must happen.
    pub(super) interval: u32,
    pub(super) refresher: Refresher,
}

/// Who sends the refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Refresher {
    Us,
    Peer,
}

/// Our part in the exchange that carries Session-Expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Uac,
    Uas,
}

impl SessionTimer {
    /// What a message asks for or grants; `ours` is our part in its exchange. A caller who names no refresher leaves it
    /// to us as the callee, and we leave it to him (RFC 4028 §9, table 2).
    fn of(message: &Message, ours: Role) -> Option<Self> {
        let value = message.header(Name::SessionExpires)?;
        let mut parts = value.splitn(2, ';');
        let interval = parts.next()?.trim().parse().ok()?;
        let refresher = Params(parts.next().unwrap_or("")).value("refresher").unwrap_or("uac");
        let uac_refreshes = !refresher.eq_ignore_ascii_case("uas");
        let refresher = match (uac_refreshes, ours) {
            (true, Role::Uac) | (false, Role::Uas) => Refresher::Us,
            (true, Role::Uas) | (false, Role::Uac) => Refresher::Peer,
        };
        Some(Self { interval, refresher })
    }

    /// What an INVITE or UPDATE asks for, unless its interval is too small (RFC 4028 §9).
    pub(super) fn asked(request: &Message, step: &Step<'_>) -> Result<Option<Self>, Refusal> {
        let least = u32::try_from(step.policy.min_session.as_secs()).unwrap_or(u32::MAX);
        match Self::of(request, Role::Uas) {
            Some(timer) if timer.interval < least => {
                Err(Refusal::from(Status::SESSION_INTERVAL_TOO_SMALL).with(Name::MinSe, least))
            }
            timer => Ok(timer),
        }
    }

    /// What the 2xx to an INVITE of ours grants. A peer can't make us refresh more often than we would let it.
    pub(super) fn granted(response: &Message, step: &Step<'_>) -> Option<Self> {
        let least = u32::try_from(step.policy.min_session.as_secs()).unwrap_or(u32::MAX);
        Self::of(response, Role::Uac).map(|timer| Self { interval: timer.interval.max(least), ..timer })
    }

    /// The header's value, in a message of an exchange where our part is `ours`.
    pub(super) fn value(self, ours: Role) -> String {
        let refresher = match (self.refresher, ours) {
            (Refresher::Us, Role::Uac) | (Refresher::Peer, Role::Uas) => "uac",
            (Refresher::Us, Role::Uas) | (Refresher::Peer, Role::Uac) => "uas",
        };
        format!("{};refresher={refresher}", self.interval)
    }

    /// How long from a refresh until something must be done: we refresh after half the interval, and give a silent peer
    /// up a little before its end (RFC 4028 §10).
    pub(super) fn wait(self) -> Duration {
        let seconds = match self.refresher {
            Refresher::Us => self.interval / 2,
            Refresher::Peer => self.interval.saturating_sub((self.interval / 3).min(32)),
        };
        Duration::from_secs(seconds.into())
    }
}

/// Does the peer list an extension as supported?
pub(super) fn supports(message: &Message, extension: &str) -> bool {
    message.supported().any(|token| token.eq_ignore_ascii_case(extension))
}

//! The timers of a call, which any node may serve.

use serde::{Deserialize, Serialize};

use crate::routing::LegId;

/// Names one timer of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallTimer {
    /// The callee's INVITE had no response at all: the next candidate is tried (RFC 3263 §4.3).
    FirstReply(LegId),
    /// The callee did not answer in time.
    NoAnswer,
    /// A cancelled INVITE got no final response within 64·T1 (RFC 3261 §9.1).
    CancelWait(LegId),
    /// Abandoned attempts to reach the callee got no final response within 64·T1.
    Abandoned,
    /// Repeat a 2xx that was not acknowledged, or give it up (RFC 3261 §13.3.1.4).
    Resend2xx(LegId),
    /// Try again a re-INVITE that met a 491 (RFC 3261 §14.1).
    Retry(LegId),
    /// A browser did not come back.
    Grace(LegId),
    /// Refresh a session, or end it because nobody did (RFC 4028 §10).
    Session(LegId),
    /// Try again a BYE that was not delivered.
    Bye(LegId),
}

impl CallTimer {
    /// Whose it is; `None` if it is the whole call's.
    pub(super) fn leg(self) -> Option<LegId> {
        match self {
            Self::FirstReply(leg)
            | Self::CancelWait(leg)
            | Self::Resend2xx(leg)
            | Self::Retry(leg)
            | Self::Grace(leg)
            | Self::Session(leg)
            | Self::Bye(leg) => Some(leg),
            Self::NoAnswer | Self::Abandoned => None,
        }
    }
}

//! The timers of a call, which any node may serve.

use relay_api::LegName;
use serde::{Deserialize, Serialize};

/// Names one timer of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallTimer {
    /// The callee's INVITE had no response at all: the next candidate is tried (RFC 3263 §4.3).
    FirstReply,
    /// The callee did not answer in time.
    NoAnswer,
    /// A cancelled INVITE got no final response within 64·T1 (RFC 3261 §9.1).
    CancelWait,
    /// Abandoned attempts to reach the callee got no final response within 64·T1.
    Abandoned,
    /// Repeat a 2xx that was not acknowledged, or give it up (RFC 3261 §13.3.1.4).
    Resend2xx(LegName),
    /// Try again a re-INVITE that met a 491 (RFC 3261 §14.1).
    Retry(LegName),
    /// A browser did not come back.
    Grace(LegName),
    /// Refresh a session, or end it because nobody did (RFC 4028 §10).
    Session(LegName),
    /// Try again a BYE that was not delivered.
    Bye(LegName),
}

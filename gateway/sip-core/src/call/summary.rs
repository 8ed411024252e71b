//! How a call ended.

use serde::{Deserialize, Serialize};

use crate::routing::{CallId, LegId};
use crate::time::UnixMillis;

use super::Parties;

/// What remains of a call: for the log, the metrics and the call detail record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The call.
    pub call: CallId,
    /// Who called whom.
    pub parties: Parties,
    /// When the INVITE came.
    pub started: UnixMillis,
    /// When the caller's 200 was sent.
    pub answered: Option<UnixMillis>,
    /// When the last leg ended.
    pub ended: UnixMillis,
    /// Which leg ended it; `None` is the gateway itself.
    pub ended_by: Option<LegId>,
    /// Why.
    pub cause: Cause,
    /// The final status that the caller's INVITE got.
    pub status: Option<u16>,
    /// The Reason that the ending side gave (RFC 3326).
    pub reason: Option<String>,
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// One side hung up.
    HungUp,
    /// The caller gave up before the answer.
    Cancelled,
    /// The callee, or the way to it, refused.
    Refused,
    /// Nobody answered in time.
    NoAnswer,
    /// A 2xx of ours was never acknowledged.
    NotAcknowledged,
    /// A request within the dialog was not answered, or answered so that the dialog is gone (RFC 3261 §12.2.1.2).
    DialogLost,
    /// Nobody refreshed the session in time (RFC 4028).
    SessionExpired,
    /// The browser's connection broke and did not come back.
    FlowLost,
    /// The relay refused or lost the media.
    MediaLost,
    /// No sound arrived any more.
    MediaTimeout,
    /// The two sides have no codec in common.
    NoCommonCodec,
    /// The relay has no address of the peer's family, IPv4 or IPv6.
    NoCommonAddress,
    /// An operator ended it.
    Operator,
    /// The node stops.
    Shutdown,
}

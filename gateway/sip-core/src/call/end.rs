//! Why a call ends, and what each side is told of it.

use relay_api::EventKind;
use serde::{Deserialize, Serialize};

use crate::message::{Message, Name, Status};
use crate::routing::LegId;
use crate::sdp::SdpError;

use super::status::Warning;
use super::{Cause, status};

/// Why the call ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ending {
    pub(super) cause: Cause,
    pub(super) by: Option<LegId>,
    /// For the caller's INVITE, if it has no final response yet.
    status: Status,
    retry_after: Option<u32>,
    /// For the caller's INVITE, to say why (RFC 3261 §20.43).
    warning: Option<Warning>,
    /// For BYE and CANCEL (RFC 3326).
    reason: Option<String>,
}

impl Ending {
    /// For a cause of ours or of one leg; without a Reason of the leg's for our own.
    pub(super) fn of(cause: Cause, by: Option<LegId>, reason: Option<String>) -> Self {
        Self {
            cause,
            by,
            status: status::status_of(cause),
            retry_after: None,
            warning: status::warning_of(cause),
            reason: reason.or_else(|| status::reason_of(cause).map(str::to_owned)),
        }
    }

    /// This leg can't be reached, or refused.
    pub(super) fn refused(by: LegId, status: Status, retry_after: Option<u32>) -> Self {
        // Who declines for all his devices tells them why they ring no more (RFC 3326 §2).
        let reason = (status.code() >= 600).then(|| format!("SIP;cause={}", status.code()));
        Self { status, retry_after, ..Self::of(Cause::Refused, Some(by), reason) }
    }

    /// Because of what this leg's answer says.
    pub(super) fn for_sdp(by: LegId, error: SdpError) -> Self {
        let warning = Some(Warning::of_callee(error));
        Self { warning, ..Self::of(Cause::NoCommonCodec, Some(by), None) }
    }

    /// For BYE and CANCEL.
    pub(super) fn reason(&self) -> Option<String> {
        self.reason.clone()
    }

    /// The final status of a caller who waits.
    pub(super) fn status(&self) -> Status {
        self.status
    }

    /// What goes with that status; `agent` is who says so.
    pub(super) fn headers(&self, agent: &str) -> Vec<(Name<'static>, String)> {
        let retry_after = self.retry_after.map(|seconds| (Name::RetryAfter, seconds.to_string()));
        let warning = self.warning.as_ref().map(|warning| (Name::Warning, warning.value(agent)));
        retry_after.into_iter().chain(warning).collect()
    }

    /// RFC 3261 §16.7 step 6: of several devices' outcomes a decline says most, then that the user is busy, then the lowest
    /// status.
    pub(super) fn outranks(&self, other: &Self) -> bool {
        self.rank() <= other.rank()
    }

    fn rank(&self) -> (u8, u16) {
        match self.status.code() {
            code @ 600.. => (0, code),
            code @ 486 => (1, code),
            code => (2, code),
        }
    }

    /// RFC 3261 §21.6: the user was asked, and wants the call nowhere.
    pub(super) fn speaks_for_all(&self) -> bool {
        self.status.code() >= 600
    }
}

/// What ends with something that the relay noticed on this leg; `None` if it goes on.
pub(super) fn of_media(kind: &EventKind, leg: LegId) -> Option<Ending> {
    match kind {
        EventKind::MediaTimeout => Some(Ending::of(Cause::MediaTimeout, Some(leg), None)),
        EventKind::TransportFailed { .. } => Some(Ending::of(Cause::MediaLost, Some(leg), None)),
        EventKind::SessionLost { .. } => Some(Ending::of(Cause::MediaLost, None, None)),
        // What the relay says of sound is for operators.
        EventKind::Dtmf { .. }
        | EventKind::MediaStarted
        | EventKind::Quality(_)
        | EventKind::WrongSource { .. }
        | EventKind::Unknown => None,
    }
}

/// The Reason of a CANCEL or BYE, for the other leg (RFC 3326): all its values, in as many rows as they came (RFC 3261
/// §7.3.1), in one. What does not fit stays behind.
pub(super) fn reason_in(message: &Message) -> Option<String> {
    let mut reason = String::new();
    for value in message.values(Name::Reason) {
        let separator = if reason.is_empty() { "" } else { ", " };
        if reason.len() + separator.len() + value.len() <= MAX_REASON {
            reason.extend([separator, value]);
        }
    }
    Some(reason).filter(|reason| !reason.is_empty())
}

/// Octets of the Reasons that cross.
const MAX_REASON: usize = 512;

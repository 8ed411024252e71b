//! What one leg's outcome is called on the other.

use serde::{Deserialize, Serialize};

use crate::message::text::Quoted;
use crate::message::{Message, Name, Status};
use crate::sdp::SdpError;

use super::refusal::Refusal;
use super::{Cause, Failure};

/// The caller's final status for the callee's. Statuses that speak about our own request, our credentials or our view of
/// the callee's network stay on leg B.
pub(super) fn towards_caller(callee: Status) -> Status {
    match callee.code() {
        403 | 404 | 408 | 410 | 480 | 484 | 485 | 486 | 488 | 500 | 501 | 502 | 503 | 504 | 600 | 603
        | 604 | 607 | 608 => callee,
        // The callee wants credentials that only the application may hold.
        401 | 407 => Status::BAD_GATEWAY,
        // Redirections are not followed: nobody authorised the new target.
        300..=399 => Status::TEMPORARILY_UNAVAILABLE,
        // The flow, the binding or the other fork is gone.
        430 | 439 | 481 | 487 | 491 => Status::TEMPORARILY_UNAVAILABLE,
        482 | 483 => callee,
        406 | 415 | 606 => Status::NOT_ACCEPTABLE_HERE,
        400..=499 => Status::SERVER_INTERNAL_ERROR,
        500..=599 => Status::BAD_GATEWAY,
        _ => Status::DECLINE,
    }
}

/// The status of an offer whose counterpart was refused by the other leg's peer.
pub(super) fn of_refused_offer(status: Status) -> Status {
    match status.code() {
        488 | 606 | 406 | 415 => Status::NOT_ACCEPTABLE_HERE,
        491 => Status::REQUEST_PENDING,
        480 | 486 | 503 | 504 | 603 => status,
        _ => Status::SERVER_INTERNAL_ERROR,
    }
}

/// The refusal of an offer that can't be used. It says which line it was; `agent` is who says so.
pub(super) fn of_sdp(error: SdpError, agent: &str) -> Refusal {
    let status = match error {
        SdpError::Malformed { .. } | SdpError::NoOffer => Status::BAD_REQUEST,
        SdpError::NotAcceptable(_) => Status::NOT_ACCEPTABLE_HERE,
        SdpError::Glare => Status::REQUEST_PENDING,
    };
    Refusal::from(status).with(Name::Warning, Warning::of_sdp(error).value(agent))
}

/// A Warning (RFC 3261 §20.43).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Warning {
    code: u16,
    text: String,
}

impl Warning {
    fn of_sdp(error: SdpError) -> Self {
        Self { code: error.warn_code(), text: error.to_string() }
    }

    /// About the callee's SDP, for the caller.
    pub(super) fn of_callee(error: SdpError) -> Self {
        Self { code: error.warn_code(), text: format!("callee: {error}") }
    }

    /// The header's value.
    pub(super) fn value(&self, agent: &str) -> String {
        format!("{} {agent} {}", self.code, Quoted(&self.text))
    }
}

/// The caller's final status when the callee never answered our INVITE.
pub(super) fn of_failure(failure: Failure, over_flow: bool) -> Status {
    match (failure, over_flow) {
        (Failure::Timeout, true) => Status::REQUEST_TIMEOUT,
        (Failure::Timeout, false) => Status::SERVER_TIMEOUT,
        (Failure::Transport, true) => Status::TEMPORARILY_UNAVAILABLE,
        (Failure::Transport, false) => Status::SERVICE_UNAVAILABLE,
    }
}

/// The provisional status for the caller; `None` is not worth telling.
pub(super) fn provisional(callee: Status) -> Option<Status> {
    match callee.code() {
        100 | 199 => None,
        180..=183 => Some(callee),
        _ => Some(Status::SESSION_PROGRESS),
    }
}

/// Retry-After in seconds, without the comment a peer may add (RFC 3261 §20.33).
pub(super) fn retry_after(message: &Message) -> Option<u32> {
    let value = message.header(Name::RetryAfter)?;
    let digits = value.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// For how many seconds a refusal says that its server takes no calls (RFC 3261 §21.5.4).
pub(super) fn asks_to_wait(response: &Message, status: Status) -> Option<u32> {
    retry_after(response).filter(|_| status == Status::SERVICE_UNAVAILABLE)
}

/// What a callee's refusal means for the caller: its status, and when to come again.
pub(super) fn refusal(response: &Message, told: Status) -> (Status, Option<u32>) {
    let status = towards_caller(told);
    let waits = matches!(status.code(), 480 | 486 | 503 | 600 | 603);
    (status, if waits { retry_after(response) } else { None })
}

/// The Reason (RFC 3326) we give for ending a call ourselves.
pub(super) fn reason_of(cause: Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::HungUp | Cause::Cancelled | Cause::Refused => return None,
        Cause::NoAnswer => "SIP;cause=480;text=\"No answer\"",
        Cause::NotAcknowledged => "SIP;cause=408;text=\"ACK timeout\"",
        Cause::DialogLost => "SIP;cause=481;text=\"Dialog lost\"",
        Cause::SessionExpired => "SIP;cause=408;text=\"Session expired\"",
        Cause::FlowLost => "SIP;cause=480;text=\"Connection lost\"",
        Cause::MediaLost => "SIP;cause=503;text=\"Media lost\"",
        Cause::MediaTimeout => "SIP;cause=408;text=\"Media timeout\"",
        Cause::NoCommonCodec => "SIP;cause=488;text=\"No common codec\"",
        Cause::NoCommonAddress => "SIP;cause=488;text=\"Incompatible network address formats\"",
        Cause::Operator => "SIP;cause=480;text=\"Ended by operator\"",
        Cause::Shutdown => "SIP;cause=503;text=\"Shutting down\"",
    })
}

/// The Warning of a refusal for this cause.
pub(super) fn warning_of(cause: Cause) -> Option<Warning> {
    match cause {
        Cause::NoCommonAddress => {
            Some(Warning { code: 301, text: "Incompatible network address formats".to_owned() })
        }
        Cause::HungUp
        | Cause::Cancelled
        | Cause::Refused
        | Cause::NoAnswer
        | Cause::NotAcknowledged
        | Cause::DialogLost
        | Cause::SessionExpired
        | Cause::FlowLost
        | Cause::MediaLost
        | Cause::MediaTimeout
        | Cause::NoCommonCodec
        | Cause::Operator
        | Cause::Shutdown => None,
    }
}

/// The final status of an unanswered first INVITE when the call ends for this cause.
pub(super) fn status_of(cause: Cause) -> Status {
    match cause {
        Cause::HungUp | Cause::Cancelled => Status::REQUEST_TERMINATED,
        Cause::NoCommonCodec | Cause::NoCommonAddress => Status::NOT_ACCEPTABLE_HERE,
        Cause::MediaLost | Cause::Shutdown => Status::SERVICE_UNAVAILABLE,
        Cause::Refused
        | Cause::NoAnswer
        | Cause::NotAcknowledged
        | Cause::DialogLost
        | Cause::SessionExpired
        | Cause::FlowLost
        | Cause::MediaTimeout
        | Cause::Operator => Status::TEMPORARILY_UNAVAILABLE,
    }
}

//! What else goes over the control API (`docs/control-api.md`): questions about many sessions, the stream of events,
//! how the relay is, and refusals that are not about media.

use serde::{Deserialize, Serialize};

use crate::{Event, LegName, SessionDescription, SessionId, SessionStatistics};

/// The path under which version 1 is served.
pub const V1: &str = "/v1";
/// Ids in one [`Ids`], and in one page of a [`SessionList`].
pub const MAX_IDS: usize = 500;
/// Bytes of a request's body.
pub const MAX_BODY: usize = 64 * 1024;

/// Names one run of a relay: another value means that it was restarted and has none of the sessions of before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub String);

/// `GET /v1/status`, and the answer to `POST /v1/drain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Of this run.
    pub epoch: Epoch,
    /// Of the program.
    pub version: String,
    /// New sessions are refused.
    pub draining: bool,
    /// Sessions now.
    pub sessions: u64,
    /// Sessions at most.
    pub max_sessions: u64,
    /// Sockets of plain RTP legs open now.
    pub rtp_sockets: u64,
}

/// Which sessions are meant: at most [`MAX_IDS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    /// In any order.
    pub ids: Vec<SessionId>,
}

/// `GET /v1/sessions`: a page of ids in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionList {
    /// At most [`MAX_IDS`].
    pub ids: Vec<SessionId>,
    /// To be asked for with `?after=`; absent on the last page.
    pub next: Option<SessionId>,
}

/// `GET /v1/sessions/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// As the last `PUT` answered.
    pub description: SessionDescription,
    /// Since its start.
    pub statistics: SessionStatistics,
}

/// `POST /v1/sessions/query`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Of those that are there.
    pub sessions: Vec<SessionStatistics>,
    /// Those that are not.
    pub unknown: Vec<SessionId>,
}

/// `POST /v1/sessions/confirm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// Sessions that are not there.
    pub unknown: Vec<SessionId>,
}

/// `POST /v1/sessions/{id}/dtmf`: plays a digit to the peer of a leg as RFC 4733.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dtmf {
    /// Whose peer.
    pub leg: LegName,
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    pub digit: char,
    /// Milliseconds.
    pub duration_ms: u32,
}

/// One line of `GET /v1/events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum EventLine {
    /// The first line.
    Started {
        /// Sequence numbers of another epoch mean nothing.
        epoch: Epoch,
        /// The number of the next event, whatever was asked for.
        next: u64,
    },
    /// Something happened in a session.
    Event {
        /// Rises by one with each event or loss; to be given as `?after=` when the stream is taken up again.
        sequence: u64,
        /// What.
        event: Event,
    },
    /// Events up to `sequence` are lost: the reader was too slow, or away for too long, or the relay was too busy.
    Lost {
        /// Of the last that is lost.
        sequence: u64,
        /// How many.
        count: u64,
    },
    /// Nothing happened for a while; the connection lives.
    Alive,
    /// Of a later version than ours: to be passed over.
    #[serde(other)]
    Unknown,
}

/// Why a request was not even tried: the client's to mend, or to repeat.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum Refusal {
    /// 401: no token, or none of ours.
    #[error("a valid token is required")]
    Unauthorized,
    /// 400: not JSON, or not what belongs there.
    #[error("the request can't be read: {reason}")]
    Malformed {
        /// Where and what.
        reason: String,
    },
    /// 413: more than [`MAX_BODY`].
    #[error("a body may have {limit} bytes")]
    TooLarge {
        /// Bytes.
        limit: u64,
    },
    /// 404: there is no such path.
    #[error("no such resource")]
    NoSuchResource,
    /// 405: the path is there, not for this method.
    #[error("not with this method")]
    WrongMethod,
    /// 408: the body took too long.
    #[error("the request took too long to arrive")]
    TooSlow,
    /// 503: too many requests or streams at a time.
    #[error("too much at a time")]
    Busy,
}

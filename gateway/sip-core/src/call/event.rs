//! What can happen to a call.

use relay_api::{EventKind, LegName, RelayError, SessionDescription, SessionId};

use crate::message::{Message, Method};
use crate::routing::{Destination, FlowId, LegId};

use super::{CallTimer, Cause};

/// Something that happened; [`super::Call::handle`] decides what follows from it.
#[derive(Clone, Debug)]
pub enum Event {
    /// A request within a dialog of this call, ACK of a 2xx included, or a repetition of the initial INVITE.
    Request {
        /// The leg whose tag the request carried.
        leg: LegId,
        /// The request, its topmost Via already stamped (RFC 3261 §18.2.1, RFC 3581).
        message: Message,
        /// Where the answer goes.
        from: Destination,
    },
    /// A CANCEL for the initial INVITE (found by [`crate::routing::Sealer::call_id`] of the CANCEL) or for a re-INVITE.
    Cancel {
        /// The leg that gives up.
        leg: LegId,
        /// The CANCEL; this machine answers it.
        message: Message,
        /// Where the answer goes.
        from: Destination,
    },
    /// A response to a request of ours.
    Response {
        /// The leg that was asked.
        leg: LegId,
        /// The response.
        message: Message,
    },
    /// A request of ours got no final response.
    ClientFailed {
        /// The leg that was asked.
        leg: LegId,
        /// The request's CSeq number.
        cseq: u32,
        /// The request's method.
        method: Method,
        /// What went wrong.
        failure: Failure,
    },
    /// A timer that was asked for has passed.
    Timer(CallTimer),
    /// The relay carried out [`super::Effect::Media`].
    MediaReady(Box<SessionDescription>),
    /// The relay could not carry out [`super::Effect::Media`].
    MediaFailed {
        /// Of which session.
        session: SessionId,
        /// Why.
        error: RelayError,
    },
    /// The relay noticed something.
    Media {
        /// In which session.
        session: SessionId,
        /// On which of its sides.
        side: LegName,
        /// What.
        kind: EventKind,
    },
    /// The connection of a browser is gone.
    FlowLost {
        /// Whose.
        leg: LegId,
        /// Which; the leg may be reached by another one meanwhile.
        flow: FlowId,
    },
    /// The browser is back on another connection: it registered again with the same instance (RFC 5626).
    FlowRestored {
        /// Whose.
        leg: LegId,
        /// The former connection.
        was: FlowId,
        /// The new connection.
        flow: FlowId,
    },
    /// End the call: an operator or a stopping node wants it.
    Terminate {
        /// Why; told to both peers as a Reason.
        cause: Cause,
    },
}

impl Event {
    /// Of which media session it speaks.
    pub(super) fn session(&self) -> Option<&SessionId> {
        match self {
            Self::MediaReady(made) => Some(&made.id),
            Self::MediaFailed { session, .. } | Self::Media { session, .. } => Some(session),
            Self::Request { .. }
            | Self::Cancel { .. }
            | Self::Response { .. }
            | Self::ClientFailed { .. }
            | Self::Timer(_)
            | Self::FlowLost { .. }
            | Self::FlowRestored { .. }
            | Self::Terminate { .. } => None,
        }
    }

    /// Which leg it happened on; `None` for what concerns the whole call.
    pub fn leg(&self) -> Option<LegId> {
        match self {
            Self::Request { leg, .. }
            | Self::Cancel { leg, .. }
            | Self::Response { leg, .. }
            | Self::ClientFailed { leg, .. }
            | Self::FlowLost { leg, .. }
            | Self::FlowRestored { leg, .. } => Some(*leg),
            Self::Timer(timer) => timer.leg(),
            Self::MediaReady(_) | Self::MediaFailed { .. } | Self::Media { .. } | Self::Terminate { .. } => {
                None
            }
        }
    }
}

/// Why a client transaction ended without a final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Timer B or F (RFC 3261 §17.1).
    Timeout,
    /// The transport refused the bytes, or the connection broke.
    Transport,
}

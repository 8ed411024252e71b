//! What a call wants done. The driver stores the new value of the call first, then carries these out in order.

use relay_api::{LegName, Place, RelayName, SessionSpec};

use crate::message::Message;
use crate::routing::{Destination, LegId};
use crate::time::UnixMillis;

use super::{CallTimer, Failure, Summary};

/// Why an address is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOver {
    /// No response to an INVITE in the time for the first one.
    Silent,
    /// The transaction ended without a response.
    Failed(Failure),
    /// 503 with Retry-After (RFC 3261 §21.5.4).
    Unavailable,
}

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Answer a request through its server transaction, which is found by the response's topmost Via and CSeq method;
    /// a node that has no such transaction sends the bytes as they are.
    Respond {
        /// The leg that asked.
        leg: LegId,
        /// The response.
        message: Message,
        /// Where the request came from.
        to: Destination,
    },
    /// Open a client transaction for this request.
    Send {
        /// The leg to ask.
        leg: LegId,
        /// The request.
        message: Message,
        /// Where it goes.
        to: Destination,
    },
    /// Send the ACK of a 2xx, which has no transaction (RFC 3261 §13.2.2.4).
    SendAck {
        /// The leg.
        leg: LegId,
        /// The ACK.
        message: Message,
        /// Where it goes.
        to: Destination,
    },
    /// Forget the client transaction of this INVITE: there is nobody who could answer it any more.
    Abandon {
        /// The INVITE, without its body: it names the transaction.
        invite: Message,
    },
    /// Repeat this INVITE no more: it was given up. What still comes for it is wanted.
    StopResending {
        /// The INVITE, without its body: it names the transaction.
        invite: Message,
    },
    /// Send no further calls there for a while: it did not answer, or asked for that.
    PassOver {
        /// The address or flow.
        to: Destination,
        /// Its Retry-After in seconds, if it gave one (RFC 3261 §20.33).
        seconds: Option<u32>,
        /// What it did.
        why: PassedOver,
    },
    /// Make the media so; answered by [`super::Event::MediaReady`] or [`super::Event::MediaFailed`]. Specifications of
    /// one call, and then [`Effect::ReleaseMedia`], must reach the relay in their order.
    Media {
        /// What is wanted.
        spec: Box<SessionSpec>,
        /// On which relay the session is; `None` until one was chosen.
        relay: Option<RelayName>,
    },
    /// Give the media back; the last word about it.
    ReleaseMedia(Place),
    /// Give media back that nobody has heard or will hear: of a device that another one was faster than. Nothing is told of
    /// their sound.
    DropMedia(Place),
    /// Let the relay send an RFC 4733 event to a leg's peer.
    Dtmf {
        /// In which session.
        session: Place,
        /// The side whose peer hears it.
        side: LegName,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// Milliseconds.
        duration_ms: u32,
    },
    /// Deliver [`super::Event::Timer`] at that time; replaces a timer of the same name.
    StartTimer(CallTimer, UnixMillis),
    /// Forget a timer; it may fire nevertheless.
    StopTimer(CallTimer),
    /// The call is over and can be deleted. If it is kept, nothing can follow but responses to late
    /// requests, and ACK and BYE of a late 2xx.
    Ended(Summary),
}

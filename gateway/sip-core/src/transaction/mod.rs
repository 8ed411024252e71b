//! The transaction layer: RFC 3261 §17 as amended by RFC 6026, as one bounded table that sends and reads nothing itself.
//!
//! [`Transactions`] is fed with messages and time and asked for what to send next. The four machines are one file each,
//! one figure of the RFC each; their timers are data ([`Timing`]). Time, destinations and the hash key are arguments.
//!
//! A request makes no state by coming in. Its receiver asks what it is ([`Transactions::receive_request`]), judges who sent it, and
//! either answers without a transaction (RFC 3261 §8.2.7) or lets it in ([`Transactions::admit`]).
//!
//! A rule the whole module rests on: **a transaction lives exactly as long as it waits for a timer**. There is no state
//! without a deadline, so nothing that a peer or the transaction user forgets stays in the table.

mod arena;
mod backoff;
mod client_invite;
mod client_non_invite;
mod derived;
mod machine;
mod matching;
mod peers;
mod schedule;
mod server_invite;
mod server_non_invite;
mod siphash;
mod table;
mod timing;

pub use derived::{ack_for, cancel_for};
pub use table::{Transactions, cost};
pub use timing::{Reliability, Timing, Trying};

use crate::message::Message;
use arena::Slot;

/// A live server transaction: what the transaction user answers with. Names nothing once the transaction is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServerKey(Slot);

/// A live client transaction. Names nothing once the transaction is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientKey(Slot);

/// What a request that arrived is to its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// New: to be answered without a transaction, or to be let in by [`Transactions::admit`].
    New,
    /// Came here twice by different ways; to be answered with 482 and without a transaction (RFC 3261 §8.2.2.2).
    Merged,
    /// A retransmission; the last response, if there is one, is repeated by [`Transactions::poll_output`].
    Absorbed,
    /// The ACK of a 2xx, or one that belongs to nothing here: for the transaction user.
    Ack,
    /// The ACK of a 300–699 response; nothing is left to do.
    AckAbsorbed,
    /// A new CANCEL. It is a request of its own and answered with 200, or with 481 where `invite` is `None`
    /// (RFC 3261 §9.2); a live INVITE is then answered with 487.
    Cancel {
        /// The INVITE it means; it may have its final response already.
        invite: Option<ServerKey>,
    },
}

/// The request has a live transaction already, or is an ACK, which never has one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a request that starts a transaction")]
pub struct NotNew;

/// Whether responses to requests that came by a destination can go anywhere else once that is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replies {
    /// They can't: their transactions end.
    Lost,
    /// They may (RFC 3261 §18.2.2): their transactions stay.
    MayGoElsewhere,
}

/// What a response that arrived is to its receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response<U> {
    /// For the transaction user.
    ForTu {
        /// The client transaction; already over when the response was final and nothing can repeat it.
        key: ClientKey,
        /// What the transaction user left with [`Transactions::request`].
        user: U,
    },
    /// A repetition; acknowledged where it must be.
    Absorbed,
    /// Belongs to no client transaction here: to be dropped, never to be forwarded.
    Stray,
}

/// What the transaction layer wants done.
#[derive(Clone, Debug)]
pub enum Output<D, U> {
    /// Write these bytes.
    Send {
        /// Where to.
        to: D,
        /// What.
        message: Message,
        /// Whose message it is, for [`Transactions::send_failed`].
        by: Sender,
        /// First time or again.
        attempt: Attempt,
    },
    /// No final response in time (timer B or F): to be treated as a 408 (RFC 3261 §8.1.3.1). The transaction is over.
    Timeout {
        /// The transaction that ended.
        key: ClientKey,
        /// What the transaction user left with it.
        user: U,
        /// Who did not answer.
        to: D,
    },
    /// The request could not be sent: to be treated as a 503 (RFC 3261 §8.1.3.1). The transaction is over.
    TransportError {
        /// The transaction that ended.
        key: ClientKey,
        /// What the transaction user left with it.
        user: U,
    },
    /// A response could not be sent. The transaction stays as it is (RFC 3261 §17.2.4 as amended by RFC 6026 §8).
    ServerUnreachable {
        /// The transaction.
        key: ServerKey,
    },
    /// A server transaction ended before its time.
    ServerGone {
        /// The transaction that ended.
        key: ServerKey,
        /// Why.
        reason: Gone,
    },
}

/// The transaction a message is sent by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// A response, by a server transaction.
    Server(ServerKey),
    /// A request, or the ACK of a 300–699 response, by a client transaction.
    Client(ClientKey),
}

/// Whether a message leaves for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// New.
    First,
    /// A retransmission, byte for byte.
    Repeat,
}

/// Why a server transaction ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The final response to an INVITE was never acknowledged (timer H).
    NoAck,
    /// The transaction user gave no final response as long as one could still be of use.
    NoReply,
}

/// Why [`Transactions::request`] started nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A live client transaction has this branch and method already.
    #[error("the branch is in use")]
    BranchInUse,
    /// An ACK or a response is sent without a transaction.
    #[error("not a request that starts a transaction")]
    NoTransaction,
}

/// The key names no live transaction; a response may still be sent without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the transaction is over")]
pub struct NoTransaction;

//! What an agent remembers of a call.

use sip_core::message::Message;
use sip_core::transaction::ServerKey;

/// One dialog as its agent sees it.
#[derive(Clone)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    pub(super) local: String,
    pub(super) remote: String,
    pub(super) target: String,
    pub(super) local_cseq: u32,
    pub(super) remote_cseq: u32,
    pub(super) phase: Phase,
    /// The INVITE that we sent or were sent.
    pub(super) invite: Message,
    /// The transaction of an INVITE that waits for our answer.
    pub(super) waiting: Option<ServerKey>,
    /// The 2xx that we repeat until it is acknowledged.
    pub(super) unacknowledged: Option<Message>,
    /// The gateway has hung up and we agreed: nothing more may come.
    pub(super) closed_by_gateway: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Calling,
    Ringing,
    Talking,
    Over,
}

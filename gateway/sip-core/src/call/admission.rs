//! What the application decided about a new call before the machine starts: who calls, whom, and how each is reached.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::routing::{Destination, Network, Transport};
use crate::sdp::{CodecName, Profile};

/// A call that is allowed.
#[derive(Clone, Debug)]
pub struct Admission {
    /// How the caller is reached.
    pub caller: Link,
    /// Where the call goes.
    pub target: Target,
    /// Who calls whom, for operators.
    pub parties: Parties,
}

/// Who calls whom, as an operator asks; kept with the call for the log, the metrics and the call detail record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parties {
    /// User or number of the caller.
    pub from: String,
    /// User or number that was called.
    pub to: String,
    /// Between whom.
    pub kind: CallKind,
}

/// Between whom a call is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// A user calls a user.
    #[default]
    Internal,
    /// A user calls the gateway itself.
    Service,
    /// This trunk calls.
    Inbound(String),
    /// This trunk is called.
    Outbound(String),
}

impl CallKind {
    /// In a word.
    pub fn direction(&self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Service => "service",
            Self::Inbound(_) => "inbound",
            Self::Outbound(_) => "outbound",
        }
    }

    /// The trunk's name.
    pub fn trunk(&self) -> Option<&str> {
        match self {
            Self::Internal | Self::Service => None,
            Self::Inbound(trunk) | Self::Outbound(trunk) => Some(trunk),
        }
    }
}

/// Where a call goes.
#[derive(Clone, Debug)]
pub enum Target {
    /// To a SIP peer.
    Sip(Box<Callee>),
    /// To the relay itself: there is no SIP leg B.
    Service(relay_api::Service),
}

/// The SIP peer to call.
#[derive(Clone, Debug)]
pub struct Callee {
    /// How it is reached.
    pub link: Link,
    /// Request-URI of the INVITE: a browser's registered Contact as it was, a trunk's number.
    pub request_uri: String,
    /// Where else the callee is, best first. With the first at most [`MAX_CANDIDATES`], more are not looked at.
    pub further: Vec<Candidate>,
    /// Are they tried all at once?
    pub ring: Ring,
    /// The URI of To, without angle brackets.
    pub to: String,
    /// The caller as this callee may see it: never what the caller claimed, but what it was authenticated as.
    pub caller: Identity,
    /// Assert the identity as `P-Asserted-Identity` (RFC 3325), for trunks that we are trusted by.
    pub asserted: bool,
    /// Headers of ours for the INVITE, such as `Alert-Info`.
    pub headers: Vec<(String, String)>,
}

/// How a callee with several addresses is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ring {
    /// All at once; the first to answer has the call. For the devices of one user.
    #[default]
    Together,
    /// The next one when those before can't be reached. For the addresses of one server (RFC 3263 §4.3).
    InTurn,
}

/// Another way to the same callee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Where the INVITE goes.
    pub destination: Destination,
    /// What we call ourselves there: [`Link::local`].
    pub local: String,
    /// Its Request-URI.
    pub request_uri: String,
}

/// A name for From.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Display name.
    pub display: Option<String>,
    /// The URI, without angle brackets: the caller's number at a host of ours.
    pub uri: String,
}

/// How a peer is reached, and what we call ourselves towards it. Typed settings, never taken out of messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The kind of its SDP.
    pub profile: Profile,
    /// What may be negotiated with it, in our order of preference.
    pub codecs: Vec<CodecName>,
    /// The transport of our Via and Contact.
    pub transport: Transport,
    /// `host` or `host:port` of our Via and Contact.
    pub local: String,
    /// User of our Contact, for peers that know us by a number; without one it is a token that names the leg.
    pub contact_user: Option<String>,
    /// Where the peer's messages go.
    pub destination: Destination,
    /// By what requests may follow the peer's Contact.
    pub ways: Vec<Way>,
    /// How long our INVITE may stay without any response before the next candidate is tried.
    pub first_reply: Duration,
    /// Requests of a dialog go straight to the address that the peer's Contact or Record-Route names if it is a
    /// literal one within these networks, and its transport one of `ways`; otherwise they go to `destination`.
    pub networks: Vec<Network>,
    /// Which of the relay's interfaces a plain RTP leg uses; without one the relay goes by the peer's address.
    pub interface: Option<String>,
    /// May a plain RTP leg believe an address that was not signalled?
    pub learn: relay_api::Learn,
}

/// A transport and family by which a trunk's Contact may be followed (RFC 3263 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// By what.
    pub transport: Transport,
    /// Ourselves in the Via of such requests.
    pub local: SocketAddr,
}

/// Ways to one callee that a call tries.
pub const MAX_CANDIDATES: usize = 4;

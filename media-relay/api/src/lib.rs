//! The contract between the signalling gateway and the media relay: plain values, and the one computation that both
//! must do alike, TURN credentials ([`turn`]; it is what `hmac`, `sha1` and `base64` are here for).
//!
//! A session is declared, not driven: [`SessionSpec`] states the whole wanted shape of both legs and the relay makes
//! it so. Repeating a specification changes nothing; one with an older [`SessionSpec::revision`] is refused. The relay
//! never sees SDP text.

#![warn(clippy::iter_over_hash_type)]

pub mod control;
mod statistics;
pub mod turn;

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

pub use statistics::{
    LegKind, LegStatistics, QualityClass, QualityReport, SessionStatistics, StreamDirection, StreamQuality,
    StreamStatistics,
};

/// Names one media session; the gateway uses the id of the call. At most 64 characters of `[A-Za-z0-9_-]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub String);

/// Names a relay of a pool, as the gateway's configuration does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RelayName(pub String);

/// Where a session is: what a gateway must know to speak about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Which session.
    pub id: SessionId,
    /// On which relay; absent if there is one only, or if it is not known yet.
    pub relay: Option<RelayName>,
}

/// The two sides of a session: `A` called us, `B` we called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegName {
    /// The side that called.
    A,
    /// The side that was called.
    B,
}

impl LegName {
    /// The opposite side.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// The whole wanted state of one session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionSpec {
    /// Which session; unknown ids are created.
    pub id: SessionId,
    /// Rises with every change; a lower one than the relay has is [`RelayError::Stale`].
    pub revision: u64,
    /// The calling side.
    pub a: LegSpec,
    /// The called side.
    pub b: LegSpec,
}

/// What one leg is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LegSpec {
    /// A browser: ICE-lite on our side, DTLS-SRTP, rtcp-mux, one port for everything.
    WebRtc(WebRtcLeg),
    /// Plain RTP/AVP with its own port pair.
    Rtp(RtpLeg),
    /// No network: the relay itself answers.
    Service(Service),
}

/// What the relay plays when a leg is not a network peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Sends back what the other leg sends.
    Echo,
    /// Plays a melody (PCMU or PCMA) to the other leg.
    Tone,
}

/// A leg towards a browser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WebRtcLeg {
    /// Absent until the browser's SDP is known.
    pub remote: Option<WebRtcRemote>,
    /// Our role in the DTLS handshake (RFC 5763 §5); fixed once `remote` is known.
    pub dtls: DtlsRole,
    /// What was negotiated; anything else is dropped and counted.
    pub codecs: Vec<Codec>,
    /// Seen from the relay.
    pub direction: Direction,
}

/// What a browser's SDP told about its transport.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebRtcRemote {
    /// RFC 8839 §5.4; a changed pair is an ICE restart.
    pub ufrag: String,
    /// RFC 8839 §5.4.
    pub password: String,
    /// RFC 8122; one of them must match the certificate before keys are used.
    pub fingerprints: Vec<Fingerprint>,
}

/// A certificate hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// `sha-256`, `sha-384` or `sha-512`, lower case.
    pub algorithm: String,
    /// Upper-case hex pairs joined by colons.
    pub value: String,
}

/// Who sends the ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DtlsRole {
    /// We send it.
    Active,
    /// The browser sends it.
    Passive,
}

/// A leg of plain RTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RtpLeg {
    /// Which configured interface to take the port from; `None` leaves the choice to `peer`.
    pub interface: Option<String>,
    /// Where the peer is, as far as it is known before its SDP is: its network chooses the interface, its family (IPv4
    /// or IPv6) the address. Our side of the leg stays what it is until this changes. Absent, `remote` stands in for it
    /// when the leg is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// Absent until the peer's SDP is known.
    pub remote: Option<RtpRemote>,
    /// What was negotiated; anything else is dropped and counted.
    pub codecs: Vec<Codec>,
    /// Seen from the relay.
    pub direction: Direction,
    /// Which sources are believed.
    pub learn: Learn,
}

/// Where a plain RTP peer listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtpRemote {
    /// Where RTP goes and the only address it is accepted from.
    pub rtp: SocketAddr,
    /// RFC 3605, or RTP's port + 1; equal to `rtp` with rtcp-mux (RFC 5761).
    pub rtcp: SocketAddr,
}

/// May a plain RTP leg believe an address that was not signalled?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Learn {
    /// The signalled address and port alone.
    #[default]
    Never,
    /// The first source after the signalled address was set is kept (symmetric RTP behind a NAT; a stranger may win).
    Once,
}

/// What flows, seen from the relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// We send, what arrives is dropped.
    SendOnly,
    /// We receive, and send nothing of the other leg's.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// Does the relay send the other leg's sound on this leg?
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Does the relay accept this leg's sound?
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// Built from the two halves.
    pub fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// The same stream seen from the other end (RFC 3264 §6.1).
    pub fn reversed(self) -> Self {
        Self::of(self.receives(), self.sends())
    }
}

/// One negotiated payload format. The legs' lists are joined by name, clock rate and channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Codec {
    /// Encoding name, upper case except `opus` and `telephone-event` as registered: compare without case.
    pub name: String,
    /// Hz.
    pub clock_rate: u32,
    /// 1 unless the format says otherwise.
    pub channels: u8,
    /// Payload type that we receive, 0–127.
    pub receive: u8,
    /// Payload type that we send, 0–127.
    pub send: u8,
}

/// What the relay has made ready for one session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionDescription {
    /// Which session.
    pub id: SessionId,
    /// The revision now in force.
    pub revision: u64,
    /// Our side of leg A.
    pub a: LegDescription,
    /// Our side of leg B.
    pub b: LegDescription,
    /// Which relay made it, where there are several. A relay itself does not know its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<RelayName>,
}

impl SessionDescription {
    /// Our side of one leg.
    pub fn leg(&self, leg: LegName) -> &LegDescription {
        match leg {
            LegName::A => &self.a,
            LegName::B => &self.b,
        }
    }
}

/// What must be told to the peer of a leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LegDescription {
    /// For a browser.
    WebRtc {
        /// Our ufrag.
        ufrag: String,
        /// Our password.
        password: String,
        /// Our host candidates (UDP, component 1), best first.
        candidates: Vec<SocketAddr>,
        /// Of our certificate.
        fingerprint: Fingerprint,
    },
    /// For a plain RTP peer.
    Rtp {
        /// Where we receive RTP.
        rtp: SocketAddr,
        /// Where we receive RTCP.
        rtcp: SocketAddr,
    },
    /// Nothing to tell.
    Service,
}

/// What happened in a session, as told to the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Which session.
    pub id: SessionId,
    /// Which leg.
    pub leg: LegName,
    /// What.
    pub kind: EventKind,
}

/// Kinds of [`Event`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The first authenticated packet of sound arrived.
    MediaStarted,
    /// Nothing arrived for the configured time although the direction says it should.
    MediaTimeout,
    /// ICE consent was lost (RFC 7675) or the DTLS handshake failed for good.
    TransportFailed {
        /// For the log.
        reason: String,
    },
    /// The relay has the session no more: nobody confirmed it, or the relay itself is gone. Of neither leg in particular.
    SessionLost {
        /// For the log.
        reason: String,
    },
    /// A DTMF digit arrived as RFC 4733.
    Dtmf {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// Milliseconds.
        duration_ms: u32,
    },
    /// A stream's quality came into another class; every stream begins as [`QualityClass::Good`]. At most one for each
    /// stream and report interval.
    Quality(QualityReport),
    /// RTP comes to a plain leg from another address than the one that is believed, and is dropped: told once for a leg,
    /// after the first few packets. [`LegStatistics::wrong_source`] counts them all.
    WrongSource {
        /// Where it comes from.
        from: SocketAddr,
        /// Where it should come from.
        expected: SocketAddr,
    },
    /// Of a later version than ours: to be passed over.
    #[serde(other)]
    Unknown,
}

/// Why the relay did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum RelayError {
    /// No port or no room for another session: answer 503.
    #[error("the media relay is full: {what}")]
    Full {
        /// `sessions`, `ports`, or `draining`: it takes no new sessions.
        what: String,
    },
    /// The session has a later revision.
    #[error("revision {revision} is in force already")]
    Stale {
        /// The one in force.
        revision: u64,
    },
    /// There is no such session.
    #[error("no such media session")]
    Unknown,
    /// The specification cannot be carried out as it stands: our bug or a peer's odd SDP.
    #[error("the media specification is not usable: {reason}")]
    Invalid {
        /// For the log.
        reason: String,
    },
    /// The relay has no RTP interface of the name that was given, or none for the peer: an operator's mistake there or at
    /// the gateway. Another relay may have it.
    #[error("{reason}")]
    NoInterface {
        /// For the log.
        reason: String,
    },
    /// The peer's address is of a family, IPv4 or IPv6, in which the interface for it has no address (RFC 6157).
    #[error("the interface for {peer} has no address of its family")]
    NoAddress {
        /// The peer.
        peer: IpAddr,
    },
    /// The relay does not answer.
    #[error("the media relay is not reachable")]
    Unavailable,
}

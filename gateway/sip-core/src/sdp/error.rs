//! Why a session description was not taken, and by that whose fault it is.

/// What was wrong with a peer's SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Not SDP, over a limit, or unreadable where this leg must read: answer 400.
    #[error("malformed SDP, line {line}: {what}")]
    Malformed {
        /// Counted from 1; 0 speaks of the whole.
        line: u32,
        /// Which rule was broken; never the peer's text.
        what: &'static str,
    },
    /// SDP, but nothing we can do: answer 488 (RFC 3261 §13.3.1.3).
    #[error("SDP not acceptable: {0}")]
    NotAcceptable(Unacceptable),
    /// An offer while ours is unanswered: answer 491 (RFC 3261 §14.2).
    #[error("both sides made an offer")]
    Glare,
    /// An answer, but we made no offer: answer 400, or ignore it in an ACK.
    #[error("an SDP answer without an offer")]
    NoOffer,
}

/// What a description lacks, or has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unacceptable {
    /// No m-line fits the kind of the leg.
    #[error("no audio stream of this leg's kind")]
    NoAudio,
    /// The answer takes none of the formats.
    #[error("no codec of the offer was taken")]
    NoCodec,
    /// RFC 6157 §3.
    #[error("an address of another family than ours")]
    OtherFamily,
    /// No `c=` before or under the m-line.
    #[error("no c= line")]
    NoAddress,
    /// A name is never resolved.
    #[error("a host name as media address")]
    HostName,
    /// One peer, not many.
    #[error("a multicast media address")]
    Multicast,
    /// One peer, not all.
    #[error("a broadcast media address")]
    Broadcast,
    /// RFC 8829 §5.8.
    #[error("no ICE credentials")]
    NoIceCredentials,
    /// RFC 8445 §2.5: nobody would start checks.
    #[error("both sides are ICE-lite")]
    BothIceLite,
    /// RFC 8122 §5.
    #[error("no fingerprint of SHA-256 or better")]
    NoFingerprint,
    /// RFC 5763 §5.
    #[error("no DTLS role")]
    NoDtlsRole,
    /// RFC 8834 §4.5.
    #[error("no rtcp-mux")]
    NoRtcpMux,
}

impl SdpError {
    /// The code of a Warning about it (RFC 3261 §20.43).
    pub fn warn_code(self) -> u16 {
        match self {
            Self::Malformed { .. } => 307,
            Self::NotAcceptable(what) => what.warn_code(),
            Self::Glare | Self::NoOffer => 399,
        }
    }
}

impl Unacceptable {
    fn warn_code(self) -> u16 {
        match self {
            Self::NoAudio => 304,
            Self::NoCodec => 305,
            Self::OtherFamily | Self::HostName | Self::Broadcast => 301,
            Self::Multicast => 330,
            Self::NoAddress
            | Self::NoIceCredentials
            | Self::BothIceLite
            | Self::NoFingerprint
            | Self::NoDtlsRole
            | Self::NoRtcpMux => 399,
        }
    }
}

/// A line that can't be read. It is an error only where a leg needs what stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Counted from 1.
    pub line: u32,
    /// Which rule was broken; never the peer's text.
    pub what: &'static str,
}

impl From<Flaw> for SdpError {
    fn from(Flaw { line, what }: Flaw) -> Self {
        Self::Malformed { line, what }
    }
}

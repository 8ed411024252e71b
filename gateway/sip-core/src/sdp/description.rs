//! The typed model of a session description: what audio calls need of RFC 8866 and its attributes, and nothing else.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use relay_api::Direction;

use super::audio::Setup;
use super::error::{Flaw, SdpError};
use super::parse;

/// A session description, borrowing from the text it was parsed from, or from the values it shall print.
///
/// Lines and attributes without a field here are dropped when parsing. What was parsed prints as a description with the same
/// meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description<'a> {
    /// `o=`.
    pub origin: Origin<'a>,
    /// `c=` before the first m-line.
    pub connection: Option<Address<'a>>,
    /// Direction before the first m-line, the default of all streams.
    pub direction: Option<Direction>,
    /// Transport attributes before the first m-line, the default of all streams.
    pub transport: Transport<'a>,
    /// `a=ice-lite`, RFC 8839 §5.3.
    pub ice_lite: bool,
    /// The mids of the first BUNDLE group, RFC 9143.
    pub bundle: Vec<&'a str>,
    /// m-lines in order.
    pub media: Vec<Media<'a>>,
    /// What could not be read before the first m-line.
    pub flaws: Flaws,
}

/// Lines that could not be read, the first of each kind. Who needs what they should have said must not go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flaws {
    /// The m-line itself; its port is 0 then.
    pub line: Option<Flaw>,
    /// `c=`.
    pub connection: Option<Flaw>,
    /// ICE, DTLS, mids and BUNDLE.
    pub transport: Option<Flaw>,
    /// Formats and what else describes sound.
    pub formats: Option<Flaw>,
}

impl Flaws {
    /// Any of them, to say why a stream can't be used.
    pub(super) fn any(&self) -> Option<Flaw> {
        self.line.or(self.connection).or(self.transport).or(self.formats)
    }
}

impl<'a> Description<'a> {
    /// Reads a description.
    ///
    /// # Errors
    /// [`SdpError::Malformed`] alone: whether a description is acceptable is for [`Negotiation`](super::Negotiation).
    pub fn parse(text: &'a [u8]) -> Result<Self, SdpError> {
        parse::description(text)
    }

    /// An empty one.
    pub(super) fn new(origin: Origin<'a>) -> Self {
        Self {
            origin,
            connection: None,
            direction: None,
            transport: Transport::default(),
            ice_lite: false,
            bundle: Vec::new(),
            media: Vec::new(),
            flaws: Flaws::default(),
        }
    }
}

/// `o=`, RFC 8866 §5.2. The user name is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Digits, which may be longer than 64 bits; some peers write other characters.
    pub id: Number<'a>,
    /// As [`id`](Self::id).
    pub version: Number<'a>,
    /// Where the session was made; of no use but to be unique, so an unreadable one is [`Address::NULL`].
    pub address: Address<'a>,
}

/// A number of the `o=` line: as the peer wrote it, or our own.
#[derive(Clone, Copy, Debug)]
pub enum Number<'a> {
    /// At most 64 characters.
    Text(&'a str),
    /// One of ours.
    Value(u64),
}

impl PartialEq for Number<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Number::Text(a), Number::Text(b)) => a == b,
            (Number::Value(a), Number::Value(b)) => a == b,
            (Number::Text(text), Number::Value(value)) | (Number::Value(value), Number::Text(text)) => {
                text.parse() == Ok(*value)
            }
        }
    }
}

impl Eq for Number<'_> {}

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(digits) => f.write_str(digits),
            Self::Value(value) => value.fmt(f),
        }
    }
}

/// The address of `o=`, `c=` or `a=rtcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// A literal; IPv4 also when written as IPv6 (`::ffff:192.0.2.1`).
    Ip(IpAddr),
    /// A host name. Never resolved: a peer could make us ask anybody anything.
    Name(&'a str),
}

impl Address<'_> {
    /// `0.0.0.0`.
    pub const NULL: Self = Self::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
}

/// ICE and DTLS attributes, which may stand before the first m-line or under each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transport<'a> {
    /// RFC 8839 §5.4; 4 to 256 ice-chars.
    pub ufrag: Option<&'a str>,
    /// RFC 8839 §5.4; 22 to 256 ice-chars.
    pub password: Option<&'a str>,
    /// RFC 8122: algorithm and hash, as written; hashes weaker than SHA-256 are left out.
    pub fingerprints: Vec<(&'a str, &'a str)>,
    /// RFC 4145.
    pub setup: Option<Setup>,
}

/// An m-line with its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media<'a> {
    /// `audio`, `video`, `application`, …: a token.
    pub kind: &'a str,
    /// 0 is refused or removed (RFC 3264 §6, §8.2), unless [`bundle_only`](Self::bundle_only).
    pub port: u16,
    /// As written: `RTP/AVP`, `UDP/TLS/RTP/SAVPF`, …
    pub protocol: &'a str,
    /// The first format of the line, to refuse the line with.
    pub first_format: &'a str,
    /// Payload formats of an audio line, in order; dynamic ones without `rtpmap` are left out.
    pub formats: Vec<Payload<'a>>,
    /// `c=` under the m-line.
    pub connection: Option<Address<'a>>,
    /// RFC 5888.
    pub mid: Option<&'a str>,
    /// `a=bundle-only`, RFC 9143 §6.
    pub bundle_only: bool,
    /// Direction under the m-line.
    pub direction: Option<Direction>,
    /// `a=msid`, RFC 8830: stream and track.
    pub msid: Option<&'a str>,
    /// `a=rtcp`, RFC 3605.
    pub rtcp: Option<Rtcp<'a>>,
    /// `a=rtcp-mux`, RFC 5761.
    pub rtcp_mux: bool,
    /// `a=ptime` in milliseconds.
    pub ptime: Option<u16>,
    /// Transport attributes under the m-line.
    pub transport: Transport<'a>,
    /// Our host candidates over UDP, best first. A peer's are not read, however many: who is ICE-lite starts no checks
    /// (RFC 8445 §2.5), and a host name among them is never resolved.
    pub candidates: Vec<SocketAddr>,
    /// RFC 8838 §8.2: no more will come.
    pub end_of_candidates: bool,
    /// What could not be read of the line and below it.
    pub flaws: Flaws,
}

impl<'a> Media<'a> {
    /// A line without attributes.
    pub(super) fn new(kind: &'a str, port: u16, protocol: &'a str, first_format: &'a str) -> Self {
        Self {
            kind,
            port,
            protocol,
            first_format,
            formats: Vec::new(),
            connection: None,
            mid: None,
            bundle_only: false,
            direction: None,
            msid: None,
            rtcp: None,
            rtcp_mux: false,
            ptime: None,
            transport: Transport::default(),
            candidates: Vec::new(),
            end_of_candidates: false,
            flaws: Flaws::default(),
        }
    }
}

/// `a=rtcp`, RFC 3605.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtcp<'a> {
    /// Where RTCP is received.
    pub port: u16,
    /// Absent: at the stream's `c=` address.
    pub address: Option<Address<'a>>,
}

/// An entry of an audio m-line with its `rtpmap` and `fmtp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// 0–127.
    pub payload_type: u8,
    /// Encoding name, as written.
    pub name: &'a str,
    /// Hz.
    pub clock_rate: u32,
    /// 1 unless written.
    pub channels: u8,
    /// As written.
    pub fmtp: Option<&'a str>,
}

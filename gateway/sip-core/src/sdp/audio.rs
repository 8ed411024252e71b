//! What the two sides of a leg say about its one audio stream: the values between SDP text and the call.

use std::net::SocketAddr;

use relay_api::{Direction, DtlsRole, Fingerprint, LegDescription, RtpRemote, WebRtcRemote};
use serde::{Deserialize, Serialize};

/// Which of the two kinds of SDP a leg speaks; they never mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// A browser: UDP/TLS/RTP/SAVPF with ICE and DTLS-SRTP (RFC 8829, RFC 8834).
    WebRtc,
    /// A trunk: RTP/AVP (RFC 3551); RTP/AVPF is accepted from the peer.
    PlainRtp,
}

/// One payload format: an entry of the m-line with its `rtpmap` and `fmtp`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// Encoding name; of known codecs as registered (`PCMU`, `opus`), otherwise as the peer wrote it.
    pub name: String,
    /// Hz.
    pub clock_rate: u32,
    /// 1 unless `rtpmap` says otherwise.
    pub channels: u8,
    /// 0–127, the type its author wants to receive.
    pub payload_type: u8,
    /// Format parameters: of known codecs, and only parameters their registration knows.
    pub fmtp: Option<String>,
}

impl Format {
    /// Do two formats name the same codec, whatever their payload types?
    pub fn same_codec(&self, other: &Self) -> bool {
        self.clock_rate == other.clock_rate
            && self.channels == other.channels
            && self.name.eq_ignore_ascii_case(&other.name)
    }

    /// Is this RFC 4733's telephone-event rather than sound?
    pub fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case("telephone-event")
    }
}

/// The peer's description of the one audio stream we take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteAudio {
    /// Which kind of SDP it was.
    pub profile: Profile,
    /// What the peer wants to receive, telephone-event included, in the peer's order.
    pub formats: Vec<Format>,
    /// As the peer says it, seen from the peer; a null address takes away what it could receive (RFC 3264 §8.4).
    pub direction: Direction,
    /// Where the peer of a plain leg listens; none when rejected, or held by a null address.
    pub rtp: Option<SocketAddr>,
    /// RFC 3605, else RTP's port + 1: where RTCP goes unless both sides agree on one port.
    pub rtcp: Option<SocketAddr>,
    /// RFC 5761: the peer would have one port for both, which counts only if our side says so too (§5.1.1).
    pub rtcp_mux: bool,
    /// Always there on a WebRTC leg that is not rejected, never on a plain one.
    pub ice: Option<IceParameters>,
    /// At least one on a WebRTC leg that is not rejected, none on a plain one.
    pub fingerprints: Vec<Fingerprint>,
    /// RFC 4145, RFC 5763 §5; WebRTC alone.
    pub setup: Option<Setup>,
    /// Milliseconds of sound a packet should hold.
    pub ptime: Option<u16>,
    /// The peer will not receive: by direction, or by a null address on a plain leg (RFC 2543's hold).
    pub held: bool,
    /// Port 0: the peer refuses the stream. Only in answers, an offer like that is an error.
    pub rejected: bool,
    /// Session id of the peer's `o=` line. Equal ids are the same session (RFC 3264 §8).
    pub origin_id: String,
    /// Version of the peer's `o=` line; an equal version is an equal description.
    pub origin_version: String,
    /// The peer sent back our own description: its session id is ours.
    pub echoed: bool,
}

impl RemoteAudio {
    /// What the relay must know of a browser; `None` for a plain or rejected stream.
    pub fn webrtc_remote(&self) -> Option<WebRtcRemote> {
        let ice = self.ice.as_ref()?;
        Some(WebRtcRemote {
            ufrag: ice.ufrag.clone(),
            password: ice.password.clone(),
            fingerprints: self.fingerprints.clone(),
        })
    }

    /// What the relay must know of a plain peer; `None` while it is held by a null address, or rejected. RTCP has its own
    /// port unless `ours`, which is then said in our description, receives both on one.
    pub fn rtp_remote(&self, ours: Option<&LegDescription>) -> Option<RtpRemote> {
        let rtp = self.rtp?;
        let is_muxed = self.rtcp_mux
            && match ours {
                Some(LegDescription::Rtp { rtp, rtcp }) => rtp == rtcp,
                Some(LegDescription::WebRtc { .. } | LegDescription::Service) | None => false,
            };
        Some(RtpRemote { rtp, rtcp: self.rtcp.filter(|_| !is_muxed).unwrap_or(rtp) })
    }

    /// Our role in the DTLS handshake: the one the peer did not take. With `actpass` we wait for its ClientHello.
    pub fn dtls_role(&self) -> DtlsRole {
        match self.setup {
            Some(Setup::Passive) => DtlsRole::Active,
            Some(Setup::Active | Setup::ActPass) | None => DtlsRole::Passive,
        }
    }

    /// Did the peer restart ICE since `earlier`? RFC 8839 §4.4.1.1: a new ufrag or password.
    pub fn restarts_ice_of(&self, earlier: &Self) -> bool {
        match (&self.ice, &earlier.ice) {
            (Some(now), Some(before)) => now.ufrag != before.ufrag || now.password != before.password,
            (Some(_), None) | (None, Some(_)) | (None, None) => false,
        }
    }
}

/// Our description of the audio stream, towards the peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalAudio {
    /// The relay's addresses and keys of this leg.
    pub description: LegDescription,
    /// What we want to receive; in an answer what [`select`](super::select) chose of the offer.
    pub formats: Vec<Format>,
    /// As we say it, seen from us. An answer is narrowed to what the offer allows (RFC 3264 §6.1).
    pub direction: Direction,
    /// Our DTLS role in an answer to `actpass`; an offer always says `actpass` (RFC 8842 §5.2).
    pub setup: Setup,
    /// Milliseconds of sound a packet should hold.
    pub ptime: Option<u16>,
}

/// The credentials of connectivity checks, RFC 8839 §5.4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceParameters {
    /// 4 to 256 characters of `[A-Za-z0-9+/]`.
    pub ufrag: String,
    /// 22 to 256 characters of `[A-Za-z0-9+/]`.
    pub password: String,
    /// RFC 8839 §5.3: the peer answers checks only. Two lite peers never start, so this is refused before it gets here.
    pub lite: bool,
}

/// Who opens the DTLS association, RFC 4145 §4, RFC 5763 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Setup {
    /// Either; only in an offer.
    ActPass,
    /// The author sends the ClientHello.
    Active,
    /// The author waits for it.
    Passive,
}

impl Setup {
    /// The attribute's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ActPass => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
        }
    }
}

impl From<DtlsRole> for Setup {
    fn from(role: DtlsRole) -> Self {
        match role {
            DtlsRole::Active => Self::Active,
            DtlsRole::Passive => Self::Passive,
        }
    }
}

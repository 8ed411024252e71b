//! The attributes that say something about a call's sound, by where they may stand.

use relay_api::Direction;

/// An attribute we know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    /// Before the first m-line.
    Session(SessionAttribute),
    /// Before the first m-line, as a default, or under an m-line.
    Direction(Direction),
    /// Before the first m-line, as a default, or under an m-line.
    Transport(TransportAttribute),
    /// Under any m-line.
    Stream(StreamAttribute),
    /// Under an m-line of sound.
    Audio(AudioAttribute),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionAttribute {
    Group,
    IceLite,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TransportAttribute {
    Fingerprint,
    Password,
    Setup,
    Ufrag,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamAttribute {
    BundleOnly,
    Mid,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AudioAttribute {
    EndOfCandidates,
    Fmtp,
    Msid,
    Ptime,
    Rtcp,
    RtcpMux,
    Rtpmap,
}

impl Attribute {
    /// Names of attributes are compared with case (RFC 8866 §5.13).
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"bundle-only" => Self::Stream(StreamAttribute::BundleOnly),
            b"end-of-candidates" => Self::Audio(AudioAttribute::EndOfCandidates),
            b"fingerprint" => Self::Transport(TransportAttribute::Fingerprint),
            b"fmtp" => Self::Audio(AudioAttribute::Fmtp),
            b"group" => Self::Session(SessionAttribute::Group),
            b"ice-lite" => Self::Session(SessionAttribute::IceLite),
            b"ice-pwd" => Self::Transport(TransportAttribute::Password),
            b"ice-ufrag" => Self::Transport(TransportAttribute::Ufrag),
            b"inactive" => Self::Direction(Direction::Inactive),
            b"mid" => Self::Stream(StreamAttribute::Mid),
            b"msid" => Self::Audio(AudioAttribute::Msid),
            b"ptime" => Self::Audio(AudioAttribute::Ptime),
            b"recvonly" => Self::Direction(Direction::RecvOnly),
            b"rtcp" => Self::Audio(AudioAttribute::Rtcp),
            b"rtcp-mux" => Self::Audio(AudioAttribute::RtcpMux),
            b"rtpmap" => Self::Audio(AudioAttribute::Rtpmap),
            b"sendonly" => Self::Direction(Direction::SendOnly),
            b"sendrecv" => Self::Direction(Direction::SendRecv),
            b"setup" => Self::Transport(TransportAttribute::Setup),
            _ => return None,
        })
    }
}

//! The m-lines of a leg: RFC 3264 §8 keeps their number and order for the life of a session.

use serde::{Deserialize, Serialize};

use relay_api::Direction;

use super::audio::{Profile, RemoteAudio, Setup};
use super::description::{Description, Media};

/// All m-lines, of which at most one is the audio stream we take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) lines: Vec<Line>,
}

/// One m-line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// The stream we take.
    Audio(AudioLine),
    /// One we refuse with port 0.
    Refused(RefusedLine),
}

/// The m-line of the stream we take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AudioLine {
    pub(super) protocol: Protocol,
    pub(super) mid: Option<String>,
    pub(super) bundled: bool,
    /// What the peer's offer allows in our answer; none in an offer of ours.
    pub(super) offered: Option<Offered>,
}

/// The parts of an offer that bind its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Offered {
    pub(super) direction: Direction,
    pub(super) setup: Option<Setup>,
    pub(super) rtcp_mux: bool,
}

/// RFC 3264 §6: a refused line repeats media, protocol and a format; its mid stays (RFC 8829 §5.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RefusedLine {
    pub(super) kind: String,
    pub(super) protocol: String,
    pub(super) format: String,
    pub(super) mid: Option<String>,
}

impl Layout {
    /// The peer's layout, with the chosen line taken and all others refused.
    pub(super) fn of_offer(offer: &Description<'_>, chosen: usize, audio: &RemoteAudio) -> Self {
        let lines = offer.media.iter().enumerate().map(|(at, media)| match at == chosen {
            true => Line::Audio(AudioLine::of_offer(offer, media, audio)),
            false => Line::Refused(RefusedLine::of(media)),
        });
        Self { lines: lines.collect() }
    }

    /// Index of the stream we take.
    pub(super) fn audio_at(&self) -> Option<usize> {
        self.lines.iter().position(|line| matches!(line, Line::Audio(_)))
    }

    /// The stream we take; appended when there is none.
    pub(super) fn audio_mut(&mut self, profile: Profile) -> &mut AudioLine {
        let at = self.audio_at().unwrap_or_else(|| {
            self.lines.push(Line::Audio(AudioLine::new(profile)));
            self.lines.len() - 1
        });
        match &mut self.lines[at] {
            Line::Audio(audio) => audio,
            Line::Refused(_) => unreachable!("`at` is an audio line"),
        }
    }

    /// A mid that no line has.
    pub(super) fn free_mid(&self) -> String {
        let taken = |mid: &String| self.lines.iter().any(|line| line.mid() == Some(mid));
        (0..=self.lines.len())
            .map(|number| number.to_string())
            .find(|mid| !taken(mid))
            .expect("n lines cannot have n + 1 mids")
    }
}

impl Line {
    fn mid(&self) -> Option<&str> {
        match self {
            Self::Audio(line) => line.mid.as_deref(),
            Self::Refused(line) => line.mid.as_deref(),
        }
    }
}

impl AudioLine {
    fn new(profile: Profile) -> Self {
        Self { protocol: Protocol::offered(profile), mid: None, bundled: false, offered: None }
    }

    fn of_offer(offer: &Description<'_>, media: &Media<'_>, audio: &RemoteAudio) -> Self {
        let profile = audio.profile;
        Self {
            protocol: Protocol::of(media.protocol, profile).unwrap_or(Protocol::offered(profile)),
            mid: media.mid.map(str::to_owned),
            bundled: media.mid.is_some_and(|mid| offer.bundle.contains(&mid)),
            offered: Some(Offered {
                direction: audio.direction,
                setup: audio.setup,
                rtcp_mux: audio.rtcp_mux,
            }),
        }
    }
}

impl RefusedLine {
    fn of(media: &Media<'_>) -> Self {
        Self {
            kind: media.kind.to_owned(),
            protocol: media.protocol.to_owned(),
            format: media.first_format.to_owned(),
            mid: media.mid.map(str::to_owned),
        }
    }
}

/// The transport protocols of an audio stream we take. An answer repeats the offer's (RFC 3264 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Protocol {
    Avp,
    Avpf,
    TlsSavpf,
    /// RFC 8829 §5.1.2 wants these three accepted as well.
    TlsSavp,
    TcpTlsSavpf,
    Savpf,
}

impl Protocol {
    /// What we offer.
    pub(super) fn offered(profile: Profile) -> Self {
        match profile {
            Profile::WebRtc => Self::TlsSavpf,
            Profile::PlainRtp => Self::Avp,
        }
    }

    /// The protocol of this name, if the profile takes it.
    pub(super) fn of(name: &str, profile: Profile) -> Option<Self> {
        Self::accepted(profile).iter().copied().find(|protocol| protocol.as_str() == name)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Avp => "RTP/AVP",
            Self::Avpf => "RTP/AVPF",
            Self::TlsSavpf => "UDP/TLS/RTP/SAVPF",
            Self::TlsSavp => "UDP/TLS/RTP/SAVP",
            Self::TcpTlsSavpf => "TCP/DTLS/RTP/SAVPF",
            Self::Savpf => "RTP/SAVPF",
        }
    }

    /// Does it belong to a browser's leg?
    pub(super) fn is_webrtc(self) -> bool {
        Self::accepted(Profile::WebRtc).contains(&self)
    }

    fn accepted(profile: Profile) -> &'static [Self] {
        match profile {
            Profile::WebRtc => &[Self::TlsSavpf, Self::TlsSavp, Self::TcpTlsSavpf, Self::Savpf],
            Profile::PlainRtp => &[Self::Avp, Self::Avpf],
        }
    }
}

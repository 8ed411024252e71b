//! The codecs a configuration can name, and which of a peer's formats they allow.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::audio::Format;

/// A codec the gateway knows how to offer. Nothing is decoded, so a name here only says what may be negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum CodecName {
    /// RFC 7587.
    Opus,
    /// G.711 µ-law, RFC 3551 §4.5.14.
    Pcmu,
    /// G.711 A-law, RFC 3551 §4.5.14.
    Pcma,
    /// RFC 3551 §4.5.2; its clock rate is 8000 by an old mistake that became the rule.
    G722,
    /// RFC 3551 §4.5.6.
    G729,
    /// DTMF as RTP events, RFC 4733.
    TelephoneEvent,
}

impl CodecName {
    /// Every codec, best sound first.
    pub const ALL: [Self; 6] =
        [Self::Opus, Self::G722, Self::Pcmu, Self::Pcma, Self::G729, Self::TelephoneEvent];

    /// The registered encoding name.
    pub fn as_str(self) -> &'static str {
        self.traits().name
    }

    /// Does this format carry this codec? Names are compared without case (RFC 8866 §6.6).
    pub fn is(self, format: &Format) -> bool {
        let traits = self.traits();
        format.name.eq_ignore_ascii_case(traits.name)
            && format.channels == traits.channels
            && (format.clock_rate == traits.clock_rate || self == Self::TelephoneEvent)
    }

    /// The format we offer by ourselves: the static payload type, or the dynamic one that browsers use for it.
    pub fn format(self) -> Format {
        let traits = self.traits();
        Format {
            name: traits.name.to_owned(),
            clock_rate: traits.clock_rate,
            channels: traits.channels,
            payload_type: traits.payload_type,
            fmtp: traits.fmtp.map(str::to_owned),
        }
    }

    /// The codec of this encoding name, compared without case.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.as_str().eq_ignore_ascii_case(name))
    }

    fn traits(self) -> Traits {
        let (name, clock_rate, channels, payload_type, fmtp) = match self {
            Self::Opus => ("opus", 48_000, 2, 111, Some("minptime=10;useinbandfec=1")),
            Self::Pcmu => ("PCMU", 8_000, 1, 0, None),
            Self::Pcma => ("PCMA", 8_000, 1, 8, None),
            Self::G722 => ("G722", 8_000, 1, 9, None),
            Self::G729 => ("G729", 8_000, 1, 18, Some("annexb=no")),
            Self::TelephoneEvent => ("telephone-event", 8_000, 1, 101, Some(DTMF_EVENTS)),
        };
        Traits { name, clock_rate, channels, payload_type, fmtp }
    }
}

impl fmt::Display for CodecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<CodecName> for &'static str {
    fn from(codec: CodecName) -> Self {
        codec.as_str()
    }
}

impl FromStr for CodecName {
    type Err = UnknownCodec;

    fn from_str(name: &str) -> Result<Self, UnknownCodec> {
        Self::of_name(name).ok_or(UnknownCodec)
    }
}

impl TryFrom<String> for CodecName {
    type Error = UnknownCodec;

    fn try_from(name: String) -> Result<Self, UnknownCodec> {
        name.parse()
    }
}

/// A configuration names a codec that the gateway does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown codec; known are opus, G722, PCMU, PCMA, G729 and telephone-event")]
pub struct UnknownCodec;

/// The formats of an offer of our own, in the order of `allowed`; empty when no codec for sound is allowed.
/// telephone-event comes last and once per clock rate of the codecs before it (RFC 4733 §2.1).
pub fn offered(allowed: &[CodecName]) -> Vec<Format> {
    let mut formats: Vec<Format> = allowed
        .iter()
        .filter(|codec| **codec != CodecName::TelephoneEvent)
        .map(|codec| codec.format())
        .collect();
    if allowed.contains(&CodecName::TelephoneEvent) {
        let events = clock_rates(&formats).into_iter().map(telephone_event).collect::<Vec<_>>();
        formats.extend(events);
    }
    formats
}

/// The formats of `offered` that `allowed` permits, in the offerer's order (RFC 3264 §6.1). Of two payload types for one
/// codec the first is kept. telephone-event stays only at clock rates of a chosen codec; alone it is no call, so
/// without a codec for sound the result is empty.
pub fn select(offered: &[Format], allowed: &[CodecName]) -> Vec<Format> {
    let sound = offered.iter().filter(|format| is_sound(format, allowed));
    let rates: Vec<u32> = sound.map(|format| format.clock_rate).collect();
    let mut chosen: Vec<Format> = Vec::with_capacity(offered.len().min(MOST_CHOSEN));
    for format in offered {
        let wanted = is_sound(format, allowed) || is_event(format, allowed, &rates);
        let known = chosen.iter().any(|earlier| earlier.same_codec(format));
        if wanted && !known {
            chosen.push(format.clone());
        }
    }
    chosen
}

/// The relay's codec list of one leg: what both descriptions name, received at our payload type and sent at the peer's
/// (RFC 3264 §5.1: a payload type in a description is the one its author wants to receive).
pub fn join(local: &[Format], remote: &[Format]) -> Vec<relay_api::Codec> {
    local
        .iter()
        .filter_map(|ours| {
            let theirs = remote.iter().find(|theirs| theirs.same_codec(ours))?;
            Some(relay_api::Codec {
                name: ours.name.clone(),
                clock_rate: ours.clock_rate,
                channels: ours.channels,
                receive: ours.payload_type,
                send: theirs.payload_type,
            })
        })
        .collect()
}

fn is_sound(format: &Format, allowed: &[CodecName]) -> bool {
    allowed.iter().any(|codec| *codec != CodecName::TelephoneEvent && codec.is(format))
}

fn is_event(format: &Format, allowed: &[CodecName], rates: &[u32]) -> bool {
    allowed.contains(&CodecName::TelephoneEvent)
        && CodecName::TelephoneEvent.is(format)
        && rates.contains(&format.clock_rate)
}

fn clock_rates(formats: &[Format]) -> Vec<u32> {
    let mut rates: Vec<u32> = formats.iter().map(|format| format.clock_rate).collect();
    rates.sort_unstable();
    rates.dedup();
    rates
}

/// 101 at 8000 Hz is what trunks expect, 110 at 48000 Hz what Chromium offers.
fn telephone_event(clock_rate: u32) -> Format {
    let payload_type = if clock_rate == 8_000 { 101 } else { 110 };
    Format { clock_rate, payload_type, ..CodecName::TelephoneEvent.format() }
}

struct Traits {
    name: &'static str,
    clock_rate: u32,
    channels: u8,
    payload_type: u8,
    fmtp: Option<&'static str>,
}

/// RFC 4733 §3.2: the sixteen DTMF digits.
const DTMF_EVENTS: &str = "0-15";
/// Room for every codec once, and telephone-event at two rates.
const MOST_CHOSEN: usize = 8;

//! Samples and shorthand of the SDP tests.

use std::fmt::Write;

use relay_api::{Direction, LegDescription};
use sip_core::sdp::{CodecName, Format, LocalAudio, Negotiation, Profile, RemoteAudio, offered};

use crate::input::plain;

pub const CHROMIUM: &str = include_str!("samples/chromium.sdp");
pub const CHROMIUM_VIDEO: &str = include_str!("samples/chromium_video.sdp");
pub const CHROMIUM_ANSWER: &str = include_str!("samples/chromium_answer.sdp");
pub const FIREFOX: &str = include_str!("samples/firefox.sdp");
/// What both of SIPp's default scenarios send.
pub const SIPP: &str = include_str!("samples/sipp_uac.sdp");
pub const GENESYS: &str = include_str!("samples/genesys.sdp");

/// All of them.
pub const SAMPLES: [&str; 6] = [CHROMIUM, CHROMIUM_VIDEO, CHROMIUM_ANSWER, FIREFOX, SIPP, GENESYS];

/// The files have the line ends of their editors, the wire has its own.
pub fn crlf(text: &str) -> Vec<u8> {
    text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes()
}

/// The text with more lines at its end.
pub fn plus(text: &str, lines: &str) -> Vec<u8> {
    crlf(&format!("{text}{lines}\n"))
}

pub fn rtp(rtp: &str, rtcp: &str) -> LegDescription {
    LegDescription::Rtp { rtp: rtp.parse().unwrap(), rtcp: rtcp.parse().unwrap() }
}

/// A plain leg with PCMU.
pub struct LocalAudioBuilder(LocalAudio);

impl LocalAudioBuilder {
    pub fn plain() -> Self {
        Self(plain(offered(&[CodecName::Pcmu])))
    }

    pub fn direction(mut self, direction: Direction) -> Self {
        self.0.direction = direction;
        self
    }

    pub fn build(self) -> LocalAudio {
        self.0
    }
}

pub fn stable_plain_leg() -> Negotiation {
    let mut leg = Negotiation::new(Profile::PlainRtp, 5);
    leg.receive_offer(&crlf(SIPP)).unwrap();
    leg.answer(&LocalAudioBuilder::plain().build());
    leg
}

pub fn summary(audio: &RemoteAudio) -> String {
    let mut text = String::new();
    for format in &audio.formats {
        let Format { name, clock_rate, channels, payload_type, .. } = format;
        let channels = if *channels == 1 { String::new() } else { format!("/{channels}") };
        write!(text, " {name}/{clock_rate}{channels}@{payload_type}").unwrap();
    }
    text.trim_start().to_owned()
}

pub fn origin(sdp: &str) -> &str {
    sdp.lines().find_map(|line| line.strip_prefix("o=")).unwrap()
}

/// Media and port of each m-line.
pub fn m_lines(sdp: &str) -> Vec<String> {
    let lines = sdp.lines().filter_map(|line| line.strip_prefix("m="));
    lines.map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

/// All values of an attribute.
pub fn attribute<'a>(sdp: &'a str, name: &str) -> Vec<&'a str> {
    let attributes = sdp.lines().filter_map(|line| line.strip_prefix("a=")?.split_once(':'));
    attributes.filter(|(found, _)| *found == name).map(|(_, value)| value).collect()
}

pub fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    }
}

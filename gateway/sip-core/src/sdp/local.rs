//! From our [`LocalAudio`] and the leg's m-lines to SDP text.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use relay_api::{Direction, Fingerprint, LegDescription};

use super::audio::{Format, LocalAudio, Setup};
use super::description::{Address, Description, Media, Number, Origin, Payload, Rtcp, Transport};
use super::layout::{AudioLine, Layout, Line, Offered, RefusedLine};

/// What the `o=` line says.
pub(super) struct Frame {
    pub(super) session_id: u64,
    pub(super) version: u64,
    pub(super) origin: IpAddr,
}

/// The address of the `o=` line. RFC 8829 §5.2.1 wants one without meaning for browsers.
pub(super) fn origin(local: &LocalAudio) -> IpAddr {
    match &local.description {
        LegDescription::Rtp { rtp, .. } => rtp.ip(),
        LegDescription::WebRtc { .. } | LegDescription::Service => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

/// Our description of the whole session.
pub(super) fn print(frame: &Frame, layout: &Layout, local: &LocalAudio) -> String {
    let mut description = Description::new(Origin {
        id: Number::Value(frame.session_id),
        version: Number::Value(frame.version),
        address: Address::Ip(frame.origin),
    });
    for line in &layout.lines {
        match line {
            Line::Audio(line) => push_audio(&mut description, line, local),
            Line::Refused(line) => description.media.push(refused(line)),
        }
    }
    let mut text = String::with_capacity(TEXT_USUAL);
    // Writing to a `String` cannot fail.
    let _ = std::fmt::write(&mut text, format_args!("{description}"));
    text
}

/// The stream we take, in the words of what the relay has for it.
fn push_audio<'a>(to: &mut Description<'a>, line: &'a AudioLine, local: &'a LocalAudio) {
    match &local.description {
        LegDescription::WebRtc { ufrag, password, candidates, fingerprint }
            if line.protocol.is_webrtc() && !candidates.is_empty() =>
        {
            to.ice_lite = true;
            to.bundle.extend(line.mid.as_deref().filter(|_| line.bundled));
            let mut media = audio(line, local, candidates[0]);
            media.msid = media.direction.is_some_and(Direction::sends).then_some(MSID);
            media.rtcp_mux = true;
            media.transport = transport(ufrag, password, fingerprint, setup(local.setup, line.offered));
            media.candidates.clone_from(candidates);
            media.end_of_candidates = true;
            to.media.push(media);
        }
        LegDescription::Rtp { rtp, rtcp } if !line.protocol.is_webrtc() => {
            let mut media = audio(line, local, *rtp);
            media.rtcp_mux = rtp == rtcp && line.offered.is_none_or(|offered| offered.rtcp_mux);
            media.rtcp = unusual_rtcp(*rtp, *rtcp).filter(|_| !media.rtcp_mux);
            to.media.push(media);
        }
        // The relay has nothing for this leg that its SDP could say.
        LegDescription::WebRtc { .. } | LegDescription::Rtp { .. } | LegDescription::Service => {
            to.media.push(closed(line));
        }
    }
}

fn audio<'a>(line: &'a AudioLine, local: &'a LocalAudio, address: SocketAddr) -> Media<'a> {
    let mut media = closed(line);
    media.port = address.port();
    media.connection = Some(Address::Ip(address.ip()));
    media.formats = local.formats.iter().map(payload).collect();
    media.ptime = local.ptime;
    media.direction = Some(direction(local.direction, line.offered));
    media
}

/// RFC 3264 §6: a line with port 0.
fn closed(line: &AudioLine) -> Media<'_> {
    let mut media = Media::new("audio", 0, line.protocol.as_str(), "0");
    media.connection = Some(Address::NULL);
    media.mid = line.mid.as_deref();
    media
}

fn refused(line: &RefusedLine) -> Media<'_> {
    let mut media = Media::new(&line.kind, 0, &line.protocol, &line.format);
    media.connection = Some(Address::NULL);
    media.mid = line.mid.as_deref();
    media
}

fn payload(format: &Format) -> Payload<'_> {
    Payload {
        payload_type: format.payload_type,
        name: &format.name,
        clock_rate: format.clock_rate,
        channels: format.channels,
        fmtp: format.fmtp.as_deref(),
    }
}

fn transport<'a>(ufrag: &'a str, password: &'a str, of: &'a Fingerprint, setup: Setup) -> Transport<'a> {
    Transport {
        ufrag: Some(ufrag),
        password: Some(password),
        fingerprints: vec![(&of.algorithm, &of.value)],
        setup: Some(setup),
    }
}

/// RFC 3264 §6.1: an answer sends only what the offer receives, and receives only what it sends.
fn direction(wanted: Direction, offered: Option<Offered>) -> Direction {
    let allowed = offered.map_or(Direction::SendRecv, |offered| offered.direction.reversed());
    Direction::of(wanted.sends() && allowed.sends(), wanted.receives() && allowed.receives())
}

/// RFC 8842 §5.2, §5.3: an offer leaves the role open, an answer takes what the offer left.
fn setup(wanted: Setup, offered: Option<Offered>) -> Setup {
    let Some(offered) = offered else { return Setup::ActPass };
    match (offered.setup, wanted) {
        (Some(Setup::Active), _) => Setup::Passive,
        (Some(Setup::Passive), _) => Setup::Active,
        (Some(Setup::ActPass) | None, Setup::Active) => Setup::Active,
        (Some(Setup::ActPass) | None, Setup::Passive | Setup::ActPass) => Setup::Passive,
    }
}

/// RFC 3605: RTCP elsewhere than on the port above RTP's.
fn unusual_rtcp(rtp: SocketAddr, rtcp: SocketAddr) -> Option<Rtcp<'static>> {
    let usual = rtp.ip() == rtcp.ip() && rtp.port().checked_add(1) == Some(rtcp.port());
    let address = (rtp.ip() != rtcp.ip()).then(|| Address::Ip(rtcp.ip()));
    (!usual).then_some(Rtcp { port: rtcp.port(), address })
}

/// RFC 8830: one stream with one track, so that a page's `ontrack` finds a stream.
const MSID: &str = "gateway audio";
/// Room for what a browser gets, without a second allocation.
const TEXT_USUAL: usize = 1_024;

//! SDP text to [`Description`], in one pass over the lines.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::IpAddr;

use super::attribute::{Attribute, AudioAttribute, SessionAttribute, StreamAttribute, TransportAttribute};
use super::audio::Setup;
use super::audio_line::AudioLine;
use super::description::{Address, Description, Flaws, Media, Number, Origin, Rtcp, Transport};
use super::error::{Flaw, SdpError};
use super::layout::Protocol;
use super::limits;
use super::lines::Lines;
use super::words::{
    Fault, cut, cut_bytes, fingerprint_length, ice_characters, is_hex_pairs, is_host_name, is_printable,
    is_protocol, is_token, number, text,
};

/// Reads the whole text.
pub(super) fn description(text: &[u8]) -> Result<Description<'_>, SdpError> {
    if text.len() > limits::TEXT {
        return Err(SdpError::Malformed { line: 0, what: "too long" });
    }
    let mut lines = Lines::of(text);
    let origin = preamble(&mut lines).map_err(|what| lines.error(what))?;
    let mut reader = Reader { description: Description::new(origin), audio: AudioLine::NONE, number: 0 };
    while let Some((kind, value)) = lines.next() {
        reader.number = lines.number();
        reader.line(kind, value).map_err(|what| lines.error(what))?;
    }
    reader.description.media.iter_mut().for_each(Media::drop_nameless_formats);
    Ok(reader.description)
}

/// `v=0` and `o=` come first (RFC 8866 §5); without them it is not SDP.
fn preamble<'a>(lines: &mut Lines<'a>) -> Result<Origin<'a>, Fault> {
    match lines.next() {
        Some((b'v', b"0")) => {}
        _ => return Err("v=0 is missing"),
    }
    match lines.next() {
        Some((b'o', value)) => origin(text(value)?),
        _ => Err("o= is missing"),
    }
}

/// What is being read: the model so far, what must be known of its last line of sound, and which line it is.
struct Reader<'a> {
    description: Description<'a>,
    audio: AudioLine,
    number: u32,
}

impl<'a> Reader<'a> {
    /// RFC 8866 §5: the types of lines. Those that say nothing about a call's sound, and those that are none, are passed over.
    /// A line that can't be read is noted, for whoever needs it; only what makes the whole unreadable is an error.
    fn line(&mut self, kind: u8, value: &'a [u8]) -> Result<(), Fault> {
        match kind {
            b'a' => self.attribute(value),
            b'm' => self.media_line(text(value)?)?,
            b'c' => self.connection(value),
            b'v' | b'o' => return Err("a second v= or o="),
            _ => {}
        }
        Ok(())
    }

    /// Of an attribute that we do not know nothing but the name is read.
    fn attribute(&mut self, line: &'a [u8]) {
        let (name, value) = cut_bytes(line, b':').unwrap_or((line, b""));
        let Some(attribute) = Attribute::of(name) else { return };
        let Err(what) = text(value).and_then(|value| self.set(attribute, value)) else { return };
        let flaw = Some(Flaw { line: self.number, what });
        let flaws = self.flaws();
        match attribute {
            Attribute::Transport(_) | Attribute::Session(_) | Attribute::Stream(_) => {
                flaws.transport = flaws.transport.or(flaw);
            }
            Attribute::Audio(_) | Attribute::Direction(_) => flaws.formats = flaws.formats.or(flaw),
        }
    }

    fn set(&mut self, attribute: Attribute, value: &'a str) -> Result<(), Fault> {
        if attribute == Attribute::Stream(StreamAttribute::Mid) {
            self.check_mid(value)?;
        }
        match (self.description.media.last_mut(), attribute) {
            (None, attribute) => self.description.set_attribute(attribute, value),
            (Some(media), Attribute::Audio(attribute)) if media.kind == "audio" => {
                media.set_audio_attribute(&self.audio, attribute, value)
            }
            (Some(media), attribute) => media.set_attribute(attribute, value),
        }
    }

    /// RFC 5888 §4: mids are unique.
    fn check_mid(&self, mid: &str) -> Result<(), Fault> {
        let is_taken = self.description.media.iter().any(|media| media.mid == Some(mid));
        if is_taken { Err("the same mid twice") } else { Ok(()) }
    }

    /// `m=<media> <port>[/<count>] <proto> <fmt> …`, RFC 8866 §5.14. One that can't be read is a stream that nobody can take,
    /// but it has its place among the others.
    fn media_line(&mut self, value: &'a str) -> Result<(), Fault> {
        if self.description.media.len() >= limits::MEDIA {
            return Err("too many m-lines");
        }
        let mut words = value.split_ascii_whitespace();
        let kind = words.next().filter(|word| is_token(word)).ok_or("m= without media")?;
        let (port, protocol) = (words.next().and_then(port_and_count), words.next());
        let protocol = protocol.filter(|word| is_protocol(word));
        let first = words.next().filter(|word| is_token(word));
        let fault = match (port, protocol, first) {
            (None, _, _) => Some("m= without port"),
            (_, None, _) => Some("m= without protocol"),
            (_, _, None) => Some("m= without format"),
            (Some(_), Some(_), Some(_)) => None,
        };
        let usable = port.filter(|_| fault.is_none()).unwrap_or(0);
        let protocol = protocol.unwrap_or(Protocol::Avp.as_str());
        let first = first.unwrap_or("0");
        let mut media = Media::new(kind, usable, protocol, first);
        media.flaws.line = fault.map(|what| Flaw { line: self.number, what });
        self.audio = AudioLine::NONE;
        if kind == "audio" && protocol.contains("RTP/") {
            let fault;
            (self.audio, media.formats, fault) = AudioLine::start(std::iter::once(first).chain(words));
            media.flaws.formats = fault.map(|what| Flaw { line: self.number, what });
        }
        self.description.media.push(media);
        Ok(())
    }

    fn connection(&mut self, value: &'a [u8]) {
        let found = text(value).and_then(address);
        let number = self.number;
        let (connection, flaws) = match self.description.media.last_mut() {
            Some(media) => (&mut media.connection, &mut media.flaws),
            None => (&mut self.description.connection, &mut self.description.flaws),
        };
        match found {
            Ok(address) => *connection = Some(address),
            Err(what) => flaws.connection = flaws.connection.or(Some(Flaw { line: number, what })),
        }
    }

    fn flaws(&mut self) -> &mut Flaws {
        match self.description.media.last_mut() {
            Some(media) => &mut media.flaws,
            None => &mut self.description.flaws,
        }
    }
}

impl<'a> Description<'a> {
    fn set_attribute(&mut self, attribute: Attribute, value: &'a str) -> Result<(), Fault> {
        match attribute {
            Attribute::Session(SessionAttribute::Group) => self.bundle_group(value)?,
            Attribute::Session(SessionAttribute::IceLite) => self.ice_lite = true,
            Attribute::Direction(direction) => self.direction = Some(direction),
            Attribute::Transport(attribute) => self.transport.set_attribute(attribute, value)?,
            Attribute::Stream(_) | Attribute::Audio(_) => {}
        }
        Ok(())
    }

    /// `group:BUNDLE <mid> …`, RFC 5888 §5. Other semantics, and second groups, do not concern one stream.
    fn bundle_group(&mut self, value: &'a str) -> Result<(), Fault> {
        let mut words = value.split_ascii_whitespace();
        if words.next() != Some("BUNDLE") || !self.bundle.is_empty() {
            return Ok(());
        }
        for mid in words {
            if self.bundle.len() >= limits::MEDIA || !is_token(mid) {
                return Err("bad BUNDLE group");
            }
            self.bundle.push(mid);
        }
        Ok(())
    }
}

impl<'a> Media<'a> {
    /// Of streams we refuse only what identifies them matters, and the transport that a bundled audio stream may share.
    fn set_attribute(&mut self, attribute: Attribute, value: &'a str) -> Result<(), Fault> {
        match attribute {
            Attribute::Stream(StreamAttribute::Mid) => {
                self.mid = Some(value).filter(|mid| is_token(mid)).ok_or("bad mid")?.into();
            }
            Attribute::Stream(StreamAttribute::BundleOnly) => self.bundle_only = true,
            Attribute::Transport(attribute) => self.transport.set_attribute(attribute, value)?,
            Attribute::Direction(direction) => self.direction = Some(direction),
            Attribute::Session(_) | Attribute::Audio(_) => {}
        }
        Ok(())
    }

    fn set_audio_attribute(
        &mut self,
        line: &AudioLine,
        attribute: AudioAttribute,
        value: &'a str,
    ) -> Result<(), Fault> {
        match attribute {
            AudioAttribute::Rtpmap => line.rtpmap(&mut self.formats, value)?,
            AudioAttribute::Fmtp => line.fmtp(&mut self.formats, value)?,
            AudioAttribute::EndOfCandidates => self.end_of_candidates = true,
            AudioAttribute::Rtcp => self.rtcp = Some(rtcp(value)?),
            AudioAttribute::RtcpMux => self.rtcp_mux = true,
            AudioAttribute::Ptime => self.ptime = ptime(value).or(self.ptime),
            AudioAttribute::Msid => self.msid = Some(value).filter(|msid| is_printable(msid, limits::MSID)),
        }
        Ok(())
    }

    /// A dynamic payload type that no `rtpmap` gave a meaning.
    fn drop_nameless_formats(&mut self) {
        self.formats.retain(|payload| !payload.name.is_empty());
    }
}

impl<'a> Transport<'a> {
    fn set_attribute(&mut self, attribute: TransportAttribute, value: &'a str) -> Result<(), Fault> {
        match attribute {
            TransportAttribute::Ufrag => self.ufrag = Some(ice_characters(value, 4).ok_or("bad ice-ufrag")?),
            TransportAttribute::Password => {
                self.password = Some(ice_characters(value, 22).ok_or("bad ice-pwd")?);
            }
            TransportAttribute::Fingerprint => self.add_fingerprint(value)?,
            TransportAttribute::Setup => self.setup = setup(value),
        }
        Ok(())
    }

    /// RFC 8122 §5. MD2, MD5 and SHA-1 must not be used; unknown hashes can't be.
    fn add_fingerprint(&mut self, value: &'a str) -> Result<(), Fault> {
        let (algorithm, hash) = cut(value, b' ').ok_or("bad fingerprint")?;
        let Some(bytes) = fingerprint_length(algorithm) else { return Ok(()) };
        if !is_hex_pairs(hash, bytes) {
            return Err("bad fingerprint");
        }
        if self.fingerprints.len() >= limits::FINGERPRINTS {
            return Err("too many fingerprints");
        }
        self.fingerprints.push((algorithm, hash));
        Ok(())
    }
}

/// RFC 8866 §6.4, as far as sound is sent in such packets.
fn ptime(value: &str) -> Option<u16> {
    number(value.trim_ascii()).filter(|milliseconds| limits::PTIME.contains(milliseconds))
}

/// RFC 4145 §4; holdconn would be a transport that is not there yet.
fn setup(value: &str) -> Option<Setup> {
    match value {
        "actpass" => Some(Setup::ActPass),
        "active" => Some(Setup::Active),
        "passive" => Some(Setup::Passive),
        _ => None,
    }
}

/// `o=<username> <sess-id> <sess-version> <nettype> <addrtype> <unicast-address>`. Read from the right, since some user
/// names hold spaces, and some are left out. Nothing is sent to its address, so that may be any.
fn origin(value: &str) -> Result<Origin<'_>, Fault> {
    let (id, version, place) = split_origin(value).ok_or("bad o=")?;
    if ![id, version].iter().all(|word| !word.is_empty() && is_printable(word, limits::NUMBER)) {
        return Err("bad o=");
    }
    let address = address(place).unwrap_or(Address::NULL);
    Ok(Origin { id: Number::Text(id), version: Number::Text(version), address })
}

fn split_origin(value: &str) -> Option<(&str, &str, &str)> {
    let value = value.trim_ascii();
    let place_at = value.rmatch_indices(' ').nth(2)?.0;
    let (before, place) = value.split_at_checked(place_at)?;
    let (before, version) = before.rsplit_once(' ')?;
    Some((before.rsplit_once(' ').map_or(before, |(_username, id)| id), version, place))
}

/// `<nettype> <addrtype> <address>[/<ttl>]`, RFC 8866 §5.7.
fn address(value: &str) -> Result<Address<'_>, Fault> {
    let mut words = value.split_ascii_whitespace();
    let (net, family, host) = (words.next(), words.next(), words.next().ok_or("bad address")?);
    let host = cut(host, b'/').map_or(host, |(host, _ttl)| host);
    let literal = match (net, family) {
        (Some("IN"), Some("IP4")) => host.parse().ok().map(IpAddr::V4),
        (Some("IN"), Some("IP6")) => host.parse().ok().map(IpAddr::V6),
        _ => return Err("bad network or address type"),
    };
    match literal {
        Some(ip) => Ok(Address::Ip(ip.to_canonical())),
        None if is_host_name(host) => Ok(Address::Name(host)),
        None => Err("bad address"),
    }
}

fn port_and_count(word: &str) -> Option<u16> {
    let (port, count) = cut(word, b'/').unwrap_or((word, "1"));
    count.parse::<u16>().ok()?;
    number(port)
}

/// `rtcp:<port> [<nettype> <addrtype> <address>]`.
fn rtcp(value: &str) -> Result<Rtcp<'_>, Fault> {
    let (port, place) = cut(value, b' ').map_or((value, None), |(port, place)| (port, Some(place)));
    let port = number(port.trim_ascii()).ok_or("bad rtcp")?;
    let address = place.filter(|place| !place.trim_ascii().is_empty()).map(address).transpose()?;
    Ok(Rtcp { port, address })
}

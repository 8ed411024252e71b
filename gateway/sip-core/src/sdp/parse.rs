//! SDP text to [`Description`], in one pass over the lines.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::SocketAddr;
use std::str::{self, FromStr};

use memchr::memchr;
use relay_api::Direction;

use super::audio::Setup;
use super::description::{Address, Description, Media, Number, Origin, Payload, Rtcp, Transport};
use super::error::SdpError;
use super::limits;

/// Reads the whole text.
pub(super) fn description(text: &[u8]) -> Result<Description<'_>, SdpError> {
    if text.len() > limits::TEXT {
        return Err(SdpError::Malformed { line: 0, what: "too long" });
    }
    let mut lines = Lines { rest: text, number: 0 };
    let origin = preamble(&mut lines).map_err(|what| lines.error(what))?;
    let mut reader = Reader { description: Description::new(origin), slots: Slots::empty(), candidates: 0 };
    while let Some((kind, value)) = lines.next() {
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

/// What is being read: the model so far, and the payload types of its last m-line.
struct Reader<'a> {
    description: Description<'a>,
    slots: Slots,
    candidates: usize,
}

impl<'a> Reader<'a> {
    /// RFC 8866 §5: the types of lines. Those that say nothing about a call's sound are passed over.
    fn line(&mut self, kind: u8, value: &'a [u8]) -> Result<(), Fault> {
        match kind {
            b'a' => self.attribute(value),
            b'm' => self.media_line(text(value)?),
            b'c' => self.connection(text(value)?),
            b'v' | b'o' => Err("a second v= or o="),
            _ if kind.is_ascii_lowercase() => Ok(()),
            _ => Err("not a line of SDP"),
        }
    }

    /// An attribute that is not UTF-8 is none of those we know.
    fn attribute(&mut self, value: &'a [u8]) -> Result<(), Fault> {
        let Ok(attribute) = str::from_utf8(value) else { return Ok(()) };
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        match self.description.media.last_mut() {
            None => session_attribute(&mut self.description, name, value),
            Some(media) if media.kind == "audio" => {
                audio_attribute(media, &self.slots, &mut self.candidates, name, value)
            }
            Some(media) => other_attribute(media, name, value),
        }?;
        self.check_mid(name)
    }

    /// RFC 5888 §4: mids are unique.
    fn check_mid(&self, name: &str) -> Result<(), Fault> {
        let Some((last, earlier)) = self.description.media.split_last() else { return Ok(()) };
        if name == "mid" && earlier.iter().any(|media| media.mid == last.mid) {
            return Err("the same mid twice");
        }
        Ok(())
    }

    /// `m=<media> <port>[/<count>] <proto> <fmt> …`, RFC 8866 §5.14.
    fn media_line(&mut self, value: &'a str) -> Result<(), Fault> {
        if self.description.media.len() >= limits::MEDIA {
            return Err("too many m-lines");
        }
        let mut words = value.split_ascii_whitespace();
        let kind = words.next().filter(|word| is_token(word, limits::TOKEN)).ok_or("m= without media")?;
        let port = words.next().and_then(port_and_count).ok_or("m= without port")?;
        let protocol = words.next().filter(|word| is_protocol(word)).ok_or("m= without protocol")?;
        let first = words.next().filter(|word| is_token(word, limits::TOKEN)).ok_or("m= without format")?;
        let mut media = Media::new(kind, port, protocol, first);
        if kind == "audio" && protocol.contains("RTP/") {
            media.formats = self.slots.fill(std::iter::once(first).chain(words))?;
        }
        self.candidates = 0;
        self.description.media.push(media);
        Ok(())
    }

    fn connection(&mut self, value: &'a str) -> Result<(), Fault> {
        let address = Some(address(value)?);
        match self.description.media.last_mut() {
            Some(media) => media.connection = address,
            None => self.description.connection = address,
        }
        Ok(())
    }
}

fn session_attribute<'a>(to: &mut Description<'a>, name: &'a str, value: &'a str) -> Result<(), Fault> {
    match name {
        "group" => to.bundle_group(value),
        "ice-lite" => {
            to.ice_lite = true;
            Ok(())
        }
        _ if set_direction(&mut to.direction, name) => Ok(()),
        _ => transport_attribute(&mut to.transport, name, value),
    }
}

fn audio_attribute<'a>(
    to: &mut Media<'a>,
    slots: &Slots,
    candidates: &mut usize,
    name: &'a str,
    value: &'a str,
) -> Result<(), Fault> {
    match name {
        "rtpmap" => rtpmap(to, slots, value)?,
        "fmtp" => fmtp(to, slots, value)?,
        "rtcp" => to.rtcp = Some(rtcp(value)?),
        "rtcp-mux" => to.rtcp_mux = true,
        "ptime" => to.ptime = value.trim().parse().ok().or(to.ptime),
        "msid" => to.msid = Some(value).filter(|msid| is_printable(msid, limits::MSID)),
        "candidate" => add_candidate(to, candidates, value),
        "end-of-candidates" => to.end_of_candidates = true,
        _ if set_direction(&mut to.direction, name) => {}
        _ => other_attribute(to, name, value)?,
    }
    Ok(())
}

/// Of streams we refuse only what identifies them matters, and the transport that a bundled audio stream may share.
fn other_attribute<'a>(to: &mut Media<'a>, name: &'a str, value: &'a str) -> Result<(), Fault> {
    match name {
        "mid" => to.mid = Some(value).filter(|mid| is_token(mid, limits::TOKEN)).ok_or("bad mid")?.into(),
        "bundle-only" => to.bundle_only = true,
        _ => transport_attribute(&mut to.transport, name, value)?,
    }
    Ok(())
}

fn transport_attribute<'a>(to: &mut Transport<'a>, name: &str, value: &'a str) -> Result<(), Fault> {
    match name {
        "ice-ufrag" => to.ufrag = Some(ice_characters(value, 4).ok_or("bad ice-ufrag")?),
        "ice-pwd" => to.password = Some(ice_characters(value, 22).ok_or("bad ice-pwd")?),
        "fingerprint" => to.add_fingerprint(value)?,
        "setup" => to.setup = setup(value),
        _ => {}
    }
    Ok(())
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

impl<'a> Description<'a> {
    /// `group:BUNDLE <mid> …`, RFC 5888 §5. Other semantics, and second groups, do not concern one stream.
    fn bundle_group(&mut self, value: &'a str) -> Result<(), Fault> {
        let mut words = value.split_ascii_whitespace();
        if words.next() != Some("BUNDLE") || !self.bundle.is_empty() {
            return Ok(());
        }
        for mid in words {
            if self.bundle.len() >= limits::MEDIA || !is_token(mid, limits::TOKEN) {
                return Err("bad BUNDLE group");
            }
            self.bundle.push(mid);
        }
        Ok(())
    }
}

impl Media<'_> {
    /// A dynamic payload type that no `rtpmap` gave a meaning.
    fn drop_nameless_formats(&mut self) {
        self.formats.retain(|payload| !payload.name.is_empty());
    }
}

impl<'a> Transport<'a> {
    /// RFC 8122 §5. MD2, MD5 and SHA-1 must not be used; unknown hashes can't be.
    fn add_fingerprint(&mut self, value: &'a str) -> Result<(), Fault> {
        let (algorithm, hash) = value.split_once(' ').ok_or("bad fingerprint")?;
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

/// `o=<username> <sess-id> <sess-version> <nettype> <addrtype> <unicast-address>`. Read from the right, since some user
/// names hold spaces.
fn origin(value: &str) -> Result<Origin<'_>, Fault> {
    let (_username, id, version, place) = split_origin(value).ok_or("bad o=")?;
    if !is_number(id) || !is_number(version) {
        return Err("o= without numbers");
    }
    Ok(Origin { id: Number::Text(id), version: Number::Text(version), address: address(place)? })
}

fn split_origin(value: &str) -> Option<(&str, &str, &str, &str)> {
    let value = value.trim_ascii();
    let place_at = value.rmatch_indices(' ').nth(2)?.0;
    let (before, place) = value.split_at_checked(place_at)?;
    let (before, version) = before.rsplit_once(' ')?;
    let (username, id) = before.rsplit_once(' ')?;
    Some((username, id, version, place))
}

/// `<nettype> <addrtype> <address>[/<ttl>]`, RFC 8866 §5.7.
fn address(value: &str) -> Result<Address<'_>, Fault> {
    let mut words = value.split_ascii_whitespace();
    let (net, family, host) = (words.next(), words.next(), words.next().ok_or("bad address")?);
    let host = host.split_once('/').map_or(host, |(host, _ttl)| host);
    let literal = match (net, family) {
        (Some("IN"), Some("IP4")) => host.parse().ok().map(std::net::IpAddr::V4),
        (Some("IN"), Some("IP6")) => host.parse().ok().map(std::net::IpAddr::V6),
        _ => return Err("bad network or address type"),
    };
    match literal {
        Some(ip) => Ok(Address::Ip(ip.to_canonical())),
        None if is_host_name(host) => Ok(Address::Name(host)),
        None => Err("bad address"),
    }
}

fn port_and_count(word: &str) -> Option<u16> {
    let (port, count) = word.split_once('/').unwrap_or((word, "1"));
    count.parse::<u16>().ok()?;
    number(port)
}

/// `rtcp:<port> [<nettype> <addrtype> <address>]`.
fn rtcp(value: &str) -> Result<Rtcp<'_>, Fault> {
    let (port, place) = value.split_once(' ').map_or((value, None), |(port, place)| (port, Some(place)));
    let port = number(port.trim_ascii()).ok_or("bad rtcp")?;
    let address = place.filter(|place| !place.trim_ascii().is_empty()).map(address).transpose()?;
    Ok(Rtcp { port, address })
}

/// `rtpmap:<payload type> <name>/<clock rate>[/<channels>]`, RFC 8866 §6.6. Of a type not on the m-line: nothing.
fn rtpmap<'a>(media: &mut Media<'a>, slots: &Slots, value: &'a str) -> Result<(), Fault> {
    let (payload_type, encoding) = value.trim_ascii().split_once(' ').ok_or("bad rtpmap")?;
    let Some(payload) = slots.payload(media, payload_type)? else { return Ok(()) };
    let mut parts = encoding.trim_ascii().split('/');
    let name = parts.next().filter(|name| is_token(name, limits::TOKEN)).ok_or("bad rtpmap")?;
    payload.name = name;
    payload.clock_rate = parts.next().and_then(number).ok_or("rtpmap without clock rate")?;
    payload.channels = parts.next().map_or(Some(1), number).ok_or("bad rtpmap")?;
    Ok(())
}

fn fmtp<'a>(media: &mut Media<'a>, slots: &Slots, value: &'a str) -> Result<(), Fault> {
    let (payload_type, parameters) = value.trim_ascii().split_once(' ').ok_or("bad fmtp")?;
    if let Some(payload) = slots.payload(media, payload_type)? {
        payload.fmtp = Some(parameters).filter(|text| is_printable(text, limits::FMTP));
    }
    Ok(())
}

/// Only so many lines are looked at; the rest, like every candidate that we could not name ourselves, is passed over.
fn add_candidate(media: &mut Media<'_>, seen: &mut usize, value: &str) {
    *seen = seen.saturating_add(1);
    if *seen <= limits::CANDIDATES {
        media.candidates.extend(host_candidate(value));
    }
}

/// `<foundation> <component> <transport> <priority> <address> <port> typ host …`, RFC 8839 §5.1.
fn host_candidate(value: &str) -> Option<SocketAddr> {
    let mut words = value.split_ascii_whitespace().skip(1);
    let (component, transport, _priority) = (words.next()?, words.next()?, words.next()?);
    let (address, port) = (words.next()?, words.next()?);
    let host = words.next()? == "typ" && words.next()? == "host";
    if !host || component != "1" || !transport.eq_ignore_ascii_case("udp") {
        return None;
    }
    let address: std::net::IpAddr = address.parse().ok()?;
    Some(SocketAddr::new(address.to_canonical(), number(port)?))
}

fn set_direction(to: &mut Option<Direction>, name: &str) -> bool {
    *to = Some(match name {
        "sendrecv" => Direction::SendRecv,
        "sendonly" => Direction::SendOnly,
        "recvonly" => Direction::RecvOnly,
        "inactive" => Direction::Inactive,
        _ => return false,
    });
    true
}

/// Where each payload type of the last audio line lies in its list.
struct Slots {
    of: [u8; 128],
}

impl Slots {
    const NONE: u8 = u8::MAX;

    fn empty() -> Self {
        Self { of: [Self::NONE; 128] }
    }

    /// Starts a new line. Static types have their meaning at once (RFC 3551 §6), dynamic ones wait for `rtpmap`.
    fn fill<'a>(&mut self, words: impl Iterator<Item = &'a str>) -> Result<Vec<Payload<'a>>, Fault> {
        *self = Self::empty();
        let mut formats = Vec::with_capacity(FORMATS_USUAL);
        for word in words {
            let payload_type: u8 = number(word).ok_or("bad payload type")?;
            let slot = self.of.get_mut(usize::from(payload_type)).ok_or("bad payload type")?;
            if *slot != Self::NONE {
                continue;
            }
            *slot = u8::try_from(formats.len())
                .ok()
                .filter(|at| *at < limits::FORMATS)
                .ok_or("too many formats")?;
            formats.push(static_payload(payload_type));
        }
        Ok(formats)
    }

    fn payload<'m, 'a>(
        &self,
        media: &'m mut Media<'a>,
        word: &str,
    ) -> Result<Option<&'m mut Payload<'a>>, Fault> {
        let payload_type: u8 = number(word).ok_or("bad payload type")?;
        let slot = self.of.get(usize::from(payload_type)).copied().unwrap_or(Self::NONE);
        Ok(media.formats.get_mut(usize::from(slot)))
    }
}

/// RFC 3551 table 4; an empty name is a type without meaning yet.
fn static_payload<'a>(payload_type: u8) -> Payload<'a> {
    let (name, clock_rate) = match payload_type {
        0 => ("PCMU", 8_000),
        3 => ("GSM", 8_000),
        4 => ("G723", 8_000),
        8 => ("PCMA", 8_000),
        9 => ("G722", 8_000),
        13 => ("CN", 8_000),
        15 => ("G728", 8_000),
        18 => ("G729", 8_000),
        _ => ("", 0),
    };
    Payload { payload_type, name, clock_rate, channels: 1, fmtp: None }
}

/// Lines end with CRLF or LF alone (RFC 8866 §5); empty ones are passed over.
struct Lines<'a> {
    rest: &'a [u8],
    number: u32,
}

impl<'a> Lines<'a> {
    /// The type and value of the next line; a line without `=` has type 0.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            let line = self.take_line()?;
            match line {
                [] => {}
                [kind, b'=', value @ ..] => return Some((*kind, value)),
                _ => return Some((0, line)),
            }
        }
    }

    fn take_line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number = self.number.saturating_add(1);
        let end = memchr(b'\n', self.rest).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(1..).unwrap_or_default();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    fn error(&self, what: Fault) -> SdpError {
        SdpError::Malformed { line: self.number, what }
    }
}

/// Which rule was broken.
type Fault = &'static str;

fn text(value: &[u8]) -> Result<&str, Fault> {
    str::from_utf8(value).map_err(|_| "not UTF-8")
}

/// Digits alone: `parse` would take a sign.
fn number<T: FromStr>(word: &str) -> Option<T> {
    if !word.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    word.parse().ok()
}

fn is_number(word: &str) -> bool {
    (1..=limits::NUMBER).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// RFC 8866 §9, `token`.
fn is_token(word: &str, most: usize) -> bool {
    (1..=most).contains(&word.len()) && word.bytes().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'(' | b')' | b',' | b'/' | b':'..=b'@' | b'['..=b']')
}

/// RFC 8866 §9, `proto`.
fn is_protocol(word: &str) -> bool {
    word.len() <= limits::TOKEN && word.bytes().all(|byte| byte == b'/' || is_token_byte(byte))
}

fn is_host_name(word: &str) -> bool {
    (1..=255).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn is_printable(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// RFC 8839 §5.1, `ice-char`.
fn ice_characters(word: &str, least: usize) -> Option<&str> {
    let fits = (least..=limits::ICE).contains(&word.len());
    let allowed = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    (fits && allowed).then_some(word)
}

fn fingerprint_length(algorithm: &str) -> Option<usize> {
    let lengths = [("sha-256", 32), ("sha-384", 48), ("sha-512", 64)];
    lengths.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(algorithm)).map(|(_, bytes)| bytes)
}

fn is_hex_pairs(hash: &str, bytes: usize) -> bool {
    let mut left = bytes;
    let pairs = hash.split(':').all(|pair| {
        left = left.wrapping_sub(1);
        matches!(pair.as_bytes(), [high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    });
    pairs && left == 0
}

/// Room without a second allocation for what browsers send.
const FORMATS_USUAL: usize = 12;

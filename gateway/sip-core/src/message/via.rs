//! One Via value (RFC 3261 §20.42, RFC 3581).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::IpAddr;

use super::text::{cut, cut_at, is_space, is_token, number, trim};
use super::uri::{host_ip, host_port};
use super::{Params, ParseError, params};

/// One hop a request took, and where its answer goes.
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    /// `UDP`, `TCP`, `TLS`, `WS`, `WSS` or another token; compared without case.
    pub transport: &'a str,
    /// `host[:port]` as written.
    pub sent_by: &'a str,
    /// Name or address; IPv6 with its brackets.
    pub host: &'a str,
    /// The explicit port of sent-by.
    pub port: Option<u16>,
    /// The transaction's name; those of RFC 3261 begin with [`Via::COOKIE`].
    pub branch: Option<&'a str>,
    /// The address the next hop saw.
    pub received: Option<&'a str>,
    /// RFC 3581: `None` absent, `Some(None)` asked for, `Some(Some(port))` filled in.
    pub rport: Option<Option<u16>>,
    /// All parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// The magic cookie of RFC 3261 §8.1.1.7.
    pub const COOKIE: &'static str = "z9hG4bK";

    /// Reads one value.
    ///
    /// # Errors
    /// [`ParseError::Bad`].
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        Fields::parse(text.as_bytes()).and_then(|fields| fields.view()).ok_or(ParseError::Bad("Via"))
    }

    /// `received` as an address, with or without brackets (RFC 5118 §4.5).
    pub fn received_ip(&self) -> Option<IpAddr> {
        self.received.and_then(host_ip).map(|ip| ip.to_canonical())
    }

    /// The sent-by host as an address, if it is one.
    pub fn host_ip(&self) -> Option<IpAddr> {
        host_ip(self.host).map(|ip| ip.to_canonical())
    }
}

/// A Via value checked octet by octet, before it is text.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) transport: &'a [u8],
    pub(super) sent_by: &'a [u8],
    pub(super) host: &'a [u8],
    pub(super) port: Option<u16>,
    pub(super) params: &'a [u8],
    pub(super) branch: Option<&'a [u8]>,
    pub(super) received: Option<&'a [u8]>,
    pub(super) rport: Option<Option<u16>>,
}

impl<'a> Fields<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        std::str::from_utf8(value).ok()?;
        let rest = trim(behind_version(value)?);
        let (transport, rest) = cut(rest, rest.iter().position(|&c| is_space(c))?);
        let (sent_by, params) = match rest.iter().position(|&c| c == b';') {
            Some(at) => cut(rest, at),
            None => (rest, &[][..]),
        };
        let sent_by = trim(sent_by);
        let (host, port) = host_port(sent_by)?;
        is_token(transport).then_some(())?;
        let mut fields = Self {
            transport,
            sent_by,
            host,
            port,
            params: trim(params),
            branch: None,
            received: None,
            rport: None,
        };
        match params {
            [] if sent_by.len() == trim(rest).len() => {}
            params => params::walk(params, |name, value| fields.note(name, value))?,
        }
        Some(fields)
    }

    /// Whether the parameter is sound. Of several of one name the first counts.
    fn note(&mut self, name: &[u8], value: Option<&'a [u8]>) -> bool {
        if name.eq_ignore_ascii_case(b"branch") {
            self.branch = self.branch.or(value);
            return value.is_some();
        }
        if name.eq_ignore_ascii_case(b"received") {
            self.received = self.received.or(value);
            return value.is_some();
        }
        if name.eq_ignore_ascii_case(b"rport") {
            let port = value.map(|digits| number(digits, 65_535).and_then(|port| u16::try_from(port).ok()));
            self.rport = self.rport.or(Some(port.flatten()));
            return port != Some(None);
        }
        true
    }

    fn view(self) -> Option<Via<'a>> {
        let text = |octets: &'a [u8]| std::str::from_utf8(octets).ok();
        Some(Via {
            transport: text(self.transport)?,
            sent_by: text(self.sent_by)?,
            host: text(self.host)?,
            port: self.port,
            branch: self.branch.and_then(text),
            received: self.received.and_then(text),
            rport: self.rport,
            params: Params(text(self.params)?),
        })
    }
}

fn behind_version(value: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = value.strip_prefix(b"SIP/2.0/") {
        return Some(rest);
    }
    let (protocol, rest) = cut_at(value, b'/')?;
    let (version, rest) = cut_at(rest, b'/')?;
    (trim(protocol).eq_ignore_ascii_case(b"SIP") && trim(version) == b"2.0").then_some(rest)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_via_comes_apart() {
        let via =
            Via::parse("SIP / 2.0 / WSS  [::1]:9 ; rport; branch = z9hG4bKx;received=192.0.2.1").unwrap();
        assert_eq!((via.transport, via.host, via.port, via.sent_by), ("WSS", "[::1]", Some(9), "[::1]:9"));
        assert_eq!((via.branch, via.rport), (Some("z9hG4bKx"), Some(None)));
        assert_eq!(via.received_ip(), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(Via::parse("SIP/2.0/UDP h;rport=5").unwrap().rport, Some(Some(5)));
    }

    #[test] // RFC 5118 §4.5
    fn received_may_lack_its_brackets() {
        let via =
            Via::parse("SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3-111").unwrap();
        assert_eq!(via.received_ip(), Some("2001:db8::9:255".parse().unwrap()));
    }

    #[test]
    fn what_is_no_via_is_refused() {
        for bad in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/3.0/UDP h",
            "XIP/2.0/UDP h",
            "SIP/2.0/ h",
            "SIP/2.0/UDP h;;,;,,",
            "SIP/2.0/UDP h;",
            "SIP/2.0/UDP h;branch=",
            "SIP/2.0/UDP h;branch;branch=x",
            "SIP/2.0/UDP h;rport=x",
            "SIP/2.0/UDP h:0x",
            "SIP/2.0/UDP a b",
        ] {
            assert!(Via::parse(bad).is_err(), "{bad}");
        }
    }
}

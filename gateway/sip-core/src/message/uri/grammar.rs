//! Where the parts of a URI stand (RFC 3261 §25.1, RFC 5954 §4.1).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::{IpAddr, Ipv6Addr};

use crate::message::text::{cut, cut_at, number, trim};

/// A URI behind its scheme.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub(super) user: Option<&'a [u8]>,
    pub(super) password: Option<&'a [u8]>,
    pub(super) host: &'a [u8],
    pub(super) port: Option<u16>,
    pub(super) params: &'a [u8],
    pub(super) headers: Option<&'a [u8]>,
}

/// The length of the scheme and what follows its colon.
pub(super) fn take_apart(text: &[u8]) -> Option<(usize, Parts<'_>)> {
    if let Some(rest) = text.strip_prefix(b"sip:") {
        return Some((3, sip_parts(rest)?));
    }
    let (scheme, rest) = cut_at(text, b':')?;
    if scheme.eq_ignore_ascii_case(b"sip") || scheme.eq_ignore_ascii_case(b"sips") {
        return Some((scheme.len(), sip_parts(rest)?));
    }
    if !is_scheme(scheme) || rest.is_empty() || rest.iter().any(|&c| Octet::of(c) == Octet::Foreign) {
        return None;
    }
    if scheme.eq_ignore_ascii_case(b"tel") {
        let (number, params) = cut_at(rest, b';').unwrap_or((rest, &[]));
        return Some((scheme.len(), Parts { user: Some(number), params, ..Parts::default() }));
    }
    Some((scheme.len(), Parts { host: rest, ..Parts::default() }))
}

fn sip_parts(rest: &[u8]) -> Option<Parts<'_>> {
    let marks = Marks::of(rest)?;
    let (userinfo, behind) = match marks.at {
        Some(at) => {
            let (userinfo, behind) = cut(rest, at);
            (Some(userinfo), behind)
        }
        None => (None, rest),
    };
    let (user, password) = match (userinfo, marks.password) {
        (None, _) => (None, None),
        (Some([]), _) | (Some(_), Some(0)) => return None,
        (Some(user), None) => (Some(user), None),
        (Some(info), Some(colon)) => {
            let (user, password) = cut(info, colon);
            (Some(user), Some(password))
        }
    };
    let (host_port_part, tail) = match marks.tail {
        Some(tail) => {
            behind.split_at_checked(tail.saturating_sub(rest.len().saturating_sub(behind.len())))?
        }
        None => (behind, &[][..]),
    };
    let (host, port) = host_port(host_port_part)?;
    let (params, headers) = match cut_at(tail, b'?') {
        Some((params, headers)) => (params, Some(headers)),
        None => (tail, None),
    };
    let params = params.strip_prefix(b";").unwrap_or(params);
    Some(Parts { user, password, host, port, params, headers })
}

/// Where the parts of a SIP URI meet, found in one pass.
///
/// RFC 3261 §25.1: `;`, `?` and more may stand in the user part, so what was seen before the `@` is forgotten there.
#[derive(Default)]
struct Marks {
    /// The `@`.
    at: Option<usize>,
    /// The first `:` before the `@`.
    password: Option<usize>,
    /// The first `;` or `?` behind the `@`.
    tail: Option<usize>,
}

impl Marks {
    fn of(rest: &[u8]) -> Option<Self> {
        let mut marks = Self::default();
        let mut colon = None;
        for (here, &c) in rest.iter().enumerate() {
            match Octet::of(c) {
                Octet::Host | Octet::Plain => {}
                Octet::Colon => colon = colon.or(Some(here)),
                Octet::Tail => marks.tail = marks.tail.or(Some(here)),
                Octet::At if marks.at.is_none() => {
                    marks = Self { at: Some(here), password: colon, tail: None };
                }
                Octet::At => {}
                Octet::Foreign => return None,
            }
        }
        Some(marks)
    }
}

/// What an octet means to a URI.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Octet {
    /// May stand in the name of a host, and anywhere else.
    Host,
    Plain,
    At,
    Colon,
    Tail,
    /// Never part of a URI.
    Foreign,
}

impl Octet {
    fn of(c: u8) -> Self {
        OCTETS.get(usize::from(c)).copied().unwrap_or(Self::Foreign)
    }
}

const OCTETS: [Octet; 256] = {
    let mut table = [Octet::Foreign; 256];
    let mut c = b'!';
    while c < 0x7f {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[c as usize] = match c {
                b'<' | b'>' | b'"' => Octet::Foreign,
                b'@' => Octet::At,
                b':' => Octet::Colon,
                b';' | b'?' => Octet::Tail,
                b'-' | b'.' | b'_' => Octet::Host,
                c if c.is_ascii_alphanumeric() => Octet::Host,
                _ => Octet::Plain,
            };
        }
        c = c.saturating_add(1);
    }
    table
};

/// `host [":" port]` without white space around; the host is the beginning of `text`.
pub(in crate::message) fn host_port(text: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let (host, rest) = if text.first() == Some(&b'[') {
        let end = memchr::memchr(b']', text)?.checked_add(1)?;
        let (reference, rest) = text.split_at_checked(end)?;
        is_ipv6_reference(reference).then_some((reference, rest))?
    } else {
        let end = text.iter().position(|&c| c == b':').unwrap_or(text.len());
        let (host, rest) = text.split_at_checked(end)?;
        let host = trim(host);
        is_host_name(host).then_some((host, rest))?
    };
    let port = match trim(rest) {
        [] => None,
        [b':', digits @ ..] => Some(u16::try_from(number(trim(digits), 65_535)?).ok()?),
        _ => return None,
    };
    Some((host, port))
}

/// The address a host is; brackets around IPv6 are optional here (RFC 5118 §4.5).
pub(in crate::message) fn host_ip(host: &str) -> Option<IpAddr> {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(address) => address.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

fn is_ipv6_reference(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| matches!(host_ip(text), Some(IpAddr::V6(_))))
}

// Underscores stand in the names of real hosts though RFC 1034 knows none. A `%` escape is refused.
fn is_host_name(host: &[u8]) -> bool {
    !host.is_empty() && host.iter().all(|&c| Octet::of(c) == Octet::Host)
}

fn is_scheme(scheme: &[u8]) -> bool {
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'))
}

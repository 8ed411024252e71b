//! URIs: SIP and SIPS taken apart (RFC 3261 §19.1), tel (RFC 3966) and any other scheme kept readable.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use super::text::{cut, cut_at, number, trim};
use super::{Params, ParseError};

/// What kind of URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme<'a> {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Any other, as written.
    Other(&'a str),
}

/// A URI as it stands on the wire, escapes untouched.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    /// The scheme; compared without case.
    pub scheme: Scheme<'a>,
    /// The part before `@`, without the password; the number of a tel URI. `%` escapes are kept.
    pub user: Option<&'a str>,
    /// The part between `:` and `@`.
    pub password: Option<&'a str>,
    /// Name or address; IPv6 with its brackets. Empty for tel; all behind the colon for other schemes.
    pub host: &'a str,
    /// The explicit port.
    pub port: Option<u16>,
    /// What follows `;`.
    pub params: Params<'a>,
    /// What follows `?`.
    pub headers: Option<&'a str>,
}

impl<'a> Uri<'a> {
    /// Reads a URI without angle brackets. Linear in its length.
    ///
    /// # Errors
    /// [`ParseError::Uri`] for anything that is not one.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        split(text).ok_or(ParseError::Uri)
    }

    /// The user without its `%` escapes. Escapes that are no UTF-8 are kept.
    pub fn user_decoded(&self) -> Option<Cow<'a, str>> {
        self.user.map(unescape)
    }

    /// The value of a URI parameter.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        self.params.value(name)
    }

    /// Whether a URI parameter is there, with or without value.
    pub fn has_param(&self, name: &str) -> bool {
        self.params.has(name)
    }

    /// The host as an address, if it is one.
    pub fn host_ip(&self) -> Option<IpAddr> {
        host_ip(self.host)
    }

    /// Whether this is `sip:` or `sips:`.
    pub fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// Equivalence as RFC 3261 §19.1.4 and RFC 5954 §4.2 define it. It is not transitive.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        self.scheme.same(other.scheme)
            && same_unescaped(self.user, other.user)
            && same_unescaped(self.password, other.password)
            && same_host(self.host, other.host)
            && self.port == other.port
            && same_params(self.params, other.params)
            && same_headers(self.headers, other.headers)
    }
}

impl Scheme<'_> {
    fn same(self, other: Scheme<'_>) -> bool {
        match (self, other) {
            (Scheme::Sip, Scheme::Sip) | (Scheme::Sips, Scheme::Sips) | (Scheme::Tel, Scheme::Tel) => true,
            (Scheme::Other(a), Scheme::Other(b)) => a.eq_ignore_ascii_case(b),
            (Scheme::Sip | Scheme::Sips | Scheme::Tel | Scheme::Other(_), _) => false,
        }
    }
}

/// Whether these octets are a URI, and for `sip:` and `sips:` whether it has no headers (RFC 3261 §19.1.1, table 1).
pub(super) fn check(text: &[u8]) -> Option<Headers> {
    let (_, parts) = take_apart(text)?;
    Some(if parts.headers.is_some() { Headers::Some } else { Headers::None })
}

/// Whether a URI has a `?` part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Headers {
    None,
    Some,
}

fn split(text: &str) -> Option<Uri<'_>> {
    let (scheme_end, parts) = take_apart(text.as_bytes())?;
    let scheme = match text.get(..scheme_end)? {
        s if s.eq_ignore_ascii_case("sip") => Scheme::Sip,
        s if s.eq_ignore_ascii_case("sips") => Scheme::Sips,
        s if s.eq_ignore_ascii_case("tel") => Scheme::Tel,
        s => Scheme::Other(s),
    };
    let text = |octets| std::str::from_utf8(octets).ok();
    Some(Uri {
        scheme,
        user: parts.user.and_then(text),
        password: parts.password.and_then(text),
        host: text(parts.host)?,
        port: parts.port,
        params: Params(text(parts.params)?),
        headers: parts.headers.and_then(text),
    })
}

/// A URI behind its scheme.
#[derive(Default)]
struct Parts<'a> {
    user: Option<&'a [u8]>,
    password: Option<&'a [u8]>,
    host: &'a [u8],
    port: Option<u16>,
    params: &'a [u8],
    headers: Option<&'a [u8]>,
}

/// The length of the scheme and what follows its colon.
fn take_apart(text: &[u8]) -> Option<(usize, Parts<'_>)> {
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
pub(super) fn host_port(text: &[u8]) -> Option<(&[u8], Option<u16>)> {
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
pub(super) fn host_ip(host: &str) -> Option<IpAddr> {
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

fn same_unescaped(a: Option<&str>, b: Option<&str>) -> bool {
    a.map(unescape) == b.map(unescape)
}

// RFC 5954 §4.2: addresses are equal when their octets are, however they are written.
fn same_host(a: &str, b: &str) -> bool {
    match (host_ip(a), host_ip(b)) {
        (Some(a), Some(b)) => a == b,
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => unescape(a).eq_ignore_ascii_case(&unescape(b)),
    }
}

// RFC 3261 §19.1.4: these must be on both sides or on none; any other that is on one side only is ignored.
const BOTH_OR_NONE: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

fn same_params(a: Params<'_>, b: Params<'_>) -> bool {
    let (a, b) = (sorted_params(a), sorted_params(b));
    agrees(&a, &b) && agrees(&b, &a)
}

type Sorted = Vec<(String, String)>;

/// RFC 3261 §19.1.1 allows a name once; of several the first counts.
fn sorted_params(params: Params<'_>) -> Sorted {
    let mut sorted: Vec<_> = params
        .iter()
        .map(|(name, value)| {
            (unescape(name).to_ascii_lowercase(), unescape(value.unwrap_or("")).to_ascii_lowercase())
        })
        .collect();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    sorted.dedup_by(|(later, _), (first, _)| later == first);
    sorted
}

fn agrees(a: &Sorted, b: &Sorted) -> bool {
    a.iter().all(|(name, value)| match b.binary_search_by(|(candidate, _)| candidate.as_str().cmp(name)) {
        Ok(at) => b.get(at).is_some_and(|(_, other)| other == value),
        Err(_) => !BOTH_OR_NONE.contains(&name.as_str()),
    })
}

fn same_headers(a: Option<&str>, b: Option<&str>) -> bool {
    let sorted = |headers: Option<&str>| {
        let mut pieces: Vec<_> = headers
            .unwrap_or("")
            .split('&')
            .map(|piece| {
                let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
                (unescape(name).to_ascii_lowercase(), unescape(value).into_owned())
            })
            .collect();
        pieces.sort_unstable();
        pieces
    };
    sorted(a) == sorted(b)
}

/// Without `%` escapes; text whose escapes are no UTF-8 or no hexadecimal digits is returned as it is.
fn unescape(text: &str) -> Cow<'_, str> {
    let Some((before, mut rest)) = cut_at(text.as_bytes(), b'%') else { return Cow::Borrowed(text) };
    let mut plain = before.to_vec();
    loop {
        let Some((high, low, behind)) = hex_pair(rest) else { return Cow::Borrowed(text) };
        plain.push(high << 4 | low);
        let at = memchr::memchr(b'%', behind);
        let (run, next) = cut(behind, at.unwrap_or(behind.len()));
        plain.extend_from_slice(run);
        match at {
            Some(_) => rest = next,
            None => break,
        }
    }
    String::from_utf8(plain).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn hex_pair(text: &[u8]) -> Option<(u8, u8, &[u8])> {
    let digit = |c: &u8| char::from(*c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match text {
        [high, low, rest @ ..] => Some((digit(high)?, digit(low)?, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let (a, b) = (Uri::parse(a).unwrap(), Uri::parse(b).unwrap());
        assert_eq!(a.equivalent(&b), b.equivalent(&a));
        a.equivalent(&b)
    }

    #[test] // RFC 3261 §19.1.1
    fn a_sip_uri_comes_apart() {
        let uri =
            Uri::parse("sips:j.doe;x=y?z:pw%3a@[2001:db8::9]:5061;transport=tcp;lr?Subject=a&x=b").unwrap();
        assert_eq!(uri.scheme, Scheme::Sips);
        assert_eq!(uri.user, Some("j.doe;x=y?z"));
        assert_eq!(uri.password, Some("pw%3a"));
        assert_eq!((uri.host, uri.port), ("[2001:db8::9]", Some(5061)));
        assert_eq!(uri.host_ip(), Some("2001:db8::9".parse().unwrap()));
        assert_eq!(uri.param("Transport"), Some("tcp"));
        assert!(uri.has_param("lr"));
        assert_eq!(uri.headers, Some("Subject=a&x=b"));
    }

    #[test]
    fn other_schemes_are_kept() {
        let tel = Uri::parse("tel:+1-201-555-0123;phone-context=x").unwrap();
        assert_eq!(
            (tel.scheme, tel.user, tel.param("phone-context")),
            (Scheme::Tel, Some("+1-201-555-0123"), Some("x"))
        );
        let other = Uri::parse("soap.beep://192.0.2.103:3002").unwrap();
        assert_eq!((other.scheme, other.host), (Scheme::Other("soap.beep"), "//192.0.2.103:3002"));
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for bad in [
            "",
            "sip",
            "sip:",
            "sip:@h",
            "sip::pw@h",
            "sip:a@",
            "sip:a@h:",
            "sip:a@h:70000",
            "sip:a@[::1",
            "sip:a@[1.2.3.4]",
            "sip:a@2001:db8::9",
            "sip:a b@h",
            "sip:<a@h>",
            "1x:y",
            "sip:ü@h",
            "sip:a@h%41",
        ] {
            assert!(Uri::parse(bad).is_err(), "{bad}");
        }
    }

    #[test] // RFC 3261 §19.1.4, the examples there
    fn equivalence() {
        assert!(same("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"));
        assert!(same("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
        assert!(same("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"));
        assert!(same(
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"
        ));
        assert!(same(
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x"
        ));
        assert!(!same("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"));
        assert!(!same("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"));
        assert!(!same("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"));
        assert!(!same("sip:a@b", "sips:a@b"));
        assert!(same("sip:a@b;x=1;x=2", "sip:a@b;X=1"));
        assert!(same("sip:a@[2001:db8::1]", "sip:a@[2001:0DB8:0:0::1]")); // RFC 5954 §4.2
    }

    #[test]
    fn broken_escapes_stay() {
        assert_eq!(Uri::parse("sip:%zz@h").unwrap().user_decoded().unwrap(), "%zz");
        assert_eq!(Uri::parse("sip:%ff@h").unwrap().user_decoded().unwrap(), "%ff");
        assert_eq!(Uri::parse("sip:a%4").err(), Some(ParseError::Uri));
        assert_eq!(Uri::parse("sip:a%20b%21@h").unwrap().user_decoded().unwrap(), "a b!");
    }
}

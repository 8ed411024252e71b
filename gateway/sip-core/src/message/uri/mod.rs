//! URIs: SIP and SIPS taken apart (RFC 3261 §19.1), tel (RFC 3966) and any other scheme kept readable.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod equivalence;
mod grammar;

use std::borrow::Cow;
use std::net::IpAddr;

use super::text::{cut, cut_at};
use super::{Params, ParseError};

pub(super) use grammar::{host_ip, host_port};

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

    /// The user of this URI, or of the SIP URI that stands for a `tel:` (RFC 3261 §19.1.6): in lower case, and its parameters in
    /// the order of RFC 3966 §3, so that one number is always written in one way.
    pub fn subscriber(&self) -> Option<Cow<'a, str>> {
        let number = self.user?;
        match self.scheme {
            Scheme::Tel => {}
            Scheme::Sip | Scheme::Sips | Scheme::Other(_) => return Some(Cow::Borrowed(number)),
        }
        let written = |(name, value): (&str, Option<&str>)| match value {
            Some(value) => format!(";{name}={value}").to_ascii_lowercase(),
            None => format!(";{name}").to_ascii_lowercase(),
        };
        let mut params: Vec<String> = self.params.iter().map(written).collect();
        params.sort_by_cached_key(|param| (place_of_param(param), param.clone()));
        Some(Cow::Owned(number.to_ascii_lowercase() + &params.concat()))
    }

    /// The names that the user may be known by, unescaped: as it stands, without the parameters of a telephone-subscriber
    /// (RFC 3261 §19.1.6, RFC 4694), and without its visual separators where it is a telephone number (RFC 3966 §4).
    pub fn user_names(&self) -> impl Iterator<Item = Cow<'a, str>> {
        let number = self.user.map(|user| unescape(user.split_once(';').map_or(user, |(number, _)| number)));
        let bare = number.as_deref().filter(|number| self.is_telephone(number)).and_then(without_separators);
        self.user_decoded().into_iter().chain(number).chain(bare.map(Cow::Owned))
    }

    /// A number is one where its user says so, or where it is global.
    fn is_telephone(&self, number: &str) -> bool {
        let is_phone = self.param("user").is_some_and(|user| user.eq_ignore_ascii_case("phone"));
        is_phone || self.scheme == Scheme::Tel || number.starts_with('+')
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
        host_ip(self.host).map(|ip| ip.to_canonical())
    }

    /// Whether this is `sip:` or `sips:`.
    pub fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }
}

/// Whether these octets are a URI, and for `sip:` and `sips:` whether it has no headers (RFC 3261 §19.1.1, table 1).
pub(super) fn check(text: &[u8]) -> Option<Headers> {
    let (_, parts) = grammar::take_apart(text)?;
    Some(if parts.headers.is_some() { Headers::Some } else { Headers::None })
}

/// Whether a URI has a `?` part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Headers {
    None,
    Some,
}

fn split(text: &str) -> Option<Uri<'_>> {
    let (scheme_end, parts) = grammar::take_apart(text.as_bytes())?;
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

/// RFC 3966 §3: `isub` or `ext` first, then `phone-context`, then the others.
fn place_of_param(param: &str) -> usize {
    let first = [";isub=", ";ext=", ";phone-context="];
    first.iter().position(|name| param.starts_with(name)).unwrap_or(first.len())
}

/// RFC 3966 §3: what is left of a number without visual separators; `None` if there are none, or it is no number.
fn without_separators(number: &str) -> Option<String> {
    let bare: String = number.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect();
    let digits = bare.strip_prefix('+').unwrap_or(&bare);
    let is_number = digits.bytes().all(|c| c.is_ascii_hexdigit() || matches!(c, b'*' | b'#'));
    (bare.len() < number.len() && !digits.is_empty() && is_number).then_some(bare)
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

    #[test] // RFC 3261 §19.1.6, RFC 3966 §3, RFC 4694
    fn a_number_is_known_with_and_without_what_stands_around_it() {
        let names =
            |uri: &str| Uri::parse(uri).unwrap().user_names().map(Cow::into_owned).collect::<Vec<_>>();
        assert_eq!(names("sip:alice@h"), ["alice", "alice"]);
        assert_eq!(
            names("sip:+49301000;npdi;rn=+4989@h;user=phone"),
            ["+49301000;npdi;rn=+4989", "+49301000"]
        );
        assert_eq!(
            names("sip:+49-(0)30.1000;ext=5@h"),
            ["+49-(0)30.1000;ext=5", "+49-(0)30.1000", "+490301000"]
        );
        assert_eq!(names("sip:030-1000@h;user=PHONE").last().unwrap(), "0301000");
        assert_eq!(names("tel:030-1000;phone-context=+49").last().unwrap(), "0301000");
        // Nobody said that this is a number, and that is none.
        assert_eq!(names("sip:030-1000@h").last().unwrap(), "030-1000");
        assert_eq!(names("sip:anna-maria@h;user=phone").last().unwrap(), "anna-maria");
        // An escaped semicolon is no separator.
        assert_eq!(names("sip:a%3Bb@h"), ["a;b", "a;b"]);
        assert_eq!(names("sip:h"), [""; 0]);
    }

    #[test] // RFC 3261 §19.1.6, RFC 3966 §3
    fn a_tel_uri_is_the_user_of_a_sip_uri() {
        for (uri, user) in [
            ("tel:+358-555-1234567", "+358-555-1234567"),
            ("tel:+358-555-1234567;POSTD=PP22;Isub=1411", "+358-555-1234567;isub=1411;postd=pp22"),
            (
                "tel:7042;rn=+4989;npdi;phone-context=Example.com",
                "7042;phone-context=example.com;npdi;rn=+4989",
            ),
            ("sip:+49-30;B=1;A=2@h;user=phone", "+49-30;B=1;A=2"),
        ] {
            assert_eq!(Uri::parse(uri).unwrap().subscriber().unwrap(), user);
        }
        assert!(Uri::parse("sip:h").unwrap().subscriber().is_none());
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

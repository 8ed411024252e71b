//! Addresses in headers: From, To, Contact, Route and their like (RFC 3261 §20).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;

use super::params::{is_quoted_inner, walk};
use super::text::{self, cut, delta_seconds, find, number, trim};
use super::{Params, ParseError, Uri, uri};

/// `name-addr` or `addr-spec` with the header parameters behind it.
///
/// Without angle brackets whatever follows the first `;` belongs to the header, not to the URI (RFC 3261 §20.10).
#[derive(Clone, Copy, Debug)]
pub struct NameAddr<'a> {
    /// The display name as written, quotes and escapes included; empty without one or when it is no UTF-8.
    pub display: &'a str,
    /// The URI as written, without angle brackets. It was checked to be one.
    pub uri: &'a str,
    /// The header parameters.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value.
    ///
    /// # Errors
    /// [`ParseError::Bad`].
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        Fields::parse(text.as_bytes()).and_then(|fields| fields.view()).ok_or(ParseError::Bad("Address"))
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&'a str> {
        self.params.value("tag")
    }

    /// The display name without quotes and escapes; `None` without one.
    pub fn display_name(&self) -> Option<Cow<'a, str>> {
        (!self.display.is_empty()).then(|| text::unquote(self.display))
    }

    /// The URI taken apart.
    ///
    /// # Errors
    /// None for a value that came out of a [`super::Message`] or [`NameAddr::parse`].
    pub fn parsed_uri(&self) -> Result<Uri<'a>, ParseError> {
        Uri::parse(self.uri)
    }
}

/// The URI of a Route or Record-Route value. Without angle brackets, which the grammar wants there (RFC 3261 §20.30),
/// parameters are taken for the URI's: of the header there are none.
pub fn route_uri(value: &str) -> &str {
    let Some(at) = find(value.as_bytes(), b'<') else { return text::trim_str(value) };
    let inner = value.get(at.saturating_add(1)..).unwrap_or_default();
    inner.split_once('>').map_or(inner, |(uri, _)| uri)
}

/// All Contact values of a message.
#[derive(Clone, Debug)]
pub enum Contacts<'a> {
    /// `Contact: *` (RFC 3261 §10.2.2).
    Star,
    /// Any number of addresses, none included.
    List(Vec<Contact<'a>>),
}

/// One Contact value.
#[derive(Clone, Copy, Debug)]
pub struct Contact<'a> {
    /// As in [`NameAddr::display`].
    pub display: &'a str,
    /// As in [`NameAddr::uri`].
    pub uri: &'a str,
    /// `expires` in seconds; one that is too large is the largest, a malformed one is 3600 (RFC 3261 §10.2.1.1).
    pub expires: Option<u32>,
    /// `q` in thousandths, 0 to 1000; `None` when absent or malformed.
    pub q: Option<u16>,
    /// `+sip.instance` without its quotes, angle brackets kept: `<urn:uuid:…>` (RFC 5626 §4.1).
    pub instance: Option<&'a str>,
    /// `reg-id`, 1 or more (RFC 5626 §4.2).
    pub reg_id: Option<u32>,
    /// All header parameters, those above included.
    pub params: Params<'a>,
}

impl<'a> Contact<'a> {
    fn new(address: NameAddr<'a>) -> Self {
        let params = address.params;
        Self {
            display: address.display,
            uri: address.uri,
            expires: params.value("expires").map(delta_seconds),
            q: params.value("q").and_then(thousandths),
            instance: params.value("+sip.instance").map(unquoted),
            reg_id: params.value("reg-id").and_then(positive),
            params,
        }
    }
}

impl<'a> Contacts<'a> {
    pub(super) fn parse(lines: impl Iterator<Item = Option<&'a str>>) -> Result<Self, ParseError> {
        const BAD: ParseError = ParseError::Bad("Contact");
        let mut list = Vec::new();
        let mut star = false;
        for line in lines {
            for value in text::split(line.ok_or(BAD)?, ',') {
                if value == "*" && !star && list.is_empty() {
                    star = true;
                } else if star {
                    return Err(BAD);
                } else {
                    list.push(Contact::new(NameAddr::parse(value).map_err(|_| BAD)?));
                }
            }
        }
        Ok(if star { Self::Star } else { Self::List(list) })
    }

    /// The first address, if there is one.
    pub fn first(&self) -> Option<&Contact<'a>> {
        match self {
            Self::Star => None,
            Self::List(list) => list.first(),
        }
    }
}

/// An address checked octet by octet, before it is text.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) display: &'a [u8],
    pub(super) uri: &'a [u8],
    pub(super) params: &'a [u8],
    pub(super) tag: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let value = trim(value);
        let (display, uri, params) = match find(value, b'<') {
            Some(at) => bracketed(value, at)?,
            None => bare(value)?,
        };
        uri::check(uri)?;
        let mut fields = Self { display, uri, params: params.unwrap_or_default(), tag: None };
        if let Some(params) = params {
            std::str::from_utf8(params).ok()?;
            walk(params, |name, value| {
                let is_tag = name.eq_ignore_ascii_case(b"tag");
                if is_tag {
                    fields.tag = fields.tag.or(value);
                }
                !is_tag || value.is_some()
            })?;
        }
        Some(fields)
    }

    fn view(self) -> Option<NameAddr<'a>> {
        Some(NameAddr {
            display: std::str::from_utf8(self.display).unwrap_or_default(),
            uri: std::str::from_utf8(self.uri).ok()?,
            params: Params(std::str::from_utf8(self.params).ok()?),
        })
    }
}

type Pieces<'a> = (&'a [u8], &'a [u8], Option<&'a [u8]>);

fn bracketed(value: &[u8], at: usize) -> Option<Pieces<'_>> {
    let (display, rest) = cut(value, at);
    let (uri, rest) = cut(rest, memchr::memchr(b'>', rest)?);
    let display = trim(display);
    let params = match trim(rest) {
        [] => None,
        [b';', params @ ..] => Some(trim(params)),
        _ => return None,
    };
    is_display(display).then_some((display, uri, params))
}

// RFC 3261 §20.10: a URI with a comma, a question mark or a semicolon must stand in brackets.
fn bare(value: &[u8]) -> Option<Pieces<'_>> {
    let (uri, params) = match memchr::memchr(b';', value) {
        Some(at) => {
            let (uri, params) = cut(value, at);
            (trim(uri), Some(trim(params)))
        }
        None => (value, None),
    };
    memchr::memchr2(b'?', b',', uri).is_none().then_some((&[][..], uri, params))
}

// Without quotes the grammar wants tokens. Real peers put more there, so only what would make the value ambiguous in
// a list is refused.
fn is_display(display: &[u8]) -> bool {
    match display {
        [b'"', inner @ .., b'"'] => is_quoted_inner(inner),
        plain => memchr::memchr3(b'"', b',', b'>', plain).is_none(),
    }
}

/// RFC 3261 §25.1, qvalue: 0 to 1 with at most three digits behind the point.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = number(whole.as_bytes(), 1)?;
    if fraction.len() > 3 || !fraction.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let thousandths = number(format!("{fraction:0<3}").as_bytes(), 999)?;
    let value = whole.checked_mul(1_000)?.checked_add(thousandths)?;
    u16::try_from(value).ok().filter(|value| *value <= 1_000)
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}

fn positive(value: &str) -> Option<u32> {
    number(value.as_bytes(), u64::from(u32::MAX)).and_then(|id| u32::try_from(id).ok()).filter(|id| *id > 0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn names_and_brackets() {
        let address = NameAddr::parse(r#""A. \"B\" <x>, C" <sip:a@b;lr>;tag=1;x"#).unwrap();
        assert_eq!(address.display_name().unwrap(), r#"A. "B" <x>, C"#);
        assert_eq!((address.uri, address.tag(), address.params.has("x")), ("sip:a@b;lr", Some("1"), true));
        assert!(NameAddr::parse("caller<sip:a@b>").unwrap().display == "caller");
        assert_eq!(NameAddr::parse("<sip:a@b>").unwrap().display_name(), None);
    }

    #[test] // RFC 3261 §20.10; the trunk writes From and To like this
    fn without_brackets_parameters_are_the_headers() {
        let address = NameAddr::parse("sip:1002@host:5060;tag=abc").unwrap();
        assert_eq!((address.uri, address.tag()), ("sip:1002@host:5060", Some("abc")));
    }

    #[test] // RFC 3261 §20.10, §25.1: a bracket within quotes opens nothing
    fn brackets_in_quoted_parameters_are_text() {
        for (value, uri) in [
            (r#"sip:x@h:5070;+sip.instance="<urn:uuid:1>""#, "sip:x@h:5070"),
            (r#"sip:x@h;a="\\"<sip:no@no>"#, ""),
            (r#"sip:x@h ;a="\"<sip:no@no>";b="<x""#, "sip:x@h"),
            (r#"<sip:x@h;lr>;+sip.instance="<urn:uuid:1>""#, "sip:x@h;lr"),
            (r#"Anna <sip:x@h>;a="<sip:no@no>""#, "sip:x@h"),
            (r#""<sip:no@no>" <sip:x@h>"#, "sip:x@h"),
            (r#""\" <sip:no@no>" <sip:x@h>"#, "sip:x@h"),
            (r#""\\" <sip:x@h>"#, "sip:x@h"),
        ] {
            let found = NameAddr::parse(value).map(|address| address.uri).unwrap_or_default();
            assert_eq!(found, uri, "{value}");
        }
        let contact = NameAddr::parse(r#"sip:x@h;+sip.instance="<urn:uuid:1>";reg-id=1"#).unwrap();
        let contact = Contact::new(contact);
        assert_eq!((contact.instance, contact.reg_id), (Some("<urn:uuid:1>"), Some(1)));
    }

    #[test] // RFC 3261 §20.30, §25.1
    fn a_route_is_found_beside_quotes() {
        for (value, uri) in [
            ("<sip:p1;lr>", "sip:p1;lr"),
            (r#""a <b>" <sip:p1;lr>;x="<y>""#, "sip:p1;lr"),
            ("sip:p1:5054;lr;x=y", "sip:p1:5054;lr;x=y"),
            (r#"sip:p1;lr;x="<sip:no@no>""#, r#"sip:p1;lr;x="<sip:no@no>""#),
        ] {
            assert_eq!(route_uri(value), uri, "{value}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "*",
            "a",
            "<sip:a@b",
            "sip:a@b>",
            "\"x <sip:a@b>",
            "<sip:a@b> x",
            "<sip:a@b>;",
            "<sip:a@b>;;tag=x",
            "<sip:a@b>;tag",
            "sip:a@b?x=y",
            "Bell, A <sip:a@b>",
            "< sip:a@b >",
            "<>",
            "\"a\" \"b\" <sip:a@b>",
        ] {
            assert!(NameAddr::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn q_is_thousandths() {
        assert_eq!(thousandths("0.7"), Some(700));
        assert_eq!(thousandths("1.000"), Some(1_000));
        assert_eq!(thousandths("0"), Some(0));
        for bad in ["1.001", "2", "0.1234", ".", "", "-1", "0.x"] {
            assert_eq!(thousandths(bad), None, "{bad}");
        }
    }
}

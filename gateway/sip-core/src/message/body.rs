//! What a body is, and what lies inside one of several parts (RFC 3261 §7.4, RFC 5621, RFC 2046 §5.1).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::text::{find, is_token, trim, trim_str, unquote};
use super::{Message, Params, ParseError};

/// A Content-Type value.
#[derive(Clone, Copy, Debug)]
pub struct MediaType<'a> {
    /// `application`
    pub kind: &'a str,
    /// `sdp`
    pub subtype: &'a str,
    /// What follows `;`.
    pub params: Params<'a>,
}

impl<'a> MediaType<'a> {
    /// Reads a value; `None` when it is none.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (media, params) = match find(text.as_bytes(), b';') {
            Some(at) => (text.get(..at)?, text.get(at.saturating_add(1)..)?),
            None => (text, ""),
        };
        let (kind, subtype) = media.split_once('/')?;
        let (kind, subtype) = (trim_str(kind), trim_str(subtype));
        let sound = is_token(kind.as_bytes()) && is_token(subtype.as_bytes());
        sound.then_some(Self { kind, subtype, params: Params(params) })
    }

    /// Whether this is `kind/subtype`, compared without case.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
    }
}

impl Message {
    /// The session description in the body: the whole of it, or the first such part of a multipart. `None` without.
    ///
    /// # Errors
    /// [`ParseError::Multipart`] for a multipart that is broken, deeper than 4 levels or with more than 16 parts at one.
    pub fn sdp(&self) -> Result<Option<&[u8]>, ParseError> {
        self.body_part("application", "sdp")
    }

    /// The first part of that type; without Content-Type there is none.
    ///
    /// # Errors
    /// As [`Message::sdp`].
    pub fn body_part(&self, kind: &str, subtype: &str) -> Result<Option<&[u8]>, ParseError> {
        match self.content_type() {
            Some(media) if !self.body().is_empty() => {
                Wanted { kind, subtype }.within(media, self.body(), DEEPEST)
            }
            Some(_) | None => Ok(None),
        }
    }
}

struct Wanted<'a> {
    kind: &'a str,
    subtype: &'a str,
}

impl Wanted<'_> {
    fn within<'b>(
        &self,
        media: MediaType<'_>,
        body: &'b [u8],
        depth: usize,
    ) -> Result<Option<&'b [u8]>, ParseError> {
        if media.is(self.kind, self.subtype) {
            return Ok(Some(body));
        }
        if !media.kind.eq_ignore_ascii_case("multipart") {
            return Ok(None);
        }
        let depth = depth.checked_sub(1).ok_or(ParseError::Multipart)?;
        let boundary = boundary(media).ok_or(ParseError::Multipart)?;
        let mut parts = Parts::new(body, &boundary).ok_or(ParseError::Multipart)?;
        for _ in 0..MOST_PARTS {
            let Some(part) = parts.next()? else { return Ok(None) };
            if let Some((inner, content)) = part_type(part)
                && let Some(found) = self.within(inner, content, depth)?
            {
                return Ok(Some(found));
            }
        }
        parts.next()?.map_or(Ok(None), |_| Err(ParseError::Multipart))
    }
}

fn boundary(media: MediaType<'_>) -> Option<Vec<u8>> {
    let boundary = unquote(media.params.value("boundary")?);
    let sound = !boundary.is_empty() && boundary.len() <= LONGEST_BOUNDARY && boundary.is_ascii();
    sound.then(|| [b"\r\n--", boundary.as_bytes()].concat())
}

/// Walks the parts between delimiters.
struct Parts<'a, 'd> {
    rest: &'a [u8],
    /// CRLF, two dashes and the boundary.
    delimiter: &'d [u8],
    last: bool,
}

impl<'a, 'd> Parts<'a, 'd> {
    fn new(body: &'a [u8], delimiter: &'d [u8]) -> Option<Self> {
        // The first delimiter may begin the body, without a line break before it.
        let first = delimiter.get(2..)?;
        let rest = match body.strip_prefix(first) {
            Some(rest) => rest,
            None => {
                let at = memchr::memmem::find(body, delimiter)?;
                body.get(at.saturating_add(delimiter.len())..)?
            }
        };
        Some(Self { rest, delimiter, last: false })
    }

    /// Headers and content of the next part.
    fn next(&mut self) -> Result<Option<&'a [u8]>, ParseError> {
        if self.last || self.rest.starts_with(b"--") {
            self.last = true;
            return Ok(None);
        }
        let line_end = memchr::memmem::find(self.rest, b"\r\n").ok_or(ParseError::Multipart)?;
        let (padding, behind) = self.rest.split_at_checked(line_end).ok_or(ParseError::Multipart)?;
        if !trim(padding).is_empty() {
            return Err(ParseError::Multipart);
        }
        let end = memchr::memmem::find(behind, self.delimiter).ok_or(ParseError::Multipart)?;
        let (part, rest) = behind.split_at_checked(end).ok_or(ParseError::Multipart)?;
        self.rest = rest.get(self.delimiter.len()..).unwrap_or_default();
        Ok(Some(part))
    }
}

/// The Content-Type of a part that begins with the CRLF behind its delimiter, and what lies behind its headers.
fn part_type(part: &[u8]) -> Option<(MediaType<'_>, &[u8])> {
    let at = memchr::memmem::find(part, b"\r\n\r\n")?;
    let (head, content) = part.split_at_checked(at)?;
    let head = std::str::from_utf8(head).ok()?;
    let value = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        trim_str(name).eq_ignore_ascii_case("Content-Type").then_some(trim_str(value))
    })?;
    Some((MediaType::parse(value)?, content.get(4..)?))
}

const DEEPEST: usize = 4;
const MOST_PARTS: usize = 16;
const LONGEST_BOUNDARY: usize = 70;

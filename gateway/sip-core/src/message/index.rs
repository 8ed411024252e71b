//! Where everything stands in a message: offsets, found once.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::name::Known;
use super::text::{cut, find, number, trim};
use super::uri::{self, Headers};
use super::{Limits, Method, ParseError, Status, address, via};

/// A stretch of the text, as offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Self {
        let offset = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: offset(start), end: offset(end) }
    }

    /// Where `part`, a piece of `text`, stands in it.
    pub(super) fn of(text: &[u8], part: &[u8]) -> Self {
        if part.is_empty() {
            return Self::default();
        }
        let start = part.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
        Self::new(start, start.saturating_add(part.len()))
    }

    pub(super) fn get(self, text: &[u8]) -> &[u8] {
        let (Ok(start), Ok(end)) = (usize::try_from(self.start), usize::try_from(self.end)) else {
            return &[];
        };
        text.get(start..end).unwrap_or_default()
    }

    /// The text, or nothing where it is no UTF-8.
    pub(super) fn text(self, text: &[u8]) -> Option<&str> {
        std::str::from_utf8(self.get(text)).ok()
    }

    /// The same stretch after `by` octets were put in (or taken out, when negative) at `from`.
    pub(super) fn shifted(self, from: u32, by: i32) -> Self {
        if self.start >= from {
            Self { start: self.start.saturating_add_signed(by), end: self.end.saturating_add_signed(by) }
        } else {
            self
        }
    }
}

/// One header line, continuations included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) known: Known,
    pub(super) name: Span,
    pub(super) value: Span,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    Request { uri: Span },
    Response { status: Status, reason: Span },
}

/// The parts of the topmost Via.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TopVia {
    pub(super) value: Span,
    pub(super) transport: Span,
    pub(super) sent_by: Span,
    pub(super) host: Span,
    pub(super) port: Option<u16>,
    pub(super) params: Span,
    pub(super) branch: Option<Span>,
    pub(super) received: Option<Span>,
    pub(super) rport: Option<Option<u16>>,
}

impl TopVia {
    /// `value` is a piece of `text`.
    pub(super) fn read(text: &[u8], value: &[u8]) -> Option<Self> {
        let fields = via::Fields::parse(value)?;
        let span = |part| Span::of(text, part);
        Some(Self {
            value: span(value),
            transport: span(fields.transport),
            sent_by: span(fields.sent_by),
            host: span(fields.host),
            port: fields.port,
            params: span(fields.params),
            branch: fields.branch.map(span),
            received: fields.received.map(span),
            rport: fields.rport,
        })
    }
}

/// The parts of From or To.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Address {
    pub(super) display: Span,
    pub(super) uri: Span,
    pub(super) params: Span,
    pub(super) tag: Option<Span>,
}

impl Address {
    fn read(text: &[u8], value: &[u8], name: &'static str) -> Result<Self, ParseError> {
        let fields = address::Fields::parse(value).ok_or(ParseError::Bad(name))?;
        let span = |part| Span::of(text, part);
        Ok(Self {
            display: span(fields.display),
            uri: span(fields.uri),
            params: span(fields.params),
            tag: fields.tag.map(span),
        })
    }

    fn shifted(self, from: u32, by: i32) -> Self {
        Self {
            display: self.display.shifted(from, by),
            uri: self.uri.shifted(from, by),
            params: self.params.shifted(from, by),
            tag: self.tag.map(|tag| tag.shifted(from, by)),
        }
    }
}

/// What a message is known to hold. Making one is the check that the mandatory parts are there and sound.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pub(super) start: Start,
    pub(super) method: Method,
    pub(super) lines: Vec<Line>,
    pub(super) via: TopVia,
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) call_id: Span,
    pub(super) cseq: u32,
    pub(super) max_forwards: Option<u8>,
    pub(super) body: Span,
}

impl Index {
    /// Checks the lines of a message whose body begins at `body`. `method` is the request's, `None` for a response.
    pub(super) fn new(
        text: &[u8],
        start: Start,
        method: Option<Method>,
        lines: Vec<Line>,
        body: usize,
        limits: &Limits,
    ) -> Result<Self, ParseError> {
        let found = Found::collect(text, &lines, limits)?;
        let (cseq, cseq_method) = cseq(found.cseq.ok_or(ParseError::Missing("CSeq"))?)?;
        let method = match (start, method) {
            (Start::Request { uri }, Some(method)) => {
                request_uri(uri.get(text))?;
                if method.as_str().as_bytes() != cseq_method {
                    return Err(ParseError::CSeqMethod);
                }
                method
            }
            (Start::Request { .. } | Start::Response { .. }, _) => {
                Method::from_token(cseq_method).ok_or(ParseError::Bad("CSeq"))?
            }
        };
        let max_forwards = match (start, found.max_forwards) {
            (Start::Request { .. }, Some(value)) => Some(max_forwards(value)?),
            (Start::Request { .. } | Start::Response { .. }, _) => None,
        };
        Ok(Self {
            start,
            method,
            via: found.via.ok_or(ParseError::Missing("Via"))?,
            from: Address::read(text, found.from.ok_or(ParseError::Missing("From"))?, "From")?,
            to: Address::read(text, found.to.ok_or(ParseError::Missing("To"))?, "To")?,
            call_id: Span::of(text, call_id(found.call_id.ok_or(ParseError::Missing("Call-ID"))?)?),
            cseq,
            max_forwards,
            body: body_span(text, body, found.content_length, limits)?,
            lines,
        })
    }

    /// The same message after its topmost Via, and nothing else, was replaced by one `by` octets longer.
    pub(super) fn with_via(&self, via: TopVia, by: i32) -> Self {
        let from = self.via.value.end;
        let line = |line: &Line| {
            // The line that holds the Via begins before the change and ends behind it.
            let grown = |end: u32| if end >= from { end.saturating_add_signed(by) } else { end };
            let value = line.value.shifted(from, by);
            let value = if line.value.start < from { Span { end: grown(value.end), ..value } } else { value };
            Line { known: line.known, name: line.name.shifted(from, by), value }
        };
        Self {
            start: self.start,
            method: self.method.clone(),
            lines: self.lines.iter().map(line).collect(),
            via,
            from: self.from.shifted(from, by),
            to: self.to.shifted(from, by),
            call_id: self.call_id.shifted(from, by),
            cseq: self.cseq,
            max_forwards: self.max_forwards,
            body: self.body.shifted(from, by),
        }
    }
}

/// The values of the headers every message is judged by.
#[derive(Default)]
struct Found<'a> {
    via: Option<TopVia>,
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    call_id: Option<&'a [u8]>,
    cseq: Option<&'a [u8]>,
    max_forwards: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    content_type: Option<&'a [u8]>,
}

impl<'a> Found<'a> {
    fn collect(text: &'a [u8], lines: &[Line], limits: &Limits) -> Result<Self, ParseError> {
        let mut found = Self::default();
        let mut vias = 0;
        for line in lines {
            let value = line.value.get(text);
            let (slot, name) = match line.known {
                Known::Via => {
                    vias = found.vias(text, value, vias, limits)?;
                    continue;
                }
                Known::From => (&mut found.from, "From"),
                Known::To => (&mut found.to, "To"),
                Known::CallId => (&mut found.call_id, "Call-ID"),
                Known::CSeq => (&mut found.cseq, "CSeq"),
                Known::MaxForwards => (&mut found.max_forwards, "Max-Forwards"),
                Known::ContentLength => (&mut found.content_length, "Content-Length"),
                Known::ContentType => (&mut found.content_type, "Content-Type"),
                _ => continue,
            };
            // RFC 3261 §7.3.1: only headers whose value is a list may stand more than once.
            if slot.replace(value).is_some() {
                return Err(ParseError::Repeated(name));
            }
        }
        Ok(found)
    }

    fn vias(
        &mut self,
        text: &[u8],
        line: &[u8],
        before: usize,
        limits: &Limits,
    ) -> Result<usize, ParseError> {
        let mut count = before;
        for value in pieces(line) {
            count = count.saturating_add(1);
            if count > limits.vias {
                return Err(ParseError::TooManyVias);
            }
            let bad = ParseError::Bad("Via");
            match self.via {
                None => self.via = Some(TopVia::read(text, value).ok_or(bad)?),
                Some(_) => drop(via::Fields::parse(value).ok_or(bad)?),
            }
        }
        Ok(count)
    }
}

/// The values of a comma list, trimmed, empty ones included.
pub(super) fn pieces(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let whole = rest?;
        let piece = match find(whole, b',') {
            Some(at) => {
                let (piece, tail) = cut(whole, at);
                rest = Some(tail);
                piece
            }
            None => {
                rest = None;
                whole
            }
        };
        Some(trim(piece))
    })
}

fn request_uri(uri: &[u8]) -> Result<(), ParseError> {
    // RFC 3261 §19.1.1, table 1: no headers in a Request-URI.
    match uri::check(uri) {
        Some(Headers::None) => Ok(()),
        Some(Headers::Some) | None => Err(ParseError::RequestUri),
    }
}

/// RFC 3261 §8.1.1.5: the number is below 2^31.
pub(super) fn cseq(value: &[u8]) -> Result<(u32, &[u8]), ParseError> {
    const BAD: ParseError = ParseError::Bad("CSeq");
    let (digits, method) = cut(value, memchr::memchr2(b' ', b'\t', value).ok_or(BAD)?);
    let number = number(digits, 0x7fff_ffff).and_then(|number| u32::try_from(number).ok()).ok_or(BAD)?;
    Ok((number, trim(method)))
}

/// RFC 3261 §20.22: 0 to 255.
fn max_forwards(value: &[u8]) -> Result<u8, ParseError> {
    number(value, 255).and_then(|hops| u8::try_from(hops).ok()).ok_or(ParseError::Bad("Max-Forwards"))
}

/// `word [ "@" word ]`, read as: visible ASCII without blanks.
pub(super) fn call_id(value: &[u8]) -> Result<&[u8], ParseError> {
    let sound = !value.is_empty() && value.iter().all(u8::is_ascii_graphic);
    sound.then_some(value).ok_or(ParseError::Bad("Call-ID"))
}

// RFC 3261 §18.3: over a datagram the message ends where Content-Length says, or with the datagram; a datagram that
// is too short is an error.
fn body_span(text: &[u8], start: usize, length: Option<&[u8]>, limits: &Limits) -> Result<Span, ParseError> {
    let there = text.len().saturating_sub(start);
    let length = match length {
        Some(value) => content_length(value)?,
        None => there,
    };
    if length > limits.body {
        return Err(ParseError::BodyTooLarge);
    }
    if length > there {
        return Err(ParseError::BodyCut);
    }
    Ok(Span::new(start, start.saturating_add(length)))
}

/// Any number of digits up to that of `u64`; what exceeds the machine's size is as large as can be.
pub(super) fn content_length(value: &[u8]) -> Result<usize, ParseError> {
    let length = number(value, u64::MAX).ok_or(ParseError::Bad("Content-Length"))?;
    Ok(usize::try_from(length).unwrap_or(usize::MAX))
}

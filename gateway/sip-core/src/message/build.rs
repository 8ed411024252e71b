//! Making messages of our own: the wire form and its index in one pass.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt::{Display, Write};

use bytes::Bytes;

use super::index::{Index, Line, Span, Start};
use super::name::Known;
use super::text::is_token;
use super::{Limits, Message, Method, Name, ParseError, Status, address};

/// Our own message breaks a rule: a mandatory header is missing, a value is malformed. A fault of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message cannot be built: {0}")]
pub struct BuildError(#[from] pub ParseError);

/// Writes a message. Headers stand in the order of the calls; Content-Length is added at the end.
///
/// CR, LF and NUL in a value become blanks, so no value can end its line.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    text: Vec<u8>,
    start: Start,
    method: Option<Method>,
    lines: Vec<Line>,
    body: Vec<u8>,
    fault: Option<ParseError>,
}

impl Builder {
    /// A request to `uri`.
    pub fn request(method: &Method, uri: &str) -> Self {
        let mut text = Vec::with_capacity(TYPICAL_HEAD);
        put(&mut text, method.as_str().as_bytes());
        text.push(b' ');
        let uri = written(&mut text, |text| put(text, uri.as_bytes()));
        text.extend_from_slice(b" SIP/2.0\r\n");
        let fault = (!is_token(method.as_str().as_bytes())).then_some(ParseError::Method);
        Self { fault, ..Self::new(text, Start::Request { uri }, Some(method.clone())) }
    }

    /// A response; without `reason` the usual phrase.
    pub fn response(status: Status, reason: Option<&str>) -> Self {
        let mut text = Vec::with_capacity(TYPICAL_HEAD);
        let _ = write!(Sink(&mut text), "SIP/2.0 {status} ");
        let reason = written(&mut text, |text| put(text, reason.unwrap_or(status.reason()).as_bytes()));
        text.extend_from_slice(b"\r\n");
        Self::new(text, Start::Response { status, reason }, None)
    }

    /// Adds a header line.
    pub fn header(self, name: Name<'_>, value: impl Display) -> Self {
        self.line(name, |text| {
            // The sink takes everything.
            let _ = write!(Sink(text), "{value}");
        })
    }

    /// Adds a header line for each value.
    pub fn headers<V: Display>(self, name: Name<'_>, values: impl IntoIterator<Item = V>) -> Self {
        values.into_iter().fold(self, |builder, value| builder.header(name, value))
    }

    /// Adds a header line whose value need not be UTF-8.
    pub fn header_bytes(self, name: Name<'_>, value: &[u8]) -> Self {
        self.line(name, |text| put(text, value))
    }

    /// Sets the body and adds its Content-Type.
    pub fn body(self, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        let mut builder = self.header(Name::ContentType, content_type);
        builder.body.clear();
        builder.body.extend_from_slice(body.as_ref());
        builder
    }

    /// Adds a tag to the To line, which stands already; one that has a tag keeps it (RFC 3261 §8.2.6.2).
    pub fn to_tag(mut self, tag: &str) -> Self {
        let Some(line) = self.lines.iter().position(|line| line.known == Known::To) else {
            self.fault.get_or_insert(ParseError::Missing("To"));
            return self;
        };
        let Some(value) = self.lines.get(line).map(|line| line.value) else { return self };
        if address::Fields::parse(value.get(&self.text)).is_none_or(|to| to.tag.is_some()) {
            return self;
        }
        let mut added = Vec::with_capacity(tag.len().saturating_add(5));
        added.extend_from_slice(b";tag=");
        put(&mut added, tag.as_bytes());
        let (at, by) = (value.end, i32::try_from(added.len()).unwrap_or(i32::MAX));
        let end = usize::try_from(at).unwrap_or(usize::MAX).min(self.text.len());
        drop(self.text.splice(end..end, added));
        for (other, moved) in self.lines.iter_mut().enumerate() {
            moved.name = moved.name.shifted(at, by);
            moved.value = moved.value.shifted(at, by);
            if other == line {
                moved.value.end = moved.value.end.saturating_add_signed(by);
            }
        }
        self
    }

    /// The message.
    ///
    /// # Errors
    /// [`BuildError`] when it would not be a sound message.
    pub fn build(mut self) -> Result<Message, BuildError> {
        let body = std::mem::take(&mut self.body);
        self = self.header(Name::ContentLength, body.len());
        let Self { mut text, start, method, lines, fault, .. } = self;
        text.reserve_exact(body.len().saturating_add(2));
        text.extend_from_slice(b"\r\n");
        let at = text.len();
        text.extend_from_slice(&body);
        if let Some(fault) = fault {
            return Err(BuildError(fault));
        }
        let raw = Bytes::from(text);
        let index = Index::new(&raw, start, method, lines, at, &OWN)?;
        Ok(Message::new(raw.clone(), raw, index))
    }

    fn new(text: Vec<u8>, start: Start, method: Option<Method>) -> Self {
        Self {
            text,
            start,
            method,
            lines: Vec::with_capacity(TYPICAL_HEADERS),
            body: Vec::new(),
            fault: None,
        }
    }

    fn line(mut self, name: Name<'_>, value: impl FnOnce(&mut Vec<u8>)) -> Self {
        if let Name::Other(text) = name
            && !is_token(text.as_bytes())
        {
            self.fault.get_or_insert(ParseError::HeaderLine);
            return self;
        }
        let text = &mut self.text;
        let spelling = written(text, |text| text.extend_from_slice(name.as_str().as_bytes()));
        text.extend_from_slice(b": ");
        let value = written(text, value);
        text.extend_from_slice(b"\r\n");
        self.lines.push(Line { known: name.known(), name: spelling, value });
        self
    }
}

impl Message {
    /// The beginning of a response to this request: Via, From, To, Call-ID and CSeq copied (RFC 3261 §8.2.6.2), for
    /// 100 the Timestamp (§8.2.6.1), for 101 to 299 the Record-Route (§12.1.1).
    pub fn response(&self, status: Status) -> Builder {
        let copy = |builder: Builder, known: Known| {
            self.index().lines.iter().filter(|line| line.known == known).fold(builder, |builder, line| {
                // The text holds no line breaks inside values, so it is copied as it is.
                let value = line.value.get(self.text());
                builder.line(known.name(""), |text| text.extend_from_slice(value))
            })
        };
        let mut builder = copy(Builder::response(status, None), Known::Via);
        if !status.is_failure() {
            let also = if status == Status::TRYING { Known::Timestamp } else { Known::RecordRoute };
            builder = copy(builder, also);
        }
        [Known::From, Known::To, Known::CallId, Known::CSeq].into_iter().fold(builder, copy)
    }
}

/// Where `write` wrote.
fn written(text: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Span {
    let start = text.len();
    write(text);
    Span::new(start, text.len())
}

/// Appends a value, unable to break out of its line.
fn put(text: &mut Vec<u8>, value: &[u8]) {
    if memchr::memchr3(b'\r', b'\n', 0, value).is_none() {
        text.extend_from_slice(value);
    } else {
        text.extend(value.iter().map(|c| if matches!(c, b'\r' | b'\n' | 0) { b' ' } else { *c }));
    }
}

struct Sink<'a>(&'a mut Vec<u8>);

impl Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        put(self.0, text.as_bytes());
        Ok(())
    }
}

/// Our own messages are bounded where they are made.
const OWN: Limits =
    Limits { message: usize::MAX, body: usize::MAX, headers: usize::MAX, line: usize::MAX, vias: usize::MAX };

const TYPICAL_HEAD: usize = 1_024;
const TYPICAL_HEADERS: usize = 16;

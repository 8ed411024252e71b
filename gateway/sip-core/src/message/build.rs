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
pub struct Builder(Box<Draft>);

/// Boxed, because a builder moves with each call.
#[derive(Clone, Debug)]
struct Draft {
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
        Self::new(text, Start::Request { uri }, Some(method.clone()), fault)
    }

    /// A response; without `reason` the usual phrase.
    pub fn response(status: Status, reason: Option<&str>) -> Self {
        let mut text = Vec::with_capacity(TYPICAL_HEAD);
        text.extend_from_slice(b"SIP/2.0 ");
        put_number(&mut text, u64::from(status.code()));
        text.push(b' ');
        let reason = written(&mut text, |text| put(text, reason.unwrap_or(status.reason()).as_bytes()));
        text.extend_from_slice(b"\r\n");
        Self::new(text, Start::Response { status, reason }, None, None)
    }

    /// Adds a header line.
    pub fn header(mut self, name: Name<'_>, value: impl Display) -> Self {
        self.0.line(name, |text| {
            // The sink takes everything.
            let _ = write!(Sink(text), "{value}");
        });
        self
    }

    /// Adds a header line for each value.
    pub fn headers<V: Display>(self, name: Name<'_>, values: impl IntoIterator<Item = V>) -> Self {
        values.into_iter().fold(self, |builder, value| builder.header(name, value))
    }

    /// Adds a header line whose value need not be UTF-8.
    pub fn header_bytes(mut self, name: Name<'_>, value: &[u8]) -> Self {
        self.0.line(name, |text| put(text, value));
        self
    }

    /// Sets the body and adds its Content-Type.
    pub fn body(mut self, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        self.0.line(Name::ContentType, |text| put(text, content_type.as_bytes()));
        self.0.body = body.as_ref().to_vec();
        self
    }

    /// Adds a tag to the To line, which stands already; one that has a tag keeps it (RFC 3261 §8.2.6.2).
    pub fn to_tag(mut self, tag: &str) -> Self {
        self.0.tag_to(tag);
        self
    }

    /// The message.
    ///
    /// # Errors
    /// [`BuildError`] when it would not be a sound message.
    pub fn build(self) -> Result<Message, BuildError> {
        let mut draft = *self.0;
        let length = u64::try_from(draft.body.len()).unwrap_or(u64::MAX);
        draft.line(Name::ContentLength, |text| put_number(text, length));
        let Draft { text: head, start, method, lines, body, fault } = draft;
        let at = head.len().saturating_add(2);
        let mut text = Vec::with_capacity(at.saturating_add(body.len()));
        text.extend_from_slice(&head);
        text.extend_from_slice(b"\r\n");
        text.extend_from_slice(&body);
        if let Some(fault) = fault {
            return Err(BuildError(fault));
        }
        let raw = Bytes::from(text);
        let index = Index::new(&raw, start, method, lines, at, &OWN)?;
        Ok(Message::new(raw, None, index))
    }

    fn new(text: Vec<u8>, start: Start, method: Option<Method>, fault: Option<ParseError>) -> Self {
        let lines = Vec::with_capacity(TYPICAL_HEADERS);
        Self(Box::new(Draft { text, start, method, lines, body: Vec::new(), fault }))
    }
}

impl Draft {
    fn line(&mut self, name: Name<'_>, value: impl FnOnce(&mut Vec<u8>)) {
        if let Name::Other(text) = name
            && !is_token(text.as_bytes())
        {
            self.fault.get_or_insert(ParseError::HeaderLine);
            return;
        }
        let text = &mut self.text;
        let spelling = written(text, |text| text.extend_from_slice(name.as_str().as_bytes()));
        text.extend_from_slice(b": ");
        let value = written(text, value);
        text.extend_from_slice(b"\r\n");
        self.lines.push(Line { known: name.known(), name: spelling, value });
    }

    fn tag_to(&mut self, tag: &str) {
        let Some(line) = self.lines.iter().position(|line| line.known == Known::To) else {
            self.fault.get_or_insert(ParseError::Missing("To"));
            return;
        };
        let Some(value) = self.lines.get(line).map(|line| line.value) else { return };
        if address::Fields::parse(value.get(&self.text)).is_none_or(|to| to.tag.is_some()) {
            return;
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
    }
}

impl Message {
    /// The beginning of a response to this request: Via, From, To, Call-ID and CSeq copied (RFC 3261 §8.2.6.2), for
    /// 100 the Timestamp (§8.2.6.1), for 101 to 299 the Record-Route (§12.1.1).
    pub fn response(&self, status: Status) -> Builder {
        let mut builder = Builder::response(status, None);
        self.copy(Known::Via, &mut builder);
        if status == Status::TRYING {
            self.copy(Known::Timestamp, &mut builder);
        } else if !status.is_failure() {
            self.copy(Known::RecordRoute, &mut builder);
        }
        for known in [Known::From, Known::To, Known::CallId, Known::CSeq] {
            self.copy(known, &mut builder);
        }
        builder
    }

    /// The text holds no line breaks inside values, so they are copied as they are.
    fn copy(&self, known: Known, to: &mut Builder) {
        for line in self.index().lines.iter().filter(|line| line.known == known) {
            let value = line.value.get(self.text());
            to.0.line(known.name(""), |text| text.extend_from_slice(value));
        }
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

/// Decimal, without the machinery of formatting.
fn put_number(text: &mut Vec<u8>, mut number: u64) {
    let start = text.len();
    loop {
        text.push(u8::try_from(number % 10).unwrap_or(0).saturating_add(b'0'));
        number /= 10;
        if number == 0 {
            break;
        }
    }
    if let Some(digits) = text.get_mut(start..) {
        digits.reverse();
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

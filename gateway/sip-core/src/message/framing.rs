//! Messages out of a stream of octets (RFC 3261 §18.3, RFC 5626 §3.5.1).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bytes::{Buf, Bytes, BytesMut};

use super::index::content_length;
use super::name::Known;
use super::scan::Scan;
use super::{Limits, Malformed, ParseError, reply};

/// What a stream carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One whole message, to be read with [`super::Message::parse`].
    Message(Bytes),
    /// CRLF CRLF between messages: to be answered with a CRLF (RFC 5626 §4.4.1).
    KeepAlivePing,
    /// A CRLF between messages. The first half of a ping is reported as this too, as nobody can tell them apart
    /// before the second half comes.
    KeepAlivePong,
}

/// Cuts the octets of one TCP or TLS connection into messages.
///
/// It holds one message at most: feed, then take frames until there is none. What the head announces is judged before
/// room is made for it. After an error the connection is of no further use: send the reply, if there is one, and close.
#[derive(Debug)]
pub struct Stream {
    limits: Limits,
    buffer: BytesMut,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Between messages; `half` after one CRLF.
    Idle { half: bool },
    /// Inside a head, whose first `searched` octets hold no end.
    Head { searched: usize },
    /// The whole message has `length` octets.
    Body { length: usize },
    /// Nothing more is read.
    Broken,
}

impl Stream {
    /// A stream at its beginning.
    pub fn new(limits: Limits) -> Self {
        Self { limits, buffer: BytesMut::new(), state: State::Idle { half: false } }
    }

    /// Takes what arrived. After an error it is discarded.
    pub fn feed(&mut self, octets: &[u8]) {
        if !matches!(self.state, State::Broken) {
            self.buffer.extend_from_slice(octets);
        }
    }

    /// The next frame; `None` when more octets are needed. An error comes once, then `None` for ever.
    ///
    /// Named as an iterator's, but more may follow after `None`.
    #[expect(clippy::should_implement_trait, reason = "an iterator that ends is over, a stream is not")]
    pub fn next(&mut self) -> Option<Result<Frame, Malformed>> {
        loop {
            let step = match self.state {
                State::Idle { half } => self.between(half),
                State::Head { searched } => self.head(searched),
                State::Body { length } => self.body(length),
                State::Broken => Step::Starved,
            };
            match step {
                Step::On => {}
                Step::Starved => return None,
                Step::Frame(frame) => return Some(Ok(frame)),
                Step::Fault(fault) => return Some(Err(self.broken(fault))),
            }
        }
    }

    /// Octets waiting for the rest of their message; for time limits on half messages.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    fn between(&mut self, half: bool) -> Step {
        match *self.buffer {
            [] | [b'\r'] => Step::Starved,
            [b'\r', b'\n', ..] => {
                self.buffer.advance(2);
                self.state = State::Idle { half: !half };
                Step::Frame(if half { Frame::KeepAlivePing } else { Frame::KeepAlivePong })
            }
            [..] => {
                self.state = State::Head { searched: 0 };
                Step::On
            }
        }
    }

    fn head(&mut self, searched: usize) -> Step {
        let fresh = self.buffer.get(searched..).unwrap_or_default();
        match memchr::memmem::find(fresh, END_OF_HEAD) {
            Some(at) => {
                let head = searched.saturating_add(at).saturating_add(END_OF_HEAD.len());
                match self.message_length(head) {
                    Ok(length) => {
                        self.state = State::Body { length };
                        Step::On
                    }
                    Err(fault) => Step::Fault(fault),
                }
            }
            None if self.buffer.len() >= self.limits.message => Step::Fault(ParseError::MessageTooLarge),
            None => {
                let searched = self.buffer.len().saturating_sub(END_OF_HEAD.len().saturating_sub(1));
                self.state = State::Head { searched };
                Step::Starved
            }
        }
    }

    fn body(&mut self, length: usize) -> Step {
        if self.buffer.len() < length {
            self.buffer.reserve(length.saturating_sub(self.buffer.len()));
            return Step::Starved;
        }
        self.state = State::Idle { half: false };
        Step::Frame(Frame::Message(self.buffer.split_to(length).freeze()))
    }

    // RFC 3261 §20.14: on a stream Content-Length must be there. Two of different value are how a second message is
    // smuggled past one of two readers.
    fn message_length(&self, head: usize) -> Result<usize, ParseError> {
        if head > self.limits.message {
            return Err(ParseError::MessageTooLarge);
        }
        let scan = Scan::of(self.buffer.get(..head).unwrap_or_default(), &self.limits);
        if let Some(fault) = scan.fault {
            return Err(fault);
        }
        let mut length = None;
        for line in scan.lines.iter().filter(|line| line.known == Known::ContentLength) {
            let value = content_length(line.value.get(&self.buffer))?;
            if length.replace(value).is_some_and(|before| before != value) {
                return Err(ParseError::Repeated("Content-Length"));
            }
        }
        let length = length.ok_or(ParseError::Missing("Content-Length"))?;
        if length > self.limits.body {
            return Err(ParseError::BodyTooLarge);
        }
        let whole = head.saturating_add(length);
        if whole > self.limits.message { Err(ParseError::MessageTooLarge) } else { Ok(whole) }
    }

    fn broken(&mut self, fault: ParseError) -> Malformed {
        self.state = State::Broken;
        let mut head = std::mem::take(&mut self.buffer).freeze();
        head.truncate(self.limits.message);
        let scan = Scan::of(&head, &self.limits);
        reply::malformed(&head, &scan, fault)
    }
}

enum Step {
    On,
    Starved,
    Frame(Frame),
    Fault(ParseError),
}

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

//! A text taken apart into its lines.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use memchr::memchr;

use super::error::SdpError;
use super::words::Fault;

/// Lines end with CRLF or LF alone (RFC 8866 §5); blanks at their ends are no part of them, empty ones are passed over.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    number: u32,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self { rest: text, number: 0 }
    }

    /// The type and value of the next line; a line without `=` has type 0.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            let line = self.take_line()?;
            match line {
                [] => {}
                [kind, b'=', value @ ..] => return Some((*kind, value)),
                _ => return Some((0, line)),
            }
        }
    }

    fn take_line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number = self.number.saturating_add(1);
        let end = memchr(b'\n', self.rest).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(1..).unwrap_or_default();
        Some(line.trim_ascii_end())
    }

    /// Of the line read last, counted from 1.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// A rule was broken by the line read last.
    pub(super) fn error(&self, what: Fault) -> SdpError {
        SdpError::Malformed { line: self.number, what }
    }
}

//! Lines: where the head of a message begins and ends, and each header in it (RFC 3261 §7.1–§7.3).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::index::{Line, Span, Start};
use super::name::Known;
use super::text::{cut, cut_at, is_space, is_token_octet, number, trim};
use super::{Limits, Method, ParseError, Status};

/// What was read of a head, also when it is broken: the answer to a broken request is made of it.
#[derive(Default)]
pub(super) struct Scan {
    /// The whole start line.
    pub(super) start_line: Span,
    /// Absent when the start line is broken.
    pub(super) start: Option<(Start, Option<Method>)>,
    /// The header lines in order.
    pub(super) lines: Vec<Line>,
    /// Where CRLFs stand that continue a line.
    pub(super) folds: Vec<usize>,
    /// Where the body begins.
    pub(super) body: usize,
    /// The first fault.
    pub(super) fault: Option<ParseError>,
}

impl Scan {
    /// Reads a head to its end or to a fault after which lines cannot be told apart.
    pub(super) fn of(raw: &[u8], limits: &Limits) -> Self {
        let mut scan = Self { lines: Vec::with_capacity(TYPICAL_HEADERS), ..Self::default() };
        if let Err(fault) = scan.run(raw, limits) {
            scan.fault.get_or_insert(fault);
        }
        scan
    }

    fn run(&mut self, raw: &[u8], limits: &Limits) -> Result<(), ParseError> {
        let mut lines = Lines { raw, at: 0, line: limits.line };
        let start_line =
            lines.next().map_err(|fault| if raw.is_empty() { ParseError::Empty } else { fault })?;
        self.start_line = Span::of(raw, start_line);
        match start(raw, start_line) {
            Ok(start) => self.start = Some(start),
            Err(fault) => self.fault = Some(fault),
        }
        loop {
            let line = lines.next_folded(&mut self.folds);
            match line {
                Ok([]) => break,
                Ok(_) if self.lines.len() >= limits.headers => return Err(ParseError::TooManyHeaders),
                Ok(line) => match header(raw, line) {
                    Some(line) => self.lines.push(line),
                    None => drop(self.fault.get_or_insert(ParseError::HeaderLine)),
                },
                Err(ParseError::LineTooLong) => drop(self.fault.get_or_insert(ParseError::LineTooLong)),
                Err(fault) => return Err(fault),
            }
        }
        self.body = lines.at;
        Ok(())
    }
}

/// Octets of the CRLFs before a message, which RFC 3261 §7.5 tells to ignore.
pub(super) fn leading_line_breaks(raw: &[u8]) -> usize {
    let mut rest = raw;
    while let [b'\r', b'\n', behind @ ..] = rest {
        rest = behind;
    }
    raw.len().saturating_sub(rest.len())
}

/// Walks CRLF-terminated lines.
pub(super) struct Lines<'a> {
    pub(super) raw: &'a [u8],
    pub(super) at: usize,
    /// Most octets of one line.
    pub(super) line: usize,
}

impl<'a> Lines<'a> {
    fn rest(&self) -> &'a [u8] {
        self.raw.get(self.at..).unwrap_or_default()
    }

    /// The next physical line without its CRLF.
    pub(super) fn next(&mut self) -> Result<&'a [u8], ParseError> {
        let rest = self.rest();
        let end = memchr::memchr2(b'\r', b'\n', rest).ok_or(ParseError::Unterminated)?;
        let (line, behind) = rest.split_at_checked(end).ok_or(ParseError::Unterminated)?;
        match behind {
            [b'\r', b'\n', ..] => {}
            [b'\r'] => return Err(ParseError::Unterminated),
            _ => return Err(ParseError::BareLineBreak),
        }
        self.at = self.at.saturating_add(end).saturating_add(2);
        if line.len() > self.line { Err(ParseError::LineTooLong) } else { Ok(line) }
    }

    /// The next line with its continuations (RFC 3261 §7.3.1); the place of each CRLF inside is noted.
    pub(super) fn next_folded(&mut self, folds: &mut Vec<usize>) -> Result<&'a [u8], ParseError> {
        let start = self.at;
        let mut line = self.next();
        if matches!(line, Ok([])) {
            return line;
        }
        while matches!(self.rest().first(), Some(b' ' | b'\t')) {
            folds.push(self.at.saturating_sub(2));
            line = self.next().and(line);
            if let Err(ParseError::BareLineBreak | ParseError::Unterminated) = line {
                return line;
            }
            let whole = self.raw.get(start..self.at.saturating_sub(2)).unwrap_or_default();
            line = if whole.len() > self.line { Err(ParseError::LineTooLong) } else { line.map(|_| whole) };
        }
        line
    }
}

fn start(raw: &[u8], line: &[u8]) -> Result<(Start, Option<Method>), ParseError> {
    if line.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/")) {
        status_line(raw, line).map(|start| (start, None))
    } else {
        request_line(raw, line).map(|(start, method)| (start, Some(method)))
    }
}

fn status_line(raw: &[u8], line: &[u8]) -> Result<Start, ParseError> {
    let (version, rest) = cut_at(line, b' ').ok_or(ParseError::StartLine)?;
    check_version(version)?;
    let (code, reason) = match cut_at(rest, b' ') {
        Some((code, reason)) => (code, reason),
        None => (rest, &[][..]),
    };
    let code = number(code, 699).filter(|_| code.len() == 3).and_then(|code| u16::try_from(code).ok());
    let status = code.and_then(Status::new).ok_or(ParseError::StatusCode)?;
    Ok(Start::Response { status, reason: Span::of(raw, reason) })
}

// RFC 3261 §7.1: single spaces between the elements and none elsewhere.
fn request_line(raw: &[u8], line: &[u8]) -> Result<(Start, Method), ParseError> {
    let (method, rest) = cut_at(line, b' ').ok_or(ParseError::StartLine)?;
    let (uri, version) = cut(rest, memchr::memrchr(b' ', rest).ok_or(ParseError::StartLine)?);
    let method = Method::from_token(method).ok_or(ParseError::Method)?;
    check_version(version)?;
    if uri.is_empty() || uri.iter().any(|&c| is_space(c)) {
        return Err(ParseError::RequestUri);
    }
    Ok((Start::Request { uri: Span::of(raw, uri) }, method))
}

fn check_version(version: &[u8]) -> Result<(), ParseError> {
    match version.split_at_checked(4) {
        Some((name, b"2.0")) if name.eq_ignore_ascii_case(b"SIP/") => Ok(()),
        Some((name, other)) if name.eq_ignore_ascii_case(b"SIP/") && is_version_number(other) => {
            Err(ParseError::Version)
        }
        _ => Err(ParseError::StartLine),
    }
}

fn is_version_number(text: &[u8]) -> bool {
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    cut_at(text, b'.').is_some_and(|(major, minor)| digits(major) && digits(minor))
}

fn header(raw: &[u8], line: &[u8]) -> Option<Line> {
    let name_end = line.iter().position(|&c| !is_token_octet(c))?;
    let (name, rest) = line.split_at_checked(name_end)?;
    let value = match rest {
        [b':', value @ ..] => value,
        // HCOLON allows blanks before the colon.
        _ => trim(rest).strip_prefix(b":")?,
    };
    let known = Known::of(name);
    (!name.is_empty()).then(|| Line { known, name: Span::of(raw, name), value: Span::of(raw, trim(value)) })
}

/// Room for the headers of a browser's INVITE.
const TYPICAL_HEADERS: usize = 24;

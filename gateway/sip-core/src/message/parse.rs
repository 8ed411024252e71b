//! Bytes of a peer become a message, or a fault with its answer.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bytes::{Buf, Bytes};

use super::index::Index;
use super::scan::{Scan, leading_line_breaks};
use super::{Limits, Malformed, Message, ParseError, reply};

impl Message {
    /// Reads one message: a datagram, a WebSocket message or a frame of [`super::framing::Stream`].
    ///
    /// Empty lines before the message and octets behind its Content-Length are no part of it (RFC 3261 §7.5, §18.3).
    /// Without Content-Length the body reaches to the end. Takes time linear in the length.
    ///
    /// # Errors
    /// [`Malformed`], with the answer to send if there is one.
    pub fn parse(mut raw: Bytes, limits: &Limits) -> Result<Self, Malformed> {
        let most = limits.message.min(MOST);
        if raw.len() > most {
            let head = raw.slice(..most);
            let scan = Scan::of(&head, limits);
            return Err(reply::malformed(&head, &scan, ParseError::MessageTooLarge));
        }
        raw.advance(leading_line_breaks(&raw));
        let fault = match Scan::of(&raw, limits) {
            Scan { fault: None, start: Some((start, method)), lines, folds, body, .. } => {
                let text = unfolded(&raw, &folds);
                match Index::new(text.as_ref().unwrap_or(&raw), start, method, lines, body, limits) {
                    Ok(index) => return Ok(Self::new(raw, text, index)),
                    Err(fault) => fault,
                }
            }
            Scan { fault, .. } => fault.unwrap_or(ParseError::StartLine),
        };
        Err(reply::malformed(&raw, &Scan::of(&raw, limits), fault))
    }
}

/// The text with each CRLF of a continuation replaced by blanks (RFC 3261 §7.3.1), if there is one: offsets stay what
/// they were and no header value holds a line break.
pub(super) fn unfolded(raw: &Bytes, folds: &[usize]) -> Option<Bytes> {
    if folds.is_empty() {
        return None;
    }
    let mut text = raw.to_vec();
    for &fold in folds {
        if let Some(line_break) = text.get_mut(fold..fold.saturating_add(2)) {
            line_break.fill(b' ');
        }
    }
    Some(text.into())
}

/// What offsets of 32 bits reach.
const MOST: usize = 0x7fff_ffff;

//! The answer to a request that is none (RFC 3261 §8.2.6, §16.3; RFC 4475 §3.1.2, §3.3).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bytes::Bytes;

use super::index::{Start, call_id, cseq, pieces};
use super::name::Known;
use super::parse::unfolded;
use super::scan::Scan;
use super::text::cut_at;
use super::{Builder, Malformed, Message, Method, Name, ParseError, address, via};

/// The fault with its answer. `raw` is what `scan` was made of.
pub(super) fn malformed(raw: &Bytes, scan: &Scan, error: ParseError) -> Malformed {
    Malformed { error, reply: reply(raw, scan, error) }
}

fn reply(raw: &Bytes, scan: &Scan, error: ParseError) -> Option<Message> {
    let unfolded = unfolded(raw, &scan.folds);
    let text = unfolded.as_ref().unwrap_or(raw);
    let lines = Wreck { text, scan };
    let method = lines.answerable_method()?;
    let mut builder = Builder::response(error.status(), Some(&error.to_string()));
    for via in lines.vias()? {
        builder = builder.header_bytes(Name::Via, &via);
    }
    let from = lines.first(Known::From).filter(|value| address::Fields::parse(value).is_some());
    let to = lines.first(Known::To).filter(|value| address::Fields::parse(value).is_some());
    let call = lines.first(Known::CallId).and_then(|value| call_id(value).ok());
    builder = builder
        .header_bytes(Name::From, from.unwrap_or(UNREADABLE_ADDRESS))
        .header_bytes(Name::To, to.unwrap_or(UNREADABLE_ADDRESS))
        .header_bytes(Name::CallId, call.unwrap_or(UNREADABLE_CALL_ID));
    builder = match lines.cseq() {
        Some(value) => builder.header_bytes(Name::CSeq, value),
        None => builder.header(Name::CSeq, format_args!("0 {method}")),
    };
    // RFC 3261 §8.2.7: a stateless answer has the same tag for each retransmission.
    builder.to_tag(&format!("{:016x}", fingerprint(text))).build().ok()
}

/// The readable parts of a broken message.
struct Wreck<'a> {
    text: &'a [u8],
    scan: &'a Scan,
}

impl<'a> Wreck<'a> {
    /// `None` for a response and an ACK, which nobody answers.
    fn answerable_method(&self) -> Option<Method> {
        let method = match &self.scan.start {
            Some((Start::Response { .. }, _)) => return None,
            Some((Start::Request { .. }, method)) => method.clone()?,
            None => {
                let line = self.scan.start_line.get(self.text);
                let (first, _) = cut_at(line, b' ')?;
                Method::from_token(first)?
            }
        };
        let acknowledges = |value| matches!(cseq(value), Ok((_, b"ACK")));
        (method != Method::Ack && !self.first(Known::CSeq).is_some_and(acknowledges)).then_some(method)
    }

    fn all(&self, known: Known) -> impl Iterator<Item = &'a [u8]> {
        self.scan.lines.iter().filter(move |line| line.known == known).map(|line| line.value.get(self.text))
    }

    fn first(&self, known: Known) -> Option<&'a [u8]> {
        self.all(known).next()
    }

    /// The values up to the first that cannot be read. Of the topmost at least the sent-by is needed; one of another
    /// version is answered in ours.
    fn vias(&self) -> Option<Vec<Vec<u8>>> {
        let mut values = self.all(Known::Via).flat_map(pieces);
        let top = values.next()?;
        let sound = |value: &[u8]| via::Fields::parse(value).is_some();
        if sound(top) {
            let others = values.take_while(|value| sound(value)).take(MOST_VIAS_BELOW);
            return Some(std::iter::once(top).chain(others).map(<[u8]>::to_vec).collect());
        }
        let (_, behind_protocol) = cut_at(top, b'/')?;
        let (_, behind_version) = cut_at(behind_protocol, b'/')?;
        let respelled = [b"SIP/2.0/", behind_version].concat();
        let (sent_by, _) = cut_at(&respelled, b';').unwrap_or((&respelled, &[]));
        let readable = [respelled.as_slice(), sent_by].into_iter().find(|value| sound(value))?;
        Some(vec![readable.to_vec()])
    }

    fn cseq(&self) -> Option<&'a [u8]> {
        self.first(Known::CSeq)
            .filter(|value| cseq(value).is_ok_and(|(_, method)| Method::from_token(method).is_some()))
    }
}

/// FNV-1a; tells retransmissions from other requests, no more.
fn fingerprint(text: &[u8]) -> u64 {
    text.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, &c| (hash ^ u64::from(c)).wrapping_mul(0x100_0000_01b3))
}

/// Max-Forwards allows no honest request more than 70 in all.
const MOST_VIAS_BELOW: usize = 69;
const UNREADABLE_ADDRESS: &[u8] = b"<sip:unreadable@invalid>";
const UNREADABLE_CALL_ID: &[u8] = b"unreadable@invalid";

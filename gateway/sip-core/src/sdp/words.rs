//! The smallest pieces of SDP's grammar, RFC 8866 §9.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::str::{self, FromStr};

use super::limits;

/// Which rule was broken.
pub(super) type Fault = &'static str;

pub(super) fn text(value: &[u8]) -> Result<&str, Fault> {
    str::from_utf8(value).map_err(|_| "not UTF-8")
}

/// What is before and behind the first such byte. The texts are short: a plain loop is the fastest search.
pub(super) fn cut_bytes(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|found| *found == byte)?;
    Some((text.get(..at)?, text.get(at.saturating_add(1)..)?))
}

/// [`cut_bytes`] at an ASCII character.
pub(super) fn cut(text: &str, byte: u8) -> Option<(&str, &str)> {
    let (before, behind) = text.split_at_checked(text.bytes().position(|found| found == byte)?)?;
    Some((before, behind.get(1..)?))
}

/// Digits alone: `parse` would take a sign.
pub(super) fn number<T: FromStr>(word: &str) -> Option<T> {
    if !word.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    word.parse().ok()
}

/// RFC 8866 §9, `token`.
pub(super) fn is_token(word: &str) -> bool {
    (1..=limits::TOKEN).contains(&word.len()) && word.bytes().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'(' | b')' | b',' | b'/' | b':'..=b'@' | b'['..=b']')
}

/// RFC 8866 §9, `proto`.
pub(super) fn is_protocol(word: &str) -> bool {
    word.len() <= limits::TOKEN && word.bytes().all(|byte| byte == b'/' || is_token_byte(byte))
}

pub(super) fn is_host_name(word: &str) -> bool {
    (1..=255).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

pub(super) fn is_printable(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// RFC 8839 §5.1, `ice-char`.
pub(super) fn ice_characters(word: &str, least: usize) -> Option<&str> {
    let fits = (least..=limits::ICE).contains(&word.len());
    let allowed = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    (fits && allowed).then_some(word)
}

pub(super) fn fingerprint_length(algorithm: &str) -> Option<usize> {
    let lengths = [("sha-256", 32), ("sha-384", 48), ("sha-512", 64)];
    lengths.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(algorithm)).map(|(_, bytes)| bytes)
}

/// `4A:AD:…`, so many of them.
pub(super) fn is_hex_pairs(hash: &str, bytes: usize) -> bool {
    let pairs = hash.as_bytes().chunks(3);
    let right = pairs.len() == bytes
        && hash.as_bytes().chunks(3).all(|pair| match pair {
            [high, low, b':'] | [high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
            _ => false,
        });
    right && !hash.ends_with(':')
}

//! The basic rules of the grammar: tokens, white space, quoted strings, lists (RFC 3261 §25.1).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::fmt::{self, Write};

/// The text of a quoted string without its quotes and escapes; anything else unchanged.
pub fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.extend(chars.next()),
            c => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

/// Prints as a quoted string, with quotes and backslashes escaped.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_ascii_control() => f.write_char(' ')?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// Splits at each `separator` outside quotes and angle brackets and trims the pieces. An unclosed quote or bracket
/// ends with the text.
pub fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let separator = u8::try_from(separator).unwrap_or(b',');
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest?;
        let (head, tail) = match find(whole.as_bytes(), separator) {
            Some(at) => (whole.get(..at)?, whole.get(at.saturating_add(1)..)),
            None => (whole, None),
        };
        rest = tail;
        Some(head.trim_matches(is_space_char))
    })
}

/// `token` of the grammar, at least one octet.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&c| is_token_octet(c))
}

pub(super) fn is_token_octet(c: u8) -> bool {
    TOKEN.get(usize::from(c)).is_some_and(|&is| is)
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let (mut c, extra) = (0_u8, b"-.!%*_+`'~");
    loop {
        let mut is = c.is_ascii_alphanumeric();
        let mut i = 0;
        while i < extra.len() {
            #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
            {
                is |= extra[i] == c;
            }
            i = i.saturating_add(1);
        }
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[c as usize] = is;
        }
        if c == u8::MAX {
            break table;
        }
        c = c.saturating_add(1);
    }
};

pub(super) fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\r' | b'\n')
}

pub(super) fn is_space_char(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_space)
}

/// Without the white space around; folds count as such.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text {
        if !is_space(*first) {
            break;
        }
        text = rest;
    }
    while let [rest @ .., last] = text {
        if !is_space(*last) {
            break;
        }
        text = rest;
    }
    text
}

pub(super) fn trim_str(text: &str) -> &str {
    text.trim_matches(is_space_char)
}

/// Where `separator` first stands outside quotes and angle brackets.
pub(super) fn find(text: &[u8], separator: u8) -> Option<usize> {
    let first = memchr::memchr(separator, text)?;
    let (head, _) = text.split_at_checked(first)?;
    if memchr::memchr2(b'"', b'<', head).is_none() { Some(first) } else { find_outside(text, separator) }
}

fn find_outside(text: &[u8], separator: u8) -> Option<usize> {
    let (mut quoted, mut bracketed, mut escaped) = (false, false, false);
    for (at, &c) in text.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted {
            match c {
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
        } else if c == separator && !bracketed {
            return Some(at);
        } else {
            match c {
                b'"' => quoted = true,
                b'<' => bracketed = true,
                b'>' => bracketed = false,
                _ => {}
            }
        }
    }
    None
}

/// `text` before and behind the separator at `at`.
pub(super) fn cut(text: &[u8], at: usize) -> (&[u8], &[u8]) {
    let (head, tail) = text.split_at_checked(at).unwrap_or((text, &[]));
    (head, tail.split_first().map_or(tail, |(_, behind)| behind))
}

/// [`cut`] at the first `separator`, wherever it stands.
pub(super) fn cut_at(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    memchr::memchr(separator, text).map(|at| cut(text, at))
}

/// Decimal digits only, no sign, no more than `max`. `None` for anything else.
pub(super) fn number(text: &[u8], max: u64) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    let value = text.iter().try_fold(0_u64, |value, c| {
        let digit = c.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })?;
    (value <= max).then_some(value)
}

/// `delta-seconds`, read as RFC 3261 §10.2.1.1 and §20.19 want: too large is the largest, malformed is one hour.
pub(super) fn delta_seconds(text: &str) -> u32 {
    let text = trim_str(text).as_bytes();
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return 3_600;
    }
    number(text, u64::from(u32::MAX)).and_then(|value| u32::try_from(value).ok()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_escapes_come_off_and_go_on() {
        assert_eq!(unquote(r#""a \"b\" \\c""#), r#"a "b" \c"#);
        assert_eq!(unquote("plain"), "plain");
        assert_eq!(Quoted("a \"b\" \\c\r\n").to_string(), r#""a \"b\" \\c  ""#);
    }

    #[test]
    fn lists_respect_quotes_and_brackets() {
        let pieces: Vec<_> = split(r#" "a,\"b" <sip:x,y> , c ,,"#, ',').collect();
        assert_eq!(pieces, [r#""a,\"b" <sip:x,y>"#, "c", "", ""]);
    }

    #[test]
    fn numbers_are_digits_within_bounds() {
        assert_eq!(number(b"0070", 70), Some(70));
        for bad in [&b""[..], b"-1", b"+1", b"71", b"1 ", b"99999999999999999999999"] {
            assert_eq!(number(bad, 70), None);
        }
        assert_eq!(delta_seconds("99999999999999"), u32::MAX);
        assert_eq!(delta_seconds("soon"), 3_600);
    }
}

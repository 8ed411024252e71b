//! Parameters behind a `;` (RFC 3261 §25.1: generic-param).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::text::{self, is_token_octet};

/// The parameters of a header value or a URI, as they stand on the wire: `a=1;b;c="x"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a>(pub &'a str);

impl<'a> Params<'a> {
    /// Name and value of each, in order. A quoted value keeps its quotes; see [`text::unquote`].
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let pieces = (!self.0.is_empty()).then(|| text::split(self.0, ';'));
        pieces.into_iter().flatten().map(|piece| match piece.split_once('=') {
            Some((name, value)) => (text::trim_str(name), Some(text::trim_str(value))),
            None => (piece, None),
        })
    }

    /// Whether the parameter is there, with or without a value. Names compare without case.
    pub fn has(self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The value of a parameter; `None` when it is absent or has no value.
    pub fn value(self, name: &str) -> Option<&'a str> {
        self.find(name).flatten()
    }

    /// `None`: absent; `Some(None)`: present without a value.
    pub fn find(self, name: &str) -> Option<Option<&'a str>> {
        self.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Walks `name[=value]` pieces and refuses what the grammar does not know: an empty piece, a name that is no token,
/// an unclosed quote, white space or separators inside an unquoted value; and what `visit` says no to.
pub(super) fn walk<'a>(
    params: &'a [u8],
    mut visit: impl FnMut(&'a [u8], Option<&'a [u8]>) -> bool,
) -> Option<()> {
    let mut rest = params;
    loop {
        let name_end = rest.iter().position(|&c| !is_token_octet(c)).unwrap_or(rest.len());
        let (mut name, mut behind) = rest.split_at_checked(name_end)?;
        if name.is_empty() || matches!(behind.first(), Some(b' ' | b'\t')) {
            // White space around a name is rare, so it costs a second look.
            rest = trim_start(rest);
            let name_end = rest.iter().position(|&c| !is_token_octet(c)).unwrap_or(rest.len());
            (name, behind) = rest.split_at_checked(name_end)?;
            behind = trim_start(behind);
        }
        if name.is_empty() {
            return None;
        }
        let value = match behind {
            [b'=', behind_sign @ ..] => {
                let value;
                (value, behind) = value_of(trim_start(behind_sign))?;
                Some(value)
            }
            _ => None,
        };
        if !visit(name, value) {
            return None;
        }
        match behind {
            [] => return Some(()),
            [b';', next @ ..] => rest = next,
            _ => return None,
        }
    }
}

/// The value at the beginning and what follows it and its white space.
fn value_of(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = match text {
        [b'"', inner @ ..] => closing_quote(inner)?.checked_add(2)?,
        plain => plain.iter().position(|&c| !is_value_octet(c)).unwrap_or(plain.len()),
    };
    let (value, behind) = text.split_at_checked(end)?;
    (!value.is_empty()).then_some((value, trim_start(behind)))
}

/// Where the first quote without a backslash before it stands.
fn closing_quote(inner: &[u8]) -> Option<usize> {
    let mut escaped = false;
    inner.iter().position(|&c| {
        let closes = !escaped && c == b'"';
        escaped = !escaped && c == b'\\';
        closes
    })
}

fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = text {
        text = rest;
    }
    text
}

/// Visible octets without separators. Wider than `token / host` on purpose: peers put URIs and base64 there.
fn is_value_octet(c: u8) -> bool {
    c > b' ' && c != 0x7f && !matches!(c, b',' | b';' | b'<' | b'>' | b'"')
}

/// No quote without a backslash before it, and no backslash that escapes the closing quote.
pub(super) fn is_quoted_inner(inner: &[u8]) -> bool {
    let escaped = inner.iter().try_fold(false, |escaped, &c| match c {
        _ if escaped => Some(false),
        b'\\' => Some(true),
        b'"' => None,
        _ => Some(false),
    });
    escaped == Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_without_case_and_values_are_raw() {
        let params = Params(r#"Tag = a ;lr; x="1;2""#);
        assert_eq!(params.value("tag"), Some("a"));
        assert_eq!(params.find("LR"), Some(None));
        assert_eq!(params.value("x"), Some(r#""1;2""#));
        assert!(!params.has("y"));
        assert_eq!(Params("").iter().count(), 0);
    }

    #[test]
    fn the_walk_is_strict() {
        let ok = |params: &str| walk(params.as_bytes(), |_, _| true).is_some();
        assert!(ok(r#"a=1 ; b ;c = "x\";y""#));
        for bad in ["", ";", "a;", "a=", "=1", "a=\"x", "a=\"x\\\"", "a b", "a=1 2", "a=<x>"] {
            assert!(!ok(bad), "{bad}");
        }
    }
}

//! Parameters behind a `;` (RFC 3261 §25.1: generic-param).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::text::{self, cut, cut_at, find, is_token, trim};

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
/// an unclosed quote, white space or separators inside an unquoted value.
pub(super) fn walk<'a>(params: &'a [u8], mut visit: impl FnMut(&'a [u8], Option<&'a [u8]>)) -> Option<()> {
    let mut rest = Some(params);
    while let Some(piece) = rest {
        let piece = match find(piece, b';') {
            Some(at) => {
                let (piece, tail) = cut(piece, at);
                rest = Some(tail);
                piece
            }
            None => {
                rest = None;
                piece
            }
        };
        let (name, value) = match cut_at(piece, b'=') {
            Some((name, value)) => (trim(name), Some(trim(value))),
            None => (trim(piece), None),
        };
        if !is_token(name) || !value.is_none_or(is_value) {
            return None;
        }
        visit(name, value);
    }
    Some(())
}

/// A quoted string as a whole, or visible octets without separators. Wider than `token / host` on purpose: peers put
/// URIs and base64 there.
fn is_value(value: &[u8]) -> bool {
    match value {
        [] => false,
        [b'"', inner @ .., b'"'] => is_quoted_inner(inner),
        plain => {
            plain.iter().all(|&c| c > b' ' && c != 0x7f && !matches!(c, b',' | b';' | b'<' | b'>' | b'"'))
        }
    }
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
        let ok = |params: &str| walk(params.as_bytes(), |_, _| {}).is_some();
        assert!(ok(r#"a=1 ; b ;c = "x\";y""#));
        for bad in ["", ";", "a;", "a=", "=1", "a=\"x", "a=\"x\\\"", "a b", "a=1 2", "a=<x>"] {
            assert!(!ok(bad), "{bad}");
        }
    }
}

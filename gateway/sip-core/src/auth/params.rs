//! `Digest name=value, …` of challenges and credentials, RFC 7616 §3.3, §3.4.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;

/// The user name of an Authorization or Proxy-Authorization value, to look the user up before
/// [`server::verify`](super::server::verify).
///
/// # Errors
/// [`BadDigest`] when it is not Digest, not well-formed, or names nobody.
pub fn username(authorization: &str) -> Result<Cow<'_, str>, BadDigest> {
    Params::parse(authorization)?.take("username").filter(|name| !name.is_empty()).ok_or(BadDigest)
}

/// Another scheme than Digest, or not a list of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed Digest header")]
pub struct BadDigest;

/// The parameters of one header value.
pub(super) struct Params<'a>(Vec<(&'a str, Cow<'a, str>)>);

impl<'a> Params<'a> {
    /// Each name may come once, quoted or not.
    pub(super) fn parse(value: &'a str) -> Result<Self, BadDigest> {
        let (scheme, mut rest) = value.trim_ascii().split_once([' ', '\t']).ok_or(BadDigest)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return Err(BadDigest);
        }
        let mut params = Self(Vec::with_capacity(USUAL));
        while let Some((name, value, behind)) = next(rest)? {
            if params.0.len() >= MOST || params.get(name).is_some() {
                return Err(BadDigest);
            }
            params.0.push((name, value));
            rest = behind;
        }
        Ok(params)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_ref())
    }

    fn take(self, name: &str) -> Option<Cow<'a, str>> {
        let mut params = self.0.into_iter();
        params.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A parameter and what is behind it. Empty list elements are allowed (RFC 7230 §7).
type Parameter<'a> = (&'a str, Cow<'a, str>, &'a str);

fn next(rest: &str) -> Result<Option<Parameter<'_>>, BadDigest> {
    let rest = rest.trim_start_matches([' ', '\t', ',']);
    if rest.is_empty() {
        return Ok(None);
    }
    let (name, rest) = rest.split_once('=').ok_or(BadDigest)?;
    let name = name.trim_ascii_end();
    if !is_token(name) {
        return Err(BadDigest);
    }
    let rest = rest.trim_ascii_start();
    let (value, rest) = match rest.strip_prefix('"') {
        Some(inner) => quoted(inner)?,
        None => plain(rest)?,
    };
    let rest = rest.trim_ascii_start();
    if !rest.is_empty() && !rest.starts_with(',') {
        return Err(BadDigest);
    }
    Ok(Some((name, value, rest)))
}

/// RFC 3261 §25.1, `quoted-string`, from behind its first quote.
fn quoted(inner: &str) -> Result<(Cow<'_, str>, &str), BadDigest> {
    let (plain, rest) = split_at_any(inner, &['"', '\\']).ok_or(BadDigest)?;
    if let Some(rest) = rest.strip_prefix('"') {
        return Ok((Cow::Borrowed(plain), rest));
    }
    let mut text = plain.to_owned();
    let mut characters = rest.chars();
    loop {
        match characters.next().ok_or(BadDigest)? {
            '"' => return Ok((Cow::Owned(text), characters.as_str())),
            '\\' => text.push(characters.next().ok_or(BadDigest)?),
            character => text.push(character),
        }
    }
}

fn plain(rest: &str) -> Result<(Cow<'_, str>, &str), BadDigest> {
    let (value, rest) = split_at_any(rest, &[',', ' ', '\t']).unwrap_or((rest, ""));
    match is_token(value) {
        true => Ok((Cow::Borrowed(value), rest)),
        false => Err(BadDigest),
    }
}

fn split_at_any<'a>(text: &'a str, any: &[char]) -> Option<(&'a str, &'a str)> {
    text.find(any).and_then(|at| text.split_at_checked(at))
}

/// RFC 3261 §25.1, with the `/`, `:` and `=` that unquoted URIs and base64 would bring.
fn is_token(word: &str) -> bool {
    !word.is_empty()
        && word
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'<' | b'>' | b'\\'))
}

/// Parameters of a header; more are refused.
const MOST: usize = 32;
const USUAL: usize = 12;

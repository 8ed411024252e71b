//! The client's side: our answer to a trunk's challenge.

use std::fmt::Write;

use super::algorithm::Algorithm;
use super::params::Params;
use super::secret::{Exchange, Secret};
use crate::message::text::Quoted;

/// Who we are towards one realm.
pub struct Credentials<'a> {
    /// As the trunk knows us.
    pub username: &'a str,
    /// The only realm that gets an answer: a proof for another one would help whoever asked for it.
    pub realm: &'a str,
    /// Our secret.
    pub secret: &'a Secret,
}

/// Why a challenge gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// None of the challenges is Digest for our realm.
    #[error("no digest challenge for the configured realm")]
    Realm,
    /// Only algorithms that we do not know or hold no hash for, or quality of protection other than `auth`.
    #[error("no digest algorithm in common")]
    Algorithm,
}

/// The Authorization (to 401) or Proxy-Authorization (to 407) value for a request with this method and Request-URI.
/// Of several challenges the strongest we know is answered, wherever it stands. `nc` counts the uses of the nonce from
/// one; `cnonce` must be random.
///
/// # Errors
/// [`NoAnswer`].
pub fn answer<'c>(
    challenges: impl IntoIterator<Item = &'c str>,
    credentials: &Credentials<'_>,
    (method, uri): (&str, &str),
    nc: u32,
    cnonce: &str,
) -> Result<String, NoAnswer> {
    let mut ours: Vec<Params<'c>> =
        challenges.into_iter().filter_map(|value| Params::parse(value).ok()).collect();
    ours.retain(|challenge| challenge.get("realm") == Some(credentials.realm));
    if ours.is_empty() {
        return Err(NoAnswer::Realm);
    }
    let mut usable: Vec<_> =
        ours.iter().filter_map(|challenge| Some((algorithm(challenge)?, challenge))).collect();
    usable.sort_by(|(a, _), (b, _)| b.cmp(a));
    let mut answers = usable.into_iter().filter_map(|(algorithm, challenge)| {
        authorization(challenge, algorithm, credentials, (method, uri), nc, cnonce)
    });
    answers.next().ok_or(NoAnswer::Algorithm)
}

/// The algorithm of a challenge we can answer with `qop=auth`. RFC 7616 §3.3: qop is a list.
fn algorithm(challenge: &Params<'_>) -> Option<Algorithm> {
    let qop = challenge.get("qop")?;
    let auth = qop.split(',').any(|word| word.trim_ascii().eq_ignore_ascii_case("auth"));
    let algorithm = challenge.get("algorithm").map_or(Ok(Algorithm::Md5), str::parse).ok()?;
    (auth && challenge.get("nonce").is_some()).then_some(algorithm)
}

fn authorization(
    challenge: &Params<'_>,
    algorithm: Algorithm,
    credentials: &Credentials<'_>,
    (method, uri): (&str, &str),
    nc: u32,
    cnonce: &str,
) -> Option<String> {
    let Credentials { username, realm, secret } = *credentials;
    let nonce = challenge.get("nonce")?;
    let nc = format!("{nc:08x}");
    let response =
        secret.response(algorithm, &Exchange { username, realm, method, uri, nonce, nc: &nc, cnonce })?;
    let (username, realm, uri) = (Quoted(username), Quoted(realm), Quoted(uri));
    let (nonce, cnonce, response) = (Quoted(nonce), Quoted(cnonce), response.as_str());
    let mut value = format!(
        "Digest username={username}, realm={realm}, nonce={nonce}, uri={uri}, response=\"{response}\", \
         algorithm={algorithm}, cnonce={cnonce}, qop=auth, nc={nc}"
    );
    if let Some(opaque) = challenge.get("opaque") {
        // RFC 7616 §3.4: returned unchanged. Writing to a `String` cannot fail.
        let _ = write!(value, ", opaque={}", Quoted(opaque));
    }
    Some(value)
}

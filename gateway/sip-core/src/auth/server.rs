//! The server's side: challenges, and the judgement of what comes back.

use std::fmt::Write;
use std::time::Duration;

use super::algorithm::Algorithm;
use super::nonce::{NonceId, NonceSealer, Salt};
use super::params::Params;
use super::secret::{Exchange, Secret};
use crate::message::Uri;
use crate::message::text::Quoted;
use crate::time::UnixMillis;

/// What a realm demands.
#[derive(Clone, Copy, Debug)]
pub struct Realm<'a> {
    /// RFC 7616 §3.3; part of every stored hash.
    pub name: &'a str,
    /// Those accepted. Challenges are written in this order; many phones look at the first alone.
    pub algorithms: &'a [Algorithm],
    /// Ties nonces to whatever both calls know alike, such as a source address; empty ties them to nothing.
    pub binding: &'a [u8],
    /// How long a nonce may be used.
    pub lifetime: Duration,
}

/// The values for WWW-Authenticate or Proxy-Authenticate, one header each (RFC 8760 §2.4), all with one nonce. `stale` tells the
/// client to try again without asking its user.
pub fn challenge(
    sealer: &NonceSealer,
    realm: &Realm<'_>,
    salt: Salt,
    stale: bool,
    now: UnixMillis,
) -> Vec<String> {
    let nonce = sealer.seal(now, salt, realm.binding);
    let value = |algorithm: &Algorithm| {
        let mut value = String::with_capacity(CHALLENGE_USUAL);
        let name = Quoted(realm.name);
        // Writing to a `String` cannot fail.
        let _ = write!(value, "Digest realm={name}, nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"");
        if stale {
            value.push_str(", stale=true");
        }
        value
    };
    realm.algorithms.iter().map(value).collect()
}

/// The outcome of [`verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The user is who the header says, provided that this use of the nonce is the first (RFC 7616 §3.4, §5.5): ask
    /// [`NonceUses`](super::NonceUses), and take a repetition for [`Verdict::Stale`].
    Accepted {
        /// Without quotes and escapes.
        username: String,
        /// The nonce.
        nonce_id: NonceId,
        /// Its count.
        nc: u32,
    },
    /// The secret was right and the nonce too old, from the future, or of another key: challenge again with `stale`.
    Stale,
    /// Challenge again without `stale`, and count it.
    Refused(Refusal),
}

/// Why a header was refused; for logs and counters only, a peer must not learn it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not Digest, not well-formed, or without a parameter that is required.
    #[error("not a complete Digest header")]
    Malformed,
    /// An algorithm that the realm does not accept.
    #[error("an algorithm that was not offered")]
    Algorithm,
    /// Made for another realm.
    #[error("another realm")]
    Realm,
    /// Made for another request.
    #[error("another request URI")]
    Uri,
    /// Wrong password or unknown user: nobody can tell which.
    #[error("wrong user name or password")]
    Response,
}

/// Judges an Authorization or Proxy-Authorization value of a request with this method and Request-URI.
///
/// `secret` is that of the user it [names](super::username), `None` for an unknown user: then a decoy is computed with,
/// so that the work is the same as for a user with a password. `qop=auth`, `nc`, `cnonce`, `uri` and `realm` are
/// required.
pub fn verify(
    sealer: &NonceSealer,
    realm: &Realm<'_>,
    authorization: &str,
    (method, uri): (&str, &str),
    secret: Option<&Secret>,
    now: UnixMillis,
) -> Verdict {
    match judge(sealer, realm, authorization, (method, uri), secret) {
        Err(refusal) => Verdict::Refused(refusal),
        Ok(right) => match right.nonce {
            Some((nonce_id, issued)) if is_current(issued, realm.lifetime, now) => {
                Verdict::Accepted { username: right.username, nonce_id, nc: right.nc }
            }
            Some(_) | None => Verdict::Stale,
        },
    }
}

/// A response that proves the secret.
struct Right {
    username: String,
    nc: u32,
    /// `None` for a nonce that does not open.
    nonce: Option<(NonceId, UnixMillis)>,
}

fn judge(
    sealer: &NonceSealer,
    realm: &Realm<'_>,
    authorization: &str,
    (method, request_uri): (&str, &str),
    secret: Option<&Secret>,
) -> Result<Right, Refusal> {
    let params = Params::parse(authorization).map_err(|_| Refusal::Malformed)?;
    let required = |name: &str| params.get(name).filter(|value| !value.is_empty()).ok_or(Refusal::Malformed);
    let algorithm = params.get("algorithm").map_or(Ok(Algorithm::Md5), str::parse);
    let algorithm =
        algorithm.ok().filter(|known| realm.algorithms.contains(known)).ok_or(Refusal::Algorithm)?;
    if required("qop")? != "auth" || params.get("userhash").is_some_and(|value| value != "false") {
        return Err(Refusal::Malformed);
    }
    if required("realm")? != realm.name {
        return Err(Refusal::Realm);
    }
    let exchange = Exchange {
        username: required("username")?,
        realm: realm.name,
        method,
        uri: required("uri")?,
        nonce: required("nonce")?,
        nc: required("nc")?,
        cnonce: required("cnonce")?,
    };
    let nc = count(exchange.nc).ok_or(Refusal::Malformed)?;
    if !same_uri(exchange.uri, request_uri) {
        return Err(Refusal::Uri);
    }
    if !is_right(sealer, secret, algorithm, &exchange, required("response")?) {
        return Err(Refusal::Response);
    }
    let nonce = sealer.open(exchange.nonce, realm.binding);
    Ok(Right { username: exchange.username.to_owned(), nc, nonce })
}

fn is_right(
    sealer: &NonceSealer,
    secret: Option<&Secret>,
    algorithm: Algorithm,
    exchange: &Exchange<'_>,
    response: &str,
) -> bool {
    let decoy = Secret::password(sealer.derive(b"decoy"));
    let expected = secret.unwrap_or(&decoy).response(algorithm, exchange);
    let matches = expected.is_some_and(|expected| expected.equals(response));
    matches && secret.is_some()
}

/// RFC 7616 §3.4: eight hexadecimal digits, counted from one.
fn count(nc: &str) -> Option<u32> {
    let digits = nc.len() == 8 && nc.bytes().all(|digit| digit.is_ascii_hexdigit());
    digits.then(|| u32::from_str_radix(nc, 16).ok()).flatten().filter(|count| *count > 0)
}

/// RFC 7616 §3.4.6: the header must be made for this request.
fn same_uri(digest: &str, request: &str) -> bool {
    digest == request
        || matches!((Uri::parse(digest), Uri::parse(request)), (Ok(digest), Ok(request)) if digest.equivalent(&request))
}

fn is_current(issued: UnixMillis, lifetime: Duration, now: UnixMillis) -> bool {
    now.since(issued) <= lifetime && issued.since(now) <= SKEW
}

/// How far another node's clock may be ahead of ours.
const SKEW: Duration = Duration::from_secs(60);
const CHALLENGE_USUAL: usize = 160;

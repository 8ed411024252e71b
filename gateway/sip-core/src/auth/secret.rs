//! What a user is known by. Nothing here can be printed; memory is wiped when dropped.

use zeroize::Zeroizing;

use super::algorithm::{Algorithm, Hex};

/// A password, or the hashes that stand for it.
#[derive(Clone)]
pub struct Secret(Kind);

#[derive(Clone)]
enum Kind {
    Password(Zeroizing<String>),
    Ha1(Vec<(Algorithm, Zeroizing<String>)>),
}

impl Secret {
    /// A password as the user types it; it works with every algorithm.
    pub fn password(password: impl Into<String>) -> Self {
        Self(Kind::Password(Zeroizing::new(password.into())))
    }

    /// RFC 7616 §3.4.2: hexadecimal hashes of `username:realm:password`, one for each algorithm the user may log in
    /// with. They are bound to that username and realm.
    pub fn ha1(hashes: impl IntoIterator<Item = (Algorithm, String)>) -> Self {
        let lower = |(algorithm, mut hash): (Algorithm, String)| {
            hash.make_ascii_lowercase();
            (algorithm, Zeroizing::new(hash))
        };
        Self(Kind::Ha1(hashes.into_iter().map(lower).collect()))
    }

    /// The response of RFC 7616 §3.4.1 for qop=auth; `None` when no hash of this algorithm is kept.
    pub(super) fn response(&self, algorithm: Algorithm, of: &Exchange<'_>) -> Option<Hex> {
        let made;
        let ha1 = match &self.0 {
            Kind::Password(password) => {
                made = algorithm.hash(&[of.username.as_bytes(), of.realm.as_bytes(), password.as_bytes()]);
                made.as_bytes()
            }
            Kind::Ha1(hashes) => hashes.iter().find(|(of, _)| *of == algorithm)?.1.as_bytes(),
        };
        let ha2 = algorithm.hash(&[of.method.as_bytes(), of.uri.as_bytes()]);
        let (nonce, nc, cnonce) = (of.nonce.as_bytes(), of.nc.as_bytes(), of.cnonce.as_bytes());
        Some(algorithm.hash(&[ha1, nonce, nc, cnonce, b"auth", ha2.as_bytes()]))
    }
}

/// What a response is computed over, besides the secret.
pub(super) struct Exchange<'a> {
    pub(super) username: &'a str,
    pub(super) realm: &'a str,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) nonce: &'a str,
    pub(super) nc: &'a str,
    pub(super) cnonce: &'a str,
}

//! TURN credentials that need no table: who knows the secret can issue and check them (the REST mechanism of
//! draft-uberti-behave-turn-rest, `use-auth-secret` in coturn).
//!
//! The user name is `<expiry>:<user>` or the expiry alone, in seconds since 1970; the password is the HMAC-SHA1 of the
//! user name under the secret, in base64. The gateway issues them, the relay's TURN server checks them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// A secret shared by those who issue and those who check credentials. It is never printed.
#[derive(Clone)]
pub struct Secret(Hmac<Sha1>);

/// What a TURN client is given (RFC 8489 §9.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `<expiry>:<user>`.
    pub username: String,
    /// Of this user name only.
    pub password: String,
}

impl Secret {
    /// Takes a secret of any length; `None` if it is empty, as nobody may sign with nothing.
    pub fn new(secret: &str) -> Option<Self> {
        let hmac = Hmac::new_from_slice(secret.as_bytes()).ok()?;
        (!secret.is_empty()).then_some(Self(hmac))
    }

    /// Credentials for `user`, good for allocations until `expires`, in seconds since 1970.
    pub fn issue(&self, user: &str, expires: u64) -> Credentials {
        let username = format!("{expires}:{user}");
        let password = self.password(username.as_bytes());
        Credentials { username, password }
    }

    /// The password of a user name.
    pub fn password(&self, username: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(username);
        BASE64_STANDARD.encode(mac.finalize().into_bytes())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test] // computed with: printf 1790000000:alice | openssl dgst -sha1 -hmac north -binary | base64
    fn credentials_are_what_coturn_would_compute() {
        let secret = Secret::new("north").unwrap();
        let credentials = secret.issue("alice", 1_790_000_000);
        assert_eq!(credentials.username, "1790000000:alice");
        assert_eq!(credentials.password, "bkNQAGOiGcDMDatOUuHbbdAqDKY=");
        assert_eq!(format!("{secret:?} {credentials:?}").find(&credentials.password), None);
        assert!(Secret::new("").is_none());
    }
}

//! The address-of-record in its one spelling.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use crate::message::Uri;

/// `user@domain`, RFC 3261 §10.3 step 5: escapes decoded and only needed ones written again, domain in lower case, no
/// password, port or parameters. Two spellings of one user are equal here, so keys and permissions can be compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Aor(String);

impl Aor {
    /// Of a user's name as it is, without escapes.
    pub fn new(user: &str, domain: &str) -> Self {
        let mut text = String::with_capacity(user.len() + 1 + domain.len());
        for byte in user.bytes() {
            match is_plain(byte) {
                true => text.push(char::from(byte)),
                // Writing to a `String` cannot fail.
                false => drop(write!(text, "%{byte:02X}")),
            }
        }
        text.push('@');
        text.extend(
            domain.strip_suffix('.').unwrap_or(domain).chars().map(|letter| letter.to_ascii_lowercase()),
        );
        Self(text)
    }

    /// Those that a SIP or SIPS URI may mean, first the one that it spells ([`Uri::user_names`]); none for any other.
    pub fn named_by(uri: &Uri<'_>) -> impl Iterator<Item = Self> {
        uri.user_names().filter(|_| uri.is_sip()).map(|name| Self::new(&name, uri.host))
    }

    /// `user@domain`, ready to stand behind `sip:`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// RFC 3261 §25.1: `unreserved` and `user-unreserved`.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn spellings_of_one_user_are_equal() {
        for spelling in [
            "sip:alice@example.com",
            "sips:alice@EXAMPLE.com:5061",
            "sip:%61lice:secret@example.com;transport=ws",
            "sip:alice@example.com.",
        ] {
            let uri = Uri::parse(spelling).unwrap();
            assert_eq!(Aor::named_by(&uri).next().unwrap().as_str(), "alice@example.com", "{spelling}");
        }
        for other in [
            "sip:Alice@example.com",
            "sip:alice@example.org",
            "sip:alice%40example.com@x",
            "sip:alice%00@example.com",
        ] {
            let uri = Uri::parse(other).unwrap();
            assert!(Aor::named_by(&uri).all(|aor| aor.as_str() != "alice@example.com"), "{other}");
        }
        assert_eq!(Aor::new("a b@c", "D.example").as_str(), "a%20b%40c@d.example");
    }

    #[test] // RFC 3966 §3
    fn a_number_is_registered_however_it_is_written() {
        let uri = Uri::parse("sip:+49-30-1000;ext=5@example.com;user=phone").unwrap();
        assert!(Aor::named_by(&uri).any(|aor| aor == Aor::new("+49301000", "example.com")));
    }

    #[test]
    fn other_uris_are_nobodys() {
        for other in ["sip:example.com", "tel:+15551234", "http:alice@example.com"] {
            assert_eq!(Aor::named_by(&Uri::parse(other).unwrap()).next(), None, "{other}");
        }
    }
}

//! Answering digest challenges (RFC 7616, RFC 8760) with MD5 or SHA-256.

use crate::random::Tokens;
use crate::sip::read::Received;
use rsip::Header;
use rsip::prelude::UntypedHeader;
use sha2::Digest;

/// What a phone can compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Algorithm {
    /// RFC 2617 and every old client.
    Md5,
    /// RFC 8760.
    Sha256,
}

impl Algorithm {
    fn hex(self, text: &str) -> String {
        let bytes = match self {
            Self::Md5 => md5::Md5::digest(text).to_vec(),
            Self::Sha256 => sha2::Sha256::digest(text).to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }
}

/// User name and password.
#[derive(Clone)]
pub struct Credentials {
    /// The SIP user.
    pub user: String,
    /// Its password; never printed.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Answers the challenge of a 401 or 407: with `preferred` when the server offers it, else with the other algorithm.
/// `None` when there is none we know, or none with qop=auth.
pub fn answer(
    challenge: &Received,
    credentials: &Credentials,
    preferred: Algorithm,
    (method, uri): (&str, &str),
    tokens: &mut Tokens,
) -> Option<(Header, Algorithm)> {
    let offers: Vec<Offer> = challenge.headers().filter_map(Offer::parse).collect();
    let offer = offers.iter().find(|offer| offer.algorithm == preferred).or(offers.first())?;
    let value = offer.answer(credentials, method, uri, &tokens.token());
    let header = match offer.role {
        Role::Server => Header::Authorization(value.into()),
        Role::Proxy => Header::ProxyAuthorization(value.into()),
    };
    Some((header, offer.algorithm))
}

/// One challenge we can answer.
#[derive(Debug, PartialEq, Eq)]
struct Offer {
    role: Role,
    algorithm: Algorithm,
    realm: String,
    nonce: String,
    opaque: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Role {
    Server,
    Proxy,
}

impl Offer {
    fn parse(header: &Header) -> Option<Self> {
        let (role, value) = match header {
            Header::WwwAuthenticate(value) => (Role::Server, value.value()),
            Header::ProxyAuthenticate(value) => (Role::Proxy, value.value()),
            _ => return None,
        };
        let (scheme, rest) = value.trim().split_once(char::is_whitespace)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let parameters = parameters(rest);
        let get = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let algorithm = match get("algorithm").as_deref().map(str::to_ascii_uppercase).as_deref() {
            None | Some("MD5") => Algorithm::Md5,
            Some("SHA-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        if !get("qop")?.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")) {
            return None;
        }
        Some(Self { role, algorithm, realm: get("realm")?, nonce: get("nonce")?, opaque: get("opaque") })
    }

    /// RFC 7616 §3.4 with qop=auth; every answer uses its nonce for the first time, as browsers do.
    fn answer(&self, credentials: &Credentials, method: &str, uri: &str, cnonce: &str) -> String {
        let (hash, nonce, realm) = (self.algorithm, &self.nonce, &self.realm);
        let a1 = hash.hex(&format!("{}:{realm}:{}", credentials.user, credentials.password));
        let a2 = hash.hex(&format!("{method}:{uri}"));
        let response = hash.hex(&format!("{a1}:{nonce}:00000001:{cnonce}:auth:{a2}"));
        let opaque = self.opaque.as_ref().map(|opaque| format!(", opaque=\"{opaque}\"")).unwrap_or_default();
        format!(
            "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm={}, qop=auth, nc=00000001, cnonce=\"{cnonce}\"{opaque}",
            credentials.user,
            hash.name(),
        )
    }
}

/// `name=value` pairs; a quoted value keeps its escapes, since it is sent and hashed as it came.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_at(closing_quote(quoted)),
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        let name = name.trim_matches(|c: char| c == ',' || c.is_whitespace());
        pairs.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        rest = next.strip_prefix('"').unwrap_or(next);
    }
    pairs
}

fn closing_quote(text: &str) -> usize {
    let mut escaped = false;
    let end = text.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn challenge(headers: &str) -> Received {
        let text = format!(
            "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/WS c\r\nFrom: <sip:a@x>\r\nTo: <sip:a@x>;tag=t\r\nCall-ID: c\r\n\
             CSeq: 1 REGISTER\r\n{headers}\r\n"
        );
        Received::parse(text.as_bytes()).unwrap()
    }

    fn mufasa() -> Credentials {
        Credentials { user: "Mufasa".into(), password: "Circle of Life".into() }
    }

    #[test] // RFC 7616 §3.9.1, both of its answers
    fn the_examples_of_rfc_7616() {
        let offer = |algorithm| Offer {
            role: Role::Server,
            algorithm,
            realm: "http-auth@example.org".into(),
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v".into(),
            opaque: Some("FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS".into()),
        };
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let md5 = offer(Algorithm::Md5).answer(&mufasa(), "GET", "/dir/index.html", cnonce);
        assert!(md5.contains("response=\"8ca523f5e9506fed4657c9700eebdbec\""), "{md5}");
        let sha = offer(Algorithm::Sha256).answer(&mufasa(), "GET", "/dir/index.html", cnonce);
        assert!(sha.contains("753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"), "{sha}");
    }

    #[test]
    fn the_preferred_algorithm_is_taken_else_what_there_is() {
        let both = challenge(
            "WWW-Authenticate: Digest realm=\"a, \\\"b\", nonce=\"n=1,2\", algorithm=SHA-256, qop=\"auth,auth-int\"\r\n\
             WWW-Authenticate: Digest realm=\"r\",nonce=\"n\",qop=\"auth\",algorithm=MD5\r\n",
        );
        let tokens = &mut Tokens::with_prefix("t");
        let (header, used) =
            answer(&both, &mufasa(), Algorithm::Sha256, ("REGISTER", "sip:x"), tokens).unwrap();
        assert_eq!(used, Algorithm::Sha256);
        assert!(header.to_string().contains("realm=\"a, \\\"b\", nonce=\"n=1,2\""), "{header}");
        assert_eq!(
            answer(&both, &mufasa(), Algorithm::Md5, ("REGISTER", "sip:x"), tokens).unwrap().1,
            Algorithm::Md5
        );
        let proxy = challenge("Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n");
        let (header, used) =
            answer(&proxy, &mufasa(), Algorithm::Sha256, ("INVITE", "sip:x"), tokens).unwrap();
        assert!(matches!(header, Header::ProxyAuthorization(_)));
        assert_eq!(used, Algorithm::Md5);
    }

    #[test]
    fn what_cannot_be_answered_is_not() {
        for header in [
            "WWW-Authenticate: Basic realm=\"r\"\r\n",
            "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256, qop=\"auth\"\r\n",
            "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n",
            "",
        ] {
            let tokens = &mut Tokens::with_prefix("t");
            let answered =
                answer(&challenge(header), &mufasa(), Algorithm::Md5, ("REGISTER", "sip:x"), tokens);
            assert!(answered.is_none(), "{header}");
        }
    }

    #[test]
    fn the_password_is_not_printed() {
        assert!(!format!("{:?}", mufasa()).contains("Circle"));
    }
}

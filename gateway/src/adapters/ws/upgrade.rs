//! The opening handshake: which HTTP request becomes a SIP connection (RFC 6455 §4.2, RFC 7118 §4).

use axum::body::Body;
use axum::http::header::{
    CONNECTION, HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::super::refusal::Refusal;

/// Which pages may connect: those of the very host and port that is asked, hence our own, and others by their origin. A
/// browser always says from which page it comes; another program can say what it likes, and is stopped by authentication,
/// not by this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    /// The other pages: exact values of the header (RFC 6454 §7), as `https://phone.example.com`.
    pub others: Vec<String>,
    /// Whether a request without `Origin`, hence not from a browser, may connect.
    pub missing: MissingOrigin,
}

/// What a request without `Origin` meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingOrigin {
    /// It may connect.
    Allowed,
    /// 403.
    Refused,
}

/// Whether the request asks for a WebSocket; else it is plain HTTP.
pub(super) fn is_asked<B>(request: &Request<B>) -> bool {
    has_token(request.headers(), &UPGRADE, "websocket")
}

/// The answer 101 to a request for a WebSocket.
///
/// # Errors
/// Why it gets none.
pub(super) fn accept<B>(request: &Request<B>, origins: &Origins) -> Result<Response<Body>, Refusal> {
    let accept = judge(request, origins)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(response)
}

/// The answer to who is refused.
pub(super) fn refuse(why: Refusal) -> Response<Body> {
    let (status, text) = match why {
        Refusal::Version => (StatusCode::UPGRADE_REQUIRED, "WebSocket version 13 is needed\n"),
        Refusal::Origin => (StatusCode::FORBIDDEN, "this page may not connect\n"),
        Refusal::Subprotocol => (StatusCode::BAD_REQUEST, "the subprotocol sip is needed\n"),
        Refusal::Full | Refusal::AddressFull => (StatusCode::SERVICE_UNAVAILABLE, "too many connections\n"),
        Refusal::Handshake
        | Refusal::Stranger
        | Refusal::Proxy
        | Refusal::Tls
        | Refusal::TooSlow
        | Refusal::Http
        | Refusal::Path => (StatusCode::BAD_REQUEST, "not a WebSocket handshake\n"),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    if why == Refusal::Version {
        // RFC 6455 §4.4: the version that would do.
        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}

/// The peer's own words about what it is refused for.
pub(super) fn detail<B>(request: &Request<B>, why: Refusal) -> String {
    let header = match why {
        Refusal::Origin => Some(ORIGIN),
        Refusal::Subprotocol => Some(SEC_WEBSOCKET_PROTOCOL),
        Refusal::Version => Some(SEC_WEBSOCKET_VERSION),
        Refusal::Path => return request.uri().path().to_owned(),
        Refusal::Handshake
        | Refusal::Stranger
        | Refusal::Full
        | Refusal::AddressFull
        | Refusal::Proxy
        | Refusal::Tls
        | Refusal::TooSlow
        | Refusal::Http => None,
    };
    let values = header.iter().flat_map(|name| request.headers().get_all(name));
    let values: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    values.join(", ")
}

/// The value for `Sec-WebSocket-Accept`.
fn judge<B>(request: &Request<B>, origins: &Origins) -> Result<HeaderValue, Refusal> {
    let headers = request.headers();
    if request.method() != Method::GET || request.version() != Version::HTTP_11 {
        return Err(Refusal::Handshake);
    }
    if only(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal::Version);
    }
    let host = only(headers, &HOST).ok_or(Refusal::Handshake)?;
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err(Refusal::Handshake);
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY).filter(|key| is_key(key)).ok_or(Refusal::Handshake)?;
    if !origins.allow(headers, host) {
        return Err(Refusal::Origin);
    }
    if !offers_sip(headers) {
        return Err(Refusal::Subprotocol);
    }
    HeaderValue::try_from(derive_accept_key(key.as_bytes())).map_err(|_| Refusal::Handshake)
}

impl Origins {
    fn allow(&self, headers: &HeaderMap, host: &str) -> bool {
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => self.missing == MissingOrigin::Allowed,
            (Some(origin), None) => origin.to_str().is_ok_and(|origin| self.contain(origin, host)),
            (Some(_), Some(_)) => false,
        }
    }

    fn contain(&self, origin: &str, host: &str) -> bool {
        let is_of_host = ["https://", "http://"]
            .iter()
            .any(|scheme| origin.strip_prefix(scheme).is_some_and(|page| page.eq_ignore_ascii_case(host)));
        is_of_host || self.others.iter().any(|other| other == origin)
    }
}

fn offers_sip(headers: &HeaderMap) -> bool {
    tokens(headers, &SEC_WEBSOCKET_PROTOCOL).any(|token| token == SUBPROTOCOL)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// The header's value, when it is there once and is text.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// RFC 6455 §4.2.1: 16 bytes in base64, that is 22 characters and two signs of padding.
fn is_key(key: &str) -> bool {
    key.strip_suffix("==").is_some_and(|key| {
        key.len() == 22 && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    })
}

/// RFC 7118 §4.1.
const SUBPROTOCOL: &str = "sip";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn answer<B>(request: &Request<B>, origins: &Origins) -> Response<Body> {
        accept(request, origins).unwrap_or_else(refuse)
    }

    /// A good request, with some headers replaced; an empty value removes one.
    fn ask(changes: &[(&str, &str)]) -> StatusCode {
        answer(&request(changes), &phone(MissingOrigin::Refused)).status()
    }

    fn phone(missing: MissingOrigin) -> Origins {
        Origins { others: vec!["https://phone.example.com".into()], missing }
    }

    fn request(changes: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::get("/ws").body(()).unwrap();
        let usual = [
            ("host", "gw.example.com:8443"),
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "sip"),
            ("origin", "https://phone.example.com"),
        ];
        for (name, value) in usual.iter().chain(changes) {
            let name: HeaderName = name.parse().unwrap();
            if value.is_empty() {
                request.headers_mut().remove(name);
            } else {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
        }
        request
    }

    #[test] // RFC 6455 §1.3: the key and its answer are the RFC's own example.
    fn a_good_request_is_accepted_with_the_key_s_answer() {
        let origins = Origins { others: Vec::new(), missing: MissingOrigin::Allowed };
        let response = answer(&request(&[("origin", "")]), &origins);
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "sip");
    }

    #[test] // RFC 7118 §4.1
    fn the_subprotocol_has_to_be_sip() {
        assert_eq!(ask(&[]), 101);
        assert_eq!(ask(&[("sec-websocket-protocol", "xmpp, sip")]), 101);
        for other in ["", "SIP", "sips", "sip2", "xmpp", "sip;q=1"] {
            assert_eq!(ask(&[("sec-websocket-protocol", other)]), 400, "{other:?}");
        }
    }

    #[test]
    fn an_origin_is_compared_exactly() {
        for other in [
            "https://phone.example.com.evil.test",
            "https://evil.test",
            "http://phone.example.com",
            "https://phone.example.com:8443",
            "https://phone.example.com/",
            "https://PHONE.example.com",
            "null",
            "",
        ] {
            assert_eq!(ask(&[("origin", other)]), 403, "{other:?}");
        }
        let mut twice = request(&[]);
        twice.headers_mut().append("origin", "https://phone.example.com".parse().unwrap());
        assert_eq!(answer(&twice, &phone(MissingOrigin::Allowed)).status(), 403);
    }

    #[test]
    fn a_page_of_our_own_may_always_connect_and_is_of_the_same_host_and_port() {
        let origins = phone(MissingOrigin::Refused);
        let status = |origin: &str| answer(&request(&[("origin", origin)]), &origins).status();
        assert_eq!(status("https://gw.example.com:8443"), 101);
        assert_eq!(status("https://GW.example.com:8443"), 101);
        assert_eq!(status("https://gw.example.com"), 403);
        assert_eq!(status("https://gw.example.com:8443.evil.test"), 403);
        assert_eq!(status("https://evil.test"), 403);
        assert_eq!(status("file://gw.example.com:8443"), 403);
    }

    #[test] // RFC 6455 §4.2.1, §4.4
    fn a_bad_handshake_is_refused() {
        assert_eq!(ask(&[("sec-websocket-version", "8")]), 426);
        assert_eq!(ask(&[("sec-websocket-version", "")]), 426);
        assert_eq!(ask(&[("connection", "keep-alive")]), 400);
        assert_eq!(ask(&[("host", "")]), 400);
        for key in [
            "",
            "short==",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25j!!==",
            "dGhlIHNhbXBsZSBub25jZQQQ==",
        ] {
            assert_eq!(ask(&[("sec-websocket-key", key)]), 400, "{key:?}");
        }
        let mut post = request(&[]);
        *post.method_mut() = Method::POST;
        let origins = Origins { others: Vec::new(), missing: MissingOrigin::Allowed };
        assert_eq!(answer(&post, &origins).status(), 400);
    }
}

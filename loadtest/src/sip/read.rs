//! Reading a received message.

use rsip::prelude::UntypedHeader;
use rsip::{Header, Headers};

/// A received request or response with what the swarm needs from it.
#[derive(Debug, Clone)]
pub struct Received {
    /// The first line.
    pub start: Start,
    /// Whether `rsip` refused the message or lost a mandatory header, so that the lines were split here.
    pub split_here: bool,
    headers: Headers,
    body: String,
}

/// The first line of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A request's method and Request-URI, as written.
    Request {
        /// Case-sensitive.
        method: String,
        /// Not decoded.
        uri: String,
    },
    /// A response's status code.
    Response(u16),
}

/// Not a SIP message, or one without Via, From, To, Call-ID or CSeq.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a SIP message")]
pub struct Unreadable;

impl Received {
    /// Reads one datagram or WebSocket message.
    ///
    /// # Errors
    /// When the first line or a mandatory header (RFC 3261 §8.1.1) is missing.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").ok_or(Unreadable)?;
        let (first, lines) = head.split_once("\r\n").ok_or(Unreadable)?;
        let start = Start::parse(first)?;
        let message = match rsip::SipMessage::try_from(bytes) {
            Ok(message) => {
                Self { start, split_here: false, headers: headers_of(message), body: body.to_owned() }
            }
            Err(_) => Self { start, split_here: true, headers: split(lines), body: body.to_owned() },
        };
        if message.is_complete() {
            return Ok(message);
        }
        let message = Self { split_here: true, headers: split(lines), ..message };
        if message.is_complete() { Ok(message) } else { Err(Unreadable) }
    }

    /// The method of a request, `None` for a response.
    pub fn method(&self) -> Option<&str> {
        match &self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response(_) => None,
        }
    }

    /// Header fields in their order.
    pub fn headers(&self) -> impl Iterator<Item = &Header> {
        self.headers.iter()
    }

    /// Call-ID.
    pub fn call_id(&self) -> &str {
        self.find(|header| if let Header::CallId(id) = header { Some(id.value()) } else { None })
    }

    /// From, as written.
    pub fn from(&self) -> &str {
        self.find(|header| if let Header::From(from) = header { Some(from.value()) } else { None })
    }

    /// To, as written.
    pub fn to(&self) -> &str {
        self.find(|header| if let Header::To(to) = header { Some(to.value()) } else { None })
    }

    /// The tag of To, `None` for the first request of a dialog.
    pub fn to_tag(&self) -> Option<&str> {
        parameter(self.to(), "tag")
    }

    /// Number and method of CSeq.
    pub fn cseq(&self) -> (u32, &str) {
        let value =
            self.find(|header| if let Header::CSeq(cseq) = header { Some(cseq.value()) } else { None });
        let (number, method) = value.trim().split_once(char::is_whitespace).unwrap_or((value, ""));
        (number.parse().unwrap_or(0), method.trim())
    }

    /// The URI of the first Contact.
    pub fn contact_uri(&self) -> Option<&str> {
        self.headers.iter().find_map(|header| match header {
            Header::Contact(contact) => Some(uri_of(contact.value())),
            _ => None,
        })
    }

    /// The values of Record-Route from the top down.
    pub fn record_route(&self) -> Vec<String> {
        let lines = self.headers.iter().filter_map(|header| match header {
            Header::RecordRoute(route) => Some(route.value()),
            _ => None,
        });
        lines.flat_map(values).map(str::to_owned).collect()
    }

    /// Min-Expires in seconds (RFC 3261 §20.23).
    pub fn min_expires(&self) -> Option<u32> {
        self.headers.iter().find_map(|header| match header {
            Header::MinExpires(seconds) => seconds.value().trim().parse().ok(),
            _ => None,
        })
    }

    /// The body, as text.
    pub fn body(&self) -> &str {
        &self.body
    }

    fn is_complete(&self) -> bool {
        let has = |wanted: fn(&Header) -> bool| self.headers.iter().any(wanted);
        has(|header| matches!(header, Header::Via(_)))
            && has(|header| matches!(header, Header::From(_)))
            && has(|header| matches!(header, Header::To(_)))
            && has(|header| matches!(header, Header::CallId(_)))
            && has(|header| matches!(header, Header::CSeq(_)))
    }

    fn find<'a>(&'a self, select: impl Fn(&'a Header) -> Option<&'a str>) -> &'a str {
        self.headers.iter().find_map(select).unwrap_or_default()
    }
}

impl Start {
    fn parse(line: &str) -> Result<Self, Unreadable> {
        if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
            let code = rest.split(' ').next().and_then(|code| code.parse().ok()).ok_or(Unreadable)?;
            return Ok(Self::Response(code));
        }
        let mut parts = line.split(' ');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(method), Some(uri), Some("SIP/2.0"), None) if !method.is_empty() => {
                Ok(Self::Request { method: method.to_owned(), uri: uri.to_owned() })
            }
            _ => Err(Unreadable),
        }
    }
}

/// The URI inside a name-addr or addr-spec (RFC 3261 §20.10).
pub fn uri_of(value: &str) -> &str {
    let unquoted = after_quoted(value);
    match unquoted.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
        Some((uri, _)) => uri,
        None => unquoted.split(';').next().unwrap_or_default().trim(),
    }
}

/// A parameter of the header value itself, not of a URI in angle brackets.
pub fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let unquoted = after_quoted(value);
    let rest = unquoted.rsplit_once('>').map_or(unquoted, |(_, rest)| rest);
    rest.split(';').skip(1).find_map(|piece| {
        let (key, value) = piece.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The values of a comma-separated header line; commas inside quotes or angle brackets do not separate.
pub fn values(line: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped, mut bracket) = (false, false, false);
    line.split(move |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => bracket = true,
            '>' if !quoted => bracket = false,
            _ => {}
        }
        c == ',' && !quoted && !bracket
    })
    .map(str::trim)
    .filter(|value| !value.is_empty())
}

/// Skips a quoted display name, which may hold any of the characters looked for later.
fn after_quoted(value: &str) -> &str {
    let Some(rest) = value.trim_start().strip_prefix('"') else { return value };
    let mut escaped = false;
    let end = rest.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map_or(value, |end| &rest[end + 1..])
}

fn headers_of(message: rsip::SipMessage) -> Headers {
    match message {
        rsip::SipMessage::Request(request) => request.headers,
        rsip::SipMessage::Response(response) => response.headers,
    }
}

/// Header lines with compact names (RFC 3261 §7.3.3) and folding (§7.3.1), which `rsip` does not know.
fn split(lines: &str) -> Headers {
    let mut unfolded: Vec<String> = Vec::new();
    for line in lines.split("\r\n") {
        match unfolded.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => unfolded.push(line.to_owned()),
        }
    }
    let fields = unfolded.iter().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| header(name.trim(), value.trim())).collect::<Vec<_>>().into()
}

fn header(name: &str, value: &str) -> Header {
    match name.to_ascii_lowercase().as_str() {
        "via" | "v" => Header::Via(value.into()),
        "from" | "f" => Header::From(value.into()),
        "to" | "t" => Header::To(value.into()),
        "call-id" | "i" => Header::CallId(value.into()),
        "cseq" => Header::CSeq(value.into()),
        "contact" | "m" => Header::Contact(value.into()),
        "record-route" => Header::RecordRoute(value.into()),
        "www-authenticate" => Header::WwwAuthenticate(value.into()),
        "proxy-authenticate" => Header::ProxyAuthenticate(value.into()),
        "min-expires" => Header::MinExpires(value.into()),
        _ => Header::Other(name.to_owned(), value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn response(headers: &str) -> Received {
        Received::parse(format!("SIP/2.0 180 Ringing\r\n{headers}\r\n").as_bytes()).unwrap()
    }

    const LONG: &str = "Via: SIP/2.0/WS x.invalid;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=f\r\n\
        To: \"Doe, \\\"J\" <sip:b@x;tag=no>;tag=t\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\n";

    #[test]
    fn a_response_is_read_through_rsip() {
        let message = response(&format!(
            "{LONG}Record-Route: <sip:p2;lr>, <sip:p1;r2=on;lr>\r\nRecord-Route: <sip:p0;lr>\r\n\
             Contact: <sip:john.doe@127.0.0.1:5070;transport=udp>;expires=60\r\n"
        ));
        assert!(!message.split_here);
        assert_eq!(message.start, Start::Response(180));
        assert_eq!((message.call_id(), message.cseq()), ("c1", (7, "INVITE")));
        assert_eq!(message.to_tag(), Some("t"));
        assert_eq!(message.contact_uri(), Some("sip:john.doe@127.0.0.1:5070;transport=udp"));
        assert_eq!(message.record_route(), ["<sip:p2;lr>", "<sip:p1;r2=on;lr>", "<sip:p0;lr>"]);
    }

    #[test] // RFC 3261 §7.3.3 and §7.3.1
    fn compact_names_and_folded_lines_are_read_without_rsip() {
        let message = response(
            "v: SIP/2.0/UDP h\r\nf: sip:a@x;tag=f\r\nt: <sip:b@x>\r\n ;tag=t\r\ni: c1\r\nCSeq: 1 BYE\r\nm: sip:z@y;q=1\r\n",
        );
        assert!(message.split_here);
        assert_eq!((message.to_tag(), message.contact_uri()), (Some("t"), Some("sip:z@y")));
        assert_eq!(parameter(message.from(), "tag"), Some("f"));
    }

    #[test]
    fn unknown_methods_and_ipv6_hosts_are_read() {
        let text = format!("SHOUT sip:a@[::1] SIP/2.0\r\n{LONG}\r\nhello");
        let message = Received::parse(text.as_bytes()).unwrap();
        assert_eq!((message.method(), message.body()), (Some("SHOUT"), "hello"));
    }

    #[test]
    fn noise_is_refused() {
        for noise in ["", "\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "SIP/2.0 200 OK\r\nVia: x\r\n\r\n"]
        {
            assert_eq!(Received::parse(noise.as_bytes()).unwrap_err(), Unreadable, "{noise:?}");
        }
    }
}

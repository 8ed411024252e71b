//! Printing messages from `rsip`'s headers.

use crate::sip::read::{Received, parameter};
use rsip::Header;

/// Prints a request. The URI stands as given: `rsip` would re-print it, and loses users with a dot and IPv6 hosts.
pub fn request(method: &str, uri: &str, headers: Vec<Header>, body: Option<&str>) -> String {
    finish(format!("{method} {uri} SIP/2.0"), headers, body)
}

/// Prints a response to `to` (RFC 3261 §8.2.6): its Via fields, From, To, Call-ID and CSeq, then `extra`. A 101 to 199 and
/// a 2xx also repeat Record-Route (§12.1.1).
pub fn response(
    to: &Received,
    status: u16,
    tag: Option<&str>,
    extra: Vec<Header>,
    body: Option<&str>,
) -> String {
    let mut headers: Vec<Header> = Vec::new();
    for header in to.headers() {
        match header {
            Header::Via(_) | Header::From(_) | Header::CallId(_) | Header::CSeq(_) => {
                headers.push(header.clone())
            }
            Header::RecordRoute(_) if (101..=299).contains(&status) => headers.push(header.clone()),
            Header::To(_) => headers.push(Header::To(tagged(to.to(), tag).into())),
            _ => {}
        }
    }
    headers.extend(extra);
    finish(format!("SIP/2.0 {}", rsip::StatusCode::from(status)), headers, body)
}

/// The header value with a tag, unless it has one.
fn tagged(value: &str, tag: Option<&str>) -> String {
    match tag {
        Some(tag) if parameter(value, "tag").is_none() => format!("{value};tag={tag}"),
        _ => value.to_owned(),
    }
}

fn finish(start: String, mut headers: Vec<Header>, body: Option<&str>) -> String {
    if body.is_some() {
        headers.push(Header::ContentType("application/sdp".into()));
    }
    let body = body.unwrap_or_default();
    headers.push(Header::ContentLength((body.len() as u32).into()));
    format!("{start}\r\n{}\r\n{body}", rsip::Headers::from(headers))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_request_keeps_its_uri_and_gets_its_length() {
        let headers = vec![Header::CallId("c1".into()), Header::MaxForwards("70".into())];
        assert_eq!(
            request("INVITE", "sip:john.doe@[::1]:5060;u=a:b", headers, Some("v=0\r\n")),
            "INVITE sip:john.doe@[::1]:5060;u=a:b SIP/2.0\r\nCall-ID: c1\r\nMax-Forwards: 70\r\n\
             Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
        );
    }

    #[test] // RFC 3261 §8.2.6.2
    fn a_response_repeats_what_it_must_and_tags_to() {
        let invite = "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP p;branch=z9hG4bK2\r\nVia: SIP/2.0/WS c;branch=z9hG4bK1\r\n\
            Record-Route: <sip:p;lr>\r\nMax-Forwards: 69\r\nFrom: <sip:a@x>;tag=f\r\nTo: <sip:b@x>\r\nCall-ID: c1\r\n\
            CSeq: 2 INVITE\r\n\r\n";
        let invite = Received::parse(invite.as_bytes()).unwrap();
        let ringing = response(&invite, 180, Some("t9"), vec![Header::Contact("<sip:b@h>".into())], None);
        assert_eq!(
            ringing,
            "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP p;branch=z9hG4bK2\r\nVia: SIP/2.0/WS c;branch=z9hG4bK1\r\n\
             Record-Route: <sip:p;lr>\r\nFrom: <sip:a@x>;tag=f\r\nTo: <sip:b@x>;tag=t9\r\nCall-ID: c1\r\nCSeq: 2 INVITE\r\n\
             Contact: <sip:b@h>\r\nContent-Length: 0\r\n\r\n"
        );
        assert!(!response(&invite, 100, None, vec![], None).contains("Record-Route"));
    }
}

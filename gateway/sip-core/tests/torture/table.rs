//! One row a message.

use sip_core::message::{ParseError, Status};

/// A message, where it is defined and what becomes of it.
pub struct Row {
    /// As the RFC calls it.
    pub name: &'static str,
    /// Document, section and title.
    pub section: &'static str,
    /// The octets.
    pub raw: &'static [u8],
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// Goes to the transaction layer.
    Accepted,
    /// The fault and the answer.
    Answered(ParseError, Status),
    /// The fault; nobody is answered.
    Dropped(ParseError),
}

use ParseError::{Bad, BodyCut, CSeqMethod, Missing, Repeated, RequestUri, StartLine, StatusCode, Version};
use Verdict::{Accepted, Dropped};

/// Refused with 400.
const fn bad(error: ParseError) -> Verdict {
    Verdict::Answered(error, Status::BAD_REQUEST)
}

macro_rules! rows {
    ($($folder:literal $name:literal, $section:literal, $verdict:expr;)*) => {
        vec![$(Row {
            name: $name,
            section: $section,
            raw: include_bytes!(concat!($folder, "/", $name, ".sip")),
            verdict: $verdict,
        },)*]
    };
}

/// All messages.
pub fn rows() -> Vec<Row> {
    rows! {
        "rfc4475" "wsinv", "RFC 4475 §3.1.1.1: a short tortuous INVITE", Accepted;
        "rfc4475" "intmeth", "RFC 4475 §3.1.1.2: wide range of valid characters", Accepted;
        "rfc4475" "esc01", "RFC 4475 §3.1.1.3: valid use of the % escaping mechanism", Accepted;
        "rfc4475" "escnull", "RFC 4475 §3.1.1.4: escaped nulls in URIs", Accepted;
        "rfc4475" "esc02", "RFC 4475 §3.1.1.5: use of % when it is not an escape", Accepted;
        "rfc4475" "lwsdisp", "RFC 4475 §3.1.1.6: no blank between display name and <", Accepted;
        "rfc4475" "longreq", "RFC 4475 §3.1.1.7: long values in header fields", Accepted;
        "rfc4475" "dblreq", "RFC 4475 §3.1.1.8: extra trailing octets in a datagram", Accepted;
        "rfc4475" "semiuri", "RFC 4475 §3.1.1.9: semicolon-separated parameters in the user part", Accepted;
        "rfc4475" "transports", "RFC 4475 §3.1.1.10: varied and unknown transport types", Accepted;
        "rfc4475" "mpart01", "RFC 4475 §3.1.1.11: multipart MIME message", Accepted;
        "rfc4475" "unreason", "RFC 4475 §3.1.1.12: unusual reason phrase", Accepted;
        "rfc4475" "noreason", "RFC 4475 §3.1.1.13: empty reason phrase", Accepted;
        "rfc4475" "badinv01", "RFC 4475 §3.1.2.1: extraneous header field separators", bad(Bad("Via"));
        "rfc4475" "clerr", "RFC 4475 §3.1.2.2: Content-Length larger than message", bad(BodyCut);
        "rfc4475" "ncl", "RFC 4475 §3.1.2.3: negative Content-Length", bad(Bad("Content-Length"));
        "rfc4475" "scalar02", "RFC 4475 §3.1.2.4: request scalar fields with overlarge values", bad(Bad("CSeq"));
        "rfc4475" "scalarlg", "RFC 4475 §3.1.2.5: response scalar fields with overlarge values", Dropped(Bad("CSeq"));
        "rfc4475" "quotbal", "RFC 4475 §3.1.2.6: unterminated quoted string in display name", bad(Bad("To"));
        "rfc4475" "ltgtruri", "RFC 4475 §3.1.2.7: <> enclosing the Request-URI", bad(RequestUri);
        "rfc4475" "lwsruri", "RFC 4475 §3.1.2.8: blanks within the Request-URI", bad(RequestUri);
        "rfc4475" "lwsstart", "RFC 4475 §3.1.2.9: multiple blanks in the request line", bad(RequestUri);
        "rfc4475" "trws", "RFC 4475 §3.1.2.10: blanks at the end of the request line", bad(StartLine);
        "rfc4475" "escruri", "RFC 4475 §3.1.2.11: escaped headers in the Request-URI", bad(RequestUri);
        // Nothing here acts on Date; it crosses to no other leg.
        "rfc4475" "baddate", "RFC 4475 §3.1.2.12: invalid time zone in Date", Accepted;
        // Refused by the transaction user, who reads the Contact.
        "rfc4475" "regbadct", "RFC 4475 §3.1.2.13: failure to enclose a name-addr URI in <>", Accepted;
        "rfc4475" "badaspec", "RFC 4475 §3.1.2.14: spaces within addr-spec", bad(Bad("To"));
        "rfc4475" "baddn", "RFC 4475 §3.1.2.15: non-token characters in display name", bad(Bad("From"));
        "rfc4475" "badvers", "RFC 4475 §3.1.2.16: unknown protocol version",
            Verdict::Answered(Version, Status::VERSION_NOT_SUPPORTED);
        "rfc4475" "mismatch01", "RFC 4475 §3.1.2.17: start line and CSeq method mismatch", bad(CSeqMethod);
        "rfc4475" "mismatch02", "RFC 4475 §3.1.2.18: unknown method with CSeq method mismatch", bad(CSeqMethod);
        "rfc4475" "bigcode", "RFC 4475 §3.1.2.19: overlarge response code", Dropped(StatusCode);
        "rfc4475" "badbranch", "RFC 4475 §3.2.1: missing transaction identifier", Accepted;
        "rfc4475" "insuf", "RFC 4475 §3.3.1: missing required header fields", bad(Missing("From"));
        "rfc4475" "unkscm", "RFC 4475 §3.3.2: Request-URI with unknown scheme", Accepted;
        "rfc4475" "novelsc", "RFC 4475 §3.3.3: Request-URI with known but atypical scheme", Accepted;
        "rfc4475" "unksm2", "RFC 4475 §3.3.4: unknown URI schemes in header fields", Accepted;
        "rfc4475" "bext01", "RFC 4475 §3.3.5: Proxy-Require and Require", Accepted;
        "rfc4475" "invut", "RFC 4475 §3.3.6: unknown Content-Type", Accepted;
        "rfc4475" "regaut01", "RFC 4475 §3.3.7: unknown authorization scheme", Accepted;
        "rfc4475" "multi01", "RFC 4475 §3.3.8: multiple values in single value required fields", bad(Repeated("CSeq"));
        "rfc4475" "mcl01", "RFC 4475 §3.3.9: multiple Content-Length values", bad(Repeated("Content-Length"));
        "rfc4475" "bcast", "RFC 4475 §3.3.10: 200 OK with broadcast Via", Accepted;
        "rfc4475" "zeromf", "RFC 4475 §3.3.11: Max-Forwards of zero", Accepted;
        "rfc4475" "cparam01", "RFC 4475 §3.3.12: REGISTER with a contact header parameter", Accepted;
        "rfc4475" "cparam02", "RFC 4475 §3.3.13: REGISTER with a URL parameter", Accepted;
        "rfc4475" "regescrt", "RFC 4475 §3.3.14: REGISTER with a URL escaped header", Accepted;
        "rfc4475" "sdp01", "RFC 4475 §3.3.15: unacceptable Accept offering", Accepted;
        "rfc4475" "inv2543", "RFC 4475 §3.4.1: INVITE with RFC 2543 syntax", Accepted;
        "rfc5118" "ipv6-good", "RFC 5118 §4.1: valid message with an IPv6 reference", Accepted;
        "rfc5118" "ipv6-bad", "RFC 5118 §4.2: invalid message with an IPv6 reference", bad(RequestUri);
        "rfc5118" "port-ambiguous", "RFC 5118 §4.3: port ambiguous in a SIP URI", Accepted;
        "rfc5118" "port-unambiguous", "RFC 5118 §4.4: port unambiguous in a SIP URI", Accepted;
        "rfc5118" "via-received-param-with-delim", "RFC 5118 §4.5: received with brackets", Accepted;
        "rfc5118" "via-received-param-no-delim", "RFC 5118 §4.5: received without brackets", Accepted;
        "rfc5118" "ipv6-in-sdp", "RFC 5118 §4.6: IPv6 addresses in the SDP", Accepted;
        "rfc5118" "mult-ip-in-header", "RFC 5118 §4.7: multiple IP addresses in headers", Accepted;
        "rfc5118" "mult-ip-in-sdp", "RFC 5118 §4.8: multiple IP addresses in SDP", Accepted;
        "rfc5118" "ipv4-mapped-ipv6", "RFC 5118 §4.9: IPv4-mapped IPv6 addresses", Accepted;
        // RFC 5954 took the third colon out of the grammar.
        "rfc5118" "ipv6-bug-abnf-3-colons", "RFC 5118 §4.10: three colons", bad(RequestUri);
        "rfc5118" "ipv6-correct-abnf-2-colons", "RFC 5118 §4.10: two colons", Accepted;
    }
}

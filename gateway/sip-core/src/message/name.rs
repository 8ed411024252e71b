//! Header field names; long and compact forms (RFC 3261 §7.3.3) are one name here.

use std::fmt;

macro_rules! names {
    ($($variant:ident, $canonical:literal => $pattern:pat,)*) => {
        /// The name of a header field. Names compare without case; a compact form is its long form.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each is the header field of that name")]
        pub enum Name<'a> {
            $($variant,)*
            /// Any name not listed; `Other("via")` still finds Via.
            Other(&'a str),
        }

        /// What the index keeps of a name: one octet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Known {
            $($variant,)*
            /// Compare by the text.
            Unlisted,
        }

        impl<'a> Name<'a> {
            /// The name in its usual spelling; for [`Name::Other`] as it was given.
            pub fn as_str(self) -> &'a str {
                match self {
                    $(Self::$variant => $canonical,)*
                    Self::Other(text) => text,
                }
            }

            pub(super) fn known(self) -> Known {
                match self {
                    $(Self::$variant => Known::$variant,)*
                    Self::Other(text) => Known::of(text.as_bytes()),
                }
            }
        }

        impl Known {
            pub(super) fn of(name: &[u8]) -> Self {
                let mut lower = [0; LONGEST];
                let Some(same_length) = lower.get_mut(..name.len()) else { return Self::Unlisted };
                same_length.copy_from_slice(name);
                // All of it: a fixed number of octets takes a few instructions.
                lower.make_ascii_lowercase();
                match lower.get(..name.len()).unwrap_or_default() {
                    $($pattern => Self::$variant,)*
                    _ => Self::Unlisted,
                }
            }

            /// `text` is the name as it stands in the message.
            pub(super) fn name(self, text: &str) -> Name<'_> {
                match self {
                    $(Self::$variant => Name::$variant,)*
                    Self::Unlisted => Name::Other(text),
                }
            }
        }
    };
}

names! {
    Accept, "Accept" => b"accept",
    AcceptContact, "Accept-Contact" => b"accept-contact" | b"a",
    AcceptEncoding, "Accept-Encoding" => b"accept-encoding",
    AcceptLanguage, "Accept-Language" => b"accept-language",
    AlertInfo, "Alert-Info" => b"alert-info",
    Allow, "Allow" => b"allow",
    AllowEvents, "Allow-Events" => b"allow-events" | b"u",
    AuthenticationInfo, "Authentication-Info" => b"authentication-info",
    Authorization, "Authorization" => b"authorization",
    CallId, "Call-ID" => b"call-id" | b"i",
    CallInfo, "Call-Info" => b"call-info",
    Contact, "Contact" => b"contact" | b"m",
    ContentDisposition, "Content-Disposition" => b"content-disposition",
    ContentEncoding, "Content-Encoding" => b"content-encoding" | b"e",
    ContentLength, "Content-Length" => b"content-length" | b"l",
    ContentType, "Content-Type" => b"content-type" | b"c",
    CSeq, "CSeq" => b"cseq",
    Date, "Date" => b"date",
    Diversion, "Diversion" => b"diversion",
    ErrorInfo, "Error-Info" => b"error-info",
    Event, "Event" => b"event" | b"o",
    Expires, "Expires" => b"expires",
    FlowTimer, "Flow-Timer" => b"flow-timer",
    From, "From" => b"from" | b"f",
    HistoryInfo, "History-Info" => b"history-info",
    Identity, "Identity" => b"identity" | b"y",
    InfoPackage, "Info-Package" => b"info-package",
    InReplyTo, "In-Reply-To" => b"in-reply-to",
    MaxForwards, "Max-Forwards" => b"max-forwards",
    MimeVersion, "MIME-Version" => b"mime-version",
    MinExpires, "Min-Expires" => b"min-expires",
    MinSe, "Min-SE" => b"min-se",
    Organization, "Organization" => b"organization",
    PAssertedIdentity, "P-Asserted-Identity" => b"p-asserted-identity",
    Path, "Path" => b"path",
    PPreferredIdentity, "P-Preferred-Identity" => b"p-preferred-identity",
    Priority, "Priority" => b"priority",
    Privacy, "Privacy" => b"privacy",
    ProxyAuthenticate, "Proxy-Authenticate" => b"proxy-authenticate",
    ProxyAuthorization, "Proxy-Authorization" => b"proxy-authorization",
    ProxyRequire, "Proxy-Require" => b"proxy-require",
    RAck, "RAck" => b"rack",
    Reason, "Reason" => b"reason",
    RecordRoute, "Record-Route" => b"record-route",
    RecvInfo, "Recv-Info" => b"recv-info",
    ReferredBy, "Referred-By" => b"referred-by" | b"b",
    ReferTo, "Refer-To" => b"refer-to" | b"r",
    RejectContact, "Reject-Contact" => b"reject-contact" | b"j",
    Replaces, "Replaces" => b"replaces",
    ReplyTo, "Reply-To" => b"reply-to",
    RequestDisposition, "Request-Disposition" => b"request-disposition" | b"d",
    Require, "Require" => b"require",
    RetryAfter, "Retry-After" => b"retry-after",
    Route, "Route" => b"route",
    RSeq, "RSeq" => b"rseq",
    Server, "Server" => b"server",
    ServiceRoute, "Service-Route" => b"service-route",
    SessionExpires, "Session-Expires" => b"session-expires" | b"x",
    SipEtag, "SIP-ETag" => b"sip-etag",
    SipIfMatch, "SIP-If-Match" => b"sip-if-match",
    Subject, "Subject" => b"subject" | b"s",
    SubscriptionState, "Subscription-State" => b"subscription-state",
    Supported, "Supported" => b"supported" | b"k",
    Timestamp, "Timestamp" => b"timestamp",
    To, "To" => b"to" | b"t",
    Unsupported, "Unsupported" => b"unsupported",
    UserAgent, "User-Agent" => b"user-agent",
    Via, "Via" => b"via" | b"v",
    Warning, "Warning" => b"warning",
    WwwAuthenticate, "WWW-Authenticate" => b"www-authenticate",
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Octets of the longest name of the table, with some room.
const LONGEST: usize = 24;

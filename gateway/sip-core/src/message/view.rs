//! Looking at a message: everything is a view over its bytes.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::index::{Address, Index, Line, Span, Start};
use super::name::Known;
use super::text::{self, delta_seconds};
use super::{Contacts, MediaType, Method, Name, NameAddr, Params, ParseError, Status, Via};

/// A request or a response that was found sound: Via, From, To, Call-ID and CSeq are there and well-formed.
///
/// A clone shares everything. Equal means: the same octets.
#[derive(Clone)]
pub struct Message(Arc<Parts>);

struct Parts {
    raw: Bytes,
    /// Where lines are continued: a copy without line breaks inside values, with the same offsets.
    unfolded: Option<Bytes>,
    index: Index,
}

/// The start line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// `METHOD uri SIP/2.0`
    Request {
        /// What is asked.
        method: &'a Method,
        /// Of whom. It was checked to be a URI without headers.
        uri: &'a str,
    },
    /// `SIP/2.0 status reason`
    Response {
        /// The code.
        status: Status,
        /// The phrase as sent; empty when it is no UTF-8.
        reason: &'a str,
    },
}

impl Message {
    pub(super) fn new(mut raw: Bytes, unfolded: Option<Bytes>, index: Index) -> Self {
        raw.truncate(usize::try_from(index.body.end).unwrap_or(usize::MAX));
        Self(Arc::new(Parts { raw, unfolded, index }))
    }

    /// The message exactly as it came or was built.
    pub fn bytes(&self) -> &Bytes {
        &self.0.raw
    }

    /// What the start line says.
    pub fn kind(&self) -> Kind<'_> {
        match self.index().start {
            Start::Request { uri } => Kind::Request { method: self.method(), uri: self.str(uri) },
            Start::Response { status, reason } => Kind::Response { status, reason: self.str(reason) },
        }
    }

    /// Whether this is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.index().start, Start::Request { .. })
    }

    /// The method of a request; of a response that in its CSeq.
    pub fn method(&self) -> &Method {
        &self.index().method
    }

    /// `None` for a request.
    pub fn status(&self) -> Option<Status> {
        match self.index().start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(status),
        }
    }

    /// The Request-URI; `None` for a response.
    pub fn uri(&self) -> Option<&str> {
        match self.index().start {
            Start::Request { uri } => Some(self.str(uri)),
            Start::Response { .. } => None,
        }
    }

    /// The topmost Via.
    pub fn via(&self) -> Via<'_> {
        let via = &self.index().via;
        Via {
            transport: self.str(via.transport),
            sent_by: self.str(via.sent_by),
            host: self.str(via.host),
            port: via.port,
            branch: via.branch.map(|span| self.str(span)),
            received: via.received.map(|span| self.str(span)),
            rport: via.rport,
            params: Params(self.str(via.params)),
        }
    }

    /// All Via values, topmost first.
    pub fn vias(&self) -> impl Iterator<Item = Via<'_>> {
        self.values(Name::Via).filter_map(|value| Via::parse(value).ok())
    }

    /// From.
    pub fn from(&self) -> NameAddr<'_> {
        self.address(&self.index().from)
    }

    /// To.
    pub fn to(&self) -> NameAddr<'_> {
        self.address(&self.index().to)
    }

    /// The tag of From; absent only from peers older than RFC 3261.
    pub fn from_tag(&self) -> Option<&str> {
        self.index().from.tag.map(|tag| self.str(tag))
    }

    /// The tag of To.
    pub fn to_tag(&self) -> Option<&str> {
        self.index().to.tag.map(|tag| self.str(tag))
    }

    /// Call-ID.
    pub fn call_id(&self) -> &str {
        self.str(self.index().call_id)
    }

    /// CSeq.
    pub fn cseq(&self) -> (u32, &Method) {
        (self.index().cseq, &self.index().method)
    }

    /// Max-Forwards of a request; some peers send none.
    pub fn max_forwards(&self) -> Option<u8> {
        self.index().max_forwards
    }

    /// The Expires header in seconds, read as RFC 3261 §10.2.1.1 and §20.19 want: too large is the largest,
    /// malformed is one hour.
    pub fn expires(&self) -> Option<u32> {
        self.header(Name::Expires).map(delta_seconds)
    }

    /// All Contact values.
    ///
    /// # Errors
    /// [`ParseError::Bad`] when one of them is malformed or `*` does not stand alone.
    pub fn contacts(&self) -> Result<Contacts<'_>, ParseError> {
        Contacts::parse(self.lines(Name::Contact).map(|line| self.value(line)))
    }

    /// The Route values in order; read them with [`NameAddr::parse`].
    pub fn route(&self) -> impl Iterator<Item = &str> {
        self.values(Name::Route)
    }

    /// The Record-Route values in order; read them with [`NameAddr::parse`].
    pub fn record_route(&self) -> impl Iterator<Item = &str> {
        self.values(Name::RecordRoute)
    }

    /// The option tags of Require.
    pub fn require(&self) -> impl Iterator<Item = &str> {
        self.values(Name::Require)
    }

    /// The option tags of Supported.
    pub fn supported(&self) -> impl Iterator<Item = &str> {
        self.values(Name::Supported)
    }

    /// The value of the first line of that name, without line breaks; `None` when absent or no UTF-8.
    pub fn header<'m>(&'m self, name: Name<'_>) -> Option<&'m str> {
        self.lines(name).next().and_then(|line| self.value(line))
    }

    /// As [`Message::header`], whatever octets it holds.
    pub fn header_bytes<'m>(&'m self, name: Name<'_>) -> Option<&'m [u8]> {
        self.lines(name).next().map(|line| line.value.get(self.text()))
    }

    /// The value of each line of that name. Lines that are no UTF-8 are left out.
    pub fn headers<'m, 'n>(&'m self, name: Name<'n>) -> impl Iterator<Item = &'m str> + use<'m, 'n> {
        self.lines(name).filter_map(|line| self.value(line))
    }

    /// The elements of a comma list over all lines of that name, trimmed, empty ones left out. Not for headers whose
    /// one value may hold commas (Authorization, Date, WWW-Authenticate).
    pub fn values<'m, 'n>(&'m self, name: Name<'n>) -> impl Iterator<Item = &'m str> + use<'m, 'n> {
        self.headers(name).flat_map(|value| text::split(value, ',')).filter(|value| !value.is_empty())
    }

    /// Each header line in order. Lines that are no UTF-8 are left out.
    pub fn all_headers(&self) -> impl Iterator<Item = (Name<'_>, &str)> {
        self.index()
            .lines
            .iter()
            .filter_map(|line| Some((line.known.name(self.str(line.name)), self.value(line)?)))
    }

    /// The body; empty without one.
    pub fn body(&self) -> &[u8] {
        self.index().body.get(&self.0.raw)
    }

    /// The body without a copy.
    pub fn body_bytes(&self) -> Bytes {
        self.0.raw.slice_ref(self.body())
    }

    /// The Content-Type; `None` when absent or malformed.
    pub fn content_type(&self) -> Option<MediaType<'_>> {
        self.header(Name::ContentType).and_then(MediaType::parse)
    }

    pub(super) fn index(&self) -> &Index {
        &self.0.index
    }

    /// What offsets point into: no header value in it holds a line break.
    pub(super) fn text(&self) -> &Bytes {
        self.0.unfolded.as_ref().unwrap_or(&self.0.raw)
    }

    fn address(&self, address: &Address) -> NameAddr<'_> {
        NameAddr {
            display: self.str(address.display),
            uri: self.str(address.uri),
            params: Params(self.str(address.params)),
        }
    }

    fn lines<'m, 'n>(&'m self, name: Name<'n>) -> impl Iterator<Item = &'m Line> + use<'m, 'n> {
        let known = name.known();
        self.index().lines.iter().filter(move |line| {
            line.known == known
                && (known != Known::Unlisted
                    || line.name.get(self.text()).eq_ignore_ascii_case(name.as_str().as_bytes()))
        })
    }

    fn value(&self, line: &Line) -> Option<&str> {
        line.value.text(self.text())
    }

    /// Text that was found to be UTF-8 when the message was made, or may as well be empty.
    fn str(&self, span: Span) -> &str {
        span.text(self.text()).unwrap_or_default()
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.0.raw == other.0.raw
    }
}

impl Eq for Message {}

/// The start line without addresses: safe to log.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, method) = self.cseq();
        match self.status() {
            Some(status) => write!(f, "Message({status} to {number} {method})"),
            None => write!(f, "Message({number} {method})"),
        }
    }
}

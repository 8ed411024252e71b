//! What can be wrong with a message, and what the sender is told.

use super::{Message, Status};

/// Bytes that are no message. For a request whose Via could be read there is an answer to give.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct Malformed {
    /// The first fault found.
    pub error: ParseError,
    /// The response to send where the bytes came from; `None`: drop them (an ACK, a response, no Via).
    ///
    /// It names the fault and repeats nothing of the input but the headers RFC 3261 §8.2.6.2 tells to copy; one of
    /// those that is itself missing or malformed is replaced by a placeholder.
    pub reply: Option<Message>,
}

/// A fault of the sender's. The text is the reason phrase of the answer and never holds input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing but line breaks.
    #[error("Empty Message")]
    Empty,
    /// No empty line behind the headers.
    #[error("Headers Not Terminated")]
    Unterminated,
    /// A CR or LF that is not part of a CRLF.
    #[error("Bare Line Break")]
    BareLineBreak,
    /// More octets than [`super::Limits::message`].
    #[error("Message Too Large")]
    MessageTooLarge,
    /// More octets than [`super::Limits::body`].
    #[error("Request Entity Too Large")]
    BodyTooLarge,
    /// More than [`super::Limits::line`].
    #[error("Header Line Too Long")]
    LineTooLong,
    /// More than [`super::Limits::headers`].
    #[error("Too Many Headers")]
    TooManyHeaders,
    /// More than [`super::Limits::vias`].
    #[error("Too Many Via Values")]
    TooManyVias,
    /// Neither a request line nor a status line.
    #[error("Malformed Start Line")]
    StartLine,
    /// The method is no token.
    #[error("Malformed Method")]
    Method,
    /// The Request-URI is no URI, or holds what it must not (RFC 3261 §19.1.1, table 1).
    #[error("Malformed Request-URI")]
    RequestUri,
    /// Another version than SIP/2.0.
    #[error("Version Not Supported")]
    Version,
    /// A status code outside 100 to 699.
    #[error("Malformed Status Code")]
    StatusCode,
    /// A header line without colon or with a name that is no token.
    #[error("Malformed Header Line")]
    HeaderLine,
    /// A header that must be there.
    #[error("Missing {0}")]
    Missing(&'static str),
    /// A header that may stand once only.
    #[error("Repeated {0}")]
    Repeated(&'static str),
    /// A header whose value breaks its grammar.
    #[error("Malformed {0}")]
    Bad(&'static str),
    /// The method of the CSeq is not that of the request line.
    #[error("CSeq Method Mismatch")]
    CSeqMethod,
    /// Content-Length says more than came.
    #[error("Body Shorter Than Content-Length")]
    BodyCut,
    /// A URI that cannot be read.
    #[error("Malformed URI")]
    Uri,
    /// A multipart body deeper, longer or other than allowed.
    #[error("Malformed Multipart Body")]
    Multipart,
}

impl ParseError {
    /// The status of the answer.
    pub fn status(self) -> Status {
        match self {
            Self::MessageTooLarge | Self::LineTooLong | Self::TooManyHeaders | Self::TooManyVias => {
                Status::MESSAGE_TOO_LARGE
            }
            Self::BodyTooLarge => Status::REQUEST_ENTITY_TOO_LARGE,
            Self::Version => Status::VERSION_NOT_SUPPORTED,
            Self::Empty
            | Self::Unterminated
            | Self::BareLineBreak
            | Self::StartLine
            | Self::Method
            | Self::RequestUri
            | Self::StatusCode
            | Self::HeaderLine
            | Self::Missing(_)
            | Self::Repeated(_)
            | Self::Bad(_)
            | Self::CSeqMethod
            | Self::BodyCut
            | Self::Uri
            | Self::Multipart => Status::BAD_REQUEST,
        }
    }
}

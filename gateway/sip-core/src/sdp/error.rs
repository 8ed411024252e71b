//! Why a session description was not taken, and by that whose fault it is.

/// What was wrong with a peer's SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Not SDP, or over a limit: answer 400.
    #[error("malformed SDP, line {line}: {what}")]
    Malformed {
        /// Counted from 1; 0 speaks of the whole.
        line: u32,
        /// Which rule was broken; never the peer's text.
        what: &'static str,
    },
    /// SDP, but nothing we can do: answer 488 (RFC 3261 §13.3.1.3).
    #[error("SDP not acceptable: {0}")]
    NotAcceptable(&'static str),
    /// An offer while ours is unanswered: answer 491 (RFC 3261 §14.2).
    #[error("both sides made an offer")]
    Glare,
    /// An answer, but we made no offer: answer 400, or ignore it in an ACK.
    #[error("an SDP answer without an offer")]
    NoOffer,
}

//! Why browsers' transports fail, and how often.

/// Why the transport of a browser's leg failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No ICE check came in time.
    #[error("no ICE check arrived")]
    Unreachable,
    /// RFC 7675 §5.1.
    #[error("ICE consent expired (RFC 7675)")]
    Consent,
    /// RFC 5763 §5: somebody else answered, or the SDP was changed.
    #[error("the certificate is not the one in the SDP")]
    Fingerprint,
    /// The peer does not speak DTLS, or its records do not reach us.
    #[error("the DTLS handshake did not complete")]
    Timeout,
    /// The records can't be read, or the peer takes nothing of what we offer.
    #[error("the DTLS handshake broke too often")]
    Protocol,
}

/// How many transports failed, for each [`Failure`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransportFailures([u64; Failure::ALL.len()]);

impl Failure {
    /// Every one, in the order of their declaration.
    pub const ALL: [Self; 5] =
        [Self::Unreachable, Self::Consent, Self::Fingerprint, Self::Timeout, Self::Protocol];

    /// One word, for metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Consent => "consent",
            Self::Fingerprint => "fingerprint",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
        }
    }
}

impl TransportFailures {
    /// With the number of each.
    pub fn of_each(number: impl FnMut(Failure) -> u64) -> Self {
        Self(Failure::ALL.map(number))
    }

    /// How many there were of one.
    pub fn of(&self, failure: Failure) -> u64 {
        self.0[failure as usize]
    }

    pub(crate) fn count(&mut self, failure: Failure) {
        self.0[failure as usize] += 1;
    }
}

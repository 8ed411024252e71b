//! What an operator decides about calls.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sdp::Profile;

/// The settings of the call machine. An argument of every step, so that a changed configuration needs no new calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How long a callee may ring.
    pub no_answer: Duration,
    /// How long an established call waits for a browser whose connection broke.
    pub grace: Duration,
    /// RFC 3261 §17.1.1.1; a 2xx is repeated from here on, doubled each time.
    pub t1: Duration,
    /// Most time between two repetitions of a 2xx.
    pub t2: Duration,
    /// RFC 4028 §4: no peer may ask for a session interval below this. At least 90 s.
    pub min_session: Duration,
    /// Headers that cross to the other leg.
    pub crossing: Crossing,
    /// Most hops a call of ours may still take (RFC 3261 §16.6 step 3).
    pub max_forwards: u8,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            no_answer: Duration::from_secs(180),
            grace: Duration::from_secs(20),
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            min_session: Duration::from_secs(90),
            crossing: Crossing::default(),
            max_forwards: 70,
        }
    }
}

/// Headers that cross from a caller's INVITE to the callee's, and from the callee's responses back, by who wrote them: a
/// trunk is believed what a browser may not claim. Anything else of one leg is never seen on the other. Structural
/// headers named here are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crossing {
    /// Of what trunks write.
    pub from_trunk: Vec<String>,
    /// Of what browsers write.
    pub from_browser: Vec<String>,
}

impl Crossing {
    /// The names that count in a message of such a peer.
    pub(super) fn written_by(&self, profile: Profile) -> &[String] {
        match profile {
            Profile::PlainRtp => &self.from_trunk,
            Profile::WebRtc => &self.from_browser,
        }
    }
}

impl Default for Crossing {
    fn default() -> Self {
        Self { from_trunk: vec!["X-Genesys-CallUUID".to_owned()], from_browser: Vec::new() }
    }
}

//! How long a browser may be sent to, and how long its checks are waited for: RFC 7675 §5.1.
//!
//! The two end together, 30 s after the last check, unless the browser restarts ICE (RFC 8445 §9): then nothing is
//! sent from the same moment on, but whoever mends the call gets the time to. That time is bounded, however often the
//! browser restarts.

use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::ice::CONSENT;

#[derive(Clone, Copy)]
pub(super) enum Consent {
    /// The other side of the session is not known yet, so that nobody has to connect.
    Undue,
    /// Checks must begin.
    Awaited(Wait),
    Given(Wait),
    /// No path was checked lately enough, but there is time left to mend that.
    Mending(Wait),
    /// The end of the connection was told; a check brings it back.
    Lost,
}

/// For the next check.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    /// The last one, or when they were due to begin.
    since: Instant,
    restarted: Option<Instant>,
}

impl Consent {
    /// A new check of the browser.
    pub(super) fn renew(&mut self, now: Instant) {
        *self = Self::Given(Wait { since: now, restarted: None });
    }

    /// From now on the browser is expected to connect.
    pub(super) fn expect(&mut self, now: Instant) {
        match self {
            Self::Undue => *self = Self::Awaited(Wait { since: now, restarted: None }),
            Self::Awaited(_) | Self::Given(_) | Self::Mending(_) | Self::Lost => {}
        }
    }

    /// The browser told of new ICE credentials.
    pub(super) fn restart(&mut self, now: Instant) {
        match self {
            Self::Awaited(wait) | Self::Given(wait) | Self::Mending(wait) => wait.restarted = Some(now),
            Self::Undue | Self::Lost => {}
        }
    }

    pub(super) fn is_given(&self) -> bool {
        matches!(self, Self::Given(_))
    }

    /// Lets time pass; why the connection has ended just now. `paths_end`: when the last path's consent ends.
    pub(super) fn handle_timeout(&mut self, paths_end: Option<Instant>, now: Instant) -> Option<Failure> {
        self.timeout(paths_end).filter(|at| *at <= now)?;
        let (next, failure) = match *self {
            Self::Given(wait) if wait.ends() > now => (Self::Mending(wait), None),
            Self::Given(_) | Self::Mending(_) => (Self::Lost, Some(Failure::Consent)),
            Self::Awaited(_) => (Self::Lost, Some(Failure::Unreachable)),
            Self::Undue | Self::Lost => return None,
        };
        *self = next;
        failure
    }

    pub(super) fn timeout(&self, paths_end: Option<Instant>) -> Option<Instant> {
        match self {
            Self::Given(wait) => Some(paths_end.unwrap_or(wait.since + CONSENT)),
            Self::Awaited(wait) | Self::Mending(wait) => Some(wait.ends()),
            Self::Undue | Self::Lost => None,
        }
    }
}

impl Wait {
    /// A restart gives as much time as the connection had at its beginning, within [`MENDING`].
    fn ends(&self) -> Instant {
        let unmended = self.since + CONSENT;
        self.restarted.map_or(unmended, |at| (at + CONSENT).clamp(unmended, self.since + MENDING))
    }
}

/// Since the last check: an offer proves that the page is alive, not that its packets will ever come through, and on
/// the other side somebody hears nothing.
const MENDING: Duration = CONSENT.saturating_mul(2);

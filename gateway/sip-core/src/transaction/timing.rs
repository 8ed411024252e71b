//! Timers A–M as data: RFC 3261 table 4, RFC 6026 for L and M.

use std::time::Duration;

/// The three base values of RFC 3261 table 4, and the limits this gateway adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Estimate of the round-trip time.
    pub t1: Duration,
    /// Longest interval between retransmissions of a non-INVITE request or an INVITE response.
    pub t2: Duration,
    /// Longest time a message stays in the network.
    pub t4: Duration,
    /// How long an INVITE may go on without a final response and without a provisional one that renews this time.
    ///
    /// RFC 3261 has no such timer for a user agent (§16.6 step 11 has C for proxies): ringing is ended by the
    /// transaction user. This is the net below it, for a call that was forgotten. A re-INVITE has 64·T1 instead.
    pub ringing_limit: Duration,
    /// Who answers an INVITE with 100, and when.
    pub trying: Trying,
}

/// When an INVITE server transaction sends the 100 (Trying) of RFC 3261 §17.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trying {
    /// With the arrival of the INVITE.
    AtOnce,
    /// When the transaction user has not answered so long; the RFC's value is 200 ms.
    After(Duration),
}

/// Whether the transport repeats what is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliability {
    /// TCP, TLS, WS, WSS.
    Reliable,
    /// UDP.
    Unreliable,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            ringing_limit: Duration::from_secs(15 * 60),
            trying: Trying::AtOnce,
        }
    }
}

/// The timers of one transaction by the letters of the RFC. `None`: not set on a reliable transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timers {
    /// INVITE request retransmission: first interval, doubles without limit until B.
    pub a: Option<Duration>,
    /// INVITE client transaction time-out.
    pub b: Duration,
    /// Wait for repeated 300–699 responses to an INVITE.
    pub d: Duration,
    /// Non-INVITE request retransmission: first interval, doubles up to T2.
    pub e: Option<Duration>,
    /// Non-INVITE client transaction time-out.
    pub f: Duration,
    /// INVITE response retransmission: first interval, doubles up to T2.
    pub g: Option<Duration>,
    /// Wait for the ACK.
    pub h: Duration,
    /// Wait for repeated ACKs.
    pub i: Duration,
    /// Wait for repeated non-INVITE requests.
    pub j: Duration,
    /// Wait for repeated responses to a non-INVITE request.
    pub k: Duration,
    /// Wait for repeated INVITEs after a 2xx (RFC 6026).
    pub l: Duration,
    /// Wait for repeated and forked 2xx (RFC 6026).
    pub m: Duration,
    /// Longest retransmission interval of E and G.
    pub t2: Duration,
    /// [`Timing::ringing_limit`].
    pub ringing_limit: Duration,
}

/// The timers of every transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AllTimers {
    reliable: Timers,
    unreliable: Timers,
}

impl AllTimers {
    /// Made once.
    pub fn new(timing: &Timing) -> Self {
        Self {
            reliable: timing.timers(Reliability::Reliable),
            unreliable: timing.timers(Reliability::Unreliable),
        }
    }

    /// Those of a transaction over such a transport.
    pub fn over(&self, reliability: Reliability) -> &Timers {
        match reliability {
            Reliability::Reliable => &self.reliable,
            Reliability::Unreliable => &self.unreliable,
        }
    }
}

impl Timing {
    /// Every timer, by transport.
    fn timers(&self, reliability: Reliability) -> Timers {
        let on_unreliable = |value: Duration| match reliability {
            Reliability::Unreliable => Some(value),
            Reliability::Reliable => None,
        };
        let patience = self.t1.saturating_mul(64);
        Timers {
            a: on_unreliable(self.t1),
            b: patience,
            // RFC 3261 §17.1.1.2: at least 32 s, the longest time the server repeats its response (H).
            d: on_unreliable(patience.max(Duration::from_secs(32))).unwrap_or_default(),
            e: on_unreliable(self.t1),
            f: patience,
            g: on_unreliable(self.t1),
            h: patience,
            i: on_unreliable(self.t4).unwrap_or_default(),
            j: on_unreliable(patience).unwrap_or_default(),
            k: on_unreliable(self.t4).unwrap_or_default(),
            l: patience,
            m: patience,
            t2: self.t2,
            ringing_limit: self.ringing_limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test] // RFC 3261 table 4; RFC 6026 for L and M
    fn over_udp_every_timer_has_the_value_of_the_table() {
        let timers = Timing::default().timers(Reliability::Unreliable);
        assert_eq!(timers.a, Some(SECOND / 2));
        assert_eq!(timers.b, 32 * SECOND);
        assert_eq!(timers.d, 32 * SECOND);
        assert_eq!(timers.e, Some(SECOND / 2));
        assert_eq!(timers.f, 32 * SECOND);
        assert_eq!(timers.g, Some(SECOND / 2));
        assert_eq!(timers.h, 32 * SECOND);
        assert_eq!(timers.i, 5 * SECOND);
        assert_eq!(timers.j, 32 * SECOND);
        assert_eq!(timers.k, 5 * SECOND);
        assert_eq!(timers.l, 32 * SECOND);
        assert_eq!(timers.m, 32 * SECOND);
    }

    #[test] // RFC 3261 table 4: "0s for TCP/SCTP"
    fn over_tcp_nothing_is_repeated_and_nothing_lingers() {
        let timers = Timing::default().timers(Reliability::Reliable);
        assert_eq!((timers.a, timers.e, timers.g), (None, None, None));
        assert_eq!((timers.d, timers.i, timers.j, timers.k), Default::default());
        assert_eq!((timers.b, timers.f, timers.h), (32 * SECOND, 32 * SECOND, 32 * SECOND));
        assert_eq!((timers.l, timers.m), (32 * SECOND, 32 * SECOND));
    }
}

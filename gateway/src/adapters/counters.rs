//! What the transports count for the operators.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::ports::transport::CloseReason;

/// A look at the counters of all transports. All but `open` only rise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Stream connections open now, handshakes done.
    pub open: u64,
    /// Stream connections that were opened.
    pub opened: u64,
    /// Connections closed unread by a cap.
    pub refused: u64,
    /// Connections that did not get through TLS or the upgrade.
    pub handshakes_failed: u64,
    /// Times that accepting failed, as for want of descriptors.
    pub accept_failures: u64,
    /// Connections to trunks that could not be made.
    pub dials_failed: u64,
    /// Datagrams dropped because too many were being worked on.
    pub datagrams_dropped: u64,
    /// Messages whose work panicked.
    pub panics: u64,
    /// Ends of connections by reason.
    pub closed: Vec<(CloseReason, u64)>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    open: AtomicU64,
    opened: AtomicU64,
    refused: AtomicU64,
    handshakes_failed: AtomicU64,
    accept_failures: AtomicU64,
    dials_failed: AtomicU64,
    datagrams_dropped: AtomicU64,
    panics: AtomicU64,
    closed: [AtomicU64; CloseReason::ALL.len()],
}

impl Counters {
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Relaxed)
    }

    pub(crate) fn note_opened(&self) {
        self.open.fetch_add(1, Relaxed);
        self.opened.fetch_add(1, Relaxed);
    }

    /// One open connection less; tells how many are left.
    pub(crate) fn note_gone(&self) -> u64 {
        self.open.fetch_sub(1, Relaxed) - 1
    }

    pub(crate) fn note_closed(&self, why: CloseReason) {
        let at = CloseReason::ALL.iter().position(|reason| *reason == why);
        if let Some(counter) = at.and_then(|at| self.closed.get(at)) {
            counter.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn note_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn note_handshake_failed(&self) {
        self.handshakes_failed.fetch_add(1, Relaxed);
    }

    pub(crate) fn note_accept_failure(&self) {
        self.accept_failures.fetch_add(1, Relaxed);
    }

    pub(crate) fn note_dial_failed(&self) {
        self.dials_failed.fetch_add(1, Relaxed);
    }

    pub(crate) fn note_datagram_dropped(&self) {
        self.datagrams_dropped.fetch_add(1, Relaxed);
    }

    /// The panic hook has told where; this says that the node lives on.
    pub(crate) fn note_panic(&self) {
        self.panics.fetch_add(1, Relaxed);
        tracing::error!("the work on one message panicked; the message is lost, nothing else");
    }

    pub(crate) fn snapshot(&self) -> Statistics {
        let closed = CloseReason::ALL.iter().zip(&self.closed);
        Statistics {
            open: self.open.load(Relaxed),
            opened: self.opened.load(Relaxed),
            refused: self.refused.load(Relaxed),
            handshakes_failed: self.handshakes_failed.load(Relaxed),
            accept_failures: self.accept_failures.load(Relaxed),
            dials_failed: self.dials_failed.load(Relaxed),
            datagrams_dropped: self.datagrams_dropped.load(Relaxed),
            panics: self.panics.load(Relaxed),
            closed: closed.map(|(why, count)| (*why, count.load(Relaxed))).collect(),
        }
    }
}

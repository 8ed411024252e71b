//! What the transports count for the operators.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use super::refusal::Refusal;
use crate::ports::transport::CloseReason;

/// A look at the counters of all transports. All but `open` only rise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Stream connections open now, handshakes done.
    pub open: u64,
    /// Stream connections that were opened.
    pub opened: u64,
    /// Connections, and requests for a WebSocket, that were refused.
    pub refused: u64,
    /// Times that accepting failed, as for want of descriptors.
    pub accept_failures: u64,
    /// Connections to trunks that could not be made.
    pub dials_failed: u64,
    /// Datagrams dropped because too many, or too many of their address, were being worked on.
    pub datagrams_dropped: u64,
    /// Messages whose work panicked.
    pub panics: u64,
    /// Ends of connections by reason.
    pub closed: Vec<(CloseReason, u64)>,
}

#[derive(Debug)]
pub(crate) struct Counters {
    open: AtomicU64,
    opened: IntCounter,
    refused: IntCounterVec,
    accept_failures: IntCounter,
    dials_failed: IntCounter,
    datagrams_dropped: IntCounter,
    panics: IntCounter,
    closed: IntCounterVec,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            open: AtomicU64::default(),
            opened: counter("connections_opened_total", "Stream connections, handshakes done"),
            refused: counters(
                "connections_refused_total",
                "Connections and requests for a WebSocket that were refused",
                &["listener", "reason"],
            ),
            accept_failures: counter(
                "accept_failures_total",
                "Times that accepting failed, as for want of descriptors",
            ),
            dials_failed: counter("dials_failed_total", "Connections to trunks that could not be made"),
            datagrams_dropped: counter(
                "datagrams_dropped_total",
                "Datagrams dropped because too many, or too many of their address, were being worked on",
            ),
            panics: counter("panics_total", "Messages whose work panicked"),
            closed: counters("connections_closed_total", "Ends of stream connections", &["reason"]),
        }
    }
}

impl Counters {
    /// Shows all of them.
    pub(crate) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        for counter in
            [&self.opened, &self.accept_failures, &self.dials_failed, &self.datagrams_dropped, &self.panics]
        {
            registry.register(Box::new(counter.clone()))?;
        }
        for counters in [&self.refused, &self.closed] {
            registry.register(Box::new(counters.clone()))?;
        }
        Ok(())
    }

    pub(crate) fn open(&self) -> u64 {
        self.open.load(Relaxed)
    }

    pub(crate) fn note_opened(&self) {
        self.open.fetch_add(1, Relaxed);
        self.opened.inc();
    }

    /// One open connection less; tells how many are left.
    pub(crate) fn note_gone(&self) -> u64 {
        self.open.fetch_sub(1, Relaxed) - 1
    }

    pub(crate) fn note_closed(&self, why: CloseReason) {
        self.closed.with_label_values(&[why.as_str()]).inc();
    }

    pub(crate) fn note_refused(&self, listener: &str, why: Refusal) {
        self.refused.with_label_values(&[listener, why.as_str()]).inc();
    }

    pub(crate) fn note_accept_failure(&self) {
        self.accept_failures.inc();
    }

    pub(crate) fn note_dial_failed(&self) {
        self.dials_failed.inc();
    }

    pub(crate) fn note_datagram_dropped(&self) {
        self.datagrams_dropped.inc();
    }

    /// The panic hook has told where; this says that the node lives on.
    pub(crate) fn note_panic(&self) {
        self.panics.inc();
        tracing::error!("the work on one message panicked; the message is lost, nothing else");
    }

    pub(crate) fn snapshot(&self) -> Statistics {
        let closed = CloseReason::ALL.map(|why| (why, self.closed.with_label_values(&[why.as_str()]).get()));
        Statistics {
            open: self.open.load(Relaxed),
            opened: self.opened.get(),
            refused: total(&self.refused),
            accept_failures: self.accept_failures.get(),
            dials_failed: self.dials_failed.get(),
            datagrams_dropped: self.datagrams_dropped.get(),
            panics: self.panics.get(),
            closed: closed.into(),
        }
    }
}

fn counter(name: &str, help: &str) -> IntCounter {
    IntCounter::with_opts(Opts::new(name, help).namespace(NAMESPACE)).expect(WELL_FORMED)
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help).namespace(NAMESPACE), labels).expect(WELL_FORMED)
}

/// Of all labels.
fn total(counters: &IntCounterVec) -> u64 {
    let families = counters.collect();
    families
        .iter()
        .flat_map(|family| family.get_metric())
        .map(|metric| metric.get_counter().get_value() as u64)
        .sum()
}

const NAMESPACE: &str = "gateway";
const WELL_FORMED: &str = "names and labels of our metrics are well formed";

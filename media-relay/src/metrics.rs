//! What the relay counts, for Prometheus.

use std::sync::{Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use relay_api::EventKind;
use relay_core::Failure;

use crate::control::Control;
use crate::handle::Relay;
use crate::totals::Totals;

/// Counts events by kind.
#[derive(Clone)]
pub(crate) struct EventCounter(IntCounterVec);

/// Registers the figures of a relay, wherever it runs; each is read when it is asked for.
///
/// # Errors
/// They are registered already.
pub fn register_relay_metrics(registry: &Registry, relay: Relay) -> prometheus::Result<()> {
    registry.register(Box::new(RelayFigures::new(relay)?))
}

/// Registers what the program counts besides.
pub(crate) fn register(registry: &Registry, control: Control) -> prometheus::Result<EventCounter> {
    let events = Opts::new("media_relay_events_total", "Events told to gateways, by kind");
    let events = IntCounterVec::new(events, &["kind"])?;
    registry.register(Box::new(events.clone()))?;
    registry.register(Box::new(ControlFigures::new(control)?))?;
    Ok(EventCounter(events))
}

impl EventCounter {
    pub(crate) fn count(&self, kind: &EventKind) {
        let kind = match kind {
            EventKind::MediaStarted => "media_started",
            EventKind::MediaTimeout => "media_timeout",
            EventKind::TransportFailed { .. } => "transport_failed",
            EventKind::SessionLost { .. } => "session_lost",
            EventKind::Dtmf { .. } => "dtmf",
            EventKind::Quality(_) => "quality",
            EventKind::WrongSource { .. } => "wrong_source",
            EventKind::Unknown => "unknown",
        };
        self.0.with_label_values(&[kind]).inc();
    }
}

/// Copies what the control API knows when somebody looks.
struct ControlFigures {
    control: Control,
    max_sessions: IntGauge,
    draining: IntGauge,
    collected: IntCounter,
    /// Two who look at the same time must not count twice.
    one_at_a_time: Mutex<()>,
}

impl ControlFigures {
    fn new(control: Control) -> prometheus::Result<Self> {
        Ok(Self {
            control,
            max_sessions: IntGauge::new("media_relay_sessions_max", "Sessions at most")?,
            draining: IntGauge::new("media_relay_draining", "1 when new sessions are refused")?,
            collected: IntCounter::new(
                "media_relay_sessions_collected_total",
                "Sessions given up because no gateway confirmed them",
            )?,
            one_at_a_time: Mutex::new(()),
        })
    }

    fn collectors(&self) -> [&dyn Collector; 3] {
        [&self.max_sessions, &self.draining, &self.collected]
    }

    fn copy(&self) {
        let status = self.control.status();
        self.max_sessions.set(status.max_sessions as i64);
        self.draining.set(i64::from(status.draining));
        raise(&self.collected, self.control.collected());
    }
}

impl Collector for ControlFigures {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _turn = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        self.copy();
        self.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}

/// Copies the relay's own counters when somebody looks.
struct RelayFigures {
    relay: Relay,
    sessions: IntGauge,
    rtp_sockets: IntGauge,
    datagrams: IntCounterVec,
    dropped: IntCounterVec,
    events_lost: IntCounter,
    failures: IntCounterVec,
    /// As above.
    one_at_a_time: Mutex<()>,
}

impl RelayFigures {
    fn new(relay: Relay) -> prometheus::Result<Self> {
        let labelled = |name, help, label| IntCounterVec::new(Opts::new(name, help), &[label]);
        Ok(Self {
            relay,
            sessions: IntGauge::new("media_relay_sessions", "Sessions")?,
            rtp_sockets: IntGauge::new("media_relay_rtp_sockets", "Open sockets of plain RTP legs")?,
            datagrams: labelled("media_relay_datagrams_total", "Datagrams, by direction", "direction")?,
            dropped: labelled(
                "media_relay_datagrams_dropped_total",
                "Datagrams dropped, by reason",
                "reason",
            )?,
            events_lost: IntCounter::new("media_relay_events_lost_total", "Events that could not be told")?,
            failures: labelled(
                "media_relay_transport_failures_total",
                "Transports of browsers (ICE, DTLS) that failed, by reason",
                "reason",
            )?,
            one_at_a_time: Mutex::new(()),
        })
    }

    fn collectors(&self) -> [&dyn Collector; 6] {
        [&self.sessions, &self.rtp_sockets, &self.datagrams, &self.dropped, &self.events_lost, &self.failures]
    }

    fn copy(&self, totals: Totals) {
        self.sessions.set(totals.sessions as i64);
        self.rtp_sockets.set(totals.rtp_sockets as i64);
        raise(&self.events_lost, totals.events_lost);
        let counted = [
            (&self.datagrams, "received", totals.received),
            (&self.datagrams, "sent", totals.sent),
            (&self.dropped, "stranger", totals.strangers),
            (&self.dropped, "send_failed", totals.send_failed),
        ];
        let failures =
            Failure::ALL.map(|failure| (&self.failures, failure.word(), totals.failures.of(failure)));
        for (counter, label, total) in counted.into_iter().chain(failures) {
            raise(&counter.with_label_values(&[label]), total);
        }
    }
}

impl Collector for RelayFigures {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _turn = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        self.copy(self.relay.totals());
        self.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}

/// A counter can only rise: to the total that the relay has by now.
pub(crate) fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

//! What the relay counts, for Prometheus.

use std::sync::{Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use relay_api::EventKind;

use crate::control::Control;

/// Counts events by kind.
#[derive(Clone)]
pub(crate) struct EventCounter(IntCounterVec);

/// Registers the relay's figures; each is read from the relay when it is asked for.
pub(crate) fn register(registry: &Registry, control: Control) -> prometheus::Result<EventCounter> {
    let events = Opts::new("media_relay_events_total", "Events told to gateways, by kind");
    let events = IntCounterVec::new(events, &["kind"])?;
    registry.register(Box::new(events.clone()))?;
    registry.register(Box::new(Figures::new(control)?))?;
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
        };
        self.0.with_label_values(&[kind]).inc();
    }
}

/// Copies the relay's own counters when somebody looks.
struct Figures {
    control: Control,
    sessions: IntGauge,
    max_sessions: IntGauge,
    rtp_sockets: IntGauge,
    draining: IntGauge,
    datagrams: IntCounterVec,
    dropped: IntCounterVec,
    events_lost: IntCounter,
    collected: IntCounter,
    /// Two who look at the same time must not count twice.
    one_at_a_time: Mutex<()>,
}

impl Figures {
    fn new(control: Control) -> prometheus::Result<Self> {
        let dropped = Opts::new("media_relay_datagrams_dropped_total", "Datagrams dropped, by reason");
        let datagrams = Opts::new("media_relay_datagrams_total", "Datagrams, by direction");
        Ok(Self {
            control,
            sessions: IntGauge::new("media_relay_sessions", "Sessions")?,
            max_sessions: IntGauge::new("media_relay_sessions_max", "Sessions at most")?,
            rtp_sockets: IntGauge::new("media_relay_rtp_sockets", "Open sockets of plain RTP legs")?,
            draining: IntGauge::new("media_relay_draining", "1 when new sessions are refused")?,
            datagrams: IntCounterVec::new(datagrams, &["direction"])?,
            dropped: IntCounterVec::new(dropped, &["reason"])?,
            events_lost: IntCounter::new("media_relay_events_lost_total", "Events that could not be told")?,
            collected: IntCounter::new(
                "media_relay_sessions_collected_total",
                "Sessions given up because no gateway confirmed them",
            )?,
            one_at_a_time: Mutex::new(()),
        })
    }

    fn collectors(&self) -> [&dyn Collector; 8] {
        [
            &self.sessions,
            &self.max_sessions,
            &self.rtp_sockets,
            &self.draining,
            &self.datagrams,
            &self.dropped,
            &self.events_lost,
            &self.collected,
        ]
    }

    fn copy(&self) {
        let (status, totals) = (self.control.status(), self.control.totals());
        self.sessions.set(status.sessions as i64);
        self.max_sessions.set(status.max_sessions as i64);
        self.rtp_sockets.set(status.rtp_sockets as i64);
        self.draining.set(i64::from(status.draining));
        raise(&self.datagrams.with_label_values(&["received"]), totals.received);
        raise(&self.datagrams.with_label_values(&["sent"]), totals.sent);
        raise(&self.dropped.with_label_values(&["stranger"]), totals.strangers);
        raise(&self.dropped.with_label_values(&["send_failed"]), totals.send_failed);
        raise(&self.events_lost, totals.events_lost);
        raise(&self.collected, self.control.collected());
    }
}

impl Collector for Figures {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _turn = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        self.copy();
        self.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}

/// A counter can only rise: to the total that the relay has by now.
pub(crate) fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

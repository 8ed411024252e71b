//! What TURN counts, for Prometheus; the same names in the relay's program and in the gateway.

use std::sync::{Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use super::refusal::Refusal;
use super::totals::TurnTotals;
use crate::handle::Relay;
use crate::metrics::raise;

/// Registers the figures of the relay's TURN server; each is read when it is asked for.
///
/// # Errors
/// They are registered already.
pub fn register_turn_metrics(registry: &Registry, relay: Relay, allocations: u32) -> prometheus::Result<()> {
    registry.register(Box::new(Figures::new(relay, allocations)?))
}

struct Figures {
    relay: Relay,
    allocations: IntGauge,
    allocations_max: IntGauge,
    connections: IntGauge,
    relayed_sockets: IntGauge,
    packets: IntCounterVec,
    answers: IntCounterVec,
    dropped: IntCounterVec,
    refused: IntCounterVec,
    /// Two who look at the same time must not count twice.
    one_at_a_time: Mutex<()>,
}

impl Figures {
    fn new(relay: Relay, allocations: u32) -> prometheus::Result<Self> {
        let labelled = |name, help, label| IntCounterVec::new(Opts::new(name, help), &[label]);
        let figures = Self {
            relay,
            allocations: IntGauge::new("media_relay_turn_allocations", "TURN allocations")?,
            allocations_max: IntGauge::new("media_relay_turn_allocations_max", "TURN allocations at most")?,
            connections: IntGauge::new("media_relay_turn_connections", "TCP and TLS connections of TURN")?,
            relayed_sockets: IntGauge::new(
                "media_relay_turn_relayed_sockets",
                "Relayed ports with a socket: of clients whose peers are beyond their worker",
            )?,
            packets: labelled(
                "media_relay_turn_packets_total",
                "Packets handed on by TURN, by direction",
                "direction",
            )?,
            answers: labelled("media_relay_turn_answers_total", "Answers of TURN, by kind", "answer")?,
            dropped: labelled("media_relay_turn_dropped_total", "What TURN dropped, by reason", "reason")?,
            refused: labelled(
                "media_relay_turn_connections_refused_total",
                "TCP and TLS connections that TURN refused, by reason",
                "reason",
            )?,
            one_at_a_time: Mutex::new(()),
        };
        figures.allocations_max.set(i64::from(allocations));
        Ok(figures)
    }

    fn collectors(&self) -> [&dyn Collector; 8] {
        [
            &self.allocations,
            &self.allocations_max,
            &self.connections,
            &self.relayed_sockets,
            &self.packets,
            &self.answers,
            &self.dropped,
            &self.refused,
        ]
    }

    fn copy(&self, totals: TurnTotals) {
        self.allocations.set(totals.allocations as i64);
        self.connections.set(totals.streams as i64);
        self.relayed_sockets.set(totals.relayed_sockets as i64);
        let counted = [
            (&self.packets, "from_clients", totals.from_clients),
            (&self.packets, "to_clients", totals.to_clients),
            (&self.answers, "granted", totals.granted),
            (&self.answers, "challenged", totals.challenged),
            (&self.answers, "unauthorized", totals.unauthorized),
            (&self.answers, "forbidden", totals.forbidden),
            (&self.answers, "over_quota", totals.over_quota),
            (&self.answers, "full", totals.full),
            (&self.answers, "refused", totals.refused),
            (&self.dropped, "bandwidth", totals.throttled),
            (&self.dropped, "not_permitted", totals.dropped),
            (&self.dropped, "send_failed", totals.send_failed),
            (&self.refused, Refusal::Full.as_str(), totals.streams_full),
            (&self.refused, Refusal::AddressFull.as_str(), totals.streams_address_full),
            (&self.refused, Refusal::HalfFrames.as_str(), totals.streams_half_frames),
            (&self.refused, Refusal::Tls.as_str(), totals.streams_tls),
            (&self.refused, Refusal::TooSlow.as_str(), totals.streams_too_slow),
            (&self.refused, Refusal::NotTurn.as_str(), totals.streams_not_turn),
            (&self.refused, Refusal::System.as_str(), totals.streams_system),
        ];
        for (counter, label, total) in counted {
            raise(&counter.with_label_values(&[label]), total);
        }
    }
}

impl Collector for Figures {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _turn = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        self.copy(self.relay.totals().turn);
        self.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}

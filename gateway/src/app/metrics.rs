//! What is counted, by the conventions of Prometheus: base units, bounded labels.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use relay_api::{LegStatistics, QualityClass, StreamDirection, StreamQuality};
use sip_core::call::{CallKind, Summary};
use sip_core::message::{Message, Method, Status};

use super::journal::word;
use crate::ports::store::Sizes;

/// The counters of one node.
#[derive(Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    responses: IntCounterVec,
    requests_sent: IntCounterVec,
    responses_received: IntCounterVec,
    calls_started: IntCounterVec,
    calls_refused: IntCounterVec,
    calls_ended: IntCounterVec,
    packets_dropped: IntCounterVec,
    trunk_up: TrunkGauge,
    call_seconds: Histogram,
    mos: HistogramVec,
    poor_streams: IntCounterVec,
    kept: IntGaugeVec,
    transactions: IntGauge,
    held_bytes: IntGaugeVec,
    flows: IntGauge,
    pub(super) conflicts: IntCounter,
    pub(super) failed_logins: IntCounter,
    pub(super) malformed: IntCounter,
    pub(super) registrations: IntCounter,
    pub(super) shares_refused: IntCounter,
    pub(super) strangers: IntCounter,
    pub(super) stray_responses: IntCounter,
    pub(super) unjudged_logins: IntCounter,
}

impl Metrics {
    /// Counters that `registry` shows.
    ///
    /// # Panics
    /// If the registry has counters of these names already.
    pub fn new(registry: &Registry) -> Self {
        let counter = |name: &str, help: &str| register(registry, IntCounter::new(name, help));
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauge = |name: &str, help: &str| register(registry, IntGauge::new(name, help));
        let seconds =
            HistogramOpts::new("gateway_call_duration_seconds", "Time from answer to end of answered calls")
                .buckets(vec![1.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1_800.0, 3_600.0]);
        let mos = HistogramOpts::new(
            "gateway_call_mos",
            "Mean opinion score of calls at their end (E-model), by side and direction seen from the relay",
        );
        // From 2.58 on the bounds of ITU-T G.109: R of 50, 60, 70, 80 and 90.
        let mos = mos.buckets(vec![1.5, 2.0, 2.58, 3.1, 3.6, 4.03, 4.34]);
        let poor = Opts::new(
            "gateway_poor_streams_total",
            "Streams of ended calls that were poor at some time, by side and direction seen from the relay",
        );
        let stream = ["side", "direction"];
        Self {
            requests: counters("gateway_requests_total", "SIP requests received", &["method"]),
            responses: counters(
                "gateway_responses_total",
                "SIP responses given, by status class and the request's method",
                &["class", "method"],
            ),
            requests_sent: counters(
                "gateway_requests_sent_total",
                "SIP requests of ours, by method; without a trunk to browsers",
                &["method", "trunk"],
            ),
            responses_received: counters(
                "gateway_responses_received_total",
                "SIP responses to requests of ours, by status class and method; without a trunk from browsers",
                &["class", "method", "trunk"],
            ),
            calls_started: counters(
                "gateway_calls_started_total",
                "Calls that were admitted, by direction and trunk",
                &["direction", "trunk"],
            ),
            calls_refused: counters(
                "gateway_calls_refused_total",
                "Calls that never began, by status class; of a trunk, or without one of browsers",
                &["class", "trunk"],
            ),
            calls_ended: counters(
                "gateway_calls_ended_total",
                "Calls that ended, by cause, class of the caller's final status, direction and trunk",
                &["cause", "class", "direction", "trunk"],
            ),
            packets_dropped: counters(
                "gateway_call_packets_dropped_total",
                "Packets of sound that were dropped in ended calls, by side and reason",
                &["reason", "side"],
            ),
            trunk_up: TrunkGauge::new(register(
                registry,
                IntGaugeVec::new(
                    Opts::new(
                        "gateway_trunk_address_up",
                        "1 if calls go to this address, 0 while it is passed over",
                    ),
                    &["address", "trunk"],
                ),
            )),
            call_seconds: register(registry, Histogram::with_opts(seconds)),
            mos: register(registry, HistogramVec::new(mos, &stream)),
            poor_streams: register(registry, IntCounterVec::new(poor, &stream)),
            kept: register(
                registry,
                IntGaugeVec::new(Opts::new("gateway_store_values", "Values in the store"), &["kind"]),
            ),
            transactions: gauge("gateway_transactions", "SIP transactions under way"),
            held_bytes: register(
                registry,
                IntGaugeVec::new(
                    Opts::new("gateway_held_bytes", "Bytes reserved for transactions and calls"),
                    &["kind"],
                ),
            ),
            flows: gauge("gateway_flows", "Connections of browsers"),
            conflicts: counter(
                "gateway_store_conflicts_total",
                "Writes of calls that lost a race and were decided again",
            ),
            failed_logins: counter("gateway_failed_logins_total", "Wrong credentials"),
            malformed: counter("gateway_malformed_messages_total", "Messages that could not be parsed"),
            registrations: counter("gateway_registrations_total", "REGISTER requests that were accepted"),
            shares_refused: counter(
                "gateway_shares_refused_total",
                "Requests answered with 503 because a user, a trunk or an edge held its share of memory",
            ),
            strangers: counter(
                "gateway_stranger_messages_total",
                "Messages to a trunk listener from outside every trunk's networks",
            ),
            stray_responses: counter(
                "gateway_stray_responses_total",
                "Responses that matched no request and were dropped",
            ),
            unjudged_logins: counter(
                "gateway_unjudged_logins_total",
                "Logins refused unjudged because too many failed before",
            ),
        }
    }

    pub(super) fn received(&self, method: &Method) {
        self.requests.with_label_values(&[of_method(method)]).inc();
    }

    pub(super) fn responded(&self, response: &Message) {
        let class = class(response.status().map(Status::code));
        self.responses.with_label_values(&[class, of_method(response.cseq().1)]).inc();
    }

    /// A request of ours.
    pub(super) fn asked(&self, request: &Message, trunk: Option<&str>) {
        self.requests_sent.with_label_values(&[of_method(request.method()), of_trunk(trunk)]).inc();
    }

    /// A response to a request of ours.
    pub(super) fn answered(&self, response: &Message, trunk: Option<&str>) {
        let class = class(response.status().map(Status::code));
        let labels = [class, of_method(response.cseq().1), of_trunk(trunk)];
        self.responses_received.with_label_values(&labels).inc();
    }

    pub(super) fn started(&self, kind: &CallKind) {
        self.calls_started.with_label_values(&[kind.direction(), of_trunk(kind.trunk())]).inc();
    }

    /// A call that never began.
    pub(super) fn refused(&self, status: Status, kind: &CallKind) {
        self.calls_refused.with_label_values(&[class(Some(status.code())), of_trunk(kind.trunk())]).inc();
    }

    /// The addresses of all trunks, and whether calls go there.
    pub(super) fn trunks(&self, addresses: &[(Arc<str>, SocketAddr, bool)]) {
        self.trunk_up.show(addresses);
    }

    /// What was dropped of a leg's sound.
    pub(super) fn dropped(&self, side: &str, leg: &LegStatistics) {
        let reasons = [
            ("unknown_payload_type", leg.unknown_payload_type),
            ("wrong_source", leg.wrong_source),
            ("unauthentic", leg.unauthentic),
        ];
        for (reason, packets) in reasons.into_iter().filter(|(_, packets)| *packets > 0) {
            self.packets_dropped.with_label_values(&[reason, side]).inc_by(packets);
        }
    }

    pub(super) fn ended(&self, summary: &Summary) {
        let kind = &summary.parties.kind;
        let labels = [word(summary.cause), class(summary.status), kind.direction(), of_trunk(kind.trunk())];
        self.calls_ended.with_label_values(&labels).inc();
        if let Some(answered) = summary.answered {
            self.call_seconds.observe(summary.ended.since(answered).as_secs_f64());
        }
    }

    /// A stream of a call that ended; `side` is `browser` or `trunk`.
    pub(super) fn sounded(&self, side: &str, direction: StreamDirection, quality: &StreamQuality) {
        let direction = match direction {
            StreamDirection::Received => "received",
            StreamDirection::Sent => "sent",
        };
        let labels = [side, direction];
        self.mos.with_label_values(&labels).observe(quality.mos);
        if quality.worst == QualityClass::Poor {
            self.poor_streams.with_label_values(&labels).inc();
        }
    }

    pub(super) fn held(&self, transactions: usize, calls: usize) {
        for (kind, bytes) in [("transaction", transactions), ("call", calls)] {
            self.held_bytes.with_label_values(&[kind]).set(bytes as i64);
        }
    }

    pub(super) fn sizes(&self, sizes: Sizes, transactions: usize, flows: usize) {
        let kinds = [("call", sizes.calls), ("user", sizes.users), ("timer", sizes.timers)];
        for (kind, size) in kinds {
            self.kept.with_label_values(&[kind]).set(size as i64);
        }
        self.transactions.set(transactions as i64);
        self.flows.set(flows as i64);
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let collector = made.expect("names and labels of our metrics are well formed");
    registry.register(Box::new(collector.clone())).expect("no two of our metrics have one name");
    collector
}

/// Of a status; a call may end without any.
fn class(status: Option<u16>) -> &'static str {
    match status.map(|status| status / 100) {
        None => "none",
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(5) => "5xx",
        Some(_) => "6xx",
    }
}

/// Peers can make up methods, and would make up labels.
fn of_method(method: &Method) -> &str {
    if method.is_known() { method.as_str() } else { "other" }
}

/// An empty label is none to Prometheus.
fn of_trunk(trunk: Option<&str>) -> &str {
    trunk.unwrap_or_default()
}

/// A trunk and one of its addresses.
type Shown = (Arc<str>, SocketAddr);

/// A gauge for each address of each trunk. One that the trunk's name no longer has is not shown any more.
#[derive(Clone)]
struct TrunkGauge {
    gauge: IntGaugeVec,
    shown: Arc<Mutex<HashSet<Shown>>>,
}

impl TrunkGauge {
    fn new(gauge: IntGaugeVec) -> Self {
        Self { gauge, shown: Arc::default() }
    }

    fn show(&self, addresses: &[(Arc<str>, SocketAddr, bool)]) {
        let now = addresses.iter().map(|(trunk, address, _)| (Arc::clone(trunk), *address)).collect();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for (trunk, address) in shown.difference(&now) {
            // It was shown, so it is there.
            _ = self.gauge.remove_label_values(&[&*address.to_string(), &**trunk]);
        }
        *shown = now;
        for (trunk, address, is_up) in addresses {
            self.gauge.with_label_values(&[&*address.to_string(), trunk]).set(i64::from(*is_up));
        }
    }
}

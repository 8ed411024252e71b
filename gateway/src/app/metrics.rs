//! What is counted, by the conventions of Prometheus: base units, bounded labels.

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use relay_api::{QualityClass, StreamDirection, StreamQuality};
use sip_core::call::{Cause, Summary};
use sip_core::message::{Message, Method};

use crate::ports::store::Sizes;

/// The counters of one node.
#[derive(Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    responses: IntCounterVec,
    calls_ended: IntCounterVec,
    call_seconds: Histogram,
    mos: HistogramVec,
    poor_streams: IntCounterVec,
    kept: IntGaugeVec,
    transactions: IntGauge,
    held_bytes: IntGaugeVec,
    flows: IntGauge,
    pub(super) calls_started: IntCounter,
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
        let counters = |name: &str, help: &str, label: &str| {
            register(registry, IntCounterVec::new(Opts::new(name, help), &[label]))
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
            requests: counters("gateway_requests_total", "SIP requests received", "method"),
            responses: counters("gateway_responses_total", "SIP responses given by status class", "class"),
            calls_ended: counters("gateway_calls_ended_total", "Calls that ended", "cause"),
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
            calls_started: counter("gateway_calls_started_total", "Calls that were admitted"),
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
        let label = if method.is_known() { method.as_str() } else { "other" };
        self.requests.with_label_values(&[label]).inc();
    }

    pub(super) fn responded(&self, response: &Message) {
        let class = match response.status().map_or(0, |status| status.code() / 100) {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            5 => "5xx",
            _ => "6xx",
        };
        self.responses.with_label_values(&[class]).inc();
    }

    pub(super) fn ended(&self, summary: &Summary) {
        self.calls_ended.with_label_values(&[cause(summary.cause)]).inc();
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

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::HungUp => "hung_up",
        Cause::Cancelled => "cancelled",
        Cause::Refused => "refused",
        Cause::NoAnswer => "no_answer",
        Cause::NotAcknowledged => "not_acknowledged",
        Cause::DialogLost => "dialog_lost",
        Cause::SessionExpired => "session_expired",
        Cause::FlowLost => "flow_lost",
        Cause::MediaLost => "media_lost",
        Cause::MediaTimeout => "media_timeout",
        Cause::NoCommonCodec => "no_common_codec",
        Cause::NoCommonAddress => "no_common_address",
        Cause::Operator => "operator",
        Cause::Shutdown => "shutdown",
    }
}

//! What the relay tells of sound: into the log and the metrics. Calls do not care.

use std::sync::atomic::Ordering;

use relay_api::{
    LegKind, LegName, LegStatistics, Place, QualityReport, SessionStatistics, StreamDirection, StreamQuality,
};
use sip_core::routing::CallId;

use super::{Node, Runtime};

impl<R: Runtime> Node<R> {
    /// A stream came into another class.
    pub(super) fn quality_changed(&self, call: &CallId, leg: LegName, report: &QualityReport) {
        tracing::info!(
            %call,
            ?leg,
            direction = ?report.direction,
            class = ?report.class,
            mos = rounded(report.mos),
            loss_percent = rounded(report.loss_percent),
            jitter_ms = rounded(report.jitter_ms),
            round_trip_ms = report.round_trip_ms.map(rounded),
            "sound quality changed"
        );
    }

    /// Gives a call's media back, and notes how they were. The call does not wait for it; a node that stops does.
    pub(super) fn release_media(&self, call: CallId, session: Place) {
        let release = Release::begin(self);
        self.0.runtime.spawn(async move {
            let Release(node) = &release;
            match node.0.ports.relay.delete(&session).await {
                Ok(Some(SessionStatistics { a, b, .. })) => {
                    node.media_ended(&call, LegName::A, &a);
                    node.media_ended(&call, LegName::B, &b);
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%call, %error, "media could not be given back"),
            }
        });
    }

    fn media_ended(&self, call: &CallId, leg: LegName, statistics: &LegStatistics) {
        let side = match statistics.kind {
            LegKind::WebRtc => "browser",
            LegKind::Rtp => "trunk",
            LegKind::Service => return,
        };
        let (received, sent) = (statistics.received.quality, statistics.sent.quality);
        for (direction, quality) in [(StreamDirection::Received, received), (StreamDirection::Sent, sent)] {
            if let Some(quality) = quality {
                self.0.metrics.sounded(side, direction, &quality);
            }
        }
        let of = |quality: Option<StreamQuality>, figure: fn(&StreamQuality) -> f64| {
            quality.map(|quality| rounded(figure(&quality)))
        };
        tracing::info!(
            %call,
            ?leg,
            side,
            round_trip_ms = statistics.round_trip_ms.map(rounded),
            received_packets = statistics.received.packets,
            received_mos = of(received, |quality| quality.mos),
            received_loss_percent = of(received, |quality| quality.loss_percent),
            received_jitter_ms = of(received, |quality| quality.jitter_ms),
            sent_packets = statistics.sent.packets,
            sent_mos = of(sent, |quality| quality.mos),
            sent_loss_percent = of(sent, |quality| quality.loss_percent),
            sent_jitter_ms = of(sent, |quality| quality.jitter_ms),
            "sound of a call that ended"
        );
    }
}

/// Media that are being given back; dropped when they are, or when that failed in whatever way.
struct Release<R>(Node<R>);

impl<R> Release<R> {
    fn begin(node: &Node<R>) -> Self {
        node.0.releases.fetch_add(1, Ordering::AcqRel);
        Self(node.clone())
    }
}

impl<R> Drop for Release<R> {
    fn drop(&mut self) {
        let Self(node) = self;
        node.0.releases.fetch_sub(1, Ordering::AcqRel);
    }
}

/// More digits than these say nothing.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

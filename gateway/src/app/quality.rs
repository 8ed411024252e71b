//! What the relay tells of sound: into the log and the metrics. Calls do not care.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use relay_api::{LegKind, LegStatistics, Place, QualityReport, SessionStatistics, StreamDirection};
use sip_core::routing::CallId;
use tracing::Instrument;

use super::journal::rounded;
use super::{Node, Runtime, journal};

/// A stream came into another class.
pub(super) fn quality_changed(report: &QualityReport) {
    tracing::info!(
        direction = ?report.direction,
        class = ?report.class,
        mos = rounded(report.mos),
        loss_percent = rounded(report.loss_percent),
        jitter_ms = rounded(report.jitter_ms),
        round_trip_ms = report.round_trip_ms.map(rounded),
        "sound quality changed"
    );
}

/// Told once for a leg: nobody hears this peer.
pub(super) fn sound_from_elsewhere(from: SocketAddr, expected: SocketAddr) {
    tracing::warn!(%from, %expected, "RTP is dropped: it comes from another address than the signalled one");
}

impl<R: Runtime> Node<R> {
    /// Gives a call's media back, and notes how they were. The call does not wait for it; a node that stops does.
    pub(super) fn release_media(&self, call: CallId, session: Place) {
        self.0.journal.asks(call);
        let release = Release::begin(self);
        let given_back = async move {
            let Release(node) = &release;
            let sound = match node.0.ports.relay.delete(&session).await {
                Ok(sound) => sound,
                Err(error) => {
                    tracing::warn!(%error, "media could not be given back");
                    None
                }
            };
            if let Some(SessionStatistics { a, b, .. }) = &sound {
                node.media_ended(a);
                node.media_ended(b);
            }
            if let Some(end) = node.0.journal.heard(call, sound) {
                journal::tell_end(&end);
            }
        };
        self.0.runtime.spawn(given_back.instrument(journal::span(&call, None)));
    }

    /// Gives media back that nobody heard.
    pub(super) fn drop_media(&self, call: CallId, session: Place) {
        let release = Release::begin(self);
        let given_back = async move {
            let Release(node) = &release;
            if let Err(error) = node.0.ports.relay.delete(&session).await {
                tracing::warn!(%error, "media could not be given back");
            }
        };
        self.0.runtime.spawn(given_back.instrument(journal::span(&call, None)));
    }

    fn media_ended(&self, statistics: &LegStatistics) {
        let side = match statistics.kind {
            LegKind::WebRtc => "browser",
            LegKind::Rtp => "trunk",
            LegKind::Service => return,
        };
        self.0.metrics.dropped(side, statistics);
        let (received, sent) = (statistics.received.quality, statistics.sent.quality);
        for (direction, quality) in [(StreamDirection::Received, received), (StreamDirection::Sent, sent)] {
            if let Some(quality) = quality {
                self.0.metrics.sounded(side, direction, &quality);
            }
        }
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

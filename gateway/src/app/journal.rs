//! What the log tells of a call: all its lines in one span, one line at its start, one at its end with how its sound was.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use relay_api::{LegStatistics, SessionStatistics, StreamQuality};
use sip_core::call::{Cause, Parties, Summary};
use sip_core::message::Status;
use sip_core::routing::{CallId, LegId};
use tracing::Span;

use super::ingress::Request;
use super::redact::{Number, Peers};

/// Around all work for a call, and within no other: what a call does on the way of another is its own. Of the highest level, so that
/// a line of any level says of which call it is.
pub(super) fn span(call: &CallId, leg: Option<LegId>) -> Span {
    tracing::error_span!(parent: None, "call", id = %call, leg = leg.map(LegId::letter))
}

/// Calls whose end waits for the relay's last word about their sound, or the other way round.
#[derive(Default)]
pub(super) struct Journal(Mutex<HashMap<CallId, Half>>);

/// The half of an end that came first.
enum Half {
    /// The relay is asked.
    Asked,
    /// The relay has answered, or did not.
    Sound(Option<Box<SessionStatistics>>),
    /// The call is over, the relay has not answered yet.
    Over(Box<Summary>),
}

/// A call that is over, with how it sounded if the relay knows.
pub(super) struct End {
    pub summary: Summary,
    pub sound: Option<Box<SessionStatistics>>,
}

impl Journal {
    /// The relay is asked to give the media back.
    pub(super) fn asks(&self, call: CallId) {
        let mut halves = self.lock();
        if halves.len() < MOST {
            halves.insert(call, Half::Asked);
        }
    }

    /// What the relay said then; the end, if it is over.
    pub(super) fn heard(&self, call: CallId, sound: Option<SessionStatistics>) -> Option<End> {
        let mut halves = self.lock();
        let sound = sound.map(Box::new);
        match halves.remove(&call)? {
            Half::Over(summary) => Some(End { summary: *summary, sound }),
            Half::Asked | Half::Sound(_) => {
                halves.insert(call, Half::Sound(sound));
                None
            }
        }
    }

    /// The call is over; its end, unless the relay's word is waited for.
    pub(super) fn over(&self, summary: Summary) -> Option<End> {
        let mut halves = self.lock();
        match halves.remove(&summary.call) {
            Some(Half::Sound(sound)) => Some(End { summary, sound }),
            None => Some(End { summary, sound: None }),
            Some(Half::Asked | Half::Over(_)) => {
                halves.insert(summary.call, Half::Over(Box::new(summary)));
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, Half>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one line at a call's start; in its span.
pub(super) fn tell_start(parties: &Parties, request: &Request) {
    tracing::info!(
        from = %Number(&parties.from),
        to = %Number(&parties.to),
        direction = parties.kind.direction(),
        trunk = parties.kind.trunk(),
        remote = %request.source.remote,
        caller_call_id = ?Peers(request.message.call_id()),
        "call started"
    );
}

/// A call that never began; in its span.
pub(super) fn tell_refused(parties: &Parties, request: &Request, status: Status, warning: Option<&str>) {
    tracing::info!(
        from = %Number(&parties.from),
        to = %Number(&parties.to),
        trunk = parties.kind.trunk(),
        remote = %request.source.remote,
        caller_call_id = ?Peers(request.message.call_id()),
        status = status.code(),
        warning = warning.map(|text| debug(Peers(text))),
        "call refused"
    );
}

/// The one line at a call's end; in its span.
pub(super) fn tell_end(End { summary, sound }: &End) {
    let Parties { from, to, kind } = &summary.parties;
    let (a, b) =
        sound.as_ref().map_or_else(Default::default, |sound| (Sound::of(&sound.a), Sound::of(&sound.b)));
    tracing::info!(
        from = %Number(from),
        to = %Number(to),
        direction = kind.direction(),
        trunk = kind.trunk(),
        ended_by = ended_by(summary),
        cause = word(summary.cause),
        status = summary.status,
        reason = summary.reason.as_deref().map(|reason| debug(Peers(reason))),
        answered = summary.answered.is_some(),
        seconds = summary.answered.map_or(0, |at| summary.ended.since(at).as_secs()),
        set_up_ms = summary.answered.map(|at| at.since(summary.started).as_millis() as u64),
        a_received_packets = a.received_packets,
        a_received_mos = a.received_mos,
        a_received_loss_percent = a.received_loss_percent,
        a_received_jitter_ms = a.received_jitter_ms,
        a_sent_packets = a.sent_packets,
        a_sent_mos = a.sent_mos,
        a_round_trip_ms = a.round_trip_ms,
        a_wrong_source = a.wrong_source,
        b_received_packets = b.received_packets,
        b_received_mos = b.received_mos,
        b_received_loss_percent = b.received_loss_percent,
        b_received_jitter_ms = b.received_jitter_ms,
        b_sent_packets = b.sent_packets,
        b_sent_mos = b.sent_mos,
        b_round_trip_ms = b.round_trip_ms,
        b_wrong_source = b.wrong_source,
        "call ended"
    );
}

fn ended_by(summary: &Summary) -> &'static str {
    match summary.ended_by {
        Some(LegId::A) => "caller",
        Some(_) => "callee",
        None => "gateway",
    }
}

/// A cause as the log and the metrics write it.
pub(super) fn word(cause: Cause) -> &'static str {
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

/// A leg's sound in figures, as far as they are known: `received` is what the relay hears of the peer, `sent` what the
/// peer says it hears.
#[derive(Default)]
struct Sound {
    received_packets: Option<u64>,
    received_mos: Option<f64>,
    received_loss_percent: Option<f64>,
    received_jitter_ms: Option<f64>,
    sent_packets: Option<u64>,
    sent_mos: Option<f64>,
    round_trip_ms: Option<f64>,
    wrong_source: Option<u64>,
}

impl Sound {
    fn of(leg: &LegStatistics) -> Self {
        let of = |quality: Option<StreamQuality>, figure: fn(&StreamQuality) -> f64| {
            quality.map(|quality| rounded(figure(&quality)))
        };
        Self {
            received_packets: Some(leg.received.packets),
            received_mos: of(leg.received.quality, |quality| quality.mos),
            received_loss_percent: of(leg.received.quality, |quality| quality.loss_percent),
            received_jitter_ms: of(leg.received.quality, |quality| quality.jitter_ms),
            sent_packets: Some(leg.sent.packets),
            sent_mos: of(leg.sent.quality, |quality| quality.mos),
            round_trip_ms: leg.round_trip_ms.map(rounded),
            wrong_source: Some(leg.wrong_source).filter(|packets| *packets > 0),
        }
    }
}

/// More digits than these say nothing.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Ends that wait for the relay, which answers or is given up within seconds. What does not fit is told without its sound.
const MOST: usize = 20_000;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use relay_api::SessionId;
    use sip_core::time::UnixMillis;

    use super::*;

    const CALL: &str = "aaaaaaaaaaaaaaaaaaaa";

    fn summary() -> Summary {
        Summary {
            call: CallId::parse(CALL).unwrap(),
            parties: Parties::default(),
            started: UnixMillis(0),
            answered: None,
            ended: UnixMillis(1),
            ended_by: None,
            cause: Cause::Refused,
            status: Some(486),
            reason: None,
        }
    }

    fn sound() -> SessionStatistics {
        let leg = LegStatistics {
            kind: relay_api::LegKind::Service,
            received: Default::default(),
            sent: Default::default(),
            round_trip_ms: None,
            unknown_payload_type: 0,
            wrong_source: 0,
            unauthentic: 0,
            silence_packets: 0,
        };
        SessionStatistics { id: SessionId(CALL.into()), a: leg, b: leg }
    }

    #[test]
    fn an_end_is_told_once_with_its_sound_whichever_comes_first() {
        let call = summary().call;
        let journal = Journal::default();
        assert!(journal.over(summary()).unwrap().sound.is_none(), "there were no media");

        journal.asks(call);
        assert!(journal.over(summary()).is_none());
        assert!(journal.heard(call, Some(sound())).unwrap().sound.is_some());

        journal.asks(call);
        assert!(journal.heard(call, Some(sound())).is_none());
        assert!(journal.over(summary()).unwrap().sound.is_some());

        journal.asks(call);
        assert!(journal.over(summary()).is_none());
        assert!(journal.heard(call, None).unwrap().sound.is_none(), "the relay does not answer");
        assert!(journal.lock().is_empty());
    }
}

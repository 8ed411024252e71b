//! What the relay itself says on a leg: digits, the melody, silence.

use std::time::{Duration, Instant};

use relay_api::{Codec, RelayError, Service};

use super::{Leg, Transport};
use crate::bridge::PTIME;
use crate::bridge::digits::EventFormat;
use crate::bridge::routes::is_events;
use crate::bridge::silence::Silence;
use crate::engine::Io;
use crate::rtp::{self, Outgoing};
use crate::service::{CLOCK_RATE, FRAME, G711};
use crate::srtp::OVERHEAD;

/// What the relay itself can send in a leg's formats.
#[derive(Default)]
pub(super) struct Formats {
    silence: Option<Silence>,
    g711: Option<G711>,
    events: Option<EventFormat>,
}

impl Formats {
    pub(super) fn of(codecs: &[Codec]) -> Self {
        let main_clock = codecs.iter().find(|codec| !is_events(codec)).map(|codec| codec.clock_rate);
        let events = || codecs.iter().filter(|codec| is_events(codec));
        let best = events().find(|codec| Some(codec.clock_rate) == main_clock).or(events().next());
        Self {
            silence: Silence::of(codecs),
            g711: G711::of(codecs),
            events: best.map(|codec| EventFormat { clock_rate: codec.clock_rate, payload_type: codec.send }),
        }
    }
}

impl Leg {
    /// Queues a digit for the peer.
    pub(crate) fn send_digit(&mut self, digit: char, duration: Duration) -> Result<(), RelayError> {
        let reason = match (self.formats.events, self.transmitter.push(digit, duration)) {
            (Some(_), true) => return Ok(()),
            (Some(_), false) => "no such digit, or too many are waiting",
            (None, _) => "telephone-event is not negotiated",
        };
        Err(RelayError::Invalid { reason: reason.to_owned() })
    }

    /// When the relay has something of its own to send: a digit, the melody, or silence on a plain leg whose peer
    /// would otherwise hear nothing at all.
    pub(crate) fn generation_due(&self, other: &Self) -> Option<Instant> {
        if !self.is_ready() {
            return None;
        }
        if let (Some(_), Some(due)) = (self.formats.events, self.transmitter.due(self.slot)) {
            return Some(due);
        }
        if self.plays(other) {
            return Some(self.slot);
        }
        let is_plain = matches!(self.transport, Transport::Plain(_));
        (is_plain && self.formats.silence.is_some()).then(|| match self.stream.sent_at() {
            Some(sent_at) if !self.stream.is_generated() => self.slot.max(sent_at + PAUSE),
            Some(_) | None => self.slot,
        })
    }

    fn plays(&self, other: &Self) -> bool {
        let is_tone = matches!(other.transport, Transport::Service(Service::Tone, _));
        is_tone && self.direction.sends() && self.formats.g711.is_some()
    }

    /// Sends what [`Leg::generation_due`] announced.
    pub(crate) fn generate(&mut self, other: &mut Self, now: Instant, io: &mut dyn Io) {
        let next = self.slot + PTIME;
        // What was missed, while the thread slept or somebody else spoke, is not made up for.
        self.slot = if next > now { next } else { now + PTIME };
        if let Some(format) = self.formats.events
            && self.transmitter.due(now).is_some_and(|due| due <= now)
        {
            if let Some((outgoing, payload)) = self.transmitter.next(&mut self.stream, format, now) {
                self.emit(&outgoing, &payload, io);
            }
        } else if self.plays(other)
            && let (Some(g711), Transport::Service(_, melody)) = (self.formats.g711, &mut other.transport)
        {
            let payload = melody.play(g711);
            let outgoing = self.stream.generate(CLOCK_RATE, g711.payload_type, FRAME, now);
            self.emit(&outgoing, &payload, io);
        } else if let Some(silence) = self.formats.silence {
            let size = silence.payload.len();
            let outgoing = self.stream.generate(silence.clock_rate, silence.payload_type, size, now);
            self.counters.silence_packets += 1;
            self.emit(&outgoing, silence.payload, io);
        }
    }

    fn emit(&mut self, outgoing: &Outgoing, payload: &[u8], io: &mut dyn Io) {
        let mut buffer = [0; rtp::MINIMUM + FRAME + OVERHEAD];
        let length = rtp::MINIMUM + payload.len();
        buffer[..rtp::MINIMUM].copy_from_slice(&outgoing.bytes());
        buffer[rtp::MINIMUM..length].copy_from_slice(payload);
        self.send(&mut buffer, 0..length, io);
    }
}

/// How long a source may be late before silence takes its place: longer than a poor network's jitter, shorter than
/// what a listener notices.
const PAUSE: Duration = Duration::from_millis(100);

//! DTMF as telephone events: RFC 4733.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{PTIME, ptime_units};
use crate::bridge::stream::Stream;
use crate::rtp::Outgoing;

/// A digit that was heard, with its duration in units of the events' clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digit {
    pub(crate) digit: char,
    pub(crate) duration: u32,
}

/// Finds each digit once in the events of a stream, though its packets repeat and may be lost.
#[derive(Default)]
pub(crate) struct Detector {
    current: Option<Current>,
}

struct Current {
    timestamp: u32,
    code: u8,
    duration: u16,
    is_told: bool,
}

impl Detector {
    /// A packet of events.
    pub(crate) fn event(&mut self, timestamp: u32, payload: &[u8]) -> Option<Digit> {
        let [code, flags, duration0, duration1] = *payload.first_chunk()?;
        let (duration, is_end) = (u16::from_be_bytes([duration0, duration1]), flags & END != 0);
        match &mut self.current {
            Some(current) if current.timestamp == timestamp => {
                current.duration = current.duration.max(duration);
                if is_end { current.tell() } else { None }
            }
            Some(current) if timestamp.wrapping_sub(current.timestamp).cast_signed() < 0 => None,
            current => {
                // A new digit also ends the one whose end was lost.
                let before = current.as_mut().and_then(Current::tell);
                let mut new = Current { timestamp, code, duration, is_told: false };
                // If both end here, the new one's is repeated twice (§2.5.1.4).
                let told = before.or_else(|| if is_end { new.tell() } else { None });
                *current = Some(new);
                told
            }
        }
    }

    /// A packet of sound: an event before it is over, even if every end of it was lost.
    pub(crate) fn sound(&mut self, timestamp: u32) -> Option<Digit> {
        let current = self.current.as_mut()?;
        let behind = timestamp.wrapping_sub(current.timestamp).wrapping_sub(u32::from(current.duration));
        if behind.cast_signed() > 0 { current.tell() } else { None }
    }
}

impl Current {
    fn tell(&mut self) -> Option<Digit> {
        let is_first = !std::mem::replace(&mut self.is_told, true);
        let digit = DIGITS.get(usize::from(self.code)).copied().filter(|_| is_first)?;
        Some(Digit { digit: char::from(digit), duration: u32::from(self.duration) })
    }
}

/// Sends queued digits, one packet per packet time.
#[derive(Default)]
pub(crate) struct Transmitter {
    queue: VecDeque<(u8, Duration)>,
    active: Option<Active>,
    /// Sound may pass until then.
    pause_until: Option<Instant>,
}

struct Active {
    code: u8,
    timestamp: u32,
    duration: u32,
    whole: u32,
    ends: u8,
    is_first: bool,
}

/// Which telephone-event format a leg takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventFormat {
    pub(crate) clock_rate: u32,
    pub(crate) payload_type: u8,
}

impl Transmitter {
    /// `false` if there is no such digit or no room for it.
    pub(crate) fn push(&mut self, digit: char, duration: Duration) -> bool {
        let code = DIGITS.iter().position(|known| char::from(*known) == digit.to_ascii_uppercase());
        match code {
            Some(code) if self.queue.len() < MAX_DIGITS => {
                self.queue.push_back((code as u8, duration.clamp(SHORTEST, LONGEST)));
                true
            }
            Some(_) | None => false,
        }
    }

    /// A digit sounds now, so that the other leg's sound is held back (RFC 4733 §2.1).
    pub(crate) fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// When the next packet is due, `slot` being the earliest.
    pub(crate) fn due(&self, slot: Instant) -> Option<Instant> {
        match (&self.active, self.queue.is_empty()) {
            (Some(_), _) => Some(slot),
            (None, false) => Some(self.pause_until.map_or(slot, |until| until.max(slot))),
            (None, true) => None,
        }
    }

    /// The packet that is due.
    pub(crate) fn next(
        &mut self,
        stream: &mut Stream,
        format: EventFormat,
        now: Instant,
    ) -> Option<(Outgoing, [u8; 4])> {
        if self.active.is_none() {
            let (code, duration) = self.queue.pop_front()?;
            let whole = (duration.as_millis() as u32).saturating_mul(format.clock_rate / 1_000);
            self.active = Some(Active {
                code,
                timestamp: stream.event_timestamp(format.clock_rate, now),
                duration: 0,
                whole: whole.min(u32::from(u16::MAX)),
                ends: 0,
                is_first: true,
            });
        }
        let active = self.active.as_mut()?;
        let step = ptime_units(format.clock_rate);
        active.duration = active.duration.saturating_add(step).min(active.whole);
        active.ends += u8::from(active.duration == active.whole);
        let flags = VOLUME | if active.ends > 0 { END } else { 0 };
        let [duration0, duration1] = (active.duration as u16).to_be_bytes();
        let payload = [active.code, flags, duration0, duration1];
        let is_first = std::mem::take(&mut active.is_first);
        let (timestamp, is_over) = (active.timestamp, active.ends == ENDS);
        let outgoing = stream.event(is_first, timestamp, format.clock_rate, format.payload_type, now);
        if is_over {
            self.active = None;
            self.pause_until = Some(now + PAUSE);
        }
        Some((outgoing, payload))
    }
}

/// RFC 4733 §3.2, table 3: the event code is the index.
const DIGITS: [u8; 16] = *b"0123456789*#ABCD";
const END: u8 = 0x80;
/// −10 dBm0.
const VOLUME: u8 = 10;
/// §2.5.1.4: the last packet is sent three times.
const ENDS: u8 = 3;
/// Digits are told apart by at least 40 ms (ITU-T Q.24); slow receivers like more.
const PAUSE: Duration = Duration::from_millis(100);
const SHORTEST: Duration = Duration::from_millis(40);
/// What 16 bits at 8 kHz hold; faster clocks stop at their 16 bits.
const LONGEST: Duration = Duration::from_millis(8_000);
/// More are refused: nobody dials faster than they are sent for so long.
const MAX_DIGITS: usize = 32;
/// A digit is over when its last end was sent, one packet time later.
const _: () = assert!(PAUSE.as_millis() > PTIME.as_millis());

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const FORMAT: EventFormat = EventFormat { clock_rate: 8_000, payload_type: 101 };

    #[test] // RFC 4733 §2.5.1.2–2.5.1.4
    fn a_sent_digit_grows_ends_three_times_and_is_heard_once() {
        let mut now = Instant::now();
        let (mut transmitter, mut stream) = (Transmitter::default(), Stream::new(1, 2, 3));
        let mut detector = Detector::default();
        assert!(transmitter.push('7', Duration::from_millis(100)));
        let (mut packets, mut heard) = (Vec::new(), Vec::new());
        while transmitter.due(now).is_some() {
            let (outgoing, payload) = transmitter.next(&mut stream, FORMAT, now).unwrap();
            heard.extend(detector.event(outgoing.timestamp, &payload));
            packets.push((outgoing, payload));
            now += PTIME;
        }
        assert_eq!(packets.len(), 7);
        assert!(packets.iter().all(|(outgoing, _)| outgoing.timestamp == packets[0].0.timestamp));
        assert!(packets[0].0.marker && !packets[1].0.marker);
        assert_eq!(packets[0].1, [7, 10, 0, 160]);
        assert_eq!(packets[6].1, [7, 0x8A, 3, 0x20]);
        assert_eq!(packets.iter().filter(|(_, payload)| payload[1] & END != 0).count(), 3);
        assert_eq!(heard, [Digit { digit: '7', duration: 800 }]);
    }

    #[test]
    fn a_digit_whose_ends_were_lost_is_told_by_what_follows() {
        let mut detector = Detector::default();
        assert_eq!(detector.event(1_000, &[5, 10, 1, 0]), None);
        assert_eq!(detector.sound(1_100), None);
        assert_eq!(detector.sound(1_300), Some(Digit { digit: '5', duration: 256 }));
        assert_eq!(detector.sound(1_460), None);
        assert_eq!(detector.event(3_000, &[10, 10, 0, 160]), None);
        assert_eq!(detector.event(5_000, &[11, 10, 0, 160]), Some(Digit { digit: '*', duration: 160 }));
        assert_eq!(detector.event(5_000, &[11, 0x8A, 1, 0]), Some(Digit { digit: '#', duration: 256 }));
        assert_eq!(detector.event(5_000, &[11, 0x8A, 1, 0]), None);
        assert_eq!(detector.event(3_000, &[10, 0x8A, 1, 0]), None);
    }

    #[test]
    fn events_that_are_no_digits_and_rubbish_are_nothing() {
        let mut detector = Detector::default();
        assert_eq!(detector.event(1, &[16, 0x8A, 0, 160]), None);
        assert_eq!(detector.event(2, &[255, 0x8A, 0, 160]), None);
        assert_eq!(detector.event(3, &[1, 0x8A]), None);
        let mut transmitter = Transmitter::default();
        assert!(!transmitter.push('x', PTIME));
        assert_eq!((0..100).filter(|_| transmitter.push('d', PTIME)).count(), MAX_DIGITS);
    }
}

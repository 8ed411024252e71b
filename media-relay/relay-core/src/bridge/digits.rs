//! DTMF as telephone events: RFC 4733.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{PTIME, ptime_units};
use crate::bridge::source::Place;
use crate::bridge::stream::Stream;
use crate::rtp::{Header, Outgoing};

/// A digit that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digit {
    pub(crate) digit: char,
    pub(crate) duration_ms: u32,
}

/// Finds each digit once in the events of a stream, though its packets repeat and may be lost.
#[derive(Default)]
pub(crate) struct Detector {
    current: Option<Current>,
}

struct Current {
    /// Of the segment that is told of now.
    timestamp: u32,
    clock_rate: u32,
    code: u8,
    /// Of the segments before (RFC 4733 §2.5.1.3).
    before: u32,
    duration: u16,
    /// The number of the newest packet.
    sequence: u16,
    is_told: bool,
}

impl Detector {
    /// A packet of events.
    pub(crate) fn event(
        &mut self,
        header: &Header,
        place: Place,
        clock_rate: u32,
        payload: &[u8],
    ) -> Option<Digit> {
        let [code, flags, duration0, duration1] = *payload.first_chunk()?;
        let (duration, is_end) = (u16::from_be_bytes([duration0, duration1]), flags & END != 0);
        if let Some(current) = &mut self.current
            && current.takes(header, place, code)
        {
            current.duration = current.duration.max(duration);
            return if is_end { current.tell() } else { None };
        }
        match place {
            // Of a digit before this one, which was told when this one began.
            Place::Late | Place::Repeated => None,
            Place::First | Place::Ahead => {
                // A new digit also ends the one whose end was lost.
                let before = self.current.as_mut().and_then(Current::tell);
                let Header { timestamp, sequence, .. } = *header;
                let mut new =
                    Current { timestamp, clock_rate, code, before: 0, duration, sequence, is_told: false };
                // If both end here, the new one's is repeated twice (§2.5.1.4).
                let told = before.or_else(|| if is_end { new.tell() } else { None });
                self.current = Some(new);
                told
            }
        }
    }

    /// A packet of sound: an event before it is over, even if every end of it was lost.
    pub(crate) fn sound(&mut self, header: &Header, place: Place, clock_rate: u32) -> Option<Digit> {
        let current = self.current.as_mut()?;
        let is_over = match place {
            Place::First => true,
            Place::Ahead => current.is_before(header, clock_rate),
            Place::Late | Place::Repeated => false,
        };
        if is_over { current.tell() } else { None }
    }
}

impl Current {
    /// Is this packet of the same digit? It is followed into its next segment (RFC 4733 §2.5.1.3).
    fn takes(&mut self, header: &Header, place: Place, code: u8) -> bool {
        let later = header.timestamp.wrapping_sub(self.timestamp);
        let is_segment = code == self.code
            && !self.is_told
            && (later == u32::from(u16::MAX) || (later != 0 && later == u32::from(self.duration)));
        match place {
            Place::First => return false,
            Place::Late | Place::Repeated => return later == 0,
            Place::Ahead if is_segment => {
                (self.before, self.timestamp) = (self.before.saturating_add(later), header.timestamp);
                self.duration = 0;
            }
            Place::Ahead if later != 0 => return false,
            Place::Ahead => {}
        }
        self.sequence = header.sequence;
        true
    }

    /// Is this newest packet of sound one that no event overlaps any more?
    fn is_before(&self, header: &Header, clock_rate: u32) -> bool {
        if clock_rate != self.clock_rate {
            // Two clocks tell nothing of each other: events are told of more often than that.
            return header.sequence.wrapping_sub(self.sequence) > MOST_BETWEEN;
        }
        let end = self.timestamp.wrapping_add(u32::from(self.duration));
        header.timestamp.wrapping_sub(end).cast_signed() > 0
    }

    fn tell(&mut self) -> Option<Digit> {
        let is_first = !std::mem::replace(&mut self.is_told, true);
        let digit = DIGITS.get(usize::from(self.code)).copied().filter(|_| is_first)?;
        let units = u64::from(self.before) + u64::from(self.duration);
        let duration_ms = (units * 1_000 / u64::from(self.clock_rate.max(1))) as u32;
        Some(Digit { digit: char::from(digit), duration_ms })
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
                timestamp: stream.begin_event(format.clock_rate, now),
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
        let outgoing = stream.event(is_first, timestamp, format.payload_type, now);
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
/// Packets of sound between two of one event: half a second.
const MOST_BETWEEN: u16 = 25;
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
    use crate::bridge::Content;
    use crate::bridge::source::Source;

    const FORMAT: EventFormat = EventFormat { clock_rate: 8_000, payload_type: 101 };

    /// A detector behind the numbers of its source.
    #[derive(Default)]
    struct Line {
        source: Source,
        detector: Detector,
        sequence: u16,
    }

    impl Line {
        fn event(&mut self, timestamp: u32, payload: [u8; 4]) -> Option<Digit> {
            self.sequence += 1;
            self.event_at(1, self.sequence, timestamp, payload)
        }

        fn event_at(&mut self, ssrc: u32, sequence: u16, timestamp: u32, payload: [u8; 4]) -> Option<Digit> {
            let header = header(ssrc, sequence, timestamp);
            let place = self.source.place(&header, Content::Event, 8_000);
            self.detector.event(&header, place, 8_000, &payload)
        }

        fn sound(&mut self, clock_rate: u32, timestamp: u32) -> Option<Digit> {
            self.sequence += 1;
            let header = header(1, self.sequence, timestamp);
            let place = self.source.place(&header, Content::Sound, clock_rate);
            self.detector.sound(&header, place, clock_rate)
        }
    }

    fn header(ssrc: u32, sequence: u16, timestamp: u32) -> Header {
        Header { marker: false, payload_type: 101, sequence, timestamp, ssrc, payload: 12..16 }
    }

    fn told(digit: char, duration_ms: u32) -> Option<Digit> {
        Some(Digit { digit, duration_ms })
    }

    #[test] // RFC 4733 §2.5.1.2–2.5.1.4
    fn a_sent_digit_grows_ends_three_times_and_is_heard_once() {
        let mut now = Instant::now();
        let (mut transmitter, mut stream) = (Transmitter::default(), Stream::new(1, 2, 3));
        let mut line = Line::default();
        assert!(transmitter.push('7', Duration::from_millis(100)));
        let (mut packets, mut heard) = (Vec::new(), Vec::new());
        while transmitter.due(now).is_some() {
            let (outgoing, payload) = transmitter.next(&mut stream, FORMAT, now).unwrap();
            heard.extend(line.event_at(1, outgoing.sequence, outgoing.timestamp, payload));
            packets.push((outgoing, payload));
            now += PTIME;
        }
        assert_eq!(packets.len(), 7);
        assert!(packets.iter().all(|(outgoing, _)| outgoing.timestamp == packets[0].0.timestamp));
        assert!(packets[0].0.marker && !packets[1].0.marker);
        assert_eq!(packets[0].1, [7, 10, 0, 160]);
        assert_eq!(packets[6].1, [7, 0x8A, 3, 0x20]);
        assert_eq!(packets.iter().filter(|(_, payload)| payload[1] & END != 0).count(), 3);
        assert_eq!(heard, [Digit { digit: '7', duration_ms: 100 }]);
    }

    #[test]
    fn a_digit_whose_ends_were_lost_is_told_by_what_follows() {
        let mut line = Line::default();
        assert_eq!(line.event(1_000, [5, 10, 1, 0]), None);
        assert_eq!(line.sound(8_000, 1_100), None);
        assert_eq!(line.sound(8_000, 1_300), told('5', 32));
        assert_eq!(line.sound(8_000, 1_460), None);
        assert_eq!(line.event(3_000, [10, 10, 0, 160]), None);
        let sequence = line.sequence;
        assert_eq!(line.event(5_000, [11, 10, 0, 160]), told('*', 20));
        assert_eq!(line.event(5_000, [11, 0x8A, 1, 0]), told('#', 32));
        assert_eq!(line.event(5_000, [11, 0x8A, 1, 0]), None);
        assert_eq!(line.event_at(1, sequence, 3_000, [10, 0x8A, 1, 0]), None);
    }

    #[test] // the clocks of opus and of telephone-event/8000 tell nothing of each other
    fn sound_in_another_clock_ends_a_digit_only_when_no_more_is_told_of_it() {
        let mut line = Line::default();
        assert_eq!(line.event(9_600, [5, 10, 0, 160]), None);
        for n in 0..20 {
            assert_eq!(line.sound(48_000, 400_000 + 960 * n), None);
        }
        assert_eq!(line.event(9_600, [5, 10, 12, 128]), None);
        let ends: Vec<_> = (0..40).filter_map(|n| line.sound(48_000, 500_000 + 960 * n)).collect();
        assert_eq!(ends, [Digit { digit: '5', duration_ms: 400 }]);
    }

    #[test]
    fn a_digit_of_another_source_is_told_whatever_its_time() {
        let mut line = Line::default();
        assert_eq!(line.event_at(1, 10, 900_000, [1, 0x8A, 3, 32]), told('1', 100));
        assert_eq!(line.event_at(2, 10, 5_000, [2, 10, 0, 160]), None);
        assert_eq!(line.event_at(2, 11, 5_000, [2, 0x8A, 3, 32]), told('2', 100));
        assert_eq!(line.event_at(2, 12, 5_000, [2, 0x8A, 3, 32]), None);
        // One whose end was lost is told when the source changes.
        assert_eq!(line.event_at(2, 13, 9_000, [3, 10, 3, 32]), None);
        assert_eq!(line.event_at(3, 900, 9_000, [3, 10, 0, 160]), told('3', 100));
    }

    #[test] // the SSRC and the numbers go on, the time starts anew
    fn a_digit_after_the_time_started_anew_is_told() {
        let mut line = Line::default();
        assert_eq!(line.event(900_000, [1, 0x8A, 3, 32]), told('1', 100));
        assert_eq!(line.sound(8_000, 160), None);
        assert_eq!(line.event(320, [2, 10, 0, 160]), None);
        assert_eq!(line.event(320, [2, 0x8A, 3, 32]), told('2', 100));
    }

    #[test] // RFC 4733 §2.5.1.3: 65,535 units are 8.19 s
    fn a_key_held_for_long_comes_in_segments_and_is_told_once() {
        let mut line = Line::default();
        assert_eq!(line.event(1_000, [3, 10, 0, 160]), None);
        assert_eq!(line.event(1_000, [3, 10, 0xFF, 0xFF]), None);
        assert_eq!(line.event(66_535, [3, 10, 0xFF, 0xFF]), None);
        assert_eq!(line.event(132_070, [3, 10, 0, 160]), None);
        assert_eq!(line.event(132_070, [3, 0x8A, 25, 0]), told('3', (2 * 65_535 + 6_400) / 8));
        assert_eq!(line.event(132_070, [3, 0x8A, 25, 0]), None);
        // The same key pressed again right behind its end is another digit.
        assert_eq!(line.event(132_070 + 6_400, [3, 0x8A, 3, 32]), told('3', 100));
    }

    #[test]
    fn events_that_are_no_digits_and_rubbish_are_nothing() {
        let mut line = Line::default();
        assert_eq!(line.event(1, [16, 0x8A, 0, 160]), None);
        assert_eq!(line.event(2, [255, 0x8A, 0, 160]), None);
        assert_eq!(line.detector.event(&header(1, 3, 3), Place::Ahead, 8_000, &[1, 0x8A]), None);
        let mut transmitter = Transmitter::default();
        assert!(!transmitter.push('x', PTIME));
        assert_eq!((0..100).filter(|_| transmitter.push('d', PTIME)).count(), MAX_DIGITS);
    }
}

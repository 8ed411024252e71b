//! The one stream that a leg's peer hears: SSRC, sequence and timestamps go on whoever is behind it.

use std::time::Instant;

use super::source::Place;
use super::timeline::{Backward, Joint, Timeline};
use super::{Content, ptime_units};
use crate::rtp::{Header, Outgoing};

/// Outgoing stream of one leg: a linear story (RFC 3550 §5.1), whatever its sources do.
pub(crate) struct Stream {
    ssrc: u32,
    /// Of the first packet.
    first: u16,
    sequence: u16,
    /// Sequence numbers from the first to the last, with those of packets that the source lost.
    numbers: u64,
    /// Random.
    first_timestamp: u32,
    /// Of the sound, and of events in the same clock.
    main: Option<Timeline>,
    /// Of events in another clock than the sound's, which may lie between its packets.
    aside: Option<Timeline>,
    sent_at: Option<Instant>,
    joint: Option<Numbers>,
    event: Option<Event>,
    origin: Origin,
    packets: u32,
    octets: u32,
}

/// In which format a source's packet goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) content: Content,
    pub(crate) clock_rate: u32,
    pub(crate) payload_type: u8,
}

/// What a receiver's report is to be read with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbering {
    /// Sequence number of the first packet.
    pub(crate) first: u16,
    /// From the first to the last: of more nobody can tell.
    pub(crate) numbers: u64,
    /// Of the sound.
    pub(crate) clock_rate: u32,
}

/// Who made the last packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Forwarded,
    Generated,
}

/// How a source's numbers become ours.
#[derive(Clone, Copy)]
struct Numbers {
    offset: u16,
    /// Of the source: what was before it would get a number that is in use.
    since: u16,
}

/// The event that the source tells of, in its time and in ours (RFC 4733 §2.5.1.2: all its packets have one).
struct Event {
    clock_rate: u32,
    source: u32,
    ours: u32,
}

impl Stream {
    /// RFC 3550 §5.1: SSRC, first sequence number and timestamp are random.
    pub(crate) fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        // Below 2^15, so that the first rollover is far: RFC 3711 §3.3.1.
        let sequence = sequence & 0x7FFF;
        Self {
            ssrc,
            first: sequence + 1,
            sequence,
            numbers: 0,
            first_timestamp: timestamp,
            main: None,
            aside: None,
            sent_at: None,
            joint: None,
            event: None,
            origin: Origin::Forwarded,
            packets: 0,
            octets: 0,
        }
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// `None` before the first packet.
    pub(crate) fn numbering(&self) -> Option<Numbering> {
        let Self { first, numbers, .. } = *self;
        self.main.map(|main| Numbering { first, numbers, clock_rate: main.clock_rate })
    }

    /// What comes next is of another source, or of one that counts anew.
    pub(crate) fn forget_source(&mut self) {
        (self.joint, self.event) = (None, None);
        for line in [&mut self.main, &mut self.aside].into_iter().flatten() {
            line.forget_source();
        }
    }

    pub(crate) fn sent_at(&self) -> Option<Instant> {
        self.sent_at
    }

    /// Was the last packet the relay's own?
    pub(crate) fn is_generated(&self) -> bool {
        self.origin == Origin::Generated
    }

    /// The timestamp of this moment, packets and payload bytes modulo 2³²: for a sender report.
    pub(crate) fn sender_state(&self, now: Instant) -> Option<(u32, u32, u32)> {
        Some((self.main?.at(now), self.packets, self.octets))
    }

    /// The header under which a source's packet goes on; `None` if it has no place of its own in what was sent.
    pub(crate) fn forward(
        &mut self,
        header: &Header,
        place: Place,
        format: Format,
        now: Instant,
    ) -> Option<Outgoing> {
        let (sequence, is_newest, is_joined) = match place {
            Place::Repeated => return None,
            Place::Late => {
                let joint = self.joint.filter(|joint| !is_before(header.sequence, joint.since))?;
                (header.sequence.wrapping_add(joint.offset), false, false)
            }
            Place::First | Place::Ahead => {
                let (sequence, is_joined) = self.number(header.sequence);
                (sequence, true, is_joined)
            }
        };
        let (timestamp, is_leap) = match format.content {
            Content::Sound => self.sound_time(header, is_newest, format.clock_rate, now)?,
            Content::Event => self.event_time(header, is_newest, format.clock_rate, now)?,
        };
        let marker = header.marker || is_leap || (is_joined && format.content == Content::Sound);
        let outgoing =
            Outgoing { marker, payload_type: format.payload_type, sequence, timestamp, ssrc: self.ssrc };
        self.sent(header.payload.len(), now);
        if is_newest {
            self.follow(sequence);
            self.origin = Origin::Forwarded;
        }
        Some(outgoing)
    }

    /// The header of a packet that the relay makes: the next number, and the time that has passed.
    pub(crate) fn generate(
        &mut self,
        clock_rate: u32,
        payload_type: u8,
        size: usize,
        now: Instant,
    ) -> Outgoing {
        let marker = !self.is_generated();
        let main = self.main_in(clock_rate, now);
        let timestamp = match marker {
            true => main.next(clock_rate, now),
            false => main.timestamp.wrapping_add(ptime_units(clock_rate)),
        };
        main.advance(timestamp, now);
        self.emit(marker, timestamp, payload_type, size, now)
    }

    /// The timestamp that an event beginning now has: RFC 4733 §2.2.
    pub(crate) fn begin_event(&mut self, clock_rate: u32, now: Instant) -> u32 {
        let line = self.events_in(clock_rate, now);
        let timestamp = line.next(clock_rate, now);
        line.advance(timestamp, now);
        timestamp
    }

    /// The header of an event's packet: its timestamp stays that of the beginning.
    pub(crate) fn event(
        &mut self,
        is_first: bool,
        timestamp: u32,
        payload_type: u8,
        now: Instant,
    ) -> Outgoing {
        self.emit(is_first, timestamp, payload_type, EVENT_SIZE, now)
    }

    fn emit(
        &mut self,
        marker: bool,
        timestamp: u32,
        payload_type: u8,
        size: usize,
        now: Instant,
    ) -> Outgoing {
        let sequence = self.sequence.wrapping_add(1);
        let outgoing = Outgoing { marker, payload_type, sequence, timestamp, ssrc: self.ssrc };
        self.sent(size, now);
        self.follow(sequence);
        self.origin = Origin::Generated;
        outgoing
    }

    /// Our number of a source's newest packet, and whether the source was joined to the end of what was sent.
    fn number(&mut self, sequence: u16) -> (u16, bool) {
        if let Some(joint) = self.joint.filter(|_| !self.is_generated()) {
            return (sequence.wrapping_add(joint.offset), false);
        }
        let next = self.sequence.wrapping_add(1);
        self.joint = Some(Numbers { offset: next.wrapping_sub(sequence), since: sequence });
        (next, true)
    }

    /// The timestamp of a packet of sound, and whether the source's clock leapt.
    fn sound_time(
        &mut self,
        header: &Header,
        is_newest: bool,
        clock_rate: u32,
        now: Instant,
    ) -> Option<(u32, bool)> {
        if !is_newest {
            let main = self.main.filter(|main| main.clock_rate == clock_rate)?;
            return Some((main.look_back(header.sequence, header.timestamp)?, false));
        }
        let backward = if self.is_generated() { Backward::No } else { Backward::Standing };
        let main = self.main_in(clock_rate, now);
        let (timestamp, is_leap) = told(main.join(header.sequence, header.timestamp, backward, now));
        main.advance(timestamp, now);
        Some((timestamp, is_leap))
    }

    /// The timestamp of an event's packet, and whether it is the first of one that is told in a time of ours.
    fn event_time(
        &mut self,
        header: &Header,
        is_newest: bool,
        clock_rate: u32,
        now: Instant,
    ) -> Option<(u32, bool)> {
        if let Some(event) = self.event.as_ref()
            && (event.clock_rate, event.source) == (clock_rate, header.timestamp)
        {
            return Some((event.ours, false));
        }
        let line = self.events_in(clock_rate, now);
        if !is_newest {
            return Some((line.look_back(header.sequence, header.timestamp)?, false));
        }
        let (ours, is_leap) = told(line.join(header.sequence, header.timestamp, Backward::Second, now));
        line.advance(ours, now);
        self.event = Some(Event { clock_rate, source: header.timestamp, ours });
        Some((ours, is_leap))
    }

    /// The timeline of sound in this clock. Another format goes on where the one before it ended (RFC 7160 §4.1).
    fn main_in(&mut self, clock_rate: u32, now: Instant) -> &mut Timeline {
        let first = self.first_timestamp;
        match &mut self.main {
            Some(main) if main.clock_rate == clock_rate => {}
            main => {
                let before = main.map_or(first, |main| main.next(clock_rate, now));
                *main = Some(Timeline::new(clock_rate, before.wrapping_sub(ptime_units(clock_rate)), now));
            }
        }
        self.main.as_mut().expect("it was made just now")
    }

    /// The timeline of events in this clock: the sound's, if that is its clock.
    fn events_in(&mut self, clock_rate: u32, now: Instant) -> &mut Timeline {
        match self.main {
            None => self.main_in(clock_rate, now),
            Some(main) if main.clock_rate == clock_rate => self.main_in(clock_rate, now),
            Some(main) => {
                let fits = self.aside.is_some_and(|aside| aside.clock_rate == clock_rate);
                if !fits {
                    self.aside = Some(Timeline::new(clock_rate, main.timestamp, now));
                }
                self.aside.as_mut().expect("it was made just now")
            }
        }
    }

    fn sent(&mut self, size: usize, now: Instant) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(size as u32);
        self.sent_at = Some(now);
    }

    /// The newest number of ours is that one.
    fn follow(&mut self, sequence: u16) {
        self.numbers += u64::from(sequence.wrapping_sub(self.sequence));
        self.sequence = sequence;
    }
}

fn told(joint: Joint) -> (u32, bool) {
    match joint {
        Joint::Continued(timestamp) => (timestamp, false),
        Joint::Joined(timestamp) => (timestamp, true),
    }
}

fn is_before(a: u16, b: u16) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}

/// RFC 4733 §2.3.
const EVENT_SIZE: usize = 4;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::time::Duration;

    use super::*;
    use crate::bridge::source::Source;

    fn header(ssrc: u32, sequence: u16, timestamp: u32) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc, payload: 12..172 }
    }

    struct Line {
        source: Source,
        stream: Stream,
        now: Instant,
        last: Option<Outgoing>,
    }

    impl Line {
        fn new() -> Self {
            Self {
                source: Source::default(),
                stream: Stream::new(9, 100, 5_000),
                now: Instant::now(),
                last: None,
            }
        }

        fn hears(&mut self, ssrc: u32, sequence: u16, timestamp: u32) -> Option<Outgoing> {
            self.carries(Content::Sound, 8_000, &header(ssrc, sequence, timestamp))
        }

        /// Sound in another clock.
        fn hears_opus(&mut self, sequence: u16, timestamp: u32) -> Option<Outgoing> {
            self.carries(Content::Sound, 48_000, &header(1, sequence, timestamp))
        }

        fn tells(&mut self, sequence: u16, timestamp: u32) -> Option<Outgoing> {
            self.carries(Content::Event, 8_000, &header(1, sequence, timestamp))
        }

        fn carries(&mut self, content: Content, clock_rate: u32, header: &Header) -> Option<Outgoing> {
            let place = self.source.place(header, content, clock_rate);
            if place == Place::First {
                self.stream.forget_source();
            }
            let format = Format { content, clock_rate, payload_type: 0 };
            let out = self.stream.forward(header, place, format, self.now);
            self.last = out.or(self.last);
            out
        }

        fn makes(&mut self) -> Outgoing {
            let out = self.stream.generate(8_000, 0, 160, self.now);
            self.last = Some(out);
            out
        }

        fn after(&mut self, milliseconds: u64) -> &mut Self {
            self.now += Duration::from_millis(milliseconds);
            self
        }
    }

    #[test]
    fn loss_and_reordering_of_the_source_stay_visible() {
        let mut line = Line::new();
        let first = line.hears(1, 65_534, 0).unwrap();
        assert!(first.marker && first.ssrc == 9);
        assert_eq!(line.after(20).hears(1, 0, 320).unwrap().sequence, first.sequence + 2);
        let late = line.hears(1, 65_535, 160).unwrap();
        assert_eq!((late.sequence, late.timestamp), (first.sequence + 1, first.timestamp + 160));
        assert_eq!(line.after(20).hears(1, 1, 480).unwrap().sequence, first.sequence + 3);
    }

    #[test] // RFC 3550 §5.1: a new source must not look like a loss
    fn another_source_joins_without_a_gap() {
        let mut line = Line::new();
        let last = line.hears(1, 10, 1_000).unwrap();
        let next = line.after(20).hears(2, 40_000, 77).unwrap();
        assert_eq!((next.sequence, next.timestamp), (last.sequence + 1, last.timestamp + 160));
        assert!(next.marker);
    }

    #[test]
    fn a_source_that_moved_joins_without_a_gap_under_its_old_ssrc() {
        let mut line = Line::new();
        line.hears(1, 40, 5_000).unwrap();
        let last = line.after(20).hears(1, 41, 5_160).unwrap();
        line.source.forget();
        let next = line.after(20).hears(1, 11, 300).unwrap();
        assert_eq!((next.sequence, next.timestamp), (last.sequence + 1, last.timestamp + 160));
        assert!(next.marker);
        assert_eq!(line.after(20).hears(1, 12, 460).unwrap().sequence, last.sequence + 2);
    }

    #[test]
    fn silence_fills_the_pause_and_the_source_comes_back_in_its_own_time() {
        let mut line = Line::new();
        let last = line.hears(1, 10, 1_000).unwrap();
        let silence = line.after(100).makes();
        assert_eq!((silence.sequence, silence.timestamp), (last.sequence + 1, last.timestamp + 800));
        let silence = line.after(20).makes();
        assert_eq!(silence.timestamp, last.timestamp + 960);
        // 140 ms after its last packet, the source's timestamp says the same.
        let back = line.after(20).hears(1, 11, 1_000 + 1_120).unwrap();
        assert_eq!((back.sequence, back.timestamp), (silence.sequence + 1, last.timestamp + 1_120));
        assert!(back.marker);
        // What was under way meanwhile has no number left.
        assert_eq!(line.hears(1, 10, 1_000), None);
    }

    #[test]
    fn timestamps_rise_even_if_the_source_stood_still() {
        let mut line = Line::new();
        line.hears(1, 10, 1_000).unwrap();
        for _ in 0..10 {
            line.after(100).makes();
        }
        let silence = line.makes();
        let back = line.hears(1, 11, 1_160).unwrap();
        assert!(back.timestamp.wrapping_sub(silence.timestamp).cast_signed() > 0);
    }

    #[test] // RFC 4733 §2.5.1.2, RFC 7160
    fn an_event_in_another_clock_keeps_its_time_between_packets_of_sound() {
        let mut line = Line::new();
        let sound = line.hears_opus(100, 0).unwrap();
        let mut events = Vec::new();
        for n in 0..8_u16 {
            events.push(line.after(4).tells(101 + 2 * n, 9_600).unwrap());
            let next = line.after(16).hears_opus(102 + 2 * n, 960 * u32::from(n + 1)).unwrap();
            assert_eq!(next.timestamp, sound.timestamp + 960 * u32::from(n + 1));
        }
        assert!(events.iter().all(|event| event.timestamp == events[0].timestamp));
        assert_eq!(events.iter().filter(|event| event.marker).count(), 1);
        // The next digit is later by as much as the source says.
        let next = line.after(340).tells(200, 9_600 + 4_000).unwrap();
        assert_eq!(next.timestamp, events[0].timestamp + 4_000);
    }

    #[test]
    fn an_event_that_pauses_goes_on_in_its_time_after_our_silence() {
        let mut line = Line::new();
        line.hears(1, 10, 640).unwrap();
        let first = line.after(20).tells(11, 800).unwrap();
        line.after(120).makes();
        let silence = line.after(20).makes();
        let end = line.after(20).tells(12, 800).unwrap();
        assert_eq!((end.timestamp, end.marker), (first.timestamp, false));
        assert_eq!(end.sequence, silence.sequence + 1);
        let next = line.after(400).tells(13, 800 + 4_640).unwrap();
        assert_eq!(next.timestamp, first.timestamp + 4_640);
        // A straggler of the digit before is still of that digit's time.
        let sound = line.after(200).hears(1, 15, 800 + 6_240).unwrap();
        assert_eq!(line.tells(14, 800 + 4_640).unwrap().timestamp, next.timestamp);
        assert_eq!(sound.timestamp, first.timestamp + 6_240);
    }

    #[test] // RFC 4733 §2.5.1.3
    fn segments_of_a_long_event_stay_one_behind_the_other() {
        let mut line = Line::new();
        let first = line.tells(10, 1_000).unwrap();
        let second = line.after(8_192).tells(420, 1_000 + 65_535).unwrap();
        assert_eq!(second.timestamp, first.timestamp + 65_535);
    }

    #[test] // a PBX after its announcement: numbers go on, the time starts anew
    fn a_time_that_starts_anew_is_joined_to_what_was_sent() {
        for restart in [0, 40_000 + 160 * 50 + 4_000_000_u32] {
            let mut line = Line::new();
            let mut last = line.hears(1, 1_000, 40_000).unwrap();
            for n in 1..50 {
                last = line.after(20).hears(1, 1_000 + n, 40_000 + 160 * u32::from(n)).unwrap();
            }
            for n in 0..50 {
                let next = line.after(20).hears(1, 1_051 + n, restart + 160 * u32::from(n)).unwrap();
                // One was lost on the way, and stays visible.
                let lost = u16::from(n == 0);
                assert_eq!((next.sequence, next.marker), (last.sequence + 1 + lost, n == 0));
                assert_eq!(next.timestamp, last.timestamp + 160, "{n}");
                last = next;
            }
        }
    }

    #[test]
    fn numbers_that_start_again_nearby_are_used_once() {
        for time in [90_000, 20_000] {
            let mut line = Line::new();
            let mut sent = Vec::new();
            for n in 0..60 {
                sent.push(line.after(20).hears(1, n, 60_000 + 160 * u32::from(n)).unwrap());
            }
            for n in 0..100 {
                sent.extend(line.after(20).hears(1, n, time + 160 * u32::from(n)));
            }
            assert!(sent.windows(2).all(|two| two[1].sequence == two[0].sequence + 1));
            assert!(sent.windows(2).all(|two| two[1].timestamp == two[0].timestamp + 160));
            assert_eq!(sent.len(), 160);
        }
    }

    #[test]
    fn wild_numbers_under_one_ssrc_leave_one_story() {
        let mut line = Line::new();
        let mut last = line.hears(1, 0, 0).unwrap();
        for (n, sequence) in [30_000, 5, 60_000, 59_000, 6_000, 32_768].into_iter().enumerate() {
            let next = line.after(20).hears(1, sequence, 7_777_777 * (n as u32 + 1)).unwrap();
            assert_eq!((next.sequence, next.timestamp), (last.sequence + 1, last.timestamp + 160));
            last = next;
        }
        // Another SSRC with a number that would fit is another source all the same.
        let other = line.after(20).hears(2, 32_770, 7_777_777 * 7).unwrap();
        assert_eq!((other.sequence, other.marker), (last.sequence + 1, true));
    }

    #[test] // its own time is kept where ours says something else, unless it is absurd
    fn a_burst_after_a_pause_keeps_the_time_of_the_source() {
        let mut line = Line::new();
        let first = line.hears(1, 0, 0).unwrap();
        line.after(400);
        for n in 1..20 {
            let next = line.after(1).hears(1, n, 160 * u32::from(n)).unwrap();
            assert_eq!(next.timestamp, first.timestamp + 160 * u32::from(n));
        }
        let last = first.timestamp + 160 * 19;
        assert_eq!(line.after(20).hears(1, 20, 160 * 19 + 8_160).unwrap().timestamp, last + 8_160);
        assert_eq!(line.after(20).hears(1, 21, 160 * 19 + 16_321).unwrap().timestamp, last + 8_320);
    }

    #[test]
    fn another_format_goes_on_where_the_one_before_ended() {
        let mut line = Line::new();
        let opus = line.hears_opus(10, 480_000).unwrap();
        let g711 = line.after(20).hears(1, 11, 80_160).unwrap();
        assert_eq!((g711.sequence, g711.timestamp), (opus.sequence + 1, opus.timestamp + 160));
        let opus = line.after(20).hears_opus(12, 481_920).unwrap();
        assert_eq!((opus.sequence, opus.timestamp), (g711.sequence + 1, g711.timestamp + 960));
    }

    #[test]
    fn a_repeated_packet_is_sent_once() {
        let mut line = Line::new();
        assert!(line.hears(1, 10, 0).is_some());
        assert_eq!(line.hears(1, 10, 0), None);
        assert!(line.after(20).hears(1, 11, 160).is_some());
        assert_eq!(line.hears(1, 10, 0), None);
    }
}

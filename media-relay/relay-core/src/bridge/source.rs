//! Where a packet stands among those of its source: RFC 3550, appendix A.1, with the timestamps as witnesses.

use super::Content;
use crate::rtp::Header;

/// The numbers of whoever speaks on a leg.
#[derive(Default)]
pub(crate) struct Source {
    current: Option<Numbers>,
}

/// What a packet is in the source's story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The first of a source, or of one that began to count anew.
    First,
    /// The newest so far.
    Ahead,
    /// It was overtaken, and comes for the first time.
    Late,
    /// It came before.
    Repeated,
}

struct Numbers {
    ssrc: u32,
    highest: u16,
    /// Bit n: `highest` − n came.
    seen: u128,
    /// The newest packet of sound: an event has the time of its beginning, which proves nothing.
    sound: Option<Sound>,
    /// The packet that was repeated last, and how many in a row were.
    repeated: (u16, u8),
}

struct Sound {
    sequence: u16,
    timestamp: u32,
    clock_rate: u32,
}

impl Source {
    /// Takes the next packet that came.
    pub(crate) fn place(&mut self, header: &Header, content: Content, clock_rate: u32) -> Place {
        let place = match &mut self.current {
            Some(numbers) if numbers.ssrc == header.ssrc => numbers.place(header, content, clock_rate),
            Some(_) | None => Place::First,
        };
        if place == Place::First {
            self.current = Some(Numbers::new(header));
        }
        if let (Content::Sound, Place::First | Place::Ahead, Some(numbers)) =
            (content, place, &mut self.current)
        {
            let Header { sequence, timestamp, .. } = *header;
            numbers.sound = Some(Sound { sequence, timestamp, clock_rate });
        }
        place
    }

    /// What comes next is from elsewhere, though its SSRC may be the same.
    pub(crate) fn forget(&mut self) {
        self.current = None;
    }
}

impl Numbers {
    fn new(header: &Header) -> Self {
        Self { ssrc: header.ssrc, highest: header.sequence, seen: 1, sound: None, repeated: (0, 0) }
    }

    fn place(&mut self, header: &Header, content: Content, clock_rate: u32) -> Place {
        let jump = i32::from(header.sequence.wrapping_sub(self.highest).cast_signed());
        match jump {
            1..MAX_DROPOUT => {
                self.seen = self.seen.checked_shl(jump.unsigned_abs()).unwrap_or(0) | 1;
                (self.highest, self.repeated) = (header.sequence, (0, 0));
                Place::Ahead
            }
            MIN_LATE..=0 if self.is_contradicted(header, content, clock_rate) => Place::First,
            MIN_LATE..=0 => {
                let bit = 1 << jump.unsigned_abs();
                let is_repeated = self.seen & bit != 0;
                self.seen |= bit;
                if is_repeated { self.repeat(header.sequence) } else { Place::Late }
            }
            _ => Place::First,
        }
    }

    /// A network repeats a packet now and then; many in a row are a source that counts anew (RFC 3550 A.1).
    fn repeat(&mut self, sequence: u16) -> Place {
        let (last, run) = self.repeated;
        let is_next = sequence.wrapping_sub(last) == 1;
        let run = if is_next { run.saturating_add(1) } else { 1 };
        self.repeated = (sequence, run);
        if run > MAX_REPEATED { Place::First } else { Place::Repeated }
    }

    /// Says the time of an overtaken packet that it was made after the one that overtook it, or long before?
    fn is_contradicted(&self, header: &Header, content: Content, clock_rate: u32) -> bool {
        let Some(sound) = self.sound.as_ref().filter(|sound| sound.clock_rate == clock_rate) else {
            return false;
        };
        let overtaken_by = sound.sequence.wrapping_sub(header.sequence).cast_signed();
        let age = i64::from(sound.timestamp.wrapping_sub(header.timestamp).cast_signed());
        match content {
            Content::Event => false,
            Content::Sound if overtaken_by == 0 => age != 0,
            Content::Sound => {
                overtaken_by > 0 && !(0..=MAX_AGE_SECONDS * i64::from(clock_rate)).contains(&age)
            }
        }
    }
}

/// RFC 3550 A.1: about a minute of packets.
const MAX_DROPOUT: i32 = 3_000;
/// RFC 3550 A.1: what is further behind is no straggler. Within the 128 that `seen` holds.
const MIN_LATE: i32 = -100;
/// In a row, without a new one among them.
const MAX_REPEATED: u8 = 3;
/// No network holds a packet back for longer.
const MAX_AGE_SECONDS: i64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn header(ssrc: u32, sequence: u16, timestamp: u32) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc, payload: 12..172 }
    }

    fn hears(source: &mut Source, sequence: u16, timestamp: u32) -> Place {
        source.place(&header(1, sequence, timestamp), Content::Sound, 8_000)
    }

    #[test] // RFC 3550 A.1
    fn packets_are_new_overtaken_or_repeated() {
        let mut source = Source::default();
        assert_eq!(hears(&mut source, 65_534, 0), Place::First);
        assert_eq!(hears(&mut source, 1, 480), Place::Ahead);
        assert_eq!(hears(&mut source, 65_535, 160), Place::Late);
        assert_eq!(hears(&mut source, 65_535, 160), Place::Repeated);
        assert_eq!(hears(&mut source, 1, 480), Place::Repeated);
        assert_eq!(hears(&mut source, 2, 640), Place::Ahead);
        assert_eq!(hears(&mut source, 0, 320), Place::Late);
        assert_eq!(source.place(&header(2, 3, 800), Content::Sound, 8_000), Place::First);
    }

    #[test]
    fn exactly_what_lies_beyond_the_bounds_is_another_beginning() {
        for (jump, place) in
            [(2_999, Place::Ahead), (3_000, Place::First), (-100, Place::Late), (-101, Place::First)]
        {
            let mut source = Source::default();
            hears(&mut source, 10_000, 1_600_000);
            let timestamp = if jump > 0 { 1_600_160 } else { 1_600_000 - 16_000 };
            assert_eq!(hears(&mut source, (10_000 + jump) as u16, timestamp), place, "{jump}");
        }
    }

    #[test] // music on hold for a second, then the person: the PBX counts anew under one SSRC
    fn numbers_that_start_again_nearby_are_found_out_by_their_time() {
        let mut source = Source::default();
        for n in 0..60 {
            hears(&mut source, n, 90_000 + 160 * u32::from(n));
        }
        assert_eq!(hears(&mut source, 0, 200_000), Place::First, "later");
        assert_eq!(hears(&mut source, 1, 200_160), Place::Ahead);
        assert_eq!(hears(&mut source, 0, 200_000 - 48_000), Place::First, "much earlier");
        assert_eq!(hears(&mut source, 0, 200_000), Place::First, "the same number at another time");
    }

    #[test]
    fn numbers_that_start_again_with_their_times_are_found_out_by_a_run_of_repeats() {
        let mut source = Source::default();
        for n in 0..20 {
            hears(&mut source, n, 160 * u32::from(n));
        }
        let again: Vec<_> = (0..6).map(|n| hears(&mut source, n, 160 * u32::from(n))).collect();
        let expected =
            [Place::Repeated, Place::Repeated, Place::Repeated, Place::First, Place::Ahead, Place::Ahead];
        assert_eq!(again, expected);
    }

    #[test]
    fn a_network_that_doubles_everything_makes_no_new_source() {
        let mut source = Source::default();
        hears(&mut source, 0, 0);
        for n in 1..50_u16 {
            assert_eq!(hears(&mut source, n, 160 * u32::from(n)), Place::Ahead);
            assert_eq!(hears(&mut source, n, 160 * u32::from(n)), Place::Repeated);
        }
    }

    #[test] // RFC 4733 §2.5.1.2: an event keeps the time of its beginning
    fn the_time_of_an_event_proves_nothing() {
        let mut source = Source::default();
        hears(&mut source, 0, 1_600);
        let event =
            |source: &mut Source, sequence| source.place(&header(1, sequence, 1_760), Content::Event, 8_000);
        assert_eq!(event(&mut source, 1), Place::Ahead);
        assert_eq!(hears(&mut source, 4, 2_400), Place::Ahead);
        assert_eq!(event(&mut source, 3), Place::Late);
        assert_eq!(hears(&mut source, 2, 1_920), Place::Late);
    }
}

//! Packet indices and replay windows: RFC 3711 §3.3.1 and §3.3.2.

/// The last 128 indices: which of them were seen.
#[derive(Default)]
pub(super) struct Replay {
    highest: Option<u64>,
    seen: u128,
}

impl Replay {
    /// Neither seen before nor older than the window.
    pub(super) fn is_fresh(&self, index: u64) -> bool {
        match self.highest {
            None => true,
            Some(highest) if index > highest => true,
            Some(highest) => {
                let age = highest - index;
                age < WINDOW && (self.seen >> age) & 1 == 0
            }
        }
    }

    /// Marks the index of an authentic packet.
    pub(super) fn commit(&mut self, index: u64) {
        match self.highest {
            Some(highest) if index <= highest => {
                self.seen |= 1_u128.checked_shl((highest - index) as u32).unwrap_or(0)
            }
            Some(highest) => {
                let advance = index - highest;
                self.seen = if advance < WINDOW { (self.seen << advance) | 1 } else { 1 };
                self.highest = Some(index);
            }
            None => (self.highest, self.seen) = (Some(index), 1),
        }
    }
}

/// The 48-bit index of one SRTP stream: rollover counter and sequence number.
#[derive(Default)]
pub(super) struct RtpIndex(Replay);

impl RtpIndex {
    /// The rollover counter that brings `sequence` nearest to the highest index; `None` if that index is a repeat, too
    /// old, or outside of what the 48 bits hold.
    pub(super) fn estimate(&self, sequence: u16) -> Option<u32> {
        let Some(highest) = self.0.highest else { return Some(0) };
        let (rollover, last) = ((highest >> 16) as u32, highest as u16);
        let distance = i32::from(sequence) - i32::from(last);
        let guess = match distance {
            i32::MIN..-0x8000 => rollover.checked_add(1)?,
            0x8001..=i32::MAX => rollover.checked_sub(1)?,
            _ => rollover,
        };
        self.0.is_fresh(index(guess, sequence)).then_some(guess)
    }

    pub(super) fn commit(&mut self, rollover: u32, sequence: u16) {
        self.0.commit(index(rollover, sequence));
    }
}

fn index(rollover: u32, sequence: u16) -> u64 {
    (u64::from(rollover) << 16) | u64::from(sequence)
}

/// RFC 3711 §3.3.2 asks for at least 64.
const WINDOW: u64 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // RFC 3711 §3.3.1
    fn the_rollover_counter_survives_a_wrap_with_reordering() {
        let mut index = RtpIndex::default();
        let mut arrive = |sequence, expected| {
            assert_eq!(index.estimate(sequence), expected, "{sequence}");
            if let Some(rollover) = expected {
                index.commit(rollover, sequence);
            }
        };
        arrive(65_533, Some(0));
        arrive(65_535, Some(0));
        arrive(1, Some(1));
        arrive(65_534, Some(0));
        arrive(0, Some(1));
        arrive(65_534, None);
        arrive(2, Some(1));
    }

    #[test]
    fn an_index_before_the_first_rollover_does_not_exist() {
        let mut index = RtpIndex::default();
        index.commit(0, 2);
        assert_eq!(index.estimate(65_534), None);
    }

    #[test] // RFC 3711 §3.3.2
    fn repeats_and_what_the_window_has_left_behind_are_refused() {
        let mut replay = Replay::default();
        for index in [1_000, 1_002, 1_001] {
            assert!(replay.is_fresh(index));
            replay.commit(index);
            assert!(!replay.is_fresh(index));
        }
        assert!(replay.is_fresh(1_002 - 127));
        assert!(!replay.is_fresh(1_002 - 128));
        replay.commit(5_000);
        assert!(!replay.is_fresh(1_003));
        assert!(replay.is_fresh(4_999));
    }
}

//! Which relay gets a new session.

/// A relay that takes sessions, and how full it is: 0 is empty, 1 is full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) index: usize,
    pub(super) load: f64,
}

/// The relays in the order in which they are asked. First the emptier of two that `chance` picks, so that several
/// gateways with the same stale figures do not all run to the same relay; then the others, emptiest first.
pub(super) fn order(mut candidates: Vec<Candidate>, chance: u64) -> Vec<usize> {
    candidates.sort_by(|a, b| a.load.total_cmp(&b.load));
    let count = candidates.len() as u64;
    if count > 1 {
        let one = chance % count;
        let other = (one + 1 + (chance >> 32) % (count - 1)) % count;
        let first = candidates.remove(one.min(other) as usize);
        candidates.insert(0, first);
    }
    candidates.into_iter().map(|candidate| candidate.index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(loads: &[f64]) -> Vec<Candidate> {
        loads.iter().enumerate().map(|(index, load)| Candidate { index, load: *load }).collect()
    }

    #[test]
    fn of_two_the_emptier_is_asked_first() {
        for chance in [0, 1, u64::MAX, 0x0123_4567_89AB_CDEF] {
            assert_eq!(order(candidates(&[0.5, 0.1]), chance), [1, 0]);
        }
    }

    #[test]
    fn the_fullest_of_many_is_never_asked_first_and_each_is_asked_once() {
        for chance in (0..1_000_u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15)) {
            let mut order = order(candidates(&[0.2, 0.9, 0.1, 0.3]), chance);
            assert_ne!(order[0], 1);
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3]);
        }
    }

    #[test]
    fn nobody_or_one_needs_no_choice() {
        assert!(order(Vec::new(), 7).is_empty());
        assert_eq!(order(candidates(&[1.0]), 7), [0]);
    }
}

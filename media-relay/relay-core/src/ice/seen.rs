//! Checks that were answered before: who overhears one could send it again, from where the sound is to go.

use std::collections::VecDeque;

/// The transaction ids of the latest checks, each as a tag of four octets.
#[derive(Default)]
pub(super) struct Seen(VecDeque<u32>);

impl Seen {
    pub(super) fn contains(&self, transaction: &[u8; 12]) -> bool {
        self.0.contains(&tag(transaction))
    }

    /// Remembers one that is not known, in place of the oldest when there are too many.
    pub(super) fn insert(&mut self, transaction: &[u8; 12]) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(tag(transaction));
    }

    /// Nothing that came so far is authentic any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// RFC 8489 §5: an id is random, so that any part of it would do; browsers choose from 64 characters.
fn tag(transaction: &[u8; 12]) -> u32 {
    let words = transaction.chunks_exact(4).map(|word| word.try_into().map_or(0, u32::from_be_bytes));
    words.fold(0, |tag, word| tag.rotate_left(5) ^ word)
}

/// Nearly three hours of a call at the pace of a browser that has found its path, a check every 2.5 s; 16 KiB.
const MOST: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> [u8; 12] {
        let mut id = *b"transaction!";
        id[8..].copy_from_slice(&number.to_be_bytes());
        id
    }

    #[test]
    fn the_latest_are_known() {
        let mut seen = Seen::default();
        for number in 0..MOST as u32 {
            assert!(!seen.contains(&id(number)));
            seen.insert(&id(number));
        }
        assert!((0..MOST as u32).all(|number| seen.contains(&id(number))));
        seen.insert(&id(MOST as u32));
        assert!(!seen.contains(&id(0)) && seen.contains(&id(1)));
        assert_eq!(seen.0.len(), MOST);
    }
}

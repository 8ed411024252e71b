//! Token buckets: a rate with a burst of one second.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Instant;

/// What may still be spent. The rate, in units per second, is the burst as well.
pub(super) struct Bucket {
    credit: u32,
    filled: Instant,
}

impl Bucket {
    pub(super) fn full(rate: u32, now: Instant) -> Self {
        Self { credit: rate, filled: now }
    }

    /// Spends, or refuses and spends nothing.
    pub(super) fn take(&mut self, amount: u32, rate: u32, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled).as_micros();
        let earned = elapsed.saturating_mul(u128::from(rate)) / 1_000_000;
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.credit = self.credit.saturating_add(earned).min(rate);
            self.filled = now;
        }
        let rest = self.credit.checked_sub(amount);
        self.credit = rest.unwrap_or(self.credit);
        rest.is_some()
    }
}

/// Answers for strangers by their address: sources share a bounded number of buckets, so that nothing is kept for
/// any of them.
pub(super) struct Strangers {
    buckets: Vec<Bucket>,
    salt: [u8; 32],
}

impl Strangers {
    /// `salt` keeps the sharing unpredictable.
    pub(super) fn new(salt: [u8; 32], now: Instant) -> Self {
        Self { buckets: (0..BUCKETS).map(|_| Bucket::full(ANSWERS_PER_SECOND, now)).collect(), salt }
    }

    pub(super) fn may_answer(&mut self, ip: IpAddr, now: Instant) -> bool {
        let at = self.bucket_of(ip);
        self.buckets[at].take(1, ANSWERS_PER_SECOND, now)
    }

    fn bucket_of(&self, ip: IpAddr) -> usize {
        let mut hasher = DefaultHasher::new();
        (self.salt, ip).hash(&mut hasher);
        (hasher.finish() % self.buckets.len() as u64) as usize
    }
}

const BUCKETS: usize = 4_096;
/// Enough for the phones of an office behind one address; more are not answered.
const ANSWERS_PER_SECOND: u32 = 2_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_gives_its_rate_and_no_more() {
        let start = Instant::now();
        let mut bucket = Bucket::full(1_000, start);
        assert!(bucket.take(1_000, 1_000, start) && !bucket.take(1, 1_000, start));
        let spent = (1..=10_000)
            .filter(|tick| bucket.take(1, 1_000, start + Duration::from_micros(tick * 100)))
            .count();
        assert_eq!(spent, 1_000);
        assert!(bucket.take(1_000, 1_000, start + Duration::from_secs(3_600)));
        assert!(!bucket.take(1, 1_000, start + Duration::from_secs(3_600)));
    }

    #[test]
    fn one_flooding_stranger_does_not_silence_the_others() {
        let now = Instant::now();
        let mut strangers = Strangers::new([1; 32], now);
        let answered =
            (0..10_000).filter(|_| strangers.may_answer(IpAddr::from([192, 0, 2, 1]), now)).count();
        assert_eq!(answered, ANSWERS_PER_SECOND as usize);
        let flooded = strangers.bucket_of(IpAddr::from([192, 0, 2, 1]));
        for other in (2..=200).map(|host| IpAddr::from([192, 0, 2, host])) {
            assert_eq!(strangers.may_answer(other, now), strangers.bucket_of(other) != flooded);
        }
    }
}

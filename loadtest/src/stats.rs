//! Latency distributions of bounded size.

use std::time::Duration;

/// A log-linear histogram of durations in microseconds.
///
/// Every power of two is cut into 64 buckets, so a percentile is at most 1.6 % above the true value, whatever the
/// number of samples. The size is fixed (some 18 kB), the longest duration it tells apart is about 4.7 hours.
#[derive(Debug, Clone)]
pub struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
    max: u64,
}

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Self {
        Self { buckets: vec![0; BUCKETS].into_boxed_slice(), count: 0, max: 0 }
    }

    /// Adds one sample; longer ones than the last bucket's count there.
    pub fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(micros).min(BUCKETS - 1)] += 1;
        self.count += 1;
        self.max = self.max.max(micros);
    }

    /// The number of samples.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest sample in microseconds, exact.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The smallest value in microseconds that at least `percent` of the samples do not exceed (nearest rank); zero
    /// without samples.
    pub fn percentile(&self, percent: f64) -> u64 {
        let rank = ((percent / 100.0 * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_bound(index).min(self.max);
            }
        }
        self.max
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

/// The median; the mean of the middle two when their number is even. `None` without values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The smallest value, `None` without values.
pub fn minimum(values: &[f64]) -> Option<f64> {
    values.iter().copied().min_by(f64::total_cmp)
}

fn bucket_of(micros: u64) -> usize {
    if micros < 2 * LINEAR {
        return micros as usize;
    }
    let shift = micros.ilog2() - LINEAR_BITS;
    (u64::from(shift) * LINEAR + (micros >> shift)) as usize
}

fn upper_bound(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * LINEAR {
        return index;
    }
    let shift = index / LINEAR - 1;
    (((index % LINEAR) + LINEAR + 1) << shift) - 1
}

const LINEAR_BITS: u32 = 6;
const LINEAR: u64 = 1 << LINEAR_BITS;
/// Up to 2^34 microseconds.
const BUCKETS: usize = (LINEAR as usize) * 29;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_at_most_two_percent_wide() {
        for micros in (0..5_000).chain((0..34).map(|power| (1u64 << power) + 17)) {
            let upper = upper_bound(bucket_of(micros));
            assert!(upper >= micros, "{micros} lies above its bucket's bound {upper}");
            assert!(upper as f64 <= micros as f64 * 1.016 + 1.0, "{micros} in a bucket up to {upper}");
        }
    }

    #[test]
    fn percentiles_use_the_nearest_rank() {
        let mut histogram = Histogram::new();
        (1..=100).for_each(|ms| histogram.record(Duration::from_micros(ms)));
        assert_eq!(histogram.percentile(50.0), 50);
        assert_eq!(histogram.percentile(90.0), 90);
        assert_eq!(histogram.percentile(99.0), 99);
        assert_eq!(histogram.percentile(100.0), 100);
        assert_eq!((histogram.count(), histogram.max()), (100, 100));
    }

    #[test]
    fn an_empty_histogram_answers_zero_and_a_huge_sample_does_not_leave_it() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.percentile(99.0), 0);
        histogram.record(Duration::from_secs(1 << 40));
        assert_eq!(histogram.count(), 1);
        assert!(histogram.percentile(50.0) > 16_000_000_000);
    }

    #[test]
    fn median_and_minimum_of_rounds() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(minimum(&[4.0, 1.0, 2.0]), Some(1.0));
        assert_eq!((median(&[]), minimum(&[])), (None, None));
    }
}

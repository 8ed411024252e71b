//! DTLS records that overtook the ICE check of their source: kept for a moment, so that a reordered ClientHello costs no
//! retransmission. They are read only once the source has been validated.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::ice::Path;

#[derive(Default)]
pub(crate) struct Early {
    records: VecDeque<Record>,
}

struct Record {
    path: Path,
    arrived: Instant,
    datagram: Box<[u8]>,
}

impl Early {
    /// Keeps a datagram; the oldest of all makes room, a source's further ones are dropped.
    pub(crate) fn keep(&mut self, path: Path, datagram: &[u8], now: Instant) {
        let of_path = self.records.iter().filter(|record| record.path == path).count();
        if of_path >= PER_PATH || datagram.len() > LARGEST {
            return;
        }
        if self.records.len() >= MOST {
            self.records.pop_front();
        }
        self.records.push_back(Record { path, arrived: now, datagram: datagram.into() });
    }

    /// What a source sent before it was validated, in order.
    pub(crate) fn take(&mut self, path: &Path, now: Instant) -> Vec<Box<[u8]>> {
        self.records.retain(|record| now.saturating_duration_since(record.arrived) < LIFE);
        if self.records.iter().all(|record| record.path != *path) {
            return Vec::new();
        }
        let (taken, kept) =
            std::mem::take(&mut self.records).into_iter().partition(|record| record.path == *path);
        self.records = kept;
        taken.into_iter().map(|record: Record| record.datagram).collect()
    }
}

const MOST: usize = 32;
/// A post-quantum ClientHello in fragments.
const PER_PATH: usize = 4;
const LARGEST: usize = 1_500;
const LIFE: Duration = Duration::from_secs(2);

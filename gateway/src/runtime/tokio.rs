//! The machine's clocks, randomness and tasks.

use std::future::Future;

use daemon::clock;
use sip_core::time::{Instant, UnixMillis};

use crate::ports::runtime::Runtime;

/// Tokio tasks, the machine's clocks, the system's randomness.
#[derive(Clone, Copy, Debug)]
pub struct Tokio {
    start: tokio::time::Instant,
}

impl Tokio {
    /// Its monotonic clock starts now.
    pub fn start() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Runtime for Tokio {
    fn now(&self) -> Instant {
        Instant::START + self.start.elapsed()
    }

    fn unix_now(&self) -> UnixMillis {
        UnixMillis(0).plus(clock::since_1970())
    }

    async fn sleep_until(&self, at: Instant) {
        tokio::time::sleep_until(self.start + (at - Instant::START)).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    fn random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes)
            .expect("the system's random source never fails once it has been read at the start");
    }
}

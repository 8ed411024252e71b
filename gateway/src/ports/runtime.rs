//! What the driver needs of the machine: time, chance and tasks. Tokio in production, a seeded simulator in tests.

use std::future::Future;

use sip_core::time::{Instant, UnixMillis};

/// Time, chance and tasks.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// Monotonic.
    fn now(&self) -> Instant;

    /// Time of day for what is stored. It goes as [`Runtime::now`] does: a step of the machine's clock is no step of this.
    fn unix_now(&self) -> UnixMillis;

    /// Waits until the monotonic clock reads `at`.
    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> + Send;

    /// Runs a task beside this one.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// Fills `bytes` from a source that nobody can predict.
    fn random(&self, bytes: &mut [u8]);
}

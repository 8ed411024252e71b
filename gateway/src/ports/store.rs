//! The state that all nodes share. Every store passes the same contract (`tests/store_contract`).

use std::sync::Arc;

use sip_core::call::{Call, CallId, CallTimer};
use sip_core::registrar::{Aor, Bindings};
use sip_core::time::UnixMillis;

use super::BoxFuture;

/// Rises with every write of a value; the store gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// A value and the version it was read at.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned<T> {
    /// For the next write.
    pub version: Version,
    /// As it was at `version`.
    pub value: T,
}

/// Why a store did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote first: load, decide again.
    #[error("the value changed meanwhile")]
    Conflict,
    /// No room for another value: answer 503.
    #[error("the store is full")]
    Full,
    /// It does not answer: answer 503 with Retry-After.
    #[error("the store is not reachable")]
    Unavailable,
}

/// Calls, registrations and call timers.
///
/// A write names the version it was decided on (`None`: the value must not exist) and fails with
/// [`StoreError::Conflict`] if that is not the current one.
pub trait StateStore: Send + Sync + 'static {
    /// Reads a call.
    fn call<'a>(&'a self, id: &'a CallId) -> BoxFuture<'a, Result<Option<Versioned<Arc<Call>>>, StoreError>>;

    /// Writes a call.
    fn put_call(
        &self,
        call: Arc<Call>,
        expected: Option<Version>,
    ) -> BoxFuture<'_, Result<Version, StoreError>>;

    /// Removes a call and all its timers.
    fn remove_call<'a>(&'a self, id: &'a CallId, expected: Version) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Ids of at most `limit` calls, in no order.
    fn calls(&self, limit: usize) -> BoxFuture<'_, Result<Vec<CallId>, StoreError>>;

    /// Reads the registrations of a user; `None` if there never were any.
    fn bindings<'a>(&'a self, aor: &'a Aor)
    -> BoxFuture<'a, Result<Option<Versioned<Bindings>>, StoreError>>;

    /// Writes the registrations of a user; kept until `expires`, the latest of its contacts.
    fn put_bindings<'a>(
        &'a self,
        aor: &'a Aor,
        bindings: Bindings,
        expected: Option<Version>,
        expires: UnixMillis,
    ) -> BoxFuture<'a, Result<Version, StoreError>>;

    /// Sets a timer of a call; an earlier setting of the same timer is replaced.
    fn set_timer<'a>(
        &'a self,
        call: &'a CallId,
        timer: CallTimer,
        at: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Forgets a timer of a call; one that is not set is no error.
    fn clear_timer<'a>(&'a self, call: &'a CallId, timer: CallTimer)
    -> BoxFuture<'a, Result<(), StoreError>>;

    /// Takes at most `limit` timers that are due, earliest first: each is handed out once.
    fn claim_timers(
        &self,
        now: UnixMillis,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(CallId, CallTimer)>, StoreError>>;

    /// Drops what has expired; called from time to time.
    fn sweep(&self, now: UnixMillis) -> BoxFuture<'_, ()>;

    /// How much is kept, for metrics and for tests that nothing is left.
    fn sizes(&self) -> BoxFuture<'_, Result<Sizes, StoreError>>;
}

/// How much a store keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Calls.
    pub calls: usize,
    /// Users with registrations.
    pub users: usize,
    /// Call timers.
    pub timers: usize,
}

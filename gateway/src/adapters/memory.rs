//! The store inside the process: the reference for the contract that every store passes.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sip_core::call::{Call, CallId, CallTimer};
use sip_core::registrar::{Aor, Bindings};
use sip_core::time::UnixMillis;

use crate::ports::BoxFuture;
use crate::ports::store::{Sizes, StateStore, StoreError, Version, Versioned};

/// Calls, registrations and timers in memory, each table bounded.
pub struct MemoryStore {
    calls: Sharded<CallId, Versioned<Arc<Call>>>,
    bindings: Sharded<Aor, Registered>,
    timers: Mutex<Timers>,
}

/// How much a [`MemoryStore`] may keep. A full table answers [`StoreError::Full`].
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Calls at a time.
    pub calls: usize,
    /// Users with registrations.
    pub users: usize,
}

struct Registered {
    bindings: Versioned<Bindings>,
    expires: UnixMillis,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(capacity: Capacity) -> Self {
        Self {
            calls: Sharded::new(capacity.calls),
            bindings: Sharded::new(capacity.users),
            timers: Mutex::default(),
        }
    }

    fn timers(&self) -> MutexGuard<'_, Timers> {
        unpoisoned(&self.timers)
    }

    fn write_call(&self, call: Arc<Call>, expected: Option<Version>) -> Result<Version, StoreError> {
        let id = call.id();
        self.calls.change(id, |entry| {
            let version = next_version(expected, entry.as_ref().map(|found| found.version))?;
            *entry = Some(Versioned { version, value: call });
            Ok(version)
        })
    }

    fn drop_call(&self, id: &CallId, expected: Version) -> Result<(), StoreError> {
        self.calls.change(*id, |entry| match entry {
            Some(found) if found.version != expected => Err(StoreError::Conflict),
            _ => {
                *entry = None;
                Ok(())
            }
        })?;
        self.timers().clear_all(id);
        Ok(())
    }

    fn write_bindings(
        &self,
        aor: &Aor,
        bindings: Bindings,
        expected: Option<Version>,
        expires: UnixMillis,
    ) -> Result<Version, StoreError> {
        self.bindings.change(aor.clone(), |entry| {
            let version = next_version(expected, entry.as_ref().map(|found| found.bindings.version))?;
            *entry = Some(Registered { bindings: Versioned { version, value: bindings }, expires });
            Ok(version)
        })
    }
}

impl StateStore for MemoryStore {
    fn call<'a>(&'a self, id: &'a CallId) -> BoxFuture<'a, Result<Option<Versioned<Arc<Call>>>, StoreError>> {
        ready(Ok(self.calls.read(id, Versioned::clone)))
    }

    fn put_call(
        &self,
        call: Arc<Call>,
        expected: Option<Version>,
    ) -> BoxFuture<'_, Result<Version, StoreError>> {
        ready(self.write_call(call, expected))
    }

    fn remove_call<'a>(&'a self, id: &'a CallId, expected: Version) -> BoxFuture<'a, Result<(), StoreError>> {
        ready(self.drop_call(id, expected))
    }

    fn calls(&self, limit: usize) -> BoxFuture<'_, Result<Vec<CallId>, StoreError>> {
        ready(Ok(self.calls.keys(limit)))
    }

    fn bindings<'a>(
        &'a self,
        aor: &'a Aor,
    ) -> BoxFuture<'a, Result<Option<Versioned<Bindings>>, StoreError>> {
        ready(Ok(self.bindings.read(aor, |found| found.bindings.clone())))
    }

    fn put_bindings<'a>(
        &'a self,
        aor: &'a Aor,
        bindings: Bindings,
        expected: Option<Version>,
        expires: UnixMillis,
    ) -> BoxFuture<'a, Result<Version, StoreError>> {
        ready(self.write_bindings(aor, bindings, expected, expires))
    }

    fn set_timer<'a>(
        &'a self,
        call: &'a CallId,
        timer: CallTimer,
        at: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.timers().set(*call, timer, at);
        ready(Ok(()))
    }

    fn clear_timer<'a>(
        &'a self,
        call: &'a CallId,
        timer: CallTimer,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.timers().clear(*call, timer);
        ready(Ok(()))
    }

    fn claim_timers(
        &self,
        now: UnixMillis,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(CallId, CallTimer)>, StoreError>> {
        ready(Ok(self.timers().claim(now, limit)))
    }

    fn sweep(&self, now: UnixMillis) -> BoxFuture<'_, ()> {
        self.bindings.retain(|found| found.expires > now);
        ready(())
    }

    fn sizes(&self) -> BoxFuture<'_, Result<Sizes, StoreError>> {
        ready(Ok(Sizes { calls: self.calls.len(), users: self.bindings.len(), timers: self.timers().len() }))
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

fn next_version(expected: Option<Version>, current: Option<Version>) -> Result<Version, StoreError> {
    if expected != current {
        return Err(StoreError::Conflict);
    }
    Ok(Version(current.map_or(1, |Version(n)| n + 1)))
}

/// A bounded map in independently locked parts.
struct Sharded<K, V> {
    shards: Box<[Mutex<HashMap<K, V>>]>,
    hasher: RandomState,
    len: AtomicUsize,
    capacity: usize,
}

impl<K: Hash + Eq + Clone, V> Sharded<K, V> {
    fn new(capacity: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new(), len: AtomicUsize::new(0), capacity }
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, HashMap<K, V>> {
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        unpoisoned(&self.shards[index])
    }

    fn read<T>(&self, key: &K, look: impl FnOnce(&V) -> T) -> Option<T> {
        self.shard(key).get(key).map(look)
    }

    /// Lets `decide` change the entry: `None` before is an absent one, `None` after removes it.
    fn change<T>(
        &self,
        key: K,
        decide: impl FnOnce(&mut Option<V>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut shard = self.shard(&key);
        let mut entry = shard.remove(&key);
        let was_there = entry.is_some();
        let outcome = decide(&mut entry);
        match (was_there, entry) {
            (true, Some(value)) => {
                shard.insert(key, value);
            }
            (true, None) => {
                self.len.fetch_sub(1, Ordering::Relaxed);
            }
            (false, Some(_)) if self.len.load(Ordering::Relaxed) >= self.capacity => {
                return Err(StoreError::Full);
            }
            (false, Some(value)) => {
                shard.insert(key, value);
                self.len.fetch_add(1, Ordering::Relaxed);
            }
            (false, None) => {}
        }
        outcome
    }

    fn retain(&self, keep: impl Fn(&V) -> bool) {
        for shard in &self.shards {
            let mut shard = unpoisoned(shard);
            let before = shard.len();
            shard.retain(|_, value| keep(value));
            self.len.fetch_sub(before - shard.len(), Ordering::Relaxed);
        }
    }

    fn keys(&self, limit: usize) -> Vec<K> {
        let mut keys = Vec::new();
        for shard in &self.shards {
            keys.extend(unpoisoned(shard).keys().take(limit - keys.len()).cloned());
        }
        keys
    }

    fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }
}

/// Timers by time, and the time of each.
#[derive(Default)]
struct Timers {
    due: BTreeMap<(UnixMillis, u64), (CallId, CallTimer)>,
    at: HashMap<CallId, Vec<(CallTimer, UnixMillis, u64)>>,
    set: u64,
}

impl Timers {
    fn set(&mut self, call: CallId, timer: CallTimer, at: UnixMillis) {
        self.clear(call, timer);
        self.set += 1;
        self.due.insert((at, self.set), (call, timer));
        self.at.entry(call).or_default().push((timer, at, self.set));
    }

    fn clear(&mut self, call: CallId, timer: CallTimer) {
        let Some(of_call) = self.at.get_mut(&call) else { return };
        if let Some(i) = of_call.iter().position(|(t, ..)| *t == timer) {
            let (_, at, n) = of_call.swap_remove(i);
            self.due.remove(&(at, n));
        }
        if of_call.is_empty() {
            self.at.remove(&call);
        }
    }

    fn clear_all(&mut self, call: &CallId) {
        for (_, at, n) in self.at.remove(call).unwrap_or_default() {
            self.due.remove(&(at, n));
        }
    }

    fn claim(&mut self, now: UnixMillis, limit: usize) -> Vec<(CallId, CallTimer)> {
        let due: Vec<_> = self.due.range(..=(now, u64::MAX)).take(limit).map(|(_, named)| *named).collect();
        for (call, timer) in &due {
            self.clear(*call, *timer);
        }
        due
    }

    fn len(&self) -> usize {
        self.due.len()
    }
}

/// A panic while a lock is held leaves whole values behind: each is replaced in one step.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// More than cores, so that two of them rarely meet.
const SHARDS: usize = 32;

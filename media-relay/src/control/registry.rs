//! Which sessions there are, and when each last gave a sign of being wanted.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::{Duration, Instant};

use relay_api::control::SessionList;
use relay_api::{SessionDescription, SessionId};

/// Sessions by id. It holds what the relay holds, so the relay's bound is its bound.
pub(super) struct Registry {
    sessions: BTreeMap<SessionId, Entry>,
    orphaned_after: Duration,
}

struct Entry {
    description: SessionDescription,
    /// When a gateway asked for it, or when it was last found to carry media.
    wanted: Instant,
    /// Packets received when last looked at.
    packets: u64,
}

impl Registry {
    pub(super) fn new(orphaned_after: Duration) -> Self {
        Self { sessions: BTreeMap::new(), orphaned_after }
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn contains(&self, id: &SessionId) -> bool {
        self.sessions.contains_key(id)
    }

    pub(super) fn describe(&self, id: &SessionId) -> Option<SessionDescription> {
        self.sessions.get(id).map(|entry| entry.description.clone())
    }

    /// The relay made it so.
    pub(super) fn put(&mut self, description: SessionDescription, now: Instant) {
        let packets = self.sessions.get(&description.id).map_or(0, |entry| entry.packets);
        self.sessions.insert(description.id.clone(), Entry { description, wanted: now, packets });
    }

    pub(super) fn remove(&mut self, id: &SessionId) {
        self.sessions.remove(id);
    }

    /// A gateway still wants it; whether it is there.
    pub(super) fn confirm(&mut self, id: &SessionId, now: Instant) -> bool {
        self.sessions.get_mut(id).map(|entry| entry.wanted = now).is_some()
    }

    /// Those that nobody asked for in so long that they may be orphans.
    pub(super) fn silent(&self, now: Instant) -> Vec<SessionId> {
        let is_silent = |entry: &Entry| now.saturating_duration_since(entry.wanted) >= self.orphaned_after;
        self.sessions.iter().filter(|(_, entry)| is_silent(entry)).map(|(id, _)| id.clone()).collect()
    }

    /// A silent one has received this many packets by now: does it carry media still?
    pub(super) fn carries_media(&mut self, id: &SessionId, packets: u64, now: Instant) -> bool {
        let Some(entry) = self.sessions.get_mut(id) else { return false };
        let is_alive = packets > entry.packets;
        if is_alive {
            (entry.packets, entry.wanted) = (packets, now);
        }
        is_alive
    }

    /// Ids in their order, those behind `after`.
    pub(super) fn page(&self, after: Option<&SessionId>, most: usize) -> SessionList {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.sessions.range((from, Bound::Unbounded)).map(|(id, _)| id.clone());
        let ids: Vec<_> = rest.by_ref().take(most).collect();
        let next = rest.next().and_then(|_| ids.last().cloned());
        SessionList { ids, next }
    }
}

#[cfg(test)]
mod tests {
    use relay_api::LegDescription;

    use super::*;

    const AFTER: Duration = Duration::from_secs(120);

    fn id(name: &str) -> SessionId {
        SessionId(name.to_owned())
    }

    fn description(name: &str) -> SessionDescription {
        let (a, b) = (LegDescription::Service, LegDescription::Service);
        SessionDescription { id: id(name), revision: 1, a, b, relay: None }
    }

    #[test]
    fn a_session_that_nobody_confirms_is_silent_after_the_time() {
        let start = Instant::now();
        let mut registry = Registry::new(AFTER);
        registry.put(description("one"), start);
        registry.put(description("two"), start);
        assert!(registry.silent(start + AFTER / 2).is_empty());
        assert!(registry.confirm(&id("two"), start + AFTER / 2));
        assert_eq!(registry.silent(start + AFTER), [id("one")]);
        assert_eq!(registry.silent(start + AFTER * 2), [id("one"), id("two")]);
    }

    #[test]
    fn media_keeps_a_session_until_it_stops() {
        let start = Instant::now();
        let mut registry = Registry::new(AFTER);
        registry.put(description("one"), start);
        assert!(registry.carries_media(&id("one"), 50, start + AFTER));
        assert!(registry.silent(start + AFTER).is_empty());
        assert_eq!(registry.silent(start + AFTER * 2), [id("one")]);
        assert!(!registry.carries_media(&id("one"), 50, start + AFTER * 2));
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        let mut registry = Registry::new(AFTER);
        for name in ["a", "b", "c", "d"] {
            registry.put(description(name), Instant::now());
        }
        let first = registry.page(None, 2);
        assert_eq!((first.ids, first.next.clone()), (vec![id("a"), id("b")], Some(id("b"))));
        let second = registry.page(first.next.as_ref(), 2);
        assert_eq!((second.ids, second.next), (vec![id("c"), id("d")], None));
    }
}

//! Events as they are told to gateways: numbered, kept for a while, read by each at its own pace.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use relay_api::Event;
use relay_api::control::EventLine;
use tokio::sync::watch;

/// The last events. When it is full the oldest go; who had not read them is told how many are lost.
pub(super) struct EventLog {
    ring: Mutex<Ring>,
    next: watch::Sender<u64>,
}

struct Ring {
    kept: VecDeque<Entry>,
    /// Sequence number of what comes next.
    next: u64,
}

enum Entry {
    Event(Event),
    /// This many never reached the log.
    Lost(u64),
}

impl EventLog {
    pub(super) fn new() -> Self {
        let ring = Ring { kept: VecDeque::new(), next: FIRST };
        Self { ring: Mutex::new(ring), next: watch::Sender::new(FIRST) }
    }

    pub(super) fn tell(&self, event: Event) {
        self.append(Entry::Event(event));
    }

    pub(super) fn tell_lost(&self, count: u64) {
        self.append(Entry::Lost(count));
    }

    /// The number of the next event.
    pub(super) fn next(&self) -> u64 {
        self.ring().next
    }

    /// Changes with every event.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    /// What there is from number `from` on, some of it, and the number to go on with.
    pub(super) fn read(&self, from: u64) -> (Vec<EventLine>, u64) {
        let ring = self.ring();
        let oldest = ring.next - ring.kept.len() as u64;
        let mut lines = Vec::new();
        if from < oldest {
            lines.push(EventLine::Lost { sequence: oldest - 1, count: oldest - from });
        }
        let mut sequence = from.clamp(oldest, ring.next);
        for entry in ring.kept.iter().skip((sequence - oldest) as usize).take(BATCH) {
            lines.push(entry.line(sequence));
            sequence += 1;
        }
        (lines, sequence)
    }

    fn append(&self, entry: Entry) {
        let mut ring = self.ring();
        if ring.kept.len() == KEPT {
            ring.kept.pop_front();
        }
        ring.kept.push_back(entry);
        ring.next += 1;
        self.next.send_replace(ring.next);
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn line(&self, sequence: u64) -> EventLine {
        match self {
            Self::Event(event) => EventLine::Event { sequence, event: event.clone() },
            Self::Lost(count) => EventLine::Lost { sequence, count: *count },
        }
    }
}

/// 0 is before all events.
const FIRST: u64 = 1;
/// Some seconds of a busy relay: a gateway that was away for as long misses nothing.
const KEPT: usize = 8_192;
/// Lines written in one go.
const BATCH: usize = 64;

#[cfg(test)]
mod tests {
    use relay_api::{EventKind, LegName, SessionId};

    use super::*;

    fn event(number: u64) -> Event {
        Event { id: SessionId(number.to_string()), leg: LegName::A, kind: EventKind::MediaStarted }
    }

    fn sequences(lines: &[EventLine]) -> Vec<u64> {
        lines
            .iter()
            .map(|line| match line {
                EventLine::Event { sequence, event } => {
                    assert_eq!(event.id.0, sequence.to_string());
                    *sequence
                }
                line => panic!("{line:?}"),
            })
            .collect()
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let log = EventLog::new();
        (1..=3).for_each(|number| log.tell(event(number)));
        let (lines, next) = log.read(1);
        assert_eq!((sequences(&lines), next), (vec![1, 2, 3], 4));
        assert_eq!(log.read(next), (vec![], 4));
        log.tell(event(4));
        assert_eq!(sequences(&log.read(next).0), [4]);
    }

    #[test]
    fn a_reader_that_was_too_slow_is_told_how_much_it_missed() {
        let log = EventLog::new();
        let total = KEPT as u64 + 10;
        (1..=total).for_each(|number| log.tell(event(number)));
        let (lines, _) = log.read(1);
        assert_eq!(lines[0], EventLine::Lost { sequence: 10, count: 10 });
        assert_eq!(sequences(&lines[1..2]), [11]);
    }

    #[test]
    fn what_the_relay_itself_lost_has_its_place_among_the_events() {
        let log = EventLog::new();
        log.tell(event(1));
        log.tell_lost(5);
        log.tell(event(3));
        assert_eq!(log.read(2).0[0], EventLine::Lost { sequence: 2, count: 5 });
    }

    #[test]
    fn a_number_that_was_never_given_out_waits_for_the_next_event() {
        let log = EventLog::new();
        assert_eq!(log.read(77), (vec![], 1));
    }
}

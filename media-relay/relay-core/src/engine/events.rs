//! The queue of events.

use std::collections::VecDeque;

use relay_api::{Event, EventKind, LegName, SessionId};

#[derive(Default)]
pub(crate) struct Events {
    queue: VecDeque<Event>,
    lost: u64,
}

impl Events {
    pub(crate) fn push(&mut self, id: &SessionId, leg: LegName, kind: EventKind) {
        if self.queue.len() < MOST {
            self.queue.push_back(Event { id: id.clone(), leg, kind });
        } else {
            self.lost += 1;
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.queue.pop_front()
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}

/// When nobody fetches them, the newest are dropped and counted.
const MOST: usize = 4_096;

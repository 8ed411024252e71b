//! Which worker has which session.
//!
//! One worker is filled before the next gets a session: the more packets share a wake-up, the less each costs
//! (docs/adr/0005-data-plane.md). A session stays where it began, so that its packets need no lock; only commands look here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relay_api::SessionId;

/// Of all workers of a relay. Clones share it.
#[derive(Clone)]
pub(crate) struct Placement(Arc<Mutex<State>>);

struct State {
    homes: HashMap<SessionId, Home>,
    /// Of each worker; those on their way to it are counted.
    sessions: Vec<usize>,
    /// From so many on, another worker with fewer is preferred.
    full: usize,
}

struct Home {
    worker: usize,
    /// Commands on their way, each of which may make the session or end it.
    commands: usize,
    exists: bool,
}

/// A command on its way to the worker of its session, which stays the same until the command is done or given up.
pub(crate) struct Placed {
    placement: Placement,
    id: SessionId,
    worker: usize,
}

impl Placement {
    /// `capacity`: sessions that one worker has ports for, if none of them rests.
    pub(crate) fn new(workers: usize, capacity: usize) -> Self {
        let state =
            State { homes: HashMap::new(), sessions: vec![0; workers], full: capacity.clamp(1, COMFORTABLE) };
        Self(Arc::new(Mutex::new(state)))
    }

    /// The way to the worker of a session that may be new; a new one goes to none of `refused` while there are others.
    pub(crate) fn place(&self, id: &SessionId, refused: &[usize]) -> Placed {
        let mut state = self.lock();
        let worker = match state.homes.get_mut(id) {
            Some(home) => {
                home.commands += 1;
                home.worker
            }
            None => {
                let worker = state.choose(refused);
                state.sessions[worker] += 1;
                state.homes.insert(id.clone(), Home { worker, commands: 1, exists: false });
                worker
            }
        };
        Placed { placement: self.clone(), id: id.clone(), worker }
    }

    /// The worker that a new session would get.
    pub(crate) fn next(&self) -> usize {
        self.lock().choose(&[])
    }

    /// The way to the worker of a session that there may be.
    pub(crate) fn find(&self, id: &SessionId) -> Option<Placed> {
        let mut state = self.lock();
        let home = state.homes.get_mut(id)?;
        home.commands += 1;
        let worker = home.worker;
        Some(Placed { placement: self.clone(), id: id.clone(), worker })
    }

    /// No code that could panic runs under this lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn choose(&self, refused: &[usize]) -> usize {
        let others = || self.sessions.iter().enumerate().filter(|(worker, _)| !refused.contains(worker));
        let roomy = others().find(|(_, sessions)| **sessions < self.full);
        let chosen = roomy.or_else(|| others().min_by_key(|(_, sessions)| **sessions));
        chosen.map(|(worker, _)| worker).unwrap_or_default()
    }
}

impl Placed {
    pub(crate) fn worker(&self) -> usize {
        self.worker
    }

    /// The worker has done it.
    pub(crate) fn done(self, exists: bool) {
        if let Some(home) = self.placement.lock().homes.get_mut(&self.id) {
            home.exists = exists;
        }
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        let mut state = self.placement.lock();
        let Some(home) = state.homes.get_mut(&self.id) else { return };
        home.commands -= 1;
        if home.commands == 0 && !home.exists {
            state.homes.remove(&self.id);
            state.sessions[self.worker] -= 1;
        }
    }
}

/// Sessions that one worker carries with ease: 25,000 packets a second, a fifth of a core (docs/performance.md).
const COMFORTABLE: usize = 250;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> SessionId {
        SessionId(format!("s{number}"))
    }

    fn made(placement: &Placement, number: usize) -> usize {
        let placed = placement.place(&id(number), &[]);
        let worker = placed.worker();
        placed.done(true);
        worker
    }

    #[test]
    fn a_worker_is_filled_before_the_next_and_then_the_emptiest_is_taken() {
        let placement = Placement::new(2, 3);
        let workers: Vec<_> = (0..8).map(|number| made(&placement, number)).collect();
        assert_eq!(workers, [0, 0, 0, 1, 1, 1, 0, 1]);
        assert_eq!(made(&placement, 4), 1, "it stays where it is");
    }

    #[test]
    fn who_refused_is_passed_over_and_who_has_the_session_is_not() {
        let placement = Placement::new(3, 10);
        assert_eq!(placement.place(&id(1), &[0]).worker(), 1);
        assert_eq!(placement.place(&id(1), &[0, 1]).worker(), 2);
        assert_eq!(made(&placement, 1), 0);
        assert_eq!(placement.place(&id(1), &[0]).worker(), 0);
    }

    #[test]
    fn what_ended_or_never_was_leaves_nothing() {
        let placement = Placement::new(2, 1);
        made(&placement, 1);
        placement.place(&id(2), &[]).done(false);
        drop(placement.place(&id(3), &[]));
        assert!(placement.find(&id(3)).is_none());
        assert_eq!(placement.find(&id(1)).map(|placed| placed.worker()), Some(0));
        if let Some(placed) = placement.find(&id(1)) {
            placed.done(false);
        }
        assert!(placement.lock().homes.is_empty());
        assert_eq!(placement.lock().sessions, [0, 0]);
    }

    #[test]
    fn a_session_is_not_lost_while_commands_are_on_their_way() {
        let placement = Placement::new(2, 1);
        made(&placement, 9);
        let (refused, wanted) = (placement.place(&id(1), &[]), placement.place(&id(1), &[]));
        assert_eq!((refused.worker(), wanted.worker()), (1, 1));
        refused.done(false);
        wanted.done(true);
        assert_eq!(made(&placement, 1), 1);
    }
}

//! A seeded machine: one thread, a clock that jumps to the next timer, tasks that run in an order drawn from the seed.
//!
//! The same seed gives the same run. Nothing here knows SIP: the lossy network and the user agents are in
//! `tests/simulation`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use sip_core::time::{Instant, UnixMillis};

use crate::ports::runtime::Runtime;

/// The seeded machine. Clones are the same machine.
#[derive(Clone)]
pub struct Simulated(Arc<Mutex<Machine>>);

struct Machine {
    now: Instant,
    chance: Chance,
    tasks: HashMap<u64, Task>,
    runnable: Vec<u64>,
    timers: BinaryHeap<Reverse<Timer>>,
    spawned: u64,
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Simulated {
    /// A machine whose every choice follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Machine {
            now: Instant::START,
            chance: Chance::new(seed),
            tasks: HashMap::new(),
            runnable: Vec::new(),
            timers: BinaryHeap::new(),
            spawned: 0,
        })))
    }

    /// Runs tasks and lets time pass until `done` holds or `limit` has passed. Returns whether `done` held.
    pub fn run_until(&self, limit: Duration, done: impl Fn() -> bool) -> bool {
        let end = self.now() + limit;
        loop {
            while let Some((id, task)) = self.next_task() {
                self.poll(id, task);
                if done() {
                    return true;
                }
            }
            if !self.jump(end) {
                return done();
            }
        }
    }

    /// Runs tasks for this long.
    pub fn run_for(&self, time: Duration) {
        self.run_until(time, || false);
    }

    /// A number below `bound`, drawn from the seed; `bound` is at least 1.
    pub fn below(&self, bound: u64) -> u64 {
        self.machine().chance.below(bound)
    }

    fn next_task(&self) -> Option<(u64, Task)> {
        let mut machine = self.machine();
        while !machine.runnable.is_empty() {
            let bound = machine.runnable.len() as u64;
            let chosen = machine.chance.below(bound) as usize;
            let id = machine.runnable.swap_remove(chosen);
            if let Some(task) = machine.tasks.remove(&id) {
                return Some((id, task));
            }
        }
        None
    }

    fn poll(&self, id: u64, mut task: Task) {
        let waker = Waker::from(Arc::new(Wakeup { machine: self.clone(), id }));
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.machine().tasks.insert(id, task);
        }
    }

    /// Moves the clock to the next timer, at most to `end`; false when there is nothing left before it.
    fn jump(&self, end: Instant) -> bool {
        let mut machine = self.machine();
        match machine.timers.peek() {
            Some(Reverse(timer)) if timer.at <= end => machine.now = machine.now.max(timer.at),
            _ => {
                machine.now = machine.now.max(end);
                return false;
            }
        }
        let mut due = Vec::new();
        while machine.timers.peek().is_some_and(|Reverse(timer)| timer.at <= machine.now) {
            due.extend(machine.timers.pop());
        }
        drop(machine);
        for Reverse(timer) in due {
            timer.waker.wake();
        }
        true
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runtime for Simulated {
    fn now(&self) -> Instant {
        self.machine().now
    }

    fn unix_now(&self) -> UnixMillis {
        BIRTHDAY.plus(self.now() - Instant::START)
    }

    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> + Send {
        let machine = self.clone();
        let mut set = false;
        poll_fn(move |context| {
            let mut machine = machine.machine();
            if machine.now >= at {
                return Poll::Ready(());
            }
            if !set {
                set = true;
                machine.timers.push(Reverse(Timer { at, waker: context.waker().clone() }));
            }
            Poll::Pending
        })
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut machine = self.machine();
        machine.spawned += 1;
        let id = machine.spawned;
        machine.tasks.insert(id, Box::pin(task));
        machine.runnable.push(id);
    }

    fn random(&self, bytes: &mut [u8]) {
        let mut machine = self.machine();
        for byte in bytes {
            *byte = machine.chance.below(256) as u8;
        }
    }
}

struct Wakeup {
    machine: Simulated,
    id: u64,
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        let mut machine = self.machine.machine();
        if !machine.runnable.contains(&self.id) {
            machine.runnable.push(self.id);
        }
    }
}

struct Timer {
    at: Instant,
    waker: Waker,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

/// The wall clock's reading when a simulation starts: 2026-01-01T00:00:00Z.
const BIRTHDAY: UnixMillis = UnixMillis(1_767_225_600_000);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn time_jumps_to_the_next_timer() {
        let machine = Simulated::new(1);
        let fired = Arc::new(AtomicU64::new(0));
        for seconds in [30, 10, 20] {
            let (on, fired) = (machine.clone(), Arc::clone(&fired));
            machine.spawn(async move {
                on.sleep_until(Instant::START + Duration::from_secs(seconds)).await;
                fired.fetch_add(on.now().0.as_secs(), Ordering::Relaxed);
            });
        }
        assert!(machine.run_until(Duration::from_secs(60), || fired.load(Ordering::Relaxed) == 60));
        assert_eq!(machine.now(), Instant::START + Duration::from_secs(30));
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let order = |seed| {
            let machine = Simulated::new(seed);
            let seen = Arc::new(Mutex::new(Vec::new()));
            for task in 0..20 {
                let seen = Arc::clone(&seen);
                machine.spawn(async move { seen.lock().expect("no panic inside").push(task) });
            }
            machine.run_for(Duration::from_secs(1));
            seen.lock().expect("no panic inside").clone()
        };
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
    }
}

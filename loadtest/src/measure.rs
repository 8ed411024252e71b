//! What one phase of a run cost the server.

use crate::process::{Memory, ProcessTree, Reading};
use crate::swarm::Done;
use serde::Serialize;
use std::io;
use std::time::Duration;

/// Reads a server's process around the phases of a run; without one, phases have no cost.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    tree: Option<ProcessTree>,
}

impl Meter {
    /// Measures this process and its children, or nothing.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn new(pid: Option<u32>) -> io::Result<Self> {
        let tree = pid.map(ProcessTree::new);
        tree.as_ref().map(ProcessTree::read).transpose()?;
        Ok(Self { tree })
    }

    /// The state before a phase. `None` without a process, or when it has ended.
    pub fn read(&self) -> Option<Reading> {
        self.tree.as_ref()?.read().ok()
    }

    /// The cost since `before`.
    pub fn phase(&self, name: &'static str, done: Done, before: Option<&Reading>) -> Phase {
        let cpu = before.zip(self.read()).map(|(before, now)| now.cpu_since(before));
        Phase::new(name, done, cpu)
    }
}

/// One phase: what was done, and the server's CPU time for it.
#[derive(Debug, Clone, Serialize)]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// Connections opened, REGISTERs and calls ended.
    pub operations: u64,
    /// How long it took.
    pub seconds: f64,
    /// CPU time of the server's processes in microseconds.
    pub cpu_us: Option<f64>,
    /// The same by operation.
    pub cpu_us_per_operation: Option<f64>,
}

impl Phase {
    fn new(name: &'static str, done: Done, cpu: Option<Duration>) -> Self {
        let cpu_us = cpu.map(|cpu| cpu.as_secs_f64() * 1e6);
        let each = cpu_us.filter(|_| done.operations > 0).map(|cpu| cpu / done.operations as f64);
        let (operations, seconds) = (done.operations, done.took.as_secs_f64());
        Self { name, operations, seconds, cpu_us, cpu_us_per_operation: each }
    }
}

/// The server's memory around a number of connections.
#[derive(Debug, Clone, Serialize)]
pub struct Growth {
    /// Connections added.
    pub connections: usize,
    /// Bytes before.
    pub before: u64,
    /// Bytes after.
    pub after: u64,
    /// Growth of one connection in bytes.
    pub per_connection: f64,
    /// Whether shared pages were counted once (`pss`) or in every process (`rss`). They differ only with several processes.
    pub kind: &'static str,
}

impl Growth {
    /// The growth between two readings.
    pub fn between(before: &Reading, after: &Reading, connections: usize) -> Self {
        // With one process the resident set is the plainer figure, and the one that others quote.
        let (kind, size): (_, fn(&Memory) -> u64) = match after.processes {
            1 => ("rss", |memory| memory.resident),
            _ => ("pss", |memory| memory.proportional),
        };
        let (before, after) = (size(&before.memory), size(&after.memory));
        let per_connection = (after as f64 - before as f64) / connections.max(1) as f64;
        Self { connections, before, after, per_connection, kind }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_phase_divides_its_cost_by_what_was_done() {
        let done = Done { operations: 4, took: Duration::from_secs(2) };
        assert_eq!(Phase::new("x", done, Some(Duration::from_millis(1))).cpu_us_per_operation, Some(250.0));
        assert_eq!(
            Phase::new("x", Done::default(), Some(Duration::from_millis(1))).cpu_us_per_operation,
            None
        );
        assert_eq!(Phase::new("x", done, None).cpu_us, None);
    }

    #[test]
    fn growth_is_by_connection_and_may_be_negative() {
        let reading = |resident, proportional, processes| {
            let mut reading = Reading::default();
            (reading.memory, reading.processes) = (Memory { resident, proportional }, processes);
            reading
        };
        let one = Growth::between(&reading(1_000, 900, 1), &reading(3_000, 950, 1), 10);
        assert_eq!((one.per_connection, one.kind), (200.0, "rss"));
        let many = Growth::between(&reading(1_000, 900, 3), &reading(3_000, 800, 3), 10);
        assert_eq!((many.per_connection, many.kind), (-10.0, "pss"));
    }

    #[test]
    fn a_meter_needs_a_process_that_exists() {
        assert!(Meter::new(Some(u32::MAX)).is_err());
        assert!(Meter::new(None).unwrap().read().is_none());
        assert!(Meter::new(Some(std::process::id())).unwrap().read().is_some());
    }
}

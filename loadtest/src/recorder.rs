//! What happened during a run: durations of what succeeded, kinds of what failed.

use crate::stats::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is timed. "Out" is WebSocket to trunk, "In" is trunk to WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// TCP, TLS and the WebSocket handshake together.
    Connect,
    /// REGISTER to its 200, the challenge included.
    Register,
    /// A phone's INVITE to its first 18x.
    OutRinging,
    /// A phone's INVITE to its 200; the time the callee rings included.
    OutAnswered,
    /// A phone's BYE to its 200.
    OutHangUp,
    /// The trunk's 200 to its ACK.
    OutAcknowledged,
    /// The trunk's INVITE to its first 18x.
    InRinging,
    /// The trunk's INVITE to its 200.
    InAnswered,
    /// The trunk's BYE to its 200.
    InHangUp,
    /// A phone's 200 to its ACK.
    InAcknowledged,
}

impl Operation {
    /// The name shown in tables and used as key in JSON.
    pub fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Register => "register",
            Self::OutRinging => "out-ringing",
            Self::OutAnswered => "out-answered",
            Self::OutHangUp => "out-hang-up",
            Self::OutAcknowledged => "out-acknowledged",
            Self::InRinging => "in-ringing",
            Self::InAnswered => "in-answered",
            Self::InHangUp => "in-hang-up",
            Self::InAcknowledged => "in-acknowledged",
        }
    }
}

/// Why an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// No (further) answer in time.
    Timeout,
    /// A final status other than 2xx.
    Status(u16),
    /// The connection could not be opened.
    Connect,
    /// The server did not agree to the WebSocket, or not to the subprotocol `sip`.
    Handshake,
    /// The connection ended before the answer.
    ConnectionLost,
    /// The challenge cannot be answered: other scheme, other algorithms, or no qop=auth.
    Challenge,
    /// The caller hung up, or should have, but no BYE reached the callee.
    LostBye,
    /// A BYE came while the script still had the call up.
    UnexpectedBye,
    /// A message that cannot be read.
    Unreadable,
    /// Every phone was in a call when the next one was due.
    NoFreePhone,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Timeout => f.write_str("timeout"),
            Self::Status(code) => write!(f, "status {code}"),
            Self::Connect => f.write_str("cannot connect"),
            Self::Handshake => f.write_str("handshake refused"),
            Self::ConnectionLost => f.write_str("connection lost"),
            Self::Challenge => f.write_str("challenge not answerable"),
            Self::LostBye => f.write_str("no BYE came"),
            Self::UnexpectedBye => f.write_str("unexpected BYE"),
            Self::Unreadable => f.write_str("unreadable message"),
            Self::NoFreePhone => f.write_str("no free phone"),
        }
    }
}

/// One finished operation, or something worth counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded.
    Done(Operation, Duration),
    /// It did not.
    Failed(Operation, Failure),
    /// An observation, with a fixed text.
    Note(&'static str),
}

/// Collects outcomes from every task of a run; its size does not grow with the run's length.
#[derive(Debug, Default)]
pub struct Recorder {
    state: Mutex<State>,
}

impl Recorder {
    /// Adds one outcome.
    pub fn add(&self, outcome: Outcome) {
        let mut state = self.lock();
        match outcome {
            Outcome::Done(operation, took) => {
                state.operations.entry(operation).or_default().took.record(took)
            }
            Outcome::Failed(operation, failure) => {
                *state.operations.entry(operation).or_default().failures.entry(failure).or_default() += 1;
            }
            Outcome::Note(text) => *state.notes.entry(text).or_default() += 1,
        }
    }

    /// How many operations of this kind succeeded and failed so far.
    pub fn settled(&self, operation: Operation) -> Settled {
        let state = self.lock();
        let Some(entry) = state.operations.get(&operation) else { return Settled::default() };
        Settled { done: entry.took.count(), failed: entry.failures.values().sum() }
    }

    /// Everything so far, for the report.
    pub fn summary(&self) -> Summary {
        let state = self.lock();
        Summary {
            operations: state
                .operations
                .iter()
                .map(|(operation, entry)| (operation.label(), entry.row()))
                .collect(),
            notes: state.notes.iter().map(|(text, count)| ((*text).to_owned(), *count)).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves at worst one sample uncounted.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finished operations of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Succeeded.
    pub done: u64,
    /// Failed.
    pub failed: u64,
}

impl Settled {
    /// Both together.
    pub fn total(self) -> u64 {
        self.done + self.failed
    }
}

/// The figures of one run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// By operation.
    pub operations: BTreeMap<&'static str, Row>,
    /// Observations and how often each was made.
    pub notes: BTreeMap<String, u64>,
}

impl Summary {
    /// All failures of all operations.
    pub fn failures(&self) -> u64 {
        self.operations.values().flat_map(|row| row.failures.values()).sum()
    }
}

/// The figures of one operation; durations in microseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// How many succeeded.
    pub done: u64,
    /// Half of them took at most this.
    pub p50_us: u64,
    /// Nine in ten.
    pub p90_us: u64,
    /// Ninety-nine in a hundred.
    pub p99_us: u64,
    /// The slowest.
    pub max_us: u64,
    /// Failures by kind.
    pub failures: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
struct State {
    operations: BTreeMap<Operation, Entry>,
    notes: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Default)]
struct Entry {
    took: Histogram,
    failures: BTreeMap<Failure, u64>,
}

impl Entry {
    fn row(&self) -> Row {
        Row {
            done: self.took.count(),
            p50_us: self.took.percentile(50.0),
            p90_us: self.took.percentile(90.0),
            p99_us: self.took.percentile(99.0),
            max_us: self.took.max(),
            failures: self.failures.iter().map(|(failure, count)| (failure.to_string(), *count)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_by_operation_and_kind() {
        let recorder = Recorder::default();
        recorder.add(Outcome::Done(Operation::Register, Duration::from_micros(7)));
        recorder.add(Outcome::Failed(Operation::Register, Failure::Status(403)));
        recorder.add(Outcome::Failed(Operation::Register, Failure::Timeout));
        recorder.add(Outcome::Note("seen"));
        assert_eq!(recorder.settled(Operation::Register), Settled { done: 1, failed: 2 });
        assert_eq!(recorder.settled(Operation::Connect).total(), 0);
        let summary = recorder.summary();
        assert_eq!(summary.failures(), 2);
        assert_eq!(summary.operations["register"].failures["status 403"], 1);
        assert_eq!(summary.operations["register"].p99_us, 7);
        assert_eq!(summary.notes["seen"], 1);
    }
}

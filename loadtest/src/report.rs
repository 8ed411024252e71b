//! Results for people and for programs.

use crate::measure::{Growth, Phase};
use crate::recorder::Summary;
use serde::Serialize;
use std::fmt;

/// The result of `swarm`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The server's URL.
    pub target: String,
    /// Phones asked for, and those connected at the end.
    pub connections: Connections,
    /// Whether the run was cut short.
    pub interrupted: bool,
    /// Timings and failures.
    #[serde(flatten)]
    pub summary: Summary,
    /// The server's CPU time by phase.
    pub phases: Vec<Phase>,
    /// The server's memory from before the first connection to after the last registration.
    pub memory: Option<Growth>,
}

/// Phones of a run.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Connections {
    /// Asked for.
    pub wanted: usize,
    /// Connected at the end.
    pub connected: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Connections { wanted, connected } = self.connections;
        writeln!(f, "{}: {connected} of {wanted} phones connected at the end", self.target)?;
        if self.interrupted {
            writeln!(f, "interrupted: the figures are of what was done until then")?;
        }
        writeln!(f)?;
        write!(f, "{}", self.summary)?;
        if !self.phases.is_empty() {
            writeln!(
                f,
                "\n{:<18}{:>10}{:>10}{:>14}{:>14}",
                "phase", "number", "seconds", "CPU ms", "CPU µs each"
            )?;
        }
        for phase in &self.phases {
            writeln!(
                f,
                "{:<18}{:>10}{:>10.1}{:>14}{:>14}",
                phase.name,
                phase.operations,
                phase.seconds,
                optional(phase.cpu_us.map(|cpu| cpu / 1e3)),
                optional(phase.cpu_us_per_operation)
            )?;
        }
        match &self.memory {
            Some(growth) => write!(f, "\n{growth}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["done", "p50 ms", "p90 ms", "p99 ms", "max ms", "failed"];
        writeln!(
            f,
            "{:<18}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "operation", head[0], head[1], head[2], head[3], head[4], head[5]
        )?;
        for (name, row) in &self.operations {
            let [p50, p90, p99, max] =
                [row.p50_us, row.p90_us, row.p99_us, row.max_us].map(|us| us as f64 / 1e3);
            let failed: u64 = row.failures.values().sum();
            writeln!(
                f,
                "{name:<18}{:>10}{p50:>10.2}{p90:>10.2}{p99:>10.2}{max:>10.2}{failed:>10}",
                row.done
            )?;
            for (kind, count) in &row.failures {
                writeln!(f, "    {kind}: {count}")?;
            }
        }
        for (text, count) in &self.notes {
            writeln!(f, "note: {text}: {count}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "memory ({}): {:.1} MB before, {:.1} MB with {} connections: {:.1} kB each",
            self.kind,
            self.before as f64 / 1e6,
            self.after as f64 / 1e6,
            self.connections,
            self.per_connection / 1e3
        )
    }
}

/// A figure that may not have been measured.
pub fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

/// Anything as indented JSON.
///
/// # Errors
/// When a value has no form in JSON; ours all have one.
pub fn json(value: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(value)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::recorder::{Failure, Operation, Outcome, Recorder};
    use std::time::Duration;

    #[test]
    fn the_same_figures_are_shown_in_both_forms() {
        let recorder = Recorder::default();
        recorder.add(Outcome::Done(Operation::Register, Duration::from_micros(1_250)));
        recorder.add(Outcome::Failed(Operation::OutAnswered, Failure::Status(503)));
        let report = Report {
            target: "ws://127.0.0.1:5080/ws".into(),
            connections: Connections { wanted: 2, connected: 1 },
            interrupted: true,
            summary: recorder.summary(),
            phases: Vec::new(),
            memory: None,
        };
        let text = report.to_string();
        assert!(
            text.contains("1 of 2 phones") && text.contains("interrupted") && text.contains("status 503: 1"),
            "{text}"
        );
        assert!(text.contains("register                   1      1.25"), "{text}");
        let parsed: serde_json::Value = serde_json::from_str(&json(&report).unwrap()).unwrap();
        assert_eq!(parsed["operations"]["register"]["p50_us"], 1_250);
        assert_eq!(parsed["operations"]["out-answered"]["failures"]["status 503"], 1);
        assert_eq!(parsed["interrupted"], true);
    }
}

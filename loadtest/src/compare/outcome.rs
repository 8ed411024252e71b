//! The result of a comparison.

use crate::idle::Idle;
use crate::recorder::Summary;
use crate::report::optional;
use crate::stats::{median, minimum};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Both servers' figures.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// Whether it was cut short.
    pub interrupted: bool,
    /// Rounds asked for.
    pub rounds: u32,
    /// The yardstick.
    pub kamailio: Measured,
    /// The gateway, if there was one.
    pub gateway: Option<Measured>,
}

/// One server's figures.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Measured {
    /// Which.
    pub name: &'static str,
    /// A REGISTER with its challenge, by round.
    pub register: Vec<Cost>,
    /// A call from a phone to the trunk, by round.
    pub call: Vec<Cost>,
    /// CPU time of a second without work, with all phones registered; contained in the figures above.
    pub quiet_us_per_second: Vec<f64>,
    /// Memory of idle connections, by scheme.
    pub idle: BTreeMap<&'static str, Idle>,
    /// Failures of the warm-up, contained in the summary.
    pub warm_up_failures: u64,
    /// Timings and failures of all rounds.
    pub summary: Summary,
}

/// One round's cost.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Cost {
    /// CPU time of the server.
    pub cpu_us: f64,
    /// The same by operation.
    pub cpu_us_each: f64,
    /// Operations.
    pub operations: u64,
    /// How long the round took.
    pub seconds: f64,
}

impl Measured {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    pub(super) fn add_idle(&mut self, scheme: &'static str, idle: Idle) {
        self.idle.insert(scheme, idle);
    }

    /// Takes the rounds of `other` and keeps the own idle figures.
    pub(super) fn absorb(&mut self, other: Self) {
        let idle = std::mem::take(&mut self.idle);
        *self = Self { idle, ..other };
    }

    fn rows(&self) -> Vec<(&'static str, Option<f64>)> {
        let each = |costs: &[Cost]| costs.iter().map(|cost| cost.cpu_us_each).collect::<Vec<_>>();
        let (register, call) = (each(&self.register), each(&self.call));
        // A connection that failed took memory and time too: then there is no figure for one.
        let weighed = |scheme| self.idle.get(scheme).filter(|idle: &&Idle| idle.summary.failures() == 0);
        let memory = |scheme| weighed(scheme).map(|idle| idle.memory.per_connection / 1e3);
        let opening = |scheme| weighed(scheme).and_then(|idle| idle.connect.cpu_us_per_operation);
        vec![
            ("REGISTER with challenge, CPU µs, min", minimum(&register)),
            ("REGISTER with challenge, CPU µs, median", median(&register)),
            ("call WS to UDP trunk, CPU µs, min", minimum(&call)),
            ("call WS to UDP trunk, CPU µs, median", median(&call)),
            ("without work, CPU µs a second, median", median(&self.quiet_us_per_second)),
            ("idle WS connection, kB", memory("ws")),
            ("idle WSS connection, kB", memory("wss")),
            ("opening a WS connection, CPU µs", opening("ws")),
            ("opening a WSS connection, CPU µs", opening("wss")),
        ]
    }
}

impl Comparison {
    /// Failures under load on both sides.
    pub fn failures(&self) -> u64 {
        let idle =
            |measured: &Measured| measured.idle.values().map(|idle| idle.summary.failures()).sum::<u64>();
        let of = |measured: &Measured| measured.summary.failures() + idle(measured);
        of(&self.kamailio) + self.gateway.as_ref().map_or(0, of)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.interrupted {
            writeln!(f, "interrupted: the figures are of what was done until then")?;
        }
        writeln!(f, "{:<42}{:>12}{:>12}{:>12}", "", "kamailio", "gateway", "ratio")?;
        let gateway = self.gateway.as_ref().map(Measured::rows);
        for (index, (name, yardstick)) in self.kamailio.rows().into_iter().enumerate() {
            let own = gateway.as_ref().and_then(|rows| rows[index].1);
            let ratio = own
                .zip(yardstick)
                .filter(|(_, yardstick)| *yardstick > 0.0)
                .map(|(own, yardstick)| own / yardstick);
            let ratio = ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            writeln!(f, "{name:<42}{:>12}{:>12}{ratio:>12}", optional(yardstick), optional(own))?;
        }
        for measured in [Some(&self.kamailio), self.gateway.as_ref()].into_iter().flatten() {
            write!(f, "\n{}\n{}", measured.name, measured.summary)?;
            for (scheme, idle) in measured.idle.iter().filter(|(_, idle)| idle.summary.failures() > 0) {
                write!(f, "\n{}, idle {scheme}\n{}", measured.name, idle.summary)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(each: &[f64]) -> Vec<Cost> {
        each.iter()
            .map(|each| Cost { cpu_us: each * 10.0, cpu_us_each: *each, operations: 10, seconds: 1.0 })
            .collect()
    }

    #[test]
    fn the_table_shows_both_servers_and_their_ratio() {
        let kamailio = Measured { register: costs(&[100.0, 200.0, 300.0]), ..Measured::new("kamailio") };
        let gateway = Measured { register: costs(&[50.0, 60.0, 90.0]), ..Measured::new("gateway") };
        let text = Comparison { interrupted: false, rounds: 3, kamailio, gateway: Some(gateway) }.to_string();
        let row = |name: &str| {
            text.lines()
                .find(|line| line.starts_with(name))
                .map(|line| line.split_whitespace().rev().take(3).collect::<Vec<_>>())
        };
        assert_eq!(row("REGISTER with challenge, CPU µs, min"), Some(vec!["0.50", "50.0", "100.0"]));
        assert_eq!(row("REGISTER with challenge, CPU µs, median"), Some(vec!["0.30", "60.0", "200.0"]));
        assert_eq!(row("call WS to UDP trunk, CPU µs, min"), Some(vec!["-", "-", "-"]));
    }
}

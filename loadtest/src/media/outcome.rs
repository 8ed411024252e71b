//! The table of all steps.

use crate::stats::{median, minimum};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// What was measured of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// CPU time of the server for a packet delivered, µs.
    Packet,
    /// From sending to arriving, ms: half of the packets.
    DelayMedian,
    /// The same: 99 of 100.
    DelayTail,
    /// Packets lost, percent.
    Lost,
    /// Packets delivered a second.
    Rate,
    /// CPU time of the server for a call that is set up, with ICE and DTLS, µs.
    SetUp,
    /// CPU time of the server for an allocation with its challenge, µs.
    Allocate,
    /// Growth of the resident set for a call or an allocation, KiB.
    Memory,
}

/// All figures by step, figure and server, one value for each round.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// Whether it was cut short.
    pub interrupted: bool,
    /// Rounds asked for.
    pub rounds: u32,
    /// SRTP profiles that were agreed on, by server.
    pub profiles: BTreeMap<&'static str, &'static str>,
    /// In the order of the steps.
    pub steps: Vec<Step>,
}

/// One step of a contest.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// What it does.
    pub name: String,
    /// Its values, one for each round.
    pub figures: BTreeMap<Figure, BTreeMap<&'static str, Vec<f64>>>,
}

impl Outcome {
    /// Adds the value of a round.
    pub fn put(&mut self, step: &str, figure: Figure, server: &'static str, value: f64) {
        let at = self.steps.iter().position(|known| known.name == step).unwrap_or_else(|| {
            self.steps.push(Step { name: step.to_owned(), figures: BTreeMap::new() });
            self.steps.len() - 1
        });
        self.steps[at].figures.entry(figure).or_default().entry(server).or_default().push(value);
    }
}

impl Figure {
    fn title(self) -> &'static str {
        match self {
            Self::Packet => "CPU µs a packet",
            Self::DelayMedian => "delay ms, p50",
            Self::DelayTail => "delay ms, p99",
            Self::Lost => "lost %",
            Self::Rate => "packets/s",
            Self::SetUp => "set-up CPU µs a call",
            Self::Allocate => "Allocate CPU µs",
            Self::Memory => "memory KiB each",
        }
    }

    /// Is the others' value worth dividing by?
    fn is_cost(self) -> bool {
        matches!(self, Self::Packet | Self::SetUp | Self::Allocate | Self::Memory)
    }
}

impl fmt::Display for Outcome {
    /// Minimum and median of the rounds, and the relay's median over the others'.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.interrupted {
            writeln!(f, "interrupted: the figures are of what was done until then")?;
        }
        for step in &self.steps {
            writeln!(f, "{} (min / median of the rounds; ratio of medians)", step.name)?;
            for (figure, servers) in &step.figures {
                write!(f, "  {:<22}", figure.title())?;
                let own = servers.get(OWN).and_then(|values| median(values));
                for (server, values) in servers.iter().rev() {
                    let (least, middle) = (minimum(values).unwrap_or(0.0), median(values).unwrap_or(0.0));
                    write!(f, " {server} {least:.2} / {middle:.2}")?;
                    // An interrupted run has fewer rounds than were asked for.
                    if values.len() != self.rounds as usize {
                        write!(f, " [{} of {} rounds]", values.len(), self.rounds)?;
                    }
                    if let Some(own) = own.filter(|_| *server != OWN && figure.is_cost() && middle > 0.0) {
                        write!(f, " ({:.2})", own / middle)?;
                    }
                    write!(f, "  ")?;
                }
                writeln!(f)?;
            }
        }
        self.profiles.iter().try_for_each(|(server, profile)| writeln!(f, "SRTP of {server}: {profile}"))
    }
}

const OWN: &str = "relay";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_minimum_median_and_ratio() {
        let mut outcome = Outcome { rounds: 3, ..Outcome::default() };
        for (server, values) in [("relay", [4.0, 5.0, 6.0]), ("rtpengine", [30.0, 20.0, 10.0])] {
            values.iter().for_each(|value| outcome.put("50 calls", Figure::Packet, server, *value));
        }
        let text = outcome.to_string();
        assert!(
            text.contains("rtpengine 10.00 / 20.00 (0.25)") && text.contains("relay 4.00 / 5.00"),
            "{text}"
        );
    }
}

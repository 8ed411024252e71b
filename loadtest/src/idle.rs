//! What an idle connection costs the server in memory, and opening it in CPU time.

use crate::measure::{Growth, Meter, Phase};
use crate::recorder::Summary;
use crate::report::optional;
use crate::swarm::Swarm;
use serde::Serialize;
use std::fmt;
use std::io;
use std::time::Duration;

/// The result of `idle`.
#[derive(Debug, Clone, Serialize)]
pub struct Idle {
    /// The server's URL.
    pub target: String,
    /// Memory before and after.
    pub memory: Growth,
    /// Opening the connections.
    pub connect: Phase,
    /// Timings and failures of opening.
    #[serde(flatten)]
    pub summary: Summary,
}

/// Opens some connections to warm the server up, then `count` more at `rate` a second, and weighs these.
///
/// # Errors
/// When the server's process cannot be read, or no connection could be opened.
pub async fn measure(
    swarm: &mut Swarm,
    meter: &Meter,
    target: String,
    count: usize,
    rate: f64,
) -> io::Result<Idle> {
    let gone = || io::Error::new(io::ErrorKind::NotFound, "the server's process cannot be read");
    swarm.connect(WARM_UP, rate).await;
    tokio::time::sleep(REST).await;
    let before = meter.read().ok_or_else(gone)?;
    let warm = swarm.connected();
    let mut done = swarm.connect(count, rate).await;
    done.operations = swarm.connected().saturating_sub(warm) as u64;
    let connect = meter.phase("connect", done, Some(&before));
    tokio::time::sleep(REST).await;
    let added = swarm.connected().saturating_sub(warm);
    if added == 0 {
        let reason = swarm.first_error().map_or_else(|| "stopped".to_owned(), ToString::to_string);
        return Err(io::Error::other(format!("no connection could be opened: {reason}")));
    }
    let after = meter.read().ok_or_else(gone)?;
    let memory = Growth::between(&before, &after, added);
    Ok(Idle { target, memory, connect, summary: swarm.recorder().summary() })
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.target)?;
        write!(f, "{}", self.memory)?;
        writeln!(f, "opening: {} µs CPU each\n", optional(self.connect.cpu_us_per_operation))?;
        write!(f, "{}", self.summary)
    }
}

/// Connections before the first reading: what a server sets up once is not a connection's.
const WARM_UP: usize = 50;
/// The server's buffers of the handshake are given back by then.
const REST: Duration = Duration::from_secs(2);

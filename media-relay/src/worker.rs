//! One worker: a thread with its own sockets and its own engine.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread::JoinHandle;

use relay_api::{Event, LegName, RelayError, SessionDescription, SessionId, SessionSpec, SessionStatistics};
use tokio::sync::{mpsc, oneshot};

use crate::config::{Config, StartError};
use crate::handle::Reply;
use crate::totals::Totals;

/// What the handle keeps of one worker.
pub(crate) struct Worker {
    commands: mpsc::Sender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
    browser_addresses: Vec<SocketAddr>,
}

/// What a worker is asked to do, between packets.
pub(crate) enum Command {
    Put { spec: Box<SessionSpec>, reply: Reply<SessionDescription> },
    Delete { id: SessionId, reply: Reply<()> },
    Statistics { id: SessionId, reply: Reply<SessionStatistics> },
    Dtmf { id: SessionId, leg: LegName, digit: char, duration_ms: u32, reply: Reply<()> },
    Stop,
}

/// Starts every worker, or none.
pub(crate) fn start_all(config: &Config, _events: &mpsc::Sender<Event>) -> Result<Vec<Worker>, StartError> {
    (0..config.workers).map(|_| start()).collect()
}

fn start() -> Result<Worker, StartError> {
    let (commands, mut queue) = mpsc::channel(COMMAND_QUEUE);
    let thread = std::thread::Builder::new().name("media".into()).spawn(move || {
        while let Some(command) = queue.blocking_recv() {
            match command {
                Command::Put { spec: _, reply } => _ = reply.send(Err(RelayError::Unavailable)),
                Command::Delete { id: _, reply } => _ = reply.send(Err(RelayError::Unavailable)),
                Command::Statistics { id: _, reply } => _ = reply.send(Err(RelayError::Unavailable)),
                Command::Dtmf { id: _, leg: _, digit: _, duration_ms: _, reply } => {
                    _ = reply.send(Err(RelayError::Unavailable));
                }
                Command::Stop => return,
            }
        }
    })?;
    Ok(Worker { commands, thread: Mutex::new(Some(thread)), browser_addresses: Vec::new() })
}

impl Worker {
    /// Queues a command and waits for its answer.
    pub(crate) async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, RelayError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| RelayError::Unavailable)?;
        answer.await.map_err(|_| RelayError::Unavailable)?
    }

    pub(crate) fn totals(&self) -> Totals {
        Totals::default()
    }

    pub(crate) fn browser_addresses(&self) -> &[SocketAddr] {
        &self.browser_addresses
    }

    pub(crate) async fn stop(&self) {
        // A worker that is gone already has nothing left to stop.
        _ = self.commands.send(Command::Stop).await;
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        if let Some(thread) = thread {
            _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// A full queue makes the caller wait: commands are answered between packets, some per wake-up.
const COMMAND_QUEUE: usize = 256;

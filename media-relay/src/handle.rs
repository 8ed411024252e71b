//! The handle through which sessions are declared, asked about and ended.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use relay_api::turn::Secret;
use relay_api::{Event, LegName, RelayError, SessionDescription, SessionId, SessionSpec, SessionStatistics};
use tokio::sync::{mpsc, oneshot};

use crate::bound::BoundSockets;
use crate::config::{Config, StartError};
use crate::placement::Placement;
use crate::totals::Totals;
use crate::turn::{AcceptedStream, Bound as TurnAddresses};
use crate::worker::{self, Command, Worker};

/// A running relay. Clones share it; it stops at [`Relay::stop`] or when the last clone is dropped.
#[derive(Clone)]
pub struct Relay {
    workers: Arc<[Worker]>,
    placement: Placement,
}

impl Relay {
    /// Binds the sockets and starts the workers.
    pub fn start(config: Config) -> Result<(Self, Events), StartError> {
        config.check()?;
        let mut refused = None;
        let sockets =
            BoundSockets::bind(&config.browser, &config.turn_addresses(), config.workers, |socket| {
                refused.get_or_insert(socket);
            });
        match refused {
            Some(socket) => Err(socket.into()),
            None => Self::start_with(config, sockets),
        }
    }

    /// Starts the workers with sockets that were bound for this configuration.
    pub fn start_with(config: Config, sockets: BoundSockets) -> Result<(Self, Events), StartError> {
        config.check()?;
        let (events, receiver) = mpsc::channel(EVENT_QUEUE);
        let workers = worker::start_all(&config, sockets, &events)?;
        let placement = Placement::new(config.workers, worker::capacity(&config));
        Ok((Self { workers: workers.into(), placement }, Events(receiver)))
    }

    /// Creates or changes a session. Repeating a specification changes nothing and gives the same description.
    pub async fn put(&self, spec: SessionSpec) -> Result<SessionDescription, RelayError> {
        let mut refused = Vec::new();
        loop {
            let placed = self.placement.place(&spec.id, &refused);
            let at = placed.worker();
            let spec = Box::new(spec.clone());
            match self.workers[at].ask(|reply| Command::Put { spec, placed, reply }).await {
                // Its ports may rest while others' are free; a session that exists stays where it is.
                Err(RelayError::Full { .. })
                    if refused.len() + 1 < self.workers.len() && !refused.contains(&at) =>
                {
                    refused.push(at);
                }
                outcome => return outcome,
            }
        }
    }

    /// Ends a session: its ports rest, its keys are wiped. Its last statistics; none if it does not exist, which is no
    /// error.
    pub async fn delete(&self, id: &SessionId) -> Result<Option<SessionStatistics>, RelayError> {
        let Some(placed) = self.placement.find(id) else { return Ok(None) };
        let worker = &self.workers[placed.worker()];
        worker.ask(|reply| Command::Delete { id: id.clone(), placed, reply }).await
    }

    /// How both legs are.
    pub async fn statistics(&self, id: &SessionId) -> Result<SessionStatistics, RelayError> {
        self.worker(id)?.ask(|reply| Command::Statistics { id: id.clone(), reply }).await
    }

    /// Sends a digit (`0`–`9`, `*`, `#`, `A`–`D`) to the peer of `leg` as RFC 4733, queued behind digits before it.
    pub async fn dtmf(
        &self,
        id: &SessionId,
        leg: LegName,
        digit: char,
        duration_ms: u32,
    ) -> Result<(), RelayError> {
        self.worker(id)?.ask(|reply| Command::Dtmf { id: id.clone(), leg, digit, duration_ms, reply }).await
    }

    /// What the relay as a whole holds and has done, for metrics.
    pub fn totals(&self) -> Totals {
        self.workers.iter().map(Worker::totals).sum()
    }

    /// Where browsers' packets arrive, as bound.
    pub fn browser_addresses(&self) -> Vec<SocketAddr> {
        self.workers.iter().flat_map(|worker| worker.browser_addresses().iter().copied()).collect()
    }

    /// Where TURN clients arrive, as bound; empty without TURN.
    pub fn turn_addresses(&self) -> TurnAddresses {
        self.workers.first().map(Worker::turn_addresses).unwrap_or_default()
    }

    /// From now on TURN takes credentials of these secrets for new allocations; the old allocations stay.
    pub async fn set_turn_secrets(&self, secrets: Vec<Secret>) -> Result<(), RelayError> {
        for worker in self.workers.iter() {
            let secrets = secrets.clone();
            worker.ask(|reply| Command::TurnSecrets { secrets, reply }).await?;
        }
        Ok(())
    }

    /// Serves a TURN client whose connection somebody else accepted: with the limits of all others, by the worker that new
    /// sessions go to: most clients' packets then need no way to another one.
    pub async fn serve_turn(&self, stream: AcceptedStream) -> Result<(), RelayError> {
        let worker = &self.workers[self.placement.next()];
        worker.tell(Command::TurnStream(Box::new(stream))).await
    }

    /// Ends every session and waits until the workers are gone. Later calls get [`RelayError::Unavailable`].
    pub async fn stop(&self) {
        for worker in self.workers.iter() {
            worker.stop().await;
        }
    }

    fn worker(&self, id: &SessionId) -> Result<&Worker, RelayError> {
        let placed = self.placement.find(id).ok_or(RelayError::Unknown)?;
        Ok(&self.workers[placed.worker()])
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

/// What happened in the sessions, in order for each of them.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Event>);

impl Events {
    /// The next one; `None` after the relay has stopped.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}

/// Where a worker leaves the answer to a command.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, RelayError>>;

/// When nobody reads events, the engines keep a bounded number and count what they lose ([`Totals::events_lost`]).
const EVENT_QUEUE: usize = 1_024;

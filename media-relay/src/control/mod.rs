//! The control API: sessions of this relay over HTTP, as `docs/control-api.md` says.
//!
//! [`Control`] is what can be done, [`router`] is how it is asked for, [`Protection`] is who may ask, [`serve`] is the
//! listener.

mod answer;
mod event_log;
mod listener;
mod protection;
mod registry;
mod routes;
mod stream;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use relay_api::control::{Confirmed, Dtmf, Epoch, Session, SessionList, Statistics, Status};
use relay_api::{
    Event, EventKind, LegName, RelayError, SessionDescription, SessionId, SessionSpec, SessionStatistics,
};
use tokio::sync::watch;

use crate::{Events, Relay};
use event_log::EventLog;
pub use listener::serve;
pub use protection::{Protection, ProtectionError, ProtectionFiles, Tokens};
use registry::Registry;
pub use routes::router;

/// A relay under control. Clones share it.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    relay: Relay,
    epoch: Epoch,
    max_sessions: u64,
    registry: Mutex<Registry>,
    /// Changes of one session follow each other, so that the registry says what the relay has.
    turns: Box<[tokio::sync::Mutex<()>]>,
    hasher: RandomState,
    events: EventLog,
    stage: watch::Sender<Stage>,
    /// How many sessions there are.
    population: watch::Sender<usize>,
    collected: AtomicU64,
}

/// How far the relay is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Takes sessions.
    Serving,
    /// Takes no new ones.
    Draining,
    /// Connections are closed.
    Stopped,
}

/// What a control is told at its start.
#[derive(Clone, Copy, Debug)]
pub struct ControlSettings {
    /// Told in [`Status`]; the relay itself refuses more.
    pub max_sessions: u64,
    /// A session that no gateway confirms for this long, and that carries no media, is given up.
    pub orphaned_after: Duration,
}

impl Control {
    /// Takes charge of a relay. `epoch` has never been given to another run.
    pub fn new(relay: Relay, epoch: Epoch, settings: ControlSettings) -> Self {
        Self(Arc::new(Inner {
            relay,
            epoch,
            max_sessions: settings.max_sessions,
            registry: Mutex::new(Registry::new(settings.orphaned_after)),
            turns: (0..TURNS).map(|_| tokio::sync::Mutex::new(())).collect(),
            hasher: RandomState::new(),
            events: EventLog::new(),
            stage: watch::Sender::new(Stage::Serving),
            population: watch::Sender::new(0),
            collected: AtomicU64::new(0),
        }))
    }

    /// Creates or changes a session; while draining, only those that are there.
    ///
    /// # Errors
    /// As [`Relay::put`].
    pub async fn put(&self, spec: SessionSpec) -> Result<SessionDescription, RelayError> {
        // A task of its own: a client that hangs up meanwhile must not leave a session that nobody knows of.
        let control = self.clone();
        finished(tokio::spawn(async move { control.put_in_turn(spec).await })).await
    }

    /// Ends a session; its last statistics, if there was one.
    ///
    /// # Errors
    /// As [`Relay::delete`].
    pub async fn delete(&self, id: SessionId) -> Result<Option<SessionStatistics>, RelayError> {
        let control = self.clone();
        finished(tokio::spawn(async move { control.delete_in_turn(&id).await })).await
    }

    /// One session as it is.
    ///
    /// # Errors
    /// [`RelayError::Unknown`].
    pub async fn session(&self, id: &SessionId) -> Result<Session, RelayError> {
        let description = self.registry().describe(id).ok_or(RelayError::Unknown)?;
        let statistics = self.0.relay.statistics(id).await?;
        self.registry().confirm(id, Instant::now());
        Ok(Session { description, statistics })
    }

    /// How many are.
    pub async fn query(&self, ids: Vec<SessionId>) -> Statistics {
        let Confirmed { unknown } = self.confirm(&ids);
        let mut sessions = Vec::with_capacity(ids.len());
        for id in ids.iter().filter(|id| !unknown.contains(id)) {
            sessions.extend(self.0.relay.statistics(id).await);
        }
        Statistics { sessions, unknown }
    }

    /// A gateway still wants these.
    pub fn confirm(&self, ids: &[SessionId]) -> Confirmed {
        let (mut registry, now) = (self.registry(), Instant::now());
        Confirmed { unknown: ids.iter().filter(|id| !registry.confirm(id, now)).cloned().collect() }
    }

    /// Plays a digit.
    ///
    /// # Errors
    /// As [`Relay::dtmf`].
    pub async fn dtmf(&self, id: &SessionId, dtmf: Dtmf) -> Result<(), RelayError> {
        self.0.relay.dtmf(id, dtmf.leg, dtmf.digit, dtmf.duration_ms).await
    }

    /// Ids in their order, those behind `after`.
    pub fn page(&self, after: Option<&SessionId>, most: usize) -> SessionList {
        self.registry().page(after, most)
    }

    /// How the relay is.
    pub fn status(&self) -> Status {
        Status {
            epoch: self.0.epoch.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            draining: self.stage() > Stage::Serving,
            sessions: self.registry().len() as u64,
            max_sessions: self.0.max_sessions,
            rtp_sockets: self.0.relay.totals().rtp_sockets,
        }
    }

    /// The relay's counters.
    pub fn totals(&self) -> crate::Totals {
        self.0.relay.totals()
    }

    /// Sessions that were given up because nobody wanted them, since the start.
    pub fn collected(&self) -> u64 {
        self.0.collected.load(Ordering::Relaxed)
    }

    /// Goes on to a later stage; there is no way back.
    pub fn advance(&self, to: Stage) {
        self.0.stage.send_if_modified(|stage| {
            let is_later = to > *stage;
            *stage = to.max(*stage);
            is_later
        });
    }

    /// Waits until the stage is reached.
    pub async fn reached(&self, stage: Stage) {
        // The sender lives in `self`.
        let _ = self.0.stage.subscribe().wait_for(|now| *now >= stage).await;
    }

    /// Waits until there is no session.
    pub async fn empty(&self) {
        let _ = self.0.population.subscribe().wait_for(|sessions| *sessions == 0).await;
    }

    /// Tells the relay's events on, until it stops. `seen` sees each of them.
    pub async fn tell_events(&self, mut events: Events, seen: impl Fn(&EventKind)) {
        let mut lost_before = 0;
        while let Some(event) = events.next().await {
            let lost = self.0.relay.totals().events_lost;
            if lost > lost_before {
                self.0.events.tell_lost(lost - lost_before);
                lost_before = lost;
            }
            seen(&event.kind);
            self.0.events.tell(event);
        }
    }

    /// Gives up sessions that nobody wants at `now`, and says so.
    pub async fn collect(&self, now: Instant) {
        let silent = self.registry().silent(now);
        for id in silent {
            let _turn = self.turn(&id).await;
            let packets = match self.0.relay.statistics(&id).await {
                Ok(SessionStatistics { a, b, .. }) => a.received.packets + b.received.packets,
                Err(_) => 0,
            };
            let is_wanted = !self.registry().silent(now).contains(&id);
            if is_wanted || self.registry().carries_media(&id, packets, now) {
                continue;
            }
            tracing::warn!(session = id.0, "given up: no gateway confirms it and it carries no media");
            let _ = self.0.relay.delete(&id).await;
            self.forget(&id);
            self.0.collected.fetch_add(1, Ordering::Relaxed);
            let reason = "nobody confirmed it".to_owned();
            self.0.events.tell(Event { id, leg: LegName::A, kind: EventKind::SessionLost { reason } });
        }
    }

    fn stage(&self) -> Stage {
        *self.0.stage.borrow()
    }

    async fn put_in_turn(&self, spec: SessionSpec) -> Result<SessionDescription, RelayError> {
        let _turn = self.turn(&spec.id).await;
        if self.stage() > Stage::Serving && !self.registry().contains(&spec.id) {
            return Err(RelayError::Full { what: "draining".to_owned() });
        }
        let description = self.0.relay.put(spec).await?;
        self.registry().put(description.clone(), Instant::now());
        self.count();
        Ok(description)
    }

    async fn delete_in_turn(&self, id: &SessionId) -> Result<Option<SessionStatistics>, RelayError> {
        let _turn = self.turn(id).await;
        let statistics = self.0.relay.delete(id).await?;
        self.forget(id);
        Ok(statistics)
    }

    fn forget(&self, id: &SessionId) {
        self.registry().remove(id);
        self.count();
    }

    fn count(&self) {
        self.0.population.send_replace(self.registry().len());
    }

    async fn turn(&self, id: &SessionId) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.turns[self.0.hasher.hash_one(id) as usize % TURNS].lock().await
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that panicked was our bug; the client sees that nothing can be said.
async fn finished<T>(task: tokio::task::JoinHandle<Result<T, RelayError>>) -> Result<T, RelayError> {
    task.await.unwrap_or(Err(RelayError::Unavailable))
}

/// Sessions that share a turn wait for each other.
const TURNS: usize = 64;

//! Media relays that are programs of their own: a new session goes to one that has room, and stays there.

mod choice;
mod client;
mod lines;
mod member;
mod watching;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntGaugeVec;
use relay_api::control::Dtmf;
use relay_api::{
    Event, EventKind, LegName, Place, RelayError, RelayName, SessionDescription, SessionId, SessionSpec,
    SessionStatistics,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::ports::BoxFuture;
use crate::ports::media::MediaRelay;
use client::Client;
pub use client::{Endpoint, EndpointError};
use member::Member;

/// The relays of the configuration. Dropped, it stops watching them; their sessions go on.
pub struct RelayPool {
    pool: Arc<Pool>,
    _watchers: JoinSet<()>,
}

struct Pool {
    members: Vec<Member>,
    /// Where each session of this node is. As many as the relays hold.
    sessions: Mutex<HashMap<SessionId, usize>>,
    /// When it is full the relays' streams wait.
    events: mpsc::Sender<Event>,
    chance: Box<dyn Fn() -> u64 + Send + Sync>,
    /// 1 for each relay that takes new sessions, by its name.
    ready: IntGaugeVec,
    /// Has any relay ever been ready?
    found: watch::Sender<bool>,
}

impl RelayPool {
    /// Begins to watch the relays; `ready` has one label, their name. What they tell about sessions of this node comes out of the receiver.
    ///
    /// # Errors
    /// A relay can't be asked as configured. One that does not answer is no error.
    pub fn start(
        relays: Vec<(RelayName, Endpoint)>,
        chance: impl Fn() -> u64 + Send + Sync + 'static,
        ready: IntGaugeVec,
    ) -> Result<(Self, mpsc::Receiver<Event>), EndpointError> {
        let members = relays.into_iter().map(|(name, target)| Ok(Member::new(name, Client::new(target)?)));
        let members = members.collect::<Result<Vec<_>, EndpointError>>()?;
        let (events, receiver) = mpsc::channel(EVENT_QUEUE);
        let sessions = Mutex::default();
        let (found, _) = watch::channel(false);
        let pool = Arc::new(Pool { members, sessions, events, chance: Box::new(chance), ready, found });
        let mut watchers = JoinSet::new();
        for index in 0..pool.members.len() {
            watchers.spawn(watching::ask_status(Arc::clone(&pool), index));
            watchers.spawn(watching::hear_events(Arc::clone(&pool), index));
            watchers.spawn(watching::confirm_sessions(Arc::clone(&pool), index));
        }
        Ok((Self { pool, _watchers: watchers }, receiver))
    }

    /// Waits for the first relay that takes sessions.
    pub async fn until_ready(&self) {
        let mut found = self.pool.found.subscribe();
        if !*found.borrow_and_update() {
            tracing::info!("waiting for a media relay");
        }
        // The sender is ours.
        let _ = found.wait_for(|is_found| *is_found).await;
    }
}

impl MediaRelay for RelayPool {
    fn put(
        &self,
        spec: SessionSpec,
        relay: Option<RelayName>,
    ) -> BoxFuture<'_, Result<SessionDescription, RelayError>> {
        Box::pin(async move {
            let place = Place { id: spec.id.clone(), relay };
            match self.pool.find(&place)? {
                Some(index) => self.pool.put(index, &spec).await,
                None => self.pool.put_new(&spec).await,
            }
        })
    }

    fn delete<'a>(
        &'a self,
        session: &'a Place,
    ) -> BoxFuture<'a, Result<Option<SessionStatistics>, RelayError>> {
        Box::pin(async move {
            let found = self.pool.find(session);
            self.pool.sessions().remove(&session.id);
            match found {
                // What is left on a relay that is away is collected there: nobody confirms it.
                Ok(Some(index)) if !self.pool.members[index].is_lost() => {
                    self.pool.members[index].delete(&session.id).await
                }
                _ => Ok(None),
            }
        })
    }

    fn dtmf<'a>(
        &'a self,
        session: &'a Place,
        leg: LegName,
        digit: char,
        duration_ms: u32,
    ) -> BoxFuture<'a, Result<(), RelayError>> {
        Box::pin(async move {
            let member = self.pool.member_of(session)?;
            member.dtmf(&session.id, Dtmf { leg, digit, duration_ms }).await
        })
    }

    fn statistics<'a>(&'a self, session: &'a Place) -> BoxFuture<'a, Result<SessionStatistics, RelayError>> {
        Box::pin(async move {
            let session = self.pool.member_of(session)?.session(&session.id).await?;
            Ok(session.statistics)
        })
    }
}

impl Pool {
    /// By the name that the call keeps, else by what this node remembers. A name that is not configured any more is an
    /// error, for the session can be nowhere else.
    fn find(&self, place: &Place) -> Result<Option<usize>, RelayError> {
        match &place.relay {
            Some(name) => {
                let index = self.members.iter().position(|member| member.name == *name);
                index.map(Some).ok_or(RelayError::Unavailable)
            }
            None => Ok(self.sessions().get(&place.id).copied()),
        }
    }

    fn member_of(&self, place: &Place) -> Result<&Member, RelayError> {
        self.find(place)?.map(|index| &self.members[index]).ok_or(RelayError::Unknown)
    }

    async fn put(&self, index: usize, spec: &SessionSpec) -> Result<SessionDescription, RelayError> {
        let description = self.members[index].put(spec).await?;
        self.sessions().insert(spec.id.clone(), index);
        Ok(description)
    }

    /// Shows whether a relay takes new sessions.
    fn show_ready(&self, index: usize) {
        let member = &self.members[index];
        let is_ready = member.candidate(index).is_some();
        self.ready.with_label_values(&[&member.name.0]).set(i64::from(is_ready));
        self.found.send_if_modified(|found| is_ready && !std::mem::replace(found, true));
    }

    /// Asks one relay after the other.
    async fn put_new(self: &Arc<Self>, spec: &SessionSpec) -> Result<SessionDescription, RelayError> {
        let candidates =
            self.members.iter().enumerate().filter_map(|(index, member)| member.candidate(index));
        let mut outcome = Err(RelayError::Unavailable);
        for index in choice::order(candidates.collect(), (self.chance)()).into_iter().take(MOST_TRIES) {
            outcome = self.put(index, spec).await;
            match &outcome {
                Err(RelayError::Unavailable) => self.give_back(index, spec.id.clone()),
                Err(error @ RelayError::NoInterface { .. }) => {
                    tracing::warn!(relay = self.members[index].name.0, %error, "passed over");
                }
                Err(RelayError::Full { .. } | RelayError::NoAddress { .. }) => {}
                Ok(_) | Err(RelayError::Stale { .. } | RelayError::Unknown | RelayError::Invalid { .. }) => {
                    return outcome;
                }
            }
        }
        outcome
    }

    /// It may have made the session and only its answer was late.
    fn give_back(self: &Arc<Self>, index: usize, id: SessionId) {
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            // In vain if it is gone; then nobody confirms the session either.
            let _ = pool.members[index].delete(&id).await;
        });
    }

    /// Sessions of this node on one relay.
    fn sessions_on(&self, index: usize) -> Vec<SessionId> {
        let sessions = self.sessions();
        sessions.iter().filter(|(_, at)| **at == index).map(|(id, _)| id.clone()).collect()
    }

    fn is_on(&self, id: &SessionId, index: usize) -> bool {
        self.sessions().get(id) == Some(&index)
    }

    /// Tells the calls of these sessions that their media are gone.
    async fn tell_lost(&self, ids: Vec<SessionId>, reason: &str) {
        for id in ids {
            let kind = EventKind::SessionLost { reason: reason.to_owned() };
            // The receiver is gone only when the node is.
            let _ = self.events.send(Event { id, leg: LegName::A, kind }).await;
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionId, usize>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Relays that are asked for one new session: a caller waits a second for each at most.
const MOST_TRIES: usize = 3;
const EVENT_QUEUE: usize = 1_024;

#[cfg(test)]
mod tests;

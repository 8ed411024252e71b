//! One relay of the pool: its name, its client, and what is known of its health.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::Method;
use bytes::Bytes;
use relay_api::control::{Confirmed, Dtmf, Ids, Session, Status};
use relay_api::{RelayError, RelayName, SessionDescription, SessionId, SessionSpec, SessionStatistics};
use serde::Serialize;

use super::choice::Candidate;
use super::client::Client;

pub(super) struct Member {
    pub(super) name: RelayName,
    pub(super) client: Client,
    health: Mutex<Health>,
}

#[derive(Default)]
struct Health {
    /// The last answer, and when it came.
    status: Option<(Status, Instant)>,
    /// Sessions made since.
    fresh: u64,
    /// Its events reach us.
    is_heard: bool,
    is_lost: bool,
}

/// What a new status means for the sessions on the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// It is there again, or was restarted: some may be gone.
    Doubtful,
}

impl Member {
    pub(super) fn new(name: RelayName, client: Client) -> Self {
        Self { name, client, health: Mutex::default() }
    }

    /// As one that takes new sessions, if it does.
    pub(super) fn candidate(&self, index: usize) -> Option<Candidate> {
        let health = self.health();
        let (status, _) = health.status.as_ref()?;
        let is_ready = health.is_heard && !health.is_lost && !status.draining;
        let load = (status.sessions + health.fresh) as f64 / status.max_sessions.max(1) as f64;
        is_ready.then_some(Candidate { index, load })
    }

    pub(super) fn is_lost(&self) -> bool {
        self.health().is_lost
    }

    /// The stream of events began, or broke.
    pub(super) fn set_heard(&self, is_heard: bool) {
        self.health().is_heard = is_heard;
    }

    /// It answered.
    pub(super) fn answered(&self, status: Status, now: Instant) -> Change {
        let mut health = self.health();
        let is_same_run = health.status.as_ref().is_none_or(|(before, _)| before.epoch == status.epoch);
        let was_lost = std::mem::take(&mut health.is_lost);
        health.status = Some((status, now));
        health.fresh = 0;
        if is_same_run && !was_lost { Change::None } else { Change::Doubtful }
    }

    /// It did not answer. Whether it counts as lost from now on.
    pub(super) fn was_silent(&self, now: Instant) -> bool {
        let mut health = self.health();
        let Some((_, heard)) = health.status else { return false };
        let becomes_lost = !health.is_lost && now.saturating_duration_since(heard) >= LOST_AFTER;
        health.is_lost |= becomes_lost;
        becomes_lost
    }

    pub(super) async fn put(&self, spec: &SessionSpec) -> Result<SessionDescription, RelayError> {
        let path = path(&spec.id, "");
        let description: SessionDescription =
            self.client.ask(Method::PUT, &path, json(spec), PUT_WITHIN).await?;
        self.health().fresh += 1;
        Ok(SessionDescription { relay: Some(self.name.clone()), ..description })
    }

    pub(super) async fn delete(&self, id: &SessionId) -> Result<Option<SessionStatistics>, RelayError> {
        self.client.ask(Method::DELETE, &path(id, ""), Bytes::new(), REQUEST_WITHIN).await
    }

    pub(super) async fn session(&self, id: &SessionId) -> Result<Session, RelayError> {
        self.client.ask(Method::GET, &path(id, ""), Bytes::new(), REQUEST_WITHIN).await
    }

    pub(super) async fn dtmf(&self, id: &SessionId, dtmf: Dtmf) -> Result<(), RelayError> {
        self.client.ask(Method::POST, &path(id, "/dtmf"), json(&dtmf), REQUEST_WITHIN).await
    }

    pub(super) async fn status(&self) -> Result<Status, RelayError> {
        self.client.ask(Method::GET, "/v1/status", Bytes::new(), STATUS_WITHIN).await
    }

    pub(super) async fn confirm(&self, ids: Vec<SessionId>) -> Result<Confirmed, RelayError> {
        let body = json(&Ids { ids });
        self.client.ask(Method::POST, "/v1/sessions/confirm", body, REQUEST_WITHIN).await
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn path(SessionId(id): &SessionId, rest: &str) -> String {
    format!("/v1/sessions/{id}{rest}")
}

fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("the contract has only text, numbers and lists").into()
}

/// A caller waits for this one: then another relay is asked.
const PUT_WITHIN: Duration = Duration::from_secs(1);
const REQUEST_WITHIN: Duration = Duration::from_secs(2);
/// Together with the time between two questions less than [`LOST_AFTER`].
const STATUS_WITHIN: Duration = Duration::from_millis(750);
/// Two questions in a row without an answer.
const LOST_AFTER: Duration = Duration::from_millis(1_400);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use relay_api::control::Epoch;

    use super::super::client::Endpoint;
    use super::*;

    fn member() -> Member {
        let url = "http://127.0.0.1:9".parse().unwrap();
        let client = Client::new(Endpoint { url, tls: None, token_file: None }).unwrap();
        Member::new(RelayName("one".into()), client)
    }

    fn status(epoch: &str, sessions: u64) -> Status {
        Status {
            epoch: Epoch(epoch.into()),
            version: "1".into(),
            draining: false,
            sessions,
            max_sessions: 10,
            rtp_sockets: 0,
        }
    }

    #[test]
    fn a_relay_takes_sessions_when_it_answers_and_its_events_are_heard() {
        let (member, now) = (member(), Instant::now());
        assert_eq!(member.candidate(0), None);
        member.set_heard(true);
        assert_eq!(member.candidate(0), None);
        assert_eq!(member.answered(status("a", 5), now), Change::None);
        assert_eq!(member.candidate(3), Some(Candidate { index: 3, load: 0.5 }));
        member.answered(Status { draining: true, ..status("a", 5) }, now);
        assert_eq!(member.candidate(0), None);
    }

    #[test]
    fn silence_makes_a_relay_lost_once_and_an_answer_brings_it_back() {
        let (member, now) = (member(), Instant::now());
        assert!(!member.was_silent(now), "it was never there");
        member.set_heard(true);
        member.answered(status("a", 0), now);
        assert!(!member.was_silent(now + LOST_AFTER / 2));
        assert!(member.was_silent(now + LOST_AFTER));
        assert!(!member.was_silent(now + LOST_AFTER * 2), "that is known");
        assert_eq!(member.candidate(0), None);
        assert_eq!(member.answered(status("a", 0), now + LOST_AFTER * 3), Change::Doubtful);
        assert!(member.candidate(0).is_some());
    }

    #[test]
    fn another_epoch_is_a_restart() {
        let (member, now) = (member(), Instant::now());
        member.answered(status("a", 0), now);
        assert_eq!(member.answered(status("a", 1), now), Change::None);
        assert_eq!(member.answered(status("b", 0), now), Change::Doubtful);
    }
}

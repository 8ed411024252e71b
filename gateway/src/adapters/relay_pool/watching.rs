//! What goes on beside calls: is each relay there, what does it tell, and does it still have our sessions?

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use relay_api::SessionId;
use relay_api::control::{Epoch, EventLine, MAX_IDS};
use tokio::time::{sleep, timeout};

use super::Pool;
use super::lines::Lines;
use super::member::Change;

/// Asks again and again how a relay is.
pub(super) async fn ask_status(pool: Arc<Pool>, index: usize) {
    let member = &pool.members[index];
    loop {
        match member.status().await {
            Ok(status) => {
                if member.answered(status, Instant::now()) == Change::Doubtful {
                    tracing::warn!(relay = member.name.0, "the relay is there again");
                    confirm(&pool, index).await;
                }
            }
            Err(_) if member.was_silent(Instant::now()) => {
                let lost = pool.sessions_on(index);
                tracing::error!(relay = member.name.0, sessions = lost.len(), "the relay does not answer");
                pool.tell_lost(lost, "the relay does not answer").await;
            }
            Err(_) => {}
        }
        pool.show_ready(index);
        sleep(STATUS_EVERY).await;
    }
}

/// Follows a relay's events; a stream that breaks is taken up where it was.
pub(super) async fn hear_events(pool: Arc<Pool>, index: usize) {
    let member = &pool.members[index];
    let mut seen = Seen::default();
    let mut pause = PAUSE_MIN;
    loop {
        match timeout(CONNECT_WITHIN, member.client.events(&seen.query())).await {
            Ok(Ok(lines)) => {
                pause = PAUSE_MIN;
                let error = follow(&pool, index, lines, &mut seen).await;
                tracing::debug!(relay = member.name.0, %error, "the stream of events broke");
            }
            Ok(Err(error)) => tracing::debug!(relay = member.name.0, %error, "no stream of events"),
            Err(_) => tracing::debug!(relay = member.name.0, "no stream of events in time"),
        }
        member.set_heard(false);
        pool.show_ready(index);
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Tells a relay every few seconds which sessions this node still wants.
pub(super) async fn confirm_sessions(pool: Arc<Pool>, index: usize) {
    loop {
        sleep(CONFIRM_EVERY).await;
        if !pool.members[index].is_lost() {
            confirm(&pool, index).await;
        }
    }
}

/// What was heard last, of which run.
#[derive(Default)]
struct Seen(Option<(Epoch, u64)>);

impl Seen {
    fn query(&self) -> String {
        match &self.0 {
            Some((Epoch(epoch), sequence)) => format!("?after={sequence}&epoch={epoch}"),
            None => String::new(),
        }
    }

    fn began(&mut self, epoch: Epoch, next: u64) {
        match &mut self.0 {
            Some((known, _)) if *known == epoch => {}
            // Of another run everything is told, from its first event on.
            Some(seen) => *seen = (epoch, 0),
            None => self.0 = Some((epoch, next.saturating_sub(1))),
        }
    }

    fn reached(&mut self, number: u64) {
        if let Some((_, sequence)) = &mut self.0 {
            *sequence = number;
        }
    }
}

async fn follow(pool: &Pool, index: usize, mut lines: Lines, seen: &mut Seen) -> io::Error {
    loop {
        match lines.next().await {
            Ok(EventLine::Started { epoch, next }) => {
                seen.began(epoch, next);
                pool.members[index].set_heard(true);
                pool.show_ready(index);
            }
            Ok(EventLine::Event { sequence, event }) => {
                seen.reached(sequence);
                // Each gateway hears of every session; it answers for its own.
                if pool.is_on(&event.id, index) && pool.events.send(event).await.is_err() {
                    return io::ErrorKind::BrokenPipe.into();
                }
            }
            Ok(EventLine::Lost { sequence, count }) => {
                seen.reached(sequence);
                tracing::warn!(relay = pool.members[index].name.0, count, "events were lost");
                confirm(pool, index).await;
            }
            Ok(EventLine::Alive | EventLine::Unknown) => {}
            Err(error) => return error,
        }
    }
}

/// Sessions that the relay does not have are lost, unless they were given back meanwhile.
async fn confirm(pool: &Pool, index: usize) {
    for ids in pool.sessions_on(index).chunks(MAX_IDS) {
        let Ok(confirmed) = pool.members[index].confirm(ids.to_vec()).await else { return };
        let is_ours = |id: &SessionId| pool.is_on(id, index);
        let lost: Vec<_> = confirmed.unknown.into_iter().filter(is_ours).collect();
        pool.tell_lost(lost, "the relay does not have it").await;
    }
}

const STATUS_EVERY: Duration = Duration::from_millis(500);
/// Several times within the shortest time after which a relay gives a session up.
const CONFIRM_EVERY: Duration = Duration::from_secs(3);
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

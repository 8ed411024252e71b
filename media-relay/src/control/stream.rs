//! `GET /v1/events`: one JSON object a line, for as long as the client stays.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use relay_api::control::{Epoch, EventLine, Refusal};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::answer::Problem;
use super::routes::malformed;
use super::{Control, Stage};

/// Where a client goes on.
#[derive(Deserialize)]
pub(super) struct From {
    /// The last number it has seen; without one only what comes is told.
    after: Option<u64>,
    /// Which run that number is of. Numbers of another run mean nothing here: then everything that is kept is told.
    epoch: Option<Epoch>,
}

/// Answers with the stream.
pub(super) async fn events(
    State((control, streams)): State<(Control, Arc<Semaphore>)>,
    from: Result<Query<From>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(from) = from.map_err(|rejection| malformed(rejection.body_text()))?;
    let permit = streams.try_acquire_owned().map_err(|_| Refusal::Busy)?;
    let reader = Reader::new(control, from, permit);
    let lines = stream::unfold(reader, |mut reader| async move {
        let bytes = reader.next().await?;
        Some((Ok::<_, Infallible>(bytes), reader))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

struct Reader {
    control: Control,
    changed: watch::Receiver<u64>,
    /// The number to go on with.
    next: u64,
    has_begun: bool,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    fn new(control: Control, from: From, permit: OwnedSemaphorePermit) -> Self {
        let log = &control.0.events;
        let is_ours = from.epoch.is_none_or(|epoch| epoch == control.0.epoch);
        let next = match from.after {
            Some(after) if is_ours => after.saturating_add(1),
            Some(_) => 1,
            None => log.next(),
        };
        Self { changed: log.watch(), control, next, has_begun: false, _permit: permit }
    }

    /// The next lines; `None` when the relay stops.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.has_begun {
            self.has_begun = true;
            let (epoch, next) = (self.control.0.epoch.clone(), self.control.0.events.next());
            return Some(printed(&[EventLine::Started { epoch, next }]));
        }
        loop {
            self.changed.mark_unchanged();
            let (lines, next) = self.control.0.events.read(self.next);
            self.next = next;
            if !lines.is_empty() {
                return Some(printed(&lines));
            }
            tokio::select! {
                _ = self.changed.changed() => {}
                () = self.control.reached(Stage::Stopped) => return None,
                () = tokio::time::sleep(ALIVE_AFTER) => return Some(printed(&[EventLine::Alive])),
            }
        }
    }
}

fn printed(lines: &[EventLine]) -> Bytes {
    let mut out = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut out, line).expect("an event line has only text and numbers");
        out.push(b'\n');
    }
    out.into()
}

/// After this much silence a client is told that the connection lives.
const ALIVE_AFTER: Duration = Duration::from_secs(5);

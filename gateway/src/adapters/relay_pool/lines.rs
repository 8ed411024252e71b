//! A relay's stream of events, line by line.

use std::io;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Buf, BytesMut};
use futures_util::StreamExt;
use hyper::body::Incoming;
use relay_api::control::EventLine;
use tokio::time::timeout;

/// Reads lines as they come.
pub(super) struct Lines {
    body: BodyDataStream,
    rest: BytesMut,
}

impl Lines {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body: Body::new(body).into_data_stream(), rest: BytesMut::new() }
    }

    /// The next line.
    ///
    /// # Errors
    /// The stream is at its end, was silent for too long, or is not what it should be.
    pub(super) async fn next(&mut self) -> io::Result<EventLine> {
        loop {
            if let Some(end) = line_end(&self.rest) {
                let line = serde_json::from_slice(&self.rest[..end]);
                self.rest.advance(end + 1);
                return line.map_err(io::Error::other);
            }
            if self.rest.len() > MAX_LINE {
                return Err(io::Error::other("a line without end"));
            }
            let more = timeout(SILENT_FOR, self.body.next()).await?;
            self.rest
                .extend_from_slice(&more.ok_or(io::ErrorKind::UnexpectedEof)?.map_err(io::Error::other)?);
        }
    }
}

fn line_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

/// Three times as long as a relay is silent.
const SILENT_FOR: Duration = Duration::from_secs(15);
/// Bytes; an event has some hundred.
const MAX_LINE: usize = 64 * 1024;

//! The media relay inside this process.

use media_relay::Relay;
use relay_api::{LegName, RelayError, SessionDescription, SessionId, SessionSpec, SessionStatistics};

use crate::ports::BoxFuture;
use crate::ports::media::MediaRelay;

/// Calls the relay's workers directly.
pub struct EmbeddedRelay(pub Relay);

impl MediaRelay for EmbeddedRelay {
    fn put(&self, spec: SessionSpec) -> BoxFuture<'_, Result<SessionDescription, RelayError>> {
        Box::pin(self.0.put(spec))
    }

    fn delete<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<(), RelayError>> {
        Box::pin(async move {
            match self.0.delete(id).await {
                Err(RelayError::Unknown) => Ok(()),
                outcome => outcome,
            }
        })
    }

    fn dtmf<'a>(
        &'a self,
        id: &'a SessionId,
        leg: LegName,
        digit: char,
        duration_ms: u32,
    ) -> BoxFuture<'a, Result<(), RelayError>> {
        Box::pin(self.0.dtmf(id, leg, digit, duration_ms))
    }

    fn statistics<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<SessionStatistics, RelayError>> {
        Box::pin(self.0.statistics(id))
    }
}

//! The media relay inside this process.

use media_relay::Relay;
use relay_api::{LegName, Place, RelayError, RelayName, SessionDescription, SessionSpec, SessionStatistics};

use crate::ports::BoxFuture;
use crate::ports::media::MediaRelay;

/// Calls the relay's workers directly.
pub struct EmbeddedRelay(pub Relay);

impl MediaRelay for EmbeddedRelay {
    fn put(
        &self,
        spec: SessionSpec,
        _relay: Option<RelayName>,
    ) -> BoxFuture<'_, Result<SessionDescription, RelayError>> {
        Box::pin(self.0.put(spec))
    }

    fn delete<'a>(
        &'a self,
        session: &'a Place,
    ) -> BoxFuture<'a, Result<Option<SessionStatistics>, RelayError>> {
        Box::pin(self.0.delete(&session.id))
    }

    fn dtmf<'a>(
        &'a self,
        session: &'a Place,
        leg: LegName,
        digit: char,
        duration_ms: u32,
    ) -> BoxFuture<'a, Result<(), RelayError>> {
        Box::pin(self.0.dtmf(&session.id, leg, digit, duration_ms))
    }

    fn statistics<'a>(&'a self, session: &'a Place) -> BoxFuture<'a, Result<SessionStatistics, RelayError>> {
        Box::pin(self.0.statistics(&session.id))
    }
}

//! The media relay, wherever it runs.

use relay_api::{LegName, Place, RelayError, RelayName, SessionDescription, SessionSpec, SessionStatistics};

use super::BoxFuture;

/// Makes media sessions what their specification says.
pub trait MediaRelay: Send + Sync + 'static {
    /// Creates or changes a session; repeating it changes nothing. One that is on a relay already stays there: `relay` is
    /// what its description said.
    fn put(
        &self,
        spec: SessionSpec,
        relay: Option<RelayName>,
    ) -> BoxFuture<'_, Result<SessionDescription, RelayError>>;

    /// Ends a session; its last statistics, if it was there.
    fn delete<'a>(
        &'a self,
        session: &'a Place,
    ) -> BoxFuture<'a, Result<Option<SessionStatistics>, RelayError>>;

    /// Plays a DTMF digit (`0`–`9`, `*`, `#`, `A`–`D`) towards one leg as RFC 4733.
    fn dtmf<'a>(
        &'a self,
        session: &'a Place,
        leg: LegName,
        digit: char,
        duration_ms: u32,
    ) -> BoxFuture<'a, Result<(), RelayError>>;

    /// Counters of a session.
    fn statistics<'a>(&'a self, session: &'a Place) -> BoxFuture<'a, Result<SessionStatistics, RelayError>>;
}

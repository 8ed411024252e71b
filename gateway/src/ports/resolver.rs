//! Where the names of configured trunks lead (RFC 3263). A name out of a message is never resolved.

use std::time::Duration;

use sip_core::routing::Transport;
use sip_core::routing::locate::{Candidate, Target};

use super::BoxFuture;

/// Finds the addresses behind a configured name.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses to try, best first; never an empty list. May take seconds: not for the path of a call.
    ///
    /// # Errors
    /// There is none, or the name servers did not say.
    fn resolve<'a>(
        &'a self,
        target: &'a Target,
        supported: &'a [Transport],
    ) -> BoxFuture<'a, Result<Resolution, ResolveError>>;
}

/// What a name leads to for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Best first, at least one.
    pub candidates: Vec<Candidate>,
    /// Ask again after that.
    pub valid_for: Duration,
}

/// Why there are no addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The name servers know of none for a transport that is to be used.
    #[error("no address")]
    NotThere,
    /// The name servers were not reached or failed.
    #[error("name servers: {0}")]
    NotAnswered(String),
}

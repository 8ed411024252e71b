//! Where the names of configured trunks lead (RFC 3263). A name out of a message is never resolved.

use std::time::Duration;

use sip_core::routing::locate::{Servers, Step, Target};

use super::BoxFuture;

/// Finds the addresses behind a configured name.
pub trait Resolver: Send + Sync + 'static {
    /// The servers, never none. May take seconds: not for the path of a call.
    ///
    /// # Errors
    /// There is none, or the name servers did not say.
    fn resolve<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Resolution, ResolveError>>;
}

/// What a name leads to for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// At least one with an address.
    pub servers: Servers,
    /// How far it is from what was asked for.
    pub standing: Standing,
    /// Ask again after that.
    pub valid_for: Duration,
}

/// How far an answer is from the best that there can be; the lesser, the better. One that stands worse than what is known may
/// be a hiccup of the zone or of a name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    /// How many of the complete names before this one were not there: 0 is the name as it stands.
    pub completion: usize,
    /// The step of RFC 3263.
    pub step: Step,
    /// Whether everything was answered.
    pub extent: Extent,
}

/// How much of what was asked was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Not all of it.
    Part,
}

/// Why there are no addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The name servers know of none for its transport.
    #[error("no address")]
    NotThere,
    /// The name servers were not reached or failed.
    #[error("name server {0}")]
    NotAnswered(String),
}

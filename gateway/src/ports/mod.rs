//! Traits and plain types towards everything outside the core: sockets, state, media, users, time.

pub mod media;
pub mod resolver;
pub mod runtime;
pub mod store;
pub mod transport;
pub mod users;

use std::future::Future;
use std::pin::Pin;

/// A future behind a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

//! The media relay: sockets and worker threads around `relay-core`.
//!
//! [`Relay::start`] binds the browser-facing sockets, starts the workers and hands back a cheap, cloneable handle plus
//! the stream of [`Events`]. The gateway uses the handle in its own process; the relay [`program`] wraps the same handle
//! in its [`control`] API. With [`TurnConfig`] every worker is a TURN server too. A session lives on one worker, so
//! that a packet never takes a lock.

mod addressing;
mod bound;
mod config;
pub mod control;
mod handle;
mod metrics;
mod placement;
pub mod program;
mod settings;
mod sockets;
mod this_machine;
mod totals;
mod turn;
mod worker;

pub use addressing::{Addressing, AddressingKeys, BrowserAddresses, InterfaceKeys};
pub use bound::{BoundSockets, ListenerKind, Refused};
pub use config::{
    BoundRange, BrowserListener, Config, MIN_MEDIA_TIMEOUT, RtpInterface, StartError, is_same_place,
};
pub use handle::{Events, Relay};
pub use metrics::register_relay_metrics;
pub use relay_core::turn::PeerRule;
pub use relay_core::{Failure, TransportFailures};
pub use totals::Totals;
pub use turn::Bound as TurnAddresses;
pub use turn::access::{TurnAccess, TurnAccessError, read_secrets};
pub use turn::config::{RelayedRange, TurnConfig};
pub use turn::metrics::register_turn_metrics;
pub use turn::settings::{Peers, Turn as TurnSettings};
pub use turn::{AcceptedStream, TurnTotals};

//! What the ports are made of: sockets, stores and files.

mod connections;
mod counters;
pub mod demo_users;
mod dial;
pub mod embedded_relay;
pub mod limits;
mod listener;
pub mod memory;
mod outbox;
pub mod peer_certificate;
mod proxy;
mod refusal;
pub mod relay_pool;
pub mod resolver;
mod room;
mod session;
mod tcp;
mod transports;
mod turn;
mod udp;
mod undelivered;
pub mod users_file;
mod ws;

pub use counters::Statistics;
pub use dial::DialSettings;
pub use limits::{Limits, Rate};
pub use listener::{BoundSocket, Kind, Listener, Peers, TrunkTls};
pub use proxy::{Greeting, Proxies};
pub use refusal::Refusal;
pub use transports::Transports;
pub use ws::{MissingOrigin, Origins, Web};

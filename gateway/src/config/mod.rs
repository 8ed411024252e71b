//! What the gateway can be told, read as `daemon::config` says.

mod changes;
mod origin;
mod page;
mod relay_pool;
mod settings;
mod trunk;
mod turn;

pub use page::PageFolder;
pub use relay_pool::PoolRelay;
pub use settings::{
    Admin, Browser, Calls, Dialplan, DigestAlgorithm, Limits, Listen, Proxied, Relay, RelayKind, Ringing,
    Settings, State, Store, StoreKind, Tls, Users,
};
pub(crate) use trunk::host_and_port;
pub use trunk::{CODECS, Trunk, TrunkTransport};
pub use turn::TurnClients;
pub(crate) use turn::is_on as has_turn;

//! What the gateway can be told, read as `daemon::config` says.

mod settings;

pub use settings::{
    Admin, Browser, CODECS, Calls, Dialplan, DigestAlgorithm, Limits, Listen, PoolRelay, Relay, RelayKind,
    Settings, State, Store, StoreKind, Tls, Trunk, TrunkTransport, Users,
};

//! A flow (RFC 5626 §3.1): the one connection over which a browser can be reached.

use serde::{Deserialize, Serialize};

/// Names a connection of one node's one life. The Contact of a browser (`….invalid`) is never resolved: this is its
/// route, also from another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FlowId {
    /// The node, a fresh number in each life of the process, so that a restart can't be taken for its predecessor.
    pub node: u64,
    /// The connection within that life; numbers are not used twice.
    pub connection: u64,
}

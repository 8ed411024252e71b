//! The use cases: what a message, a timer or a broken connection means here.
//!
//! [`Node`] is the one driver for production and simulation: it takes whole messages from the transports
//! ([`Ingress`]), lets the pure core decide, and carries out what it wants through the ports.

mod authenticate;
mod calls;
mod cancel;
mod carriers;
mod failed_logins;
mod flows;
mod given_up;
mod in_dialog;
mod ingress;
mod invite;
mod journal;
mod link;
pub mod metrics;
mod options;
mod quality;
mod redact;
mod register;
mod reject;
mod settings;
mod shares;
mod transactions;
mod trunks;
mod turn;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use daemon::seldom::Seldom;
use sip_core::auth::NonceSealer;
use sip_core::routing::{CallId, Sealer};
use sip_core::time::Instant;

use crate::ports::media::MediaRelay;
use crate::ports::runtime::Runtime;
use crate::ports::store::StateStore;
use crate::ports::transport::{CloseReason, Destination, Ingress, SendError, Source, Transport};
use crate::ports::users::Users;

use calls::Turns;
use carriers::Carriers;
use failed_logins::FailedLogins;
use flows::Flows;
use given_up::GivenUp;
use journal::Journal;
use metrics::Metrics;
use shares::{Bounds, Pool, Shares};
use transactions::TransactionLayer;
use trunks::Trunks;

pub use link::UDP_LISTENER;
pub use settings::{AppSettings, Dialplan, Heard, Trunk};
pub use turn::TurnServers;

/// What a node stands on.
pub struct Ports {
    /// State shared by all nodes.
    pub store: Arc<dyn StateStore>,
    /// The media relay.
    pub relay: Arc<dyn MediaRelay>,
    /// Who may register.
    pub users: Arc<dyn Users>,
    /// The sockets.
    pub transport: Arc<dyn Transport>,
}

/// What is secret and what is unique about a node.
pub struct Identity {
    /// A fresh number in each life of the process.
    pub node: u64,
    /// Seals tokens; all nodes hold the same key.
    pub sealer: Sealer,
    /// Seals digest nonces; all nodes hold the same key.
    pub nonces: NonceSealer,
}

/// One signalling node. Clones are the same node.
pub struct Node<R>(Arc<Inner<R>>);

struct Inner<R> {
    runtime: R,
    settings: AppSettings,
    identity: Identity,
    ports: Ports,
    transactions: TransactionLayer,
    /// What transactions hold.
    transaction_memory: Pool,
    /// What calls hold.
    call_memory: Pool,
    /// The shares of the calls that this node began.
    held_by_calls: Mutex<HashMap<CallId, Shares>>,
    /// How often each user is called.
    called: Pool,
    flows: Flows,
    trunks: Trunks,
    carriers: Carriers,
    given_up: GivenUp,
    turns: Turns,
    failed_logins: FailedLogins,
    metrics: Metrics,
    stranger_lines: Seldom<Instant>,
    unjudged_lines: Seldom<Instant>,
    journal: Journal,
    draining: AtomicBool,
    /// Sessions that the relay is being told to end: as many as calls end within its time to answer.
    releases: AtomicUsize,
}

impl<R: Runtime> Node<R> {
    /// A node that does nothing until [`Node::serve`] and messages.
    pub fn new(
        runtime: R,
        settings: AppSettings,
        identity: Identity,
        ports: Ports,
        metrics: Metrics,
    ) -> Self {
        Self(Arc::new(Inner {
            transactions: TransactionLayer::new(settings.timing, |key| runtime.random(key)),
            transaction_memory: Pool::new(Bounds {
                total: settings.transaction_bytes,
                user: settings.transaction_bytes / USERS_AT_LEAST,
                trunk: settings.transaction_bytes,
            }),
            call_memory: Pool::new(Bounds {
                total: settings.calls_at_a_time.saturating_mul(USUAL_CALL) + LARGE_CALLS,
                user: settings.calls_per_user.saturating_mul(USUAL_CALL) + LARGE_CALLS,
                trunk: settings.calls_at_a_time.saturating_mul(USUAL_CALL) + LARGE_CALLS,
            }),
            held_by_calls: Mutex::default(),
            called: Pool::new(Bounds { total: usize::MAX, user: settings.calls_per_user, trunk: usize::MAX }),
            flows: Flows::default(),
            trunks: Trunks::new(&settings.trunks),
            carriers: Carriers::default(),
            given_up: GivenUp::default(),
            turns: Turns::new(),
            failed_logins: FailedLogins::new(
                settings.failed_logins_per_minute,
                settings.failed_logins_per_address,
            ),
            stranger_lines: Seldom::default(),
            unjudged_lines: Seldom::default(),
            journal: Journal::default(),
            draining: AtomicBool::new(false),
            releases: AtomicUsize::new(0),
            runtime,
            settings,
            identity,
            ports,
            metrics,
        }))
    }
}

impl<R> Clone for Node<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Runtime> Ingress for Node<R> {
    fn opened(&self, source: &Source) {
        self.connection_opened(source);
    }

    async fn receive(&self, source: &Source, raw: Bytes) {
        self.message(source, raw).await;
    }

    fn closed(&self, source: &Source, why: CloseReason) {
        self.connection_closed(source, why);
    }

    fn unreachable(&self, to: &Destination, why: SendError) {
        self.destination_unreachable(to, why);
    }
}

/// Bytes for a call whose INVITE is of usual length.
const USUAL_CALL: usize = 32 * 1_024;
/// Bytes beside, so that also where few calls are allowed some of the largest INVITEs are.
const LARGE_CALLS: usize = 1_024 * 1_024;
/// Users that have room for transactions however many of them flood.
const USERS_AT_LEAST: usize = 16;

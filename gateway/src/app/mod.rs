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
mod link;
pub mod metrics;
mod options;
mod quality;
mod redact;
mod register;
mod reject;
mod settings;
mod transactions;
mod trunks;
mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use bytes::Bytes;
use daemon::seldom::Seldom;
use sip_core::auth::NonceSealer;
use sip_core::routing::Sealer;
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
use metrics::Metrics;
use transactions::TransactionLayer;
use trunks::Trunks;

pub use link::UDP_LISTENER;
pub use settings::{AppSettings, Dialplan, Trunk};
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
    flows: Flows,
    trunks: Trunks,
    carriers: Carriers,
    given_up: GivenUp,
    turns: Turns,
    failed_logins: FailedLogins,
    metrics: Metrics,
    stranger_lines: Seldom<Instant>,
    unjudged_lines: Seldom<Instant>,
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
            transactions: TransactionLayer::new(settings.timing, settings.transactions, |key| {
                runtime.random(key)
            }),
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

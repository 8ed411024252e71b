//! Names of trunks are looked up here, again and again, and never while a call waits.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::anyhow;
use sip_core::routing::locate::{Servers, Target};
use tokio::sync::{mpsc, watch};
use tracing::Instrument;

use super::sip_transport;
use crate::adapters::resolver::{SystemResolver, keep_resolved};
use crate::app::Node;
use crate::config::{Settings, host_and_port};
use crate::ports::resolver::Resolver;
use crate::ports::runtime::Runtime;
use crate::runtime::tokio::Tokio;

/// Look-ups under way.
pub(super) struct Names {
    again: watch::Sender<()>,
    /// Closed when each of them was found once.
    missing: mpsc::Receiver<Infallible>,
}

/// Begins with every host of every trunk.
pub(super) fn look_up(settings: &Settings, node: &Node<Tokio>, runtime: Tokio) -> anyhow::Result<Names> {
    let resolver: Arc<dyn Resolver> = Arc::new(SystemResolver::new(random_word(runtime)));
    let (again, _) = watch::channel(());
    let (is_missing, missing) = mpsc::channel(1);
    for trunk in &settings.trunks {
        let transport = sip_transport(trunk.transport);
        for (at, host) in trunk.hosts().enumerate() {
            let (host, port) =
                host_and_port(host).ok_or_else(|| anyhow!("trunk {:?}: {host:?} is no host", trunk.name))?;
            let target = Target::new(&host, port, transport);
            let (node, name) = (node.clone(), trunk.name.clone());
            let mut is_missing = Some(is_missing.clone());
            let found = move |servers: &Servers| {
                let addresses: Vec<_> = servers.by_weight().iter().map(|found| found.address).collect();
                tracing::info!(?addresses, "trunk found");
                node.trunk_resolved(&name, at, servers);
                drop(is_missing.take());
            };
            let looking = keep_resolved(Arc::clone(&resolver), target, again.subscribe(), found);
            tokio::spawn(looking.instrument(tracing::info_span!("trunk", name = trunk.name)));
        }
    }
    Ok(Names { again, missing })
}

impl Names {
    /// Waits until each was found once.
    pub(super) async fn found(&mut self) {
        _ = self.missing.recv().await;
    }

    /// All of them now, whatever is left of the answers before.
    pub(super) fn again(&self) {
        self.again.send_replace(());
    }
}

/// Numbers that nobody can predict.
pub(super) fn random_word(runtime: Tokio) -> impl Fn() -> u32 + Send + Sync + 'static {
    move || {
        let mut bytes = [0; 4];
        runtime.random(&mut bytes);
        u32::from_be_bytes(bytes)
    }
}

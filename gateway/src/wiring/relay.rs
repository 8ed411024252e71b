//! The media relay that the configuration wants: inside, or a pool of programs.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use daemon::certificate::Certificate;
use daemon::tls;
use media_relay::{BoundSockets, Relay, TurnConfig, register_relay_metrics, register_turn_metrics};
use prometheus::{IntGaugeVec, Opts, Registry};
use relay_api::RelayName;
use relay_api::turn::Secret;
use tokio::sync::mpsc;

use crate::adapters::embedded_relay::EmbeddedRelay;
use crate::adapters::relay_pool::{Endpoint, RelayPool};
use crate::config::{PoolRelay, RelayKind, Settings};
use crate::ports::media::MediaRelay;
use crate::ports::runtime::Runtime;
use crate::runtime::tokio::Tokio;

/// The relay as the program knows it.
pub(super) enum Media {
    Embedded(Relay),
    Pool(Arc<RelayPool>),
}

impl Media {
    pub(super) fn port(&self) -> Arc<dyn MediaRelay> {
        match self {
            Self::Embedded(relay) => Arc::new(EmbeddedRelay(relay.clone())),
            Self::Pool(pool) => pool.clone(),
        }
    }

    /// Until calls can have sound.
    pub(super) async fn until_ready(&self) {
        match self {
            Self::Embedded(_) => {}
            Self::Pool(pool) => pool.until_ready().await,
        }
    }

    /// The relay whose TURN shares the port of `listen.wss`.
    pub(super) fn turn_on_wss(&self, settings: &Settings) -> Option<Relay> {
        match self {
            Self::Embedded(relay) => settings.turn_clients.on_wss.then(|| relay.clone()),
            Self::Pool(_) => None,
        }
    }

    /// What credentials of TURN have to be made with from now on; relays of a pool read that by themselves.
    pub(super) async fn set_turn_secrets(&self, secrets: &[Secret]) {
        if let Self::Embedded(relay) = self {
            // A relay that has stopped needs none.
            _ = relay.set_turn_secrets(secrets.to_vec()).await;
        }
    }

    pub(super) async fn stop(&self) {
        match self {
            Self::Embedded(relay) => relay.stop().await,
            // It serves other gateways.
            Self::Pool(_) => {}
        }
    }
}

/// What it tells, in the order in which it happened in each session.
pub(super) enum MediaEvents {
    Embedded(media_relay::Events),
    Pool(mpsc::Receiver<relay_api::Event>),
}

impl MediaEvents {
    pub(super) async fn next(&mut self) -> Option<relay_api::Event> {
        match self {
            Self::Embedded(events) => events.next().await,
            Self::Pool(events) => events.recv().await,
        }
    }
}

/// `sockets` are for the relay inside; `shown`: the certificates for relays of the pool, by their names.
pub(super) fn start(
    settings: &Settings,
    sockets: BoundSockets,
    turn: Option<TurnConfig>,
    shown: &HashMap<String, Arc<Certificate>>,
    runtime: &Tokio,
    registry: &Registry,
) -> anyhow::Result<(Media, MediaEvents)> {
    match settings.relay.kind {
        RelayKind::Embedded => {
            let has_turn = turn.is_some();
            let config =
                settings.relay_addressing.config(settings.relay.media_timeout.0, settings.limits.calls, turn);
            let (relay, events) = Relay::start_with(config, sockets).context("relay")?;
            register_relay_metrics(registry, relay.clone())?;
            if has_turn {
                register_turn_metrics(registry, relay.clone(), settings.turn.allocations)?;
            }
            Ok((Media::Embedded(relay), MediaEvents::Embedded(events)))
        }
        RelayKind::Pool => {
            let relays = settings.relay_pool.iter().map(|relay| pool_relay(relay, shown.get(&relay.name)));
            let relays = relays.collect::<anyhow::Result<_>>()?;
            let runtime = *runtime;
            let chance = move || {
                let mut bytes = [0; 8];
                runtime.random(&mut bytes);
                u64::from_be_bytes(bytes)
            };
            let ready = Opts::new("gateway_relay_ready", "1 if the relay takes new sessions");
            let ready = IntGaugeVec::new(ready, &["relay"])?;
            registry.register(Box::new(ready.clone()))?;
            let (pool, events) = RelayPool::start(relays, chance, ready).context("relay.pool")?;
            Ok((Media::Pool(Arc::new(pool)), MediaEvents::Pool(events)))
        }
    }
}

fn pool_relay(relay: &PoolRelay, shown: Option<&Arc<Certificate>>) -> anyhow::Result<(RelayName, Endpoint)> {
    let url = relay.parse_url().map_err(|what| anyhow!("relay {:?}: {what}", relay.name))?;
    let roots = relay.ca_file.as_deref().map(tls::authorities).transpose()?;
    let tls = match (roots, shown) {
        (Some(roots), Some(certificate)) => Some(tls::client_with(roots, certificate.clone())?),
        (Some(roots), None) => Some(tls::client(roots)?),
        (None, _) => None,
    };
    Ok((RelayName(relay.name.clone()), Endpoint { url, tls, token_file: relay.token_file.clone() }))
}

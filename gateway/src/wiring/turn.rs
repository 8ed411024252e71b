//! TURN: what the relay inside is started with, and what browsers are told.

use std::sync::Arc;

use arc_swap::ArcSwap;
use daemon::tls;
use media_relay::TurnConfig;

use super::access::Access;
use crate::app::TurnServers;
use crate::config::{Settings, has_turn};

/// For the relay inside, and for browsers.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) server: Option<TurnConfig>,
    pub(super) told: Option<TurnServers>,
}

impl Turn {
    pub(super) fn of(settings: &Settings, access: &Access) -> anyhow::Result<Self> {
        let clients = &settings.turn_clients;
        let Some(secret) = access.turn.secrets.first() else { return Ok(Self::default()) };
        let told = TurnServers {
            urls: clients.urls.clone(),
            secret: Arc::new(ArcSwap::from_pointee(secret.clone())),
            lifetime: clients.lifetime.0,
        };
        let tls = access
            .turn
            .certificate
            .clone()
            .map(|certificate| tls::server(certificate, None, &[]))
            .transpose()?;
        let server =
            has_turn(&settings.turn, clients).then(|| settings.turn.config(access.turn.secrets.clone(), tls));
        Ok(Self { server, told: Some(told) })
    }
}

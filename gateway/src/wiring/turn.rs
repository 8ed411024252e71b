//! TURN: its secrets, its certificate, and what browsers are told.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;
use daemon::state_folder::StateFolder;
use daemon::tls;
use media_relay::{TurnConfig, read_secrets};
use relay_api::turn::Secret;
use rustls::ServerConfig;
use zeroize::Zeroizing;

use crate::app::TurnServers;
use crate::config::{Settings, has_turn};
use crate::ports::runtime::Runtime;
use crate::runtime::tokio::Tokio;

/// For the relay inside, and for browsers.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) server: Option<TurnConfig>,
    pub(super) told: Option<TurnServers>,
}

impl Turn {
    pub(super) fn of(settings: &Settings, state: &StateFolder, runtime: &Tokio) -> anyhow::Result<Self> {
        let clients = &settings.turn_clients;
        if clients.urls.is_empty() {
            return Ok(Self::default());
        }
        let secrets = secrets(settings, state, runtime).context("turn.secrets_file")?;
        let told = secrets.first().cloned().map(|secret| TurnServers {
            urls: clients.urls.clone(),
            secret,
            lifetime: clients.lifetime.0,
        });
        let server = match has_turn(&settings.turn, clients) {
            true => Some(settings.turn.config(secrets, certificate(settings, state)?)),
            false => None,
        };
        Ok(Self { server, told })
    }
}

fn secrets(settings: &Settings, state: &StateFolder, runtime: &Tokio) -> anyhow::Result<Vec<Secret>> {
    if let Some(file) = &settings.turn.secrets_file {
        return Ok(read_secrets(file)?);
    }
    let key = state.key("turn-secret", |bytes| runtime.random(bytes))?;
    let text: Zeroizing<String> = Zeroizing::new(key.iter().map(|byte| format!("{byte:02x}")).collect());
    let secret = Secret::new(&text).ok_or_else(|| anyhow!("no secret could be made"))?;
    Ok(vec![secret])
}

fn certificate(
    settings: &Settings,
    state: &StateFolder,
) -> anyhow::Result<Option<Arc<ArcSwap<ServerConfig>>>> {
    if settings.turn.tls.is_empty() {
        return Ok(None);
    }
    let certificate = match settings.turn.certificate_files() {
        Some((chain, key)) => daemon::certificate::Certificate::load(chain, key)?,
        None => super::certificate(settings, state)?,
    };
    Ok(Some(Arc::new(ArcSwap::new(tls::server(certificate, None, &[])?))))
}

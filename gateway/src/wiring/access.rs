//! What can change while calls go on: certificates, users, secrets.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use daemon::certificate::Certificate;
use daemon::state_folder::StateFolder;
use media_relay::{TurnAccess, read_secrets};
use relay_api::turn::Secret;
use zeroize::Zeroizing;

use crate::adapters::demo_users::{DemoUser, demo_users};
use crate::adapters::users_file::UsersFile;
use crate::config::Settings;
use crate::ports::runtime::Runtime;
use crate::runtime::tokio::Tokio;

/// Read as a whole, so that a half-good set is never used.
pub(super) struct Access {
    pub(super) users: Arc<UsersFile>,
    /// If they were made just now.
    pub(super) new_users: Vec<DemoUser>,
    pub(super) turn: TurnAccess,
    /// Of `listen.wss` and `listen.sip_tls`, if one of them is on.
    pub(super) certificate: Option<Arc<Certificate>>,
}

impl Access {
    pub(super) fn read(settings: &Settings, state: &StateFolder, runtime: &Tokio) -> anyhow::Result<Self> {
        let (users, new_users) = users(settings, state, runtime)?;
        let turn = turn(settings, state, runtime)?;
        let is_needed = settings.listen.wss.or(settings.listen.sip_tls).is_some();
        let certificate = is_needed.then(|| certificate(settings, state)).transpose()?;
        Ok(Self { users: Arc::new(users), new_users, turn, certificate })
    }
}

fn users(
    settings: &Settings,
    state: &StateFolder,
    runtime: &Tokio,
) -> anyhow::Result<(UsersFile, Vec<DemoUser>)> {
    let (path, made) = match &settings.users.file {
        Some(path) => (path.clone(), Vec::new()),
        None => demo_users(state, |bytes| runtime.random(bytes))?,
    };
    Ok((UsersFile::read(&path)?, made))
}

fn turn(settings: &Settings, state: &StateFolder, runtime: &Tokio) -> anyhow::Result<TurnAccess> {
    if settings.turn_clients.urls.is_empty() {
        return Ok(TurnAccess::default());
    }
    let secrets = turn_secrets(settings, state, runtime).context("turn.secrets_file")?;
    let certificate = match settings.turn.certificate_files() {
        Some((chain, key)) => Some(Certificate::load(chain, key)?),
        None if settings.turn.tls.is_empty() => None,
        None => Some(certificate(settings, state)?),
    };
    Ok(TurnAccess { secrets, certificate })
}

fn turn_secrets(settings: &Settings, state: &StateFolder, runtime: &Tokio) -> anyhow::Result<Vec<Secret>> {
    if let Some(file) = &settings.turn.secrets_file {
        return Ok(read_secrets(file)?);
    }
    let key = state.key("turn-secret", |bytes| runtime.random(bytes))?;
    let text: Zeroizing<String> = Zeroizing::new(key.iter().map(|byte| format!("{byte:02x}")).collect());
    let secret = Secret::new(&text).ok_or_else(|| anyhow!("no secret could be made"))?;
    Ok(vec![secret])
}

/// Of `[tls]`.
fn certificate(settings: &Settings, state: &StateFolder) -> anyhow::Result<Arc<Certificate>> {
    Ok(match (&settings.tls.certificate_file, &settings.tls.key_file) {
        (Some(certificate), Some(key)) => Certificate::load(certificate, key)?,
        _ => Certificate::self_signed(state.path(), &settings.tls.names)?,
    })
}

//! What can change while calls go on: certificates, users, secrets.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use daemon::certificate::{Certificate, WorseCertificate};
use daemon::state_folder::StateFolder;
use media_relay::{TurnAccess, read_secrets};
use relay_api::turn::Secret;
use zeroize::Zeroizing;

use super::trunk_tls::{self, TrunkAccess};
use crate::adapters::demo_users::{self, DemoUser};
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
    /// What relays of the pool are shown, by their names.
    pub(super) relays: HashMap<String, Arc<Certificate>>,
    /// What trunks are judged by and shown, by their names.
    pub(super) trunks: HashMap<String, TrunkAccess>,
}

impl Access {
    /// Nothing is made for a configuration that is refused because of a file: those that it names are read first, and what is
    /// shown once is made last.
    pub(super) fn read(settings: &Settings, state: &StateFolder, runtime: &Tokio) -> anyhow::Result<Self> {
        let users = kept_users(settings, state)?;
        let turn = named_turn_files(settings)?;
        let relays = shown_to_relays(settings)?;
        let trunks = trunk_tls::read(settings)?;
        let is_needed = settings.listen.wss.or(settings.listen.sip_tls).is_some();
        let certificate = is_needed.then(|| certificate(settings, state)).transpose()?;
        let turn = with_our_own(turn, settings, state, runtime)?;
        let (users, new_users) = match users {
            Some(users) => (users, Vec::new()),
            None => {
                let made = demo_users::make(state, |bytes| runtime.random(bytes))?;
                (UsersFile::read(&demo_users::file(state))?, made)
            }
        };
        Ok(Self { users: Arc::new(users), new_users, turn, certificate, relays, trunks })
    }
}

impl Access {
    /// Whether the new certificates may take the place of these.
    ///
    /// # Errors
    /// One of them may not.
    pub(super) fn may_become(&self, new: &Self, now: Duration) -> Result<(), WorseCertificate> {
        let new = new.certificates();
        self.certificates().iter().try_for_each(|(section, shown)| match new.get(section) {
            Some(new) => shown.may_become(new, section, now),
            None => Ok(()),
        })
    }

    /// By the sections that name them.
    fn certificates(&self) -> BTreeMap<String, &Arc<Certificate>> {
        let own = [("tls", &self.certificate), ("turn", &self.turn.certificate)];
        let own = own.into_iter().filter_map(|(section, shown)| Some((section.to_owned(), shown.as_ref()?)));
        let relays = self.relays.iter().map(|(name, shown)| (format!("relay.pool[{name}]"), shown));
        let trunks = self
            .trunks
            .iter()
            .filter_map(|(name, trunk)| Some((format!("trunk[{name}]"), trunk.certificate.as_ref()?)));
        own.chain(relays).chain(trunks).collect()
    }
}

/// None if demo users are to be made.
fn kept_users(settings: &Settings, state: &StateFolder) -> anyhow::Result<Option<UsersFile>> {
    let kept = || Some(demo_users::file(state)).filter(|path| path.exists());
    let path = settings.users.file.clone().or_else(kept);
    Ok(path.map(|path| UsersFile::read(&path)).transpose()?)
}

fn named_turn_files(settings: &Settings) -> anyhow::Result<TurnAccess> {
    if settings.turn_clients.urls.is_empty() {
        return Ok(TurnAccess::default());
    }
    let secrets = settings.turn.secrets_file.as_deref().map(read_secrets).transpose();
    let certificate = settings.turn.certificate_files().map(|(chain, key)| Certificate::load(chain, key));
    Ok(TurnAccess {
        secrets: secrets.context("turn.secrets_file")?.unwrap_or_default(),
        certificate: certificate.transpose()?,
    })
}

fn shown_to_relays(settings: &Settings) -> anyhow::Result<HashMap<String, Arc<Certificate>>> {
    let files = settings.relay_pool.iter().filter_map(|relay| Some((relay, relay.certificate_files()?)));
    files.map(|(relay, (chain, key))| Ok((relay.name.clone(), Certificate::load(chain, key)?))).collect()
}

/// Adds the certificate of `[tls]` and a secret of ours where TURN needs them and has none.
fn with_our_own(
    mut turn: TurnAccess,
    settings: &Settings,
    state: &StateFolder,
    runtime: &Tokio,
) -> anyhow::Result<TurnAccess> {
    if settings.turn_clients.urls.is_empty() {
        return Ok(turn);
    }
    if turn.certificate.is_none() && !settings.turn.tls.is_empty() {
        turn.certificate = Some(certificate(settings, state)?);
    }
    if turn.secrets.is_empty() {
        let key = state.key("turn-secret", |bytes| runtime.random(bytes))?;
        let text: Zeroizing<String> = Zeroizing::new(key.iter().map(|byte| format!("{byte:02x}")).collect());
        turn.secrets.push(Secret::new(&text).ok_or_else(|| anyhow!("no secret could be made"))?);
    }
    Ok(turn)
}

/// Of `[tls]`.
fn certificate(settings: &Settings, state: &StateFolder) -> anyhow::Result<Arc<Certificate>> {
    Ok(match (&settings.tls.certificate_file, &settings.tls.key_file) {
        (Some(certificate), Some(key)) => Certificate::load(certificate, key)?,
        _ => Certificate::self_signed(state.path(), &settings.tls.names)?,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;

    use daemon::config;

    use super::*;

    #[test]
    fn nothing_is_made_for_a_configuration_that_is_refused_because_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&folder.path().join("var")).unwrap();
        fs::write(folder.path().join("secrets"), "short").unwrap();
        let turn = "[turn]\nurls = [\"turn:127.0.0.1\"]\ntcp = [\"127.0.0.1:0\"]\n";
        for named in [
            format!("{turn}secrets_file = \"secrets\""),
            format!("{turn}tls = [\"127.0.0.1:0\"]\ncertificate_file = \"c\"\nkey_file = \"k\""),
            "[tls]\ncertificate_file = \"c\"\nkey_file = \"k\"".to_owned(),
            "[users]\nfile = \"nobody\"".to_owned(),
        ] {
            let settings: Settings = config::parse(&named, folder.path()).unwrap();
            assert!(Access::read(&settings, &state, &Tokio::start()).is_err(), "{named}");
            assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0, "{named}");
        }
        let access = Access::read(&Settings::default(), &state, &Tokio::start()).unwrap();
        assert_eq!(access.new_users.len(), 2);
        assert!(state.file("self-signed.pem").exists());
        let again = Access::read(&Settings::default(), &state, &Tokio::start()).unwrap();
        assert!(again.new_users.is_empty());
    }
}

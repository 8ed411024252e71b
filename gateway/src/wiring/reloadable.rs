//! SIGHUP: certificates, users and secrets are exchanged under calls that go on.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use daemon::certificate::Certificate;
use daemon::cli::Program;
use daemon::config::Reader;
use daemon::state_folder::StateFolder;
use daemon::{clock, reload};
use relay_api::turn::Secret;

use super::Gateway;
use super::access::Access;
use super::relay::Media;
use crate::config::Settings;
use crate::runtime::tokio::Tokio;

/// The running program, as far as it can be changed.
pub(super) struct Reloadable<'a> {
    pub(super) settings: &'a Settings,
    pub(super) file: Option<&'a Path>,
    pub(super) state: &'a StateFolder,
    pub(super) runtime: &'a Tokio,
    pub(super) access: &'a Access,
    pub(super) relay: &'a Media,
    /// What browsers' credentials are made with; none without TURN.
    pub(super) turn_secret: Option<Arc<ArcSwap<Secret>>>,
}

impl Reloadable<'_> {
    /// Reads everything again. It is used if all of it is good; else nothing changes.
    pub(super) async fn reload(&self) {
        let now = clock::since_1970();
        let look = |new: &Settings, reader: &mut Reader| Gateway::look(new, reader, now);
        let read = reload::read(self.file, look, |new| {
            let access = Access::read(new, self.state, self.runtime)?;
            self.access.may_become(&access, now)?;
            Ok(access)
        });
        let Some((new, access)) = read else { return };
        self.access.users.replace(&access.users);
        super::announce_users(&access.new_users);
        replace(&self.access.certificate, &access.certificate);
        replace(&self.access.turn.certificate, &access.turn.certificate);
        for (name, shown) in &self.access.relays {
            if let Some(new) = access.relays.get(name) {
                shown.replace(new);
            }
        }
        for (name, shown) in &self.access.trunks {
            if let Some(new) = access.trunks.get(name) {
                shown.replace(new);
            }
        }
        if let (Some(told), Some(first)) = (&self.turn_secret, access.turn.secrets.first()) {
            // The relay first, so that nobody is told what it does not know.
            self.relay.set_turn_secrets(&access.turn.secrets).await;
            told.store(Arc::new(first.clone()));
        }
        reload::done("certificates, users and TURN secrets", &self.settings.fixed_changes(&new));
    }
}

fn replace(shown: &Option<Arc<Certificate>>, new: &Option<Arc<Certificate>>) {
    if let (Some(shown), Some(new)) = (shown, new) {
        shown.replace(new);
    }
}

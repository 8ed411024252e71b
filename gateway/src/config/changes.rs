//! What of a new configuration counts only after a restart.

use media_relay::Addressing;

use super::{PoolRelay, Relay, Settings, Trunk};

impl Settings {
    /// Sections that differ in more than what is read again: certificates, users and secrets, wherever their files are.
    pub(crate) fn fixed_changes(&self, new: &Self) -> Vec<&'static str> {
        let changed = [
            ("listen", self.listen != new.listen),
            ("admin", self.admin != new.admin),
            ("browser", self.browser != new.browser),
            ("dialplan", self.dialplan != new.dialplan),
            ("calls", self.calls != new.calls),
            ("relay", self.relay_of() != new.relay_of()),
            ("turn", self.turn.needs_restart(&new.turn) || self.turn_clients != new.turn_clients),
            ("store", self.store != new.store),
            ("limits", self.limits != new.limits),
            ("log", self.log != new.log),
            ("state", self.state != new.state),
            ("trunk", self.trunks_of() != new.trunks_of()),
        ];
        changed.into_iter().filter_map(|(key, is_changed)| is_changed.then_some(key)).collect()
    }

    /// Everything in `[[trunk]]` that is not read again, and whether there is a file for all of them.
    fn trunks_of(&self) -> (bool, Vec<Trunk>) {
        (self.tls.trunk_ca_file.is_some(), self.trunks.iter().map(Trunk::fixed).collect())
    }

    /// Everything in `[relay]` that is not read again.
    fn relay_of(&self) -> (&Relay, &Addressing, Vec<PoolRelay>) {
        (&self.relay, &self.relay_addressing, self.relay_pool.iter().map(PoolRelay::fixed).collect())
    }
}

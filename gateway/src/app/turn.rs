//! What a registered browser is told about TURN: where it is, and credentials of its own for a while.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use relay_api::turn::{Credentials, Secret};
use serde_json::json;
use sip_core::message::Name;
use sip_core::time::UnixMillis;

/// The TURN servers of our relays.
#[derive(Clone, Debug)]
pub struct TurnServers {
    /// RFC 7065.
    pub urls: Vec<String>,
    /// Known to the relays as well. Another one may take its place at any time.
    pub secret: Arc<ArcSwap<Secret>>,
    /// How long credentials are good for new allocations.
    pub lifetime: Duration,
}

impl TurnServers {
    /// An `RTCIceServer` (WebRTC §4.2.4) in JSON, with its lifetime in seconds. The relay counts allocations by the user's
    /// name, which is part of what the password proves.
    pub(super) fn ice_server(&self, user: &str, now: UnixMillis) -> String {
        let expires = now.plus(self.lifetime).0 / 1_000;
        let Credentials { username, password } = self.secret.load().issue(user, expires);
        let lifetime = self.lifetime.as_secs();
        json!({ "urls": self.urls, "username": username, "credential": password, "lifetime": lifetime })
            .to_string()
    }
}

/// In the 200 to a browser's REGISTER.
pub(super) const ICE_SERVER: Name<'static> = Name::Other("X-ICE-Server");

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_what_its_peer_connection_takes() {
        let servers = TurnServers {
            urls: vec!["turns:localhost:443".into()],
            secret: Arc::new(ArcSwap::from_pointee(Secret::new("north").unwrap())),
            lifetime: Duration::from_secs(600),
        };
        let told = servers.ice_server("alice", UnixMillis(1_789_999_400_999));
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let expected = json!({
            "urls": ["turns:localhost:443"],
            "username": "1790000000:alice",
            "credential": "bkNQAGOiGcDMDatOUuHbbdAqDKY=",
            "lifetime": 600,
        });
        assert_eq!(told, expected);
        assert!(!format!("{servers:?}").contains("north"));
    }
}

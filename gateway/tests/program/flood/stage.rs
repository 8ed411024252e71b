//! The programs that are flooded, and their doors.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use super::super::pool::{self, Relay};
use super::super::program::{Gateway, Shape, free_port};
use tempfile::TempDir;

/// What is flooded; ends with the value.
pub struct Stage {
    gateway: Gateway,
    relay: Option<Relay>,
    pub doors: Doors,
    _folder: Option<TempDir>,
}

/// Where one can come in.
#[derive(Clone, Copy)]
pub struct Doors {
    pub ws: SocketAddr,
    pub wss: SocketAddr,
    pub sip: SocketAddr,
    pub sip_tls: SocketAddr,
    pub admin: SocketAddr,
    pub turn_udp: SocketAddr,
    pub turn_tcp: SocketAddr,
    pub turn_tls: SocketAddr,
    pub media: SocketAddr,
    /// Of a relay that is a program of its own.
    pub control: Option<SocketAddr>,
}

impl Stage {
    /// With the relay inside, and default limits.
    pub fn embedded() -> Arc<Self> {
        let doors = Ports::free();
        let urls = format!("urls = [\"turn:{}\"]\n", doors.turn_udp);
        let (media, turn) = (doors.media.port(), doors.turn(&urls));
        let sections =
            format!("[relay]\nbrowser_port = {media}\nrtp_ports = [20000, 24999]\nworkers = 1\n{turn}");
        let gateway = Gateway::launch(&Shape {
            listen_lines: &doors.sip_tls(),
            limits: "",
            sections: &sections,
            ..Shape::default()
        });
        Arc::new(Self { doors: doors.of(&gateway, None), gateway, relay: None, _folder: None })
    }

    /// With one relay that is a program of its own.
    pub fn pool() -> Arc<Self> {
        let doors = Ports::free();
        let folder = TempDir::new().unwrap();
        let secrets = folder.path().join("turn-secrets");
        fs::write(&secrets, "a-secret-of-more-than-16").unwrap();
        let secrets = format!("secrets_file = {secrets:?}\n");
        let shown = "certificate_file = \"self-signed.pem\"\nkey_file = \"self-signed.key\"\n";
        let turn = doors.turn(&format!("{secrets}{shown}"));
        let sections = format!("browser_port = {}\n{turn}", doors.media.port());
        let relay = Relay::start_with(20_000..=24_999, &sections);
        let told = format!("[turn]\nurls = [\"turn:{}\"]\n{secrets}", doors.turn_udp);
        let gateway = pool::gateway_for(&relay, &doors.sip_tls(), &told);
        Arc::new(Self {
            doors: doors.of(&gateway, Some(relay.control)),
            gateway,
            relay: Some(relay),
            _folder: Some(folder),
        })
    }

    /// Resident memory of each program in KiB.
    pub fn memory(&self) -> Vec<(&'static str, u64)> {
        let relay = self.relay.as_ref().map(|relay| ("media-relay", relay.memory()));
        [("gateway", self.gateway.memory())].into_iter().chain(relay).collect()
    }
}

/// Those that are chosen before the start.
struct Ports {
    sip_tls: SocketAddr,
    turn_udp: SocketAddr,
    turn_tcp: SocketAddr,
    turn_tls: SocketAddr,
    media: SocketAddr,
}

impl Ports {
    fn free() -> Self {
        let [sip_tls, turn_udp, turn_tcp, turn_tls, media] = std::array::from_fn(|_| free_port());
        Self { sip_tls, turn_udp, turn_tcp, turn_tls, media }
    }

    fn sip_tls(&self) -> String {
        format!("sip_tls = \"{}\"", self.sip_tls)
    }

    fn turn(&self, lines: &str) -> String {
        let Self { turn_udp: udp, turn_tcp: tcp, turn_tls: tls, .. } = self;
        format!(
            "[turn]\nudp = [\"{udp}\"]\ntcp = [\"{tcp}\"]\ntls = [\"{tls}\"]\nrelayed_ports = [25000, 29999]\n{lines}"
        )
    }

    fn of(self, gateway: &Gateway, control: Option<SocketAddr>) -> Doors {
        let Self { sip_tls, turn_udp, turn_tcp, turn_tls, media } = self;
        let (ws, wss, sip, admin) = (gateway.ws, gateway.wss, gateway.sip, gateway.admin);
        Doors { ws, wss, sip, sip_tls, admin, turn_udp, turn_tcp, turn_tls, media, control }
    }
}

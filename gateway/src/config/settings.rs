//! All keys of the configuration: name, type, default and meaning, declared once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use daemon::config::{Configuration, Duration, Log, Reader, Section, Table};
use daemon::{section, words};
use ipnet::IpNet;
use media_relay::{Addressing, AddressingKeys, BoundRange, MIN_MEDIA_TIMEOUT, TurnSettings, is_same_place};

use super::origin;
use super::page::PageFolder;
use super::relay_pool::{self, PoolRelay};
use super::trunk::{self, Trunk};
use super::turn::{self, TurnClients};

section! {
    /// Where the gateway listens. A listener that is `"off"` is not opened.
    Listen at "listen" {
        /// HTTPS and SIP over secure WebSocket (RFC 7118), on one port.
        wss: Option<SocketAddr> = Some(local(8443)),
        /// HTTP and SIP over plain WebSocket; for a proxy in front that ends TLS, or for tests.
        ws: Option<SocketAddr> = None,
        /// SIP over UDP, for trunks.
        sip_udp: Option<SocketAddr> = Some(local(5060)),
        /// SIP over TCP, for trunks.
        sip_tcp: Option<SocketAddr> = Some(local(5060)),
        /// SIP over TLS, for trunks.
        sip_tls: Option<SocketAddr> = None,
        /// The address that trunks are told in Via and Contact, or one of each family; needed when a listener is bound to `0.0.0.0` or `::` (which serves IPv4 too).
        advertised: Vec<IpAddr> = Vec::new(),
        /// Networks of proxies in front of `ws` and `wss`: their `X-Forwarded-For` says where a WebSocket comes from, and limits count that address.
        proxies: Vec<IpNet> = Vec::new(),
        /// Listeners on which each connection from `proxies` begins with a header of the PROXY protocol, version 2, which says where it comes from.
        proxy_protocol: Vec<Proxied> = Vec::new(),
    }
}

section! {
    /// The operators' listener: `/livez`, `/readyz` and `/metrics`.
    Admin at "admin" {
        /// Keep it away from the outside.
        listen: Option<SocketAddr> = Some(local(9090)),
    }
}

section! {
    /// TLS of `listen.wss` and `listen.sip_tls`. Without files a self-signed certificate is made on the first start and
    /// kept in `state.folder`.
    Tls at "tls" {
        /// PEM file with the certificate chain.
        certificate_file: Option<PathBuf> = None,
        /// PEM file with the private key.
        key_file: Option<PathBuf> = None,
        /// Names and addresses in the self-signed certificate, besides `localhost`, `127.0.0.1` and `::1`.
        names: Vec<String> = Vec::new(),
        /// `ca_file` of the trunks that have none. A certificate that is in it itself must still bear the name of the trunk that shows it.
        trunk_ca_file: Option<PathBuf> = None,
    }
}

section! {
    /// The browsers' side.
    Browser at "browser" {
        /// Domain of all users: `sip:NAME@domain`.
        domain: String = "localhost".into(),
        /// Path of the WebSocket.
        path: String = "/ws".into(),
        /// Pages of other hosts that may connect, by their exact `Origin`, such as `"https://phone.example.com"`. The page that this gateway serves itself always may.
        origins: Vec<String> = Vec::new(),
        /// May a client that sends no `Origin` (no browser does that) connect?
        without_origin: bool = false,
        /// Digest algorithms offered to browsers, strongest first (RFC 8760).
        algorithms: Vec<DigestAlgorithm> = vec![DigestAlgorithm::Sha256, DigestAlgorithm::Md5],
        /// Folder with the softphone page; built by `npm --prefix gateway/web run build`. Unless it is set, it is looked for in the working directory and where the program was built.
        page: PageFolder = PageFolder::Built,
        /// How long a registration lasts at most.
        registration: Duration = Duration::seconds(600),
        /// How long a call outlives its browser's connection.
        grace: Duration = Duration::seconds(10),
        /// A ping is sent this often; no answer until the next one closes the connection.
        ping: Duration = Duration::seconds(20),
    }
}

section! {
    /// Who may register. Without a file two demo users are made on the first start, with generated passwords that are
    /// printed once and kept in `state.folder`.
    Users at "users" {
        /// One user a line, `name:password`; empty lines and lines that start with `#` are passed over. Readable by its owner only.
        file: Option<PathBuf> = None,
    }
}

section! {
    /// Where a called number goes.
    Dialplan at "dialplan" {
        /// Number that plays back what it hears.
        echo: Option<String> = Some("echo".into()),
        /// Number that plays a melody.
        tone: Option<String> = Some("tone".into()),
        /// May browsers call each other directly? With a Genesys SIP Server set it to `false`: its desktop sees only calls that pass it.
        between_users: bool = true,
        /// A user's browsers ring all at once, at most four, and the first to answer has the call; or one after the other, the newest
        /// first, when those before can't be reached.
        ring: Ringing = Ringing::Together,
        /// Trunk for every other number; none refuses them with 404.
        trunk: Option<String> = None,
    }
}

section! {
    /// Call timing.
    Calls at "calls" {
        /// A call that nobody answers ends after this.
        no_answer: Duration = Duration::seconds(180),
        /// Headers that pass unchanged from a trunk to a browser, in INVITE and its responses.
        pass_headers_from_trunk: Vec<String> = vec!["X-Genesys-CallUUID".into()],
        /// Headers that pass unchanged from a browser to a trunk or another browser, in INVITE and its responses: any user can write
        /// there what he likes.
        pass_headers_from_browser: Vec<String> = Vec::new(),
    }
}

section! {
    /// The media relay. What follows `kind` is for the embedded one; a relay that is a program of its own has its own
    /// configuration.
    Relay at "relay" {
        /// `embedded` runs it inside this process, `pool` asks those of `[[relay.pool]]`; the gateway is ready when the first of them is.
        kind: RelayKind = RelayKind::Embedded,
        /// A call that receives no sound for this long ends; at least 1s.
        media_timeout: Duration = Duration::seconds(60),
    }
}

section! {
    /// Where calls and registrations are kept.
    Store at "store" {
        /// `memory` keeps them in this process.
        kind: StoreKind = StoreKind::Memory,
    }
}

section! {
    /// Bounds of everything that grows.
    Limits at "limits" {
        /// Connections of browsers in all; three quarters of them may be such that nobody has registered on.
        connections: u32 = 10_000,
        /// Connections from one IPv4 address or one IPv6 /64.
        connections_per_address: u32 = 100,
        /// Messages a second that one connection may send for long; bursts of four times that pass. Of connections that nobody has registered on all
        /// from one address may send twice as many together. More are not lost, they wait.
        messages_per_second: u32 = 100,
        /// Bytes of one SIP message.
        message_bytes: u32 = 65_536,
        /// Header lines of one SIP message.
        message_headers: u32 = 100,
        /// Bytes of one header line.
        header_bytes: u32 = 8_192,
        /// MiB that connections may hold together on which nobody has registered: half messages, answers that are not read. One address gets an eighth.
        strangers_mib: u32 = 64,
        /// MiB that SIP transactions may hold. Strangers get none of it; all browsers together and all trunks together five eighths each,
        /// a user a sixteenth, and new requests nothing of the last eighth. Who has his share gets 503 with Retry-After.
        transactions_mib: u32 = 256,
        /// Calls at a time. 32 KiB are reserved for each, and calls with long INVITEs take more. Of all that all browsers together begin five eighths at
        /// most, and all trunks together.
        calls: u32 = 10_000,
        /// Calls at a time of one user.
        calls_per_user: u32 = 10,
        /// Registered contacts of one user.
        bindings_per_user: u32 = 10,
        /// Failed logins a minute of one user from one IPv4 address or one IPv6 /64, after which his tries from there are answered with 503 and Retry-After unjudged.
        failed_logins_per_minute: u32 = 20,
        /// Failed logins a minute of all users from one such address, after which only users who logged in from there in the last hour are judged.
        failed_logins_per_address: u32 = 100,
    }
}

section! {
    /// What this node keeps on disk: its certificate, its sealing key, the demo users.
    State at "state" {
        /// Made if missing, readable by its owner only.
        folder: PathBuf = "var".into(),
    }
}

/// A listener that a proxy may stand in front of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxied {
    /// `listen.ws`
    Ws,
    /// `listen.wss`
    Wss,
    /// `listen.sip_tcp`
    SipTcp,
    /// `listen.sip_tls`
    SipTls,
}
words!(Proxied: "ws" => Ws, "wss" => Wss, "sip_tcp" => SipTcp, "sip_tls" => SipTls);

/// How the browsers of one user ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ringing {
    /// All at once.
    Together,
    /// The next one when those before can't be reached.
    InTurn,
}
words!(Ringing: "together" => Together, "in_turn" => InTurn);

/// Where the media relay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayKind {
    /// In this process.
    Embedded,
    /// Programs of their own.
    Pool,
}
words!(RelayKind: "embedded" => Embedded, "pool" => Pool);

/// Where state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// In this process.
    Memory,
}
words!(StoreKind: "memory" => Memory);

/// Digest algorithm by its name in RFC 8760.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// RFC 7616; kept for clients that know no other.
    Md5,
    /// RFC 8760.
    Sha256,
    /// RFC 8760.
    Sha512_256,
}
words!(DigestAlgorithm: "MD5" => Md5, "SHA-256" => Sha256, "SHA-512-256" => Sha512_256);

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "each section carries its own")]
pub struct Settings {
    pub listen: Listen,
    pub admin: Admin,
    pub tls: Tls,
    pub browser: Browser,
    pub users: Users,
    pub dialplan: Dialplan,
    pub calls: Calls,
    pub relay: Relay,
    pub relay_addressing: Addressing,
    pub turn: TurnSettings,
    pub turn_clients: TurnClients,
    pub store: Store,
    pub limits: Limits,
    pub log: Log,
    pub state: State,
    pub trunks: Vec<Trunk>,
    pub relay_pool: Vec<PoolRelay>,
}

impl Configuration for Settings {
    const ENVIRONMENT: &'static str = "GATEWAY";
    const REFERENCE: &'static str = "docs/configuration.md";

    fn take(reader: &mut Reader, root: &mut Table) -> Self {
        // A part of the section [relay], so it is taken first.
        let relay_pool = relay_pool::take(reader, root);
        reader.refuse_former(
            root,
            "calls",
            "pass_headers",
            "has a direction now: name the headers in calls.pass_headers_from_trunk, and in \
             calls.pass_headers_from_browser those that every user may write",
        );
        let (relay_addressing, mut relay) = Addressing::take(reader, root, RELAY);
        let (turn, turn_clients) = turn::take(reader, root);
        let settings = Self {
            listen: Listen::take(reader, root),
            admin: Admin::take(reader, root),
            tls: Tls::take(reader, root),
            browser: Browser::take(reader, root),
            users: Users::take(reader, root),
            dialplan: Dialplan::take(reader, root),
            calls: Calls::take(reader, root),
            relay: Relay::take_keys(reader, &mut relay, RELAY),
            relay_addressing,
            turn,
            turn_clients,
            store: Store::take(reader, root),
            limits: Limits::take(reader, root),
            log: Log::take(reader, root),
            state: State::take(reader, root),
            trunks: trunk::take(reader, root),
            relay_pool,
        };
        reader.refuse_unknown(RELAY, &relay);
        settings
    }

    fn resolve_paths(&mut self, base: &Path) {
        let optional = [
            &mut self.tls.certificate_file,
            &mut self.tls.key_file,
            &mut self.tls.trunk_ca_file,
            &mut self.users.file,
        ];
        let of_relays = self.relay_pool.iter_mut().flat_map(PoolRelay::paths);
        let of_trunks = self.trunks.iter_mut().flat_map(Trunk::paths);
        for path in optional.into_iter().chain(of_relays).chain(of_trunks).chain(self.turn.paths()).flatten()
        {
            *path = base.join(&*path);
        }
        for path in [self.browser.page.path(), Some(&mut self.state.folder)].into_iter().flatten() {
            *path = base.join(&*path);
        }
    }

    fn check(&self, reader: &mut Reader) {
        self.check_listeners(reader);
        self.check_ports(reader);
        self.log.check(reader);
        trunk::check(self, reader);
        relay_pool::check(self.relay.kind, &self.relay_pool, &self.relay_addressing.interfaces, reader);
        self.relay_addressing.check(RELAY, reader);
        if self.relay.media_timeout.0 < MIN_MEDIA_TIMEOUT {
            reader.mistake("relay.media_timeout", "expected at least 1s");
        }
        turn::check(self, reader);
        if self.tls.certificate_file.is_some() != self.tls.key_file.is_some() {
            reader.mistake("tls", "certificate_file and key_file go together: set both or neither");
        }
        if !self.browser.path.starts_with('/') {
            reader.mistake("browser.path", "expected a path that starts with \"/\"");
        }
        for what in self.browser.origins.iter().filter_map(|one| origin::check(one).err()) {
            reader.mistake("browser.origins", what);
        }
        if self.browser.algorithms.is_empty() {
            reader.mistake("browser.algorithms", "expected at least one algorithm");
        }
        if let (Some(echo), Some(tone)) = (&self.dialplan.echo, &self.dialplan.tone)
            && echo == tone
        {
            reader
                .mistake("dialplan.tone", "is dialplan.echo too: give each a number of its own, or \"off\"");
        }
        self.check_limits(reader);
    }

    fn sections() -> Vec<Section> {
        vec![
            Listen::section(),
            Admin::section(),
            Tls::section(),
            Browser::section(),
            Users::section(),
            trunk::section(),
            Dialplan::section(),
            Calls::section(),
            Section {
                fields: Relay::section().fields.into_iter().chain(AddressingKeys::section().fields).collect(),
                ..Relay::section()
            },
            Addressing::interface_section(RELAY),
            relay_pool::section(),
            turn::section(),
            Store::section(),
            Limits::section(),
            Log::section(),
            State::section(),
        ]
    }
}

impl Settings {
    /// Listeners of TCP, each with its key.
    pub(crate) fn tcp_listeners(&self) -> Vec<(&'static str, SocketAddr)> {
        let Listen { wss, ws, sip_tcp, sip_tls, .. } = &self.listen;
        let own = [
            ("listen.wss", *wss),
            ("listen.ws", *ws),
            ("listen.sip_tcp", *sip_tcp),
            ("listen.sip_tls", *sip_tls),
            ("admin.listen", self.admin.listen),
        ];
        let own = own.into_iter().filter_map(|(key, at)| Some((key, at?)));
        own.chain(self.turn.tcp_listeners()).collect()
    }

    /// Listeners of UDP, the relay's not among them.
    pub(crate) fn udp_listeners(&self) -> Vec<(&'static str, SocketAddr)> {
        let own = self.listen.sip_udp.map(|at| ("listen.sip_udp", at));
        own.into_iter().chain(self.turn.udp_listeners()).collect()
    }

    /// No two listeners on one port, and none on a port of media.
    fn check_ports(&self, reader: &mut Reader) {
        for listeners in [self.tcp_listeners(), self.udp_listeners()] {
            for (i, (key, at)) in listeners.iter().enumerate() {
                let is_same =
                    |other: &SocketAddr| other.port() == at.port() && is_same_place(other.ip(), at.ip());
                if let Some((other, _)) =
                    listeners[..i].iter().find(|(_, other)| is_same(other) && at.port() != 0)
                {
                    reader.mistake(*key, format!("is the port of {other} too: give each a port of its own"));
                }
            }
        }
        let Some(sip) = self.listen.sip_udp.filter(|_| self.relay.kind == RelayKind::Embedded) else {
            return;
        };
        let takes =
            |range: &BoundRange| is_same_place(range.bind, sip.ip()) && range.ports.contains(&sip.port());
        // Of the ports for trunks' sound the relay passes over those that others have.
        if let Some(range) = self.relay_addressing.browser_ranges().find(takes) {
            let what = format!("is one of the relay's ports {range} (relay.browser_port): take another");
            reader.mistake("listen.sip_udp", what);
        }
    }

    fn check_listeners(&self, reader: &mut Reader) {
        let listeners = [
            ("listen.sip_udp", self.listen.sip_udp),
            ("listen.sip_tcp", self.listen.sip_tcp),
            ("listen.sip_tls", self.listen.sip_tls),
        ];
        for (key, address) in listeners {
            if address.is_some_and(|a| a.ip().is_unspecified()) && self.listen.advertised.is_empty() {
                reader.mistake(
                    key,
                    "is bound to every address: set listen.advertised to the one that trunks reach",
                );
            }
        }
        if let Err(what) = check_told(&self.listen.advertised) {
            reader.mistake("listen.advertised", what);
        }
        if self.listen.proxies.is_empty() && !self.listen.proxy_protocol.is_empty() {
            reader
                .mistake("listen.proxy_protocol", "nobody is believed: set listen.proxies to their networks");
        }
    }

    fn check_limits(&self, reader: &mut Reader) {
        let limits = &self.limits;
        let positive = [
            ("connections", limits.connections),
            ("connections_per_address", limits.connections_per_address),
            ("messages_per_second", limits.messages_per_second),
            ("strangers_mib", limits.strangers_mib),
            ("transactions_mib", limits.transactions_mib),
            ("calls", limits.calls),
            ("calls_per_user", limits.calls_per_user),
            ("bindings_per_user", limits.bindings_per_user),
        ];
        for (key, _) in positive.iter().filter(|(_, value)| *value == 0) {
            reader.mistake(format!("limits.{key}"), "expected at least 1");
        }
        if !(4_096..=65_536).contains(&limits.message_bytes) {
            reader.mistake("limits.message_bytes", "expected a number from 4096 to 65536");
        }
    }
}

/// What peers are told: at most one address of each family.
pub(super) fn check_told(addresses: &[IpAddr]) -> Result<(), String> {
    let of_family = |is_ipv4| addresses.iter().filter(|one| one.is_ipv4() == is_ipv4).count();
    match addresses.iter().find(|one| one.is_unspecified() || one.is_multicast()) {
        Some(one) => Err(format!("expected an address that trunks can reach, not {one}")),
        None if of_family(true) > 1 || of_family(false) > 1 => {
            Err("expected one address, or one of each family".into())
        }
        None => Ok(()),
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

pub(super) const RELAY: &str = "relay";

//! From the configuration to a running gateway: what stands behind each port is chosen here.

mod access;
mod look;
mod names;
mod relay;
mod reloadable;
mod trunk_tls;
mod turn;

use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use daemon::admin::{self, Readiness};
use daemon::cli::Program;
use daemon::config::Reader;
use daemon::state_folder::StateFolder;
use daemon::{descriptors, output, signals, tls};
use media_relay::Relay;
use prometheus::Registry;
use sip_core::auth::{Algorithm, NonceSealer};
use sip_core::call::{Crossing, Policy, Ring, Way};
use sip_core::routing::{Sealer, Transport};
use sip_core::sdp::CodecName;
use sip_core::transaction::Timing;
use sip_core::{message, registrar};

use access::Access;
use look::Sockets;
use reloadable::Reloadable;

use crate::adapters::demo_users::{self, DemoUser};
use crate::adapters::memory::{Capacity, MemoryStore};
use crate::adapters::{
    DialSettings, Greeting, Kind, Limits, Listener, MissingOrigin, Origins, Peers, Proxies, Rate, Transports,
    Web,
};
use crate::app::metrics::Metrics;
use crate::app::{AppSettings, Dialplan, Heard, Identity, Node, Ports, Trunk, TurnServers, UDP_LISTENER};
use crate::config::{
    DigestAlgorithm, Proxied, RelayKind, Ringing, Settings, StoreKind, TrunkTransport, has_turn,
};
use crate::http::page::Page;
use crate::ports::runtime::Runtime;
use crate::ports::transport::Edge;
use crate::runtime::tokio::Tokio;

/// The gateway as a program.
pub struct Gateway;

impl Program for Gateway {
    type Settings = Settings;
    type Sockets = Sockets;
    const NAME: &'static str = "gateway";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "gateway";
    const ABOUT: &'static str = "WebRTC/SIP signalling gateway: browser softphones over secure WebSocket, SIP trunks, media relay inside";
    const RUN: &'static str = "Serves until SIGINT or SIGTERM, then ends the calls and exits in under 5 seconds. Exit code 78 if the configuration can't be used, 1 if a port can't be had; a certificate that has expired is told and stops nobody";

    fn log(settings: &Settings) -> &daemon::config::Log {
        &settings.log
    }

    fn run(settings: Settings, sockets: Sockets, file: Option<&Path>) -> anyhow::Result<()> {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("no threads to run on")?
            .block_on(serve(&settings, sockets, file))
    }

    fn look(settings: &Settings, reader: &mut Reader, now: Duration) {
        look::files(settings, reader, now);
        let needed = descriptors_needed(settings);
        descriptors::look(reader, "limits.connections", needed, "limits.calls, the trunks and [turn]");
    }

    fn ask(settings: &Settings, reader: &mut Reader) {
        look::names(settings, reader);
    }

    fn bind(settings: &Settings, reader: &mut Reader) -> Sockets {
        Sockets::bind(settings, reader)
    }

    fn bind_media(settings: &Settings, reader: &mut Reader) {
        if settings.relay.kind == RelayKind::Embedded {
            settings.relay_addressing.bind_media("relay", reader);
        }
    }

    fn admin(settings: &Settings) -> Option<SocketAddr> {
        settings.admin.listen
    }
}

async fn serve(settings: &Settings, mut sockets: Sockets, file: Option<&Path>) -> anyhow::Result<()> {
    let mut stop_signal = signals::Stop::listen()?;
    let mut reload_signal = signals::Reload::listen()?;
    let runtime = Tokio::start();
    let registry = Registry::new();
    output::register(&registry, "gateway")?;
    let state = StateFolder::open(&settings.state.folder)?;
    let access = Access::read(settings, &state, &runtime)?;
    let turn = turn::Turn::of(settings, &access)?;
    let turn_secret = turn.told.as_ref().map(|told| Arc::clone(&told.secret));
    let bound = mem::take(&mut sockets.relay);
    let (relay, mut relay_events) =
        relay::start(settings, bound, turn.server, &access.relays, &runtime, &registry)?;
    let transports = Transports::new(settings.limits.strangers_mib as usize * MIB);
    transports.register(&registry)?;
    let node = Node::new(
        runtime,
        app_settings(settings, turn.told)?,
        identity(&state, &runtime)?,
        Ports {
            store: store(settings),
            relay: relay.port(),
            users: access.users.clone(),
            transport: Arc::new(transports.clone()),
        },
        Metrics::new(&registry),
    );
    let readiness = Readiness::default();
    admin::serve(sockets.admin.take(), readiness.clone(), registry)?;

    let timers = node.clone();
    tokio::spawn(async move { timers.serve().await });
    let media = node.clone();
    tokio::spawn(async move {
        while let Some(event) = relay_events.next().await {
            let media = media.clone();
            tokio::spawn(async move { media.media_event(event).await });
        }
    });
    dial_trunks(settings, &access, &transports, &node)?;
    let mut names = names::look_up(settings, &node, runtime)?;
    // The doors open when calls can go on from here: whoever registers may call at once.
    let house = async { tokio::join!(names.found(), relay.until_ready()) };
    let _ = tokio::time::timeout(OPEN_WITHIN, house).await;
    open_listeners(settings, sockets, &access, relay.turn_on_wss(settings), &transports, &node)?;
    let runtime = &runtime;
    let (state, access) = (&state, &access);
    let reloadable = Reloadable { settings, file, state, runtime, access, relay: &relay, turn_secret };
    let becomes_ready = async {
        relay.until_ready().await;
        readiness.set(true);
        announce(settings, &access.new_users);
    };
    let reloads = async {
        loop {
            reload_signal.next().await;
            names.again();
            reloadable.reload().await;
        }
    };
    tokio::select! {
        () = stop_signal.next() => {}
        ((), ()) = async { tokio::join!(becomes_ready, reloads) } => {}
    }
    tracing::info!("stopping");
    readiness.set(false);
    stop(&node, &transports, &relay).await;
    Ok(())
}

/// Ends what is under way: in all less than five seconds, whether peers answer or not.
async fn stop(node: &Node<Tokio>, transports: &Transports, relay: &relay::Media) {
    node.drain();
    let _ = tokio::time::timeout(END_CALLS_WITHIN, async {
        node.end_calls().await;
        while node.under_way().await.0 > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    transports.shutdown(CLOSE_CONNECTIONS_WITHIN).await;
    let _ = tokio::time::timeout(STOP_RELAY_WITHIN, relay.stop()).await;
}

/// If every limit is reached; a call's leg of plain RTP has a pair of ports.
fn descriptors_needed(settings: &Settings) -> u64 {
    let (limits, listen, turn) = (&settings.limits, &settings.listen, &settings.turn);
    let browsers =
        [listen.wss, listen.ws].into_iter().flatten().count() as u64 * u64::from(limits.connections);
    let trunks = settings.trunks.len() * [listen.sip_tcp, listen.sip_tls].into_iter().flatten().count();
    let trunks = (trunks * trunk_limits(settings).connections) as u64;
    let calls = match settings.relay.kind {
        RelayKind::Embedded => 2 * u64::from(limits.calls),
        RelayKind::Pool => 0,
    };
    let turn = match has_turn(turn, &settings.turn_clients) {
        true => u64::from(turn.allocations + turn.connections),
        false => 0,
    };
    DESCRIPTORS_BESIDE + browsers + trunks + calls + turn
}

fn store(settings: &Settings) -> Arc<MemoryStore> {
    match settings.store.kind {
        StoreKind::Memory => Arc::new(MemoryStore::new(Capacity {
            calls: settings.limits.calls as usize,
            users: settings.limits.connections as usize * 2,
        })),
    }
}

fn identity(state: &StateFolder, runtime: &Tokio) -> anyhow::Result<Identity> {
    let random = |bytes: &mut [u8]| runtime.random(bytes);
    let mut node = [0; 8];
    runtime.random(&mut node);
    Ok(Identity {
        node: u64::from_be_bytes(node),
        sealer: Sealer::new(1, &*state.key("sealing-key", random)?),
        nonces: NonceSealer::new(&*state.key("nonce-key", random)?),
    })
}

fn app_settings(settings: &Settings, turn: Option<TurnServers>) -> anyhow::Result<AppSettings> {
    let limits = &settings.limits;
    Ok(AppSettings {
        domain: settings.browser.domain.clone(),
        algorithms: settings.browser.algorithms.iter().copied().map(algorithm).collect(),
        nonce_lifetime: NONCE_LIFETIME,
        failed_logins_per_minute: limits.failed_logins_per_minute,
        failed_logins_per_address: limits.failed_logins_per_address,
        registrar: registrar::Policy {
            max_expires: seconds(settings.browser.registration.0),
            default_expires: seconds(settings.browser.registration.0),
            max_bindings: limits.bindings_per_user as usize,
            ..registrar::Policy::default()
        },
        browser_codecs: codecs(&crate::config::CODECS),
        calls: Policy {
            no_answer: settings.calls.no_answer.0,
            grace: settings.browser.grace.0,
            crossing: Crossing {
                from_trunk: settings.calls.pass_headers_from_trunk.clone(),
                from_browser: settings.calls.pass_headers_from_browser.clone(),
            },
            ..Policy::default()
        },
        calls_per_user: limits.calls_per_user as usize,
        dialplan: Dialplan {
            echo: settings.dialplan.echo.clone(),
            tone: settings.dialplan.tone.clone(),
            between_users: settings.dialplan.between_users,
            ring: match settings.dialplan.ring {
                Ringing::Together => Ring::Together,
                Ringing::InTurn => Ring::InTurn,
            },
            trunk: settings.dialplan.trunk.clone(),
        },
        trunks: settings.trunks.iter().map(|t| trunk(settings, t)).collect::<anyhow::Result<_>>()?,
        turn,
        limits: message_limits(settings),
        timing: Timing::default(),
        transaction_bytes: limits.transactions_mib as usize * MIB,
        calls_at_a_time: limits.calls as usize,
    })
}

fn trunk(settings: &Settings, trunk: &crate::config::Trunk) -> anyhow::Result<Trunk> {
    let told = trunk.told(&settings.listen);
    if told.is_empty() {
        return Err(anyhow!("trunk {:?} has no listener for its transport", trunk.name));
    }
    let codecs: Vec<&str> = trunk.codecs.iter().map(String::as_str).collect();
    Ok(Trunk {
        name: trunk.name.as_str().into(),
        hosts: trunk.hosts().cloned().collect(),
        transport: sip_transport(trunk.transport),
        told,
        ways: ways(settings, trunk),
        interface: trunk.relay_interface.clone(),
        codecs: self::codecs(&codecs),
        cidrs: trunk.cidrs.clone(),
        learn: if trunk.learn_address { relay_api::Learn::Once } else { relay_api::Learn::Never },
        first_reply: trunk.first_reply.0,
        over: match trunk.requires_certificate {
            true => Heard::OverTlsAlone,
            false => Heard::OverAll,
        },
    })
}

fn ways(settings: &Settings, trunk: &crate::config::Trunk) -> Vec<Way> {
    let over = |transport: TrunkTransport| {
        let told = trunk.told_over(transport, &settings.listen);
        told.into_iter().map(move |local| Way { transport: sip_transport(transport), local })
    };
    trunk.transport.followed().iter().copied().flat_map(over).collect()
}

fn sip_transport(transport: TrunkTransport) -> Transport {
    match transport {
        TrunkTransport::Udp => Transport::Udp,
        TrunkTransport::Tcp => Transport::Tcp,
        TrunkTransport::Tls => Transport::Tls,
    }
}

/// DTMF goes with every codec.
fn codecs(names: &[&str]) -> Vec<CodecName> {
    names.iter().filter_map(|name| CodecName::of_name(name)).chain([CodecName::TelephoneEvent]).collect()
}

fn open_listeners(
    settings: &Settings,
    sockets: Sockets,
    access: &Access,
    turn: Option<Relay>,
    transports: &Transports,
    node: &Node<Tokio>,
) -> anyhow::Result<()> {
    let listen = &settings.listen;
    let proxies = |listener: Proxied| Proxies {
        networks: listen.proxies.as_slice().into(),
        greeting: match listen.proxy_protocol.contains(&listener) {
            true => Greeting::ProxyV2,
            false => Greeting::None,
        },
    };
    let browser = |name: &str, proxies, socket, kind| Listener {
        name: name.into(),
        proxies,
        edge: Edge::Browser,
        peers: Peers::Anyone,
        socket,
        limits: browser_limits(settings),
        kind,
    };
    let trunk = |name: &str, proxies, socket, kind| Listener {
        name: name.into(),
        proxies,
        edge: Edge::Trunk,
        peers: Peers::Trunks(settings.trunks.iter().map(|trunk| trunk.cidrs.clone()).collect()),
        socket,
        limits: trunk_limits(settings),
        kind,
    };
    let certificate = || access.certificate.clone().context("TLS has no certificate");
    let mut listeners = Vec::new();
    if let Some(socket) = sockets.wss {
        // Best first: coturn's clients name both.
        let protocols: &[&str] = if turn.is_some() { &[tls::TURN, tls::HTTP] } else { &[tls::HTTP] };
        let tls = tls::server(certificate()?, None, protocols)?;
        listeners.push(browser(
            "wss",
            proxies(Proxied::Wss),
            socket,
            Kind::Wss { web: web(settings), tls, turn },
        ));
    }
    if let Some(socket) = sockets.ws {
        listeners.push(browser("ws", proxies(Proxied::Ws), socket, Kind::Ws(web(settings))));
    }
    if let Some(socket) = sockets.sip_udp {
        listeners.push(trunk(UDP_LISTENER, Proxies::default(), socket, Kind::Udp));
    }
    if let Some(socket) = sockets.sip_tcp {
        listeners.push(trunk("sip_tcp", proxies(Proxied::SipTcp), socket, Kind::Tcp));
    }
    if let Some(socket) = sockets.sip_tls {
        let tls = trunk_tls::server(settings, &access.trunks, &certificate()?)?;
        listeners.push(trunk("sip_tls", proxies(Proxied::SipTls), socket, Kind::Tls(tls)));
    }
    for listener in listeners {
        let name = Arc::clone(&listener.name);
        transports.listen(listener, node.clone()).with_context(|| format!("listen.{name}"))?;
    }
    Ok(())
}

fn dial_trunks(
    settings: &Settings,
    access: &Access,
    transports: &Transports,
    node: &Node<Tokio>,
) -> anyhow::Result<()> {
    let dial = DialSettings {
        name: "trunk".into(),
        limits: trunk_limits(settings),
        connect_within: CONNECT_WITHIN,
        local: None,
        tls: trunk_tls::clients(&access.trunks)?,
    };
    transports.dial_with(dial, node.clone());
    Ok(())
}

fn web(settings: &Settings) -> Web {
    let browser = &settings.browser;
    Web {
        path: browser.path.clone(),
        origins: Origins {
            others: browser.origins.clone(),
            missing: if browser.without_origin { MissingOrigin::Allowed } else { MissingOrigin::Refused },
        },
        pages: Page::read(browser.page.folder().as_deref(), &browser.domain).router(),
    }
}

fn browser_limits(settings: &Settings) -> Limits {
    let limits = &settings.limits;
    let ping = settings.browser.ping.0;
    Limits {
        connections: limits.connections as usize,
        strangers: (limits.connections - limits.connections / 4) as usize,
        connections_per_address: limits.connections_per_address as usize,
        ping_after: Some(ping),
        pong_within: ping,
        message: limits.message_bytes as usize,
        rate: Some(Rate {
            per_second: limits.messages_per_second,
            burst: limits.messages_per_second.saturating_mul(4),
        }),
        strangers_rate: Some(Rate {
            per_second: limits.messages_per_second.saturating_mul(2),
            burst: limits.messages_per_second.saturating_mul(8),
        }),
        ..Limits::browser()
    }
}

fn trunk_limits(settings: &Settings) -> Limits {
    Limits { message: settings.limits.message_bytes as usize, ..Limits::trunk() }
}

fn message_limits(settings: &Settings) -> message::Limits {
    message::Limits {
        message: settings.limits.message_bytes as usize,
        headers: settings.limits.message_headers as usize,
        line: settings.limits.header_bytes as usize,
        ..message::Limits::default()
    }
}

/// What a person needs to begin: on standard output, beside the log, and nobody has to read it.
fn announce(settings: &Settings, new_users: &[DemoUser]) {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");
    let mut text = String::new();
    if let Some(address) = settings.listen.wss {
        text.push_str(&format!("Softphone:  {}\n", url(address)));
    }
    let numbers = [&settings.dialplan.echo, &settings.dialplan.tone];
    let numbers: Vec<&str> = numbers.into_iter().flatten().map(String::as_str).collect();
    if !numbers.is_empty() {
        text.push_str(&format!("Test calls: {}\n", numbers.join(", ")));
    }
    if settings.browser.page.folder().is_none() {
        let build = "npm --prefix gateway/web ci && npm --prefix gateway/web run build";
        let places: Vec<String> =
            settings.browser.page.places().iter().map(|place| place.display().to_string()).collect();
        text.push_str(&format!("No softphone page in {}:\n", places.join(", ")));
        text.push_str(&format!("  build it by `{build}`, or set browser.page to its folder.\n"));
    }
    if settings.users.file.is_none() && new_users.is_empty() {
        let kept = settings.state.folder.join(demo_users::FILE);
        text.push_str(&format!("Users:      the demo's, with their passwords in {}\n", kept.display()));
    }
    output::stdout().print(&text);
    announce_users(new_users);
}

fn announce_users(new_users: &[DemoUser]) {
    let mut text = zeroize::Zeroizing::new(String::new());
    for DemoUser { name, password } in new_users {
        text.push_str(&format!("User:       {name}  password {}  (shown this once)\n", password.as_str()));
    }
    output::stdout().print(&text);
}

fn url(address: SocketAddr) -> String {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_loopback() || ip.is_unspecified() => "localhost".into(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) if ip.is_loopback() || ip.is_unspecified() => "localhost".into(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    format!("https://{host}:{}/", address.port())
}

fn algorithm(name: DigestAlgorithm) -> Algorithm {
    match name {
        DigestAlgorithm::Md5 => Algorithm::Md5,
        DigestAlgorithm::Sha256 => Algorithm::Sha256,
        DigestAlgorithm::Sha512_256 => Algorithm::Sha512_256,
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

const MIB: usize = 1_024 * 1_024;
/// Listeners, polls, dialled trunks, relays of a pool, operators.
const DESCRIPTORS_BESIDE: u64 = 512;
const NONCE_LIFETIME: Duration = Duration::from_secs(3_600);
/// For trunks whose names are not found and relays that are away: then the doors open all the same.
const OPEN_WITHIN: Duration = Duration::from_secs(2);
const CONNECT_WITHIN: Duration = Duration::from_secs(4);
/// Together below five seconds.
const END_CALLS_WITHIN: Duration = Duration::from_millis(2_500);
const CLOSE_CONNECTIONS_WITHIN: Duration = Duration::from_millis(1_000);
const STOP_RELAY_WITHIN: Duration = Duration::from_millis(500);

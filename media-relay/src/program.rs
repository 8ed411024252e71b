//! The media relay as a program of its own: from its configuration to a running relay, and out again.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;
use daemon::admin::{self, Readiness};
use daemon::certificate::Certificate;
use daemon::cli::Program;
use daemon::config::Reader;
use daemon::config::look;
use daemon::{clock, descriptors, output, reload, signals, tls};
use prometheus::Registry;
use relay_api::control::Epoch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::control::{self, Control, ControlSettings, Protection, ProtectionError, Stage, Tokens};
use crate::settings::MEDIA;
pub use crate::settings::{Admin, ControlApi, Drain, Media, Settings};
use crate::{BoundSockets, Relay, TurnAccess, metrics, register_relay_metrics, register_turn_metrics};

/// The media relay as a program.
pub struct MediaRelay;

impl Program for MediaRelay {
    type Settings = Settings;
    type Sockets = Sockets;
    const NAME: &'static str = "media-relay";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "media relay";
    const ABOUT: &'static str =
        "Media relay: browsers' ICE and DTLS-SRTP to plain RTP, for the gateways that ask it";
    const RUN: &'static str = "Serves until SIGINT or SIGTERM, then takes no new sessions and exits when the last one ends. Exit code 78 if the configuration can't be used, 1 if a port can't be had; a certificate that has expired is told and stops nobody";

    fn log(settings: &Settings) -> &daemon::config::Log {
        &settings.log
    }

    fn run(settings: Settings, sockets: Sockets, file: Option<&Path>) -> anyhow::Result<()> {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(CONTROL_THREADS)
            .enable_all()
            .build()
            .context("no threads to run on")?
            .block_on(serve(&settings, sockets, file))
    }

    fn look(settings: &Settings, reader: &mut Reader, now: Duration) {
        let control = &settings.control;
        let files = control.protection_files();
        look::certificate(reader, "control", files.certificate, now);
        look::authorities(reader, "control.client_ca_file", files.client_authorities);
        if let Some(file) = files.tokens {
            look::file(reader, "control.token_file", Tokens::read(file).map(drop));
        }
        settings.turn.look(reader, now);
        descriptors::look(reader, "media.max_sessions", descriptors_needed(settings), "[turn]");
    }

    /// It knows nobody by name.
    fn ask(_: &Settings, _: &mut Reader) {}

    fn bind(settings: &Settings, reader: &mut Reader) -> Sockets {
        Sockets {
            control: look::bound(reader, "control.listen", Some(settings.control.listen), admin::bind),
            admin: look::bound(reader, "admin.listen", settings.admin.listen, admin::bind),
            relay: settings.addressing.bind(MEDIA, &settings.turn.addresses(), reader),
        }
    }

    fn bind_media(settings: &Settings, reader: &mut Reader) {
        settings.addressing.bind_media(MEDIA, reader);
    }

    fn admin(settings: &Settings) -> Option<SocketAddr> {
        settings.admin.listen
    }
}

/// Every listener, bound and served by nobody yet.
pub struct Sockets {
    control: Option<TcpListener>,
    admin: Option<TcpListener>,
    relay: BoundSockets,
}

async fn serve(settings: &Settings, sockets: Sockets, file: Option<&Path>) -> anyhow::Result<()> {
    let mut signals = Signals { stop: signals::Stop::listen()?, reload: signals::Reload::listen()? };
    let protection = Protection::read(settings.control.protection_files()).map_err(all)?;
    let protection = Arc::new(ArcSwap::from_pointee(protection));
    let TurnAccess { secrets, certificate } = TurnAccess::read(&settings.turn).context("turn")?;
    let tls = certificate.clone().map(|certificate| tls::server(certificate, None, &[])).transpose()?;
    let turn = settings.turn.is_on().then(|| settings.turn.config(secrets, tls));
    let config = settings.addressing.config(settings.media.timeout.0, settings.media.max_sessions, turn);
    let (relay, events) = Relay::start_with(config, sockets.relay)?;
    let control = Control::new(
        relay.clone(),
        epoch()?,
        ControlSettings {
            max_sessions: u64::from(settings.media.max_sessions),
            orphaned_after: settings.control.orphaned_after.0,
        },
    );
    let registry = Registry::new();
    output::register(&registry, "media_relay")?;
    register_relay_metrics(&registry, relay.clone())?;
    let counter = metrics::register(&registry, control.clone())?;
    if settings.turn.is_on() {
        register_turn_metrics(&registry, relay.clone(), settings.turn.allocations)?;
    }
    let readiness = Readiness::default();
    admin::serve(sockets.admin, readiness.clone(), registry)?;
    let address = open(sockets.control.context("control.listen is not bound")?, &control, &protection)?;

    let teller = control.clone();
    tokio::spawn(async move { teller.tell_events(events, |kind| counter.count(kind)).await });
    tokio::spawn(collect(control.clone(), settings.control.orphaned_after.0));
    readiness.set(true);
    announce(address, settings, &relay);

    let reloadable = Reloadable { settings, file, protection, certificate, relay: &relay };
    signals.serve_until_asked_to_stop(&reloadable, &control).await;
    readiness.set(false);
    control.advance(Stage::Draining);
    tracing::info!(sessions = control.status().sessions, "draining");
    tokio::select! {
        () = control.empty() => {}
        () = sleep(settings.drain.grace.0) => tracing::warn!("the grace time is over"),
        () = signals.stop.next() => tracing::warn!("told twice to stop"),
    }
    tracing::info!(sessions = control.status().sessions, "stopping");
    control.advance(Stage::Stopped);
    relay.stop().await;
    sleep(GOODBYE).await;
    Ok(())
}

struct Signals {
    stop: signals::Stop,
    reload: signals::Reload,
}

impl Signals {
    async fn serve_until_asked_to_stop(&mut self, reloadable: &Reloadable<'_>, control: &Control) {
        loop {
            tokio::select! {
                () = self.stop.next() => return,
                () = control.reached(Stage::Draining) => return,
                () = self.reload.next() => reloadable.reload().await,
            }
        }
    }
}

/// What can change while sessions go on.
struct Reloadable<'a> {
    settings: &'a Settings,
    file: Option<&'a Path>,
    protection: Arc<ArcSwap<Protection>>,
    /// Of TURN.
    certificate: Option<Arc<Certificate>>,
    relay: &'a Relay,
}

impl Reloadable<'_> {
    /// Reads everything again. It is used if all of it is good; else nothing changes.
    async fn reload(&self) {
        let now = clock::since_1970();
        let look = |new: &Settings, reader: &mut Reader| MediaRelay::look(new, reader, now);
        let read = reload::read(self.file, look, |new| {
            let protection = Protection::read(new.control.protection_files()).map_err(all)?;
            let turn = TurnAccess::read(&new.turn).context("turn")?;
            self.protection.load().may_become(&protection, now)?;
            if let Some((shown, new)) = self.certificate.as_ref().zip(turn.certificate.as_ref()) {
                shown.may_become(new, "turn", now)?;
            }
            Ok((protection, turn))
        });
        let Some((new, (protection, turn))) = read else { return };
        self.protection.store(Arc::new(protection));
        if self.settings.turn.is_on() && new.turn.is_on() {
            self.renew_turn(turn).await;
        }
        reload::done(
            "certificates, authorities, tokens and TURN secrets",
            &self.settings.fixed_changes(&new),
        );
    }

    async fn renew_turn(&self, TurnAccess { secrets, certificate }: TurnAccess) {
        if let Some((shown, new)) = self.certificate.as_ref().zip(certificate) {
            shown.replace(&new);
        }
        // A relay that has stopped needs none.
        _ = self.relay.set_turn_secrets(secrets).await;
    }
}

fn open(
    listener: TcpListener,
    control: &Control,
    protection: &Arc<ArcSwap<Protection>>,
) -> anyhow::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let bound = listener.local_addr()?;
    let router = control::router(control.clone(), Arc::clone(protection));
    tokio::spawn(control::serve(listener, router, Arc::clone(protection), control.clone()));
    Ok(bound)
}

/// Looks for orphans a few times within the time they get.
async fn collect(control: Control, orphaned_after: Duration) {
    let mut ticks = interval(orphaned_after / LOOKS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        control.collect(Instant::now()).await;
    }
}

/// Where it is, on standard output, beside the log; nobody has to read it.
fn announce(control: SocketAddr, settings: &Settings, relay: &Relay) {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");
    let scheme = if settings.control.certificate_file.is_some() { "https" } else { "http" };
    let listed =
        |addresses: &[SocketAddr]| addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ");
    let browsers = listed(&relay.browser_addresses());
    let mut text = format!("Control:  {scheme}://{control}/v1\nBrowsers: {browsers}\n");
    let turn = relay.turn_addresses();
    for (name, addresses) in [("UDP", turn.udp), ("TCP", turn.tcp), ("TLS", turn.tls)] {
        if !addresses.is_empty() {
            text.push_str(&format!("TURN/{name}: {}\n", listed(&addresses)));
        }
    }
    output::stdout().print(&text);
}

/// Each leg of plain RTP has a pair of ports.
fn descriptors_needed(settings: &Settings) -> u64 {
    let turn = if settings.turn.is_on() { settings.turn.allocations + settings.turn.connections } else { 0 };
    DESCRIPTORS_BESIDE + 2 * u64::from(settings.media.max_sessions) + u64::from(turn)
}

/// 128 bits that no other run had.
fn epoch() -> anyhow::Result<Epoch> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("no randomness")?;
    Ok(Epoch(format!("{:032x}", u128::from_be_bytes(bytes))))
}

fn all(errors: Vec<ProtectionError>) -> anyhow::Error {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    anyhow!(lines.join("; "))
}

/// The control API needs little; the cores are the workers'.
const CONTROL_THREADS: usize = 2;
/// Listeners, polls, connections of gateways and operators.
const DESCRIPTORS_BESIDE: u64 = 512;
/// Looks for orphans within the time they get.
const LOOKS: u32 = 4;
/// For answers and streams that are about to end.
const GOODBYE: Duration = Duration::from_millis(50);

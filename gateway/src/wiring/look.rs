//! The files, names and ports that the configuration names: what `check` looks at, and what `run` has bound before it starts.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use daemon::admin;
use daemon::config::Reader;
use daemon::config::look;
use media_relay::{BoundSockets, TurnAddresses};
use sip_core::routing::locate::Target;
use tokio::time::timeout;

use super::names::random_word;
use super::sip_transport;
use crate::adapters::resolver::SystemResolver;
use crate::adapters::users_file::UsersFile;
use crate::adapters::{BoundSocket, demo_users};
use crate::config::{PageFolder, PoolRelay, RelayKind, Settings, has_turn, host_and_port};
use crate::ports::resolver::Resolver;
use crate::ports::transport::Edge;
use crate::ports::users::Users;
use crate::runtime::tokio::Tokio;

/// The files.
pub(super) fn files(settings: &Settings, reader: &mut Reader, now: Duration) {
    let tls = &settings.tls;
    look::certificate(reader, "tls", tls.certificate_file.as_deref().zip(tls.key_file.as_deref()), now);
    look::authorities(reader, "tls.trunk_ca_file", tls.trunk_ca_file.as_deref());
    for trunk in &settings.trunks {
        let section = format!("trunk[{}]", trunk.name);
        look::certificate(reader, &section, trunk.certificate_files(), now);
        look::authorities(reader, &format!("{section}.ca_file"), trunk.ca_file.as_deref());
    }
    settings.relay_pool.iter().for_each(|relay| pool_relay(relay, reader, now));
    settings.turn.look(reader, now);
    users(settings, reader);
    state(&settings.state.folder, reader);
    if let PageFolder::At(folder) = &settings.browser.page
        && settings.browser.page.folder().is_none()
    {
        reader.warning("browser.page", format!("there is no index.html in {}", folder.display()));
    }
}

/// Where the names of trunks lead.
pub(super) fn names(settings: &Settings, reader: &mut Reader) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return reader.warning("trunk", format!("no names were looked up: {error}")),
    };
    let resolver = SystemResolver::new(random_word(Tokio::start()));
    for (key, target) in hosts(settings) {
        // One after the other, on one thread, so that the messages have the order of the file.
        let found = runtime.block_on(async { timeout(RESOLVE_WITHIN, resolver.resolve(&target)).await });
        match found {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => reader.warning(key, format!("leads nowhere at present: {error}")),
            Err(_) => {
                let what = format!("the name servers did not say where it leads within {RESOLVE_WITHIN:?}");
                reader.warning(key, what);
            }
        }
    }
}

/// Every listener, bound for good; nobody is served yet. None for what is off.
pub struct Sockets {
    pub(super) admin: Option<TcpListener>,
    pub(super) wss: Option<BoundSocket>,
    pub(super) ws: Option<BoundSocket>,
    pub(super) sip_udp: Option<BoundSocket>,
    pub(super) sip_tcp: Option<BoundSocket>,
    pub(super) sip_tls: Option<BoundSocket>,
    /// Of the relay inside.
    pub(super) relay: BoundSockets,
}

impl Sockets {
    pub(super) fn bind(settings: &Settings, reader: &mut Reader) -> Self {
        let listen = &settings.listen;
        let of_browsers = |at: SocketAddr| BoundSocket::of_streams(at, Edge::Browser);
        let of_trunks = |at: SocketAddr| BoundSocket::of_streams(at, Edge::Trunk);
        Self {
            admin: look::bound(reader, "admin.listen", settings.admin.listen, admin::bind),
            wss: look::bound(reader, "listen.wss", listen.wss, of_browsers),
            ws: look::bound(reader, "listen.ws", listen.ws, of_browsers),
            sip_udp: look::bound(reader, "listen.sip_udp", listen.sip_udp, BoundSocket::of_datagrams),
            sip_tcp: look::bound(reader, "listen.sip_tcp", listen.sip_tcp, of_trunks),
            sip_tls: look::bound(reader, "listen.sip_tls", listen.sip_tls, of_trunks),
            relay: relay(settings, reader),
        }
    }
}

fn relay(settings: &Settings, reader: &mut Reader) -> BoundSockets {
    match settings.relay.kind {
        RelayKind::Embedded => {
            let is_on = has_turn(&settings.turn, &settings.turn_clients);
            let turn = if is_on { settings.turn.addresses() } else { TurnAddresses::default() };
            settings.relay_addressing.bind("relay", &turn, reader)
        }
        RelayKind::Pool => BoundSockets::default(),
    }
}

fn hosts(settings: &Settings) -> Vec<(String, Target)> {
    let of = |trunk: &crate::config::Trunk| {
        let transport = sip_transport(trunk.transport);
        let named = trunk.hosts().filter_map(move |host| {
            let (host, port) = host_and_port(host)?;
            Some(Target::new(&host, port, transport))
        });
        let key = |at: usize| match at {
            0 => format!("trunk[{}].address", trunk.name),
            _ => format!("trunk[{}].backup_addresses", trunk.name),
        };
        named.enumerate().map(|(at, target)| (key(at), target)).collect::<Vec<_>>()
    };
    settings.trunks.iter().flat_map(of).collect()
}

fn pool_relay(relay: &PoolRelay, reader: &mut Reader, now: Duration) {
    let section = relay.section();
    look::certificate(reader, &section, relay.certificate_files(), now);
    look::authorities(reader, &format!("{section}.ca_file"), relay.ca_file.as_deref());
    if let Some(file) = &relay.token_file {
        look::file(reader, &format!("{section}.token_file"), readable(file));
    }
}

/// The users, and that no number for tests is one of them.
fn users(settings: &Settings, reader: &mut Reader) {
    let kept = settings.state.folder.join(demo_users::FILE);
    let (key, file) = match &settings.users.file {
        Some(file) => ("users.file", file),
        None if kept.exists() => ("state.folder", &kept),
        None => return,
    };
    let users = match UsersFile::read(file) {
        Ok(users) => users,
        Err(error) => return reader.mistake(key, error.to_string()),
    };
    let numbers = [("dialplan.echo", &settings.dialplan.echo), ("dialplan.tone", &settings.dialplan.tone)];
    for (key, number) in numbers {
        if number.as_deref().is_some_and(|number| users.secret(number).is_some()) {
            reader.mistake(
                key,
                format!(
                    "is a user in {} too, whom nobody could call: take another number, or \"off\"",
                    file.display()
                ),
            );
        }
    }
}

/// It is made if it is missing.
fn state(folder: &Path, reader: &mut Reader) {
    if folder.exists() && !folder.is_dir() {
        reader.mistake("state.folder", format!("{} is no folder: name another", folder.display()));
    }
}

fn readable(file: &Path) -> Result<(), String> {
    let is_token = |line: &str| !line.trim().is_empty() && !line.trim().starts_with('#');
    match daemon::text::read(file) {
        Ok(text) if !text.lines().any(is_token) => Err(format!("{}: no token in it", file.display())),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{}: {error}; name a file that this user may read", file.display())),
    }
}

/// For each host: name servers that do not answer are asked twice within.
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);

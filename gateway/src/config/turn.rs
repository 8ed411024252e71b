//! `[turn]`: what the relay's program knows too, and what browsers are told.

use std::time::Duration as Time;

use daemon::config::{Duration, Reader, Section, Table};
use daemon::section;
use media_relay::TurnSettings;

use super::settings::{RELAY, RelayKind, Settings};

section! {
    /// The part for browsers.
    TurnClients at "turn" {
        /// What a registered browser is told, such as `"turns:relay.example.com:443"` or `"turn:192.0.2.7:3478?transport=tcp"`. Empty tells nobody.
        urls: Vec<String> = Vec::new(),
        /// Does `listen.wss` take TURN over TLS too? For networks that let out nothing but HTTPS: with `listen.wss` on port 443 a URL is `"turns:gateway.example.com:443"`. The embedded relay's alone.
        on_wss: bool = false,
        /// How long its credentials are good for new allocations, at most 10 minutes; each REGISTER brings new ones.
        lifetime: Duration = Duration::seconds(600),
    }
}

/// Is the embedded relay to be a TURN server?
pub(crate) fn is_on(server: &TurnSettings, clients: &TurnClients) -> bool {
    server.is_on() || clients.on_wss
}

/// Takes both parts of the section.
pub(super) fn take(reader: &mut Reader, root: &mut Table) -> (TurnSettings, TurnClients) {
    let mut table = reader.section(root, "turn");
    let clients = TurnClients::take_keys(reader, &mut table, "turn");
    let server = TurnSettings::take_keys(reader, &mut table, "turn");
    reader.refuse_unknown("turn", &table);
    (server, clients)
}

/// What no single key can know.
pub(super) fn check(settings: &Settings, reader: &mut Reader) {
    let (server, clients) = (&settings.turn, &settings.turn_clients);
    server.check(reader);
    let is_on = is_on(server, clients);
    if is_on {
        settings.relay_addressing.check_turn(server, RELAY, reader);
    }
    if clients.on_wss && settings.listen.wss.is_none() {
        reader.mistake("turn.on_wss", "listen.wss is \"off\"");
    }
    let tells = !clients.urls.is_empty();
    if clients.on_wss && tells && !clients.urls.iter().any(|url| url.starts_with(SECURE)) {
        reader.mistake("turn.urls", "expected a \"turns:…\" among them: turn.on_wss is TURN over TLS");
    }
    match (settings.relay.kind, is_on) {
        (RelayKind::Embedded, false) if tells => {
            reader.mistake("turn.urls", "needs a listener: udp, tcp, tls or on_wss");
        }
        (RelayKind::Embedded, true) if !tells => {
            reader.mistake("turn.urls", "is missing: browsers have to be told where the listeners are");
        }
        (RelayKind::Pool, true) => {
            reader.mistake("turn", "relay.kind is \"pool\": its relays have the listeners");
        }
        (RelayKind::Pool, false) if tells && server.secrets_file.is_none() => {
            reader.mistake("turn.secrets_file", "is missing: credentials are made with the relays' secret");
        }
        (RelayKind::Embedded | RelayKind::Pool, _) => {}
    }
    for url in clients.urls.iter().filter(|url| !is_turn(url)) {
        reader.mistake("turn.urls", format!("expected \"turn:…\" or \"turns:…\" (RFC 7065), found {url:?}"));
    }
    if tells && !(settings.browser.registration.0..=LONGEST).contains(&clients.lifetime.0) {
        reader.mistake(
            "turn.lifetime",
            "expected at least browser.registration, as browsers register no sooner, and at most 10m",
        );
    }
}

/// Its part of the reference.
pub(super) fn section() -> Section {
    let (server, clients) = (TurnSettings::section(), TurnClients::section());
    let doc = "TURN, for browsers whose firewall lets no UDP through ([guide](turn.md)). The embedded relay is a TURN server if it has a listener here; without `secrets_file` a secret is made and kept in `state.folder`, without `certificate_file` it shows the certificate of `[tls]`. With `relay.kind = \"pool\"` the relays have the listeners, and `urls`, `lifetime` and their `secrets_file` are all that is needed here.";
    Section { title: server.title, doc, fields: clients.fields.into_iter().chain(server.fields).collect() }
}

fn is_turn(url: &str) -> bool {
    let host = url.strip_prefix("turn:").or_else(|| url.strip_prefix(SECURE));
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// The scheme for TLS (RFC 7065 §3.1).
const SECURE: &str = "turns:";
/// What is stolen is worth little.
const LONGEST: Time = Time::from_secs(600);

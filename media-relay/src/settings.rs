//! All keys of the relay's configuration: name, type, default and meaning, declared once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use daemon::config::{Configuration, Duration, Log, Reader, Section, Table};
use daemon::section;

use crate::addressing::{Addressing, AddressingKeys};
use crate::config::MIN_MEDIA_TIMEOUT;
use crate::control::ProtectionFiles;
use crate::turn::settings::Turn;

section! {
    /// The control API, for gateways. On an address that others reach it needs TLS and a token or clients' certificates.
    ControlApi at "control" {
        /// Where gateways ask for sessions.
        listen: SocketAddr = local(8180),
        /// PEM file with the certificate chain; TLS is spoken if it is set.
        certificate_file: Option<PathBuf> = None,
        /// PEM file with the private key.
        key_file: Option<PathBuf> = None,
        /// PEM file with the authorities that a client's certificate must come from.
        client_ca_file: Option<PathBuf> = None,
        /// File with the tokens that are accepted, one a line, 32 characters or more each. Several let them be changed without a gap.
        token_file: Option<PathBuf> = None,
        /// Listens on an address that others reach without TLS or without asking who they are: whoever gets there hears every call.
        unprotected: bool = false,
        /// A session that no gateway confirms for this long, and that carries no media, is given up.
        orphaned_after: Duration = Duration::seconds(120),
    }
}

section! {
    /// The operators' listener: `/livez`, `/readyz` and `/metrics`.
    Admin at "admin" {
        /// Keep it away from the outside.
        listen: Option<SocketAddr> = Some(local(9091)),
    }
}

section! {
    /// Sound.
    Media at "media" {
        /// Silence on a leg that should speak, after which the gateway is told; at least 1s.
        timeout: Duration = Duration::seconds(60),
        /// Sessions at a time; more are refused.
        max_sessions: u32 = 4_000,
    }
}

section! {
    /// The way out: SIGTERM, SIGINT or `POST /v1/drain`.
    Drain at "drain" {
        /// Sessions that are left after this long end with the relay; a second signal ends it at once.
        grace: Duration = Duration::seconds(600),
    }
}

/// The whole configuration of the relay.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "each section carries its own")]
pub struct Settings {
    pub control: ControlApi,
    pub admin: Admin,
    pub media: Media,
    pub addressing: Addressing,
    pub turn: Turn,
    pub drain: Drain,
    pub log: Log,
}

impl Configuration for Settings {
    const ENVIRONMENT: &'static str = "MEDIA_RELAY";
    const REFERENCE: &'static str = "docs/configuration-relay.md";

    fn take(reader: &mut Reader, root: &mut Table) -> Self {
        let (addressing, mut media) = Addressing::take(reader, root, MEDIA);
        let settings = Self {
            control: ControlApi::take(reader, root),
            admin: Admin::take(reader, root),
            media: Media::take_keys(reader, &mut media, MEDIA),
            addressing,
            turn: Turn::take(reader, root),
            drain: Drain::take(reader, root),
            log: Log::take(reader, root),
        };
        reader.refuse_unknown(MEDIA, &media);
        settings
    }

    fn resolve_paths(&mut self, base: &Path) {
        let control = &mut self.control;
        let files = [
            &mut control.certificate_file,
            &mut control.key_file,
            &mut control.client_ca_file,
            &mut control.token_file,
        ];
        for path in files.into_iter().chain(self.turn.paths()).flatten() {
            *path = base.join(&*path);
        }
    }

    fn check(&self, reader: &mut Reader) {
        self.control.check(reader);
        self.media.check(reader);
        self.addressing.check(MEDIA, reader);
        self.log.check(reader);
        self.check_turn(reader);
    }

    fn sections() -> Vec<Section> {
        vec![
            ControlApi::section(),
            Admin::section(),
            Section {
                fields: AddressingKeys::section().fields.into_iter().chain(Media::section().fields).collect(),
                ..Media::section()
            },
            Addressing::interface_section(MEDIA),
            Turn::section(),
            Drain::section(),
            Log::section(),
        ]
    }
}

impl Settings {
    /// What of `new` counts only after a restart.
    pub(crate) fn fixed_changes(&self, new: &Self) -> Vec<&'static str> {
        let changed = [
            ("control.listen", self.control.listen != new.control.listen),
            ("control.orphaned_after", self.control.orphaned_after != new.control.orphaned_after),
            ("admin", self.admin != new.admin),
            ("media", (&self.media, &self.addressing) != (&new.media, &new.addressing)),
            ("turn", self.turn.needs_restart(&new.turn)),
            ("drain", self.drain != new.drain),
            ("log", self.log != new.log),
        ];
        changed.into_iter().filter_map(|(key, is_changed)| is_changed.then_some(key)).collect()
    }
}

impl Settings {
    fn check_turn(&self, reader: &mut Reader) {
        let turn = &self.turn;
        turn.check(reader);
        if turn.is_on() {
            self.addressing.check_turn(turn, MEDIA, reader);
        }
        if turn.is_on() && turn.secrets_file.is_none() {
            reader.mistake("turn.secrets_file", "is missing: clients show credentials made with a secret");
        }
        if !turn.tls.is_empty() && turn.certificate_file.is_none() {
            reader.mistake("turn.tls", "needs certificate_file and key_file");
        }
    }
}

impl ControlApi {
    /// The files that say who may come.
    pub(crate) fn protection_files(&self) -> ProtectionFiles<'_> {
        ProtectionFiles {
            certificate: self.certificate_file.as_deref().zip(self.key_file.as_deref()),
            client_authorities: self.client_ca_file.as_deref(),
            tokens: self.token_file.as_deref(),
        }
    }

    fn check(&self, reader: &mut Reader) {
        let has_tls = self.certificate_file.is_some();
        if has_tls != self.key_file.is_some() {
            reader.mistake("control", "certificate_file and key_file go together: set both or neither");
        }
        if self.client_ca_file.is_some() && !has_tls {
            reader.mistake("control.client_ca_file", "needs certificate_file and key_file");
        }
        let asks = self.client_ca_file.is_some() || self.token_file.is_some();
        let is_safe = self.listen.ip().is_loopback() || (has_tls && asks);
        if !is_safe && !self.unprotected {
            reader.mistake(
                "control.listen",
                "others reach this address: set certificate_file and key_file, and token_file or client_ca_file; or say unprotected = true",
            );
        }
        if self.orphaned_after.0 < MIN_ORPHANED_AFTER {
            reader.mistake(
                "control.orphaned_after",
                "expected at least 10s: gateways confirm every few seconds",
            );
        }
    }
}

impl Media {
    fn check(&self, reader: &mut Reader) {
        if self.max_sessions == 0 {
            reader.mistake("media.max_sessions", "expected at least 1");
        }
        if self.timeout.0 < MIN_MEDIA_TIMEOUT {
            reader.mistake("media.timeout", "expected at least 1s");
        }
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

pub(crate) const MEDIA: &str = "media";
/// Several times as long as gateways wait between confirmations.
const MIN_ORPHANED_AFTER: std::time::Duration = std::time::Duration::from_secs(10);

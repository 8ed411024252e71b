//! `[[relay.pool]]`: media relays that are programs of their own.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use axum::http::Uri;
use daemon::config::{Field, FieldDoc, Reader, Section, Table};
use media_relay::InterfaceKeys;

use super::settings::RelayKind;

/// A media relay that is a program of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolRelay {
    /// Kept in every call that it carries, and told in the log.
    pub name: String,
    /// Its control API: `https://relay-1.example.com:8180`.
    pub url: String,
    /// File with the token to show.
    pub token_file: Option<PathBuf>,
    /// PEM file with the authorities that its certificate must come from.
    pub ca_file: Option<PathBuf>,
    /// PEM file with the certificate chain to show.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with its private key.
    pub key_file: Option<PathBuf>,
    /// Reach it over the network without TLS.
    pub unprotected: bool,
}

impl PoolRelay {
    /// The control API's address.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse_url(&self) -> Result<Uri, String> {
        let expected = || "expected a URL such as \"https://relay-1.example.com:8180\"".to_string();
        let url: Uri = self.url.parse().map_err(|_| expected())?;
        let is_http = matches!(url.scheme_str(), Some("http" | "https"));
        if is_http && url.host().is_some() && url.path() == "/" { Ok(url) } else { Err(expected()) }
    }

    /// PEM chain and key, if they are named.
    pub fn certificate_files(&self) -> Option<(&Path, &Path)> {
        self.certificate_file.as_deref().zip(self.key_file.as_deref())
    }

    /// Its path in messages.
    pub fn section(&self) -> String {
        format!("relay.pool[{}]", self.name)
    }

    /// What counts only after a restart: all but where the certificate's files are.
    pub(super) fn fixed(&self) -> Self {
        let has_one = |file: &Option<PathBuf>| file.is_some().then(PathBuf::new);
        let (certificate_file, key_file) = (has_one(&self.certificate_file), has_one(&self.key_file));
        Self { certificate_file, key_file, ..self.clone() }
    }

    /// The files whose paths the configuration gives.
    pub(super) fn paths(&mut self) -> [&mut Option<PathBuf>; 4] {
        [&mut self.token_file, &mut self.ca_file, &mut self.certificate_file, &mut self.key_file]
    }

    /// Of what only TLS uses.
    fn check_tls(&self) -> Result<(), &'static str> {
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return Err("certificate_file and key_file go together: set both or neither");
        }
        let is_http = self.parse_url().is_ok_and(|url| url.scheme_str() == Some("http"));
        if is_http && (self.ca_file.is_some() || self.certificate_file.is_some()) {
            return Err("ca_file, certificate_file and key_file are for https alone, and url is http");
        }
        Ok(())
    }

    fn check_url(&self) -> Result<(), String> {
        let url = self.parse_url()?;
        let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        match (url.scheme_str(), &self.ca_file) {
            (Some("https"), None) => Err("https needs ca_file".into()),
            (Some("http"), _) if !is_here && !self.unprotected => {
                Err("keys of calls would cross the network in clear: use https, or say unprotected = true"
                    .into())
            }
            _ => Ok(()),
        }
    }
}

/// Takes the repeated section out of `[relay]`.
pub(super) fn take(reader: &mut Reader, root: &mut Table) -> Vec<PoolRelay> {
    let relays = reader.subsections(root, "relay", "pool").into_iter();
    let relays = relays.filter_map(|(section, mut table)| {
        let name = reader.require(&mut table, &section, "name");
        let url = reader.require(&mut table, &section, "url");
        let token_file = reader.take(&mut table, &section, "token_file", None);
        let ca_file = reader.take(&mut table, &section, "ca_file", None);
        let certificate_file = reader.take(&mut table, &section, "certificate_file", None);
        let key_file = reader.take(&mut table, &section, "key_file", None);
        let unprotected = reader.take(&mut table, &section, "unprotected", false);
        reader.refuse_unknown(&section, &table);
        let (name, url) = (name?, url?);
        Some(PoolRelay { name, url, token_file, ca_file, certificate_file, key_file, unprotected })
    });
    relays.collect()
}

/// What no single key can know.
pub(super) fn check(
    kind: RelayKind,
    relays: &[PoolRelay],
    interfaces: &[InterfaceKeys],
    reader: &mut Reader,
) {
    if kind == RelayKind::Pool && !interfaces.is_empty() {
        reader.mistake("relay.interface", "is of no use: relay.kind is \"pool\", its relays have interfaces");
    }
    match (kind, relays.is_empty()) {
        (RelayKind::Pool, true) => reader.mistake("relay.kind", "\"pool\" needs a [[relay.pool]]"),
        (RelayKind::Embedded, false) => {
            reader.mistake("relay.pool", "is of no use: relay.kind is \"embedded\"");
        }
        (RelayKind::Pool, false) | (RelayKind::Embedded, true) => {}
    }
    for (i, relay) in relays.iter().enumerate() {
        let section = relay.section();
        if relays[..i].iter().any(|other| other.name == relay.name) {
            reader.mistake(format!("{section}.name"), format!("{:?} names two relays", relay.name));
        }
        if let Err(what) = relay.check_url() {
            reader.mistake(format!("{section}.url"), what);
        }
        if let Err(what) = relay.check_tls() {
            reader.mistake(section, what);
        }
    }
}

/// Its part of the reference.
pub(super) fn section() -> Section {
    let required = || "required".to_string();
    let field = |key, kind, default, doc: &str| FieldDoc { key, kind, default, doc: doc.into() };
    let file = Option::<PathBuf>::KIND;
    let none = || Option::<PathBuf>::None.show();
    Section {
        title: "`[[relay.pool]]`".into(),
        doc: "A media relay that is a program of its own. Repeat the section for each. New sessions go to one that has room, a session stays where it is; when its relay is gone the call ends on both legs.",
        fields: vec![
            field(
                "name",
                String::KIND,
                required(),
                "Kept in every call that it carries: don't give it to another relay.",
            ),
            field(
                "url",
                String::KIND,
                required(),
                "Its control API, such as `https://relay-1.example.com:8180`.",
            ),
            field(
                "token_file",
                file,
                none(),
                "File with the token to show, read again when the relay refuses it.",
            ),
            field(
                "ca_file",
                file,
                none(),
                "PEM file with the authorities that its certificate must come from; needed for `https`.",
            ),
            field(
                "certificate_file",
                file,
                none(),
                "PEM file with the certificate chain to show to a relay that asks for one.",
            ),
            field("key_file", file, none(), "PEM file with its private key."),
            field(
                "unprotected",
                bool::KIND,
                false.show(),
                "Reach it over the network without TLS: whoever listens there hears every call.",
            ),
        ],
    }
}

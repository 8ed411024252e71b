//! TLS: 1.2 and 1.3, authenticated encryption and ephemeral keys only.

use std::path::Path;
use std::sync::Arc;

use rustls::client::{ResolvesClientCert, WantsClientCert};
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig};

use crate::pem;

/// ALPN's name for HTTP/1.1 (RFC 7301 §6). HTTP/2 has no place for the WebSocket handshake of RFC 6455.
pub const HTTP: &str = "http/1.1";
/// ALPN's name for TURN (RFC 7443 §3).
pub const TURN: &str = "stun.turn";

/// TLS of a listener. Certificates are asked for at each handshake, so that they can be renewed. With `clients`, a peer
/// has to show a certificate that one of these signed. A peer that names protocols (ALPN, RFC 7301) has to name one of
/// `protocols`, if there are any; the first of these that it names is spoken.
///
/// # Errors
/// `clients` is empty, or the system gives no random numbers.
pub fn server(
    certificates: Arc<dyn ResolvesServerCert>,
    clients: Option<RootCertStore>,
    protocols: &[&str],
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = config(certificates, clients)?;
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    // Session tickets let a peer come back with half the work; their keys change every six hours.
    config.ticketer = ring::Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// TLS of connections to peers whose certificates have to be signed by one of `roots`.
///
/// # Errors
/// None that a configuration can cause.
pub fn client(roots: RootCertStore) -> Result<Arc<ClientConfig>, TlsError> {
    Ok(Arc::new(verifying(roots)?.with_no_client_auth()))
}

/// The same, with a certificate to show to peers that ask for one.
///
/// # Errors
/// As [`client`].
pub fn client_with(
    roots: RootCertStore,
    certificate: Arc<dyn ResolvesClientCert>,
) -> Result<Arc<ClientConfig>, TlsError> {
    Ok(Arc::new(verifying(roots)?.with_client_cert_resolver(certificate)))
}

/// The authorities in a PEM file.
///
/// # Errors
/// The file cannot be read, or has none.
pub fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let unusable = |why: String| TlsError::Authorities { file: file.display().to_string(), why };
    let certificates = pem::certificates(file).map_err(|error| unusable(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    // A system's bundle may hold certificates of forms that we don't know; the others do.
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() { Err(unusable("has no certificate that can be read".into())) } else { Ok(roots) }
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The library refuses.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    /// The clients' authorities cannot be used.
    #[error(transparent)]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// A file of authorities cannot be used.
    #[error("{file}: {why}")]
    Authorities {
        /// Its path.
        file: String,
        /// What is wrong.
        why: String,
    },
}

fn verifying(roots: RootCertStore) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots))
}

fn config(
    certificates: Arc<dyn ResolvesServerCert>,
    clients: Option<RootCertStore>,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    Ok(builder.with_cert_resolver(certificates))
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

//! TLS: 1.2 and 1.3, authenticated encryption and ephemeral keys only.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, Resumption, WantsClientCert};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
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

/// TLS of a listener whose peers have to show a certificate that `peers` takes. No session is resumed: each handshake is judged
/// by what is trusted by then.
///
/// # Errors
/// None that a configuration can cause.
pub fn server_demanding(
    certificates: Arc<dyn ResolvesServerCert>,
    peers: Arc<dyn ClientCertVerifier>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let mut config = builder.with_client_cert_verifier(peers).with_cert_resolver(certificates);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// TLS of connections to peers whose certificates `peers` takes, with a certificate to show to those that ask for one. No session
/// is resumed, as by [`server_demanding`].
///
/// # Errors
/// None that a configuration can cause.
pub fn client_judging(
    peers: Arc<dyn ServerCertVerifier>,
    certificate: Option<Arc<dyn ResolvesClientCert>>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = builder.dangerous().with_custom_certificate_verifier(peers);
    let mut config = match certificate {
        Some(certificate) => builder.with_client_cert_resolver(certificate),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The signatures that we can verify.
pub fn signature_algorithms() -> WebPkiSupportedAlgorithms {
    provider().signature_verification_algorithms
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
    let mut roots = RootCertStore::empty();
    // A system's bundle may hold certificates of forms that we don't know; the others do.
    roots.add_parsable_certificates(certificates(file)?);
    if roots.is_empty() { Err(unusable(file, "has no certificate that can be read")) } else { Ok(roots) }
}

/// The certificates in a PEM file.
///
/// # Errors
/// As [`authorities`].
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    pem::certificates(file).map_err(|error| unusable(file, error))
}

fn unusable(file: &Path, why: impl ToString) -> TlsError {
    TlsError::Authorities { file: file.display().to_string(), why: why.to_string() }
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

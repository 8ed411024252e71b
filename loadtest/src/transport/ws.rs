//! Opening a WebSocket to the target (RFC 6455, RFC 7118) over TCP or TLS.

use crate::recorder::Failure;
use crate::target::{Security, Target};
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Whom a TLS client believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The certificates in this PEM file.
    Authority(PathBuf),
    /// Any certificate: measurements on loopback need no identity.
    Anyone,
}

/// Opens WebSockets to one target.
#[derive(Clone)]
pub struct Dialer {
    target: Target,
    tls: Option<TlsConnector>,
    origin: Option<HeaderValue>,
    sources: u16,
    timeout: Duration,
}

/// Why a dialer cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DialerError {
    /// wss without --ca or --insecure.
    #[error(
        "wss needs --ca FILE with the server's certificate authority, or --insecure to accept any certificate"
    )]
    NoTrust,
    /// The file of --ca.
    #[error("cannot read certificates from {0}: {1}; it must hold PEM certificates")]
    Authority(PathBuf, String),
    /// --origin.
    #[error("the origin must be printable ASCII, as in https://localhost:8443")]
    Origin,
    /// rustls.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// A connection that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{failure}: {detail}")]
pub struct NotOpened {
    /// Its kind, which is counted.
    pub failure: Failure,
    /// What the system or the server said.
    pub detail: String,
}

impl NotOpened {
    pub(crate) fn connect(error: impl std::fmt::Display) -> Self {
        Self { failure: Failure::Connect, detail: error.to_string() }
    }

    fn handshake(error: impl std::fmt::Display) -> Self {
        Self { failure: Failure::Handshake, detail: error.to_string() }
    }
}

/// A WebSocket on either kind of connection.
pub type Socket = WebSocketStream<Box<dyn Connection>>;

/// TCP, or TLS on it.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

impl Dialer {
    /// Prepares TLS. `sources` spreads connections over that many loopback addresses, for servers that limit connections
    /// per address.
    ///
    /// # Errors
    /// When the trust is missing or cannot be read.
    pub fn new(
        target: Target,
        trust: Option<&Trust>,
        origin: Option<&str>,
        sources: u16,
        timeout: Duration,
    ) -> Result<Self, DialerError> {
        let tls = match target.security {
            Security::Plain => None,
            Security::Tls => {
                Some(TlsConnector::from(Arc::new(tls_client(trust.ok_or(DialerError::NoTrust)?)?)))
            }
        };
        let origin = origin.map(HeaderValue::from_str).transpose().map_err(|_| DialerError::Origin)?;
        Ok(Self { target, tls, origin, sources: sources.max(1), timeout })
    }

    /// The server.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Opens the `index`th connection: TCP, TLS, then the WebSocket with the subprotocol `sip`.
    ///
    /// # Errors
    /// When a step fails, or all of them take longer than the time-out.
    pub async fn open(&self, index: usize) -> Result<Socket, NotOpened> {
        // A handshake's future is large; boxed, it is gone once the connection is open.
        timeout(self.timeout, Box::pin(self.connect(index))).await.unwrap_or_else(|_| {
            let detail = format!("no WebSocket within {} s", self.timeout.as_secs_f64());
            Err(NotOpened { failure: Failure::Timeout, detail })
        })
    }

    async fn connect(&self, index: usize) -> Result<Socket, NotOpened> {
        let tcp = self.tcp(index).await.map_err(NotOpened::connect)?;
        let connection: Box<dyn Connection> = match &self.tls {
            None => Box::new(tcp),
            Some(tls) => {
                let name = ServerName::try_from(self.target.host.clone()).map_err(NotOpened::handshake)?;
                Box::new(tls.connect(name, tcp).await.map_err(NotOpened::handshake)?)
            }
        };
        let request = self.request().map_err(NotOpened::handshake)?;
        let opened = tokio_tungstenite::client_async_with_config(request, connection, Some(buffers())).await;
        let (socket, response) = opened.map_err(NotOpened::handshake)?;
        // RFC 7118 §4.1: without the server's `sip` this is not a SIP connection.
        let agreed =
            response.headers().get("sec-websocket-protocol").is_some_and(|protocol| protocol == "sip");
        if agreed {
            Ok(socket)
        } else {
            Err(NotOpened::handshake("the server does not agree to the subprotocol sip"))
        }
    }

    async fn tcp(&self, index: usize) -> io::Result<TcpStream> {
        let socket = if self.target.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if self.target.address.is_ipv4() && self.sources > 1 {
            let [high, low] = ((index % usize::from(self.sources)) as u16 + 1).to_be_bytes();
            socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 1, high, low)), 0))?;
        }
        socket.set_nodelay(true)?;
        socket.connect(self.target.address).await
    }

    fn request(&self) -> Result<Request<()>, tokio_tungstenite::tungstenite::Error> {
        let mut request = self.target.url().into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("sip"));
        if let Some(origin) = &self.origin {
            request.headers_mut().insert("origin", origin.clone());
        }
        Ok(request)
    }
}

/// Small buffers: thousands of phones live in this process, and the default of 128 KiB each would be paid at once.
fn buffers() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4_096)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_MESSAGE * 2)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

const MAX_MESSAGE: usize = 65_536;

fn tls_client(trust: &Trust) -> Result<rustls::ClientConfig, DialerError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let mut config = match trust {
        Trust::Authority(file) => builder.with_root_certificates(roots(file)?).with_no_client_auth(),
        Trust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth(),
    };
    // Every phone stands for a browser that has not been here before: full handshakes, no tickets.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn roots(file: &Path) -> Result<RootCertStore, DialerError> {
    let failed = |error: String| DialerError::Authority(file.to_owned(), error);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| failed(error.to_string()))? {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() { Err(failed("no certificate found".to_owned())) } else { Ok(roots) }
}

/// Accepts every certificate, but still checks that the server holds its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

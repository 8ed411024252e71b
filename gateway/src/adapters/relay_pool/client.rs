//! One relay's control API, asked over a few connections that are kept.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use relay_api::RelayError;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::lines::Lines;

/// How a relay is reached.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `http` or `https`, a host, perhaps a port.
    pub url: Uri,
    /// Who signs its certificate; needed for `https`.
    pub tls: Option<Arc<ClientConfig>>,
    /// Its first token is shown.
    pub token_file: Option<PathBuf>,
}

/// Asks one relay.
pub(super) struct Client {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    token_file: Option<PathBuf>,
    token: Mutex<Option<HeaderValue>>,
    idle: Mutex<Vec<(SendRequest<Body>, Instant)>>,
    room: Semaphore,
}

/// Why a relay can't be asked at all: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It names no host.
    #[error("{0} names no host")]
    Host(Uri),
    /// It is to be reached by TLS, and nobody is trusted to say that it is the right one.
    #[error("{0} needs the authorities of its certificate")]
    Authorities(Uri),
    /// The token can't be read.
    #[error("{}: {source}", .file.display())]
    Token {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Client {
    pub(super) fn new(target: Endpoint) -> Result<Self, EndpointError> {
        let host = target.url.host().ok_or_else(|| EndpointError::Host(target.url.clone()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_https = target.url.scheme_str() == Some("https");
        let tls = match (is_https, target.tls) {
            (false, _) => None,
            (true, None) => return Err(EndpointError::Authorities(target.url)),
            (true, Some(config)) => {
                let name = ServerName::try_from(host.clone());
                let name = name.map_err(|_| EndpointError::Host(target.url.clone()))?;
                Some((TlsConnector::from(config), name))
            }
        };
        let port = target.url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let client = Self {
            host,
            port,
            tls,
            token_file: target.token_file,
            token: Mutex::default(),
            idle: Mutex::default(),
            room: Semaphore::new(MAX_REQUESTS),
        };
        client.read_token()?;
        Ok(client)
    }

    /// Asks, and reads the answer within `within`. What is not media's fault is [`RelayError::Unavailable`].
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        within: Duration,
    ) -> Result<T, RelayError> {
        let exchange = timeout(within, self.exchange(method, path, body));
        let (status, answer) = match exchange.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::debug!(relay = self.host, path, %error, "no answer");
                return Err(RelayError::Unavailable);
            }
            Err(_) => {
                tracing::debug!(relay = self.host, path, "no answer in time");
                return Err(RelayError::Unavailable);
            }
        };
        self.judge(status, &answer)
    }

    /// Opens the stream of events on a connection of its own.
    pub(super) async fn events(&self, query: &str) -> io::Result<Lines> {
        let mut sender = self.connect().await?;
        let request = self.request(&Method::GET, &format!("/v1/events{query}"), Bytes::new());
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        match response.status() {
            StatusCode::OK => Ok(Lines::new(response.into_body())),
            status => Err(io::Error::other(status.to_string())),
        }
    }

    fn judge<T: DeserializeOwned>(&self, status: StatusCode, answer: &[u8]) -> Result<T, RelayError> {
        if status.is_success() {
            // 204 is the answer to what has no result.
            let answer: &[u8] = if answer.is_empty() { b"null" } else { answer };
            return serde_json::from_slice(answer).map_err(|error| {
                tracing::warn!(relay = self.host, %error, "an answer that can't be read");
                RelayError::Unavailable
            });
        }
        if let Ok(error) = serde_json::from_slice(answer) {
            return Err(error);
        }
        tracing::warn!(relay = self.host, %status, "the relay does not do as it is told");
        if status == StatusCode::UNAUTHORIZED
            && let Err(error) = self.read_token()
        {
            tracing::warn!(relay = self.host, %error, "the token can't be read");
        }
        Err(RelayError::Unavailable)
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> io::Result<(StatusCode, Bytes)> {
        let _room = self.room.acquire().await.map_err(io::Error::other)?;
        if let Some(mut sender) = self.take_idle() {
            match self.send(&mut sender, &method, path, body.clone()).await {
                Ok(answer) => return Ok(self.keep(sender, answer)),
                // The relay may have closed it in the same moment. A digit must not be played twice.
                Err(_) if method != Method::POST => {}
                Err(error) => return Err(error),
            }
        }
        let mut sender = self.connect().await?;
        let answer = self.send(&mut sender, &method, path, body).await?;
        Ok(self.keep(sender, answer))
    }

    async fn send(
        &self,
        sender: &mut SendRequest<Body>,
        method: &Method,
        path: &str,
        body: Bytes,
    ) -> io::Result<(StatusCode, Bytes)> {
        sender.ready().await.map_err(io::Error::other)?;
        let response = sender.send_request(self.request(method, path, body));
        let response: axum::http::Response<Incoming> = response.await.map_err(io::Error::other)?;
        let status = response.status();
        let answer = to_bytes(Body::new(response.into_body()), MAX_ANSWER).await;
        Ok((status, answer.map_err(io::Error::other)?))
    }

    fn request(&self, method: &Method, path: &str, body: Bytes) -> Request<Body> {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = method.clone();
        // Paths are made of our own words and ids, which have no other characters than a path may have.
        *request.uri_mut() = path.parse().unwrap_or_default();
        let headers = request.headers_mut();
        if let Ok(host) = HeaderValue::from_str(&self.host) {
            headers.insert(header::HOST, host);
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = lock(&self.token).clone() {
            headers.insert(header::AUTHORIZATION, token);
        }
        request
    }

    async fn connect(&self) -> io::Result<SendRequest<Body>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => shake_hands(stream).await,
            Some((tls, name)) => shake_hands(tls.connect(name.clone(), stream).await?).await,
        }
    }

    fn take_idle(&self) -> Option<SendRequest<Body>> {
        let mut idle = lock(&self.idle);
        while let Some((sender, since)) = idle.pop() {
            if !sender.is_closed() && since.elapsed() < IDLE_FOR {
                return Some(sender);
            }
        }
        None
    }

    fn keep<T>(&self, sender: SendRequest<Body>, answer: T) -> T {
        let mut idle = lock(&self.idle);
        if idle.len() < MAX_IDLE {
            idle.push((sender, Instant::now()));
        }
        answer
    }

    /// At the start, and when the relay does not accept what we show: tokens are changed while calls go on.
    fn read_token(&self) -> Result<(), EndpointError> {
        let Some(file) = &self.token_file else { return Ok(()) };
        let failed = |source| EndpointError::Token { file: file.clone(), source };
        let text = daemon::text::read(file).map_err(failed)?;
        let mut lines = text.lines().map(str::trim);
        let token = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
        let token = token.ok_or_else(|| failed(io::Error::other("no token in it")))?;
        let shown = zeroize::Zeroizing::new(format!("Bearer {token}"));
        let mut value = HeaderValue::from_str(&shown).map_err(|e| failed(io::Error::other(e)))?;
        value.set_sensitive(true);
        *lock(&self.token) = Some(value);
        Ok(())
    }
}

async fn shake_hands(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> io::Result<SendRequest<Body>> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to a relay broke");
        }
    });
    Ok(sender)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Requests to one relay under way; others wait, within their deadline.
const MAX_REQUESTS: usize = 64;
/// Connections to one relay that wait for the next request; more are closed.
const MAX_IDLE: usize = 16;
/// Half as long as the relay keeps a silent connection.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// Bytes: statistics of 500 sessions have less.
const MAX_ANSWER: usize = 1 << 20;

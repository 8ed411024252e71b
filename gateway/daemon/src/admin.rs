//! The operators' listener: is the process alive, does it take calls, what does it count.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::{Registry, TextEncoder};

/// May new calls come here?
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Starts or stops taking new calls.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// May new calls come here?
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Opens a listener. Who comes before it is served waits.
///
/// # Errors
/// The address can't be had.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves [`router`] on its own listener until the runtime ends; nothing without one.
///
/// # Errors
/// The listener is none.
pub fn serve(listener: Option<TcpListener>, readiness: Readiness, registry: Registry) -> io::Result<()> {
    let Some(listener) = listener else { return Ok(()) };
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = router(readiness, registry);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the operators' listener stopped");
        }
    });
    Ok(())
}

/// Asks the program behind an operators' listener whether it takes calls.
///
/// # Errors
/// Why it does not, for people.
pub fn health(address: SocketAddr) -> Result<(), String> {
    let no_answer = |error: io::Error| format!("no answer from {address}: {error}; is it running?");
    let mut connection = TcpStream::connect_timeout(&address, HEALTH_TIMEOUT).map_err(no_answer)?;
    connection.set_read_timeout(Some(HEALTH_TIMEOUT)).map_err(no_answer)?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).map_err(no_answer)?;
    let mut answer = String::new();
    connection.take(4_096).read_to_string(&mut answer).map_err(no_answer)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
    if answer.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(body.to_string()) }
}

/// `/livez`, `/readyz` and `/metrics`.
pub fn router(readiness: Readiness, registry: Registry) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(metrics).with_state(registry))
}

async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    match readiness.is_ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready: starting or stopping\n"),
    }
}

async fn metrics(State(registry): State<Registry>) -> impl IntoResponse {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text),
        Err(e) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], format!("{e}\n"))
        }
    }
}

const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

//! The operators' listener: is the process alive, does it take calls, what does it count.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::{Registry, TextEncoder};
use tokio::runtime::Builder;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::http::{self, Bounds};

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

/// Serves [`router`] on its own listener until the process ends; nothing without one.
///
/// # Errors
/// The listener is none, or there is no thread for it.
pub fn serve(listener: Option<TcpListener>, readiness: Readiness, registry: Registry) -> io::Result<()> {
    let Some(listener) = listener else { return Ok(()) };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let router = router(readiness, registry);
    // A thread of its own: whoever asks for the metrics without end keeps nobody's call waiting.
    thread::Builder::new()
        .name("admin".into())
        .spawn(move || runtime.block_on(http::serve("admin", listener, BOUNDS, router, || None)))?;
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
    let metrics_of = Metrics { registry, last: Mutex::default() };
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(metrics).with_state(Arc::new(metrics_of)))
}

async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    match readiness.is_ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready: starting or stopping\n"),
    }
}

async fn metrics(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    match metrics.text().await {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text),
        Err(e) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain")],
            format!("{e}\n").into(),
        ),
    }
}

/// What is counted, as text. To gather it is work: it is done now and then for all who have asked by then.
struct Metrics {
    registry: Registry,
    last: Mutex<Option<Gathered>>,
}

struct Gathered {
    begun: Instant,
    text: Bytes,
}

impl Metrics {
    /// Nothing older than the question.
    async fn text(&self) -> prometheus::Result<Bytes> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some(gathered) = &*last {
            if gathered.begun >= asked {
                return Ok(gathered.text.clone());
            }
            sleep_until(gathered.begun + GATHERED_EVERY).await;
        }
        let begun = Instant::now();
        let text = Bytes::from(TextEncoder::new().encode_to_string(&self.registry.gather())?);
        *last = Some(Gathered { begun, text: text.clone() });
        Ok(text)
    }
}

/// A few operators' programs; whoever is beyond the share of his address leaves room for the others.
const BOUNDS: Bounds = Bounds { connections: 64, connections_per_address: 32, idle: Duration::from_secs(60) };
/// At most.
const GATHERED_EVERY: Duration = Duration::from_millis(50);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use prometheus::IntCounter;
    use prometheus::core::{Collector, Desc};
    use prometheus::proto::MetricFamily;
    use tokio::task::JoinSet;

    use super::*;

    /// Counts how often it is asked, and tells it.
    #[derive(Clone)]
    struct Asked(IntCounter);

    impl Collector for Asked {
        fn desc(&self) -> Vec<&Desc> {
            self.0.desc()
        }

        fn collect(&self) -> Vec<MetricFamily> {
            self.0.inc();
            self.0.collect()
        }
    }

    #[tokio::test]
    async fn whoever_asks_while_metrics_are_gathered_shares_the_next_answer_and_none_is_old() {
        let asked = Asked(IntCounter::new("asked", "How often.").unwrap());
        let registry = Registry::new();
        registry.register(Box::new(asked.clone())).unwrap();
        let metrics = Arc::new(Metrics { registry, last: Mutex::default() });
        metrics.text().await.unwrap();
        let before = asked.0.get();
        let mut answers = JoinSet::new();
        for _ in 0..100 {
            let metrics = Arc::clone(&metrics);
            answers.spawn(async move { metrics.text().await });
        }
        for answer in answers.join_all().await {
            assert!(
                !String::from_utf8_lossy(&answer.unwrap()).contains(&format!("asked {before}\n")),
                "it is old"
            );
        }
        // One more where the first has not to wait.
        assert!((before + 1..=before + 2).contains(&asked.0.get()), "a hundred questions at once are one");
    }
}

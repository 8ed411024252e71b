//! The control API's listener: TLS, HTTP/1.1, a bounded number of connections.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::{Control, Protection, Stage};

/// Serves until `control` is stopped. TLS is as `protection` says when a connection begins.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    protection: Arc<ArcSwap<Protection>>,
    control: Control,
) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = control.reached(Stage::Stopped) => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Without descriptors accept fails at once, again and again.
                tracing::warn!(%error, "accept failed");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // A connection too many is closed unread.
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (router, tls, control) = (router.clone(), protection.load().tls.clone(), control.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = connection(stream, router, tls.map(TlsAcceptor::from)) => {}
                () = goodbye(&control) => {}
            }
            drop(permit);
        });
    }
}

async fn connection(stream: TcpStream, router: Router, tls: Option<TlsAcceptor>) {
    let _ = stream.set_nodelay(true);
    // Whoever does not read, or is gone without a word, is closed by the kernel.
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(UNREAD_FOR));
    match tls {
        None => http(stream, router).await,
        Some(tls) => match timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
            Ok(Ok(stream)) => http(stream, router).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS failed"),
            Err(_) => tracing::debug!("TLS took too long"),
        },
    }
}

async fn http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_FOR)
        .max_headers(MAX_HEADERS)
        .max_buf_size(HTTP_BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "HTTP failed");
    }
}

/// Streams end by themselves when the relay stops; the others get a moment.
async fn goodbye(control: &Control) {
    control.reached(Stage::Stopped).await;
    sleep(GOODBYE).await;
}

/// More are closed unread: a few for each gateway.
const MAX_CONNECTIONS: usize = 256;
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Without a whole request head.
const IDLE_FOR: Duration = Duration::from_secs(60);
/// What was sent and not taken.
const UNREAD_FOR: Duration = Duration::from_secs(20);
const MAX_HEADERS: usize = 64;
/// Bytes of a request's head, and of what is read or written at a time.
const HTTP_BUFFER: usize = 16 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
const GOODBYE: Duration = Duration::from_millis(200);

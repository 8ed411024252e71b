//! HTTP on the browsers' port: pages, and the upgrade to SIP over WebSocket (RFC 7118).

mod counted;
mod frames;
mod upgrade;
mod wire;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep};

pub use self::upgrade::{MissingOrigin, Origins};
use self::wire::WsWire;
use super::limits::Admission;
use super::listener::{Door, Stage, Visitor};
use super::refusal::Refusal;
use crate::ports::transport::{Ingress, Protocol};

/// What a browsers' listener serves.
#[derive(Clone, Debug)]
pub struct Web {
    /// The path of the WebSocket, as `/ws`.
    pub path: String,
    /// Which pages may connect there.
    pub origins: Origins,
    /// All other requests. The peer's address is in the extension [`ConnectInfo`]`<SocketAddr>`.
    pub pages: Router,
}

/// Speaks HTTP on a connection, and starts a session if it becomes a WebSocket.
pub(super) async fn serve<S, I>(
    door: &Door<I>,
    web: &Web,
    protocol: Protocol,
    stream: S,
    mut visitor: Visitor,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    I: Ingress,
{
    let upgrade = Arc::new(Mutex::new(None));
    let served = AtomicBool::new(false);
    let service = {
        let (web, upgrade, remote) = (web.clone(), Arc::clone(&upgrade), visitor.remote);
        let pages = TowerToHyperService::new(web.pages.clone());
        let served = &served;
        service_fn(move |mut request: Request<Incoming>| {
            served.store(true, Relaxed);
            request.extensions_mut().insert(ConnectInfo(remote));
            let answer = match judge(door, &mut request, &web, remote, &upgrade) {
                Answer::Page => None,
                Answer::WebSocket(response) => Some(response),
                Answer::Refused(why) => {
                    door.refusals.note(why, remote, upgrade::detail(&request, why));
                    // What is at another path is for the pages to say.
                    (why != Refusal::Path).then(|| upgrade::refuse(why))
                }
            };
            let pages = pages.clone();
            async move {
                match answer {
                    Some(answer) => Ok::<_, Infallible>(answer),
                    None => pages.call(request).await,
                }
            }
        })
    };
    let head_within = visitor.deadline.saturating_duration_since(Instant::now()).max(HEAD_WITHIN_MIN);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_within)
        .max_headers(MAX_HEADERS)
        .max_buf_size(HTTP_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = Box::pin(connection);
    let mut stage = door.stage.clone();
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = sleep(HTTP_LIFETIME) => return,
        () = Stage::Draining.reached(&mut stage) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! { result = connection.as_mut() => result, () = sleep(HTTP_GOODBYE) => return }
        }
    };
    drop(connection);
    let upgrade = upgrade.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (result, upgrade) {
        (Ok(()), Some(Upgrade { stream, client })) => {
            if let Some((address, admission)) = client {
                visitor.remote.set_ip(address);
                visitor.admission = admission;
            }
            start::<S, I>(door, protocol, stream, visitor).await;
        }
        (Ok(()), None) => {}
        (Err(error), _) => {
            if !error.is_timeout() {
                door.refusals.note(Refusal::Http, visitor.remote, error);
            } else if !served.load(Relaxed) {
                // Browsers open connections on the chance that they will need them: not worth a line.
                door.refusals.count(Refusal::TooSlow);
            }
        }
    }
}

/// What a request gets.
enum Answer {
    Page,
    WebSocket(Response<Body>),
    Refused(Refusal),
}

/// What a WebSocket is made of.
struct Upgrade {
    stream: OnUpgrade,
    /// If the peer is a proxy.
    client: Option<(IpAddr, Admission)>,
}

fn judge<I: Ingress>(
    door: &Door<I>,
    request: &mut Request<Incoming>,
    web: &Web,
    remote: SocketAddr,
    upgrade: &Mutex<Option<Upgrade>>,
) -> Answer {
    if !upgrade::is_asked(request) {
        return Answer::Page;
    }
    if request.uri().path() != web.path {
        return Answer::Refused(Refusal::Path);
    }
    let accepted = upgrade::accept(request, &web.origins)
        .and_then(|response| Ok((response, door.admit_forwarded(request.headers(), remote.ip())?)));
    match accepted {
        Ok((response, client)) => {
            let stream = hyper::upgrade::on(request);
            *upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(Upgrade { stream, client });
            Answer::WebSocket(response)
        }
        Err(why) => Answer::Refused(why),
    }
}

async fn start<S, I>(door: &Door<I>, protocol: Protocol, upgrade: OnUpgrade, visitor: Visitor)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    I: Ingress,
{
    let Ok(upgraded) = upgrade.await else { return };
    let parts = upgraded.downcast::<TokioIo<S>>().expect("hyper gives back the stream that it was given");
    let wire = WsWire::new(parts.io.into_inner(), &parts.read_buf, door.limits.message).await;
    door.start_session(protocol, visitor, |_| wire);
}

/// Header lines of an HTTP request.
const MAX_HEADERS: usize = 64;

/// Bytes of an HTTP request's head, and of what is read or written at a time.
const HTTP_BUFFER: usize = 16 * 1024;

/// A connection that does not become a WebSocket is closed after this; browsers open another.
const HTTP_LIFETIME: Duration = Duration::from_secs(120);

/// For the request under way when draining begins.
const HTTP_GOODBYE: Duration = Duration::from_secs(2);

/// What a slow TLS handshake leaves for the HTTP request at least.
const HEAD_WITHIN_MIN: Duration = Duration::from_secs(1);

//! The control API's listener.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use daemon::http::{self, Bounds};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::{Control, Protection, Stage};

/// Serves until `control` is stopped. TLS is as `protection` says when a connection begins.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    protection: Arc<ArcSwap<Protection>>,
    control: Control,
) {
    tokio::select! {
        () = http::serve("control", listener, BOUNDS, router, || protection.load().tls.clone()) => {}
        () = goodbye(&control) => {}
    }
}

/// Streams end by themselves when the relay stops; the others get a moment.
async fn goodbye(control: &Control) {
    control.reached(Stage::Stopped).await;
    sleep(GOODBYE).await;
}

/// A gateway has one for events, and up to 64 for requests.
const BOUNDS: Bounds =
    Bounds { connections: 256, connections_per_address: 128, idle: Duration::from_secs(60) };
const GOODBYE: Duration = Duration::from_millis(200);

//! TURN over TLS on the port of HTTPS: whose connection is whose, and the way to the relay.

use std::io;

use daemon::handshake::Transport;
use daemon::tls;
use media_relay::{AcceptedStream, Relay};
use tokio::io::AsyncBufReadExt;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::server::TlsStream;

use super::listener::Visitor;

/// Whether the peer is a TURN client: it says so (ALPN, RFC 7443), or names no protocol, as Chromium does for `turns:`, and
/// begins with a STUN message. Nothing is consumed. Who says nothing until `deadline` is left to HTTP, which closes it.
pub(super) async fn is_spoken(stream: &mut TlsStream<Transport>, deadline: Instant) -> bool {
    match stream.get_ref().1.alpn_protocol() {
        Some(protocol) => protocol == tls::TURN.as_bytes(),
        None => {
            let begun = timeout_at(deadline, stream.fill_buf()).await;
            begun.is_ok_and(|octets| octets.is_ok_and(|octets| octets.first().is_some_and(is_stun)))
        }
    }
}

/// Gives the connection to the relay, with what was read of it; here it ends, and its place is free.
pub(super) async fn hand_over(relay: &Relay, stream: TlsStream<Transport>, visitor: Visitor) {
    let remote = visitor.remote;
    let handed = async {
        let (transport, tls) = stream.into_inner();
        let stream = AcceptedStream { socket: transport.into_socket().into_std()?, address: remote, tls };
        relay.serve_turn(stream).await.map_err(io::Error::other)
    };
    if let Err(error) = handed.await {
        tracing::debug!(%remote, %error, "a TURN client is lost");
    }
}

/// RFC 8489 §5: a STUN message begins with two zero bits, and the methods in use, which are below 0x80, with five more. No
/// HTTP request begins with a control character (RFC 9110 §9.1).
fn is_stun(first: &u8) -> bool {
    *first < 2
}

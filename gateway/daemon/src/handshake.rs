//! TLS handshakes with strangers, who get neither more room for one than a peer needs, nor more time than the caller gives.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Bytes that a peer sends until the handshake is done: the longest ClientHello, and a chain of certificates. rustls alone would keep
/// a message of 64 KiB, in as many records as the peer likes (RFC 8446 §5.1).
pub const MOST_HANDSHAKE: usize = 16 * 1024;

/// What is said of a peer that sends more.
pub const TOO_LONG: &str = "its handshake takes more than 16 KiB";

/// A socket under TLS.
#[derive(Debug)]
pub struct Transport {
    socket: TcpStream,
    /// What the peer may send in its handshake; none after it.
    left: Option<usize>,
}

/// The server's side of a handshake.
///
/// # Errors
/// The connection breaks, the peer's TLS fails, or its handshake is too long.
pub async fn accept(acceptor: &TlsAcceptor, socket: TcpStream) -> io::Result<TlsStream<Transport>> {
    let transport = Transport { socket, left: Some(MOST_HANDSHAKE) };
    let mut stream = acceptor.accept(transport).await?;
    stream.get_mut().0.left = None;
    Ok(stream)
}

impl Transport {
    /// The socket without TLS.
    pub fn into_socket(self) -> TcpStream {
        self.socket
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        if let Some(left) = self.left {
            let left = left.checked_sub(buffer.filled().len() - before);
            self.left = Some(left.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, TOO_LONG))?);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

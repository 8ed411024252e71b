//! SIP messages in WebSocket frames (RFC 7118 §5, RFC 6455).

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes, error::ProtocolError};

use super::super::session::{Received, Wire};
use super::counted::Counted;
use crate::ports::transport::CloseReason;

/// One WebSocket, the server's end.
pub(crate) struct WsWire<S> {
    socket: WebSocketStream<Counted<S>>,
    /// What the peer used last; it is answered in kind (RFC 7118 §5.2).
    kind: Kind,
    /// Bytes of the message in the write buffer.
    unwritten: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> WsWire<S> {
    /// Takes over a stream after the upgrade, with what was read beyond it.
    pub(crate) async fn new(stream: S, read_ahead: &[u8], max_message: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_message));
        let socket = WebSocketStream::from_partially_read(
            Counted::new(stream, read_ahead),
            read_ahead.to_vec(),
            Role::Server,
            Some(config),
        )
        .await;
        Self { socket, kind: Kind::Text, unwritten: 0 }
    }

    /// A keep-alive is not a SIP message: RFC 5626 §4.4.1, which RFC 7118 §6 lets clients use.
    fn sort(&mut self, kind: Kind, payload: Bytes) -> Received {
        self.kind = kind;
        match payload.as_ref() {
            b"\r\n\r\n" => Received::KeepAlive,
            b"\r\n" | b"" => Received::Control,
            _ => Received::Message(payload),
        }
    }

    fn frame(&self, message: Bytes) -> Message {
        match self.kind {
            Kind::Binary => Message::Binary(message),
            // A message that is not UTF-8 cannot be a text frame (RFC 6455 §5.6).
            Kind::Text => match Utf8Bytes::try_from(message.clone()) {
                Ok(text) => Message::Text(text),
                Err(_) => Message::Binary(message),
            },
        }
    }

    fn start(&mut self, message: Message) -> Result<(), CloseReason> {
        Pin::new(&mut self.socket).start_send(message).map_err(|error| reason(&error))
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for WsWire<S> {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        let item = std::task::ready!(Pin::new(&mut self.socket).poll_next(cx));
        Poll::Ready(match item {
            Some(Ok(Message::Text(text))) => self.sort(Kind::Text, text.into()),
            Some(Ok(Message::Binary(bytes))) => self.sort(Kind::Binary, bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Received::Control,
            Some(Ok(Message::Close(_))) | None => Received::End(CloseReason::Peer),
            Some(Err(error)) => Received::End(reason(&error)),
        })
    }

    fn start_send(&mut self, message: Bytes) -> Result<(), CloseReason> {
        self.unwritten = message.len();
        let frame = self.frame(message);
        self.start(frame)
    }

    fn start_ping(&mut self) -> Result<(), CloseReason> {
        self.start(Message::Ping(Bytes::new()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx).map_err(|error| reason(&error));
        if flushed.is_ready() {
            self.unwritten = 0;
        }
        flushed
    }

    fn unfinished(&self) -> Option<u64> {
        self.socket.get_ref().unfinished()
    }

    fn held(&self) -> usize {
        self.socket.get_ref().announced() + self.unwritten
    }

    fn bytes_received(&self) -> u64 {
        self.socket.get_ref().received()
    }

    async fn close(&mut self, why: CloseReason) {
        if let Some(code) = why.websocket_code() {
            let frame =
                CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::from_static(why.as_str()) };
            if self.socket.send(Message::Close(Some(frame))).await.is_err() {
                return;
            }
        }
        // Also sends the answer to the peer's Close.
        let _ = self.socket.flush().await;
        // A socket that is closed with bytes unread is reset, and the reset may overtake our Close frame: read them away.
        let stream = self.socket.get_mut();
        let _ = stream.shutdown().await;
        let mut scrap = [0; 1024];
        while let Ok(1..) = stream.read(&mut scrap).await {}
    }
}

/// Whose fault an error is.
fn reason(error: &Error) -> CloseReason {
    match error {
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => CloseReason::Peer,
        Error::Protocol(_) => CloseReason::Protocol,
        Error::Capacity(_) => CloseReason::TooBig,
        Error::Utf8(_) => CloseReason::NotText,
        Error::WriteBufferFull(_) => CloseReason::SlowReader,
        Error::Io(error) => super::super::session::io_reason(error),
        _ => CloseReason::Internal,
    }
}

/// What is read at a time; the share of an idle connection's memory that we choose.
const READ_BUFFER: usize = 4_096;

/// Room for one message of the largest size and the control frames beside it.
const WRITE_BUFFER: usize = 256 * 1024;

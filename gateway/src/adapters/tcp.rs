//! SIP on a byte stream, TCP or TLS (RFC 3261 §18.3, RFC 5626 §4.4.1).

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use sip_core::message::framing::{Frame, Stream as Framing};
use sip_core::message::{Malformed, ParseError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::limits::Limits;
use super::session::{Received, Wire, io_reason};
use crate::ports::transport::CloseReason;

/// One byte stream, either end.
pub(crate) struct StreamWire<S> {
    stream: S,
    framing: Framing,
    /// Messages and keep-alives that came whole.
    whole: u64,
    received: u64,
    writing: Bytes,
    /// The answer to what broke the framing, to be sent before we close.
    farewell: Bytes,
    error: Option<io::Error>,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> StreamWire<S> {
    pub(crate) fn new(stream: S, limits: &Limits) -> Self {
        let limits = sip_core::message::Limits { message: limits.message, ..Default::default() };
        Self {
            stream,
            framing: Framing::new(limits),
            whole: 0,
            received: 0,
            writing: Bytes::new(),
            farewell: Bytes::new(),
            error: None,
        }
    }

    /// Where one message ends and the next begins is lost (RFC 3261 §18.3): there is no going on.
    fn part_with(&mut self, malformed: Malformed) -> CloseReason {
        self.farewell = malformed.reply.map(|reply| reply.bytes().clone()).unwrap_or_default();
        match malformed.error {
            ParseError::MessageTooLarge => CloseReason::TooBig,
            _ => CloseReason::Protocol,
        }
    }

    fn fail(&mut self, error: io::Error) -> CloseReason {
        let reason = io_reason(&error);
        self.error = Some(error);
        reason
    }

    /// Reads once. No bytes: the peer is done.
    fn poll_feed(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, CloseReason>> {
        let mut buffer = [0; READ_BUFFER];
        let mut buffer = ReadBuf::new(&mut buffer);
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
        result.map_err(|error| self.fail(error))?;
        let bytes = buffer.filled();
        self.received += bytes.len() as u64;
        self.framing.feed(bytes);
        Poll::Ready(Ok(bytes.len()))
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for StreamWire<S> {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        loop {
            let next = self.framing.next();
            self.whole += u64::from(next.is_some());
            match next {
                Some(Ok(Frame::Message(raw))) => return Poll::Ready(Received::Message(raw)),
                Some(Ok(Frame::KeepAlivePing)) => return Poll::Ready(Received::KeepAlive),
                Some(Ok(Frame::KeepAlivePong)) => return Poll::Ready(Received::Control),
                Some(Err(malformed)) => return Poll::Ready(Received::End(self.part_with(malformed))),
                None => {}
            }
            match ready!(self.poll_feed(cx)) {
                Ok(0) => return Poll::Ready(Received::End(CloseReason::Peer)),
                Ok(_) => {}
                Err(why) => return Poll::Ready(Received::End(why)),
            }
        }
    }

    fn start_send(&mut self, message: Bytes) -> Result<(), CloseReason> {
        self.writing = message;
        Ok(())
    }

    fn start_ping(&mut self) -> Result<(), CloseReason> {
        self.start_send(Bytes::from_static(b"\r\n\r\n"))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        while self.writing.has_remaining() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.writing)) {
                Ok(0) => return Poll::Ready(Err(CloseReason::Io)),
                Ok(written) => self.writing.advance(written),
                Err(error) => return Poll::Ready(Err(self.fail(error))),
            }
        }
        self.writing = Bytes::new();
        Pin::new(&mut self.stream).poll_flush(cx).map_err(|error| self.fail(error))
    }

    fn error(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    fn unfinished(&self) -> Option<u64> {
        (self.framing.pending() > 0).then_some(self.whole)
    }

    fn held(&self) -> usize {
        self.framing.pending() + self.writing.len()
    }

    fn bytes_received(&self) -> u64 {
        self.received
    }

    async fn close(&mut self, _why: CloseReason) {
        // A stream has no word for the reason. What was begun is ended first, else the farewell would be part of it.
        let _ = poll_fn(|cx| self.poll_flush(cx)).await;
        let _ = self.stream.write_all(&self.farewell).await;
        let _ = self.stream.shutdown().await;
        // A socket that is closed with bytes unread is reset, and the reset may overtake what we sent.
        let mut scrap = [0; 1024];
        while let Ok(1..) = self.stream.read(&mut scrap).await {}
    }
}

/// Bytes read at a time, on the stack: an idle connection holds none.
const READ_BUFFER: usize = 8_192;

//! A byte stream that watches what comes in, so that a session can tell life from silence and what is whole from half.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;

/// The stream, its count, and where its frames stand.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    stream: S,
    received: u64,
    frames: Frames,
}

impl<S> Counted<S> {
    /// With what was read before the frames began to be watched.
    pub(crate) fn new(stream: S, read_ahead: &[u8]) -> Self {
        let mut frames = Frames::default();
        frames.feed(read_ahead);
        Self { stream, received: 0, frames }
    }

    /// [`Frames::unfinished`].
    pub(crate) fn unfinished(&self) -> Option<u64> {
        self.frames.unfinished()
    }

    /// [`Frames::announced`].
    pub(crate) fn announced(&self) -> usize {
        self.frames.announced()
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let new = buffer.filled().get(before..).unwrap_or_default();
        self.received += new.len() as u64;
        self.frames.feed(new);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

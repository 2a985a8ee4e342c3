//! A line whose opening is over, for lettre, which knows only lines that it opened itself.

use lettre::transport::smtp::client::AsyncTokioStream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Greets lettre and answers its EHLO, so that the host is not asked twice; all the rest goes through.
#[derive(Debug)]
pub(super) struct Opened {
    /// What lettre has yet to hear.
    to_hear: &'static [u8],
    /// Whether its EHLO is yet to come.
    expects_hello: bool,
    stream: Box<dyn AsyncTokioStream>,
}

impl Opened {
    pub(super) fn new(stream: Box<dyn AsyncTokioStream>) -> Self {
        Self { to_hear: b"220 here\r\n250 well\r\n", expects_hello: true, stream }
    }
}

impl AsyncTokioStream for Opened {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncRead for Opened {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.to_hear.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let (now, later) = self.to_hear.split_at(self.to_hear.len().min(buf.remaining()));
        buf.put_slice(now);
        self.to_hear = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Opened {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if !self.expects_hello {
            return Pin::new(&mut self.stream).poll_write(cx, buf);
        }
        let end = buf.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        self.expects_hello = end.is_none();
        Poll::Ready(Ok(end.unwrap_or(buf.len())))
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

//! Lines over a socket, in both directions.

use std::io::{self, BufRead};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// A line, protected or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

const ROOM: usize = 32 << 10;

/// A connection that speaks lines. What is said goes out when nothing more has been heard yet, so
/// that the answers to pipelined commands travel together (RFC 2920).
pub(crate) struct Wire {
    stream: BufReader<Box<dyn Stream>>,
    out: Vec<u8>,
    patience: Duration,
}

impl Wire {
    /// `patience` is how long the other side may be silent.
    pub(crate) fn new(stream: TcpStream, patience: Duration) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::over(Box::new(stream), patience))
    }

    fn over(stream: Box<dyn Stream>, patience: Duration) -> Self {
        Self { stream: BufReader::with_capacity(ROOM, stream), out: Vec::new(), patience }
    }

    /// The same line, protected. What was heard before the handshake is forgotten (RFC 3207 §4.2).
    pub(crate) async fn protected(mut self, acceptor: &TlsAcceptor) -> io::Result<Self> {
        self.flush().await?;
        let protected = timeout(self.patience, acceptor.accept(self.stream.into_inner())).await??;
        Ok(Self::over(Box::new(protected), self.patience))
    }

    /// Sends what has been said, and waits for the other side to say anything at all, or to close the line.
    pub(crate) async fn heard(&mut self) -> io::Result<()> {
        self.flush().await?;
        timeout(self.patience, self.stream.fill_buf()).await??;
        Ok(())
    }

    /// Says `bytes`, at the latest before the next wait for the other side.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Sends what has been said.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            timeout(self.patience, self.stream.write_all(&self.out)).await??;
            timeout(self.patience, self.stream.flush()).await??;
            self.out.clear();
        }
        Ok(())
    }

    /// Appends the next line to `line`, its end included; false when the line is closed. What goes
    /// beyond `limit` bytes is read and forgotten; the result is then longer than `limit`.
    pub(crate) async fn line(&mut self, line: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
        loop {
            if self.stream.buffer().is_empty() {
                self.flush().await?;
            }
            let mut heard = timeout(self.patience, self.stream.fill_buf()).await??;
            if heard.is_empty() {
                return Ok(false);
            }
            // The standard library's search is compiled with optimisation in every profile.
            let taken = BufRead::read_until(&mut heard, b'\n', line)?;
            self.stream.consume(taken);
            let ended = line.last() == Some(&b'\n');
            if line.len() > limit {
                line.truncate(limit);
                line.extend_from_slice(if ended { b"\r\n" } else { b"." });
            }
            if ended {
                return Ok(true);
            }
        }
    }
}

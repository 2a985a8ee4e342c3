//! Lines over a socket, in both directions.

use std::io::{self, BufRead};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// A connection that speaks lines. What is said goes out when nothing more has been heard yet, so
/// that the answers to pipelined commands travel together (RFC 2920).
pub(crate) struct Wire {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    out: Vec<u8>,
    patience: Duration,
}

impl Wire {
    /// `patience` is how long the other side may be silent.
    pub(crate) fn new(stream: TcpStream, patience: Duration) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let reader = BufReader::with_capacity(32 << 10, reader);
        Ok(Self { reader, writer, out: Vec::new(), patience })
    }

    /// Says `bytes`, at the latest before the next wait for the other side.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Sends what has been said.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            timeout(self.patience, self.writer.write_all(&self.out)).await??;
            self.out.clear();
        }
        Ok(())
    }

    /// Appends the next line to `line`, its end included; false when the line is closed. What goes
    /// beyond `limit` bytes is read and forgotten; the result is then longer than `limit`.
    pub(crate) async fn line(&mut self, line: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
        loop {
            if self.reader.buffer().is_empty() {
                self.flush().await?;
            }
            let mut heard = timeout(self.patience, self.reader.fill_buf()).await??;
            if heard.is_empty() {
                return Ok(false);
            }
            // The standard library's search is compiled with optimisation in every profile.
            let taken = BufRead::read_until(&mut heard, b'\n', line)?;
            self.reader.consume(taken);
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

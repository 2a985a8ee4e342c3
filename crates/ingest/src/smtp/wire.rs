//! Lines and bytes over a socket, with an end to all patience.

use super::Reply;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

/// The longest line of commands, in bytes: RFC 5321 asks for 512, and more for some extensions.
const LINE: usize = 2048;
/// How much is read at a time, in bytes.
const CHUNK: usize = 16 << 10;

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    stream: S,
    /// Heard and not yet used.
    heard: Vec<u8>,
}

/// What came of waiting for a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A line, with its line end.
    Line(Vec<u8>),
    /// More bytes than a line has.
    TooLong,
    /// The other side hung up.
    Nothing,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, heard: Vec::new() }
    }

    /// Sends `reply`.
    pub(crate) async fn say(&mut self, reply: &Reply, patience: Duration) -> io::Result<()> {
        timeout(patience, self.stream.write_all(reply.to_string().as_bytes())).await?
    }

    /// Says no more, so that the other side can read the last answer.
    pub(crate) async fn close(mut self) {
        // Whether the other side still listens makes no difference now.
        let _ = timeout(Duration::from_secs(1), self.stream.shutdown()).await;
    }

    /// Whether the other side has said something that it was not asked for yet.
    pub(crate) async fn is_early(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 512];
        tokio::select! {
            biased;
            read = self.stream.read(&mut chunk) => self.heard.extend(chunk.iter().take(read?)),
            () = std::future::ready(()) => {}
        }
        Ok(!self.heard.is_empty())
    }

    /// The next line, if all of it comes before `end`.
    pub(crate) async fn line(&mut self, end: Instant) -> io::Result<Heard> {
        loop {
            if let Some(index) = self.heard.iter().position(|byte| *byte == b'\n') {
                return Ok(if index < LINE {
                    Heard::Line(self.heard.drain(..=index).collect())
                } else {
                    Heard::TooLong
                });
            }
            if self.heard.len() >= LINE {
                return Ok(Heard::TooLong);
            }
            if timeout_at(end, self.fill()).await?? == 0 {
                return Ok(Heard::Nothing);
            }
        }
    }

    /// Some of the bytes that were heard, or come before `end`; empty when the other side hung up.
    pub(crate) async fn some(&mut self, end: Instant) -> io::Result<Vec<u8>> {
        if self.heard.is_empty() {
            timeout_at(end, self.fill()).await??;
        }
        Ok(std::mem::take(&mut self.heard))
    }

    /// Puts back what belongs to whatever comes next.
    pub(crate) fn put_back(&mut self, bytes: &[u8]) {
        self.heard.splice(0..0, bytes.iter().copied());
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.heard.reserve(CHUNK);
        (&mut self.stream).take(CHUNK as u64).read_buf(&mut self.heard).await
    }
}

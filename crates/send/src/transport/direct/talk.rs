//! The first words with a mail host, before lettre takes over.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Octets of one reply at most: nobody has more to say at a door.
const LONGEST: usize = 16 * 1024;

/// A line on which one speaks and listens in turn.
pub(super) struct Talk<S> {
    stream: S,
    heard: Vec<u8>,
}

/// A reply, with its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) code: u16,
    pub(super) lines: Vec<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, heard: vec![] }
    }

    /// Says one line, and waits for the reply.
    pub(super) async fn say(&mut self, line: &str) -> io::Result<Said> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await?;
        self.listen().await
    }

    /// Waits for a whole reply.
    pub(super) async fn listen(&mut self) -> io::Result<Said> {
        let mut lines = Vec::new();
        let mut length = 0;
        loop {
            let line = self.line().await?;
            length += line.len();
            let (code, is_last, text) = read(&line).ok_or_else(|| bad("what it says is not SMTP"))?;
            lines.push(text);
            if is_last {
                return Ok(Said { code, lines });
            }
            if length > LONGEST {
                return Err(bad("it says too much"));
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.heard.len() > LONGEST {
                return Err(bad("it says too much"));
            }
            if self.stream.read_buf(&mut self.heard).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up"));
            }
        }
    }

    /// The line itself.
    ///
    /// # Errors
    /// If the host has said more than it was asked. Before a handshake that could be somebody else's words, to be
    /// taken for the host's own after it (RFC 3207 §6).
    pub(super) fn into_stream(self) -> io::Result<S> {
        if self.heard.is_empty() { Ok(self.stream) } else { Err(bad("it speaks out of turn")) }
    }
}

impl Said {
    /// All lines as one text.
    pub(super) fn text(&self) -> String {
        self.lines.join(" ").trim().to_owned()
    }

    pub(super) fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether the answer to EHLO has this word.
    pub(super) fn offers(&self, word: &str) -> bool {
        let mut words = self.lines.iter().skip(1).filter_map(|line| line.split_ascii_whitespace().next());
        words.any(|offer| offer.eq_ignore_ascii_case(word))
    }
}

/// Code, whether it is the last line, and text.
fn read(line: &str) -> Option<(u16, bool, String)> {
    let (code, rest) = line.split_at_checked(3)?;
    let code = code.parse().ok().filter(|code| (200..600).contains(code))?;
    match rest.split_at_checked(1) {
        None => Some((code, true, String::new())),
        Some((" ", text)) => Some((code, true, text.to_owned())),
        Some(("-", text)) => Some((code, false, text.to_owned())),
        Some(_) => None,
    }
}

fn bad(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn heard(bytes: &str) -> io::Result<Said> {
        let (ours, mut theirs) = tokio::io::duplex(LONGEST * 4);
        theirs.write_all(bytes.as_bytes()).await?;
        drop(theirs);
        Talk::new(ours).listen().await
    }

    #[tokio::test]
    async fn replies_are_read_line_by_line() {
        let said = heard("250-mx.example at your service\r\n250-starttls\r\n250 SIZE 1000\r\n").await.unwrap();
        assert_eq!((said.code, said.lines.len()), (250, 3));
        assert!(said.offers("STARTTLS") && said.offers("SIZE") && !said.offers("mx.example"));
        assert_eq!(heard("220\r\n").await.unwrap(), Said { code: 220, lines: vec![String::new()] });
        assert_eq!(heard("554-no\n554 mail\n").await.unwrap().text(), "no mail");
    }

    #[tokio::test]
    async fn what_is_no_reply_is_refused() {
        for bytes in ["", "220 half", "HTTP/1.1 400 Bad Request\r\n", "99 x\r\n", "220_x\r\n", "é22 x\r\n", "700 x\r\n"]
        {
            assert!(heard(bytes).await.is_err(), "{bytes}");
        }
        let endless = format!("220 {}", "x".repeat(LONGEST * 2));
        assert_eq!(heard(&endless).await.unwrap_err().to_string(), "it says too much");
        assert_eq!(heard(&"220-x\r\n".repeat(8000)).await.unwrap_err().to_string(), "it says too much");
    }
}

//! Brings reports to the return host, over SMTP, until it takes or refuses them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::hosts::Hosts;
use crate::mailboxes::domain_of;
use crate::queue::Owed;
use crate::truth::Event;
use crate::wire::Wire;

const PATIENCE: Duration = Duration::from_secs(30);
/// An unused line is closed after this time.
const IDLE: Duration = Duration::from_secs(2);

/// Delivers what is owed, for ever, over one line that is opened when needed.
pub(crate) async fn run(hosts: Arc<Hosts>) {
    let mut line: Option<Line> = None;
    loop {
        let owed = match line {
            None => hosts.reports.next().await,
            Some(_) => match timeout(IDLE, hosts.reports.next()).await {
                Ok(owed) => owed,
                Err(_) => {
                    line = None;
                    continue;
                }
            },
        };
        let destination = hosts.return_host();
        line = line.filter(|line| Some(line.destination) == destination);
        line = deliver(&hosts, line, destination, owed).await;
    }
}

/// Delivers one report, or puts it back; the line is given back while it is usable.
async fn deliver(hosts: &Hosts, line: Option<Line>, destination: Option<SocketAddr>, owed: Owed) -> Option<Line> {
    match attempt(line, destination, &owed).await {
        Ok((line, reply)) if reply.starts_with('2') => {
            hosts.note_report(Event::Reported, &owed.report, reply, Utc::now());
            Some(line)
        }
        Ok((line, reply)) if reply.starts_with('5') => {
            hosts.note_report(Event::ReportRefused, &owed.report, reply, Utc::now());
            Some(line)
        }
        Ok((line, reply)) => {
            tracing::debug!(reply, "the return host asks for a later attempt");
            hosts.reports.owe_again(owed);
            Some(line)
        }
        Err(why) => {
            tracing::debug!(%why, "the return host was not reached");
            hosts.reports.owe_again(owed);
            None
        }
    }
}

async fn attempt(line: Option<Line>, destination: Option<SocketAddr>, owed: &Owed) -> io::Result<(Line, String)> {
    let mut line = match (line, destination) {
        (Some(line), _) => line,
        (None, Some(destination)) => Line::open(destination, domain_of(&owed.report.original.recipient)).await?,
        (None, None) => return Err(io::ErrorKind::NotConnected.into()),
    };
    let message = owed.report.message(Utc::now());
    let reply = line.send(&owed.report.original.sender, &message).await?;
    Ok((line, reply))
}

/// A line to the return host, greeted.
struct Line {
    destination: SocketAddr,
    wire: Wire,
}

impl Line {
    async fn open(destination: SocketAddr, domain: &str) -> io::Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(destination)).await??;
        let mut line = Self { destination, wire: Wire::new(stream, PATIENCE)? };
        line.expect_ok().await?;
        line.wire.say(format!("EHLO mx1.{domain}\r\n").as_bytes());
        line.expect_ok().await?;
        Ok(line)
    }

    /// The last reply that matters: to the message, or to the command that was refused.
    async fn send(&mut self, recipient: &str, message: &[u8]) -> io::Result<String> {
        let commands = ["MAIL FROM:<>\r\n".to_owned(), format!("RCPT TO:<{recipient}>\r\n"), "DATA\r\n".to_owned()];
        for command in commands {
            self.wire.say(command.as_bytes());
            let reply = self.reply().await?;
            if !reply.starts_with(['2', '3']) {
                self.wire.say(b"RSET\r\n");
                self.expect_ok().await?;
                return Ok(reply);
            }
        }
        for line in message.split_inclusive(|byte| *byte == b'\n') {
            if line.starts_with(b".") {
                self.wire.say(b".");
            }
            self.wire.say(line);
        }
        self.wire.say(b".\r\n");
        self.reply().await
    }

    async fn expect_ok(&mut self) -> io::Result<()> {
        let reply = self.reply().await?;
        reply.starts_with('2').then_some(()).ok_or_else(|| io::Error::other(reply))
    }

    /// A whole reply, its lines divided by `\n`.
    async fn reply(&mut self) -> io::Result<String> {
        let mut text = String::new();
        loop {
            let mut line = Vec::new();
            if !self.wire.line(&mut line, 2048).await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            text.push_str(String::from_utf8_lossy(&line).trim_end());
            if line.get(3) != Some(&b'-') || text.len() > 64 << 10 {
                return Ok(text);
            }
            text.push('\n');
        }
    }
}

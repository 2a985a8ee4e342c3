//! A mail host that talks to us, line by line.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

/// A session with a mail server.
pub(crate) struct Talk(BufReader<TcpStream>);

impl Talk {
    /// Greets.
    pub(crate) async fn with(server: SocketAddr) -> Self {
        let mut talk = Self(BufReader::new(TcpStream::connect(server).await.unwrap()));
        assert!(talk.reply().await.starts_with("220"));
        assert!(talk.say("EHLO mx.elsewhere.test").await.starts_with("250"));
        talk
    }

    /// Says a line; the reply to it.
    pub(crate) async fn say(&mut self, line: &str) -> String {
        self.write(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// Hands `message` over; the reply to the command that failed, or to the message.
    pub(crate) async fn hand_over(&mut self, to: &str, message: &str) -> String {
        for line in ["MAIL FROM:<>", &format!("RCPT TO:<{to}>"), "DATA"] {
            let reply = self.say(line).await;
            if !reply.starts_with(['2', '3']) {
                return reply;
            }
        }
        let message = message.replace("\r\n", "\n").replace('\n', "\r\n");
        self.write(message.as_bytes()).await;
        self.say("\r\n.").await
    }

    /// Says something that is no whole line; `false` when nobody listens any more.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> bool {
        timeout(PATIENCE, self.0.get_mut().write_all(bytes)).await.is_ok_and(|written| written.is_ok())
    }

    /// The last line of a reply; empty when the line is closed.
    pub(crate) async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = timeout(PATIENCE, self.0.read_line(&mut line))
                .await
                .unwrap_or_else(|_| panic!("the server does not answer"));
            if read.unwrap_or(0) == 0 || line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }
}

/// A delivery status notification about `recipient`, as hosts write it (RFC 3464).
pub(crate) fn bounce(recipient: &str, message_id: &str) -> String {
    format!(
        "From: Mail Delivery Subsystem <mailer-daemon@elsewhere.test>\n\
         To: news@fernhill.test\nSubject: Undelivered Mail Returned to Sender\nMessage-ID: <1@elsewhere.test>\n\
         MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n\n\
         --b\n\nThe address {recipient} does not exist.\n\
         --b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.elsewhere.test\n\n\
         Final-Recipient: rfc822; {recipient}\nAction: failed\nStatus: 5.1.1\n\
         Diagnostic-Code: smtp; 550 5.1.1 <{recipient}>: user unknown\n\n\
         --b\nContent-Type: message/rfc822\n\nFrom: news@fernhill.test\nTo: {recipient}\n\
         Message-ID: <{message_id}>\nSubject: Spring\n\nThe bulbs are in.\n--b--\n"
    )
}

/// A feedback report that `recipient` pressed "report spam" (RFC 5965).
pub(crate) fn complaint(recipient: &str, message_id: &str) -> String {
    format!(
        "From: Feedback <fbl@elsewhere.test>\nTo: abuse@fernhill.test\nSubject: FW: Spring\n\
         Message-ID: <2@elsewhere.test>\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=\"b\"\n\n\
         --b\n\nThis is a report about spam.\n\
         --b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: Elsewhere/1.0\nVersion: 1\n\
         Original-Rcpt-To: {recipient}\n\n\
         --b\nContent-Type: message/rfc822\n\nFrom: news@fernhill.test\nTo: {recipient}\n\
         Message-ID: <{message_id}>\nSubject: Spring\n\nThe bulbs are in.\n--b--\n"
    )
}

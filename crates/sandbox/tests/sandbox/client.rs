//! A small SMTP client that says exactly what a test tells it to.

use std::net::SocketAddr;

use rebound_sandbox::Sandbox;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    /// Connected and greeted.
    pub(crate) async fn greeted(sandbox: &Sandbox) -> Self {
        let mut client = Self::connected(sandbox.address()).await;
        let said = client.ask("EHLO client.example").await;
        assert!(said.starts_with("250-"), "{said}");
        client
    }

    pub(crate) async fn connected(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self(BufReader::new(stream));
        assert!(client.reply().await.starts_with("220 "));
        client
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }

    pub(crate) async fn ask(&mut self, command: &str) -> String {
        self.say(format!("{command}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// One line, without its end.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    /// The line itself, to go on in another way.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.0.into_inner()
    }

    /// A whole reply; empty when the line is closed.
    pub(crate) async fn reply(&mut self) -> String {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            text.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return text.trim_end().to_owned();
            }
        }
    }

    /// Sends one message; the reply that decided.
    pub(crate) async fn send(&mut self, recipient: &str, subject: &str) -> String {
        let commands = ["MAIL FROM:<b-7@news.example>".to_owned(), format!("RCPT TO:<{recipient}>"), "DATA".to_owned()];
        for command in commands {
            let reply = self.ask(&command).await;
            if !reply.starts_with(['2', '3']) {
                if !reply.is_empty() {
                    assert!(self.ask("RSET").await.starts_with("250"));
                }
                return reply;
            }
        }
        let id = recipient.replace('@', ".");
        self.ask(&format!("Message-ID: <{id}@news.example>\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\nHello\r\n."))
            .await
    }
}

/// Sends one message over a line of its own.
pub(crate) async fn send(sandbox: &Sandbox, recipient: &str) -> String {
    Client::greeted(sandbox).await.send(recipient, "Spring").await
}

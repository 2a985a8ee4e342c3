//! A relay that remembers what it took, and refuses whoever is called gone.

use rebound_send::{Relay, Tls};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A relay, and what it took.
pub(crate) struct Relayed {
    pub(crate) relay: Relay,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Relayed {
    /// The same, reached by another way.
    pub(crate) fn at(&self, relay: Relay) -> Self {
        Self { relay, taken: Arc::clone(&self.taken) }
    }

    pub(crate) fn messages(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

/// Starts one that answers recipients called `gone@` with `refusals`.
pub(crate) async fn start(refusals: &[&str]) -> Relayed {
    start_offering("250-relay\r\n250 SIZE\r\n", refusals).await
}

/// The same, with its own answer to EHLO.
pub(crate) async fn start_offering(offers: &'static str, refusals: &[&str]) -> Relayed {
    start_at("127.0.0.1:0", offers, refusals).await
}

/// The same, at an address of its own.
pub(crate) async fn start_at(address: &str, offers: &'static str, refusals: &[&str]) -> Relayed {
    start_as(address, offers, refusals, Duration::ZERO).await
}

/// One that takes so long to answer after a message that it has.
pub(crate) async fn start_late(late: Duration) -> Relayed {
    start_as("127.0.0.1:0", "250-relay\r\n250 SIZE\r\n", &[], late).await
}

/// One that breaks so many lines there, and takes everything on the ones after them; how many came there.
pub(crate) async fn start_fragile(at: At, lines: usize) -> (Relayed, Arc<AtomicUsize>) {
    let came = Arc::<AtomicUsize>::default();
    let breaks = Breaks { at, lines, came: Arc::clone(&came) };
    let none = Duration::ZERO;
    (start_with("127.0.0.1:0", "250-relay\r\n250 SIZE\r\n", &[], none, Some(breaks)).await, came)
}

/// Where a relay breaks a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Mail,
    /// Behind a message, when it has taken so many before on that line.
    Dot(usize),
}

#[derive(Clone)]
struct Breaks {
    at: At,
    lines: usize,
    came: Arc<AtomicUsize>,
}

impl Breaks {
    /// Whether the line breaks where `said` was heard, in a message or not, after so many that it took.
    fn here(&self, in_message: bool, said: &str, took: usize) -> bool {
        let is_there = match self.at {
            At::Mail => !in_message && said.starts_with("MAIL"),
            At::Dot(before) => in_message && said == "." && took == before,
        };
        is_there && self.came.fetch_add(1, Ordering::SeqCst) < self.lines
    }
}

async fn start_as(address: &str, offers: &'static str, refusals: &[&str], late: Duration) -> Relayed {
    start_with(address, offers, refusals, late, None).await
}

async fn start_with(
    address: &str,
    offers: &'static str,
    refusals: &[&str],
    late: Duration,
    breaks: Option<Breaks>,
) -> Relayed {
    let socket = TcpListener::bind(address).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let taken: Arc<Mutex<Vec<String>>> = Arc::default();
    let (kept, refusal) = (Arc::clone(&taken), refusals.first().map(|words| (*words).to_owned()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&kept), offers, refusal.clone(), late, breaks.clone()));
        }
    });
    let relay = Relay {
        host: "127.0.0.1".into(),
        port,
        tls: Tls::None,
        authority: None,
        login: None,
        hello: "client.example".into(),
    };
    Relayed { relay, taken }
}

async fn serve(
    stream: TcpStream,
    taken: Arc<Mutex<Vec<String>>>,
    offers: &'static str,
    refusal: Option<String>,
    late: Duration,
    breaks: Option<Breaks>,
) {
    let mut stream = BufReader::new(stream);
    let mut answer = "220 relay\r\n".to_owned();
    let (mut line, mut message, mut took) = (String::new(), None::<String>, 0);
    loop {
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        line.clear();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        if breaks.as_ref().is_some_and(|breaks| breaks.here(message.is_some(), line.trim_end(), took)) {
            return;
        }
        answer = match (&mut message, line.trim_end()) {
            (Some(text), ".") => {
                taken.lock().unwrap().push(std::mem::take(text));
                message = None;
                took += 1;
                tokio::time::sleep(late).await;
                "250 2.0.0 queued\r\n".into()
            }
            (Some(text), _) => {
                text.push_str(&line);
                String::new()
            }
            (None, "DATA") => {
                message = Some(String::new());
                "354 go on\r\n".into()
            }
            (None, command) if command.starts_with("EHLO") => offers.into(),
            (None, command) if command.starts_with("RCPT TO:<gone@") => {
                format!("{}\r\n", refusal.as_deref().unwrap_or("250 ok"))
            }
            _ => "250 ok\r\n".into(),
        };
    }
}

//! A host's greylist, asked by Postfix (`check_policy_service`): who comes for the first time shall come again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How long whoever is new has to wait.
const DELAY: Duration = Duration::from_secs(3);

/// When each sender first came for a recipient, and how often they came.
type Seen = Arc<Mutex<HashMap<(String, String), (Instant, usize)>>>;

pub(crate) struct Greylist {
    pub(crate) address: SocketAddr,
    seen: Seen,
}

impl Greylist {
    pub(crate) async fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (socket.local_addr().unwrap(), Seen::default());
        let all = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&all)));
            }
        });
        Self { address, seen }
    }

    /// How often mail for `recipient` was brought.
    pub(crate) fn knocks(&self, recipient: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|((_, to), _)| to == recipient).map(|(_, (_, count))| count).sum()
    }
}

/// Answers questions: lines of `name=value`, and an empty one.
async fn answer(stream: TcpStream, seen: Seen) {
    let (reading, mut writing) = stream.into_split();
    let mut lines = BufReader::new(reading).lines();
    let mut asked = HashMap::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some((name, value)) = line.split_once('=') {
            asked.insert(name.to_owned(), value.to_owned());
            continue;
        }
        let named = |name| asked.get(name).cloned().unwrap_or_default();
        let action = judge(&seen, (named("sender"), named("recipient")));
        asked.clear();
        if writing.write_all(format!("action={action}\n\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

fn judge(seen: &Seen, who: (String, String)) -> &'static str {
    let mut seen = seen.lock().unwrap();
    let (first, count) = seen.entry(who).or_insert((Instant::now(), 0));
    *count += 1;
    if first.elapsed() < DELAY { "defer_if_permit Greylisted, please try again later" } else { "dunno" }
}

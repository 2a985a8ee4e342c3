//! Several workers, and a receiver whose rest is over: one of them asks it.

use crate::campaigns::{furnish, sender, until, work_as};
use crate::relay::{self, Relayed};
use chrono::{TimeDelta, Utc};
use rebound_db::lanes::{self, HeldLane};
use rebound_domain::{BounceCause, Notice, Receiver, ServerId, Slowed};
use rebound_send::Relay;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, tcp::OwnedWriteHalf};

const WORKERS: usize = 3;

/// How long the relay takes to answer to a recipient.
const TAKES: Duration = Duration::from_secs(2);

/// A relay before another that notes when each recipient was named, and takes its time.
async fn slow(behind: &Relayed) -> (Relay, Arc<Mutex<Vec<Instant>>>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay { port: socket.local_addr().unwrap().port(), ..behind.relay.clone() };
    let (named, behind) = (Arc::<Mutex<Vec<Instant>>>::default(), behind.relay.port);
    let kept = Arc::clone(&named);
    tokio::spawn(async move {
        while let Ok((client, _)) = socket.accept().await {
            let server = TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
            let (kept, (mut answers, server)) = (Arc::clone(&kept), server.into_split());
            let (lines, mut client) = client.into_split();
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = answers.read(&mut bytes).await {
                    if client.write_all(&bytes[..length]).await.is_err() {
                        return;
                    }
                }
            });
            tokio::spawn(pass_on(BufReader::new(lines), server, kept));
        }
    });
    (relay, named)
}

async fn pass_on(
    mut lines: BufReader<tokio::net::tcp::OwnedReadHalf>,
    mut server: OwnedWriteHalf,
    named: Arc<Mutex<Vec<Instant>>>,
) {
    let mut line = String::new();
    while lines.read_line(&mut line).await.unwrap_or(0) > 0 {
        if line.starts_with("RCPT TO") {
            named.lock().unwrap().push(Instant::now());
            tokio::time::sleep(TAKES).await;
        }
        if server.write_all(line.as_bytes()).await.is_err() {
            return;
        }
        line.clear();
    }
}

#[tokio::test]
async fn one_worker_sends_the_probe_when_a_rest_is_over() {
    let url = crate::postgres::empty();
    let db = rebound_db::connect(&url).await.unwrap();
    rebound_db::migrate(&db).await.unwrap();
    let id = furnish(&db).await;
    let rest = Utc::now() + TimeDelta::seconds(4);
    let notice = Notice {
        slowed: Slowed::Rests { rests: 1 },
        until: rest,
        why: "it said so".into(),
        cause: BounceCause::RateLimited,
        words: "451 later".into(),
    };
    let lane = HeldLane { server: ServerId(0), receiver: Receiver::of_domain("orchard.example"), notice };
    lanes::hold(&db, &lane, Utc::now()).await.unwrap();

    let behind = relay::start(&[]).await;
    let (relay, named) = slow(&behind).await;
    let relayed = behind.at(relay);
    let workers: Vec<_> = (0..WORKERS).map(|_| work_as(&db, url.clone(), &relayed, sender())).collect();
    let now = Utc::now();
    rebound_send::launch(&db, id, &sender(), "ines@fernhill.example", now).await.unwrap();
    // The second letter goes when the probe has opened the lane.
    until("two letters", async || (behind.messages().len() == 2).then_some(())).await;
    for (stop, worker) in workers {
        stop.cancel();
        worker.await.unwrap();
    }
    assert!(Utc::now() > rest && lanes::held(&db).await.unwrap().is_empty(), "the rest is over");
    let named = named.lock().unwrap();
    let probes = named.iter().filter(|at| **at < named[0] + TAKES).count();
    assert_eq!(probes, 1, "{named:?}");
}

//! What waited behind a host that hung is counted when it goes.

use crate::campaigns::{sender, work_at};
use crate::relay::{self, Relayed};
use crate::ways::{count, launched, people, sent, url, way};
use chrono::Utc;
use rebound_domain::{Clock, Limits};
use rebound_send::{Egress, Relay};
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};

/// So much faster than ours is the time in which they are kept: a minute is six seconds.
const FASTER: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60 / FASTER as u64);
const A_MINUTE: usize = 10;

/// A relay before another that says nothing to anybody until then.
async fn silent(until: Instant, behind: &Relayed) -> Relay {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay { port: socket.local_addr().unwrap().port(), ..behind.relay.clone() };
    let behind = behind.relay.port;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = socket.accept().await {
            tokio::spawn(async move {
                sleep_until(until).await;
                let mut server = TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    relay
}

#[tokio::test]
async fn no_minute_has_more_than_its_limit_after_a_host_that_hung() {
    let (db, id, folder) = launched(&people(2 * A_MINUTE)).await;
    let behind = relay::start(&[]).await;
    // Longer than a minute: what was counted when it was claimed is forgotten by then.
    let relay = silent(Instant::now() + MINUTE + Duration::from_secs(2), &behind).await;
    let limits = Limits { per_minute: u32::try_from(A_MINUTE).ok(), ..Limits::default() };
    let ways = vec![Egress { connections: 4, ..way(1, &relay, 1, limits) }];
    let (stop, worker) = work_at(&db, url(&folder), ways, sender(), Clock::faster(Utc::now(), f64::from(FASTER)));
    let mut arrived: Vec<Instant> = vec![];
    while arrived.len() < 2 * A_MINUTE {
        sleep(Duration::from_millis(20)).await;
        arrived.resize(count(&behind), Instant::now());
    }
    let first = *arrived.first().unwrap();
    sent(&db, id).await;
    stop.cancel();
    worker.await.unwrap();
    // A hundredth of a minute is ours, for what lies between its mark and its arrival.
    let minute = MINUTE.mul_f64(0.99);
    let most = arrived.iter().map(|at| arrived.iter().filter(|one| **one >= *at && **one < *at + minute).count());
    assert!(most.max() <= Some(A_MINUTE), "{:?}", arrived.iter().map(|at| *at - first).collect::<Vec<_>>());
}

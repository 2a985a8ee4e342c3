//! What people change holds also for what was taken before: at a slow rate that lasts for long.

use crate::campaigns::{sender, work_by};
use crate::relay;
use crate::ways::{accepted, launched, people, until, url, way};
use chrono::{TimeDelta, Utc};
use rebound_db::lanes::{self, HeldLane};
use rebound_domain::{BounceCause, Limits, Notice, Receiver, Slowed};

/// Of them, 18 are ready ahead of the two lines.
const BEFORE: usize = 56;

#[tokio::test]
async fn a_receiver_that_is_to_be_asked_again_is_asked_in_the_midst_of_what_was_taken_at_once() {
    let everybody: Vec<String> = people(BEFORE).into_iter().chain(["ada@meadow.example".to_owned()]).collect();
    let (db, id, folder) = launched(&everybody).await;
    let relay = relay::start(&[]).await;
    let slow = way(1, &relay.relay, 1, Limits { per_second: Some(4), ..Limits::default() });
    let (receiver, now) = (Receiver::of_domain("meadow.example"), Utc::now());
    let notice = Notice {
        slowed: Slowed::Rests { rests: 1 },
        until: now + TimeDelta::hours(1),
        why: "it said so".into(),
        cause: BounceCause::RateLimited,
        words: "451 later".into(),
    };
    lanes::hold(&db, &HeldLane { server: slow.id, receiver: receiver.clone(), notice }, now).await.unwrap();
    let (stop, worker) = work_by(&db, url(&folder), vec![slow], sender());
    until("the first letters", async || (accepted(&db, id).await > 0).then_some(())).await;
    let tx = db.begin().await.unwrap();
    assert!(lanes::hurry(&tx, &receiver, Utc::now()).await.unwrap());
    tx.commit().await.unwrap();
    let all = i64::try_from(everybody.len()).unwrap();
    until("all of them", async || (accepted(&db, id).await == all).then_some(())).await;
    stop.cancel();
    worker.await.unwrap();
}

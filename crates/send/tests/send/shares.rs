//! A small campaign beside a large one, to a receiver that has set a rate.

use crate::campaigns::{campaign, furnish, sender, until, work};
use crate::relay;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::lanes::{self, HeldLane};
use rebound_db::{Pool, campaigns, contacts, lists, subscriptions};
use rebound_domain::{
    BounceCause, CampaignId, Draft, EmailAddress, Fields, ListId, Notice, Receiver, ServerId, Slowed,
};
use std::time::{Duration, Instant};

/// Messages a second that the receiver takes.
const RATE: u32 = 20;

async fn list_of(db: &Pool, name: &str, count: u32, now: DateTime<Utc>) -> ListId {
    let list = lists::ensure(db, name, now).await.unwrap().id;
    let people: Vec<(EmailAddress, Fields)> =
        (0..count).map(|n| (format!("{name}{n}@orchard.example").parse().unwrap(), Fields::new())).collect();
    contacts::add(db, &people, now).await.unwrap();
    let keys: Vec<_> = people.iter().map(|(address, _)| address.key()).collect();
    subscriptions::confirm_all(db, list, &keys, "a test", now).await.unwrap();
    list
}

async fn launch(db: &Pool, like: CampaignId, subject: &str, list: ListId) {
    let draft = Draft { name: subject.into(), subject: subject.into(), list, ..campaign(db, like).await.draft };
    let id = campaigns::create(db, &draft, Utc::now()).await.unwrap();
    rebound_send::launch(db, id, &sender(), "ines@fernhill.example", Utc::now()).await.unwrap();
}

#[tokio::test]
async fn a_small_campaign_goes_beside_a_large_one_at_a_receiver_that_set_a_rate() {
    let folder = tempfile::tempdir().unwrap();
    let db = rebound_db::temporary(folder.path()).await.unwrap();
    let (first, now) = (furnish(&db).await, Utc::now());
    let (many, few) =
        (list_of(&db, "many", 5_000, now - TimeDelta::hours(1)).await, list_of(&db, "few", 40, now).await);
    let notice = Notice {
        slowed: Slowed::PerHour(RATE * 3600),
        until: now + TimeDelta::hours(1),
        why: "it takes no more".into(),
        cause: BounceCause::RateLimited,
        words: "451 slow down".into(),
    };
    let lane = HeldLane { server: ServerId(0), receiver: Receiver::of_domain("orchard.example"), notice };
    lanes::hold(&db, &lane, now).await.unwrap();

    let relay = relay::start(&[]).await;
    let (stop, worker) = work(&db, &folder, &relay);
    launch(&db, first, "Large", many).await;
    // By then all of the large one have asked, and wait.
    tokio::time::sleep(Duration::from_secs(10)).await;
    launch(&db, first, "Small", few).await;
    let (since, before) = (Instant::now(), relay.messages().len());
    let small = || relay.messages().iter().filter(|message| message.contains("Subject: Small")).count();
    until("the small campaign's mail", async || (small() == 40).then_some(())).await;
    let (took, both) = (since.elapsed().as_secs_f64(), relay.messages().len() - before);
    stop.cancel();
    worker.await.unwrap();
    // Half of the rate is its own: 4 s.
    assert!(took <= 10.0, "it took {took} s");
    let rate = both as f64 / took;
    assert!((0.6..=1.3).contains(&(rate / f64::from(RATE))), "{both} went in {took} s");
}

//! A relay that takes our lines and breaks too many of them: it is left alone, and campaigns say so.

use crate::campaigns::{self, campaign, sender, work_by};
use crate::relay::{At, start_fragile};
use crate::ways::{accepted, launched, launched_to, people, straight, until, url, way};
use rebound_db::{Pool, deliveries, lanes};
use rebound_domain::{BounceCause, CampaignId, CampaignState, DoubtPolicy, Limits, StateName};
use rebound_sandbox::names::NameServer;
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::time::Duration;

async fn in_doubt(db: &Pool, id: CampaignId) -> usize {
    let counts = deliveries::counts(db, id).await.unwrap();
    counts.get(&StateName::InDoubt).map_or(0, |count| usize::try_from(*count).unwrap())
}

#[tokio::test]
async fn a_relay_that_breaks_at_each_message_makes_campaigns_wait_and_is_not_given_all_of_them() {
    for at in [At::Mail, At::Dot(0)] {
        let (db, id, folder) = launched_to(&people(60), DoubtPolicy::Hold).await;
        let (relay, broken) = start_fragile(at, usize::MAX).await;
        let (stop, worker) = work_by(&db, url(&folder), vec![way(1, &relay.relay, 1, Limits::default())], sender());
        let reason = until("a campaign that waits", async || {
            let campaign = campaign(&db, id).await;
            (campaign.state == CampaignState::Waiting).then_some(campaign.reason).flatten()
        })
        .await;
        assert!(
            reason.contains("breaks too many of them off") && reason.contains("Look into its log"),
            "{at:?}: {reason}"
        );
        tokio::time::sleep(Duration::from_secs(2)).await;
        stop.cancel();
        worker.await.unwrap();
        let lines = broken.load(Ordering::SeqCst);
        assert!((10..=12).contains(&lines), "{at:?}: {lines} lines were broken, two of them at a time");
        let doubts = if matches!(at, At::Mail) { 0 } else { lines };
        assert_eq!(in_doubt(&db, id).await, doubts, "{at:?}: the others were not handed over");
    }
}

#[tokio::test]
async fn nor_is_one_that_takes_a_message_of_each_line_and_breaks_at_the_next() {
    let (db, id, folder) = launched_to(&people(100), DoubtPolicy::Hold).await;
    let (relay, broken) = start_fragile(At::Dot(1), usize::MAX).await;
    let (stop, worker) = work_by(&db, url(&folder), vec![way(1, &relay.relay, 1, Limits::default())], sender());
    campaigns::until("a campaign that waits", async || {
        (campaign(&db, id).await.state == CampaignState::Waiting).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.cancel();
    worker.await.unwrap();
    let lines = broken.load(Ordering::SeqCst);
    assert!((13..=16).contains(&lines), "{lines} lines were broken, two of them at a time");
    assert_eq!(in_doubt(&db, id).await, lines, "the others were not handed over");
}

#[tokio::test]
async fn a_relay_that_answers_again_is_found_out_by_one_message() {
    let (db, id, folder) = launched(&people(60)).await;
    let (relay, broken) = start_fragile(At::Mail, 11).await;
    let (stop, worker) = work_by(&db, url(&folder), vec![way(1, &relay.relay, 1, Limits::default())], sender());
    // Those whose lines broke wait for a minute.
    campaigns::until("the others", async || (accepted(&db, id).await >= 48).then_some(())).await;
    stop.cancel();
    worker.await.unwrap();
    assert!(broken.load(Ordering::SeqCst) >= 11);
}

#[tokio::test]
async fn a_receiver_whose_host_breaks_behind_each_message_rests() {
    let (db, id, folder) = launched_to(&people(60), DoubtPolicy::Hold).await;
    let (host, broken) = start_fragile(At::Dot(0), usize::MAX).await;
    let names = NameServer::default();
    names.mx("orchard.example", 10, "mx.orchard.example").address("mx.orchard.example", Ipv4Addr::LOCALHOST);
    let (stop, worker) = work_by(&db, url(&folder), vec![straight(&names, host.relay.port).await], sender());
    let rests = until("a rest", async || lanes::resting(&db).await.unwrap().pop()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.cancel();
    worker.await.unwrap();
    assert_eq!((rests.receiver.as_str(), rests.notice.cause), ("orchard.example", BounceCause::HostUnreachable));
    let (lines, in_doubt) = (broken.load(Ordering::SeqCst), in_doubt(&db, id).await);
    assert!((5..=13).contains(&lines), "{lines} lines were broken, eight of them at a time");
    assert_eq!(in_doubt, lines, "the others were not handed over");
}

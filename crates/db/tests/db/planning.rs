//! Two that plan one campaign at the same time.

use crate::engines;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::{Pool, campaigns, contacts, deliveries, lists, subscriptions};
use rebound_domain::{Campaign, CampaignState, DoubtPolicy, Draft, EmailAddress, Fields, StateName};
use std::collections::BTreeMap;
use std::time::Duration;

/// So many that it takes several chunks, and the last is not full.
const PEOPLE: i64 = campaigns::CHUNK * 5 / 2;

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

async fn launched(db: &Pool) -> Campaign {
    let list = lists::ensure(db, "News", now()).await.unwrap().id;
    let people: Vec<(EmailAddress, Fields)> =
        (0..PEOPLE).map(|n| (format!("p{n}@orchard.example").parse().unwrap(), Fields::new())).collect();
    contacts::add(db, &people, now()).await.unwrap();
    let keys: Vec<_> = people.iter().map(|(address, _)| address.key()).collect();
    subscriptions::confirm_all(db, list, &keys, "a test", now()).await.unwrap();
    let draft = Draft {
        name: "Spring".into(),
        list,
        from_name: "Fernhill".into(),
        from: "news@fernhill.example".parse().unwrap(),
        reply_to: None,
        subject: "Hello".into(),
        html: "<p>Hello</p>".into(),
        text: String::new(),
        postal_address: "1 Garden Row".into(),
        defaults: Fields::new(),
        doubt: DoubtPolicy::Resend,
        counts_clicks: true,
    };
    let id = campaigns::create(db, &draft, now()).await.unwrap();
    assert!(campaigns::set_state(db, id, CampaignState::Draft, CampaignState::Planning, None, now()).await.unwrap());
    campaigns::get(db, id).await.unwrap().unwrap()
}

/// Plans chunk by chunk, as a worker does, until there is nothing left.
async fn plan_all(db: Pool, campaign: Campaign) {
    loop {
        let tx = db.begin().await.unwrap();
        let planned = campaigns::plan(&tx, &campaign, now()).await.unwrap();
        tx.commit().await.unwrap();
        if planned < campaigns::CHUNK {
            return;
        }
    }
}

#[tokio::test]
async fn two_that_plan_at_once_plan_everybody_once() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let campaign = launched(db).await;
        let planners: Vec<_> = (0..3).map(|_| tokio::spawn(plan_all(db.clone(), campaign.clone()))).collect();
        for planner in planners {
            planner.await.unwrap();
        }

        let counts = deliveries::counts(db, campaign.id).await.unwrap();
        assert_eq!(counts, BTreeMap::from([(StateName::Planned, PEOPLE)]), "{engine}");
        let ledger = deliveries::ledger(db, campaign.id, None, 10_000).await.unwrap();
        assert_eq!(i64::try_from(ledger.len()).unwrap(), PEOPLE, "{engine}");
        let ordinals = ledger.iter().map(|line| line.delivery.0 - (campaign.id.0 << 31));
        assert!(ordinals.eq(0..PEOPLE), "{engine}: numbered without a gap");
    }
}

#[tokio::test]
async fn a_campaign_that_another_plans_is_left_to_it() {
    let engines = engines().await;
    let db = &engines.postgres;
    let campaign = launched(db).await;
    let first = db.begin().await.unwrap();
    assert!(campaigns::is_ours_to_plan(&first, campaign.id).await.unwrap());

    // It does not wait: there may be other campaigns to plan.
    let second = db.begin().await.unwrap();
    let asked = campaigns::is_ours_to_plan(&second, campaign.id);
    assert!(!tokio::time::timeout(Duration::from_secs(5), asked).await.unwrap().unwrap());
    drop(second);

    campaigns::plan(&first, &campaign, now()).await.unwrap();
    first.commit().await.unwrap();
    let third = db.begin().await.unwrap();
    assert!(campaigns::is_ours_to_plan(&third, campaign.id).await.unwrap());
}

#[tokio::test]
async fn a_campaign_that_somebody_stopped_is_not_planned_on() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let campaign = launched(db).await;
        let paused = CampaignState::Paused;
        assert!(campaigns::set_state(db, campaign.id, campaign.state, paused, None, now()).await.unwrap());
        let tx = db.begin().await.unwrap();
        assert!(!campaigns::is_ours_to_plan(&tx, campaign.id).await.unwrap(), "{engine}");
    }
}

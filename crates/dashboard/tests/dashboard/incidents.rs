//! An incident of a provider: what its page says of the lane, and the probe.

use crate::world::World;
use axum::http::StatusCode;
use chrono::{TimeDelta, Utc};
use rebound_db::lanes::{self, HeldLane};
use rebound_db::{campaigns, deliveries, incidents, servers};
use rebound_domain::{
    Bounce, BounceCause, CampaignId, CampaignState, DeliveryId, Grade, Limits, Notice, Permanence, Policy, Receiver,
    Refusal, Role, Route, Server, ServerId, Slowed, Verdict,
};

const RECEIVER: &str = "google.com";

#[tokio::test]
async fn a_provider_is_asked_again_whatever_domains_its_customers_have() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let sent = campaigns::in_states(&world.db, &[CampaignState::Sending]).await.unwrap().remove(0).id;
    // Those who have not been tried come again when the rest is over.
    let waits = DeliveryId::new(sent, 4).unwrap();
    let until = due(&world, waits).await;
    rests(&world, until).await;
    let page = format!("/incidents/{}", refused(&world, sent).await);

    let text = world.get(Some(&owner), &page).await.text;
    assert!(text.contains("google.com refuses our mail") && text.contains("Its lane rests until"), "{text}");
    assert!(text.contains("Probe now"), "{text}");
    let asked = Utc::now();
    assert_eq!(world.post(&owner, &format!("{page}/probe"), &[]).await.status, StatusCode::SEE_OTHER);

    assert!(due(&world, waits).await <= Utc::now(), "what waits is due");
    let lane = lanes::resting(&world.db).await.unwrap().remove(0);
    assert!((asked - TimeDelta::seconds(1)..=Utc::now()).contains(&lane.notice.until), "{lane:?}");
    let text = world.get(Some(&owner), &page).await.text;
    assert!(text.contains("asked the provider again") && !text.contains("Probe now"), "{text}");
}

async fn due(world: &World, id: DeliveryId) -> chrono::DateTime<Utc> {
    deliveries::get(&world.db, &[id]).await.unwrap()[0].due
}

/// The provider's lane rests, by a way straight to receivers.
async fn rests(world: &World, until: chrono::DateTime<Utc>) {
    let server = Server {
        id: ServerId(0),
        name: "Straight".into(),
        route: Route::Direct { sources: vec![] },
        hello: "out.fernhill.example".into(),
        connections: 8,
        weight: 1,
        limits: Limits::default(),
        warm_up: None,
    };
    let server = servers::create(&world.db, &server, "ines", world.now).await.unwrap();
    let (why, words) = ("it blocks our server".into(), "421".into());
    let notice = Notice { slowed: Slowed::Rests { rests: 1 }, until, why, cause: BounceCause::ReputationBlock, words };
    let lane = HeldLane { server, receiver: Receiver::of_domain(RECEIVER), notice };
    lanes::hold(&world.db, &lane, world.now).await.unwrap();
}

/// It sends back what it took for one of its customers; which incident that is.
async fn refused(world: &World, campaign: CampaignId) -> i64 {
    let delivery = DeliveryId::new(campaign, 0).unwrap();
    let words = "550 5.7.1 our system has blocked your IP address";
    let bounce = Bounce {
        delivery: Some(delivery),
        attempt: 1,
        address: deliveries::keys(&world.db, &[delivery]).await.unwrap()[&delivery].clone(),
        grade: Grade::Ours,
        refusal: Refusal::Permanent,
        held: false,
        receiver: Some(Receiver::of_domain(RECEIVER)),
        learned: None,
        verdict: Verdict::known(BounceCause::ReputationBlock, Permanence::Soft, words),
        reporting_mta: None,
        inbox: None,
        at: world.now,
    };
    let tx = world.db.begin().await.unwrap();
    rebound_contacts::record_bounces(&tx, &[bounce], &Policy::default(), || 0.5, world.now).await.unwrap();
    tx.commit().await.unwrap();
    let open = incidents::open(&world.db).await.unwrap();
    open.into_iter().find(|one| one.cause == BounceCause::ReputationBlock).unwrap().id.0
}

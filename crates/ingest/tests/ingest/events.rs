//! What programs tell of our mail over HTTPS.

use crate::pages::{ADA, site};
use crate::world::{World, key};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use chrono::{TimeDelta, Utc};
use rebound_db::{bounces, deliveries, inbox, leases};
use rebound_domain::{BounceCause, EventDoor, Grade, Keys, StateName, SuppressionReason, WorkerId};
use serde_json::{Value, json};
use std::time::Instant;
use tower::ServiceExt;

const BOB: &str = "bob@orchard.example";

fn door(world: &World) -> EventDoor {
    EventDoor::newest(&world.keys).unwrap()
}

async fn post(site: &Router, name: &str, headers: [(&str, &str); 3], body: &[u8]) -> StatusCode {
    let mut request = Request::builder().method("POST").uri(format!("/events/{name}"));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    site.clone().oneshot(request.body(Body::from(body.to_vec())).unwrap()).await.unwrap().status()
}

/// Tells `events` as whoever has the secret; the answer.
async fn tell(world: &World, events: &Value) -> StatusCode {
    tell_as(world, "msg_1", events).await
}

async fn tell_as(world: &World, id: &str, events: &Value) -> StatusCode {
    let (door, body, now) = (door(world), events.to_string(), Utc::now().timestamp().to_string());
    let signed = door.sign(id, &now, body.as_bytes());
    let headers = [("webhook-id", id), ("webhook-timestamp", &*now), ("webhook-signature", &*signed)];
    post(&site(world), door.name(), headers, body.as_bytes()).await
}

/// Tells one event, and reads it.
async fn hear(world: &World, id: &str, event: Value) {
    assert_eq!(tell_as(world, id, &event).await, StatusCode::OK);
    world.read_all().await;
}

async fn event(world: &World, kind: &str, address: &str, code: u16, text: &str) -> Value {
    let id = format!("<{}>", world.message_id(address).await);
    json!({ "kind": kind, "rfc_message_id": id, "recipient": address, "smtp": { "code": code, "text": text } })
}

#[tokio::test]
async fn what_was_delivered_is_not_in_doubt_any_more() {
    let world = World::with(&[ADA, BOB]).await;
    world.send_in_doubt("Autumn", world.now).await;
    let delivered = json!({ "kind": "delivered", "rfc_message_id": world.message_id(ADA).await });
    for _ in 0..3 {
        assert_eq!(tell(&world, &delivered).await, StatusCode::OK);
        world.read_all().await;
        assert_eq!((world.state(ADA).await, world.state(BOB).await), (StateName::Accepted, StateName::Planned));
    }
    let campaign = world.delivery(ADA).await.campaign();
    let again = leases::claim(&world.db, WorkerId(2), campaign, 10, Utc::now()).await.unwrap();
    assert_eq!(again.iter().map(|lease| lease.id).collect::<Vec<_>>(), [world.delivery(BOB).await]);
}

#[tokio::test]
async fn a_providers_bounce_is_judged_by_the_words_of_the_host() {
    let world = World::with(&[ADA, BOB, "cleo@orchard.example", "dan@orchard.example"]).await;
    let events = json!([
        event(&world, "blocked", ADA, 550, "5.1.1 no such user here").await,
        // The label says hard, the words say otherwise.
        event(&world, "hard", BOB, 452, "4.2.2 mailbox full").await,
        event(&world, "complaint", "cleo@orchard.example", 0, "").await,
        event(&world, "opened", "dan@orchard.example", 250, "ok").await,
        { "kind": "hard", "rfc_message_id": "<somebody@else.example>", "smtp": { "code": 550, "text": "no" } },
        { "kind": "hard", "recipient": "dan@orchard.example", "smtp": { "code": 550, "text": "5.1.1 no such user" } },
        { "kind": "hard", "rfc_message_id": world.message_id("dan@orchard.example").await },
    ]);
    for _ in 0..3 {
        assert_eq!(tell(&world, &events).await, StatusCode::OK);
        world.read_all().await;
    }
    let reason = async |address| world.suppression(address).await.map(|one| one.reason);
    assert_eq!(reason(ADA).await, Some(SuppressionReason::Hard));
    assert_eq!((reason(BOB).await, world.state(BOB).await), (None, StateName::Deferred));
    assert_eq!(reason("cleo@orchard.example").await, Some(SuppressionReason::Complaint));
    assert_eq!(
        (reason("dan@orchard.example").await, world.state("dan@orchard.example").await),
        (None, StateName::Accepted)
    );
    let noted = bounces::of_key(&world.db, &key(BOB), 10).await.unwrap();
    assert_eq!(
        noted.iter().map(|one| (one.verdict.cause, one.grade)).collect::<Vec<_>>(),
        [(BounceCause::MailboxFull, Grade::Ours)]
    );
}

#[tokio::test]
async fn while_somebody_else_goes_on_trying_nothing_is_sent_again() {
    let world = World::with(&[ADA]).await;
    let of = world.delivery(ADA).await;
    for minute in 0..20 {
        let at = world.now - TimeDelta::minutes(60 - minute);
        let mut late = event(&world, "deferred", ADA, 451, &format!("4.7.1 try again later {minute}")).await;
        late["occurred_at"] = json!(at);
        assert_eq!(tell(&world, &late).await, StatusCode::OK);
        world.read_all().await;
        assert_eq!(deliveries::get(&world.db, &[of]).await.unwrap()[0].state, StateName::Accepted);
    }
    assert_eq!(world.suppression(ADA).await, None);
}

#[tokio::test]
async fn what_is_told_of_a_letter_in_doubt_settles_it() {
    for (kind, code, text, expected) in [
        // Somebody else has it and goes on trying.
        ("deferred", 451, "4.7.1 later", StateName::Accepted),
        ("deferred", 0, "", StateName::Accepted),
        ("delivered", 0, "", StateName::Accepted),
        ("hard", 550, "5.1.1 no such user", StateName::Bounced),
        ("soft", 452, "4.2.2 mailbox full", StateName::Deferred),
        ("something new", 550, "5.1.1 no such user", StateName::Planned),
    ] {
        for by_return_path in [false, true] {
            let world = World::with(&[ADA]).await;
            world.send_in_doubt("Autumn", world.now).await;
            let mut told = event(&world, kind, ADA, code, text).await;
            if code == 0 {
                told.as_object_mut().unwrap().remove("smtp");
            }
            if by_return_path {
                told["our_token"] = json!(world.return_path(ADA).await);
                told["rfc_message_id"] = Value::Null;
            }
            hear(&world, "1", told).await;
            assert_eq!(world.state(ADA).await, expected, "{kind} {code}, {by_return_path}");
        }
    }
}

#[tokio::test]
async fn the_same_words_of_another_try_are_news_and_old_ones_are_about_the_old_try() {
    let world = World::with(&[ADA]).await;
    let mut full = event(&world, "soft", ADA, 452, "4.2.2 mailbox full").await;
    full["occurred_at"] = json!(world.now - TimeDelta::hours(1));
    hear(&world, "1", full.clone()).await;
    assert_eq!(world.state(ADA).await, StateName::Deferred);
    world.try_again(ADA, Utc::now()).await;
    assert_eq!(world.state(ADA).await, StateName::Accepted);

    // Told again, or told late: it was the first try.
    hear(&world, "1", full.clone()).await;
    let mut late = event(&world, "blocked", ADA, 550, "5.7.1 rejected as spam").await;
    late["occurred_at"] = json!(world.now - TimeDelta::minutes(50));
    hear(&world, "2", late).await;
    assert_eq!(world.state(ADA).await, StateName::Accepted);

    // The second try came back for the same reason.
    full["occurred_at"] = Value::Null;
    hear(&world, "3", full.clone()).await;
    assert_eq!(world.state(ADA).await, StateName::Deferred);
}

#[tokio::test]
async fn one_odd_event_keeps_back_no_other_and_is_told() {
    let world = World::with(&[ADA]).await;
    // As the field's canonical form has it, with both names of the message.
    let canonical = json!({
        "provider": "ses", "idempotency_key": "1", "occurred_at": "2026-01-15T10:00:00Z", "recipient": ADA,
        "our_token": null, "rfc_message_id": format!("<{}>", world.message_id(ADA).await), "kind": "hard",
        "custody": "returned", "cause": "mailbox_unknown", "provider_label": "Permanent/NoEmail",
        "smtp": { "code": 550, "enhanced": "5.1.1", "text": "user unknown\u{0}\r\n" },
        "remote_mta": "mx1.example.net\u{7}".repeat(100), "attempt": 6, "expires_at": null
    });
    let odd = json!([{ "kind": "hard", "occurred_at": "yesterday" }, canonical]);
    hear(&world, "1", odd).await;
    let noted = bounces::of_key(&world.db, &key(ADA), 10).await.unwrap();
    let id = noted[0].inbox.unwrap();
    let why = inbox::reading(&world.db, id).await.unwrap().unwrap().error.unwrap();
    assert!(why.starts_with("event 1 cannot be read"), "{why}");
}

#[tokio::test]
async fn without_the_secret_nothing_is_kept() {
    let world = World::with(&[ADA]).await;
    let (site, door) = (site(&world), door(&world));
    let body = event(&world, "hard", ADA, 550, "5.1.1 no such user").await.to_string();
    let (now, old) = (Utc::now().timestamp().to_string(), (Utc::now().timestamp() - 400).to_string());
    let signed = door.sign("msg_1", &now, body.as_bytes());
    let of_old = door.sign("msg_1", &old, body.as_bytes());
    let others = EventDoor::newest(&Keys::new(('a', b"another key".to_vec()), vec![])).unwrap();
    let of_others = others.sign("msg_1", &now, body.as_bytes());
    let with = |id: &'static str, timestamp, signatures| {
        [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signatures)]
    };
    for (name, headers, status) in [
        (door.name(), with("msg_1", "", ""), StatusCode::FORBIDDEN),
        (door.name(), with("msg_2", &*now, &*signed), StatusCode::FORBIDDEN),
        (door.name(), with("msg_1", &*old, &*of_old), StatusCode::FORBIDDEN),
        (door.name(), with("msg_1", &*now, &*of_others), StatusCode::FORBIDDEN),
        (others.name(), with("msg_1", &*now, &*of_others), StatusCode::NOT_FOUND),
        (
            door.name(),
            [("svix-id", "msg_1"), ("webhook-timestamp", &*now), ("webhook-signature", &*signed)],
            StatusCode::FORBIDDEN,
        ),
    ] {
        assert_eq!(post(&site, name, headers, body.as_bytes()).await, status, "{headers:?}");
    }
    for at in (0..body.len()).step_by(3) {
        let mut other = body.clone().into_bytes();
        other[at] ^= 1;
        assert_eq!(post(&site, door.name(), with("msg_1", &now, &signed), &other).await, StatusCode::FORBIDDEN);
    }
    for wrong in [json!("text"), json!([1]), json!(vec![json!({ "kind": "delivered" }); 10_001])] {
        assert_eq!(tell(&world, &wrong).await, StatusCode::BAD_REQUEST);
    }
    assert_eq!(inbox::waiting(&world.db).await.unwrap(), 0);
    let svix = [("svix-id", "msg_1"), ("svix-timestamp", &*now), ("svix-signature", &*signed)];
    assert_eq!(post(&site, door.name(), svix, body.as_bytes()).await, StatusCode::OK);
    assert_eq!(inbox::waiting(&world.db).await.unwrap(), 1, "it is on the disk when it is answered");
    world.db.close().await;
    assert_eq!(post(&site, door.name(), svix, b"").await, StatusCode::FORBIDDEN);
    assert_eq!(
        post(&site, door.name(), svix, body.as_bytes()).await,
        StatusCode::SERVICE_UNAVAILABLE,
        "it comes again"
    );
}

#[tokio::test]
async fn ten_thousand_events_are_kept_before_they_are_read() {
    let world = World::with(&[ADA]).await;
    // Of somebody whose mailbox was in trouble before.
    hear(&world, "0", event(&world, "soft", ADA, 554, "5.3.0 internal server error").await).await;
    world.send_in_doubt("Autumn", Utc::now()).await;
    let one = event(&world, "delivered", ADA, 250, "2.0.0 queued as 4R5xy").await;
    let events = Value::Array(vec![one; 10_000]);
    let begun = Instant::now();
    assert_eq!(tell(&world, &events).await, StatusCode::OK);
    assert_eq!(inbox::waiting(&world.db).await.unwrap(), 1, "whoever tells does not wait until it is read");
    world.read_all().await;
    // In a build without optimisation, beside other tests.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    assert_eq!(world.state(ADA).await, StateName::Accepted);
    let told = rebound_db::events::of_key(&world.db, &key(ADA), 50).await.unwrap();
    assert_eq!(told.iter().filter(|event| event.kind == "reached").count(), 1);
}

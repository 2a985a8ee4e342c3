//! Campaigns in the browser: writing, timing, sending again, and deciding what nobody else can.

use crate::world::{Answer, Browser, World};
use axum::http::{StatusCode, header};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::leases::Try;
use rebound_db::{campaigns, deliveries, leases};
use rebound_domain::{CampaignId, CampaignState, DoubtPolicy, Draft, Fields, Role, StateName, WorkerId};

/// The draft and the sent campaign of the seed.
const DRAFT: i64 = 1;
const SENT: i64 = 2;

fn place(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    answer.headers[header::LOCATION].to_str().unwrap().to_owned()
}

fn id_in(place: &str) -> CampaignId {
    CampaignId(place.split('/').nth(2).unwrap().parse().unwrap())
}

async fn state(world: &World, id: CampaignId) -> CampaignState {
    campaigns::get(&world.db, id).await.unwrap().unwrap().state
}

async fn plan(world: &World, id: CampaignId) -> i64 {
    let campaign = campaigns::get(&world.db, id).await.unwrap().unwrap();
    let tx = world.db.begin().await.unwrap();
    let planned = campaigns::plan(&tx, &campaign, world.now).await.unwrap();
    tx.commit().await.unwrap();
    planned
}

#[tokio::test]
async fn exactly_those_who_did_not_get_it_are_written_to_again_and_count_as_recovered() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let rows = world.get(Some(&owner), "/campaigns/2/bounces").await.text;
    assert!(rows.contains("Send a lighter version to 2"), "{rows}");
    let inset = world.get(Some(&owner), "/campaigns/2/resend?cause=message_too_large").await.text;
    assert!(inset.contains("Send again to 2 people"), "{inset}");

    // Pressed twice, there is one draft.
    let fields = [("cause", "message_too_large"), ("version", "light")];
    let made = place(&world.post(&owner, "/campaigns/2/resend", &fields).await);
    assert_eq!(place(&world.post(&owner, "/campaigns/2/resend", &fields).await), made);
    let draft = world.get(Some(&owner), &made).await.text;
    for words in ["2 people who did not get it", "What changes", "Text alone", "Send to 2 people"] {
        assert!(draft.contains(words), "{words}: {draft}");
    }
    place(&world.post(&owner, &format!("{made}/launch"), &[]).await);
    place(&world.post(&owner, &format!("{made}/launch"), &[]).await);
    let again = id_in(&made);
    assert_eq!((plan(&world, again).await, plan(&world, again).await), (2, 0));

    // They get it: the first campaign says so, and its number leads to them.
    let before = world.get(Some(&owner), "/campaigns/2").await.text;
    assert!(before.contains("64 of 96 reached"), "{before}");
    let leases = leases::claim(&world.db, WorkerId(1), again, 9, Utc::now()).await.unwrap();
    let settled: Vec<_> = leases
        .iter()
        .map(|lease| deliveries::Settled { id: lease.id, state: StateName::Accepted, due: None })
        .collect();
    assert_eq!(deliveries::settle(&world.db, &settled).await.unwrap(), 2);
    let after = world.get(Some(&owner), "/campaigns/2").await.text;
    assert!(after.contains("66 of 96 reached"), "{after}");
    let recovered = world.get(Some(&owner), "/campaigns/2/recipients?state=accepted&failed=true").await.text;
    assert_eq!(recovered.matches("Recovered</span></td>").count(), 2, "{recovered}");
    assert!(world.get(Some(&owner), "/campaigns").await.text.contains(">66</a>"));

    // Nobody is left, and nobody gets it a third time.
    let refused = world.post(&owner, "/campaigns/2/resend", &fields).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("nobody is left"), "{}", refused.text);
}

#[tokio::test]
async fn nobody_is_written_to_again_whose_address_is_gone() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let refused = world.post(&owner, "/campaigns/2/resend", &[("cause", "mailbox_unknown")]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    let rows = world.get(Some(&owner), "/campaigns/2/bounces").await.text;
    assert!(!rows.contains("resend?cause=mailbox_unknown"), "{rows}");
}

#[tokio::test]
async fn a_full_mailbox_is_tried_again_at_once_when_somebody_says_so() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let ledger = deliveries::ledger(&world.db, CampaignId(SENT), None, 999).await.unwrap();
    let tomorrow = Some(world.now + TimeDelta::days(1));
    let put_off: Vec<_> = ledger
        .iter()
        .filter(|line| matches!(line.state, StateName::Planned | StateName::Deferred))
        .map(|line| deliveries::Settled { id: line.delivery, state: line.state, due: tomorrow })
        .collect();
    deliveries::settle(&world.db, &put_off).await.unwrap();
    let question = world.get(Some(&owner), "/campaigns/2/hurry?cause=mailbox_full").await.text;
    assert!(question.contains("Try 2 people again now?"), "{question}");
    for _ in 0..2 {
        place(&world.post(&owner, "/campaigns/2/hurry", &[("cause", "mailbox_full")]).await);
    }
    let due = leases::claim(&world.db, WorkerId(1), CampaignId(SENT), 99, Utc::now()).await.unwrap();
    assert_eq!(due.len(), 2, "the others wait for their own time");
}

#[tokio::test]
async fn a_campaign_is_scheduled_put_off_and_taken_back() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Marketer).await;
    let (soon, later) = (world.now + TimeDelta::days(2), world.now + TimeDelta::days(3));
    let at = |time: DateTime<Utc>| (time.format("%Y-%m-%d").to_string(), time.format("%H:%M").to_string());
    let schedule = async |browser: &Browser, time: DateTime<Utc>| {
        let (day, time) = at(time);
        world.post(browser, "/campaigns/1/schedule", &[("day", &day), ("time", &time)]).await
    };
    let past = schedule(&owner, world.now - TimeDelta::days(1)).await;
    assert_eq!(past.status, StatusCode::CONFLICT);
    assert!(past.text.contains("that time is over"), "{}", past.text);

    place(&schedule(&owner, soon).await);
    place(&schedule(&owner, later).await);
    let campaign = campaigns::get(&world.db, CampaignId(DRAFT)).await.unwrap().unwrap();
    assert_eq!(campaign.state, CampaignState::Scheduled);
    assert_eq!(campaign.scheduled.map(at), Some(at(later)));
    assert!(world.get(Some(&owner), "/campaigns/1").await.text.contains("Take it back to a draft"));
    assert!(campaigns::due(&world.db, soon).await.unwrap().is_empty());
    assert_eq!(campaigns::due(&world.db, later).await.unwrap().len(), 1);

    place(&world.post(&owner, "/campaigns/1/unschedule", &[]).await);
    assert_eq!(state(&world, CampaignId(DRAFT)).await, CampaignState::Draft);
    assert!(campaigns::due(&world.db, later).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_campaign_is_copied_and_only_a_draft_is_deleted() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let first = place(&world.post(&owner, "/campaigns/2/copy", &[]).await);
    let second = place(&world.post(&owner, "/campaigns/2/copy", &[]).await);
    assert_ne!(first, second);
    let copy = campaigns::get(&world.db, id_in(&first)).await.unwrap().unwrap();
    assert_eq!((copy.draft.name.as_str(), copy.state), ("Copy of Autumn bulbs: last call", CampaignState::Draft));

    let gone = format!("/campaigns/{}/delete", copy.id);
    assert!(world.get(Some(&owner), &gone).await.text.contains("Delete this draft?"));
    assert_eq!(place(&world.post(&owner, &gone, &[]).await), "/campaigns");
    assert_eq!(place(&world.post(&owner, &gone, &[]).await), "/campaigns", "twice is once");
    assert!(campaigns::get(&world.db, copy.id).await.unwrap().is_none());
    assert_eq!(world.post(&owner, "/campaigns/2/delete", &[]).await.status, StatusCode::CONFLICT);
    assert!(campaigns::get(&world.db, CampaignId(SENT)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_draft_has_five_steps_and_names_everybody_who_lacks_a_value() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let draft = world.get(Some(&owner), "/campaigns/1").await.text;
    for words in ["<h2>To</h2>", "<h2>From</h2>", "<h2>Subject</h2>", "<h2>Content</h2>", "<h2>Send time</h2>"] {
        assert!(draft.contains(words), "{words}: {draft}");
    }
    assert!(draft.contains("Next person") && draft.contains("checks passed"), "{draft}");

    let draft = campaigns::get(&world.db, CampaignId(DRAFT)).await.unwrap().unwrap().draft;
    let html = r#"<p>{{ plan }} <a href="http://192.0.2.1/">go</a></p>"#.into();
    let draft = Draft { html, defaults: Fields::new(), ..draft };
    assert!(campaigns::update(&world.db, CampaignId(DRAFT), &draft).await.unwrap());
    let page = world.get(Some(&owner), "/campaigns/1").await.text;
    for words in ["Must be mended", "bare IP", "lacking?field=plan"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let lacking = world.get(Some(&owner), "/campaigns/1/lacking?field=plan").await.text;
    assert_eq!(
        lacking.matches("<tr role=\"row\"><th role=\"rowheader\"").count(),
        94,
        "all but two who are suppressed"
    );
    let refused = world.post(&owner, "/campaigns/1/launch", &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("has no value for 94"), "{}", refused.text);
}

#[tokio::test]
async fn doubts_are_listed_by_name_and_asked_about_as_their_policy_says() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let long_ago = world.now - TimeDelta::hours(1);
    for (policy, asked) in [(DoubtPolicy::Hold, true), (DoubtPolicy::Never, false)] {
        let name = format!("In doubt: {policy:?}");
        let id = in_doubt(&world, &name, policy, long_ago).await;
        let overview = world.get(Some(&owner), "/").await.text;
        assert_eq!(overview.contains(&format!("/campaigns/{id}/doubts")), asked, "{policy:?}: {overview}");
        let page = world.get(Some(&owner), &format!("/campaigns/{id}/doubts")).await.text;
        assert_eq!(page.matches("1 try without an answer").count(), 3, "{page}");

        // Left as they are, nobody is asked again; sent again, all three wait for their next try.
        let seen = world.now.timestamp_millis().to_string();
        let decide = async |decision| {
            let fields = [("decision", decision), ("seen", seen.as_str())];
            place(&world.post(&owner, &format!("/campaigns/{id}/doubts"), &fields).await);
        };
        decide("leave").await;
        assert!(!world.get(Some(&owner), "/").await.text.contains(&format!("/campaigns/{id}/doubts")));
        decide("resend").await;
        decide("resend").await;
        let counts = deliveries::counts(&world.db, id).await.unwrap();
        assert_eq!(counts.get(&StateName::InDoubt), None, "{policy:?}");
        assert_eq!(leases::claim(&world.db, WorkerId(7), id, 999, Utc::now()).await.unwrap().len(), 94);
    }
}

#[tokio::test]
async fn doubts_that_are_held_wait_for_evidence_first() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let id = in_doubt(&world, "In doubt", DoubtPolicy::Hold, world.now).await;
    assert!(!world.get(Some(&owner), "/").await.text.contains(&format!("/campaigns/{id}/doubts")));
    assert!(world.get(Some(&owner), &format!("/campaigns/{id}")).await.text.contains("may or may not have left"));
}

/// A campaign whose worker died at `at` while it handed three messages over.
async fn in_doubt(world: &World, name: &str, doubt: DoubtPolicy, at: DateTime<Utc>) -> CampaignId {
    let draft = campaigns::get(&world.db, CampaignId(SENT)).await.unwrap().unwrap().draft;
    let id = campaigns::create(&world.db, &Draft { name: name.into(), doubt, ..draft }, at).await.unwrap();
    rebound_send::launch(&world.db, id, &crate::seed::sender(), "a test", at).await.unwrap();
    plan(world, id).await;
    let dead = WorkerId(900);
    let leases = leases::claim(&world.db, dead, id, 3, world.now).await.unwrap();
    let tries: Vec<Try> = leases.iter().map(|lease| Try { id: lease.id, number: 1 }).collect();
    leases::mark(&world.db, dead, &tries, at).await.unwrap();
    assert_eq!(leases::recover(&world.db, dead, at).await.unwrap(), 3);
    id
}

#[tokio::test]
async fn the_report_says_how_far_the_planning_is() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    place(&world.post(&owner, "/campaigns/1/launch", &[]).await);
    let page = world.get(Some(&owner), "/campaigns/1").await.text;
    assert!(page.contains("Planned 0 of about 94"), "{page}");
    plan(&world, CampaignId(DRAFT)).await;
    let page = world.get(Some(&owner), "/campaigns/1").await.text;
    assert!(!page.contains("Planned 0"), "{page}");
}

#[tokio::test]
async fn a_test_needs_a_server_and_an_address() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    for (to, words) in [("nobody", "is not an address"), ("ada@orchard.test", "no sending server yet")] {
        let answer = world.post(&owner, "/campaigns/1/test", &[("to", to)]).await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert!(answer.text.contains(words), "{words}: {}", answer.text);
    }
    let report = world.get(Some(&owner), "/campaigns/2").await.text;
    assert!(report.contains("64 of 96 reached"), "a test is counted nowhere");
}

#[tokio::test]
async fn recipients_are_found_by_address() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Auditor).await;
    let one = world.get(Some(&owner), "/campaigns/2/recipients?q=person7@").await.text;
    assert_eq!(one.matches("<a class=\"t\" href=\"/contacts/").count(), 1, "{one}");
    let domain = world.get(Some(&owner), "/campaigns/2/recipients?q=@gmail.test&state=accepted").await.text;
    let rows = domain.matches("<a class=\"t\" href=\"/contacts/").count();
    assert!((1..24).contains(&rows), "{rows}");
}

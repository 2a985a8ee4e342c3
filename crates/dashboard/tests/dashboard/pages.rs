//! What pages say: when there is nothing, when there is much, and when somebody wrote markup.

use crate::world::World;
use axum::http::StatusCode;
use rebound_db::bounces;
use rebound_db::jobs::{self, JobKind, JobState};
use rebound_db::{campaigns, contacts, lists};
use rebound_domain::{
    Bounce, CampaignId, CampaignState, ContactId, DeliveryId, DoubtPolicy, Draft, Fields, Grade, Policy, Refusal, Role,
};

#[tokio::test]
async fn an_empty_installation_says_what_would_stand_where() {
    let world = World::empty().await;
    let owner = world.browser(Role::Owner).await;
    for (path, words) in [
        ("/", "steps to the first campaign"),
        ("/campaigns", "No campaign yet"),
        ("/contacts", "No contact yet"),
        ("/lists", "No list yet"),
        ("/bounces", "Nothing came back yet"),
        ("/incidents", "No incident"),
        ("/suppressions", "Every contact can be reached"),
        ("/campaigns/new", "There is no list yet"),
        ("/settings", "Mail goes to every provider"),
    ] {
        let page = world.get(Some(&owner), path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.text.contains(words), "{path}: {}", page.text);
        assert_eq!(page.text.matches("<h1").count(), 1, "{path} has one h1");
    }
}

#[tokio::test]
async fn a_move_into_this_database_is_told_like_other_work() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let (settings, actor) = (r#"{"file":"rebound.db"}"#, "command line");
    let (kind, state) = (JobKind::Migration, JobState::Waiting);
    let new = jobs::NewJob { kind, subject: 0, state, total: 1_204, settings, actor };
    let id = jobs::add(&world.db, &new, world.now).await.unwrap().unwrap();
    let mut job = jobs::claim_this(&world.db, id).await.unwrap().unwrap();
    job.done = 1_000;
    assert!(jobs::advance(&world.db, &job, world.now).await.unwrap());
    let page = format!("/jobs/{id}");
    for path in ["/jobs", &page] {
        let text = world.get(Some(&owner), path).await.text;
        assert!(text.contains("Move from SQLite to PostgreSQL") && text.contains("1,000 of 1,204 rows"), "{text}");
        assert!(text.contains("command line") && text.contains("Under way"), "{text}");
        // It is stopped, and goes on, where its command runs.
        assert!(!text.contains(&format!("{page}/cancel")) && !text.contains(&format!("{page}/retry")), "{text}");
    }
    for path in [format!("{page}/cancel"), format!("{page}/retry")] {
        assert_eq!(world.post(&owner, &path, &[]).await.status, StatusCode::CONFLICT);
    }
    assert_eq!(world.get(Some(&owner), &format!("{page}/cancel")).await.status, StatusCode::CONFLICT);

    jobs::fail(&world.db, &job, "the database did not answer", world.now).await.unwrap();
    let text = world.get(Some(&owner), &page).await.text;
    assert!(text.contains("The database did not answer.") && text.contains("rebound migrate --to"), "{text}");
    assert_eq!(world.post(&owner, &format!("{page}/retry"), &[]).await.status, StatusCode::CONFLICT);

    // Of other work there is a page already.
    let import = world.get(Some(&owner), "/jobs/1").await;
    assert_eq!((import.status, import.headers["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/imports/1"));
    assert_eq!(world.get(Some(&owner), "/jobs/999").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_report_counts_everybody_and_leads_to_them() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Auditor).await;
    let report = world.get(Some(&owner), "/campaigns/2").await.text;
    assert!(report.contains("64 of 96 reached"), "{report}");
    assert!(!report.contains("Pause</button>"), "an auditor gives no orders");
    let rows = world.get(Some(&owner), "/campaigns/2/bounces").await.text;
    for words in
        ["Needs you", "Deferred", "Cannot be reached", "The message is over a size limit", "16 people not reached"]
    {
        assert!(rows.contains(words), "{words}: {rows}");
    }
    let full = world.get(Some(&owner), "/campaigns/2/recipients?cause=mailbox_full").await.text;
    assert_eq!(full.matches("href=\"/bounces/").count(), 2, "{full}");
    let overview = world.get(Some(&owner), "/").await.text;
    assert!(overview.contains("Autumn bulbs") && overview.contains("64 of 96 reached"));
}

#[tokio::test]
async fn a_bounce_shows_its_words_and_what_they_mean() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let full = bounces::Filter { search: String::new(), ..bounces::Filter::default() };
    let noted = bounces::page(&world.db, &full, None, 100).await.unwrap();
    let full = noted.iter().find(|one| one.verdict.diagnostic.contains("quota")).unwrap();
    let page = world.get(Some(&owner), &format!("/bounces/{}", full.id)).await.text;
    for words in ["We try again", "<mark>", "Soft: it passes", "The recipient", "Next try"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let contact = world.get(Some(&owner), &format!("/contacts/{}", full.contact.unwrap())).await.text;
    assert!(contact.contains("Next: we try “Autumn bulbs: last call” again"), "{contact}");
    assert!(contact.contains("was put off"));
}

const MARKUP: [&str; 4] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'-alert(1)-'",
    "</textarea><svg onload=alert(1)>",
];

#[tokio::test]
async fn nothing_that_people_or_hosts_wrote_becomes_markup() {
    let world = World::empty().await;
    let owner = world.browser(Role::Owner).await;
    let hostile = MARKUP.join(" ");
    let list = lists::ensure(&world.db, &hostile, world.now).await.unwrap();
    let address: rebound_domain::EmailAddress = "mira@orchard.test".parse().unwrap();
    let fields = Fields::from([("first_name".to_owned(), hostile.clone()), (hostile.clone(), hostile.clone())]);
    contacts::add(&world.db, &[(address.clone(), fields)], world.now).await.unwrap();
    rebound_contacts::subscribe(&world.db, ContactId(1), list.id, &hostile, world.now).await.unwrap();
    rebound_contacts::confirm(&world.db, ContactId(1), list.id, &hostile, world.now).await.unwrap();
    let draft = Draft {
        name: hostile.clone(),
        list: list.id,
        from_name: hostile.clone(),
        from: address.clone(),
        reply_to: None,
        subject: hostile.clone(),
        html: hostile.clone(),
        text: hostile.clone(),
        postal_address: hostile.clone(),
        defaults: Fields::from([("town".to_owned(), hostile.clone())]),
        doubt: DoubtPolicy::Resend,
        counts_clicks: true,
    };
    let id = campaigns::create(&world.db, &draft, world.now).await.unwrap();
    campaigns::create(&world.db, &Draft { name: format!("{hostile} 2"), ..draft }, world.now).await.unwrap();
    bounced(&world, id, &hostile).await;
    rebound_contacts::suppress(
        &world.db,
        &address.key(),
        rebound_domain::Scope::Everywhere,
        None,
        &hostile,
        &hostile,
        world.now,
    )
    .await
    .unwrap();

    let query: String =
        serde_urlencoded::to_string([("q", &hostile), ("cause", &hostile), ("domain", &hostile)]).unwrap();
    let mut paths = vec![
        "/".to_owned(),
        "/campaigns/1".into(),
        "/campaigns/1/bounces".into(),
        "/campaigns/1/recipients".into(),
        "/campaigns/1/cancel".into(),
        "/campaigns/2".into(),
        "/campaigns/2/edit".into(),
        "/campaigns/2/launch".into(),
        "/contacts/1".into(),
        "/bounces/1".into(),
        "/incidents".into(),
        "/incidents/1".into(),
        "/settings".into(),
        "/lists".into(),
    ];
    paths.extend(["/campaigns", "/contacts", "/bounces", "/suppressions"].map(|path| format!("{path}?{query}")));
    paths.extend(["/campaigns", "/contacts", "/bounces", "/suppressions"].map(str::to_owned));
    let mut seen = 0;
    for path in paths {
        let page = world.get(Some(&owner), &path).await;
        for raw in MARKUP {
            assert!(!page.text.contains(raw) || raw.starts_with('\''), "{path} holds {raw}");
        }
        assert!(!page.text.contains("onerror=alert(1)>"), "{path}");
        seen += page.text.matches("alert(1)").count();
    }
    assert!(seen > 50, "the words themselves are shown: {seen}");
}

/// Sends the campaign and lets a host answer with `words`.
async fn bounced(world: &World, id: CampaignId, words: &str) {
    campaigns::set_state(&world.db, id, CampaignState::Draft, CampaignState::Planning, None, world.now).await.unwrap();
    let campaign = campaigns::get(&world.db, id).await.unwrap().unwrap();
    let tx = world.db.begin().await.unwrap();
    campaigns::plan(&tx, &campaign, world.now).await.unwrap();
    let answer = format!("550 5.7.1 {words} message rejected as spam");
    let bounce = Bounce {
        delivery: DeliveryId::new(id, 0),
        attempt: 1,
        address: "mira@orchard.test".parse::<rebound_domain::EmailAddress>().unwrap().key(),
        grade: Grade::Ours,
        refusal: Refusal::Permanent,
        held: false,
        receiver: None,
        learned: None,
        verdict: rebound_classify::reply(answer.as_bytes()).unwrap(),
        reporting_mta: Some(words.to_owned()),
        inbox: None,
        at: world.now,
    };
    rebound_contacts::record_bounces(&tx, &[bounce], &Policy::default(), || 0.5, world.now).await.unwrap();
    tx.commit().await.unwrap();
}

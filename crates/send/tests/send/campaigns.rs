//! Tests through a relay, campaigns that go at their time, and sending again.

use crate::relay::{self, Relayed};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::leases::Try;
use rebound_db::{Pool, campaigns, contacts, deliveries, events, leases, lists, outcomes, subscriptions, suppressions};
use rebound_domain::{
    Bounce, BounceCause, CampaignId, CampaignState, Clock, DeliveryId, DoubtPolicy, Draft, EmailAddress, Fields, Grade,
    Keys, Policy, Refusal, Scope, StateName, Suppression, SuppressionReason, WorkerId,
};
use rebound_send::{Cleared, Depth, LaunchError, Outcome, Progress, ResendError, Sender, Version, Worker};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const ME: &str = "ines@fernhill.example";

pub(crate) fn sender() -> Sender {
    Sender {
        keys: Keys::new(('a', b"a key of 32 bytes, kept in a file".to_vec()), vec![]),
        return_domain: "bounce.fernhill.example".into(),
        public_url: "https://news.fernhill.example".into(),
    }
}

/// Ten people on a list, and a draft to them.
async fn installation() -> (Pool, CampaignId, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let db = rebound_db::temporary(folder.path()).await.unwrap();
    let id = furnish(&db).await;
    (db, id, folder)
}

/// The same, in a database that is there.
pub(crate) async fn furnish(db: &Pool) -> CampaignId {
    let before = Utc::now() - TimeDelta::days(1);
    let list = lists::ensure(db, "News", before).await.unwrap().id;
    let people: Vec<(EmailAddress, Fields)> =
        (0..10).map(|n| (format!("p{n}@orchard.example").parse().unwrap(), Fields::new())).collect();
    contacts::add(db, &people, before).await.unwrap();
    let keys: Vec<_> = people.iter().map(|(address, _)| address.key()).collect();
    subscriptions::confirm_all(db, list, &keys, "a test", before).await.unwrap();
    let draft = Draft {
        name: "Spring".into(),
        list,
        from_name: "Fernhill".into(),
        from: "news@fernhill.example".parse().unwrap(),
        reply_to: None,
        subject: "Hello {{ first_name }}".into(),
        html: r#"<p>Hello {{ email }}</p><img alt="A bulb" src="data:image/png;base64,AAAA">"#.into(),
        text: String::new(),
        postal_address: "1 Garden Row".into(),
        defaults: Fields::from([("first_name".into(), "reader".into())]),
        doubt: DoubtPolicy::Resend,
        counts_clicks: true,
    };
    campaigns::create(db, &draft, before).await.unwrap()
}

pub(crate) async fn campaign(db: &Pool, id: CampaignId) -> rebound_domain::Campaign {
    campaigns::get(db, id).await.unwrap().unwrap()
}

async fn suppress(db: &Pool, address: &str) {
    let suppression = Suppression {
        address: address.parse::<EmailAddress>().unwrap().key(),
        scope: Scope::Everywhere,
        reason: SuppressionReason::Manual,
        since: Utc::now() - TimeDelta::hours(1),
        until: None,
        evidence: "a test".into(),
    };
    suppressions::add(db, &suppression).await.unwrap();
}

#[tokio::test]
async fn a_test_is_real_mail_and_counts_nowhere() {
    let (db, id, _folder) = installation().await;
    suppress(&db, "p3@orchard.example").await;
    let relay = relay::start(&["550 5.1.1 no such user here"]).await;
    let to: Vec<EmailAddress> =
        ["ines@fernhill.example", "gone@fernhill.example", "p3@orchard.example"].map(|to| to.parse().unwrap()).into();
    let shown_as = contacts::by_key(&db, &"p1@orchard.example".parse::<EmailAddress>().unwrap().key()).await.unwrap();
    let draft = campaign(&db, id).await;
    let tested = rebound_send::test_send(
        &db,
        (&rebound_send::Egress::only(relay.relay.clone(), 1, None), &sender()),
        &draft,
        &shown_as.unwrap(),
        &to,
        ME,
        Utc::now(),
    )
    .await
    .unwrap();

    let outcomes: Vec<&Outcome> = tested.iter().map(|one| &one.outcome).collect();
    assert!(matches!(outcomes[0], Outcome::Taken(words) if words.contains("queued")), "{outcomes:?}");
    assert_eq!(outcomes[1], &Outcome::Refused("550 5.1.1 no such user here".into()));
    assert_eq!(outcomes[2], &Outcome::Suppressed);
    let messages = relay.messages();
    assert_eq!(messages.len(), 1);
    for words in ["Subject: [Test] Hello reader", "X-Rebound-Test:", "p1@orchard.example", "/u/test"] {
        assert!(messages[0].contains(words), "{words}: {}", messages[0]);
    }
    assert!(!messages[0].contains("List-Unsubscribe"), "it unsubscribes nobody");

    assert!(deliveries::counts(&db, id).await.unwrap().is_empty());
    let log = events::of_subject(&db, "campaign", id.0, 9).await.unwrap();
    let told: Vec<&str> = log.iter().map(|entry| entry.detail.as_str()).collect();
    assert_eq!(log.iter().filter(|entry| entry.kind == "campaign.tested" && entry.actor == ME).count(), 3, "{told:?}");
    assert!(told.iter().any(|words| words.contains("refused it: 550 5.1.1 no such user here")), "{told:?}");
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_named() {
    let (db, id, _folder) = installation().await;
    let mut down = relay::start(&[]).await.relay;
    down.port = 1;
    let shown_as =
        contacts::with_ids(&db, &[rebound_domain::ContactId(1)]).await.unwrap().into_values().next().unwrap();
    let to = [ME.parse().unwrap()];
    let draft = campaign(&db, id).await;
    let error = rebound_send::test_send(
        &db,
        (&rebound_send::Egress::only(down, 1, None), &sender()),
        &draft,
        &shown_as,
        &to,
        ME,
        Utc::now(),
    )
    .await;
    assert!(error.unwrap_err().to_string().contains("cannot be reached"));
}

/// Waits for what is expected, not for a time.
pub(crate) async fn until<T>(what: &str, mut seen: impl AsyncFnMut() -> Option<T>) -> T {
    let look = async {
        loop {
            if let Some(seen) = seen().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.unwrap_or_else(|_| panic!("{what} did not come"))
}

pub(crate) async fn in_state(db: &Pool, id: CampaignId, state: CampaignState) -> Option<()> {
    (campaign(db, id).await.state == state).then_some(())
}

#[tokio::test]
async fn a_scheduled_campaign_goes_at_its_time_and_one_that_cannot_says_why() {
    let (db, id, folder) = installation().await;
    let (sender, now) = (sender(), Utc::now());
    let list = lists::ensure(&db, "One reader", now).await.unwrap().id;
    let lonely: EmailAddress = "lonely@orchard.example".parse().unwrap();
    contacts::add(&db, &[(lonely.clone(), Fields::new())], now).await.unwrap();
    subscriptions::confirm_all(&db, list, &[lonely.key()], "a test", now).await.unwrap();
    let draft = Draft { name: "Broken".into(), list, ..campaign(&db, id).await.draft };
    let broken = campaigns::create(&db, &draft, now).await.unwrap();
    let schedule = async |id, at| {
        let campaign = campaign(&db, id).await;
        Cleared::new(&db, &campaign, None, &sender, &Progress::default(), now).await?.schedule(&db, at, ME).await
    };
    let past = schedule(id, now - TimeDelta::minutes(1)).await;
    assert!(matches!(past, Err(LaunchError::Past)), "{past:?}");

    // Both are due; the only reader of the second one's list is suppressed before its time comes.
    let at = now + TimeDelta::milliseconds(300);
    for id in [id, broken] {
        schedule(id, at).await.unwrap();
    }
    suppress(&db, "lonely@orchard.example").await;

    let relay = relay::start(&[]).await;
    let (stop, worker) = work(&db, &folder, &relay);
    until("the scheduled campaign", async || in_state(&db, id, CampaignState::Sent).await).await;
    until("the broken one's draft", async || in_state(&db, broken, CampaignState::Draft).await).await;
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(relay.messages().len(), 10);
    assert!(campaign(&db, id).await.launched.unwrap() >= at);
    let reason = campaign(&db, broken).await.reason.unwrap();
    assert!(reason.contains("could not go at its time") && reason.contains("Nobody on"), "{reason}");
}

pub(crate) fn work(db: &Pool, folder: &TempDir, relay: &Relayed) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    work_as(db, format!("sqlite:{}", folder.path().join("worker.db").display()), relay, sender())
}

pub(crate) fn work_as(
    db: &Pool,
    url: String,
    relay: &Relayed,
    sender: Sender,
) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    work_by(db, url, vec![rebound_send::Egress::only(relay.relay.clone(), 2, None)], sender)
}

pub(crate) fn work_by(
    db: &Pool,
    url: String,
    ways: Vec<rebound_send::Egress>,
    sender: Sender,
) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    work_at(db, url, ways, sender, Clock::wall())
}

/// The same, by a clock of its own.
pub(crate) fn work_at(
    db: &Pool,
    url: String,
    ways: Vec<rebound_send::Egress>,
    sender: Sender,
    clock: Clock,
) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let stop = CancellationToken::new();
    let worker = Worker {
        db: db.clone(),
        url,
        ways,
        sender,
        clock,
        wake: std::sync::Arc::default(),
        rules: rebound_contacts::RuleBook::default(),
        nameserver: None,
        leaving: CancellationToken::new(),
    };
    let until = stop.clone();
    (stop, tokio::spawn(async move { worker.run(until).await.unwrap() }))
}

/// It waits for longer than a program may that is told to end.
#[tokio::test]
async fn a_worker_that_goes_other_ways_leaves_no_doubt_at_a_slow_host() {
    let (db, id, folder) = installation().await;
    rebound_send::launch(&db, id, &sender(), ME, Utc::now()).await.unwrap();
    let relay = relay::start_late(Duration::from_secs(26)).await;
    let (stop, worker) = work(&db, &folder, &relay);
    until("both lines have given a message", async || (relay.messages().len() == 2).then_some(())).await;
    stop.cancel();
    worker.await.unwrap();
    let all: Vec<_> = (0..10).map(|n| DeliveryId::new(id, n).unwrap()).collect();
    let all = deliveries::get(&db, &all).await.unwrap();
    assert!(all.iter().all(|one| !one.in_doubt && one.state != StateName::InDoubt), "{all:?}");
    assert_eq!(all.iter().filter(|one| one.state == StateName::Accepted).count(), relay.messages().len());
}

#[tokio::test]
async fn a_worker_reads_replies_by_rules_that_are_saved_while_it_runs() {
    let (db, id, folder) = installation().await;
    let (sender, now) = (sender(), Utc::now());
    let list = campaign(&db, id).await.draft.list;
    let gone: EmailAddress = "gone@orchard.example".parse().unwrap();
    contacts::add(&db, &[(gone.clone(), Fields::new())], now - TimeDelta::hours(1)).await.unwrap();
    subscriptions::confirm_all(&db, list, &[gone.key()], "a test", now - TimeDelta::hours(1)).await.unwrap();
    let relay = relay::start(&["550 computer says no"]).await;
    let (stop, worker) = work(&db, &folder, &relay);
    let verdict = async |id: CampaignId| {
        let found = rebound_db::bounces::of_key(&db, &gone.key(), 9).await.unwrap();
        found.into_iter().find(|one| one.campaign() == Some(id)).map(|one| one.verdict)
    };
    rebound_send::launch(&db, id, &sender, ME, now).await.unwrap();
    let before = until("the first refusal", async || verdict(id).await).await;
    assert!(before.cause != BounceCause::Greylisted && !before.rules.contains("+local-"), "{before:?}");

    let rule = "[[rule]]\nid = 'local.no'\ncause = 'greylisted'\nwhy = 'ours'\nwords = ['computer says no']\n\
                example = '550 computer says no'\nnot = '550 no'";
    rebound_contacts::save_rules(&db, rule, 0, (ME, ""), Utc::now()).await.unwrap();
    // It looks for newer ones twice a second; a launch wakes it at once.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let draft = Draft { name: "Summer".into(), ..campaign(&db, id).await.draft };
    let next = campaigns::create(&db, &draft, Utc::now()).await.unwrap();
    rebound_send::launch(&db, next, &sender, ME, Utc::now()).await.unwrap();
    let after = until("the second refusal", async || verdict(next).await).await;
    assert_eq!(after.cause, BounceCause::Greylisted);
    assert!(after.rules.contains("+local-"), "{after:?}");
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test]
async fn a_resend_goes_to_those_of_its_cause_who_may_be_written_to() {
    let (db, id, _folder) = installation().await;
    let (sender, now) = (sender(), Utc::now());
    rebound_send::launch(&db, id, &sender, ME, now).await.unwrap();
    plan(&db, id, now).await;
    // Too large for 0 to 3, gone for 4, a blocked server for 5; the others have it.
    let words = |n: i64| match n {
        0..=3 => "552 5.3.4 Message size exceeds fixed limit",
        4 => "550 5.1.1 no such user here",
        _ => "550 5.7.1 Service unavailable; client host blocked using zen.example",
    };
    bounce(&db, id, (0..6).map(|n| (n, words(n))), now).await;
    accept(&db, id, 6..10).await;
    suppress(&db, "p2@orchard.example").await;

    let cause = BounceCause::MessageTooLarge;
    let again = rebound_send::resend(&db, id, cause, Version::Light, ME, now).await.unwrap();
    assert_eq!(
        rebound_send::resend(&db, id, cause, Version::Same, ME, now).await.unwrap(),
        again,
        "there is one draft"
    );
    let light = campaign(&db, again).await;
    assert_eq!(light.draft.html, "<p>Hello {{ email }}</p>A bulb");
    let preflight = rebound_send::preflight(&db, &light, &sender, Depth::Sample, now).await.unwrap();
    assert_eq!((preflight.people, preflight.can_go()), (3, true), "{preflight:?}");

    rebound_send::launch(&db, again, &sender, ME, now).await.unwrap();
    assert_eq!(plan(&db, again, now).await, ["p0@orchard.example", "p1@orchard.example", "p3@orchard.example"]);
    let nobody = rebound_send::resend(&db, id, cause, Version::Same, ME, now).await;
    assert!(matches!(nobody, Err(ResendError::Nobody)), "{nobody:?}");

    // One fails again, and may be written to a third time: by the same first campaign.
    accept(&db, again, 0..2).await;
    bounce(&db, again, [(2, "552 5.3.4 Message size exceeds fixed limit")], now).await;
    let third = rebound_send::resend(&db, again, cause, Version::Same, ME, now).await.unwrap();
    assert_eq!(campaign(&db, third).await.resend.map(|resend| resend.of), Some(id));
    rebound_send::launch(&db, third, &sender, ME, now).await.unwrap();
    assert_eq!(plan(&db, third, now).await, ["p3@orchard.example"]);

    let gone = rebound_send::resend(&db, id, BounceCause::MailboxUnknown, Version::Same, ME, now).await;
    assert!(matches!(gone, Err(ResendError::Never(_))), "{gone:?}");
}

/// Plans all of a campaign and marks all of it as handed over; who is in it.
async fn plan(db: &Pool, id: CampaignId, now: DateTime<Utc>) -> Vec<String> {
    let planning = campaign(db, id).await;
    let tx = db.begin().await.unwrap();
    while campaigns::plan(&tx, &planning, now).await.unwrap() > 0 {}
    tx.commit().await.unwrap();
    let worker = WorkerId(1);
    let leases = leases::claim(db, worker, id, 100, now).await.unwrap();
    let tries: Vec<Try> = leases.iter().map(|lease| Try { id: lease.id, number: 1 }).collect();
    assert_eq!(leases::mark(db, worker, &tries, now).await.unwrap().len(), tries.len());
    let ledger = deliveries::ledger(db, id, None, 100).await.unwrap();
    ledger.into_iter().map(|line| line.recipient).collect()
}

async fn accept(db: &Pool, id: CampaignId, ordinals: std::ops::Range<i64>) {
    let settled: Vec<_> = ordinals
        .map(|n| deliveries::Settled { id: DeliveryId::new(id, n).unwrap(), state: StateName::Accepted, due: None })
        .collect();
    deliveries::settle(db, &settled).await.unwrap();
}

async fn bounce(db: &Pool, id: CampaignId, words: impl IntoIterator<Item = (i64, &str)>, now: DateTime<Utc>) {
    let words: Vec<_> = words.into_iter().map(|(n, words)| (DeliveryId::new(id, n).unwrap(), words)).collect();
    let ids: Vec<DeliveryId> = words.iter().map(|(id, _)| *id).collect();
    let keys = deliveries::keys(db, &ids).await.unwrap();
    let bounces: Vec<Bounce> = words
        .into_iter()
        .map(|(delivery, words)| Bounce {
            delivery: Some(delivery),
            attempt: 1,
            address: keys[&delivery].clone(),
            grade: Grade::Ours,
            refusal: Refusal::Permanent,
            held: false,
            receiver: None,
            learned: None,
            verdict: rebound_classify::reply(words.as_bytes()).unwrap(),
            reporting_mta: None,
            inbox: None,
            at: now,
        })
        .collect();
    let tx = db.begin().await.unwrap();
    rebound_contacts::record_bounces(&tx, &bounces, &Policy::default(), || 0.5, now).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_contact_that_cannot_be_read_keeps_nobody_else_from_their_mail() {
    let (db, id, folder) = installation().await;
    rebound_send::launch(&db, id, &sender(), ME, Utc::now()).await.unwrap();
    for broken in
        ["fields = '{broken' WHERE key = 'p3@orchard.example'", "address = '' WHERE key = 'p7@orchard.example'"]
    {
        damage(&db, &format!("UPDATE contacts SET {broken}")).await;
    }

    let relay = relay::start(&[]).await;
    let (stop, worker) = work(&db, &folder, &relay);
    until("the end of the campaign", async || in_state(&db, id, CampaignState::Sent).await).await;
    stop.cancel();
    worker.await.unwrap();

    assert_eq!(relay.messages().len(), 8, "everyone else has it");
    let bounced = outcomes::Filter { state: Some(StateName::Bounced), ..outcomes::Filter::default() };
    let bounced = outcomes::recipients(&db, id, &bounced, None, 10).await.unwrap();
    assert_eq!(bounced.len(), 2);
    assert!(bounced.iter().all(|one| one.attempts == 0 && one.bounce.is_some()), "{bounced:?}");
    let failed = outcomes::of_campaign(&db, id).await.unwrap();
    assert!(failed.iter().any(|group| group.words.contains("cannot be read")), "the report says why: {failed:?}");
    assert_eq!(
        suppressions::count(&db, &suppressions::Filter::default(), Utc::now()).await.unwrap(),
        0,
        "and nobody is blamed"
    );
}

/// As somebody does who edits the database by hand.
async fn damage(db: &impl rebound_db::Connection, change: &str) {
    db.execute_unprepared(change).await.unwrap();
}

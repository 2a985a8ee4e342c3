//! Several ways at once: by weight, within limits, one for another, and straight to receivers.

use crate::campaigns::{campaign, furnish, sender, work_by};
use crate::relay::{self, Relayed};
use chrono::{TimeDelta, Utc};
use rebound_db::lanes::{self, HeldLane};
use rebound_db::{Pool, bounces, campaigns, contacts, deliveries, incidents, subscriptions};
use rebound_domain::{
    BounceCause, CampaignId, CampaignState, DoubtPolicy, EmailAddress, Fields, IncidentSubject, Limits, Notice,
    Permanence, Receiver, ServerId, Slowed, StateName, WarmUp,
};
use rebound_sandbox::names::NameServer;
use rebound_send::mx::DirectSettings;
use rebound_send::{Egress, Relay, Via};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

const ME: &str = "ines@fernhill.example";

/// An installation with a launched campaign to these people and no others.
pub(crate) async fn launched(people: &[String]) -> (Pool, CampaignId, TempDir) {
    launched_to(people, DoubtPolicy::Resend).await
}

/// The same, and what becomes of doubts.
pub(crate) async fn launched_to(people: &[String], doubt: DoubtPolicy) -> (Pool, CampaignId, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let db = rebound_db::temporary(folder.path()).await.unwrap();
    let (id, before) = (furnish(&db).await, Utc::now() - TimeDelta::hours(1));
    let list = rebound_db::lists::ensure(&db, "Ways", before).await.unwrap().id;
    let people: Vec<(EmailAddress, Fields)> =
        people.iter().map(|address| (address.parse().unwrap(), Fields::new())).collect();
    contacts::add(&db, &people, before).await.unwrap();
    let keys: Vec<_> = people.iter().map(|(address, _)| address.key()).collect();
    subscriptions::confirm_all(&db, list, &keys, "a test", before).await.unwrap();
    let draft = rebound_domain::Draft { list, name: "Ways".into(), doubt, ..campaign(&db, id).await.draft };
    let id = campaigns::create(&db, &draft, before).await.unwrap();
    rebound_send::launch(&db, id, &sender(), ME, Utc::now()).await.unwrap();
    (db, id, folder)
}

pub(crate) fn people(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("w{number}@orchard.example")).collect()
}

pub(crate) fn url(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("worker.db").display())
}

pub(crate) fn way(number: i64, relay: &Relay, weight: u16, limits: Limits) -> Egress {
    let name = format!("Way {number}");
    Egress { id: ServerId(number), name, weight, limits, ..Egress::only(relay.clone(), 2, None) }
}

pub(crate) async fn until<T>(what: &str, found: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = found().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came to {what}")
}

pub(crate) async fn sent(db: &Pool, id: CampaignId) {
    until("the end of the campaign", async || (campaign(db, id).await.state == CampaignState::Sent).then_some(()))
        .await;
}

pub(crate) async fn accepted(db: &Pool, id: CampaignId) -> i64 {
    deliveries::counts(db, id).await.unwrap().get(&StateName::Accepted).copied().unwrap_or(0)
}

pub(crate) fn count(relay: &Relayed) -> usize {
    relay.messages().len()
}

#[tokio::test]
async fn each_way_has_its_share() {
    let (db, id, folder) = launched(&people(400)).await;
    let (large, small) = (relay::start(&[]).await, relay::start(&[]).await);
    let ways = vec![way(1, &large.relay, 3, Limits::default()), way(2, &small.relay, 1, Limits::default())];
    let (stop, worker) = work_by(&db, url(&folder), ways, sender());
    sent(&db, id).await;
    stop.cancel();
    worker.await.unwrap();
    let (large, small) = (count(&large), count(&small));
    assert_eq!(large + small, 400);
    assert!((280..=320).contains(&large), "{large} of 400 by the one with three quarters of the weight");
}

#[tokio::test]
async fn where_one_is_not_there_the_other_goes_on() {
    let (db, id, folder) = launched(&people(60)).await;
    let (there, mut gone) = (relay::start(&[]).await, relay::start(&[]).await.relay);
    gone.port = 9;
    let ways = vec![way(1, &gone, 50, Limits::default()), way(2, &there.relay, 1, Limits::default())];
    let (stop, worker) = work_by(&db, url(&folder), ways, sender());
    sent(&db, id).await;
    stop.cancel();
    worker.await.unwrap();
    assert_eq!((count(&there), accepted(&db, id).await), (60, 60));
}

#[tokio::test]
async fn no_way_is_given_more_than_its_limit_and_the_campaign_says_why_it_waits() {
    let (db, id, folder) = launched(&people(120)).await;
    let (new, old) = (relay::start(&[]).await, relay::start(&[]).await);
    let warm_up = Some(WarmUp { from: Utc::now(), first: 15, growth: 30, until: 1_000 });
    let ways = vec![
        Egress { warm_up, ..way(1, &new.relay, 1, Limits::default()) },
        way(2, &old.relay, 1, Limits { per_hour: Some(70), ..Limits::default() }),
    ];
    let (stop, worker) = work_by(&db, url(&folder), ways.clone(), sender());
    let reason = until("a campaign that waits", async || {
        let campaign = campaign(&db, id).await;
        (campaign.state == CampaignState::Waiting).then_some(campaign.reason).flatten()
    })
    .await;
    assert!(reason.starts_with("Way 2 was given as much as its limits allow"), "{reason}");
    until("all that may go", async || (accepted(&db, id).await == 85).then_some(())).await;
    stop.cancel();
    worker.await.unwrap();
    assert_eq!((count(&new), count(&old)), (15, 70));

    // A new start does not forget what was given.
    let (stop, worker) = work_by(&db, url(&folder), ways.clone(), sender());
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.cancel();
    worker.await.unwrap();
    assert_eq!((count(&new), count(&old)), (15, 70));

    // Without limits it goes on by itself.
    let free = vec![way(2, &old.relay, 1, Limits::default())];
    let (stop, worker) = work_by(&db, url(&folder), free, sender());
    sent(&db, id).await;
    stop.cancel();
    worker.await.unwrap();
    assert_eq!((count(&new), count(&old)), (15, 105));
}

/// Straight to hosts at `port`, found by `names`.
pub(crate) async fn straight(names: &NameServer, port: u16) -> Egress {
    let settings = DirectSettings {
        hello: "out.fernhill.example".into(),
        source: vec![Ipv4Addr::LOCALHOST.into()],
        nameserver: Some(names.start().await.unwrap()),
        port,
        ..DirectSettings::default()
    };
    Egress {
        id: ServerId(4),
        name: "Straight".into(),
        via: Via::Direct(settings),
        connections: 8,
        weight: 1,
        limits: Limits::default(),
        warm_up: None,
    }
}

/// Straight to a host that goes when it hears who the mail is from, and how often it was called.
async fn hangs_up() -> (Egress, Arc<AtomicUsize>) {
    let socket = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let (port, called) = (socket.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let calls = Arc::clone(&called);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            calls.fetch_add(1, Ordering::SeqCst);
            stream.write_all(b"220 mx\r\n").await.unwrap();
            let (reading, mut writing) = stream.split();
            let mut said = BufReader::new(reading).lines();
            while said.next_line().await.is_ok_and(|line| line.is_some_and(|line| line.starts_with("EHLO"))) {
                writing.write_all(b"250 mx\r\n").await.unwrap();
            }
        }
    });
    let names = NameServer::default();
    names.mx("orchard.example", 10, "mx.orchard.example");
    names.address("mx.orchard.example", Ipv4Addr::new(127, 0, 0, 2));
    (straight(&names, port).await, called)
}

#[tokio::test]
async fn a_host_that_hangs_up_is_not_called_again_and_again() {
    let (db, id, folder) = launched(&people(1)).await;
    let (way, called) = hangs_up().await;
    let (stop, worker) = work_by(&db, url(&folder), vec![way], sender());
    let key = people(1)[0].parse::<EmailAddress>().unwrap().key();
    let bounce = until("an outcome", async || bounces::of_key(&db, &key, 9).await.unwrap().pop()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.cancel();
    worker.await.unwrap();
    assert_eq!((bounce.verdict.cause, bounce.verdict.permanence), (BounceCause::HostUnreachable, Permanence::Soft));
    assert_eq!(deliveries::counts(&db, id).await.unwrap().get(&StateName::Deferred), Some(&1));
    assert_eq!(called.load(Ordering::SeqCst), 1, "it waits for its next try");
}

#[tokio::test]
async fn a_probe_that_a_host_hangs_up_on_makes_the_rest_longer() {
    let (db, id, folder) = launched(&people(3)).await;
    let (way, called) = hangs_up().await;
    let (receiver, over) = (Receiver::of_domain("orchard.example"), Utc::now() - TimeDelta::seconds(1));
    let notice = Notice {
        slowed: Slowed::Rests { rests: 1 },
        until: over,
        why: "it said so".into(),
        cause: BounceCause::RateLimited,
        words: "451 later".into(),
    };
    let lane = HeldLane { server: way.id, receiver, notice };
    lanes::hold(&db, &lane, over).await.unwrap();
    let (stop, worker) = work_by(&db, url(&folder), vec![way], sender());
    let deferred = async || deliveries::counts(&db, id).await.unwrap().remove(&StateName::Deferred);
    assert_eq!(until("an outcome", deferred).await, 1);
    stop.cancel();
    worker.await.unwrap();
    let rests = lanes::resting(&db).await.unwrap().remove(0);
    assert_eq!(rests.notice.slowed, Slowed::Rests { rests: 2 }, "{rests:?}");
    assert!(rests.notice.until > Utc::now() + TimeDelta::minutes(1), "{rests:?}");
    assert_eq!(called.load(Ordering::SeqCst), 1, "nobody else is sent after the probe");
}

#[tokio::test]
async fn a_domain_whose_name_servers_are_slow_keeps_nobody_else_waiting() {
    let others = (0..8).map(|number| format!("w{number}@meadow.example"));
    let (db, id, folder) = launched(&people(56).into_iter().chain(others).collect::<Vec<_>>()).await;
    let meadow = relay::start_at("127.0.0.4:0", "250-host\r\n250 SIZE\r\n", &[]).await;
    let names = NameServer::default();
    names.mx("meadow.example", 10, "mx.meadow.example").address("mx.meadow.example", Ipv4Addr::new(127, 0, 0, 4));
    names.be_silent("orchard.example");
    let (stop, worker) = work_by(&db, url(&folder), vec![straight(&names, meadow.relay.port).await], sender());
    until("the letters to the others", async || (accepted(&db, id).await == 8).then_some(())).await;
    let counts = deliveries::counts(&db, id).await.unwrap();
    assert_eq!(counts.get(&StateName::Deferred), None, "the name servers are still waited for: {counts:?}");
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(meadow.messages().len(), 8);
}

#[tokio::test]
async fn mail_goes_straight_to_the_hosts_of_each_domain() {
    let everybody: Vec<String> = ["orchard", "hosted", "meadow", "nowhere", "declines"]
        .iter()
        .flat_map(|domain| (0..8).map(move |number| format!("w{number}@{domain}.example")))
        .chain(["gone@meadow.example".to_owned()])
        .collect();
    let (db, id, folder) = launched(&everybody).await;
    let offers = "250-host\r\n250-PIPELINING\r\n250 SIZE\r\n";
    let orchard = relay::start_at("127.0.0.2:0", offers, &[]).await;
    let port = orchard.relay.port;
    let plain = "250-host\r\n250 SIZE\r\n";
    let meadow = relay::start_at(&format!("127.0.0.3:{port}"), plain, &["550 5.1.1 no such user here"]).await;
    let names = NameServer::default();
    names.mx("orchard.example", 10, "mx.orchard.example").mx("hosted.example", 10, "mx.orchard.example");
    names.address("mx.orchard.example", Ipv4Addr::new(127, 0, 0, 2));
    names.mx("meadow.example", 10, "dead.meadow.example").mx("meadow.example", 20, "mx.meadow.example");
    names.address("dead.meadow.example", Ipv4Addr::new(127, 0, 0, 9));
    names.address("mx.meadow.example", Ipv4Addr::new(127, 0, 0, 3));
    names.mx("declines.example", 0, ".");
    let straight = straight(&names, port).await;
    let (stop, worker) = work_by(&db, url(&folder), vec![straight], sender());
    sent(&db, id).await;
    stop.cancel();
    worker.await.unwrap();

    let (orchard, meadow) = (orchard.messages(), meadow.messages());
    assert_eq!((orchard.len(), meadow.len(), accepted(&db, id).await), (16, 8, 24));
    let to = |messages: &[String], domain: &str| messages.iter().filter(|text| text.contains(domain)).count();
    assert_eq!((to(&orchard, "@orchard.example"), to(&orchard, "@hosted.example")), (8, 8));
    let verdict = async |address: &str| {
        let key = address.parse::<EmailAddress>().unwrap().key();
        let verdict = bounces::of_key(&db, &key, 9).await.unwrap().remove(0).verdict;
        (verdict.cause, verdict.permanence)
    };
    assert_eq!(verdict("w1@nowhere.example").await, (BounceCause::DomainUnknown, Permanence::Hard));
    assert_eq!(verdict("w1@declines.example").await, (BounceCause::DomainUnknown, Permanence::Hard));
    assert_eq!(verdict("gone@meadow.example").await, (BounceCause::MailboxUnknown, Permanence::Hard));
}

#[tokio::test]
async fn a_line_that_has_carried_its_share_leaves_no_letter_behind() {
    // The host knows no letters beyond ASCII in addresses: such a letter is set aside while another is on the line.
    let everybody: Vec<String> = (0..50)
        .map(|number| {
            if number % 11 == 1 {
                format!("jürgen{number}@orchard.example")
            } else {
                format!("w{number}@orchard.example")
            }
        })
        .collect();
    let (db, id, folder) = launched(&everybody).await;
    let offers = "250-host\r\n250-PIPELINING\r\n250 SIZE\r\n";
    let orchard = relay::start_at("127.0.0.6:0", offers, &[]).await;
    let names = NameServer::default();
    names.mx("orchard.example", 10, "mx.orchard.example");
    names.address("mx.orchard.example", Ipv4Addr::new(127, 0, 0, 6));
    let settings = DirectSettings {
        hello: "out.fernhill.example".into(),
        source: vec![Ipv4Addr::LOCALHOST.into()],
        nameserver: Some(names.start().await.unwrap()),
        port: orchard.relay.port,
        ..DirectSettings::default()
    };
    let only = Egress::only(orchard.relay.clone(), 32, None);
    let (stop, worker) = work_by(&db, url(&folder), vec![Egress { via: Via::Direct(settings), ..only }], sender());
    sent(&db, id).await;
    stop.cancel();
    worker.await.unwrap();
    assert_eq!((count(&orchard), accepted(&db, id).await), (45, 45));
}

#[tokio::test]
async fn an_incident_has_the_name_of_the_lane_that_the_mail_went_by() {
    let people = ["gone@hosted.example", "w1@hosted.example"].map(str::to_owned);
    let (db, id, folder) = launched(&people).await;
    let blocked = "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org";
    let orchard = relay::start_at("127.0.0.11:0", "250-host\r\n250 SIZE\r\n", &[blocked]).await;
    let names = NameServer::default();
    names.mx("hosted.example", 10, "mx.orchard.example").address("mx.orchard.example", Ipv4Addr::new(127, 0, 0, 11));
    let (stop, worker) = work_by(&db, url(&folder), vec![straight(&names, orchard.relay.port).await], sender());
    sent(&db, id).await;
    stop.cancel();
    worker.await.unwrap();
    let incident = incidents::open(&db).await.unwrap().pop().unwrap();
    assert_eq!(incident.cause, BounceCause::ReputationBlock);
    assert_eq!(incident.subject, IncidentSubject::Route { receiver: "orchard.example".into() });
}

//! Measures the queue: what a campaign's steps cost in the database, by how much is planned, by how far it is, and by how
//! many campaigns went before it. Each step is taken as the worker takes it, every commit durable.
//!
//! `cargo run --release -p rebound-db --example queue -- URL [PEOPLE] [CAMPAIGNS]`, with an empty database. `make
//! bench-queue` runs it for both engines.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "it stops where it cannot go on, and says so"
)]

use chrono::{DateTime, Utc};
use rebound_db::leases::plain::{Mark, Settler, Taken};
use rebound_db::leases::{Lease, Try};
use rebound_db::{Pool, campaigns, deliveries, leases, lists};
use rebound_domain::{AddressKey, CampaignId, CampaignState, DoubtPolicy, Draft, Fields, ListId, WorkerId};
use sea_orm::{ConnectionTrait, DatabaseBackend};
use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

/// As a worker of 64 connections: what it takes at once, and what one commit carries.
const BATCH: u32 = 256;
const COMMIT: usize = 64;

/// Recipients of each of the many campaigns.
const SMALL: i64 = 2_000;

const WORKER: WorkerId = WorkerId(1);

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let db = rebound_db::connect(&arguments.next().unwrap()).await.unwrap();
    let mut number = |otherwise| arguments.next().map_or(otherwise, |count| count.parse().unwrap());
    let (people, many) = (number(1_000_000), number(500));
    rebound_db::migrate(&db).await.unwrap();
    let everybody = list(&db, "Everybody", people, 1).await;
    let some = list(&db, "Some", people, people / 10_000).await;
    let few = list(&db, "Few", people, people / SMALL).await;

    println!("{:<34}{:>10} {}", "p50 / p99 ms", "messages/s", columns());
    let first = campaign(&db, some, 10_000, &Times::default()).await;
    first.line("10,000 planned");
    for part in [1..=20, 21..=many - 20, many - 19..=many] {
        let mut times = Times::default();
        for _ in part.clone() {
            times = campaign(&db, few, SMALL, &times).await;
        }
        times.line(&format!("2,000 each, campaigns {} to {}", part.start(), part.end()));
    }
    campaign(&db, some, 10_000, &Times::default()).await.line(&format!("10,000 planned, after {many} others"));
    large(&db, everybody, people).await;
    campaign(&db, some, 10_000, &Times::default()).await.line(&format!("10,000 planned, after {people} more"));
}

/// A list of every `step`th of `people`.
async fn list(db: &Pool, name: &str, people: i64, step: i64) -> ListId {
    let is_sqlite = db.get_database_backend() == DatabaseBackend::Sqlite;
    let series = if is_sqlite {
        format!("(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {people}) SELECT i FROM n)")
    } else {
        format!("generate_series(1::bigint, {people}) AS n (i)")
    };
    let run = async |sql: &str| db.execute_unprepared(sql).await.unwrap();
    let address = "'person' || i || '@firm' || (i % 1000) || '.example'";
    run(&format!(
        "INSERT INTO contacts (id, key, address, domain, fields, created)
         SELECT i, {address}, {address}, 'firm' || (i % 1000) || '.example', '{{\"first_name\":\"Ada\"}}', 0 FROM {series}
         WHERE true ON CONFLICT DO NOTHING"
    ))
    .await;
    let list = lists::ensure(db, name, Utc::now()).await.unwrap().id;
    run(&format!(
        "INSERT INTO subscriptions (list_id, contact_id, state, source, since)
         SELECT {}, id, 1, 'bench', 0 FROM contacts WHERE id % {step} = 0 ORDER BY id",
        list.0
    ))
    .await;
    run(if is_sqlite { "PRAGMA wal_checkpoint(TRUNCATE)" } else { "VACUUM (ANALYZE)" }).await;
    list
}

async fn launched(db: &Pool, list: ListId, now: DateTime<Utc>) -> CampaignId {
    let draft = Draft {
        name: format!("Letter of {now:?}"),
        list,
        from_name: "Fernhill Garden".into(),
        from: "hello@fernhill.example".parse().unwrap(),
        reply_to: None,
        subject: "{{ first_name }}, what to plant now".into(),
        html: "<h1>Dear {{ first_name }},</h1><p>plant the bulbs before the frost.</p>".repeat(140),
        text: String::new(),
        postal_address: "Fernhill Garden, 1 Lane, Ulmen".into(),
        defaults: Fields::from([("first_name".into(), "friend".into())]),
        doubt: DoubtPolicy::Resend,
        counts_clicks: true,
    };
    let id = campaigns::create(db, &draft, now).await.unwrap();
    assert!(campaigns::set_state(db, id, CampaignState::Draft, CampaignState::Planning, None, now).await.unwrap());
    id
}

/// Plans a campaign and sends it; the rate is that of sending.
async fn campaign(db: &Pool, list: ListId, size: i64, before: &Times) -> Times {
    let mut times = before.clone();
    let id = launched(db, list, Utc::now()).await;
    plan(db, id, size, &mut times).await;
    let start = Instant::now();
    send(db, id, i64::MAX, &mut times).await;
    times.took += start.elapsed();
    finish(db, id).await;
    times
}

/// The same with a line for each tenth of the way.
async fn large(db: &Pool, list: ListId, size: i64) {
    let id = launched(db, list, Utc::now()).await;
    let (start, mut planning) = (Instant::now(), Times::default());
    plan(db, id, size, &mut planning).await;
    planning.took = start.elapsed();
    planning.messages = size;
    planning.line(&format!("{size} being planned, {:.1} s", planning.took.as_secs_f64()));
    for tenth in 1..=10 {
        let (start, mut times) = (Instant::now(), Times::default());
        send(db, id, if tenth == 10 { i64::MAX } else { size / 10 }, &mut times).await;
        times.took = start.elapsed();
        times.line(&format!("{size} planned, {} % to {} %", tenth * 10 - 10, tenth * 10));
    }
    finish(db, id).await;
}

async fn plan(db: &Pool, id: CampaignId, size: i64, times: &mut Times) {
    let campaign = campaigns::get(db, id).await.unwrap().unwrap();
    let mut planned = 0;
    loop {
        let chunk = times.of("plan", async {
            let tx = db.begin().await.unwrap();
            let chunk = campaigns::plan(&tx, &campaign, Utc::now()).await.unwrap();
            tx.commit().await.unwrap();
            chunk
        });
        match chunk.await {
            0 => break,
            chunk => planned += chunk,
        }
    }
    assert_eq!(planned, size);
    campaigns::set_state(db, id, CampaignState::Planning, CampaignState::Sending, None, Utc::now()).await.unwrap();
}

/// Sends `messages`, or all there are.
async fn send(db: &Pool, id: CampaignId, messages: i64, times: &mut Times) {
    let (mut sent, mut answered) = (0, Vec::new());
    let settler = Settler::new(db.clone());
    while sent < messages {
        let active = [CampaignState::Planning, CampaignState::Sending];
        assert_eq!(times.of("look", campaigns::in_states(db, &active)).await.unwrap().len(), 1);
        times.of("reopen", campaigns::reopen(db)).await.unwrap();
        let leases = claim(db, id, times).await;
        let is_open = times.of("open", deliveries::any_open(db, id)).await.unwrap();
        assert_eq!(is_open, !leases.is_empty() || !answered.is_empty());
        if !is_open {
            break;
        }
        sent += i64::try_from(leases.len()).unwrap();
        for some in leases.chunks(COMMIT) {
            let tries = some.iter().map(|lease| Try { id: lease.id, number: lease.attempts + 1 }).collect();
            answered = times.of("commit", commit(&settler, answered, tries)).await;
        }
        if leases.is_empty() {
            answered = commit(&settler, answered, Vec::new()).await;
        }
    }
    commit(&settler, answered, Vec::new()).await;
    times.messages += sent;
}

async fn claim(db: &Pool, id: CampaignId, times: &mut Times) -> Vec<Lease> {
    let tx = db.begin().await.unwrap();
    let leases = times.of("claim", leases::claim(&tx, WORKER, id, BATCH, Utc::now())).await.unwrap();
    tx.commit().await.unwrap();
    leases
}

/// The answers to the last messages and the marks of the next, which are answered.
async fn commit(settler: &Settler, answered: Vec<Try>, next: Vec<Try>) -> Vec<Try> {
    let key = |of: &Try| AddressKey::stored(format!("person{}@queue.example", of.id.0));
    let taken = |of: Try| Taken { key: key(&of), of, reply: "250 2.0.0 Ok: queued as 4bXyZ12345".into() };
    let taken: Vec<_> = answered.into_iter().map(taken).collect();
    let marks: Vec<_> = next.iter().map(|of| Mark { of: of.clone(), key: key(of) }).collect();
    assert!(settler.settle_and_mark(WORKER, &taken, &marks, Utc::now()).await.unwrap().is_some());
    next
}

async fn finish(db: &Pool, id: CampaignId) {
    campaigns::set_state(db, id, CampaignState::Sending, CampaignState::Sent, None, Utc::now()).await.unwrap();
}

/// How long each step took, each time.
#[derive(Clone, Default)]
struct Times {
    steps: BTreeMap<&'static str, Vec<Duration>>,
    messages: i64,
    took: Duration,
}

const STEPS: [&str; 6] = ["plan", "claim", "commit", "open", "look", "reopen"];

fn columns() -> String {
    STEPS.map(|step| format!("{step:>15}")).concat()
}

impl Times {
    async fn of<T>(&mut self, step: &'static str, work: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let done = work.await;
        self.steps.entry(step).or_default().push(start.elapsed());
        done
    }

    fn line(&self, what: &str) {
        let steps = STEPS.map(|step| {
            let Some(mut times) = self.steps.get(step).cloned() else { return format!("{:>15}", "") };
            times.sort_unstable();
            let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1000.0;
            format!("{:>15}", format!("{:.1} / {:.1}", at(50), at(99)))
        });
        #[allow(clippy::cast_precision_loss)]
        let rate = self.messages as f64 / self.took.as_secs_f64();
        println!("{what:<34}{rate:>10.0} {}", steps.concat());
    }
}

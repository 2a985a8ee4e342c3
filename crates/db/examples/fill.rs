//! Fills a database as large installations do, to measure the pages on it: a million contacts, five million facts.
//!
//! `cargo run --release -p rebound-db --example fill -- sqlite:big.db [CONTACTS]`. `make bench-pages` runs it for both engines.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "it stops where it cannot go on, and says so"
)]

use rebound_db::{Pool, campaigns, lists};
use rebound_domain::{CampaignId, DoubtPolicy, Draft, Fields, ListId, Standing};
use sea_orm::{ConnectionTrait, DatabaseBackend};
use std::time::Instant;

/// A cause, whether it is for good, and what is said.
type Failure<'a> = (&'a str, bool, &'a str, &'a str);

/// Campaigns; the last is being sent, and the one before it went to four in ten of all contacts.
const CAMPAIGNS: i64 = 50;
const DAY: i64 = 86_400_000;

const FIRST: [&str; 20] = [
    "Ada", "Bela", "Cora", "Dario", "Edda", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Kaja", "Levi", "Mira", "Nils",
    "Olga", "Pavel", "Rosa", "Sami", "Tilda", "Uwe",
];
const LAST: [&str; 19] = [
    "Abel", "Brandt", "Costa", "Duarte", "Eriksen", "Farkas", "Gruber", "Holt", "Ivanov", "Jansen", "Kovacs", "Lorenz",
    "Moreau", "Novak", "Okafor", "Petit", "Rossi", "Silva", "Weber",
];

/// A cause, whether it is about the address for good, a status and what the host says.
const CAUSES: [(&str, bool, &str, &str); 8] = [
    ("mailbox_unknown", true, "5.1.1", "550 5.1.1 Recipient address rejected: User unknown"),
    ("mailbox_full", false, "4.2.2", "452 4.2.2 Mailbox full, quota exceeded"),
    ("greylisted", false, "4.7.1", "450 4.7.1 Greylisted, try again in 300 seconds"),
    ("host_unreachable", false, "4.4.1", "Connection timed out"),
    ("spam_suspected", false, "5.7.1", "550 5.7.1 Message rejected: likely unsolicited mail"),
    ("mailbox_inactive", true, "5.2.1", "550 5.2.1 The account is disabled"),
    ("rate_limited", false, "4.7.28", "421 4.7.28 Too many messages from your network"),
    ("message_too_large", false, "5.3.4", "552 5.3.4 Message size exceeds fixed limit"),
];

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let db = rebound_db::connect(&arguments.next().unwrap()).await.unwrap();
    let people: i64 = arguments.next().map_or(1_000_000, |count| count.parse().unwrap());
    rebound_db::migrate(&db).await.unwrap();
    let fill = Fill { start: Instant::now(), now: chrono::Utc::now().timestamp_millis(), people, db };
    fill.all().await;
}

struct Fill {
    db: Pool,
    start: Instant,
    now: i64,
    people: i64,
}

impl Fill {
    async fn all(&self) {
        if self.is_sqlite() {
            // Nothing here would be missed after a crash.
            self.run("settings", "PRAGMA synchronous = OFF; PRAGMA cache_size = -800000").await;
        }
        self.lists_and_campaigns().await;
        self.contacts().await;
        self.suppressions().await;
        for campaign in 1..=CAMPAIGNS {
            self.deliveries(campaign).await;
        }
        self.attempts().await;
        self.bounces().await;
        self.counts().await;
        // What the servers do by themselves in time.
        let tidy = if self.is_sqlite() { "PRAGMA wal_checkpoint(TRUNCATE)" } else { "VACUUM (ANALYZE)" };
        self.run("tidied", tidy).await;
    }

    fn is_sqlite(&self) -> bool {
        self.db.get_database_backend() == DatabaseBackend::Sqlite
    }

    async fn run(&self, what: &str, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap();
        println!("{:>4} s  {what}", self.start.elapsed().as_secs());
    }

    /// A table `n (i)` of the whole numbers below `end`.
    fn series(&self, end: i64) -> String {
        if self.is_sqlite() {
            format!(
                "(WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {end} - 1) SELECT i FROM n) n"
            )
        } else {
            format!("generate_series(0::bigint, {end} - 1) AS n (i)")
        }
    }

    async fn lists_and_campaigns(&self) {
        let time = |millis| chrono::DateTime::from_timestamp_millis(millis).unwrap();
        for name in ["Newsletter", "Offers", "Workshop guests", "Press"] {
            lists::ensure(&self.db, name, time(self.now - 200 * DAY)).await.unwrap();
        }
        for number in 1..=CAMPAIGNS {
            let draft = Draft {
                name: format!("Letter no. {number}"),
                list: ListId(1),
                from_name: "Fernhill Garden".into(),
                from: "hello@fernhill.example".parse().unwrap(),
                reply_to: None,
                subject: "{{ first_name }}, what to plant now".into(),
                html: "<h1>Dear {{ first_name }},</h1><p>plant the bulbs before the frost.</p>".repeat(20),
                text: String::new(),
                postal_address: "Fernhill Garden, 1 Lane, Ulmen".into(),
                defaults: Fields::from([("first_name".into(), "friend".into())]),
                doubt: DoubtPolicy::Resend,
                counts_clicks: true,
            };
            let id = campaigns::create(&self.db, &draft, time(self.launched(number))).await.unwrap();
            assert_eq!(id, CampaignId(number), "the database was empty");
        }
    }

    fn launched(&self, campaign: i64) -> i64 {
        self.now - (CAMPAIGNS - campaign) * 36 * DAY / 10 - DAY / 12
    }

    /// Recipients of a campaign.
    fn size(&self, campaign: i64) -> i64 {
        self.people * if campaign == CAMPAIGNS - 1 { 40 } else { 4 } / 100
    }

    async fn contacts(&self) {
        let pick = |words: &[&str], number: &str| {
            let cases: String = words.iter().enumerate().map(|(n, word)| format!(" WHEN {n} THEN '{word}'")).collect();
            format!("CASE ({number}) % {}{cases} END", words.len())
        };
        let (first, last) = (pick(&FIRST, "i * 7919 / 13"), pick(&LAST, "i * 104729 / 17"));
        // A third at one provider, and a long tail.
        let domain =
            "CASE WHEN i * 7919 % 1000 < 340 THEN 'post.example' WHEN i * 7919 % 1000 < 520 THEN 'kite.example'
            WHEN i * 7919 % 1000 < 610 THEN 'yonder.example' WHEN i * 7919 % 1000 < 640 THEN 'harbour.example'
            ELSE 'firm' || (i % 20011) || '.example' END";
        let sql = format!(
            "INSERT INTO contacts (key, address, domain, fields, created, name, surname)
             SELECT lower(first) || '.' || lower(last) || i || '@' || domain, lower(first) || '.' || lower(last) || i || '@' || domain,
                    domain, '{{\"first_name\":\"' || first || '\",\"last_name\":\"' || last || '\",\"town\":\"Ulmen\"}}',
                    {} + i * {}, lower(first) || ' ' || lower(last), lower(last)
             FROM (SELECT i, {first} AS first, {last} AS last, {domain} AS domain FROM {}) made",
            self.now - 200 * DAY,
            190 * DAY / self.people,
            self.series(self.people)
        );
        self.run("contacts", &sql).await;
        let since = self.now - 190 * DAY;
        let joined = format!(
            "INSERT INTO subscriptions (list_id, contact_id, state, source, since)
             SELECT 1, id, CASE id % 50 WHEN 7 THEN 2 WHEN 8 THEN 0 ELSE 1 END, 'sign-up form', {since} FROM contacts WHERE id % 10 <> 3
             UNION ALL SELECT 2, id, 1, 'shop', {since} FROM contacts WHERE id % 3 = 0
             UNION ALL SELECT 3, id, 1, 'workshop', {since} FROM contacts WHERE id % 50 = 1
             UNION ALL SELECT 4, id, 1, 'by hand', {since} FROM contacts WHERE id % 2000 = 11"
        );
        self.run("subscriptions", &joined).await;
    }

    async fn suppressions(&self) {
        // Reasons: 0 soft, 1 hard, 2 manual, 3 unsubscribe, 4 complaint.
        let since = format!("{} - id * 7919 % 15000000 * 1000", self.now);
        let soft = format!("{} - id * 7919 % 2000000 * 1000", self.now);
        let sql = format!(
            "INSERT INTO suppressions (key, scope, reason, since, until, evidence)
             SELECT key, 0, 1, {since}, NULL, '550 5.1.1 User unknown' FROM contacts WHERE id % 25 = 4
             UNION ALL SELECT key, 0, 0, {soft}, {soft} + 2592000000, '452 4.2.2 Mailbox full' FROM contacts WHERE id % 50 = 9
             UNION ALL SELECT key, 1, 3, {since}, NULL, 'one-click' FROM contacts WHERE id % 50 = 7
             UNION ALL SELECT key, 0, 4, {since}, NULL, 'feedback report' FROM contacts WHERE id % 1000 = 12
             UNION ALL SELECT key, 0, 2, {since}, NULL, 'ines@fernhill.example: asked by telephone' FROM contacts WHERE id % 500 = 13"
        );
        self.run("suppressions", &sql).await;
        let standing = serde_json::json!(Standing::default()).to_string();
        let sql = format!(
            "INSERT INTO standings (key, standing, updated) SELECT key, '{standing}', since FROM suppressions WHERE reason <= 1"
        );
        self.run("standings", &sql).await;
        let sql = "INSERT INTO events (at, kind, actor, subject, key, detail)
            SELECT since, CASE reason WHEN 0 THEN 'rests' WHEN 3 THEN 'unsubscribed' WHEN 4 THEN 'complained' ELSE 'suppressed' END,
                   'rebound', 'contact', key, '{}' FROM suppressions";
        self.run("events", sql).await;
    }

    async fn deliveries(&self, campaign: i64) {
        let (size, people, launched) = (self.size(campaign), self.people, self.launched(campaign));
        // Of a thousand: 30 refused for good, 20 given up, 80 recovered, 8 suppressed meanwhile, the rest at once.
        let x = format!("(i * 7919 + {campaign} * 613) % 1000");
        let over = format!("CASE WHEN {x} < 50 THEN 6 WHEN {x} >= 130 AND {x} < 138 THEN 7 ELSE 5 END");
        let state = if campaign == CAMPAIGNS {
            format!("CASE WHEN i >= {size} / 2 THEN 0 WHEN {x} >= 50 AND {x} < 90 THEN 1 ELSE {over} END")
        } else {
            over
        };
        let tries = format!("CASE WHEN {x} >= 30 AND {x} < 130 THEN 2 WHEN {x} >= 130 AND {x} < 138 THEN 0 ELSE 1 END");
        let (untried, now) = (if campaign == CAMPAIGNS { size / 2 } else { size }, self.now);
        let sql = format!(
            "INSERT INTO deliveries (id, contact_id, state, due, since, attempts)
             SELECT ({campaign} * 2147483648) + i, (i * 7919 + {campaign} * 104729) % {people} + 1, {state},
                    CASE WHEN i >= {untried} THEN {now} + 3600000 ELSE {launched} + i * 20 END,
                    CASE WHEN i < {untried} THEN {launched} + i * 20 END, CASE WHEN i < {untried} THEN {tries} ELSE 0 END
             FROM {}",
            self.series(size)
        );
        self.run(&format!("deliveries of campaign {campaign}"), &sql).await;
        let (code, end) =
            if campaign == CAMPAIGNS { (3, "NULL".to_owned()) } else { (7, (launched + 2 * DAY).to_string()) };
        let sql = format!(
            "UPDATE campaigns SET state = {code}, launched = {launched}, finished = {end}, planned = {size}, audience_cursor = {people} WHERE id = {campaign}"
        );
        self.run("", &sql).await;
    }

    async fn attempts(&self) {
        // A try that failed before another, and the last one.
        let sql = "INSERT INTO attempts (delivery_id, number, worker, handed, outcome, settled, reply)
            SELECT id, 1, 1, since, 1, since + 400, '450 4.2.0 try again later' FROM deliveries WHERE attempts = 2
            UNION ALL SELECT id, attempts, 1, since + (attempts - 1) * 3600000, CASE state WHEN 5 THEN 0 ELSE 1 END,
                   since + (attempts - 1) * 3600000 + 400, CASE state WHEN 5 THEN '250 2.0.0 queued' ELSE '550 5.1.1 User unknown' END
            FROM deliveries WHERE attempts > 0";
        self.run("attempts", sql).await;
    }

    async fn bounces(&self) {
        let pick = |number: &str, of: &dyn Fn(&Failure<'_>) -> String| {
            let cases: String =
                CAUSES.iter().enumerate().map(|(n, cause)| format!(" WHEN {n} THEN {}", of(cause))).collect();
            format!("CASE ({number}) % {}{cases} END", CAUSES.len())
        };
        let n = "d.id * 31 + a.number";
        let text = |text: &str| format!("'{text}'");
        let (cause, hard) = (pick(n, &|one| text(one.0)), pick(n, &|one| one.1.to_string()));
        let (status, words) = (pick(n, &|one| text(one.2)), pick(n, &|one| text(one.3)));
        let sql = format!(
            "INSERT INTO bounces (at, delivery_id, attempt, campaign_id, contact_id, key, domain, grade, is_final, cause, hard,
                 confidence, status, reply_code, diagnostic, words, evidence, policy_version, excused)
             SELECT a.settled, d.id, a.number, d.id >> 31, d.contact_id, c.key, c.domain, 2, a.number = d.attempts AND d.state = 6,
                 {cause}, {hard}, 96, {status}, 550, {words}, {words}, '[]', 1, FALSE
             FROM deliveries d JOIN attempts a ON a.delivery_id = d.id AND a.outcome = 1 JOIN contacts c ON c.id = d.contact_id
             ORDER BY a.settled"
        );
        self.run("bounces", &sql).await;
    }

    async fn counts(&self) {
        // Kinds: 0 accepted, 1 hard, 2 soft, 3 deferred.
        let sql = format!(
            "INSERT INTO daily (day, campaign_id, kind, cause, count)
             SELECT settled / {DAY}, delivery_id >> 31, 0, '', count(*) FROM attempts WHERE outcome = 0 GROUP BY 1, 2
             UNION ALL SELECT at / {DAY}, campaign_id, CASE WHEN NOT is_final THEN 3 WHEN hard THEN 1 ELSE 2 END, cause, count(*)
             FROM bounces GROUP BY 1, 2, 3, 4"
        );
        self.run("counts by day", &sql).await;
    }
}

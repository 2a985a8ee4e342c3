//! The installation's own rules: which are in force, and the history judged again by them; on both engines.

use crate::mailing::{Mailing, delivery, key};
use crate::place::Place;
use crate::postgres::empty;
use chrono::{DateTime, TimeDelta};
use rebound_contacts::feedback::{Extent, correct, rebuild_standing};
use rebound_contacts::rules::{RuleBook, foresee, make_rule, propose, rejudge_later, save_rules};
use rebound_contacts::{Error, Jobs, NewRule};
use rebound_db::bounces::{self, NotedBounce};
use rebound_db::jobs::{self, JobState};
use rebound_db::rule_files::{self, Saved};
use rebound_db::{Pool, events};
use rebound_domain::{Bounce, BounceCause as C, Case, Clock, DeliveryId, JobId, Permanence, Verdict};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const EVE: &str = "eve@house.example";

fn rule(id: &str, cause: &str, words: &str) -> String {
    format!(
        "[[rule]]\nid = '{id}'\ncause = '{cause}'\nwhy = 'ours'\nwords = ['{words}']\nexample = '550 {words}'\nnot = '550 no'\n"
    )
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn every_process_follows_what_is_saved_and_lays_aside_what_does_not_hold() {
    let folder = tempfile::tempdir().unwrap();
    for url in [format!("sqlite:{}", folder.path().join("rebound.db").display()), empty()] {
        let (db, now) = (rebound_db::connect(&url).await.unwrap(), DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        rebound_db::migrate(&db).await.unwrap();
        // Another process: a pool and a book of its own.
        let other = rebound_db::connect(&url).await.unwrap();
        let (here, there) = (RuleBook::default(), RuleBook::default());
        let cause = async |book: &RuleBook, db: &Pool| {
            let rules = book.in_force(db).await.unwrap();
            (rules.version, rules.rules().reply(b"550 computer says no").unwrap().cause, rules.faults.len())
        };
        let built_in = cause(&here, &db).await.1;
        assert_eq!(cause(&there, &other).await, (0, built_in, 0));

        let text = rule("local.no", "virus", "computer says no");
        assert_eq!(save_rules(&db, &text, 0, (EVE, "ours"), now).await.unwrap(), 1, "{url}");
        assert_eq!(cause(&here, &db).await, (1, C::Virus, 0));
        assert_eq!(cause(&there, &other).await, (1, C::Virus, 0), "{url}");

        let late = save_rules(&other, &text, 0, (EVE, ""), now).await;
        assert!(matches!(late, Err(Error::RulesChanged { version: 1 })), "{late:?}");
        let faulty = save_rules(&db, &rule("nameless", "virus", "no"), 1, (EVE, ""), now).await;
        let Err(Error::FaultyRules(faults)) = faulty else { panic!("{faulty:?}") };
        assert_eq!(faults[0].rule, "nameless");

        // Held when it was saved, and does not any more: written here as an older program might have.
        let saved = Saved { version: 2, note: String::new(), actor: EVE.to_owned(), at: now };
        assert!(rule_files::add(&db, &saved, &rule("nameless", "virus", "no")).await.unwrap());
        assert!(!rule_files::add(&db, &saved, "").await.unwrap(), "{url}: that number is taken");
        assert_eq!(cause(&there, &other).await, (2, built_in, 1), "{url}");
        assert_eq!(save_rules(&db, " \r\n", 2, (EVE, "none"), now).await.unwrap(), 3);
        assert_eq!(cause(&here, &db).await, (3, built_in, 0));
        let versions = rule_files::versions(&db, 9).await.unwrap();
        let notes: Vec<_> = versions.iter().map(|one| (one.version, one.note.as_str())).collect();
        assert_eq!(notes, [(3, "none"), (2, ""), (1, "ours")]);
        assert_eq!(rule_files::text(&db, 1).await.unwrap().unwrap().trim_end(), text.trim_end());
    }
}

const ODD: &str = "the quota of joy is exhausted";

/// Said in odd words, and read as if nobody were there.
fn odd(mailing: &Mailing, id: DeliveryId) -> Bounce {
    let gone = mailing.gone(id);
    let said = format!("550 5.1.1 <{}>: {ODD}", gone.address);
    Bounce { verdict: Verdict { diagnostic: said, ..gone.verdict.clone() }, ..gone }
}

async fn bounce_of(db: &Pool, n: i64) -> NotedBounce {
    bounces::of_key(db, &key(n), 9).await.unwrap().remove(0)
}

fn full() -> Case {
    Case::of(C::MailboxFull, Permanence::Soft)
}

async fn rule_of(db: &Pool, n: i64) -> NewRule {
    NewRule { why: "they wrote to me".to_owned(), ..propose(&bounce_of(db, n).await, full(), &[]) }
}

fn worker(db: &Pool, url: &str, now: DateTime<chrono::Utc>) -> tokio::task::JoinHandle<Result<(), Error>> {
    let clock = Clock::faster(now, 1.0);
    let jobs = Jobs { db: db.clone(), url: url.to_owned(), clock };
    tokio::spawn(jobs.run(Arc::new(Notify::new()), CancellationToken::new()))
}

/// Has a job done by workers that are killed whenever it came further; how often.
async fn done_by_killed_workers(db: &Pool, url: &str, job: JobId, now: DateTime<chrono::Utc>) -> usize {
    for kills in 0.. {
        let before = jobs::get(db, job).await.unwrap().unwrap().cursor;
        let worker = worker(db, url, now);
        let state = until("it comes further", async || {
            let now = jobs::get(db, job).await.unwrap().unwrap();
            assert_ne!(now.state, JobState::Failed, "{:?}", now.error);
            (now.cursor != before || now.state == JobState::Done).then_some(now.state)
        })
        .await;
        worker.abort();
        let _ = worker.await;
        if state == JobState::Done {
            return kills;
        }
    }
    0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_is_judged_again_once_however_often_it_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    for url in [format!("sqlite:{}", folder.path().join("rebound.db").display()), empty()] {
        // One in six: fewer than a burst.
        let mailing = Mailing::on(Place::at(&url).await, 6 * 1_150).await;
        let (db, now) = (mailing.db(), mailing.now());
        let campaign = mailing.hand_over("Spring", now).await;
        let odd_ones: Vec<i64> = (0..1_150).map(|n| n * 6).collect();
        for part in odd_ones.chunks(200) {
            let heard: Vec<Bounce> = part.iter().map(|n| odd(&mailing, delivery(campaign, *n))).collect();
            mailing.record(&heard, now).await;
        }
        mailing.record(&[mailing.gone(delivery(campaign, 1))], now).await;
        assert_eq!(mailing.suppressed(6_900).await.len(), 1_151, "{url}");
        // A person has looked at one of them.
        let tx = db.begin().await.unwrap();
        let by_hand = Case::of(C::MailboxUnknown, Permanence::Hard);
        correct(&tx, &bounce_of(db, 12).await, Extent::This, by_hand, (EVE, "gone"), now).await.unwrap();
        tx.commit().await.unwrap();

        let rule = rule_of(db, 0).await;
        assert_eq!((rule.id.as_str(), &*rule.words[0]), ("local.quota-of-joy-is", "quota of joy is exhausted"));
        let seen = foresee(db, &rule, 0, now).await.unwrap();
        assert_eq!((seen.bounces, seen.by_hand, seen.lifted, seen.suppressed), (1_149, 1, 1_149, 0), "{url}");
        assert_eq!((seen.first.len(), seen.first[0].1, seen.unseen), (20, full(), 0));
        assert_eq!(bounce_of(db, 0).await.corrected, None, "a look changes nothing");

        let (version, job) = make_rule(db, &rule, 0, EVE, now).await.unwrap();
        let kills = done_by_killed_workers(db, &url, job.unwrap(), now).await;
        assert!(kills >= 2, "{url}: {kills} kills");
        assert_eq!(mailing.suppressed(6_900).await, [1, 12], "{url}");

        let bounce = bounce_of(db, 0).await;
        assert_eq!((bounce.verdict.cause, bounce.case()), (C::MailboxUnknown, full()), "what was heard stays");
        let said = bounces::corrections(db, bounce.id).await.unwrap();
        assert_eq!(said.len(), 1, "{url}: {said:?}");
        assert_eq!((said[0].rule.as_deref(), said[0].actor.as_str()), (Some("local.quota-of-joy-is"), EVE));
        let told: Vec<_> = events::of_key(db, &key(0), 9).await.unwrap();
        let told: Vec<_> = told.iter().map(|one| (one.kind.as_str(), one.actor.as_str())).collect();
        assert_eq!(told, [("restored", EVE), ("suppressed", "rebound")]);
        for n in [0, 6, 12, 1, 6_894] {
            let standing = mailing.standing(n).await;
            assert_eq!(rebuild_standing(db, &key(n), &mailing.policy).await.unwrap(), standing, "{url} {n}");
        }
        let what: Vec<_> = events::of_subject(db, "rules", version, 9).await.unwrap();
        let what: Vec<_> = what.iter().map(|one| (one.kind.as_str(), one.detail.as_str())).collect();
        assert!(what[0].1.contains("\"bounces\":1149") && what[0].1.contains("\"lifted\":1149"), "{what:?}");
        assert_eq!(what.iter().map(|one| one.0).collect::<Vec<_>>(), ["history.judged", "rules.saved"]);

        // Twice is once.
        let again = rejudge_later(db, version, None, EVE, now).await.unwrap().unwrap();
        done_by_killed_workers(db, &url, again, now).await;
        assert_eq!(bounces::corrections(db, bounce.id).await.unwrap().len(), 1, "{url}");
        assert_eq!(mailing.suppressed(6_900).await, [1, 12], "{url}");

        // The rule says it no more: the verdicts rule again.
        let text = rule.written().replace("mailbox_full", "mailbox_unknown");
        let version = save_rules(db, &text, version, (EVE, "it was right"), now).await.unwrap();
        let back = rejudge_later(db, version, None, EVE, now).await.unwrap().unwrap();
        assert_eq!(rejudge_later(db, version, None, EVE, now).await.unwrap(), None, "it is under way");
        done_by_killed_workers(db, &url, back, now).await;
        assert_eq!(mailing.suppressed(6_900).await.len(), 1_151, "{url}");
        db.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rule_speaks_of_a_burst_nor_of_what_a_person_took_back() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("rebound.db").display());
    let mailing = Mailing::on(Place::at(&url).await, 120).await;
    let (db, now) = (mailing.db(), mailing.now());
    let campaign = mailing.hand_over("Spring", now).await;
    // The relay says so of everybody.
    let heard: Vec<_> = (0..30).map(|n| odd(&mailing, delivery(campaign, n))).collect();
    assert!(!mailing.record(&heard, now).await.waiting.is_empty());
    let summer = mailing.hand_over("Summer", now).await;
    mailing.record(&[100, 110].map(|n| odd(&mailing, delivery(summer, n))), now).await;
    assert_eq!(mailing.suppressed(120).await, [100, 110]);

    let rule = rule_of(db, 0).await;
    let seen = foresee(db, &rule, 0, now).await.unwrap();
    assert_eq!((seen.bounces, seen.lifted), (2, 2));
    let (version, job) = make_rule(db, &rule, 0, EVE, now).await.unwrap();
    done_by_killed_workers(db, &url, job.unwrap(), now).await;
    assert!(mailing.suppressed(120).await.is_empty());
    assert!(bounce_of(db, 0).await.is_excused());

    let tx = db.begin().await.unwrap();
    let back = rebound_contacts::feedback::take_back(&tx, &bounce_of(db, 110).await, EVE, now).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(back.unwrap().suppressed, 1, "only this one");
    let again = rejudge_later(db, version, Some(&rule.id), EVE, now).await.unwrap().unwrap();
    done_by_killed_workers(db, &url, again, now).await;
    assert_eq!(mailing.suppressed(120).await, [110]);
    let faulty = NewRule { id: "nameless".to_owned(), ..rule };
    assert!(matches!(foresee(db, &faulty, version, now).await, Err(Error::FaultyRules(_))));
    assert!(matches!(make_rule(db, &faulty, version, EVE, now).await, Err(Error::FaultyRules(_))));
    assert_eq!(rule_files::in_force(db).await.unwrap(), version);
}

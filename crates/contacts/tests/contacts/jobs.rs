//! Long work that is interrupted, cancelled, tried again.

use crate::place::Place;
use crate::postgres::empty;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_contacts::{BadRows, Error, Import, Jobs, Target, cancel, preview, retry, start, upload};
use rebound_db::imports::{self, Counts};
use rebound_db::jobs::{self, JobState};
use rebound_db::subscriptions::{self, Member};
use rebound_db::{Pool, lists};
use rebound_domain::{Clock, ContactId, ImportId, ListId};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Some parcels of people, with rows of every sort between them.
fn file() -> String {
    let mut file = "email,name\n".to_owned();
    for number in 0..20_000 {
        file += &format!("p{number}@orchard.example,Person {number}\n");
        match number % 100 {
            0 => file += &format!("nobody {number},No\n"),
            1 => file += &format!("P{number}@orchard.example,Again {number}\n"),
            _ => {}
        }
    }
    file
}

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

/// Everything that an import leaves behind.
#[derive(Debug, PartialEq)]
struct Left {
    counts: Counts,
    digest: String,
    bad: Vec<u8>,
    members: Vec<(String, String, String)>,
}

async fn left(db: &Pool, id: ImportId) -> Left {
    let import = imports::get(db, id).await.unwrap().unwrap();
    let (mut bad, mut rows) = (Vec::new(), BadRows::of(id));
    while let Some(part) = rows.next(db).await.unwrap() {
        bad.extend(part);
    }
    let mut members = Vec::new();
    let mut after = ContactId(0);
    loop {
        let page = subscriptions::members(db, import.list, after, 5000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.contact.id;
        let told = |member: &Member| {
            let Member { contact, subscription } = member;
            (contact.address.to_string(), contact.fields["name"].clone(), subscription.source.clone())
        };
        members.extend(page.iter().map(told));
    }
    members.sort();
    Left { counts: import.counts, digest: import.digest, bad, members }
}

/// Sends a file as a page does.
async fn send(db: &Pool, list: ListId, file: &str) -> ImportId {
    let mut kept = upload(db, &Import::new(list, "people.csv", now())).await.unwrap();
    for piece in file.as_bytes().chunks(60_000) {
        kept.append(piece).await.unwrap();
    }
    assert_eq!(kept.complete(now()).await.unwrap(), i64::try_from(file.len()).unwrap());
    kept.id
}

fn worker(db: &Pool, url: &str) -> (tokio::task::JoinHandle<Result<(), Error>>, CancellationToken) {
    let stop = CancellationToken::new();
    let jobs = Jobs { db: db.clone(), url: url.to_owned(), clock: Clock::wall() };
    (tokio::spawn(jobs.run(Arc::new(Notify::new()), stop.clone())), stop)
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

async fn reaches(db: &Pool, id: ImportId, state: JobState) {
    let what = format!("import {id} is {state:?}");
    until(&what, async || {
        let import = imports::get(db, id).await.unwrap().unwrap();
        assert!(import.state == state || import.state != JobState::Failed, "{:?}", import.error);
        (import.state == state).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_again_and_again_ends_as_one_that_was_not() {
    let place = Place::new().await;
    let smooth = place.import(file()).await;
    let expected = left(&place.db, smooth.id).await;
    assert_eq!(expected.counts.added, 20_000);

    let folder = tempfile::tempdir().unwrap();
    for url in [format!("sqlite:{}", folder.path().join("rebound.db").display()), empty()] {
        let db = rebound_db::connect(&url).await.unwrap();
        rebound_db::migrate(&db).await.unwrap();
        let list = lists::ensure(&db, "Newsletter", now()).await.unwrap();
        let id = send(&db, list.id, &file()).await;
        assert!(start(&db, id, vec![], now()).await.unwrap());
        let job = imports::get(&db, id).await.unwrap().unwrap().job;
        let mut kills = 0;
        loop {
            let before = jobs::get(&db, job).await.unwrap().unwrap().cursor;
            let (worker, _) = worker(&db, &url);
            let state = until("it comes further", async || {
                let now = jobs::get(&db, job).await.unwrap().unwrap();
                (now.cursor != before || now.state == JobState::Done).then_some(now.state)
            })
            .await;
            // Nobody is told, nothing is given back.
            worker.abort();
            let _ = worker.await;
            if state == JobState::Done {
                break;
            }
            kills += 1;
        }
        assert!(kills >= 3, "{kills} kills");
        assert!(left(&db, id).await == expected, "{url}");
        assert_eq!(imports::piece(&db, id, 0).await.unwrap(), None, "the file is let go of");
        db.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_do_each_import_once() {
    let url = empty();
    let db = rebound_db::connect(&url).await.unwrap();
    rebound_db::migrate(&db).await.unwrap();
    let list = lists::ensure(&db, "Newsletter", now()).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(send(&db, list.id, &format!("email\na{number}@orchard.example\nb@orchard.example\n")).await);
        start(&db, ids[number], vec![], now()).await.unwrap();
    }
    let workers = [worker(&db, &url), worker(&db, &url)];
    for id in &ids {
        reaches(&db, *id, JobState::Done).await;
    }
    let mut added = 0;
    for id in ids {
        let import = imports::get(&db, id).await.unwrap().unwrap();
        assert_eq!(jobs::get(&db, import.job).await.unwrap().unwrap().claim, 1);
        added += import.counts.added;
    }
    assert_eq!(added, 7, "six of their own, and one that all have");
    for (worker, stop) in workers {
        stop.cancel();
        worker.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_stops_and_what_failed_goes_on() {
    let place = Place::new().await;
    let url = format!("sqlite:{}", place.db.file().unwrap().display());
    let id = send(&place.db, place.list.id, &file()).await;
    let job = imports::get(&place.db, id).await.unwrap().unwrap().job;
    start(&place.db, id, vec![], now()).await.unwrap();
    assert!(!start(&place.db, id, vec![], now()).await.unwrap(), "pressed twice, it goes once");
    let (worker, stop) = worker(&place.db, &url);
    until("it is under way", async || {
        Some(jobs::get(&place.db, job).await.unwrap().unwrap()).filter(|job| !job.cursor.is_empty())
    })
    .await;

    assert!(cancel(&place.db, job, "ines@fernhill.example", "cancelled by Ines", now()).await.unwrap());
    assert!(!cancel(&place.db, job, "ines@fernhill.example", "again", now()).await.unwrap());

    let import = imports::get(&place.db, id).await.unwrap().unwrap();
    assert_eq!((import.state, import.error.as_deref()), (JobState::Cancelled, Some("cancelled by Ines")));
    assert_eq!(imports::piece(&place.db, id, 0).await.unwrap(), None);
    assert!(!retry(&place.db, job, "ines@fernhill.example", now()).await.unwrap());

    // One that fails keeps its file, and can be tried again.
    let id = send(&place.db, place.list.id, "name,town\nAda,Ghent\n").await;
    start(&place.db, id, vec![], now()).await.unwrap();
    let failed = until("it failed", async || {
        Some(imports::get(&place.db, id).await.unwrap().unwrap()).filter(|import| import.state == JobState::Failed)
    })
    .await;
    assert!(failed.error.unwrap().contains("the first line has “name”, “town”"));
    assert!(imports::piece(&place.db, id, 0).await.unwrap().is_some());
    assert!(retry(&place.db, failed.job, "ines@fernhill.example", now()).await.unwrap());
    until("it failed again", async || {
        let job = jobs::get(&place.db, failed.job).await.unwrap().unwrap();
        (job.state == JobState::Failed && job.claim == 2).then_some(())
    })
    .await;
    stop.cancel();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_gives_back_what_it_has() {
    let place = Place::new().await;
    let url = format!("sqlite:{}", place.db.file().unwrap().display());
    let id = send(&place.db, place.list.id, &file()).await;
    let job = imports::get(&place.db, id).await.unwrap().unwrap().job;
    start(&place.db, id, vec![], now()).await.unwrap();
    let (first, stop) = worker(&place.db, &url);
    until("it is under way", async || {
        Some(jobs::get(&place.db, job).await.unwrap().unwrap()).filter(|job| !job.cursor.is_empty())
    })
    .await;
    stop.cancel();
    first.await.unwrap().unwrap();
    assert_eq!(jobs::get(&place.db, job).await.unwrap().unwrap().state, JobState::Waiting);

    let (second, stop) = worker(&place.db, &url);
    reaches(&place.db, id, JobState::Done).await;
    assert_eq!(imports::get(&place.db, id).await.unwrap().unwrap().counts.added, 20_000);
    stop.cancel();
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_file_is_shown_before_anything_is_done_and_its_columns_can_be_chosen() {
    let place = Place::new().await;
    let id = send(&place.db, place.list.id, "name,contact point\nAda,ada@orchard.example\nBo,nobody\n").await;
    let shown = preview(&place.db, id).await.unwrap();
    assert_eq!(shown.columns[0].cells, ["Ada", "Bo"]);
    assert!(shown.has_header && shown.columns.iter().all(|column| column.target != Target::Address));
    assert!(place.audience().await.is_empty());

    let chosen = vec![
        ("name".to_owned(), Target::Field("first_name".to_owned())),
        ("contact point".to_owned(), Target::Address),
    ];
    start(&place.db, id, chosen, now()).await.unwrap();
    let url = format!("sqlite:{}", place.db.file().unwrap().display());
    let (worker, stop) = worker(&place.db, &url);
    reaches(&place.db, id, JobState::Done).await;

    assert_eq!(place.audience().await, ["ada@orchard.example"]);
    assert_eq!(place.field("ada@orchard.example", "first_name").await, "Ada");
    stop.cancel();
    worker.await.unwrap().unwrap();
}

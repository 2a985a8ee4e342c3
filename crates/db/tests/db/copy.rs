//! An installation moves from SQLite to PostgreSQL with everything in it.

use crate::postgres::empty;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::copy::{Copied, Move, Progress, Step, to_postgres};
use rebound_db::jobs::{self, Job, JobKind, JobState};
use rebound_db::{Error, Pool, connect, lists, migrate, workers};
use rebound_domain::JobId;
use sea_orm::{ConnectionTrait, Statement, Value};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::sync::Notify;

/// Rows of each table.
const ROWS: i64 = 40;

struct Place {
    folder: TempDir,
    /// The address of the new database.
    url: String,
}

impl Place {
    /// An old database with some rows in every table that there is, and an empty new one.
    async fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), url: empty() };
        let old = place.old().await;
        for table in tables(&old).await {
            fill(&old, &table).await;
        }
        old.close().await;
        place
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("rebound.db")
    }

    async fn old(&self) -> Pool {
        rebound_db::temporary(self.folder.path()).await.unwrap()
    }

    async fn copy(&self) -> Result<Vec<Copied>, Error> {
        self.move_all(|_| (), std::future::pending()).await
    }

    async fn move_all(
        &self,
        progress: impl FnMut(Progress<'_>) + Send,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<Vec<Copied>, Error> {
        let file = self.file();
        let order = Move { file: &file, url: &self.url, actor: "command line" };
        to_postgres(order, now, progress, stop).await
    }

    /// How the move stands in the new database, as somebody reads it there.
    async fn job(&self) -> Job {
        let new = connect(&self.url).await.unwrap();
        // One more than the last of the old ones.
        let job = jobs::get(&new, JobId(ROWS + 1)).await.unwrap().unwrap();
        new.close().await;
        assert_eq!((job.kind, job.actor.as_str()), (JobKind::Migration, "command line"));
        assert_eq!(job.settings, r#"{"file":"rebound.db"}"#);
        job
    }

    /// Copies until `step` is at its `count`th piece, and is then cut off as by a kill: what is under way is lost.
    async fn copy_until(&self, step: Step, count: usize) {
        let over = Notify::new();
        let copying = self.move_all(at(step, count, &over), std::future::pending());
        tokio::select! {
            biased;
            () = over.notified() => {}
            done = copying => panic!("it was over before: {done:?}"),
        }
    }
}

/// Tells `over` at the `count`th piece of `step`.
fn at(step: Step, count: usize, over: &Notify) -> impl FnMut(Progress<'_>) + Send {
    let mut seen = 0;
    move |progress| {
        seen += usize::from(progress.step == step);
        if seen == count {
            over.notify_one();
        }
    }
}

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

async fn names(db: &Pool, sql: &str) -> Vec<String> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn tables(old: &Pool) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'
        AND name <> 'seaql_migrations' ORDER BY rowid";
    names(old, sql).await
}

/// Makes rows for a table that it knows nothing of but the types of its columns, and one rule.
async fn fill(old: &Pool, table: &str) {
    let columns = names(old, &format!("SELECT name FROM pragma_table_xinfo('{table}') WHERE hidden = 0")).await;
    let kinds = names(old, &format!("SELECT type FROM pragma_table_xinfo('{table}') WHERE hidden = 0")).await;
    let marks: Vec<String> = (1..=columns.len()).map(|number| format!("?{number}")).collect();
    let sql = format!(
        "INSERT OR IGNORE INTO {table} ({}) VALUES ({})",
        columns.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "),
        marks.join(", ")
    );
    for number in 1..=ROWS {
        let values = columns.iter().zip(&kinds).map(|(name, kind)| value(table, name, kind, number));
        old.execute_raw(Statement::from_sql_and_values(old.get_database_backend(), &sql, values)).await.unwrap();
    }
}

fn value(table: &str, name: &str, kind: &str, number: i64) -> Value {
    match kind {
        // Only what is leased, in state 2, may be handed over.
        _ if (table, name) == ("deliveries", "handed") => (number == 2).then_some(number).into(),
        "BOOLEAN" => (number % 2).into(),
        "BLOB" => vec![0, b'\\', b'\n', u8::try_from(number).unwrap()].into(),
        "TEXT" => words(number).into(),
        other => {
            assert!(other.ends_with("INT") || other == "INTEGER", "a type that this test does not know: {other}");
            number.into()
        }
    }
}

fn words(number: i64) -> String {
    format!("{number} \\N \\ \t\n\r\u{8}\u{b}\u{c} 'ü' \"🌷\" {}", "x".repeat(300))
}

fn digest(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap()
}

#[tokio::test]
async fn every_table_that_there_is_moves_with_every_row() {
    let place = Place::new().await;
    let old = place.old().await;
    let expected = tables(&old).await;
    old.execute_unprepared("DELETE FROM incidents WHERE id > 30").await.unwrap();
    old.close().await;
    let before = digest(&place.file());

    let copied = place.copy().await.unwrap();

    assert_eq!(digest(&place.file()), before, "the old file is as it was");
    let mut told: Vec<String> = copied.iter().map(|one| one.table.clone()).collect();
    told.sort();
    let mut all = expected;
    all.sort();
    assert_eq!(told, all);
    let new = connect(&place.url).await.unwrap();
    migrate(&new).await.unwrap();
    for Copied { table, rows, .. } in &copied {
        assert_eq!(count(&new, table).await, *rows, "{table}");
        assert!(*rows > ROWS / 4, "{table} has {rows}");
    }
    let sample = "SELECT name FROM lists WHERE id = 7";
    assert_eq!(names(&new, sample).await, [words(7)]);
    // A number that was given once is never given again, also where its row is gone.
    let sql =
        "INSERT INTO incidents (subject, cause, burst, words, opened, bounces) VALUES ('s', 'c', false, 'w', 1, 1)
        RETURNING id::text";
    assert_eq!(names(&new, sql).await, [(ROWS + 1).to_string()]);
    assert_eq!(lists::ensure(&new, "A new one", chrono::Utc::now()).await.unwrap().id.0, ROWS + 1);
    let again = place.copy().await.unwrap_err();
    assert!(again.to_string().contains("not empty"), "{again}");
}

#[tokio::test]
async fn a_move_that_is_killed_goes_on_and_nobody_uses_half_of_it() {
    let place = Place::new().await;
    for (step, count) in [(Step::Copying, 1), (Step::Copying, 5), (Step::Copying, 9), (Step::Comparing, 4)] {
        place.copy_until(step, count).await;
        let new = connect(&place.url).await.unwrap();
        let refused = migrate(&new).await.unwrap_err();
        assert!(refused.to_string().contains("only a part"), "{refused}");
        new.close().await;
    }

    let copied = place.copy().await.unwrap();

    let new = connect(&place.url).await.unwrap();
    migrate(&new).await.unwrap();
    for Copied { table, rows, .. } in &copied {
        assert_eq!(count(&new, table).await, *rows, "{table}");
    }
}

/// How many rows of the old database are in `table`.
async fn count(new: &Pool, table: &str) -> i64 {
    let moves = if table == "jobs" { format!("WHERE id <= {ROWS}") } else { String::new() };
    names(new, &format!("SELECT count(*)::text FROM {table} {moves}")).await[0].parse().unwrap()
}

#[tokio::test]
async fn the_move_is_a_row_of_the_new_database_that_goes_on_with_it() {
    let place = Place::new().await;
    // Killed: nobody is left to write down why.
    place.copy_until(Step::Copying, 9).await;
    let killed = place.job().await;
    assert_eq!((killed.state, killed.claim, killed.error.as_deref()), (JobState::Running, 1, None));
    assert!(killed.done > 0 && killed.done < killed.total && killed.cursor.starts_with("copying "), "{killed:?}");

    // Stopped, as by Ctrl-C.
    let over = Notify::new();
    let stopped = place.move_all(at(Step::Copying, 3, &over), over.notified()).await.unwrap_err();
    assert!(stopped.to_string().contains("run the same command again"), "{stopped}");
    let job = place.job().await;
    assert_eq!((job.state, job.claim), (JobState::Cancelled, 2));
    assert_eq!(job.error, Some(stopped.to_string()));
    assert!(job.done > killed.done && job.total == killed.total, "{job:?}");
    let new = connect(&place.url).await.unwrap();
    let refused = migrate(&new).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("({} of {} rows)", job.done, job.total)), "{refused}");

    // Failed, and mended.
    new.execute_unprepared("UPDATE bounces SET words = 'other' WHERE id = 3").await.unwrap();
    let differs = place.copy().await.unwrap_err();
    let job = place.job().await;
    assert_eq!((job.state, job.claim, job.done), (JobState::Failed, 3, job.total));
    assert_eq!((job.error, job.cursor.as_str()), (Some(differs.to_string()), "comparing bounces"));
    let sql = format!("UPDATE bounces SET words = '{}' WHERE id = 3", words(3).replace('\'', "''"));
    new.execute_unprepared(&sql).await.unwrap();

    let copied = place.copy().await.unwrap();

    let job = place.job().await;
    assert_eq!((job.state, job.claim, job.error, job.cursor.as_str()), (JobState::Done, 4, None, ""));
    let rows: i64 = copied.iter().map(|one| one.rows).sum();
    assert_eq!((job.done, job.total), (rows, rows));
    assert_eq!((job.created, job.updated), (now(), now()));
    // The next row has a number of its own, and the command on a move that is over changes nothing.
    let next = "INSERT INTO jobs (kind, subject, state, settings, actor, created, updated)
        VALUES (0, 99, 4, '', '', 1, 1) RETURNING id::text";
    assert_eq!(names(&new, next).await, [(ROWS + 2).to_string()]);
    place.copy().await.unwrap_err();
    assert_eq!(place.job().await.state, JobState::Done);
}

#[tokio::test]
async fn no_worker_takes_a_move() {
    let folder = tempfile::tempdir().unwrap();
    let old = rebound_db::temporary(folder.path()).await.unwrap();
    let new = connect(&empty()).await.unwrap();
    migrate(&new).await.unwrap();
    for db in [old, new] {
        for (subject, state) in [(0, JobState::Waiting), (1, JobState::Running)] {
            let (kind, settings, actor) = (JobKind::Migration, "{}", "command line");
            let job = jobs::NewJob { kind, subject, state, total: 9, settings, actor };
            jobs::add(&db, &job, now()).await.unwrap().unwrap();
        }
        assert_eq!(jobs::claim(&db, rebound_domain::WorkerId(7), &[]).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_row_that_differs_is_found() {
    for change in ["UPDATE bounces SET words = 'other' WHERE id = 3", "DELETE FROM attempts WHERE number = 40"] {
        let place = Place::new().await;
        place.copy_until(Step::Comparing, 1).await;
        let new = connect(&place.url).await.unwrap();
        new.execute_unprepared(change).await.unwrap();
        new.close().await;

        let refused = place.copy().await.unwrap_err();

        assert!(refused.to_string().contains("differs at its row"), "{refused}");
    }
}

#[tokio::test]
async fn what_is_in_use_or_is_not_empty_is_left_alone() {
    let place = Place::new().await;
    let old = place.old().await;
    let url = format!("sqlite:{}", place.file().display());
    let worker = workers::sign_on(&old, &url, "here").await.unwrap();
    let refused = place.copy().await.unwrap_err();
    assert!(refused.to_string().contains("stop it first"), "{refused}");
    workers::sign_off(&old, &worker).await.unwrap();

    let writing = old.begin().await.unwrap();
    let refused = place.copy().await.unwrap_err();
    assert!(refused.to_string().contains("somebody writes"), "{refused}");
    drop(writing);
    old.close().await;

    let new = connect(&place.url).await.unwrap();
    new.execute_unprepared("CREATE TABLE theirs (id BIGINT)").await.unwrap();
    let refused = place.copy().await.unwrap_err();
    assert!(refused.to_string().contains("not empty"), "{refused}");
    new.execute_unprepared("DROP TABLE theirs").await.unwrap();

    place.copy_until(Step::Copying, 2).await;
    let old = place.old().await;
    lists::ensure(&old, "One more", chrono::Utc::now()).await.unwrap();
    old.close().await;
    let refused = place.copy().await.unwrap_err();
    assert!(refused.to_string().contains("was changed since"), "{refused}");
}

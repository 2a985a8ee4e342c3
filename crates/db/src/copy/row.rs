//! The move as a row of the new `jobs`: how far it came, how often it was begun, and what stopped it.
//!
//! Its number is the one after the last that the old database gave. Nobody writes to that one meanwhile, so it is the
//! same number each time, no copied row has it, and the comparison knows which row to pass over.

use super::Step;
use crate::Error;
use crate::jobs::{JobKind, JobState};
use crate::sql::millis;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};

/// The table in which it is.
pub(super) const TABLE: &str = "jobs";

/// What one run of the command knows it by. The next run has the next claim.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) id: i64,
    number: i64,
}

impl Claim {
    /// Writes the row down, or takes it again; `copied` rows of `total` are here already.
    pub(super) async fn take(
        db: &mut PgConnection,
        id: i64,
        (copied, total): (i64, i64),
        (file, actor): (&str, &str),
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let sql = "INSERT INTO jobs (id, kind, subject, state, claims, done, total, settings, actor, created, updated)
            VALUES ($1, $2, 0, $3, 1, $4, $5, $6, $7, $8, $8)
            ON CONFLICT (id) DO UPDATE SET state = excluded.state, claims = jobs.claims + 1, error = NULL,
                done = excluded.done, updated = excluded.updated
            RETURNING claims";
        let settings = serde_json::json!({ "file": file }).to_string();
        let taking = sqlx::query(sql)
            .bind(id)
            .bind(JobKind::Migration.code())
            .bind(JobState::Running.code())
            .bind(copied)
            .bind(total)
            .bind(settings)
            .bind(actor)
            .bind(millis(now));
        let row = taking.fetch_one(db).await?;
        Ok(Self { id, number: row.try_get(0)? })
    }

    /// Notes where it is; in the transaction that takes it there.
    pub(super) async fn advance(
        &self,
        db: &mut PgConnection,
        step: Step,
        table: &str,
        copied: i64,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let cursor = format!("{} {table}", step.word());
        let sql = "UPDATE jobs SET cursor = $3, done = $4, updated = $5 WHERE id = $1 AND claims = $2";
        let noting = sqlx::query(sql).bind(self.id).bind(self.number).bind(cursor).bind(copied).bind(millis(now));
        noting.execute(db).await?;
        Ok(())
    }

    /// Notes that all is copied and compared.
    pub(super) async fn finish(&self, db: &mut PgConnection, now: DateTime<Utc>) -> Result<(), Error> {
        let sql = "UPDATE jobs SET state = $3, cursor = '', done = total, updated = $4 WHERE id = $1 AND claims = $2";
        let noting = sqlx::query(sql).bind(self.id).bind(self.number).bind(JobState::Done.code()).bind(millis(now));
        noting.execute(db).await?;
        Ok(())
    }

    /// Notes why it went no further, on a connection of its own: the other may be in the middle of something.
    pub(super) async fn give_up(&self, url: &str, state: JobState, why: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let mut db = PgConnection::connect(url).await?;
        // What was under way holds the row until the server sees that nobody is there any more.
        sqlx::query("SET lock_timeout = '5s'").execute(&mut db).await?;
        let sql = "UPDATE jobs SET state = $3, error = $4, updated = $5 WHERE id = $1 AND claims = $2";
        let noting = sqlx::query(sql).bind(self.id).bind(self.number).bind(state.code()).bind(why).bind(millis(now));
        noting.execute(&mut db).await?;
        db.close().await.map_err(Error::from)
    }
}

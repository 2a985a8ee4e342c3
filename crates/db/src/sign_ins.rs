//! Tries to sign in, counted so that guessing takes too long. The times here are the wall clock's.

use crate::sql::{all, execute, millis, one};
use crate::{Connection, Error, Pool, Transaction};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::FromQueryResult;

/// How many tries are free, and how long the wait after them may grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Whose tries: an account, an address, or both together.
    pub subject: String,
    /// So many tries wait for nothing.
    pub free: u32,
    /// The longest wait; each further try doubles it up to there.
    pub longest: TimeDelta,
}

/// So long after its last wait, a subject begins anew.
const FORGET: TimeDelta = TimeDelta::hours(1);

/// Takes one try from each allowance; `false`, and nothing is taken, where one of them must wait.
///
/// A try is charged before the password is looked at, so that many at once are not all looked at. What everybody
/// else has left long ago is forgotten on the way.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn charge(db: &Pool, allowances: &[Allowance], now: DateTime<Utc>) -> Result<bool, Error> {
    forget(db, now).await?;
    let tx = db.begin().await?;
    for allowance in allowances {
        let Some(count) = count(&tx, allowance, now).await? else { return Ok(false) };
        let sql = "UPDATE sign_in_failures SET until = $2 WHERE subject = $1";
        let until = millis(now + wait(allowance, count));
        execute(&tx, sql, [allowance.subject.as_str().into(), until.into()]).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Counts one try more; `None` where it must wait.
///
/// One statement asks and counts, and holds the row until the transaction ends: of many at once, each sees what the
/// one before it left.
async fn count(tx: &Transaction, allowance: &Allowance, now: DateTime<Utc>) -> Result<Option<i64>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        count: i64,
    }
    let sql = "INSERT INTO sign_in_failures AS known (subject, count, until) VALUES ($1, 1, $2)
               ON CONFLICT (subject) DO UPDATE
               SET count = CASE WHEN known.until < $3 THEN 1 ELSE known.count + 1 END
               WHERE known.count < $4 OR known.until <= $2
               RETURNING count";
    let (at, long_ago) = (millis(now), millis(now - FORGET));
    let values = [allowance.subject.as_str().into(), at.into(), long_ago.into(), i64::from(allowance.free).into()];
    Ok(one::<Row>(tx, sql, values).await?.map(|row| row.count))
}

/// So many rows that are long past go at each try: more than a try adds.
const SWEPT: i64 = 10;

/// Deletes what is long past. Each row by itself, so that two who do it at once never wait for each other in a ring.
async fn forget(db: &Pool, now: DateTime<Utc>) -> Result<(), Error> {
    #[derive(FromQueryResult)]
    struct Row {
        subject: String,
    }
    let long_ago = millis(now - FORGET);
    let sql = "SELECT subject FROM sign_in_failures WHERE until < $1 LIMIT $2";
    for row in all::<Row>(db, sql, [long_ago.into(), SWEPT.into()]).await? {
        let sql = "DELETE FROM sign_in_failures WHERE subject = $1 AND until < $2";
        execute(db, sql, [row.subject.into(), long_ago.into()]).await?;
    }
    Ok(())
}

/// Forgets the tries of `subject`: the last one was right.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn forgive(db: &impl Connection, subject: &str) -> Result<(), Error> {
    execute(db, "DELETE FROM sign_in_failures WHERE subject = $1", [subject.into()]).await?;
    Ok(())
}

/// The wait after the `count`-th try: nothing while tries are free, then 1 s, 2 s, 4 s …
fn wait(allowance: &Allowance, count: i64) -> TimeDelta {
    let beyond = count - i64::from(allowance.free);
    if beyond < 0 {
        return TimeDelta::zero();
    }
    TimeDelta::seconds(1_i64 << beyond.min(30)).min(allowance.longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ten_thousand_guesses_in_an_hour_are_twenty_looks() {
        let folder = tempfile::tempdir().unwrap();
        let db = crate::temporary(folder.path()).await.unwrap();
        let allowance = [Allowance { subject: "ines from 192.0.2.7".into(), free: 5, longest: TimeDelta::minutes(15) }];
        let start = Utc::now();
        let mut looked = 0;
        for guess in 0..1_000 {
            // 1,000 are enough to see it: an hour, one each 3.6 s.
            let now = start + TimeDelta::milliseconds(3_600 * guess);
            looked += i32::from(charge(&db, &allowance, now).await.unwrap());
        }
        assert!((5..=20).contains(&looked), "{looked}");

        forgive(&db, &allowance[0].subject).await.unwrap();
        assert!(charge(&db, &allowance, start).await.unwrap());
    }
}

//! Tries to sign in, counted so that guessing takes too long. The times here are the wall clock's.

use crate::sql::{execute, millis, one};
use crate::{Connection, Error, Pool};
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

#[derive(FromQueryResult)]
struct Row {
    count: i64,
    until: i64,
}

/// Takes one try from each allowance; `false`, and nothing is taken, where one of them must wait.
///
/// A try is charged before the password is looked at, so that many at once are not all looked at.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn charge(db: &Pool, allowances: &[Allowance], now: DateTime<Utc>) -> Result<bool, Error> {
    let tx = db.begin().await?;
    for allowance in allowances {
        let sql = "SELECT count, until FROM sign_in_failures WHERE subject = $1";
        let known = one::<Row>(&tx, sql, [allowance.subject.as_str().into()]).await?;
        if known.as_ref().is_some_and(|row| row.until > millis(now)) {
            return Ok(false);
        }
        let recent = known.filter(|row| row.until >= millis(now - FORGET));
        let count = recent.map_or(0, |row| row.count) + 1;
        let sql = "INSERT INTO sign_in_failures (subject, count, until) VALUES ($1, $2, $3)
                   ON CONFLICT (subject) DO UPDATE SET count = excluded.count, until = excluded.until";
        let until = millis(now + wait(allowance, count));
        execute(&tx, sql, [allowance.subject.as_str().into(), count.into(), until.into()]).await?;
    }
    tx.commit().await?;
    Ok(true)
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

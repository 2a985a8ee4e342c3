//! What servers were given in the last minute, hour and day, counted by all workers together.
//!
//! A worker takes a few messages' worth at once and uses them up. What it took and lost, as when it was killed, counts as
//! given: a limit is rather kept too well.

use crate::sql::{all, execute, millis, number, time};
use crate::{Connection, Error, Pool, Transaction};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_domain::{ServerId, Span, Volume};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult};

/// What came of asking for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// So many messages may go, at least one.
    Granted(u32),
    /// None before then.
    Until(DateTime<Utc>),
}

/// Counted for so much longer than its span, as a message goes a little after its place was looked at.
const MARGIN: TimeDelta = TimeDelta::seconds(1);

/// The first half of the lock's name; the server's number is the second.
const LOCK: i32 = 7_207;

/// Takes up to `want` messages for `server`, within `volumes`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn take(
    db: &Pool,
    server: ServerId,
    want: u32,
    volumes: &[Volume],
    now: DateTime<Utc>,
) -> Result<Taken, Error> {
    let tx = db.begin_briefly().await?;
    alone(&tx, server).await?;
    let (mut granted, mut until) = (want, None);
    for volume in volumes {
        forget(&tx, server, volume.span, now).await?;
        let parts = parts(&tx, server, volume.span).await?;
        let given: i64 = parts.iter().map(|part| part.given).sum();
        let free = u32::try_from((i64::from(volume.most) - given).max(0)).unwrap_or(0);
        granted = granted.min(free);
        if free == 0 {
            let oldest = parts.first().map_or(now, |part| time(part.part));
            let free = oldest + kept(volume.span);
            // Where the clock was put back, what is counted is of the future, and forgotten when that would be longer.
            until = until.max(Some(free.min(now + kept(volume.span))));
        }
    }
    if let Some(until) = until {
        tx.commit().await?;
        return Ok(Taken::Until(until.max(now + TimeDelta::seconds(1))));
    }
    let sql = "INSERT INTO volumes (server_id, span, part, given) VALUES ($1, $2, $3, $4)
               ON CONFLICT (server_id, span, part) DO UPDATE SET given = volumes.given + excluded.given";
    for Volume { span, .. } in volumes {
        let values =
            [server.0.into(), span.as_str().into(), millis(span.part_of(now)).into(), i64::from(granted).into()];
        execute(&tx, sql, values).await?;
    }
    tx.commit().await?;
    Ok(Taken::Granted(granted))
}

/// Gives `count` messages back that were taken at `taken` and not given.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn put_back(db: &Pool, server: ServerId, count: u32, taken: DateTime<Utc>) -> Result<(), Error> {
    let tx = db.begin_briefly().await?;
    alone(&tx, server).await?;
    let sql = "UPDATE volumes SET given = CASE WHEN given > $4 THEN given - $4 ELSE 0 END
               WHERE server_id = $1 AND span = $2 AND part = $3";
    for span in Span::ALL {
        let part = millis(span.part_of(taken));
        execute(&tx, sql, [server.0.into(), span.as_str().into(), part.into(), i64::from(count).into()]).await?;
    }
    tx.commit().await
}

/// Whoever counts, counts alone. On SQLite there is one writer anyway.
async fn alone(tx: &Transaction, server: ServerId) -> Result<(), Error> {
    if tx.get_database_backend() == DatabaseBackend::Postgres {
        let id = i32::try_from(server.0).unwrap_or(i32::MAX);
        execute(tx, "SELECT pg_advisory_xact_lock($1, $2)", [LOCK.into(), id.into()]).await?;
    }
    Ok(())
}

/// What `server` was given in the last `span`; counted only where there is a limit.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn given(db: &impl Connection, server: ServerId, span: Span, now: DateTime<Utc>) -> Result<i64, Error> {
    let sql = "SELECT CAST(COALESCE(sum(given), 0) AS BIGINT) FROM volumes
               WHERE server_id = $1 AND span = $2 AND part > $3";
    number(db, sql, [server.0.into(), span.as_str().into(), millis(now - kept(span)).into()]).await
}

#[derive(FromQueryResult)]
struct Part {
    part: i64,
    given: i64,
}

async fn parts(db: &impl Connection, server: ServerId, span: Span) -> Result<Vec<Part>, Error> {
    let sql = "SELECT part, given FROM volumes WHERE server_id = $1 AND span = $2 AND given > 0 ORDER BY part";
    all(db, sql, [server.0.into(), span.as_str().into()]).await
}

/// Forgets parts that are a span old, and those of a future that the clock was put back from.
async fn forget(db: &impl Connection, server: ServerId, span: Span, now: DateTime<Utc>) -> Result<(), Error> {
    let sql = "DELETE FROM volumes WHERE server_id = $1 AND span = $2 AND (part <= $3 OR part > $4)";
    let (old, future) = (now - kept(span), now + span.length());
    execute(db, sql, [server.0.into(), span.as_str().into(), millis(old).into(), millis(future).into()]).await?;
    Ok(())
}

/// For how long a part counts from its beginning.
fn kept(span: Span) -> TimeDelta {
    span.length() + span.part() + MARGIN
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn taken(db: &Pool, want: u32, volumes: &[Volume], now: DateTime<Utc>) -> Taken {
        take(db, ServerId(1), want, volumes, now).await.unwrap()
    }

    #[tokio::test]
    async fn no_minute_however_it_is_laid_has_more_than_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let db = crate::temporary(folder.path()).await.unwrap();
        let volumes = [Volume { span: Span::Minute, most: 100 }, Volume { span: Span::Day, most: 1_000 }];
        let start = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let mut went: Vec<DateTime<Utc>> = Vec::new();
        let mut now = start;
        while now < start + TimeDelta::minutes(30) {
            match taken(&db, 7, &volumes, now).await {
                Taken::Granted(count) => went.extend(std::iter::repeat_n(now, count as usize)),
                Taken::Until(until) => {
                    assert!(until > now);
                    now = until;
                    continue;
                }
            }
            now += TimeDelta::milliseconds(1_300);
        }
        for (place, at) in went.iter().enumerate() {
            let in_a_minute = went[place..].iter().take_while(|other| **other - *at < TimeDelta::minutes(1)).count();
            assert!(in_a_minute <= 100, "{in_a_minute} from {at}");
        }
        assert_eq!(went.len(), 1_000, "then the day is full");
        assert_eq!(given(&db, ServerId(1), Span::Day, start + TimeDelta::hours(1)).await.unwrap(), 1_000);
    }

    #[tokio::test]
    async fn what_is_given_back_may_be_taken_again() {
        let folder = tempfile::tempdir().unwrap();
        let db = crate::temporary(folder.path()).await.unwrap();
        let (volumes, now) = ([Volume { span: Span::Hour, most: 10 }], DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        assert_eq!(taken(&db, 64, &volumes, now).await, Taken::Granted(10));
        let Taken::Until(until) = taken(&db, 64, &volumes, now).await else { panic!() };
        assert_eq!(until, now + Span::Hour.length() + Span::Hour.part() + MARGIN);
        put_back(&db, ServerId(1), 4, now).await.unwrap();
        assert_eq!(taken(&db, 64, &volumes, now).await, Taken::Granted(4));
        let back = now - TimeDelta::days(365);
        assert_eq!(taken(&db, 64, &volumes, back).await, Taken::Granted(10), "a clock that was a year ahead");
    }
}

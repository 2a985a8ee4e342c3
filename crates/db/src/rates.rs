//! Rates that several workers keep together: whoever wants to send takes the next places, and nobody else gets those.

use crate::sql::one;
use crate::{Connection, Error};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult};
use std::time::Duration;

/// What is given further ahead, in microseconds, is of a clock that was put back since. Each line of each worker may hold
/// a place: hundreds of them at one a second are minutes ahead.
const FARTHEST: i64 = 60 * 60 * 1_000_000;

/// Takes the next `places` of the rate called `name`, one to each `gap`; how long it is until the first of them, on the
/// database's clock. Places that nobody took in time are gone: they are not made up for later.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn take(db: &impl Connection, name: &str, places: u32, gap: Duration) -> Result<Duration, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        wait: i64,
    }
    let now = micros(db);
    // In a transaction of its own, as the database's clock goes on while others hold the row.
    let sql = format!(
        "INSERT INTO rates (name, next) VALUES ($1, {now} + $2)
         ON CONFLICT (name) DO UPDATE SET next =
             CASE WHEN rates.next > {now} AND rates.next < {now} + {FARTHEST} THEN rates.next ELSE {now} END + $2
         RETURNING next - $2 - {now} AS wait"
    );
    let taken = gap.saturating_mul(places);
    let taken = i64::try_from(taken.as_micros()).unwrap_or(i64::MAX / 4);
    let row = one::<Row>(db, &sql, [name.into(), taken.into()]).await?;
    let wait = row.ok_or(Error::unreadable("rates", "next"))?.wait;
    Ok(Duration::from_micros(u64::try_from(wait).unwrap_or(0)))
}

/// Now, on the database's clock, in microseconds.
fn micros(db: &impl ConnectionTrait) -> &'static str {
    match db.get_database_backend() {
        DatabaseBackend::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
        _ => "CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)",
    }
}

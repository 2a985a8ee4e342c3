//! Telling idle workers of every process that there is something to do.
//!
//! A call only wakes: what there is to do stands in the tables, and whoever misses a call finds it at the next look.
//! Between processes PostgreSQL carries it. One process alone sends from a SQLite file, and wakes itself.

use crate::sql::execute;
use crate::{Connection, Error, Pool};
use sea_orm::{ConnectionTrait, DatabaseBackend};
use sqlx::postgres::PgListener;
use std::convert::Infallible;

/// What workers listen to.
const CHANNEL: &str = "rebound_work";

/// Wakes the workers of every process; from a transaction, as soon as it is committed.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn call(db: &impl Connection) -> Result<(), Error> {
    if db.get_database_backend() == DatabaseBackend::Postgres {
        execute(db, &format!("NOTIFY {CHANNEL}"), []).await?;
    }
    Ok(())
}

/// Listens for calls at the database `db` with the address `url`, and tells `awake` of each: also when it has just
/// begun to listen, for nobody knows what was called before. It ends only when the line breaks.
///
/// # Errors
/// [`Error::Unavailable`] when the line breaks, or cannot be made.
pub async fn listen(db: &Pool, url: &str, awake: impl Fn()) -> Result<Infallible, Error> {
    if db.get_database_backend() != DatabaseBackend::Postgres {
        return Ok(std::future::pending().await);
    }
    let mut listener = PgListener::connect(url).await?;
    listener.listen(CHANNEL).await?;
    loop {
        awake();
        // It makes a broken line anew by itself, and says so with `None`.
        listener.try_recv().await?;
    }
}

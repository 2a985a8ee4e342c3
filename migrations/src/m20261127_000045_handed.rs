//! A hand-over is marked in a column of its own.

use crate::portable;
use crate::sea_orm::DatabaseBackend;
use sea_orm_migration::prelude::*;

/// Since when a delivery is handed over; nothing by which deliveries are found changes with it, so that a mark writes to no
/// index. What arrived in the end is found by the try that arrived.
///
/// A program of before that runs on marks by the state 3, which nobody looks for any more: it must not be able to.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// SQLite asks the rule of all rows when the column comes: what is marked waits for it as leased, with a time before all times.
const MARK: &str = "
UPDATE deliveries SET state = 2, due = -1 - due WHERE state IN (2, 3) AND state = 3;
ALTER TABLE deliveries ADD COLUMN handed BIGINT CHECK (state <> 3 AND (handed IS NULL OR state = 2));
UPDATE deliveries SET handed = -1 - due, due = -1 - due WHERE state IN (2, 3) AND state = 2 AND due < 0;
DROP INDEX deliveries_worker;
DROP INDEX deliveries_recovered;
CREATE INDEX deliveries_worker ON deliveries (worker) WHERE state = 2;
CREATE INDEX attempts_recovered ON attempts (settled) WHERE outcome = 0 AND number > 1
";

/// Room for the mark beside what was leased: only there PostgreSQL leaves the indexes alone.
const ROOM: &str = "ALTER TABLE deliveries SET (fillfactor = 80)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// SQLite would otherwise keep half of it where it is cut off, and never begin it again.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        portable(manager, MARK).await?;
        match manager.get_database_backend() {
            DatabaseBackend::Postgres => portable(manager, ROOM).await,
            _ => Ok(()),
        }
    }
}

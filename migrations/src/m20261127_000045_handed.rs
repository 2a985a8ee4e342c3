//! A hand-over is marked in a column of its own.

use crate::portable;
use crate::sea_orm::DatabaseBackend;
use sea_orm_migration::prelude::*;

/// Since when a delivery is handed over; nothing by which deliveries are found changes with it, so that a mark writes to no
/// index. What arrived in the end is found by the try that arrived.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const MARK: &str = "
DROP INDEX deliveries_worker;
DROP INDEX deliveries_recovered;
ALTER TABLE deliveries ADD COLUMN handed BIGINT CHECK (handed IS NULL OR state = 2);
UPDATE deliveries SET handed = due, state = 2 WHERE state = 3;
CREATE INDEX deliveries_worker ON deliveries (worker) WHERE state = 2;
CREATE INDEX attempts_recovered ON attempts (settled, delivery_id) WHERE outcome = 0 AND number > 1
";

/// Room for the mark beside what was leased: only there PostgreSQL leaves the indexes alone.
const ROOM: &str = "ALTER TABLE deliveries SET (fillfactor = 80)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        portable(manager, MARK).await?;
        match manager.get_database_backend() {
            DatabaseBackend::Postgres => portable(manager, ROOM).await,
            _ => Ok(()),
        }
    }
}

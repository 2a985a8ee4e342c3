//! What sending asks of the database costs the same after many campaigns as after none.

use crate::portable;
use crate::sea_orm::DatabaseBackend;
use sea_orm_migration::prelude::*;

/// Campaigns are found by their state without reading what they say; one index of deliveries does the work of two; and
/// PostgreSQL tidies up behind the sending campaign, however many rows of others stand in the table.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const INDEXES: &str = "
CREATE INDEX campaigns_state ON campaigns (state, id);
DROP INDEX deliveries_contact;
DROP INDEX deliveries_once;
CREATE UNIQUE INDEX deliveries_once ON deliveries (contact_id, (id >> 31))
";

/// A message leaves three dead versions of its row, and their entries in the partial indexes that claims go by. By
/// default they are cleared away when they are a fifth of the table: of all campaigns there ever were.
const TIDY: &str = "
ALTER TABLE deliveries SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 50000,
    autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 50000)
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        portable(manager, INDEXES).await?;
        match manager.get_database_backend() {
            DatabaseBackend::Postgres => portable(manager, TIDY).await,
            _ => Ok(()),
        }
    }
}

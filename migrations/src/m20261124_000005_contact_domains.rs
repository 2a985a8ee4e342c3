//! The domain of each contact, so that people can be found and counted by provider.

use crate::portable;
use sea_orm_migration::prelude::*;

/// Adds the domain to each contact, and fills it for those who are there.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let fill = match manager.get_database_backend() {
            crate::sea_orm::DatabaseBackend::Postgres => "split_part(key, '@', -1)",
            // The shortest end that follows an @: all before it is trimmed by what the key holds beside @.
            _ => "replace(key, rtrim(key, replace(key, '@', '')), '')",
        };
        let statements = format!(
            "ALTER TABLE contacts ADD COLUMN domain TEXT NOT NULL DEFAULT '';
             UPDATE contacts SET domain = {fill};
             CREATE INDEX contacts_domain ON contacts (domain, id)"
        );
        portable(manager, &statements).await
    }
}

//! What the pages need to stay fast over a million contacts: names to search by, and indexes that answer alone. And
//! lists that are put away.

use crate::portable;
use crate::sea_orm::DatabaseBackend;
use sea_orm_migration::prelude::*;

/// Adds the folded names of contacts and the day a list was put away, compares addresses byte by byte, and adds the
/// indexes.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Text of ours is folded before it is kept, so PostgreSQL need not ask a language how to order it. Only then can
/// an index find what begins with a word, and both engines sort alike.
const BYTEWISE: &str = r#"
ALTER TABLE contacts ALTER COLUMN key TYPE TEXT COLLATE "C", ALTER COLUMN domain TYPE TEXT COLLATE "C";
ALTER TABLE suppressions ALTER COLUMN key TYPE TEXT COLLATE "C";
ALTER TABLE standings ALTER COLUMN key TYPE TEXT COLLATE "C";
ALTER TABLE events ALTER COLUMN key TYPE TEXT COLLATE "C";
ALTER TABLE complaints ALTER COLUMN key TYPE TEXT COLLATE "C";
ALTER TABLE bounces ALTER COLUMN key TYPE TEXT COLLATE "C", ALTER COLUMN domain TYPE TEXT COLLATE "C",
    ALTER COLUMN cause TYPE TEXT COLLATE "C";
ALTER TABLE contacts ADD COLUMN name TEXT COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN surname TEXT COLLATE "C" NOT NULL DEFAULT '';
"#;

const NAMES: &str = "
ALTER TABLE contacts ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE contacts ADD COLUMN surname TEXT NOT NULL DEFAULT '';
";

/// The partial indexes of deliveries are left alone while a message is on its way: only how it ended badly, or at last
/// well, is written to them.
const INDEXES: &str = "
ALTER TABLE lists ADD COLUMN archived BIGINT;
CREATE INDEX contacts_name ON contacts (name, id) WHERE name <> '';
CREATE INDEX contacts_surname ON contacts (surname, id) WHERE surname <> '';
CREATE INDEX subscriptions_state ON subscriptions (list_id, state, contact_id);
CREATE INDEX subscriptions_since ON subscriptions (list_id, since);
CREATE INDEX suppressions_reason ON suppressions (reason, since, key, scope, until);
CREATE INDEX deliveries_ended ON deliveries (id, state) WHERE state IN (4, 6, 7, 8);
CREATE INDEX deliveries_recovered ON deliveries (since) WHERE state = 5 AND attempts > 1;
CREATE INDEX bounces_last ON bounces (campaign_id, delivery_id, id DESC, cause, hard);
CREATE INDEX bounces_cause ON bounces (cause, at, domain, campaign_id, is_final, hard)
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let postgres = manager.get_database_backend() == DatabaseBackend::Postgres;
        let field = |name: &str| {
            let value =
                if postgres { format!("fields::json->>'{name}'") } else { format!("json_extract(fields, '$.{name}')") };
            format!("COALESCE(trim({value}), '')")
        };
        let (first, last, whole) = (field("first_name"), field("last_name"), field("name"));
        let columns = if postgres { BYTEWISE } else { NAMES };
        let statements = format!(
            "{columns}
             UPDATE contacts SET surname = lower({last}),
                 name = lower(CASE WHEN {first} || {last} = '' THEN {whole} ELSE trim({first} || ' ' || {last}) END)
             WHERE fields <> '{{}}';
             {INDEXES}"
        );
        portable(manager, &statements).await
    }
}

//! From a launched campaign to its deliveries, a chunk at a time.

use crate::sql::{execute, millis, number, off, one};
use crate::{Audience, Error, Transaction};
use chrono::{DateTime, Utc};
use rebound_domain::{Campaign, CampaignId};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult};

/// Deliveries that are planned by one transaction: few enough that whoever sends does not wait for it for long, where
/// there is one writer.
pub const CHUNK: i64 = 2_000;

/// How far the planning of a campaign has come.
#[derive(FromQueryResult)]
struct Progress {
    planned: i64,
    audience_cursor: i64,
}

/// Whether `tx` may plan the campaign: it is being planned still, and nobody else is at it right now. Until `tx` ends,
/// nobody else plans it, nor moves it to another state.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn is_ours_to_plan(tx: &Transaction, id: CampaignId) -> Result<bool, Error> {
    // 2 is planning.
    let sql = format!("SELECT id FROM campaigns WHERE id = $1 AND state = 2 {}", locked(tx, "SKIP LOCKED"));
    Ok(number(tx, &sql, [id.0.into()]).await? == id.0)
}

/// Plans the next deliveries of a launched campaign: those of its [audience](crate::audience) who joined before its
/// cut-off, each once, in order of their ids. Answers how many; fewer than [`CHUNK`] when the audience is through. Who
/// plans the same campaign at the same time waits, and goes on behind them.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn plan(tx: &Transaction, campaign: &Campaign, now: DateTime<Utc>) -> Result<i64, Error> {
    let (id, list) = (campaign.id.0, campaign.draft.list.0);
    if let Some(resend) = campaign.resend {
        // Two resends of one campaign are planned one after the other, so that nobody is in both.
        progress(tx, resend.of).await?;
    }
    let Progress { planned, audience_cursor } = progress(tx, campaign.id).await?;
    if tx.get_database_backend() == DatabaseBackend::Postgres {
        // From the cursor on, person by person: a chunk must cost the same however long the list is, and however many
        // people are on others. That shows only with the list and the cursor at hand, so it plans anew each time.
        let ways: &[&str] = match campaign.resend {
            None => &["seqscan", "bitmapscan", "sort", "hashjoin", "mergejoin"],
            Some(_) => &[],
        };
        let anew = "set_config('plan_cache_mode', 'force_custom_plan', true)";
        execute(tx, &format!("SELECT {anew}, {}", off(ways)), []).await?;
    }
    let cutoff = millis(campaign.launched.unwrap_or(now));
    let first = (id << 31) + planned;
    // The ordinals go on from those planned before, and the cursor moves in the same transaction. It stands for both
    // tables: PostgreSQL would not conclude that the one ends where the other does, and begin with the first contact.
    let sql = format!(
        "INSERT INTO deliveries (id, contact_id, state, due, attempts)
         SELECT CAST($3 AS BIGINT) + row_number() OVER (ORDER BY chosen.contact_id) - 1, chosen.contact_id, 0,
             CAST($2 AS BIGINT), 0
         FROM (SELECT s.contact_id FROM {} AND s.since <= $4 AND s.contact_id > $5 AND c.id > $5
               ORDER BY s.contact_id LIMIT $6) AS chosen",
        Audience::of(campaign).tables()
    );
    let values = [list.into(), millis(now).into(), first.into(), cutoff.into(), audience_cursor.into(), CHUNK.into()];
    let added = i64::try_from(execute(tx, &sql, values).await?).unwrap_or(0);
    if added > 0 {
        let sql = "UPDATE campaigns SET planned = planned + $1,
                audience_cursor = (SELECT contact_id FROM deliveries WHERE id = $2)
            WHERE id = $3";
        execute(tx, sql, [added.into(), (first + added - 1).into(), id.into()]).await?;
    }
    Ok(added)
}

/// Its progress, which nobody else moves until `tx` ends.
async fn progress(tx: &Transaction, id: CampaignId) -> Result<Progress, Error> {
    let sql = format!("SELECT planned, audience_cursor FROM campaigns WHERE id = $1 {}", locked(tx, ""));
    let progress = one(tx, &sql, [id.0.into()]).await?;
    progress.ok_or(Error::unreadable("campaigns", "id"))
}

/// SQLite has one writer. In PostgreSQL a row is locked, but not against those who only refer to it.
fn locked(tx: &Transaction, how: &str) -> String {
    match tx.get_database_backend() {
        DatabaseBackend::Postgres => format!("FOR NO KEY UPDATE {how}"),
        _ => String::new(),
    }
}

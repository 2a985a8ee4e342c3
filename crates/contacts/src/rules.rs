//! The installation's own rules for reading bounces: which are in force, making one of a bounce, and what follows for
//! the history.
//!
//! ```text
//! a bounce read wrongly ─ propose ─▶ NewRule ─ foresee ─▶ what would change ─ make_rule ─▶ a version + a job
//!                                                                                            │
//!          ingest, send, pages ◀─ RuleBook: the newest version, compiled ◀───────────────────┘
//! ```

mod book;
mod history;
mod proposal;

pub use book::{InForce, RuleBook, check};
pub use history::{Foreseen, foresee, rejudge_later};
pub(crate) use history::{Part, rejudge_part};
pub use proposal::{NewRule, ids_of, propose};

use crate::Error;
use chrono::{DateTime, Utc};
use rebound_classify::Rules;
use rebound_db::events::{self, Event};
use rebound_db::rule_files::{self, Saved};
use rebound_db::{Pool, Transaction};
use rebound_domain::JobId;

/// The longest text of rules, in bytes.
pub const LONGEST_RULES: usize = 256 << 10;

/// Saves `text`, which was written with version `based_on` before one's eyes, and puts it in force; its version.
///
/// # Errors
/// [`Error::FaultyRules`], [`Error::RulesChanged`] when another version is in force by now; [`Error::Database`]
pub async fn save_rules(
    pool: &Pool,
    text: &str,
    based_on: i64,
    (actor, note): (&str, &str),
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    let text = check(text).await?;
    let tx = pool.begin().await?;
    let version = save(&tx, &text, based_on, (actor, note), now).await?;
    tx.commit().await?;
    Ok(version)
}

/// Adds `rule` to version `based_on`, puts both in force, and has the history judged again by it: the new version, and
/// the work.
///
/// # Errors
/// As [`save_rules`].
pub async fn make_rule(
    pool: &Pool,
    rule: &NewRule,
    based_on: i64,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(i64, Option<JobId>), Error> {
    let before = rule_files::text(pool, based_on).await?.unwrap_or_default();
    let text = check(&rule.laid_on(&before)).await?;
    let tx = pool.begin().await?;
    let version = save(&tx, &text, based_on, (actor, &format!("{}: {}", rule.id, rule.why.trim())), now).await?;
    let job = rejudge_later(&tx, version, Some(&rule.id), actor, now).await?;
    tx.commit().await?;
    Ok((version, job))
}

async fn save(
    tx: &Transaction,
    text: &str,
    based_on: i64,
    (actor, note): (&str, &str),
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    let in_force = rule_files::in_force(tx).await?;
    let version = in_force + 1;
    let saved = Saved { version, note: note.trim().to_owned(), actor: actor.to_owned(), at: now };
    // The number is taken where two save at once.
    if in_force != based_on || !rule_files::add(tx, &saved, text).await? {
        return Err(Error::RulesChanged { version: in_force.max(based_on + 1) });
    }
    let event = Event {
        at: now,
        kind: "rules.saved",
        actor,
        subject: "rules",
        subject_id: Some(version),
        key: None,
        detail: saved.note,
    };
    events::add(tx, &event).await?;
    Ok(version)
}

/// The rules of a text; `None` where it holds none, and those built in are in force alone.
fn compiled(text: &str) -> Result<Option<Rules>, Vec<rebound_classify::Fault>> {
    if text.trim().is_empty() { Ok(None) } else { Rules::with(text).map(Some) }
}

//! What people say that bounces were: facts of their own, beside the verdicts.

use crate::sql::{all, execute, json, millis, number, rows, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, BounceId, Case};
use sea_orm::FromQueryResult;

/// Somebody said what a bounce was, or took that back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The bounce that they were looking at.
    pub origin: BounceId,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// What it was; `None` where a correction was taken back, and the verdict rules again.
    pub judged: Option<Case>,
    /// Why, in their words.
    pub why: String,
    /// How many bounces they said it of.
    pub bounces: i64,
    /// The rule that judged it again, where no person said it: `judged` is `None` where the rule says so no more.
    pub rule: Option<String>,
}

const ALIKE: &str = "FROM bounces o CROSS JOIN bounces b
     WHERE o.id = $1 AND b.domain = o.domain AND b.words = o.words AND b.is_final AND o.words <> ''";

/// How many final bounces came from the same domain with the same words as `id`, itself included.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn alike_count(db: &impl Connection, id: BounceId) -> Result<i64, Error> {
    number(db, &format!("SELECT COUNT(*) {ALIKE}"), [id.0.into()]).await
}

/// The newest of those, at most `limit`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn alike(db: &impl Connection, id: BounceId, limit: u32) -> Result<Vec<(BounceId, AddressKey)>, Error> {
    let sql = format!("SELECT b.id, b.key {ALIKE} ORDER BY b.id DESC LIMIT $2");
    Ok(touched(all(db, &sql, [id.0.into(), i64::from(limit).into()]).await?))
}

/// Notes what `actor` says that `bounces` were (`None`: what the verdicts say), looking at `origin`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn correct(
    db: &impl Connection,
    origin: BounceId,
    bounces: &[BounceId],
    judged: Option<Case>,
    (actor, why): (&str, &str),
    now: DateTime<Utc>,
) -> Result<(), Error> {
    #[derive(serde::Serialize)]
    struct Id {
        id: i64,
    }
    let ids = json(bounces.iter().map(|id| Id { id: id.0 }))?;
    let wanted = rows(db, 1, &[("id", "BIGINT")]);
    let judged = judged.map(|case| case.to_string());
    let sql = format!(
        "INSERT INTO corrections (bounce_id, origin, at, actor, judged, why)
         SELECT id, $2, $3, $4, $5, $6 FROM {wanted}"
    );
    let values: [sea_orm::Value; 6] =
        [ids.as_str().into(), origin.0.into(), millis(now).into(), actor.into(), judged.clone().into(), why.into()];
    execute(db, &sql, values).await?;
    let sql = format!("UPDATE bounces SET corrected = $2 WHERE id IN (SELECT id FROM {wanted})");
    execute(db, &sql, [ids.into(), judged.into()]).await?;
    Ok(())
}

/// What was said of the bounce `id`, newest first.
///
/// # Errors
/// [`Error`]
pub async fn corrections(db: &impl Connection, id: BounceId) -> Result<Vec<Correction>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        origin: i64,
        at: i64,
        actor: String,
        judged: Option<String>,
        why: String,
        bounces: i64,
        rule: Option<String>,
    }
    let sql = "SELECT c.origin, c.at, c.actor, c.judged, c.why, c.rule,
            (SELECT COUNT(*) FROM corrections t WHERE t.origin = c.origin AND t.at = c.at) AS bounces
         FROM corrections c WHERE c.bounce_id = $1 ORDER BY c.id DESC";
    let found: Vec<Row> = all(db, sql, [id.0.into()]).await?;
    let read = |row: Row| {
        let judged = row.judged.map(|name| name.parse()).transpose();
        Ok(Correction {
            origin: BounceId(row.origin),
            at: time(row.at),
            actor: row.actor,
            judged: judged.map_err(|_| Error::unreadable("corrections", "judged"))?,
            why: row.why,
            bounces: row.bounces,
            rule: row.rule,
        })
    };
    found.into_iter().map(read).collect()
}

/// The bounces of one correction that still rules: what was said of them since is left alone.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn corrected_together(
    db: &impl Connection,
    correction: &Correction,
) -> Result<Vec<(BounceId, AddressKey)>, Error> {
    let sql = "SELECT b.id, b.key FROM corrections c JOIN bounces b ON b.id = c.bounce_id
         WHERE c.origin = $1 AND c.at = $2
           AND NOT EXISTS (SELECT 1 FROM corrections n WHERE n.bounce_id = c.bounce_id AND n.id > c.id)
         ORDER BY b.id";
    Ok(touched(all(db, sql, [correction.origin.0.into(), millis(correction.at).into()]).await?))
}

#[derive(FromQueryResult)]
struct Touched {
    id: i64,
    key: String,
}

fn touched(rows: Vec<Touched>) -> Vec<(BounceId, AddressKey)> {
    rows.into_iter().map(|row| (BounceId(row.id), AddressKey::stored(row.key))).collect()
}

//! Suppressions: the addresses that are not written to, and why.

use crate::sql::{all, execute, keys_json, millis, number, rows, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, ListId, Scope, Suppression, SuppressionReason};
use sea_orm::{FromQueryResult, Value};
use std::collections::{BTreeMap, HashMap};

/// Adds one; several may stand for one address, and the strongest rules. One that stands already keeps its
/// beginning, and takes the new end and evidence.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn add(db: &impl Connection, suppression: &Suppression) -> Result<(), Error> {
    add_all(db, std::slice::from_ref(suppression)).await
}

/// Adds many: see [`add`]. No two may share address, scope and reason.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn add_all(db: &impl Connection, suppressions: &[Suppression]) -> Result<(), Error> {
    if suppressions.is_empty() {
        return Ok(());
    }
    let json: Vec<serde_json::Value> = suppressions
        .iter()
        .map(|one| {
            serde_json::json!({
                "key": one.address, "scope": scope_number(one.scope), "reason": one.reason.code(),
                "since": millis(one.since), "until": one.until.map(millis), "evidence": one.evidence,
            })
        })
        .collect();
    let columns = [
        ("key", "TEXT"),
        ("scope", "BIGINT"),
        ("reason", "SMALLINT"),
        ("since", "BIGINT"),
        ("until", "BIGINT"),
        ("evidence", "TEXT"),
    ];
    // `WHERE true`: else SQLite takes ON for part of a join.
    let sql = format!(
        "INSERT INTO suppressions (key, scope, reason, since, until, evidence)
         SELECT key, scope, reason, since, until, evidence FROM {} WHERE true
         ON CONFLICT (key, scope, reason) DO UPDATE SET
            since = CASE WHEN suppressions.until IS NULL OR suppressions.until > excluded.since
                         THEN suppressions.since ELSE excluded.since END,
            until = excluded.until, evidence = excluded.evidence",
        rows(db, 1, &columns)
    );
    execute(db, &sql, [serde_json::Value::Array(json).to_string().into()]).await?;
    Ok(())
}

/// Removes one; whether there was one.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn remove(
    db: &impl Connection,
    key: &AddressKey,
    scope: Scope,
    reason: SuppressionReason,
) -> Result<bool, Error> {
    let sql = "DELETE FROM suppressions WHERE key = $1 AND scope = $2 AND reason = $3";
    let values: [Value; 3] = [key.as_str().into(), scope_number(scope).into(), reason.code().into()];
    Ok(execute(db, sql, values).await? > 0)
}

/// Removes those with the same address, scope and reason as `which`; those that there were.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn remove_all(db: &impl Connection, which: &[Suppression]) -> Result<Vec<Suppression>, Error> {
    let json: Vec<serde_json::Value> = which
        .iter()
        .map(|one| {
            serde_json::json!({ "key": one.address, "scope": scope_number(one.scope), "reason": one.reason.code() })
        })
        .collect();
    let sql = format!(
        "DELETE FROM suppressions WHERE (key, scope, reason) IN (SELECT key, scope, reason FROM {}) RETURNING *",
        rows(db, 1, &[("key", "TEXT"), ("scope", "BIGINT"), ("reason", "SMALLINT")])
    );
    read(all(db, &sql, [serde_json::Value::Array(json).to_string().into()]).await?)
}

/// Removes what stands for all mail to `keys` because of bounces; nothing else.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn remove_bounced(db: &impl Connection, keys: &[AddressKey]) -> Result<(), Error> {
    if keys.is_empty() {
        return Ok(());
    }
    // Soft and hard.
    let sql = format!(
        "DELETE FROM suppressions WHERE scope = 0 AND reason IN (0, 1) AND key IN (SELECT key FROM {})",
        rows(db, 1, &[("key", "TEXT")])
    );
    execute(db, &sql, [keys_json(keys)?.into()]).await?;
    Ok(())
}

/// All that were ever added for an address and not removed, newest first; some may be over.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn of(db: &impl Connection, key: &AddressKey) -> Result<Vec<Suppression>, Error> {
    let sql = "SELECT * FROM suppressions WHERE key = $1 ORDER BY since DESC, scope DESC, reason DESC";
    read(all(db, sql, [key.as_str().into()]).await?)
}

/// Of each of `keys` that is suppressed at `now`, the strongest: for all mail, and for mail to `list`.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn standing(
    db: &impl Connection,
    keys: &[AddressKey],
    list: Option<ListId>,
    now: DateTime<Utc>,
) -> Result<HashMap<AddressKey, Suppression>, Error> {
    let sql = format!(
        "SELECT s.* FROM {} CROSS JOIN suppressions s
         WHERE s.key = rows.key AND s.scope IN (0, $2) AND s.since <= $3 AND (s.until IS NULL OR s.until > $3)
         ORDER BY s.reason",
        rows(db, 1, &[("key", "TEXT")])
    );
    let list = list.map_or(0, |list| list.0);
    let standing = read(all(db, &sql, [keys_json(keys)?.into(), list.into(), millis(now).into()]).await?)?;
    // Weakest first, so that the strongest stays.
    Ok(standing.into_iter().map(|one| (one.address.clone(), one)).collect())
}

/// Which suppressions a page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those with this reason.
    pub reason: Option<SuppressionReason>,
    /// Only addresses that begin with this, or, where it begins with `@`, of this domain.
    pub search: String,
    /// Only those that end at this time or later.
    pub ends_from: Option<DateTime<Utc>>,
    /// Only those that end before this time.
    pub ends_before: Option<DateTime<Utc>>,
}

impl Filter {
    /// What a row fulfils that stands and fits; of `$1` to `$5`.
    const FITS: &str = "since <= $1 AND (until IS NULL OR until > $1) AND ($2 < 0 OR reason = $2)
         AND key LIKE $3 ESCAPE '!' AND ($4 < 0 OR until >= $4) AND ($5 < 0 OR until < $5)";

    fn values(&self, now: DateTime<Utc>) -> Vec<Value> {
        let time = |at: Option<DateTime<Utc>>| Value::from(at.map_or(-1, millis));
        let reason = self.reason.map_or(-1, SuppressionReason::code);
        vec![
            millis(now).into(),
            reason.into(),
            pattern(&self.search).into(),
            time(self.ends_from),
            time(self.ends_before),
        ]
    }
}

/// Those that stand at `now`, newest first, that come after `after`.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn page(
    db: &impl Connection,
    filter: &Filter,
    after: Option<&Suppression>,
    limit: u32,
    now: DateTime<Utc>,
) -> Result<Vec<Suppression>, Error> {
    let sql = format!(
        "SELECT * FROM suppressions WHERE {} AND (since, key, scope, reason) < ($6, $7, $8, $9)
         ORDER BY since DESC, key DESC, scope DESC, reason DESC LIMIT $10",
        Filter::FITS
    );
    let mut values = filter.values(now);
    values.extend([
        after.map_or(i64::MAX, |last| millis(last.since)).into(),
        after.map_or("", |last| last.address.as_str()).into(),
        after.map_or(0, |last| scope_number(last.scope)).into(),
        after.map_or(0, |last| last.reason.code()).into(),
        i64::from(limit).into(),
    ]);
    read(all(db, &sql, values).await?)
}

/// How many of those there are.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn count(db: &impl Connection, filter: &Filter, now: DateTime<Utc>) -> Result<i64, Error> {
    number(db, &format!("SELECT COUNT(*) FROM suppressions WHERE {}", Filter::FITS), filter.values(now)).await
}

/// How many stand at `now`, by reason; a reason that none has is left out.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn counts(db: &impl Connection, now: DateTime<Utc>) -> Result<BTreeMap<SuppressionReason, i64>, Error> {
    #[derive(FromQueryResult)]
    struct Count {
        reason: i16,
        count: i64,
    }
    let sql = "SELECT reason, COUNT(*) AS count FROM suppressions
               WHERE since <= $1 AND (until IS NULL OR until > $1) GROUP BY reason";
    let counts: Vec<Count> = all(db, sql, [millis(now).into()]).await?;
    counts.into_iter().map(|row| Ok((reason(row.reason)?, row.count))).collect()
}

/// How many addresses are suppressed for all mail at `now`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn addresses(db: &impl Connection, now: DateTime<Utc>) -> Result<i64, Error> {
    let sql = "SELECT COUNT(DISTINCT key) FROM suppressions
               WHERE scope = 0 AND since <= $1 AND (until IS NULL OR until > $1)";
    number(db, sql, [millis(now).into()]).await
}

/// What `LIKE … ESCAPE '!'` is asked for: keys that begin with `search`, or that end with it if it is a domain.
pub(crate) fn pattern(search: &str) -> String {
    let mut escaped = String::with_capacity(search.len() + 1);
    for c in search.trim().chars().flat_map(char::to_lowercase) {
        if matches!(c, '%' | '_' | '!') {
            escaped.push('!');
        }
        escaped.push(c);
    }
    if search.trim_start().starts_with('@') { format!("%{escaped}") } else { format!("{escaped}%") }
}

fn scope_number(scope: Scope) -> i64 {
    match scope {
        Scope::Everywhere => 0,
        Scope::List(list) => list.0,
    }
}

fn reason(code: i16) -> Result<SuppressionReason, Error> {
    SuppressionReason::from_code(code).ok_or(Error::unreadable("suppressions", "reason"))
}

#[derive(FromQueryResult)]
struct Row {
    key: String,
    scope: i64,
    reason: i16,
    since: i64,
    until: Option<i64>,
    evidence: String,
}

fn read(rows: Vec<Row>) -> Result<Vec<Suppression>, Error> {
    rows.into_iter().map(Suppression::try_from).collect()
}

impl TryFrom<Row> for Suppression {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            address: AddressKey::stored(row.key),
            scope: if row.scope == 0 { Scope::Everywhere } else { Scope::List(ListId(row.scope)) },
            reason: reason(row.reason)?,
            since: time(row.since),
            until: row.until.map(time),
            evidence: row.evidence,
        })
    }
}

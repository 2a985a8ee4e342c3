//! Keys that sign mail. Their secrets are kept sealed; nothing here opens them.

use crate::sql::{all, execute, millis, number, one, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{DkimKey, DkimKeyId, KeyAlgorithm, KeyState, RecordState, SendingDomainId};
use sea_orm::FromQueryResult;

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The key.
    pub key: DkimKey,
    /// The sealed secret; empty once the key is over.
    pub sealed: String,
}

/// A key that is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct New<'a> {
    /// Whose.
    pub domain: SendingDomainId,
    /// Where its record is.
    pub selector: &'a str,
    /// How it signs.
    pub algorithm: KeyAlgorithm,
    /// The public half, in base64.
    pub public: &'a str,
}

/// All keys of a domain, the newest first.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn of(db: &impl Connection, domain: SendingDomainId) -> Result<Vec<Kept>, Error> {
    let sql = "SELECT * FROM dkim_keys WHERE domain_id = $1 ORDER BY id DESC";
    all::<Row>(db, sql, [domain.0.into()]).await?.into_iter().map(Kept::try_from).collect()
}

/// All keys of all domains that are not over, the oldest first.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn at_work(db: &impl Connection) -> Result<Vec<Kept>, Error> {
    let sql = "SELECT * FROM dkim_keys WHERE state <> 'retired' ORDER BY id";
    all::<Row>(db, sql, []).await?.into_iter().map(Kept::try_from).collect()
}

/// The one with `id`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn get(db: &impl Connection, id: DkimKeyId) -> Result<Option<Kept>, Error> {
    let row = one::<Row>(db, "SELECT * FROM dkim_keys WHERE id = $1", [id.0.into()]).await?;
    row.map(Kept::try_from).transpose()
}

/// Keeps a key that waits, without its secret.
///
/// # Errors
/// [`Error::Taken`] when the selector is, or another key of its kind waits; [`Error::Unavailable`].
pub async fn create(db: &impl Connection, new: New<'_>, now: DateTime<Utc>) -> Result<DkimKeyId, Error> {
    let sql = "INSERT INTO dkim_keys (domain_id, selector, algorithm, public_key, secret, state, since, made)
               VALUES ($1, $2, $3, $4, '', 'waiting', $5, $5) ON CONFLICT DO NOTHING";
    let New { domain, selector, algorithm, public } = new;
    let values = [domain.0.into(), selector.into(), algorithm.as_str().into(), public.into(), millis(now).into()];
    if execute(db, sql, values).await? == 0 {
        return Err(Error::Taken { what: "selector" });
    }
    let sql = "SELECT id FROM dkim_keys WHERE domain_id = $1 AND selector = $2";
    Ok(DkimKeyId(number(db, sql, [domain.0.into(), selector.into()]).await?))
}

/// Keeps a sealed secret; empty for none.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn set_secret(db: &impl Connection, id: DkimKeyId, sealed: &str) -> Result<(), Error> {
    execute(db, "UPDATE dkim_keys SET secret = $1 WHERE id = $2", [sealed.into(), id.0.into()]).await?;
    Ok(())
}

/// Moves a key from one state to another; `false` when it was in another one by then. A key that is over loses its
/// secret.
///
/// # Errors
/// [`Error::Unavailable`], also where another key of its kind signs already.
pub async fn set_state(
    db: &impl Connection,
    id: DkimKeyId,
    (from, to): (KeyState, KeyState),
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let until = match to {
        KeyState::Retiring { until, .. } => Some(millis(until)),
        KeyState::Waiting | KeyState::Active { .. } | KeyState::Retired { .. } => None,
    };
    let sql = "UPDATE dkim_keys SET state = $1, since = $2, until = $3,
                   secret = CASE WHEN $1 = 'retired' THEN '' ELSE secret END WHERE id = $4 AND state = $5";
    let values = [to.as_str().into(), millis(now).into(), until.into(), id.0.into(), from.as_str().into()];
    Ok(execute(db, sql, values).await? == 1)
}

/// Keeps what was found under the name of its record.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn note_check(
    db: &impl Connection,
    id: DkimKeyId,
    found: &RecordState,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let sql = "UPDATE dkim_keys SET checked = $1, record = $2, fault = $3 WHERE id = $4";
    execute(db, sql, [millis(now).into(), found.as_str().into(), found.why().into(), id.0.into()]).await?;
    Ok(())
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    domain_id: i64,
    selector: String,
    algorithm: String,
    public_key: String,
    secret: String,
    state: String,
    since: i64,
    until: Option<i64>,
    made: i64,
    checked: Option<i64>,
    record: Option<String>,
    fault: Option<String>,
}

impl TryFrom<Row> for Kept {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = |column| Error::unreadable("dkim_keys", column);
        let since = time(row.since);
        let state = match (row.state.as_str(), row.until) {
            ("waiting", _) => KeyState::Waiting,
            ("active", _) => KeyState::Active { since },
            ("retiring", Some(until)) => KeyState::Retiring { since, until: time(until) },
            ("retiring", None) => return Err(wrong("until")),
            ("retired", _) => KeyState::Retired { since },
            _ => return Err(wrong("state")),
        };
        let found = row.record.map(|name| RecordState::named(&name, row.fault.as_deref().unwrap_or_default()));
        let checked = match (row.checked, found) {
            (Some(at), Some(found)) => Some((time(at), found.ok_or(wrong("record"))?)),
            _ => None,
        };
        let key = DkimKey {
            id: DkimKeyId(row.id),
            domain: SendingDomainId(row.domain_id),
            selector: row.selector,
            algorithm: KeyAlgorithm::named(&row.algorithm).ok_or(wrong("algorithm"))?,
            public: row.public_key,
            state,
            made: time(row.made),
            checked,
        };
        Ok(Self { key, sealed: row.secret })
    }
}

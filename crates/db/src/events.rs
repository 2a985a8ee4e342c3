//! Events: who did what, when. The timeline of an address, and the audit of the whole.

use crate::sql::{all, execute, millis, one, rows, time};
use crate::{Connection, Error};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_domain::AddressKey;
use sea_orm::FromQueryResult;

/// Something that is to be noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// When.
    pub at: DateTime<Utc>,
    /// What, in one word or two joined by a dot: `suppressed`, `campaign.launched`.
    pub kind: &'a str,
    /// Who: a person's e-mail address, or `rebound` where nobody had to ask.
    pub actor: &'a str,
    /// The noun it is about: `contact`, `campaign`.
    pub subject: &'a str,
    /// Which of them.
    pub subject_id: Option<i64>,
    /// The address it is about.
    pub key: Option<AddressKey>,
    /// The rest, in words.
    pub detail: String,
}

/// An [`Event`] that was noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the order of noting.
    pub id: i64,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What happened.
    pub kind: String,
    /// Who did it.
    pub actor: String,
    /// The noun it is about.
    pub subject: String,
    /// Which of them.
    pub subject_id: Option<i64>,
    /// The address it is about.
    pub key: Option<AddressKey>,
    /// The rest, in words.
    pub detail: String,
}

/// The latest moment at which anything was noted. Where it is in the future, the clock was put back since.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn latest(db: &impl Connection) -> Result<Option<DateTime<Utc>>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        at: Option<i64>,
    }
    // Few rows, the end of an index, or the last of a table: never a walk through facts.
    let sql = "SELECT max(at) AS at FROM (
        SELECT max(at) AS at FROM (SELECT at FROM events ORDER BY id DESC LIMIT 100) AS told
        UNION ALL SELECT max(at) FROM bounces
        UNION ALL SELECT max(launched) FROM campaigns
        UNION ALL SELECT max(seen) FROM sessions) AS noted";
    let row: Option<Row> = one(db, sql, []).await?;
    Ok(row.and_then(|row| row.at).map(time))
}

/// How far the clock may seem to be put back before it is told: clocks are set right by seconds all the time.
const SLACK: TimeDelta = TimeDelta::minutes(5);

/// How far the clock was put back since something was noted, if that is worth telling.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn put_back(db: &impl Connection, now: DateTime<Utc>) -> Result<Option<TimeDelta>, Error> {
    Ok(latest(db).await?.map(|latest| latest - now).filter(|by| *by > SLACK))
}

/// Notes one.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn add(db: &impl Connection, event: &Event<'_>) -> Result<(), Error> {
    add_all(db, std::slice::from_ref(event)).await
}

/// Notes many, in their order.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn add_all(db: &impl Connection, events: &[Event<'_>]) -> Result<(), Error> {
    if events.is_empty() {
        return Ok(());
    }
    let json: Vec<serde_json::Value> = events
        .iter()
        .map(|event| {
            serde_json::json!({
                "at": millis(event.at), "kind": event.kind, "actor": event.actor, "subject": event.subject,
                "subject_id": event.subject_id, "key": event.key, "detail": event.detail,
            })
        })
        .collect();
    let columns = [
        ("at", "BIGINT"),
        ("kind", "TEXT"),
        ("actor", "TEXT"),
        ("subject", "TEXT"),
        ("subject_id", "BIGINT"),
        ("key", "TEXT"),
        ("detail", "TEXT"),
    ];
    let sql = format!(
        "INSERT INTO events (at, kind, actor, subject, subject_id, key, detail)
         SELECT at, kind, actor, subject, subject_id, key, detail FROM {}",
        rows(db, 1, &columns)
    );
    execute(db, &sql, [serde_json::Value::Array(json).to_string().into()]).await?;
    Ok(())
}

/// The timeline of an address, newest first.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn of_key(db: &impl Connection, key: &AddressKey, limit: u32) -> Result<Vec<Entry>, Error> {
    let sql = "SELECT * FROM events WHERE key = $1 ORDER BY at DESC, id DESC LIMIT $2";
    Ok(entries(all(db, sql, [key.as_str().into(), i64::from(limit).into()]).await?))
}

/// What was noted about one thing, newest first.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn of_subject(db: &impl Connection, subject: &str, id: i64, limit: u32) -> Result<Vec<Entry>, Error> {
    let sql = "SELECT * FROM events WHERE subject = $1 AND subject_id = $2 ORDER BY at DESC, id DESC LIMIT $3";
    Ok(entries(all(db, sql, [subject.into(), id.into(), i64::from(limit).into()]).await?))
}

/// The audit, newest first: what was noted before `before`, or the newest of all.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn newest(db: &impl Connection, before: Option<i64>, limit: u32) -> Result<Vec<Entry>, Error> {
    let sql = "SELECT * FROM events WHERE id < $1 ORDER BY id DESC LIMIT $2";
    Ok(entries(all(db, sql, [before.unwrap_or(i64::MAX).into(), i64::from(limit).into()]).await?))
}

/// Which entries of the audit are asked for; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Who.
    pub actor: Option<String>,
    /// Only what people did, nothing that happened by itself.
    pub by_people: bool,
    /// What.
    pub kind: Option<String>,
    /// The noun it is about.
    pub subject: Option<String>,
    /// The address it is about.
    pub key: Option<AddressKey>,
    /// Not before.
    pub since: Option<DateTime<Utc>>,
    /// Before.
    pub until: Option<DateTime<Utc>>,
}

/// The entries that fit, newest first: what was noted before `before`, or the newest of all.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn find(db: &impl Connection, filter: &Filter, before: Option<i64>, limit: u32) -> Result<Vec<Entry>, Error> {
    let mut values: Vec<sea_orm::Value> = vec![before.unwrap_or(i64::MAX).into(), i64::from(limit).into()];
    let mut sql = "SELECT * FROM events WHERE id < $1".to_owned();
    let mut ask = |condition: &str, value: Option<sea_orm::Value>| {
        if let Some(value) = value {
            values.push(value);
            sql += &format!(" AND {condition} ${}", values.len());
        }
    };
    ask("actor =", filter.actor.as_deref().map(Into::into));
    ask("actor <>", filter.by_people.then(|| "rebound".into()));
    ask("kind =", filter.kind.as_deref().map(Into::into));
    ask("subject =", filter.subject.as_deref().map(Into::into));
    ask("key =", filter.key.as_ref().map(|key| key.as_str().into()));
    ask("at >=", filter.since.map(|since| millis(since).into()));
    ask("at <", filter.until.map(|until| millis(until).into()));
    Ok(entries(all(db, &format!("{sql} ORDER BY id DESC LIMIT $2"), values).await?))
}

/// The entry with `id`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn get(db: &impl Connection, id: i64) -> Result<Option<Entry>, Error> {
    Ok(one::<Row>(db, "SELECT * FROM events WHERE id = $1", [id.into()]).await?.map(Entry::from))
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    at: i64,
    kind: String,
    actor: String,
    subject: String,
    subject_id: Option<i64>,
    key: Option<String>,
    detail: String,
}

fn entries(rows: Vec<Row>) -> Vec<Entry> {
    rows.into_iter().map(Entry::from).collect()
}

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            at: time(row.at),
            kind: row.kind,
            actor: row.actor,
            subject: row.subject,
            subject_id: row.subject_id,
            key: row.key.map(AddressKey::stored),
            detail: row.detail,
        }
    }
}

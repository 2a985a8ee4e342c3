//! Incidents: failures that are ours or a host's, never a contact's.

use crate::sql::{all, execute, millis, number, one, rows, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{BounceCause, CampaignId, Incident, IncidentId, IncidentSubject};
use sea_orm::{FromQueryResult, Value};
use std::collections::HashMap;

/// An incident to open, or to add to if it is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of what.
    pub subject: IncidentSubject,
    /// What its bounces have in common.
    pub cause: BounceCause,
    /// Whether it came in a burst.
    pub burst: bool,
    /// The host's own words.
    pub words: String,
    /// How many bounces to add.
    pub bounces: i64,
}

/// Opens an incident or adds to the open one of that subject and cause; whether it is a new one.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn report(db: &impl Connection, report: &Report, now: DateTime<Utc>) -> Result<(IncidentId, bool), Error> {
    #[derive(FromQueryResult)]
    struct Id {
        id: i64,
    }
    let (subject, cause) = (subject_text(&report.subject), report.cause.as_str());
    let open = "SELECT id FROM incidents WHERE subject = $1 AND cause = $2 AND closed IS NULL";
    let open: Option<Id> = one(db, open, [subject.clone().into(), cause.into()]).await?;
    let sql = "INSERT INTO incidents (subject, cause, burst, words, opened, bounces) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (subject, cause) WHERE closed IS NULL
        DO UPDATE SET bounces = incidents.bounces + excluded.bounces, burst = incidents.burst OR excluded.burst
        RETURNING id";
    let values: [Value; 6] = [
        subject.into(),
        cause.into(),
        report.burst.into(),
        report.words.as_str().into(),
        millis(now).into(),
        report.bounces.into(),
    ];
    let kept: Option<Id> = one(db, sql, values).await?;
    let kept = kept.ok_or(Error::unreadable("incidents", "id"))?;
    Ok((IncidentId(kept.id), open.is_none()))
}

/// Says of incidents that they came in a burst; the number of those that were not known to.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn mark_burst(db: &impl Connection, ids: &[IncidentId]) -> Result<u64, Error> {
    let json: Vec<_> = ids.iter().map(|id| serde_json::json!({ "id": id.0 })).collect();
    let sql = format!(
        "UPDATE incidents SET burst = TRUE WHERE burst = FALSE AND id IN (SELECT id FROM {})",
        rows(db, 1, &[("id", "BIGINT")])
    );
    execute(db, &sql, [serde_json::Value::Array(json).to_string().into()]).await
}

/// The open bursts that are about campaigns, by campaign and cause.
///
/// # Errors
/// [`Error`]
pub async fn open_bursts(db: &impl Connection) -> Result<HashMap<(CampaignId, BounceCause), IncidentId>, Error> {
    let sql = "SELECT * FROM incidents WHERE closed IS NULL AND burst = TRUE";
    let bursts = read(all(db, sql, []).await?)?;
    let of_campaign = |incident: Incident| match incident.subject {
        IncidentSubject::Campaign { campaign } => Some(((campaign, incident.cause), incident.id)),
        _ => None,
    };
    Ok(bursts.into_iter().filter_map(of_campaign).collect())
}

/// The incident with `id`.
///
/// # Errors
/// [`Error`]
pub async fn get(db: &impl Connection, id: IncidentId) -> Result<Option<Incident>, Error> {
    let row: Option<Row> = one(db, "SELECT * FROM incidents WHERE id = $1", [id.0.into()]).await?;
    row.map(Incident::try_from).transpose()
}

/// The open ones, newest first.
///
/// # Errors
/// [`Error`]
pub async fn open(db: &impl Connection) -> Result<Vec<Incident>, Error> {
    read(all(db, "SELECT * FROM incidents WHERE closed IS NULL ORDER BY id DESC", []).await?)
}

/// How many are open.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn open_count(db: &impl Connection) -> Result<i64, Error> {
    number(db, "SELECT COUNT(*) FROM incidents WHERE closed IS NULL", []).await
}

/// Open and closed ones, newest first: those that came before `before`, or the newest of all.
///
/// # Errors
/// [`Error`]
pub async fn page(
    db: &impl Connection,
    which: Which,
    before: Option<IncidentId>,
    limit: u32,
) -> Result<Vec<Incident>, Error> {
    let condition = which.condition();
    let sql = format!("SELECT * FROM incidents WHERE id < $1 AND {condition} ORDER BY id DESC LIMIT $2");
    read(all(db, &sql, [before.map_or(i64::MAX, |id| id.0).into(), i64::from(limit).into()]).await?)
}

/// How many there are of each kind.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn count(db: &impl Connection, which: Which) -> Result<i64, Error> {
    number(db, &format!("SELECT COUNT(*) FROM incidents WHERE {}", which.condition()), []).await
}

/// Which incidents a page shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    #[default]
    All,
    /// Those that are open.
    Open,
    /// Those that are over.
    Closed,
}

impl Which {
    fn condition(self) -> &'static str {
        match self {
            Self::All => "1 = 1",
            Self::Open => "closed IS NULL",
            Self::Closed => "closed IS NOT NULL",
        }
    }
}

/// Closes one; `false` when it was not open.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn close(db: &impl Connection, id: IncidentId, now: DateTime<Utc>) -> Result<bool, Error> {
    let sql = "UPDATE incidents SET closed = $1 WHERE id = $2 AND closed IS NULL";
    Ok(execute(db, sql, [millis(now).into(), id.0.into()]).await? == 1)
}

/// The subject as the table keeps it; the same text for the same subject.
fn subject_text(subject: &IncidentSubject) -> String {
    // Not by way of a map, whose order is not ours. Numbers and texts can always be written.
    serde_json::to_string(subject).unwrap_or_default()
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    subject: String,
    cause: String,
    burst: bool,
    words: String,
    opened: i64,
    closed: Option<i64>,
    bounces: i64,
}

fn read(rows: Vec<Row>) -> Result<Vec<Incident>, Error> {
    rows.into_iter().map(Incident::try_from).collect()
}

impl TryFrom<Row> for Incident {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: IncidentId(row.id),
            subject: serde_json::from_str(&row.subject).map_err(|_| Error::unreadable("incidents", "subject"))?,
            cause: row.cause.parse().map_err(|_| Error::unreadable("incidents", "cause"))?,
            burst: row.burst,
            words: row.words,
            opened: time(row.opened),
            closed: row.closed.map(time),
            bounces: row.bounces,
        })
    }
}

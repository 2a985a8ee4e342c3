//! Which bounces a page shows, and how many there are of each kind.

use super::NotedBounce;
use super::noted::{COLUMNS, read};
use crate::sql::{all, millis};
use crate::suppressions::pattern;
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, BounceCause, BounceId, CampaignId, CauseGroup, DeliveryId, IncidentId};
use sea_orm::{FromQueryResult, Value};
use std::collections::BTreeMap;

/// Which bounces: all that fulfil every condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this cause.
    pub cause: Option<BounceCause>,
    /// Of a cause in this group.
    pub group: Option<CauseGroup>,
    /// Of this campaign.
    pub campaign: Option<CampaignId>,
    /// Of this delivery.
    pub delivery: Option<DeliveryId>,
    /// In this incident.
    pub incident: Option<IncidentId>,
    /// At this domain, in lower case.
    pub domain: Option<String>,
    /// To addresses that begin with this, or, where it begins with `@`, to this domain; empty for all.
    pub search: String,
    /// Heard at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Heard before this time.
    pub before: Option<DateTime<Utc>>,
    /// Whether only those that ended their delivery.
    pub only_final: bool,
    /// Whether only those that ended their delivery and blame the address for good.
    pub only_hard: bool,
    /// Whether only those whose message was delivered later.
    pub only_recovered: bool,
}

impl Filter {
    /// The conditions in SQL, and their values.
    fn conditions(&self) -> (String, Vec<Value>) {
        let mut conditions: Vec<String> = vec!["1 = 1".to_owned()];
        let mut values: Vec<Value> = vec![];
        let given: [(&str, Option<Value>); 7] = [
            ("b.cause = $", self.cause.map(|cause| cause.as_str().into())),
            ("b.domain = $", self.domain.as_deref().map(Value::from)),
            ("b.campaign_id = $", self.campaign.map(|id| id.0.into())),
            ("b.delivery_id = $", self.delivery.map(|id| id.0.into())),
            ("b.incident_id = $", self.incident.map(|id| id.0.into())),
            ("b.at >= $", self.from.map(|at| millis(at).into())),
            ("b.at < $", self.before.map(|at| millis(at).into())),
        ];
        for (condition, value) in given {
            if let Some(value) = value {
                values.push(value);
                conditions.push(format!("{condition}{}", values.len()));
            }
        }
        if !self.search.trim().is_empty() {
            values.push(pattern(&self.search).into());
            conditions.push(format!("b.key LIKE ${} ESCAPE '!'", values.len()));
        }
        if let Some(group) = self.group {
            // Names of ours: nothing in them needs a parameter.
            let causes = BounceCause::ALL.into_iter().filter(|cause| cause.group() == group);
            let causes: Vec<String> = causes.map(|cause| format!("'{cause}'")).collect();
            conditions.push(format!("b.cause IN ({})", causes.join(", ")));
        }
        if self.only_final {
            conditions.push("b.is_final".to_owned());
        }
        if self.only_hard {
            conditions.push("b.is_final AND b.hard".to_owned());
        }
        if self.only_recovered {
            // State 5 is accepted.
            let delivered = "EXISTS (SELECT 1 FROM deliveries d WHERE d.id = b.delivery_id AND d.state = 5)";
            conditions.push(delivered.to_owned());
        }
        (conditions.join(" AND "), values)
    }
}

/// Those that `filter` lets through, newest first, that come after `after`.
///
/// # Errors
/// [`Error`]
pub async fn page(
    db: &impl Connection,
    filter: &Filter,
    after: Option<(DateTime<Utc>, BounceId)>,
    limit: u32,
) -> Result<Vec<NotedBounce>, Error> {
    let (conditions, mut values) = filter.conditions();
    let n = values.len();
    let (at, id) = after.map_or((i64::MAX, i64::MAX), |(at, id)| (millis(at), id.0));
    values.extend([at.into(), id.into(), i64::from(limit).into()]);
    let sql = format!(
        "SELECT {COLUMNS} FROM bounces b WHERE {conditions} AND (b.at, b.id) < (${}, ${})
         ORDER BY b.at DESC, b.id DESC LIMIT ${}",
        n + 1,
        n + 2,
        n + 3
    );
    read(all(db, &sql, values).await?)
}

/// Those of one address, newest first.
///
/// # Errors
/// [`Error`]
pub async fn of_key(db: &impl Connection, key: &AddressKey, limit: u32) -> Result<Vec<NotedBounce>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM bounces b WHERE b.key = $1 ORDER BY b.at DESC, b.id DESC LIMIT $2");
    read(all(db, &sql, [key.as_str().into(), i64::from(limit).into()]).await?)
}

/// How many `filter` lets through, by cause; a cause that none has is left out.
///
/// # Errors
/// [`Error`]
pub async fn causes(db: &impl Connection, filter: &Filter) -> Result<BTreeMap<BounceCause, i64>, Error> {
    let (conditions, values) = filter.conditions();
    let sql = format!("SELECT b.cause AS name, COUNT(*) AS count FROM bounces b WHERE {conditions} GROUP BY b.cause");
    let counts: Vec<Count> = all(db, &sql, values).await?;
    let cause = |row: Count| Ok((row.name.parse().map_err(|_| Error::unreadable("bounces", "cause"))?, row.count));
    counts.into_iter().map(cause).collect()
}

/// How many `filter` lets through, by the recipient's domain: the `limit` domains with the most.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn domains(db: &impl Connection, filter: &Filter, limit: u32) -> Result<Vec<(String, i64)>, Error> {
    let (conditions, mut values) = filter.conditions();
    values.push(i64::from(limit).into());
    let sql = format!(
        "SELECT b.domain AS name, COUNT(*) AS count FROM bounces b WHERE {conditions}
         GROUP BY b.domain ORDER BY COUNT(*) DESC, b.domain LIMIT ${}",
        values.len()
    );
    let counts: Vec<Count> = all(db, &sql, values).await?;
    Ok(counts.into_iter().map(|row| (row.name, row.count)).collect())
}

#[derive(FromQueryResult)]
struct Count {
    name: String,
    count: i64,
}

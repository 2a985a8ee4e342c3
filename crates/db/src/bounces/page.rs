//! Which bounces a page shows. What a person said that one was rules: by that it is found.

use super::NotedBounce;
use super::noted::{COLUMNS, read};
use crate::sql::{all, millis};
use crate::suppressions::pattern;
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{
    AddressKey, BounceCause, BounceId, CampaignId, Case, CauseGroup, DeliveryId, IncidentId, ListId, Permanence,
};
use sea_orm::Value;

/// Which bounces: all that fulfil every condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this cause.
    pub cause: Option<BounceCause>,
    /// Of a cause in this group.
    pub group: Option<CauseGroup>,
    /// Of this campaign.
    pub campaign: Option<CampaignId>,
    /// Of campaigns to this list.
    pub list: Option<ListId>,
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
    /// What they led to.
    pub kind: Kind,
}

/// What a failed try led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    #[default]
    Any,
    /// It ended its delivery.
    Final,
    /// It ended its delivery, and blames the address for good.
    Hard,
    /// It ended its delivery, and does not blame the address for good.
    Soft,
    /// It did not end its delivery.
    Deferred,
    /// Its message was delivered later.
    Recovered,
}

/// The two ways by which a bounce fits: as its verdict says, or as a person said.
pub(super) struct Conditions {
    /// What holds either way.
    base: String,
    /// What the verdict must be; `None` where it may be anything.
    verdict: Option<String>,
    /// What a person must have said. Few bounces are corrected: an index holds only those.
    said: String,
    pub(super) values: Vec<Value>,
}

/// By their ids: SQLite would look through all that fit for these few.
const CORRECTED: &str = "b.id IN (SELECT id FROM bounces WHERE corrected IS NOT NULL)";

impl Conditions {
    /// What is asked of the verdicts, of those corrected too.
    pub(super) fn verdict(&self) -> String {
        self.verdict.as_ref().map_or_else(|| self.base.clone(), |verdict| format!("{} AND {verdict}", self.base))
    }

    /// The same of those that a person corrected.
    pub(super) fn overruled(&self) -> String {
        format!("{CORRECTED} AND {}", self.verdict())
    }

    /// What is asked of what people said.
    pub(super) fn said(&self) -> String {
        format!("{CORRECTED} AND {} AND {}", self.base, self.said)
    }

    /// Whether it matters what the verdict is.
    pub(super) fn ask_the_verdict(&self) -> bool {
        self.verdict.is_some()
    }
}

impl Filter {
    /// The conditions in SQL, and their values.
    pub(super) fn conditions(&self) -> Conditions {
        let mut conditions: Vec<String> = vec!["1 = 1".to_owned()];
        let mut values: Vec<Value> = vec![];
        let given: [(&str, Option<Value>, &str); 7] = [
            ("b.domain = $", self.domain.as_deref().map(Value::from), ""),
            ("b.campaign_id = $", self.campaign.map(|id| id.0.into()), ""),
            ("b.campaign_id IN (SELECT id FROM campaigns WHERE list_id = $", self.list.map(|id| id.0.into()), ")"),
            ("b.delivery_id = $", self.delivery.map(|id| id.0.into()), ""),
            ("b.incident_id = $", self.incident.map(|id| id.0.into()), ""),
            ("b.at >= $", self.from.map(|at| millis(at).into()), ""),
            ("b.at < $", self.before.map(|at| millis(at).into()), ""),
        ];
        for (condition, value, end) in given {
            if let Some(value) = value {
                values.push(value);
                conditions.push(format!("{condition}{}{end}", values.len()));
            }
        }
        if !self.search.trim().is_empty() {
            values.push(pattern(&self.search).into());
            conditions.push(format!("b.key LIKE ${} ESCAPE '!'", values.len()));
        }
        conditions.push(self.kind.condition().to_owned());
        Conditions { base: conditions.join(" AND "), verdict: self.verdict(), said: self.said(), values }
    }

    fn verdict(&self) -> Option<String> {
        // Names of ours: nothing in them needs a parameter.
        let causes = self.asks_for_causes().then(|| names("b.cause", self.causes()));
        let hard = self.hard().map(ToOwned::to_owned);
        causes.into_iter().chain(hard).reduce(|both, one| format!("{both} AND {one}"))
    }

    /// The same as alternatives, a cause each.
    fn verdicts(&self) -> impl Iterator<Item = String> {
        let hard = self.hard().unwrap_or("1 = 1");
        let causes: Vec<String> = if self.asks_for_causes() {
            self.causes().map(|cause| format!("b.cause = '{cause}'")).collect()
        } else {
            vec!["1 = 1".to_owned()]
        };
        causes.into_iter().map(move |cause| format!("{cause} AND {hard}"))
    }

    fn asks_for_causes(&self) -> bool {
        self.cause.is_some() || self.group.is_some()
    }

    fn causes(&self) -> impl Iterator<Item = BounceCause> {
        BounceCause::ALL.into_iter().filter(|cause| self.wants(*cause))
    }

    fn hard(&self) -> Option<&'static str> {
        Some(match self.kind.permanence()? {
            Permanence::Hard => "b.hard",
            Permanence::Soft => "NOT b.hard",
        })
    }

    fn said(&self) -> String {
        let fits = |case: &Case| {
            self.wants(case.cause()) && self.kind.permanence().is_none_or(|wanted| wanted == case.permanence())
        };
        names("b.corrected", Case::all().filter(fits))
    }

    fn wants(&self, cause: BounceCause) -> bool {
        self.cause.is_none_or(|wanted| wanted == cause) && self.group.is_none_or(|group| group == cause.group())
    }
}

impl Kind {
    fn condition(self) -> &'static str {
        match self {
            Self::Any => "1 = 1",
            Self::Final | Self::Hard | Self::Soft => "b.is_final",
            Self::Deferred => "NOT b.is_final",
            // State 5 is accepted.
            Self::Recovered => "EXISTS (SELECT 1 FROM deliveries d WHERE d.id = b.delivery_id AND d.state = 5)",
        }
    }

    fn permanence(self) -> Option<Permanence> {
        match self {
            Self::Hard => Some(Permanence::Hard),
            Self::Soft => Some(Permanence::Soft),
            Self::Any | Self::Final | Self::Deferred | Self::Recovered => None,
        }
    }
}

fn names<T: std::fmt::Display>(column: &str, names: impl Iterator<Item = T>) -> String {
    let names: Vec<String> = names.map(|name| format!("'{name}'")).collect();
    if names.is_empty() { "1 = 0".to_owned() } else { format!("{column} IN ({})", names.join(", ")) }
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
    let mut conditions = filter.conditions();
    let n = conditions.values.len();
    let (at, id) = after.map_or((i64::MAX, i64::MAX), |(at, id)| (millis(at), id.0));
    conditions.values.extend([at.into(), id.into(), i64::from(limit).into()]);
    let newest = |conditions: &str| {
        format!(
            "SELECT {COLUMNS} FROM bounces b WHERE {conditions} AND (b.at, b.id) < (${}, ${})
             ORDER BY b.at DESC, b.id DESC LIMIT ${}",
            n + 1,
            n + 2,
            n + 3
        )
    };
    let sql = if conditions.ask_the_verdict() {
        // Each cause and each way has its place in an index: asked with OR or IN, all that fit would be sorted.
        let by_verdict = filter
            .verdicts()
            .map(|verdict| newest(&format!("{} AND {verdict} AND b.corrected IS NULL", conditions.base)));
        let parts: Vec<String> = by_verdict.chain([newest(&conditions.said())]).collect();
        let parts = parts.iter().map(|part| format!("SELECT * FROM ({part}) one")).collect::<Vec<_>>();
        format!(
            "SELECT {COLUMNS} FROM ({}) b ORDER BY b.at DESC, b.id DESC LIMIT ${}",
            parts.join(" UNION ALL "),
            n + 3
        )
    } else {
        newest(&conditions.verdict())
    };
    read(all(db, &sql, conditions.values).await?)
}

/// Those of one address, newest first.
///
/// # Errors
/// [`Error`]
pub async fn of_key(db: &impl Connection, key: &AddressKey, limit: u32) -> Result<Vec<NotedBounce>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM bounces b WHERE b.key = $1 ORDER BY b.at DESC, b.id DESC LIMIT $2");
    read(all(db, &sql, [key.as_str().into(), i64::from(limit).into()]).await?)
}

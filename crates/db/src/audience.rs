//! Whom a campaign would reach: its list without those who may not be written to.

use crate::contacts::{Row as ContactRow, read as read_contacts};
use crate::sql::{all, millis, number, numbers, one};
use crate::subscriptions::AUDIENCE;
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{Campaign, Contact, ContactId, ListId, Resend};
use sea_orm::{DatabaseBackend, FromQueryResult, Value};

/// Whom a campaign goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audience {
    /// The confirmed subscribers of this list,
    pub list: ListId,
    /// or of them only those whom an earlier campaign did not reach.
    pub resend: Option<Resend>,
    /// And of all these only those who joined the list at this time or later.
    pub joined: Option<DateTime<Utc>>,
}

/// Who is in an audience, and who of its list is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Figures {
    /// Confirmed subscribers.
    pub confirmed: i64,
    /// Of them, those who are suppressed for good.
    pub suppressed: i64,
    /// Of them, those whose address rests.
    pub resting: i64,
    /// Of those who are written to, those who never were before.
    pub new: i64,
}

impl Audience {
    /// The audience of `campaign`.
    #[must_use]
    pub fn of(campaign: &Campaign) -> Self {
        Self { list: campaign.draft.list, resend: campaign.resend, joined: None }
    }

    /// Tables and condition: `subscriptions s` and `contacts c`, of list `$1` at time `$2`.
    pub(crate) fn tables(self) -> String {
        let mut tables = AUDIENCE.to_owned();
        if let Some(joined) = self.joined {
            tables += &format!(" AND s.since >= {}", millis(joined));
        }
        let Some(resend) = self.resend else { return tables };
        // Numbers and names of ours: nothing that a person wrote comes into the statement. Whoever was written to again
        // in the meantime is judged by that later message; one that was not handed over (7, 8) does not count.
        let (of, cause) = (resend.of.0, resend.cause.as_str());
        format!(
            "{tables} AND s.contact_id IN (
                SELECT d.contact_id FROM bounces b JOIN deliveries d ON d.id = b.delivery_id
                WHERE b.campaign_id IN (SELECT g.id FROM campaigns g WHERE g.id = {of} OR g.parent = {of})
                  AND b.cause = '{cause}' AND d.state = 6
                  AND b.id = (SELECT max(l.id) FROM bounces l WHERE l.delivery_id = b.delivery_id)
                  AND NOT EXISTS (
                      SELECT 1 FROM deliveries later WHERE later.contact_id = d.contact_id AND later.id > d.id
                        AND (later.id >> 31) IN (SELECT g.id FROM campaigns g WHERE g.parent = {of})
                        AND later.state NOT IN (7, 8)))"
        )
    }
}

/// The people of `audience` with an id above `after`, in the order of ids.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn people(
    db: &impl Connection,
    audience: Audience,
    after: ContactId,
    limit: u32,
    now: DateTime<Utc>,
) -> Result<Vec<Contact>, Error> {
    chosen(db, audience, "", vec![], after, limit, now).await
}

/// How many they are.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn count(db: &impl Connection, audience: Audience, now: DateTime<Utc>) -> Result<i64, Error> {
    let sql = format!("SELECT count(*) FROM {}", audience.tables());
    number(db, &sql, [audience.list.0.into(), millis(now).into()]).await
}

/// What is counted of them in a walk through all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub people: i64,
    /// Those at an address of a role, such as info@.
    pub roles: i64,
    /// Those without a value, for each of the merge fields that were asked for.
    pub lacking: Vec<i64>,
}

/// How many they are, how many have the address of a role, and how many no value in each of `fields`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn counts(
    db: &impl Connection,
    audience: Audience,
    fields: &[String],
    now: DateTime<Utc>,
) -> Result<Counts, Error> {
    /// Fields that are counted in one walk: an engine has so many columns.
    const AT_ONCE: usize = 500;
    let (first, others) = fields.split_at(fields.len().min(AT_ONCE));
    let mut counts = one_walk(db, audience, first, now).await?;
    for few in others.chunks(AT_ONCE) {
        counts.lacking.extend(one_walk(db, audience, few, now).await?.lacking);
    }
    Ok(counts)
}

async fn one_walk(
    db: &impl Connection,
    audience: Audience,
    fields: &[String],
    now: DateTime<Utc>,
) -> Result<Counts, Error> {
    let local_part = match db.get_database_backend() {
        DatabaseBackend::Postgres => "split_part(c.key, '@', 1)",
        _ => "substr(c.key, 1, instr(c.key, '@') - 1)",
    };
    let is_role = format!("{local_part} IN ('{}')", ROLES.join("', '"));
    let lacking = (3..).take(fields.len()).map(|parameter| lacks(db, parameter));
    let counted: Vec<String> =
        std::iter::once(is_role).chain(lacking).map(|which| format!("count(*) FILTER (WHERE {which})")).collect();
    let sql = format!("SELECT count(*), {} FROM {}", counted.join(", "), audience.tables());
    let first: [Value; 2] = [audience.list.0.into(), millis(now).into()];
    let values = first.into_iter().chain(fields.iter().map(|field| field_key(db, field)));
    let mut numbers = numbers(db, &sql, values, 1 + counted.len()).await?.into_iter();
    let mut next = || numbers.next().unwrap_or_default();
    Ok(Counts { people: next(), roles: next(), lacking: numbers.collect() })
}

/// Those of them who have no value in `field`.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn lacking(
    db: &impl Connection,
    audience: Audience,
    field: &str,
    after: ContactId,
    limit: u32,
    now: DateTime<Utc>,
) -> Result<Vec<Contact>, Error> {
    chosen(db, audience, &format!(" AND {}", lacks(db, 5)), vec![field_key(db, field)], after, limit, now).await
}

/// Who is in it and who is not.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn figures(db: &impl Connection, audience: Audience, now: DateTime<Utc>) -> Result<Figures, Error> {
    let (list, at): (Value, Value) = (audience.list.0.into(), millis(now).into());
    let confirmed = "SELECT count(*) FROM subscriptions WHERE list_id = $1 AND state = 1";
    let confirmed = number(db, confirmed, [list.clone()]).await?;
    let standing = "SELECT count(*) FROM (SELECT 1 FROM suppressions LIMIT $1) AS first_ones";
    // From the fewer to the more: SQLite keeps to the order of a CROSS JOIN. Each is grouped as it comes, and with `+` none
    // comes by its time, so that no row is kept.
    let (tables, person) = match number(db, standing, [confirmed.into()]).await? < confirmed {
        true => ("suppressions x CROSS JOIN contacts c CROSS JOIN subscriptions s", "x.key"),
        false => ("subscriptions s CROSS JOIN contacts c CROSS JOIN suppressions x", "s.contact_id"),
    };
    let sql = format!(
        "SELECT CAST({confirmed} AS BIGINT) AS confirmed, left_out.suppressed, left_out.resting,
            (SELECT count(*) FROM {} AND NOT EXISTS (
                SELECT 1 FROM deliveries d WHERE d.contact_id = c.id)) AS new
         FROM (SELECT count(*) FILTER (WHERE for_good) AS suppressed, count(*) FILTER (WHERE NOT for_good) AS resting
            FROM (SELECT max(CASE WHEN x.until IS NULL THEN 1 ELSE 0 END) = 1 AS for_good FROM {tables}
                  WHERE c.key = x.key AND s.contact_id = c.id AND s.list_id = $1 AND s.state = 1
                    AND x.scope IN (0, $1) AND +x.since <= $2 AND (x.until IS NULL OR x.until > $2)
                  GROUP BY {person}) AS people) AS left_out",
        audience.tables()
    );
    let figures = one(db, &sql, [list, at]).await?;
    Ok(figures.unwrap_or_default())
}

/// Addresses behind which nobody in particular reads.
const ROLES: [&str; 15] = [
    "abuse",
    "admin",
    "billing",
    "hostmaster",
    "info",
    "mailer-daemon",
    "no-reply",
    "noc",
    "noreply",
    "postmaster",
    "root",
    "security",
    "support",
    "webmaster",
    "www",
];

async fn chosen(
    db: &impl Connection,
    audience: Audience,
    more: &str,
    values: Vec<Value>,
    after: ContactId,
    limit: u32,
    now: DateTime<Utc>,
) -> Result<Vec<Contact>, Error> {
    // Said of both tables: PostgreSQL reads each from its beginning where it is not.
    let sql = format!(
        "SELECT c.id, c.address, c.fields FROM {}{more} AND s.contact_id > $3 AND c.id > $3
         ORDER BY s.contact_id LIMIT $4",
        audience.tables()
    );
    let first: [Value; 4] = [audience.list.0.into(), millis(now).into(), after.0.into(), i64::from(limit).into()];
    let rows: Vec<ContactRow> = all(db, &sql, first.into_iter().chain(values)).await?;
    read_contacts(rows)
}

/// The condition that the field in parameter `$parameter` has no value.
fn lacks(db: &impl Connection, parameter: usize) -> String {
    match db.get_database_backend() {
        DatabaseBackend::Postgres => format!("COALESCE(c.fields::json ->> ${parameter}::text, '') = ''"),
        _ => format!("COALESCE(json_extract(c.fields, ${parameter}), '') = ''"),
    }
}

/// How the engine names a field: SQLite by a path, in which the name is quoted.
fn field_key(db: &impl Connection, field: &str) -> Value {
    match db.get_database_backend() {
        DatabaseBackend::Postgres => field.into(),
        _ => format!("$.\"{field}\"").into(),
    }
}

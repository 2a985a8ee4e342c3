//! Policies: each saved version with who saved it. A version is a fact; the newest is in force.

use crate::sql::{all, execute, millis, one, time};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::Policy;
use sea_orm::FromQueryResult;

/// A version that was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// What it says.
    pub policy: Policy,
    /// Since when it is in force.
    pub at: DateTime<Utc>,
    /// Who saved it.
    pub actor: String,
    /// The version that they had before them.
    pub based_on: u32,
    /// Why, in their words.
    pub why: String,
}

/// The policy in force: the newest version, or what the program came with while none was saved.
///
/// # Errors
/// [`Error`]
pub async fn in_force(db: &impl Connection) -> Result<Policy, Error> {
    Ok(newer(db, 0).await?.unwrap_or_default())
}

/// The policy in force, if it is newer than version `than`.
///
/// # Errors
/// [`Error`]
pub async fn newer(db: &impl Connection, than: u32) -> Result<Option<Policy>, Error> {
    let sql = "SELECT * FROM policies WHERE version > $1 ORDER BY version DESC LIMIT 1";
    let row: Option<Row> = one(db, sql, [i64::from(than).into()]).await?;
    Ok(row.map(Saved::try_from).transpose()?.map(|saved| saved.policy))
}

/// All versions that were saved, newest first; none while the program's own is in force.
///
/// # Errors
/// [`Error`]
pub async fn versions(db: &impl Connection) -> Result<Vec<Saved>, Error> {
    let rows: Vec<Row> = all(db, "SELECT * FROM policies ORDER BY version DESC", []).await?;
    rows.into_iter().map(Saved::try_from).collect()
}

/// Saves a version; `false` where that number is taken.
///
/// # Errors
/// [`Error`]
pub async fn add(db: &impl Connection, saved: &Saved) -> Result<bool, Error> {
    let sql = "INSERT INTO policies (version, saved, actor, based_on, why, document) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT DO NOTHING";
    let document = serde_json::to_string(&saved.policy).map_err(|_| Error::unreadable("policies", "document"))?;
    let values: [sea_orm::Value; 6] = [
        i64::from(saved.policy.version).into(),
        millis(saved.at).into(),
        saved.actor.as_str().into(),
        i64::from(saved.based_on).into(),
        saved.why.as_str().into(),
        document.into(),
    ];
    Ok(execute(db, sql, values).await? == 1)
}

#[derive(FromQueryResult)]
struct Row {
    version: i64,
    saved: i64,
    actor: String,
    based_on: i64,
    why: String,
    document: String,
}

impl TryFrom<Row> for Saved {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let unreadable = |column| Error::unreadable("policies", column);
        let policy: Policy = serde_json::from_str(&row.document).map_err(|_| unreadable("document"))?;
        let version = u32::try_from(row.version).map_err(|_| unreadable("version"))?;
        Ok(Self {
            policy: Policy { version, ..policy },
            at: time(row.saved),
            actor: row.actor,
            based_on: u32::try_from(row.based_on).map_err(|_| unreadable("based_on"))?,
            why: row.why,
        })
    }
}

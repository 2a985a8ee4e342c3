//! Lists.

use crate::entity::lists::{ActiveModel, Column, Entity, Model};
use crate::sql::{all as rows, execute, millis, number, one, time};
use crate::{Connection, Error, Transaction};
use chrono::{DateTime, Utc};
use rebound_domain::{List, ListId, SubscriptionState};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::NotSet, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, Set, SqlErr};
use std::collections::HashMap;

/// The list called `name`, made at `now` if there is none.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn ensure(db: &impl Connection, name: &str, now: DateTime<Utc>) -> Result<List, Error> {
    let row = ActiveModel { id: NotSet, name: Set(name.to_owned()), created: Set(millis(now)) };
    let once = OnConflict::column(Column::Name).do_nothing().to_owned();
    Entity::insert(row).on_conflict(once).exec_without_returning(db).await?;
    named(db, name).await?.ok_or(Error::unreadable("lists", "name"))
}

/// The list called `name`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn named(db: &impl Connection, name: &str) -> Result<Option<List>, Error> {
    Ok(Entity::find().filter(Column::Name.eq(name)).one(db).await?.map(List::from))
}

/// The list with `id`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn get(db: &impl Connection, id: ListId) -> Result<Option<List>, Error> {
    Ok(Entity::find_by_id(id.0).one(db).await?.map(List::from))
}

/// All lists, by name.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn all(db: &impl Connection) -> Result<Vec<List>, Error> {
    let rows = Entity::find().order_by_asc(Column::Name).all(db).await?;
    Ok(rows.into_iter().map(List::from).collect())
}

/// Those of all lists that were put away, and when.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn archived(db: &impl Connection) -> Result<HashMap<ListId, DateTime<Utc>>, Error> {
    #[derive(FromQueryResult)]
    struct Away {
        id: i64,
        archived: i64,
    }
    let away = rows(db, "SELECT id, archived FROM lists WHERE archived IS NOT NULL", []).await?;
    Ok(away.into_iter().map(|Away { id, archived }| (ListId(id), time(archived))).collect())
}

/// Gives a list another name.
///
/// # Errors
/// [`Error::Taken`] when another list has it.
pub async fn rename(db: &impl Connection, id: ListId, name: &str) -> Result<(), Error> {
    let change = Entity::update_many().col_expr(Column::Name, name.into()).filter(Column::Id.eq(id.0));
    change.exec(db).await.map_err(|error| match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => Error::Taken { what: "list" },
        _ => error.into(),
    })?;
    Ok(())
}

/// Puts a list away at a time, or, without one, takes it out again.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn archive(db: &impl Connection, id: ListId, at: Option<DateTime<Utc>>) -> Result<(), Error> {
    execute(db, "UPDATE lists SET archived = $1 WHERE id = $2", [at.map(millis).into(), id.0.into()]).await?;
    Ok(())
}

/// How many campaigns, drafts among them, are for a list.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn campaigns(db: &impl Connection, id: ListId) -> Result<i64, Error> {
    number(db, "SELECT count(*) FROM campaigns WHERE list_id = $1", [id.0.into()]).await
}

/// Deletes a list with everybody's place on it and the record of its imports; the people stay. `false` where a
/// campaign is for it: what was sent to whom is not forgotten.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn delete(tx: &Transaction, id: ListId) -> Result<bool, Error> {
    if campaigns(tx, id).await? > 0 {
        return Ok(false);
    }
    for sql in [
        "DELETE FROM import_errors WHERE import_id IN (SELECT id FROM imports WHERE list_id = $1)",
        "DELETE FROM import_people WHERE import_id IN (SELECT id FROM imports WHERE list_id = $1)",
        "DELETE FROM imports WHERE list_id = $1",
        "DELETE FROM subscriptions WHERE list_id = $1",
        "DELETE FROM suppressions WHERE scope = $1",
        "DELETE FROM lists WHERE id = $1",
    ] {
        execute(tx, sql, [id.0.into()]).await?;
    }
    Ok(true)
}

/// How many confirmed members of each list a suppression keeps from its mail at `now`; no entry where none.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn suppressed(db: &impl Connection, now: DateTime<Utc>) -> Result<HashMap<ListId, i64>, Error> {
    #[derive(FromQueryResult)]
    struct Count {
        list_id: i64,
        count: i64,
    }
    // From the suppressions, which are far fewer than the members. `CROSS JOIN` and `+`: SQLite keeps to this order.
    let sql = "SELECT s.list_id, COUNT(DISTINCT s.contact_id) AS count
        FROM suppressions x CROSS JOIN contacts c CROSS JOIN subscriptions s
        WHERE c.key = x.key AND s.contact_id = c.id AND s.state = 1 AND x.scope IN (0, s.list_id)
          AND +x.since <= $1 AND (x.until IS NULL OR x.until > $1) GROUP BY s.list_id";
    let counts = rows(db, sql, [millis(now).into()]).await?;
    Ok(counts.into_iter().map(|Count { list_id, count }| (ListId(list_id), count)).collect())
}

/// How many came to a list since `from` and have not left it, and how many left it since.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn growth(db: &impl Connection, id: ListId, from: DateTime<Utc>) -> Result<(i64, i64), Error> {
    #[derive(FromQueryResult)]
    struct Growth {
        came: i64,
        gone: i64,
    }
    // 2 is left.
    let sql = "SELECT CAST(COALESCE(SUM(CASE WHEN state <> 2 THEN 1 ELSE 0 END), 0) AS BIGINT) AS came,
            CAST(COALESCE(SUM(CASE WHEN state = 2 THEN 1 ELSE 0 END), 0) AS BIGINT) AS gone
        FROM subscriptions WHERE list_id = $1 AND since >= $2";
    let growth = one::<Growth>(db, sql, [id.0.into(), millis(from).into()]).await?;
    Ok(growth.map_or((0, 0), |growth| (growth.came, growth.gone)))
}

/// How many people stand how in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Asked to join, and have not confirmed.
    pub pending: i64,
    /// May be written to.
    pub confirmed: i64,
    /// Left.
    pub left: i64,
}

/// The size of every list that anybody ever joined.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn sizes(db: &impl Connection) -> Result<HashMap<ListId, Size>, Error> {
    #[derive(FromQueryResult)]
    struct Count {
        list_id: i64,
        state: i16,
        count: i64,
    }
    let sql = "SELECT list_id, state, COUNT(*) AS count FROM subscriptions GROUP BY list_id, state";
    let mut sizes: HashMap<ListId, Size> = HashMap::new();
    for Count { list_id, state, count } in rows(db, sql, []).await? {
        let size = sizes.entry(ListId(list_id)).or_default();
        match SubscriptionState::from_code(state) {
            Some(SubscriptionState::Pending) => size.pending = count,
            Some(SubscriptionState::Confirmed) => size.confirmed = count,
            Some(SubscriptionState::Left) => size.left = count,
            None => return Err(Error::unreadable("subscriptions", "state")),
        }
    }
    Ok(sizes)
}

impl From<Model> for List {
    fn from(row: Model) -> Self {
        Self { id: ListId(row.id), name: row.name }
    }
}

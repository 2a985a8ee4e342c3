//! Lists.

use crate::entity::lists::{ActiveModel, Column, Entity, Model};
use crate::sql::{all as rows, millis};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{List, ListId, SubscriptionState};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::NotSet, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, Set};
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

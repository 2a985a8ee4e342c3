//! Lists.

use crate::entity::lists::{ActiveModel, Column, Entity, Model};
use crate::sql::millis;
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{List, ListId};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::NotSet, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, Set};

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

impl From<Model> for List {
    fn from(row: Model) -> Self {
        Self { id: ListId(row.id), name: row.name }
    }
}

//! People who may sign in, and the one-time link that makes the first of them.
//!
//! Passwords arrive here hashed; links arrive as the digest of their secret.

use crate::entity::setup_links;
use crate::entity::users::{ActiveModel, Column, Entity, Model};
use crate::sql::{execute, millis, number};
use crate::{Connection, Error, Pool};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, EmailAddress, Role, User, UserId};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::NotSet, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, Set};

/// Someone who shall be able to sign in.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The address to sign in with.
    pub email: EmailAddress,
    /// What they are called.
    pub name: String,
    /// As what.
    pub role: Role,
    /// Their password's hash, with its parameters (PHC string).
    pub password: String,
}

/// Adds someone.
///
/// # Errors
/// [`Error::Taken`] when the address signs in already; [`Error::Unavailable`].
pub async fn create(db: &impl Connection, user: &NewUser, now: DateTime<Utc>) -> Result<UserId, Error> {
    let row = ActiveModel {
        id: NotSet,
        email: Set(user.email.key().to_string()),
        name: Set(user.name.clone()),
        role: Set(user.role.code()),
        password: Set(user.password.clone()),
        created: Set(millis(now)),
    };
    let once = OnConflict::column(Column::Email).do_nothing().to_owned();
    let added = Entity::insert(row).on_conflict(once).exec_without_returning(db).await?;
    if added == 0 {
        return Err(Error::Taken { what: "user" });
    }
    let user = with_password(db, &user.email.key()).await?.ok_or(Error::unreadable("users", "email"))?;
    Ok(user.0.id)
}

/// The one who signs in with `email`, and their password's hash.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn with_password(db: &impl Connection, email: &AddressKey) -> Result<Option<(User, String)>, Error> {
    let Some(row) = Entity::find().filter(Column::Email.eq(email.as_str())).one(db).await? else { return Ok(None) };
    let password = row.password.clone();
    Ok(Some((row.try_into()?, password)))
}

/// The one with `id`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn get(db: &impl Connection, id: UserId) -> Result<Option<User>, Error> {
    Entity::find_by_id(id.0).one(db).await?.map(User::try_from).transpose()
}

/// Everyone who may sign in, by name.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn all(db: &impl Connection) -> Result<Vec<User>, Error> {
    let rows = Entity::find().order_by_asc(Column::Name).order_by_asc(Column::Id).all(db).await?;
    rows.into_iter().map(User::try_from).collect()
}

/// Gives `id` another password, and ends all their sessions: who knew the old one is out.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn set_password(db: &Pool, id: UserId, password: &str) -> Result<(), Error> {
    let tx = db.begin().await?;
    execute(&tx, "UPDATE users SET password = $1 WHERE id = $2", [password.into(), id.0.into()]).await?;
    crate::sessions::end_all_of(&tx, id).await?;
    tx.commit().await
}

/// Whether the installation belongs to somebody.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn has_owner(db: &impl Connection) -> Result<bool, Error> {
    let owners = number(db, "SELECT count(*) FROM users WHERE role = $1", [Role::Owner.code().into()]).await?;
    Ok(owners > 0)
}

/// Makes `digest` the only link by which an owner can be made; earlier ones are dead.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn open_setup(db: &Pool, digest: &str, now: DateTime<Utc>) -> Result<(), Error> {
    let tx = db.begin().await?;
    execute(&tx, "DELETE FROM setup_links", []).await?;
    let row = setup_links::ActiveModel { digest: Set(digest.to_owned()), created: Set(millis(now)), used: Set(None) };
    setup_links::Entity::insert(row).exec_without_returning(&tx).await?;
    tx.commit().await
}

/// Whether an owner can be made by the link with `digest`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn setup_is_open(db: &impl Connection, digest: &str) -> Result<bool, Error> {
    let sql = "SELECT count(*) FROM setup_links WHERE digest = $1 AND used IS NULL";
    Ok(number(db, sql, [digest.into()]).await? == 1 && !has_owner(db).await?)
}

/// Makes the owner by the link with `digest`; `None` where it was used, is not ours, or there is an owner.
///
/// # Errors
/// [`Error::Taken`] when the address signs in already; [`Error::Unavailable`].
pub async fn set_up(db: &Pool, digest: &str, owner: &NewUser, now: DateTime<Utc>) -> Result<Option<UserId>, Error> {
    let tx = db.begin().await?;
    let sql = "UPDATE setup_links SET used = $1 WHERE digest = $2 AND used IS NULL";
    let used = execute(&tx, sql, [millis(now).into(), digest.into()]).await?;
    if used == 0 || has_owner(&tx).await? {
        return Ok(None);
    }
    let id = create(&tx, &NewUser { role: Role::Owner, ..owner.clone() }, now).await?;
    tx.commit().await?;
    Ok(Some(id))
}

impl TryFrom<Model> for User {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        Ok(Self {
            id: UserId(row.id),
            email: row.email.parse().map_err(|_| Error::unreadable("users", "email"))?,
            name: row.name,
            role: Role::from_code(row.role).ok_or(Error::unreadable("users", "role"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ines() -> NewUser {
        NewUser {
            email: "Ines@fernhill.example".parse().unwrap(),
            name: "Ines".into(),
            role: Role::Owner,
            password: "hash".into(),
        }
    }

    #[tokio::test]
    async fn a_set_up_link_makes_one_owner_once() {
        let folder = tempfile::tempdir().unwrap();
        let db = crate::temporary(folder.path()).await.unwrap();
        let now = Utc::now();
        open_setup(&db, "first", now).await.unwrap();
        open_setup(&db, "second", now).await.unwrap();

        assert!(set_up(&db, "first", &ines(), now).await.unwrap().is_none(), "a newer link replaces an older one");
        assert!(setup_is_open(&db, "second").await.unwrap());
        assert!(set_up(&db, "second", &ines(), now).await.unwrap().is_some());
        assert!(!setup_is_open(&db, "second").await.unwrap());
        assert!(set_up(&db, "second", &ines(), now).await.unwrap().is_none());

        open_setup(&db, "third", now).await.unwrap();
        let other = NewUser { email: "jo@fernhill.example".parse().unwrap(), ..ines() };
        assert!(set_up(&db, "third", &other, now).await.unwrap().is_none(), "there is an owner");
        assert_eq!(all(&db).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_address_signs_in_one_person_however_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let db = crate::temporary(folder.path()).await.unwrap();
        let id = create(&db, &ines(), Utc::now()).await.unwrap();
        let again = NewUser { email: "INES@fernhill.example".parse().unwrap(), ..ines() };
        assert!(matches!(create(&db, &again, Utc::now()).await, Err(Error::Taken { .. })));
        assert_eq!(with_password(&db, &again.email.key()).await.unwrap().unwrap().0.id, id);
    }
}

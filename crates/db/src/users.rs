//! People who may sign in, the one-time link that makes the first of them, and those by which they choose a password.
//!
//! Passwords arrive here hashed; links arrive as the digest of their secret.

use crate::entity::setup_links;
use crate::entity::users::{ActiveModel, Column, Entity, Model};
use crate::sql::{all as all_rows, execute, millis, number, one, time};
use crate::{Connection, Error, Pool, Transaction};
use chrono::{DateTime, Utc};
use rebound_domain::{AddressKey, EmailAddress, Role, User, UserId};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::NotSet, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, Set};

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

/// The one who signs in with `email` and their password's hash; nobody who was shut out, or has no password yet.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn who_may_sign_in(db: &impl Connection, email: &AddressKey) -> Result<Option<(User, String)>, Error> {
    let sql = "SELECT count(*) FROM users WHERE email = $1 AND deactivated IS NULL AND password <> ''";
    if number(db, sql, [email.as_str().into()]).await? == 0 { Ok(None) } else { with_password(db, email).await }
}

/// Someone as administrators see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub user: User,
    /// Since when they are known here.
    pub since: DateTime<Utc>,
    /// Since when they may not sign in any more.
    pub deactivated: Option<DateTime<Utc>>,
    /// Whether they have chosen a password.
    pub has_password: bool,
    /// Until when their one-time link works.
    pub link_until: Option<DateTime<Utc>>,
    /// When one of their open sessions was last used.
    pub seen: Option<DateTime<Utc>>,
}

const PEOPLE: &str = "SELECT u.id, u.email, u.name, u.role, u.created, u.deactivated,
    CASE WHEN u.password = '' THEN 0 ELSE 1 END AS has_password,
    (SELECT max(expires) FROM user_links l WHERE l.user_id = u.id) AS link_until,
    (SELECT max(seen) FROM sessions s WHERE s.user_id = u.id) AS seen FROM users u";

/// Everyone, those with the most trust first.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn people(db: &impl Connection) -> Result<Vec<Person>, Error> {
    let rows = all_rows::<PersonRow>(db, &format!("{PEOPLE} ORDER BY u.role, u.name, u.id"), []).await?;
    rows.into_iter().map(Person::try_from).collect()
}

/// The person with `id`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn person(db: &impl Connection, id: UserId) -> Result<Option<Person>, Error> {
    let row = one::<PersonRow>(db, &format!("{PEOPLE} WHERE u.id = $1"), [id.0.into()]).await?;
    row.map(Person::try_from).transpose()
}

#[derive(FromQueryResult)]
struct PersonRow {
    id: i64,
    email: String,
    name: String,
    role: i16,
    created: i64,
    deactivated: Option<i64>,
    has_password: i32,
    link_until: Option<i64>,
    seen: Option<i64>,
}

impl TryFrom<PersonRow> for Person {
    type Error = Error;

    fn try_from(row: PersonRow) -> Result<Self, Error> {
        let user = User {
            id: UserId(row.id),
            email: row.email.parse().map_err(|_| Error::unreadable("users", "email"))?,
            name: row.name,
            role: Role::from_code(row.role).ok_or(Error::unreadable("users", "role"))?,
        };
        Ok(Self {
            user,
            since: time(row.created),
            deactivated: row.deactivated.map(time),
            has_password: row.has_password == 1,
            link_until: row.link_until.map(time),
            seen: row.seen.map(time),
        })
    }
}

/// Gives `id` another role. End their sessions with it.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn set_role(db: &impl Connection, id: UserId, role: Role) -> Result<(), Error> {
    execute(db, "UPDATE users SET role = $1 WHERE id = $2", [role.code().into(), id.0.into()]).await?;
    Ok(())
}

/// Shuts `id` out since a time, or lets them in again. Their sessions rest at once.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn set_active(db: &impl Connection, id: UserId, deactivated: Option<DateTime<Utc>>) -> Result<(), Error> {
    let values = [deactivated.map(millis).into(), id.0.into()];
    execute(db, "UPDATE users SET deactivated = $1 WHERE id = $2", values).await?;
    Ok(())
}

/// Makes `digest` the only link by which `user` may choose a password, until `expires`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn open_link(db: &impl Connection, digest: &str, user: UserId, expires: DateTime<Utc>) -> Result<(), Error> {
    close_links(db, user).await?;
    let sql = "INSERT INTO user_links (digest, user_id, expires) VALUES ($1, $2, $3)";
    execute(db, sql, [digest.into(), user.0.into(), millis(expires).into()]).await?;
    Ok(())
}

/// Makes the links of `user` useless.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn close_links(db: &impl Connection, user: UserId) -> Result<(), Error> {
    execute(db, "DELETE FROM user_links WHERE user_id = $1", [user.0.into()]).await?;
    Ok(())
}

/// Who may choose a password by the link with `digest`.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn by_link(db: &impl Connection, digest: &str, now: DateTime<Utc>) -> Result<Option<Person>, Error> {
    let sql = format!(
        "{PEOPLE} JOIN user_links k ON k.user_id = u.id
         WHERE k.digest = $1 AND k.expires >= $2 AND u.deactivated IS NULL"
    );
    one::<PersonRow>(db, &sql, [digest.into(), millis(now).into()]).await?.map(Person::try_from).transpose()
}

/// Uses the link with `digest` up; whether it was there to be used.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn use_link(db: &impl Connection, digest: &str, now: DateTime<Utc>) -> Result<bool, Error> {
    let sql = "DELETE FROM user_links WHERE digest = $1 AND expires >= $2";
    Ok(execute(db, sql, [digest.into(), millis(now).into()]).await? == 1)
}

/// Gives `id` a password without ending anything. In a transaction that ends their sessions, see [`set_password`].
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn put_password(db: &impl Connection, id: UserId, password: &str) -> Result<(), Error> {
    execute(db, "UPDATE users SET password = $1 WHERE id = $2", [password.into(), id.0.into()]).await?;
    Ok(())
}

/// Gives `id` another password, and ends all their sessions: who knew the old one is out.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn set_password(db: &Pool, id: UserId, password: &str) -> Result<(), Error> {
    let tx = db.begin().await?;
    put_password(&tx, id, password).await?;
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

/// Makes the owner by the link with `digest`; `None` where it was used, is not ours, or there is an owner: then the
/// transaction must not be committed.
///
/// # Errors
/// [`Error::Taken`] when the address signs in already; [`Error::Unavailable`].
pub async fn set_up(
    tx: &Transaction,
    digest: &str,
    owner: &NewUser,
    now: DateTime<Utc>,
) -> Result<Option<UserId>, Error> {
    let sql = "UPDATE setup_links SET used = $1 WHERE digest = $2 AND used IS NULL";
    let used = execute(tx, sql, [millis(now).into(), digest.into()]).await?;
    if used == 0 || has_owner(tx).await? {
        return Ok(None);
    }
    create(tx, &NewUser { role: Role::Owner, ..owner.clone() }, now).await.map(Some)
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

    async fn owner_by(db: &Pool, digest: &str, owner: &NewUser, now: DateTime<Utc>) -> Result<Option<UserId>, Error> {
        let tx = db.begin().await?;
        let made = set_up(&tx, digest, owner, now).await?;
        if made.is_some() {
            tx.commit().await?;
        }
        Ok(made)
    }

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

        assert!(owner_by(&db, "first", &ines(), now).await.unwrap().is_none(), "a newer link replaces an older one");
        assert!(setup_is_open(&db, "second").await.unwrap());
        assert!(owner_by(&db, "second", &ines(), now).await.unwrap().is_some());
        assert!(!setup_is_open(&db, "second").await.unwrap());
        assert!(owner_by(&db, "second", &ines(), now).await.unwrap().is_none());

        open_setup(&db, "third", now).await.unwrap();
        let other = NewUser { email: "jo@fernhill.example".parse().unwrap(), ..ines() };
        assert!(owner_by(&db, "third", &other, now).await.unwrap().is_none(), "there is an owner");
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

    #[tokio::test]
    async fn a_link_works_once_for_its_person_and_not_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let db = crate::temporary(folder.path()).await.unwrap();
        let now = Utc::now();
        let id = create(&db, &NewUser { password: String::new(), ..ines() }, now).await.unwrap();
        let key = ines().email.key();
        assert!(who_may_sign_in(&db, &key).await.unwrap().is_none(), "no password yet");
        open_link(&db, "first", id, now).await.unwrap();
        open_link(&db, "second", id, now + chrono::TimeDelta::days(7)).await.unwrap();
        assert!(by_link(&db, "first", now).await.unwrap().is_none(), "a newer link replaces an older one");
        assert!(by_link(&db, "second", now + chrono::TimeDelta::days(8)).await.unwrap().is_none(), "too late");
        assert_eq!(by_link(&db, "second", now).await.unwrap().unwrap().user.id, id);
        assert!(use_link(&db, "second", now).await.unwrap() && !use_link(&db, "second", now).await.unwrap());

        put_password(&db, id, "hash").await.unwrap();
        assert!(who_may_sign_in(&db, &key).await.unwrap().is_some());
        set_active(&db, id, Some(now)).await.unwrap();
        assert!(who_may_sign_in(&db, &key).await.unwrap().is_none());
        open_link(&db, "third", id, now + chrono::TimeDelta::days(7)).await.unwrap();
        assert!(by_link(&db, "third", now).await.unwrap().is_none(), "who is shut out stays out");
        let person = person(&db, id).await.unwrap().unwrap();
        assert!(person.deactivated.is_some() && person.has_password);
        set_active(&db, id, None).await.unwrap();
        assert_eq!(people(&db).await.unwrap()[0].deactivated, None);
    }
}

//! Who is signed in. A session is known by the digest of its secret, which only the browser has.
//!
//! The times here are the wall clock's, never the product's: a demo that runs faster signs nobody out.

use crate::sql::{all, execute, millis, one, time};
use crate::{Connection, Error};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_domain::{Role, User, UserId};
use sea_orm::FromQueryResult;

/// After so long without a request a session ends.
pub const IDLE: TimeDelta = TimeDelta::hours(8);
/// After so long a session ends in any case.
pub const WHOLE: TimeDelta = TimeDelta::days(7);
/// The last request is noted to this precision, so that reading a page rarely writes.
const PRECISION: TimeDelta = TimeDelta::minutes(5);

/// A signed-in browser.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who.
    pub user: User,
    /// What each of their forms must carry.
    pub csrf: String,
    /// Known by.
    pub digest: String,
    /// When they last gave their password.
    pub confirmed: DateTime<Utc>,
}

/// A session that is to begin.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    /// The digest of the browser's secret.
    pub digest: &'a str,
    /// Whose.
    pub user: UserId,
    /// What each of their forms must carry.
    pub csrf: &'a str,
    /// What the browser calls itself, in a few words.
    pub device: &'a str,
    /// Where it is.
    pub address: &'a str,
}

/// A session as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Known by.
    pub digest: String,
    /// What the browser calls itself, in a few words.
    pub device: String,
    /// Where it was at the beginning.
    pub address: String,
    /// When it began.
    pub since: DateTime<Utc>,
    /// When it was last used, to five minutes.
    pub seen: DateTime<Utc>,
}

impl Open {
    /// The start of the digest: enough to tell sessions of one person apart.
    #[must_use]
    pub fn name(&self) -> &str {
        self.digest.get(..NAME).unwrap_or(&self.digest)
    }
}

/// Letters of a session's name.
const NAME: usize = 16;

#[derive(FromQueryResult)]
struct Row {
    csrf: String,
    seen: i64,
    confirmed: i64,
    id: i64,
    email: String,
    name: String,
    role: i16,
}

/// Begins a session, its password just given; what is long over is forgotten.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn start(db: &impl Connection, new: NewSession<'_>, now: DateTime<Utc>) -> Result<(), Error> {
    let over = [millis(now - WHOLE).into(), millis(now - IDLE).into()];
    execute(db, "DELETE FROM sessions WHERE created < $1 OR seen < $2", over).await?;
    let sql = "INSERT INTO sessions (digest, user_id, csrf, device, address, created, seen, confirmed)
               VALUES ($1, $2, $3, $4, $5, $6, $6, $6)";
    let NewSession { digest, user, csrf, device, address } = new;
    let values = [digest.into(), user.0.into(), csrf.into(), device.into(), address.into(), millis(now).into()];
    execute(db, sql, values).await?;
    Ok(())
}

/// The session with `digest`, unless it is over.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn get(db: &impl Connection, digest: &str, now: DateTime<Utc>) -> Result<Option<Session>, Error> {
    let sql = "SELECT s.csrf, s.seen, s.confirmed, u.id, u.email, u.name, u.role FROM sessions s JOIN users u ON u.id = s.user_id
               WHERE s.digest = $1 AND s.created >= $2 AND s.seen >= $3 AND u.deactivated IS NULL";
    let values = [digest.into(), millis(now - WHOLE).into(), millis(now - IDLE).into()];
    let Some(row) = one::<Row>(db, sql, values).await? else { return Ok(None) };
    if row.seen < millis(now - PRECISION) {
        let sql = "UPDATE sessions SET seen = $1 WHERE digest = $2";
        execute(db, sql, [millis(now).into(), digest.into()]).await?;
    }
    let user = User {
        id: UserId(row.id),
        email: row.email.parse().map_err(|_| Error::unreadable("users", "email"))?,
        name: row.name,
        role: Role::from_code(row.role).ok_or(Error::unreadable("users", "role"))?,
    };
    Ok(Some(Session { user, csrf: row.csrf, digest: digest.to_owned(), confirmed: time(row.confirmed) }))
}

/// The sessions of `user` that are not over, the last used first.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn of_user(db: &impl Connection, user: UserId, now: DateTime<Utc>) -> Result<Vec<Open>, Error> {
    let sql = "SELECT digest, device, address, created, seen FROM sessions
               WHERE user_id = $1 AND created >= $2 AND seen >= $3 ORDER BY seen DESC, created DESC";
    let values = [user.0.into(), millis(now - WHOLE).into(), millis(now - IDLE).into()];
    Ok(all::<OpenRow>(db, sql, values).await?.into_iter().map(Open::from).collect())
}

#[derive(FromQueryResult)]
struct OpenRow {
    digest: String,
    device: String,
    address: String,
    created: i64,
    seen: i64,
}

impl From<OpenRow> for Open {
    fn from(row: OpenRow) -> Self {
        let OpenRow { digest, device, address, created, seen } = row;
        Self { digest, device, address, since: time(created), seen: time(seen) }
    }
}

/// Notes that the password was given again.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn confirm(db: &impl Connection, digest: &str, now: DateTime<Utc>) -> Result<(), Error> {
    execute(db, "UPDATE sessions SET confirmed = $1 WHERE digest = $2", [millis(now).into(), digest.into()]).await?;
    Ok(())
}

/// Signs the browser of `user` out whose session is called `name`; whether there was one.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn end_named(db: &impl Connection, user: UserId, name: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM sessions WHERE user_id = $1 AND substr(digest, 1, 16) = $2";
    Ok(execute(db, sql, [user.0.into(), name.into()]).await? > 0)
}

/// Signs all browsers of `user` out but the one with `digest`; how many there were.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn end_others(db: &impl Connection, user: UserId, digest: &str) -> Result<u64, Error> {
    execute(db, "DELETE FROM sessions WHERE user_id = $1 AND digest <> $2", [user.0.into(), digest.into()]).await
}

/// Signs one browser out.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn end(db: &impl Connection, digest: &str) -> Result<(), Error> {
    execute(db, "DELETE FROM sessions WHERE digest = $1", [digest.into()]).await?;
    Ok(())
}

/// Signs all browsers of `user` out.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn end_all_of(db: &impl Connection, user: UserId) -> Result<(), Error> {
    execute(db, "DELETE FROM sessions WHERE user_id = $1", [user.0.into()]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::{self, NewUser};

    fn new(digest: &str, user: UserId) -> NewSession<'_> {
        NewSession { digest, user, csrf: "token", device: "Firefox on Linux", address: "192.0.2.7" }
    }

    #[tokio::test]
    async fn a_session_ends_when_unused_when_old_and_when_told() {
        let folder = tempfile::tempdir().unwrap();
        let db = crate::temporary(folder.path()).await.unwrap();
        let start_at = Utc::now();
        let user = NewUser {
            email: "ines@fernhill.example".parse().unwrap(),
            name: "Ines".into(),
            role: Role::Owner,
            password: "hash".into(),
        };
        let id = users::create(&db, &user, start_at).await.unwrap();
        start(&db, new("used", id), start_at).await.unwrap();
        start(&db, new("unused", id), start_at).await.unwrap();

        // Each request comes within eight hours of the one before, until the week is over.
        for hours in (0..168).step_by(7) {
            let now = start_at + TimeDelta::hours(hours);
            assert!(get(&db, "used", now).await.unwrap().is_some(), "after {hours} h");
        }
        assert!(get(&db, "used", start_at + WHOLE + TimeDelta::seconds(1)).await.unwrap().is_none());
        assert!(get(&db, "unused", start_at + IDLE + TimeDelta::seconds(1)).await.unwrap().is_none());

        start(&db, new("told", id), start_at).await.unwrap();
        end(&db, "told").await.unwrap();
        assert!(get(&db, "told", start_at).await.unwrap().is_none());
        start(&db, new("other", id), start_at).await.unwrap();
        users::set_password(&db, id, "new").await.unwrap();
        assert!(get(&db, "other", start_at).await.unwrap().is_none(), "a new password signs everybody out");

        for digest in ["0123456789abcdef-one", "fedcba9876543210-two", "00000000000000ff-three"] {
            start(&db, new(digest, id), start_at).await.unwrap();
        }
        let open = of_user(&db, id, start_at).await.unwrap();
        assert_eq!(open.len(), 3);
        assert_eq!(open[0].device, "Firefox on Linux");
        let name = open.iter().find(|one| one.digest.ends_with("one")).unwrap().name().to_owned();
        assert!(!end_named(&db, UserId(id.0 + 1), &name).await.unwrap(), "nobody ends what is another's");
        assert!(end_named(&db, id, &name).await.unwrap());
        assert_eq!(end_others(&db, id, "fedcba9876543210-two").await.unwrap(), 1);
        confirm(&db, "fedcba9876543210-two", start_at + TimeDelta::hours(1)).await.unwrap();
        let kept = get(&db, "fedcba9876543210-two", start_at).await.unwrap().unwrap();
        assert_eq!(kept.confirmed.timestamp_millis(), (start_at + TimeDelta::hours(1)).timestamp_millis());
        users::set_active(&db, id, Some(start_at)).await.unwrap();
        assert!(get(&db, "fedcba9876543210-two", start_at).await.unwrap().is_none(), "who is shut out is out");
    }
}

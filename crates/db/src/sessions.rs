//! Who is signed in. A session is known by the digest of its secret, which only the browser has.
//!
//! The times here are the wall clock's, never the product's: a demo that runs faster signs nobody out.

use crate::sql::{execute, millis, one};
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
}

#[derive(FromQueryResult)]
struct Row {
    csrf: String,
    seen: i64,
    id: i64,
    email: String,
    name: String,
    role: i16,
}

/// Begins a session for `user`; what is long over is forgotten.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn start(
    db: &impl Connection,
    digest: &str,
    user: UserId,
    csrf: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let over = [millis(now - WHOLE).into(), millis(now - IDLE).into()];
    execute(db, "DELETE FROM sessions WHERE created < $1 OR seen < $2", over).await?;
    let sql = "INSERT INTO sessions (digest, user_id, csrf, created, seen) VALUES ($1, $2, $3, $4, $4)";
    execute(db, sql, [digest.into(), user.0.into(), csrf.into(), millis(now).into()]).await?;
    Ok(())
}

/// The session with `digest`, unless it is over.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn get(db: &impl Connection, digest: &str, now: DateTime<Utc>) -> Result<Option<Session>, Error> {
    let sql = "SELECT s.csrf, s.seen, u.id, u.email, u.name, u.role FROM sessions s JOIN users u ON u.id = s.user_id
               WHERE s.digest = $1 AND s.created >= $2 AND s.seen >= $3";
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
    Ok(Some(Session { user, csrf: row.csrf, digest: digest.to_owned() }))
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
        start(&db, "used", id, "token", start_at).await.unwrap();
        start(&db, "unused", id, "token", start_at).await.unwrap();

        // Each request comes within eight hours of the one before, until the week is over.
        for hours in (0..168).step_by(7) {
            let now = start_at + TimeDelta::hours(hours);
            assert!(get(&db, "used", now).await.unwrap().is_some(), "after {hours} h");
        }
        assert!(get(&db, "used", start_at + WHOLE + TimeDelta::seconds(1)).await.unwrap().is_none());
        assert!(get(&db, "unused", start_at + IDLE + TimeDelta::seconds(1)).await.unwrap().is_none());

        start(&db, "told", id, "token", start_at).await.unwrap();
        end(&db, "told").await.unwrap();
        assert!(get(&db, "told", start_at).await.unwrap().is_none());
        start(&db, "other", id, "token", start_at).await.unwrap();
        users::set_password(&db, id, "new").await.unwrap();
        assert!(get(&db, "other", start_at).await.unwrap().is_none(), "a new password signs everybody out");
    }
}

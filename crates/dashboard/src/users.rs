//! Making people who may sign in: what the set-up page and the command line do.

use crate::password::{BadPassword, Hasher};
use crate::secret::Secret;
use chrono::{DateTime, Utc};
use rebound_db::users::NewUser;
use rebound_db::{Pool, users};
use rebound_domain::{AddressKey, BadAddress, EmailAddress, Role, UserId};

/// Why nobody was added or changed.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The address is none.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// The password is not taken.
    #[error(transparent)]
    Password(#[from] BadPassword),
    /// A person needs a name.
    #[error("there is no name")]
    NoName,
    /// Nobody signs in with that address.
    #[error("nobody signs in with that address")]
    Nobody,
    /// There is one owner, and there is one already.
    #[error("there is an owner already")]
    SecondOwner,
    /// The database did not take it.
    #[error(transparent)]
    Database(#[from] rebound_db::Error),
}

/// Adds someone who may sign in as `role`.
///
/// # Errors
/// [`UserError`]; nothing was added.
pub async fn create(
    db: &Pool,
    email: &str,
    name: &str,
    role: Role,
    password: &str,
    now: DateTime<Utc>,
) -> Result<UserId, UserError> {
    let user = checked(&Hasher::default(), email, name, role, password).await?;
    let tx = db.begin().await?;
    if role == Role::Owner && users::has_owner(&tx).await? {
        return Err(UserError::SecondOwner);
    }
    let id = users::create(&tx, &user, now).await?;
    tx.commit().await?;
    Ok(id)
}

/// Gives the one with `email` another password, and signs all their browsers out.
///
/// # Errors
/// [`UserError`]; nothing was changed.
pub async fn set_password(db: &Pool, email: &str, password: &str) -> Result<(), UserError> {
    let key: AddressKey = email.parse::<EmailAddress>()?.key();
    let (user, _) = users::with_password(db, &key).await?.ok_or(UserError::Nobody)?;
    let hash = Hasher::default().hash(password).await?;
    Ok(users::set_password(db, user.id, &hash).await?)
}

/// The secret of a one-time link by which the owner is made (`/setup/{secret}`); `None` where there is one.
///
/// Only its digest is kept. Each call makes the links before it useless.
///
/// # Errors
/// [`rebound_db::Error`]
pub async fn setup_link(db: &Pool, now: DateTime<Utc>) -> Result<Option<String>, rebound_db::Error> {
    if users::has_owner(db).await? {
        return Ok(None);
    }
    let secret = Secret::new();
    users::open_setup(db, &secret.digest(), now).await?;
    Ok(Some(secret.into_text()))
}

/// A person whose address, name and password may be kept.
pub(crate) async fn checked(
    hasher: &Hasher,
    email: &str,
    name: &str,
    role: Role,
    password: &str,
) -> Result<NewUser, UserError> {
    let email = email.parse::<EmailAddress>()?;
    let name = name.trim();
    if name.is_empty() {
        return Err(UserError::NoName);
    }
    let name = name.chars().take(100).collect();
    Ok(NewUser { email, name, role, password: hasher.hash(password).await? })
}

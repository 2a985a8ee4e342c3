//! Making people who may sign in, and changing what they may: what the pages and the command line do.

use crate::password::{BadPassword, Hasher};
use crate::secret::Secret;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::users::{NewUser, Person};
use rebound_db::{Connection, Pool, events, sessions, users};
use rebound_domain::{AddressKey, BadAddress, EmailAddress, NotTheirs, Role, User, UserId};

/// An invitation works for so long.
pub const INVITED: TimeDelta = TimeDelta::days(7);
/// A link to choose another password works for so long.
pub const RESET: TimeDelta = TimeDelta::days(1);

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
    /// It is not for them to change.
    #[error(transparent)]
    NotTheirs(#[from] NotTheirs),
    /// The link was used, or is too old.
    #[error("the link was used already, or is too old; ask for another")]
    LinkOver,
    /// The database did not take it.
    #[error(transparent)]
    Database(#[from] rebound_db::Error),
}

/// Who orders a change.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// Somebody at a page.
    User(&'a User),
    /// Whoever may run the program.
    CommandLine,
}

impl By<'_> {
    /// What the audit log calls them.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::User(user) => user.email.as_str(),
            Self::CommandLine => "command line",
        }
    }

    fn may_manage(&self, whom: &User) -> Result<(), NotTheirs> {
        match self {
            Self::User(user) => user.may_manage(whom),
            Self::CommandLine if whom.role == Role::Owner => Err(NotTheirs::Owner),
            Self::CommandLine => Ok(()),
        }
    }
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
    note(&tx, By::CommandLine, "user.added", id, &format!("{email} as {}", role.as_str()), now).await?;
    tx.commit().await?;
    Ok(id)
}

/// Invites someone: the secret of a one-time link by which they choose their password (`/join/{secret}`).
///
/// # Errors
/// [`UserError`]; nobody was invited.
pub async fn invite(
    db: &Pool,
    by: By<'_>,
    email: &str,
    name: &str,
    role: Role,
    expires: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(UserId, String), UserError> {
    if let By::User(user) = by
        && !user.role.may(rebound_domain::Permission::Administer)
    {
        return Err(NotTheirs::NoAdministrator.into());
    }
    if role == Role::Owner {
        return Err(UserError::SecondOwner);
    }
    let user = NewUser { email: email.parse()?, name: named(name)?, role, password: String::new() };
    let secret = Secret::new();
    let tx = db.begin().await?;
    let id = users::create(&tx, &user, now).await?;
    users::open_link(&tx, &secret.digest(), id, expires).await?;
    note(&tx, by, "user.invited", id, &format!("{} as {}", user.email, role.as_str()), now).await?;
    tx.commit().await?;
    Ok((id, secret.into_text()))
}

/// The secret of a one-time link by which `id` chooses another password. Until they do, the old one goes on.
///
/// # Errors
/// [`UserError`]; earlier links stay.
pub async fn link(
    db: &Pool,
    by: By<'_>,
    id: UserId,
    expires: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<String, UserError> {
    let secret = Secret::new();
    let tx = db.begin().await?;
    let person = users::person(&tx, id).await?.ok_or(UserError::Nobody)?;
    if let By::User(user) = by {
        // Whoever can choose the owner's password is the owner. Whoever runs the program is it anyway.
        user.may_manage(&person.user)?;
    }
    users::open_link(&tx, &secret.digest(), id, expires).await?;
    note(&tx, by, "user.link", id, person.user.email.as_str(), now).await?;
    tx.commit().await?;
    Ok(secret.into_text())
}

/// Whose password can be chosen by the link with `secret`.
pub(crate) async fn by_link(db: &Pool, secret: &str, now: DateTime<Utc>) -> Result<Option<Person>, rebound_db::Error> {
    users::by_link(db, &Secret::from_text(secret).digest(), now).await
}

/// Chooses a password by the link with `secret`, which is over then, like all sessions of its person.
pub(crate) async fn join(
    db: &Pool,
    hasher: &Hasher,
    secret: &str,
    password: &str,
    wall: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), UserError> {
    let digest = Secret::from_text(secret).digest();
    let person = users::by_link(db, &digest, wall).await?.ok_or(UserError::LinkOver)?;
    let hash = hasher.hash(password, &about(&person.user)).await?;
    let tx = db.begin().await?;
    if !users::use_link(&tx, &digest, wall).await? {
        return Err(UserError::LinkOver);
    }
    let (id, by) = (person.user.id, By::User(&person.user));
    users::put_password(&tx, id, &hash).await?;
    sessions::end_all_of(&tx, id).await?;
    let kind = if person.has_password { "user.password" } else { "user.joined" };
    note(&tx, by, kind, id, "by a link", now).await?;
    tx.commit().await?;
    Ok(())
}

/// Gives `id` another role, and signs their browsers out.
///
/// # Errors
/// [`UserError`]; nothing was changed.
pub async fn set_role(db: &Pool, by: By<'_>, id: UserId, role: Role, now: DateTime<Utc>) -> Result<(), UserError> {
    let tx = db.begin().await?;
    let person = users::person(&tx, id).await?.ok_or(UserError::Nobody)?;
    by.may_manage(&person.user)?;
    if role == Role::Owner {
        return Err(UserError::SecondOwner);
    }
    if role != person.user.role {
        users::set_role(&tx, id, role).await?;
        sessions::end_all_of(&tx, id).await?;
        let detail = format!("{}: {} → {}", person.user.email, person.user.role.as_str(), role.as_str());
        note(&tx, by, "user.role", id, &detail, now).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Shuts `id` out: sessions and links end, and the password is not taken. What they did stays under their name.
///
/// # Errors
/// [`UserError`]; nothing was changed.
pub async fn deactivate(db: &Pool, by: By<'_>, id: UserId, now: DateTime<Utc>) -> Result<(), UserError> {
    let tx = db.begin().await?;
    let person = users::person(&tx, id).await?.ok_or(UserError::Nobody)?;
    by.may_manage(&person.user)?;
    if person.deactivated.is_none() {
        users::set_active(&tx, id, Some(now)).await?;
        users::close_links(&tx, id).await?;
        sessions::end_all_of(&tx, id).await?;
        note(&tx, by, "user.deactivated", id, person.user.email.as_str(), now).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Lets `id` in again, in the role they had.
///
/// # Errors
/// [`UserError`]; nothing was changed.
pub async fn reactivate(db: &Pool, by: By<'_>, id: UserId, now: DateTime<Utc>) -> Result<(), UserError> {
    let tx = db.begin().await?;
    let person = users::person(&tx, id).await?.ok_or(UserError::Nobody)?;
    by.may_manage(&person.user)?;
    if person.deactivated.is_some() {
        users::set_active(&tx, id, None).await?;
        note(&tx, by, "user.reactivated", id, person.user.email.as_str(), now).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Signs all browsers of `id` out.
///
/// # Errors
/// [`UserError`]; nothing was changed.
pub async fn sign_out(db: &Pool, by: By<'_>, id: UserId, now: DateTime<Utc>) -> Result<(), UserError> {
    let tx = db.begin().await?;
    let person = users::person(&tx, id).await?.ok_or(UserError::Nobody)?;
    by.may_manage(&person.user)?;
    sessions::end_all_of(&tx, id).await?;
    note(&tx, by, "sessions.ended", id, person.user.email.as_str(), now).await?;
    tx.commit().await?;
    Ok(())
}

/// The one who signs in with `email`.
///
/// # Errors
/// [`UserError`]
pub async fn find(db: &Pool, email: &EmailAddress) -> Result<User, UserError> {
    Ok(users::with_password(db, &email.key()).await?.ok_or(UserError::Nobody)?.0)
}

/// Gives the one with `email` another password, and signs all their browsers out.
///
/// # Errors
/// [`UserError`]; nothing was changed.
pub async fn set_password(db: &Pool, email: &str, password: &str) -> Result<(), UserError> {
    let key: AddressKey = email.parse::<EmailAddress>()?.key();
    let (user, _) = users::with_password(db, &key).await?.ok_or(UserError::Nobody)?;
    let hash = Hasher::default().hash(password, &about(&user)).await?;
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

/// Notes for the audit log that somebody did something about `whom`.
pub(crate) async fn note(
    db: &impl Connection,
    by: By<'_>,
    kind: &str,
    whom: UserId,
    detail: &str,
    now: DateTime<Utc>,
) -> Result<(), rebound_db::Error> {
    let (subject_id, detail) = (Some(whom.0), detail.to_owned());
    let actor = by.name();
    events::add(db, &events::Event { at: now, kind, actor, subject: "user", subject_id, key: None, detail }).await
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
    let name = named(name)?;
    let password = hasher.hash(password, &[email.as_str(), &name]).await?;
    Ok(NewUser { email, name, role, password })
}

/// What others know of `user`, and would try first.
pub(crate) fn about(user: &User) -> [&str; 2] {
    [user.email.as_str(), &user.name]
}

fn named(name: &str) -> Result<String, UserError> {
    match name.trim() {
        "" => Err(UserError::NoName),
        name => Ok(name.chars().take(100).collect()),
    }
}

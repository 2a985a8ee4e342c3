//! A password that somebody gives, at the sign-in or again: each try is counted, so that guessing takes too long.

use crate::App;
use crate::error::PageError;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::events::{self, Event};
use rebound_db::sign_ins::{self, Allowance};
use rebound_db::users;
use rebound_domain::{EmailAddress, User};

/// Where a password is asked for; the audit log tells refusals apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The sign-in.
    SignIn,
    /// Behind it, by someone who is signed in.
    Again,
}

/// What came of a try.
pub(crate) enum Tried {
    /// The password is theirs.
    Right(User),
    /// It is not, or nobody signs in with that address.
    Wrong,
    /// It was not looked at: there were too many before it.
    TooSoon,
}

impl Tried {
    /// How a page answers one that was not right.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::TooSoon => StatusCode::TOO_MANY_REQUESTS,
            Self::Wrong | Self::Right(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// A try at the password of `email`, from `address`. `now` is the wall clock's: waits between tries are for people
/// who guess, and they live in our time.
pub(crate) async fn tried(
    app: &App,
    door: Door,
    (email, password): (&str, &str),
    address: &str,
    now: DateTime<Utc>,
) -> Result<Tried, PageError> {
    let allowances = allowances(email, address);
    if !sign_ins::charge(&app.db, &allowances, now).await? {
        // Neither name says whose password was typed: some people type it into the wrong field.
        tracing::warn!(client = %address, throttled = true, "a password was refused");
        return Ok(Tried::TooSoon);
    }
    let known = match email.parse::<EmailAddress>() {
        Ok(email) => users::who_may_sign_in(&app.db, &email.key()).await?,
        Err(_) => None,
    };
    let (user, hash) = known.map_or((None, None), |(user, hash)| (Some(user), Some(hash)));
    let is_right = app.hasher.is(password, hash).await;
    let Some(user) = user.as_ref().filter(|_| is_right) else {
        tracing::warn!(client = %address, throttled = false, "a password was refused");
        note_refusal(app, door, user.as_ref(), address).await?;
        return Ok(Tried::Wrong);
    };
    for allowance in &allowances {
        sign_ins::forgive(&app.db, &allowance.subject).await?;
    }
    Ok(Tried::Right(user.clone()))
}

/// A try that was looked at and was wrong stands in the audit log; those that had to wait would only flood it.
async fn note_refusal(app: &App, door: Door, user: Option<&User>, address: &str) -> Result<(), PageError> {
    let (actor, subject_id) = user.map_or(("unknown", None), |user| (user.email.as_str(), Some(user.id.0)));
    let kind = match door {
        Door::SignIn => "sign-in.refused",
        Door::Again => "password.refused",
    };
    let (at, subject, detail) = (app.now(), "user", format!("from {address}"));
    Ok(events::add(&app.db, &Event { at, kind, actor, subject, subject_id, key: None, detail }).await?)
}

/// Guessing one password from one place soon waits long. An account that is guessed at from everywhere waits
/// at most a minute, so that its owner is not locked out.
fn allowances(email: &str, address: &str) -> [Allowance; 3] {
    let account: String = email.trim().to_lowercase().chars().take(254).collect();
    let of = |subject: String, free, longest| Allowance { subject, free, longest };
    [
        of(format!("{account} from {address}"), 5, TimeDelta::minutes(15)),
        of(format!("from {address}"), 20, TimeDelta::minutes(15)),
        of(format!("to {account}"), 50, TimeDelta::minutes(1)),
    ]
}

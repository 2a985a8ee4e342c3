//! `/account`: oneself, one's password, and the browsers one is signed in with.

use crate::App;
use crate::error::PageError;
use crate::guess::{Door, Tried, tried};
use crate::page::{Frame, Page, Place};
use crate::pages::users::Browser;
use crate::proxies::ClientAddress;
use crate::session::{Allowed, See, Submitted};
use crate::users::{By, about, note};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::Utc;
use rebound_db::{sessions, users};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "account/index.html")]
pub(crate) struct Account {
    frame: Frame,
    email: String,
    sessions: Vec<Browser>,
    fault: Option<String>,
}

pub(crate) async fn show(by: Allowed<See>, State(app): State<App>) -> Result<Page<Account>, PageError> {
    Ok(Page(page(&app, &by, None).await?))
}

async fn page(app: &App, by: &Allowed<See>, fault: Option<String>) -> Result<Account, PageError> {
    let wall = Utc::now();
    let open = sessions::of_user(&app.db, by.session.user.id, wall).await?;
    Ok(Account {
        frame: Frame::of(app, by, Place::Account).await?,
        email: by.actor().to_owned(),
        sessions: open.into_iter().map(|open| Browser::new(open, &by.session.digest, wall)).collect(),
        fault,
    })
}

#[derive(Deserialize)]
pub(crate) struct NewPassword {
    old: String,
    new: String,
}

pub(crate) async fn set_password(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    Submitted { by, form }: Submitted<See, NewPassword>,
) -> Result<Response, PageError> {
    let user = &by.session.user;
    // A session that was stolen must not be a way to guess the password faster.
    let tried = tried(&app, Door::Again, (by.actor(), &form.old), &address, Utc::now()).await?;
    let fault = match tried {
        Tried::Wrong => "the old password is not right".to_owned(),
        Tried::TooSoon => "the old password was wrong too often. Wait some minutes before the next try".to_owned(),
        Tried::Right(_) => match app.hasher.hash(&form.new, &about(user)).await {
            Ok(hash) => {
                users::set_password(&app.db, user.id, &hash).await?;
                note(&app.db, By::User(user), "user.password", user.id, "by themselves", app.now()).await?;
                return Ok(Redirect::to("/sign-in").into_response());
            }
            Err(fault) => fault.to_string(),
        },
    };
    Ok((tried.status(), Page(page(&app, &by, Some(fault)).await?)).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Which {
    #[serde(default)]
    session: String,
}

/// Ends one other session, or all others where none is named.
pub(crate) async fn end_sessions(
    State(app): State<App>,
    Submitted { by, form }: Submitted<See, Which>,
) -> Result<Response, PageError> {
    let user = &by.session.user;
    let tx = app.db.begin().await?;
    let count = if form.session.is_empty() {
        sessions::end_others(&tx, user.id, &by.session.digest).await?
    } else {
        u64::from(sessions::end_named(&tx, user.id, &form.session).await?)
    };
    if count > 0 {
        note(&tx, By::User(user), "sessions.ended", user.id, &format!("{count} of their own"), app.now()).await?;
    }
    tx.commit().await?;
    Ok(Redirect::to("/account").into_response())
}

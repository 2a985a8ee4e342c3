//! `/account`: oneself, and one's password.

use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::session::{Allowed, See, Submitted};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use rebound_db::users;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "account/index.html")]
pub(crate) struct Account {
    frame: Frame,
    email: String,
    fault: Option<String>,
}

pub(crate) async fn show(by: Allowed<See>, State(app): State<App>) -> Result<Page<Account>, PageError> {
    let frame = Frame::of(&app, &by, Place::Account).await?;
    Ok(Page(Account { frame, email: by.actor().to_owned(), fault: None }))
}

#[derive(Deserialize)]
pub(crate) struct NewPassword {
    old: String,
    new: String,
}

pub(crate) async fn set_password(
    State(app): State<App>,
    Submitted { by, form }: Submitted<See, NewPassword>,
) -> Result<Response, PageError> {
    let known = users::with_password(&app.db, &by.session.user.email.key()).await?;
    let hash = known.map(|(_, hash)| hash);
    let fault = if !app.hasher.is(&form.old, hash).await {
        "the old password is not right".to_owned()
    } else {
        match app.hasher.hash(&form.new).await {
            Ok(hash) => {
                users::set_password(&app.db, by.session.user.id, &hash).await?;
                return Ok(Redirect::to("/sign-in").into_response());
            }
            Err(fault) => fault.to_string(),
        }
    };
    let frame = Frame::of(&app, &by, Place::Account).await?;
    Ok(Faulty(Account { frame, email: by.actor().to_owned(), fault: Some(fault) }).into_response())
}

//! `/join/{secret}`: choosing a password by a one-time link, for those who were invited and those who forgot theirs.

use crate::App;
use crate::error::PageError;
use crate::form::Open;
use crate::page::{Faulty, Page};
use crate::users::{self, UserError};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::Utc;
use rebound_db::users::Person;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "join/index.html")]
pub(crate) struct Join {
    person: Person,
    fault: Option<String>,
}

/// Opening it uses nothing up: programs open links too.
pub(crate) async fn show(State(app): State<App>, Path(secret): Path<String>) -> Result<Page<Join>, PageError> {
    let person = users::by_link(&app.db, &secret, Utc::now()).await?.ok_or(PageError::NotFound)?;
    Ok(Page(Join { person, fault: None }))
}

#[derive(Deserialize)]
pub(crate) struct Chosen {
    password: String,
}

pub(crate) async fn choose(
    State(app): State<App>,
    Path(secret): Path<String>,
    Open(chosen): Open<Chosen>,
) -> Result<Response, PageError> {
    let wall = Utc::now();
    let person = users::by_link(&app.db, &secret, wall).await?.ok_or(PageError::NotFound)?;
    match users::join(&app.db, &app.hasher, &secret, &chosen.password, wall, app.now()).await {
        Ok(()) => Ok(Redirect::to("/sign-in").into_response()),
        Err(UserError::Database(error)) => Err(error.into()),
        Err(fault) => Ok(Faulty(Join { person, fault: Some(fault.to_string()) }).into_response()),
    }
}

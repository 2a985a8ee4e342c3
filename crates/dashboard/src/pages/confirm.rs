//! `/confirm`: the password again, before secrets, who may sign in, and files of addresses.

use crate::App;
use crate::error::PageError;
use crate::guess::{Door, Tried, tried};
use crate::page::Page;
use crate::pages::sign_in::place;
use crate::proxies::ClientAddress;
use crate::session::{Allowed, See, Submitted};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::Utc;
use rebound_db::sessions;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "confirm/index.html")]
pub(crate) struct Confirm {
    email: String,
    csrf: String,
    back: String,
    refused: bool,
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    back: String,
}

pub(crate) async fn show(by: Allowed<See>, Query(asked): Query<Asked>) -> Page<Confirm> {
    Page(page(&by, &asked.back, false))
}

#[derive(Deserialize)]
pub(crate) struct Again {
    password: String,
    #[serde(default)]
    back: String,
}

pub(crate) async fn check(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    Submitted { by, form }: Submitted<See, Again>,
) -> Result<Response, PageError> {
    // A session that was stolen must not be a way to guess the password faster.
    let now = Utc::now();
    let tried = tried(&app, Door::Again, (by.actor(), &form.password), &address, now).await?;
    if !matches!(tried, Tried::Right(_)) {
        return Ok((tried.status(), Page(page(&by, &form.back, true))).into_response());
    }
    sessions::confirm(&app.db, &by.session.digest, now).await?;
    Ok(Redirect::to(place(&form.back)).into_response())
}

fn page(by: &Allowed<See>, back: &str, refused: bool) -> Confirm {
    let (email, csrf) = (by.actor().to_owned(), by.session.csrf.clone());
    Confirm { email, csrf, back: place(back).to_owned(), refused }
}

//! `/confirm`: the password again, before secrets and before anything about who may sign in.

use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Page};
use crate::pages::sign_in::{allowances, place};
use crate::proxies::ClientAddress;
use crate::session::{Allowed, See, Submitted};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::Utc;
use rebound_db::{sessions, sign_ins, users};
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
    let (now, allowances) = (Utc::now(), allowances(by.actor(), &address));
    let may_try = sign_ins::charge(&app.db, &allowances, now).await?;
    let known = users::who_may_sign_in(&app.db, &by.session.user.email.key()).await?;
    if !may_try || !app.hasher.is(&form.password, known.map(|(_, hash)| hash)).await {
        return Ok(Faulty(page(&by, &form.back, true)).into_response());
    }
    for allowance in &allowances {
        sign_ins::forgive(&app.db, &allowance.subject).await?;
    }
    sessions::confirm(&app.db, &by.session.digest, now).await?;
    Ok(Redirect::to(place(&form.back)).into_response())
}

fn page(by: &Allowed<See>, back: &str, refused: bool) -> Confirm {
    let (email, csrf) = (by.actor().to_owned(), by.session.csrf.clone());
    Confirm { email, csrf, back: place(back).to_owned(), refused }
}

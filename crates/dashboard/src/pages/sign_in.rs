//! `/sign-in`, `/sign-out`: beginning and ending a session.

use crate::App;
use crate::device::device;
use crate::error::PageError;
use crate::form::Open;
use crate::guess::{Door, Tried, tried};
use crate::page::Page;
use crate::proxies::ClientAddress;
use crate::secret::Secret;
use crate::session::{See, Submitted, cookie, set_cookie};
use crate::users::{By, note};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::Utc;
use rebound_db::sessions::{self, NewSession};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "sign_in/index.html")]
pub(crate) struct SignIn {
    email: String,
    back: String,
    refused: bool,
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    back: String,
}

pub(crate) async fn show(Query(asked): Query<Asked>) -> Page<SignIn> {
    Page(SignIn { email: String::new(), back: place(&asked.back).to_owned(), refused: false })
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    email: String,
    password: String,
    #[serde(default)]
    back: String,
}

pub(crate) async fn enter(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    Open(credentials): Open<Credentials>,
) -> Result<Response, PageError> {
    let now = Utc::now();
    let user = match tried(&app, Door::SignIn, (&credentials.email, &credentials.password), &address, now).await? {
        Tried::Right(user) => user,
        refusal => return Ok(refused(&credentials, &refusal)),
    };
    // A session that was there before is over: nobody can have planted it.
    if let Some(old) = cookie(&headers, &app) {
        sessions::end(&app.db, &old.digest()).await?;
    }
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let (secret, device) = (Secret::new(), device(agent));
    let (digest, csrf) = (secret.digest(), Secret::new().into_text());
    let new = NewSession { digest: &digest, user: user.id, csrf: &csrf, device: &device, address: &address };
    let tx = app.db.begin().await?;
    sessions::start(&tx, new, now).await?;
    note(&tx, By::User(&user), "signed-in", user.id, &format!("{device}, {address}"), app.now()).await?;
    tx.commit().await?;
    tracing::info!(user.id = user.id.0, client = %address, "signed in");
    let place = place(&credentials.back).to_owned();
    Ok(([(header::SET_COOKIE, set_cookie(&app, Some(secret)))], Redirect::to(&place)).into_response())
}

/// The same words whatever was wrong, so that nobody learns who may sign in.
fn refused(credentials: &Credentials, refusal: &Tried) -> Response {
    let (email, back) = (credentials.email.clone(), place(&credentials.back).to_owned());
    (refusal.status(), Page(SignIn { email, back, refused: true })).into_response()
}

/// A place of ours to go to; a back that leads elsewhere leads home.
pub(crate) fn place(back: &str) -> &str {
    let ours = back.starts_with('/') && !back.starts_with("//") && !back.contains(['\\', '\r', '\n', '\t']);
    if ours { back } else { "/" }
}

#[derive(Deserialize)]
pub(crate) struct Nothing {}

pub(crate) async fn leave(
    State(app): State<App>,
    Submitted { by, form: Nothing {} }: Submitted<See, Nothing>,
) -> Result<Response, PageError> {
    let tx = app.db.begin().await?;
    sessions::end(&tx, &by.session.digest).await?;
    note(&tx, By::User(&by.session.user), "signed-out", by.session.user.id, "", app.now()).await?;
    tx.commit().await?;
    Ok(([(header::SET_COOKIE, set_cookie(&app, None))], Redirect::to("/sign-in")).into_response())
}

#[cfg(test)]
mod tests {
    #[test]
    fn signing_in_never_leads_elsewhere() {
        for (back, expected) in [
            ("/campaigns/7", "/campaigns/7"),
            ("", "/"),
            ("https://evil.example", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/\t/evil.example", "/"),
        ] {
            assert_eq!(super::place(back), expected, "{back:?}");
        }
    }
}

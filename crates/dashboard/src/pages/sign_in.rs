//! `/sign-in`, `/sign-out`: beginning and ending a session.

use crate::App;
use crate::device::device;
use crate::error::PageError;
use crate::page::Page;
use crate::proxies::ClientAddress;
use crate::secret::Secret;
use crate::session::{See, Submitted, cookie, set_cookie};
use crate::users::{By, note};
use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{TimeDelta, Utc};
use rebound_db::events::{self, Event};
use rebound_db::sessions::{self, NewSession};
use rebound_db::sign_ins::{self, Allowance};
use rebound_db::users;
use rebound_domain::{EmailAddress, User};
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
    Form(credentials): Form<Credentials>,
) -> Result<Response, PageError> {
    // The wall clock: waits between tries are for people who guess, and they live in our time.
    let now = Utc::now();
    let allowances = allowances(&credentials.email, &address);
    let known = match credentials.email.parse::<EmailAddress>() {
        Ok(email) => users::who_may_sign_in(&app.db, &email.key()).await?,
        Err(_) => None,
    };
    let (user, hash) = known.map_or((None, None), |(user, hash)| (Some(user), Some(hash)));
    let may_try = sign_ins::charge(&app.db, &allowances, now).await?;
    if !may_try || !app.hasher.is(&credentials.password, hash).await {
        // Neither name says whose password was typed: some people type it into the wrong field.
        tracing::warn!(client = %address, throttled = !may_try, "a sign-in was refused");
        if may_try {
            note_refusal(&app, user.as_ref(), &address).await?;
        }
        return Ok(refused(&credentials, may_try));
    }
    let Some(user) = user else { return Ok(refused(&credentials, may_try)) };
    for allowance in &allowances {
        sign_ins::forgive(&app.db, &allowance.subject).await?;
    }
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

/// A try that was looked at and was wrong stands in the audit log; those that had to wait would only flood it.
async fn note_refusal(app: &App, user: Option<&User>, address: &str) -> Result<(), PageError> {
    let (actor, subject_id) = user.map_or(("unknown", None), |user| (user.email.as_str(), Some(user.id.0)));
    let detail = format!("from {address}");
    let (at, kind, subject) = (app.now(), "sign-in.refused", "user");
    Ok(events::add(&app.db, &Event { at, kind, actor, subject, subject_id, key: None, detail }).await?)
}

/// The same words whatever was wrong, so that nobody learns who may sign in.
fn refused(credentials: &Credentials, may_try: bool) -> Response {
    let status = if may_try { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::TOO_MANY_REQUESTS };
    let (email, back) = (credentials.email.clone(), place(&credentials.back).to_owned());
    (status, Page(SignIn { email, back, refused: true })).into_response()
}

/// Guessing one password from one place soon waits long. An account that is guessed at from everywhere waits
/// at most a minute, so that its owner is not locked out.
pub(crate) fn allowances(email: &str, address: &str) -> [Allowance; 3] {
    let account: String = email.trim().to_lowercase().chars().take(254).collect();
    let of = |subject: String, free, longest| Allowance { subject, free, longest };
    [
        of(format!("{account} from {address}"), 5, TimeDelta::minutes(15)),
        of(format!("from {address}"), 20, TimeDelta::minutes(15)),
        of(format!("to {account}"), 50, TimeDelta::minutes(1)),
    ]
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

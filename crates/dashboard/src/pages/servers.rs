//! `/servers`: the servers that take our mail; trying one out, and choosing which one is in use.

mod form;

use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::session::{Administer, Allowed, Manage, Needs, Submitted};
use crate::words::When;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use form::Written;
use rebound_db::events::{self, Event};
use rebound_db::servers::{self as kept_servers, Kept};
use rebound_domain::{EmailAddress, ServerId, Tls};
use rebound_send::servers::{self, Password, ServerError};
use rebound_send::{Relay, Trial, trial};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "servers/index.html")]
pub(crate) struct Index {
    frame: Frame,
    configured: Option<Relay>,
    servers: Vec<Line>,
    trial: Option<Trial>,
    to: String,
}

struct Line {
    kept: Kept,
    state: (&'static str, &'static str),
    tested: Option<When>,
}

pub(crate) async fn index(by: Allowed<Administer>, State(app): State<App>) -> Result<Page<Index>, PageError> {
    Ok(Page(list(&app, &by, None, "").await?))
}

async fn list(app: &App, by: &Allowed<Administer>, trial: Option<Trial>, to: &str) -> Result<Index, PageError> {
    let configured = app.installation.relay.clone();
    let line = |kept: Kept| Line {
        state: state(&kept, configured.is_some()),
        tested: kept.tested.as_ref().map(|(at, _)| When::new(*at, app.now())),
        kept,
    };
    let servers = kept_servers::list(&app.db).await?.into_iter().map(line).collect();
    let to = if to.is_empty() { by.actor().to_owned() } else { to.to_owned() };
    Ok(Index { frame: Frame::of(app, by, Place::Servers).await?, servers, configured, trial, to })
}

/// The class and the words of a server's state.
fn state(kept: &Kept, is_overruled: bool) -> (&'static str, &'static str) {
    match (kept.in_use, &kept.tested) {
        (true, _) if is_overruled => ("s-suppressed", "Overruled"),
        (true, Some((_, Some(_)))) => ("s-hard", "In use, last test failed"),
        (true, Some((_, None)) | None) => ("s-delivered", "In use"),
        (false, Some((_, Some(_)))) => ("s-soft", "Last test failed"),
        (false, Some((_, None)) | None) => ("s-draft", "Not in use"),
    }
}

#[derive(Template)]
#[template(path = "servers/show.html")]
pub(crate) struct Show {
    frame: Frame,
    kept: Option<Kept>,
    state: (&'static str, &'static str),
    changed: Option<When>,
    tested: Option<When>,
    written: Written,
    fault: Option<String>,
    is_overruled: bool,
    trial: Option<Trial>,
    to: String,
    kinds: [(Tls, &'static str); 3],
}

impl Show {
    async fn of<P: Needs>(app: &App, by: &Allowed<P>, kept: Option<Kept>) -> Result<Self, PageError> {
        let is_overruled = app.installation.relay.is_some();
        Ok(Self {
            frame: Frame::of(app, by, Place::Servers).await?,
            state: kept.as_ref().map_or(("s-draft", "New"), |kept| state(kept, is_overruled)),
            changed: kept.as_ref().map(|kept| When::new(kept.changed, app.now())),
            tested: kept.as_ref().and_then(|kept| kept.tested.as_ref()).map(|(at, _)| When::new(*at, app.now())),
            written: kept.as_ref().map_or_else(|| Written::blank(&app.public_url), |kept| Written::of(&kept.server)),
            kept,
            fault: None,
            is_overruled,
            trial: None,
            to: by.actor().to_owned(),
            kinds: [
                (Tls::StartTls, "STARTTLS, required"),
                (Tls::Implicit, "TLS from the start"),
                (Tls::None, "None: on this machine only"),
            ],
        })
    }
}

pub(crate) async fn blank(by: Allowed<Manage>, State(app): State<App>) -> Result<Page<Show>, PageError> {
    Ok(Page(Show::of(&app, &by, None).await?))
}

pub(crate) async fn create(
    State(app): State<App>,
    Submitted { by, form }: Submitted<Manage, Written>,
) -> Result<Response, PageError> {
    let outcome = match form.server(ServerId(0)) {
        Ok(server) => {
            servers::add(&app.db, &app.sender.keys, &server, &form.password, by.actor(), app.now()).await.map_err(words)
        }
        Err(fault) => Err(Ok(fault)),
    };
    match outcome {
        Ok(id) => Ok(Redirect::to(&format!("/servers/{id}")).into_response()),
        Err(fault) => refused(&app, &by, None, form, fault?).await,
    }
}

pub(crate) async fn show(
    by: Allowed<Manage>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<Show>, PageError> {
    let kept = get(&app, id).await?;
    Ok(Page(Show::of(&app, &by, Some(kept)).await?))
}

pub(crate) async fn update(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form }: Submitted<Manage, Written>,
) -> Result<Response, PageError> {
    let kept = get(&app, id).await?;
    // An empty field leaves the password as it is: the page never shows it.
    let password = match form.password.as_str() {
        _ if form.forget.is_some() => Password::Becomes(""),
        "" => Password::Stays,
        password => Password::Becomes(password),
    };
    let outcome = match form.server(ServerId(id)) {
        Ok(server) => {
            servers::change(&app.db, &app.sender.keys, &server, password, by.actor(), app.now()).await.map_err(words)
        }
        Err(fault) => Err(Ok(fault)),
    };
    match outcome {
        Ok(()) => Ok(Redirect::to(&format!("/servers/{id}")).into_response()),
        Err(fault) => refused(&app, &by, Some(kept), form, fault?).await,
    }
}

async fn refused(
    app: &App,
    by: &Allowed<Manage>,
    kept: Option<Kept>,
    written: Written,
    fault: String,
) -> Result<Response, PageError> {
    let page = Show::of(app, by, kept).await?;
    // A password that was typed is not sent back.
    let written = Written { password: String::new(), ..written };
    Ok(Faulty(Show { written, fault: Some(fault), ..page }).into_response())
}

/// What the person can mend, in words; or an error of ours.
fn words(error: ServerError) -> Result<String, PageError> {
    match error {
        ServerError::Database(rebound_db::Error::Taken { .. }) => Ok("another server has that name".to_owned()),
        ServerError::Database(error) => Err(error.into()),
        ServerError::Unknown => Err(PageError::NotFound),
        other => Ok(other.to_string()),
    }
}

#[derive(Deserialize)]
pub(crate) struct Nothing {}

pub(crate) async fn put_in_use(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Manage, Nothing>,
) -> Result<Response, PageError> {
    servers::put_in_use(&app.db, Some(ServerId(id)), by.actor(), app.now()).await?;
    app.wake.notify_one();
    Ok(Redirect::to("/servers").into_response())
}

/// Sends through no server: campaigns wait.
pub(crate) async fn rest(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Manage, Nothing>,
) -> Result<Response, PageError> {
    if get(&app, id).await?.in_use {
        servers::put_in_use(&app.db, None, by.actor(), app.now()).await?;
    }
    Ok(Redirect::to("/servers").into_response())
}

#[derive(Template)]
#[template(path = "servers/remove.html")]
pub(crate) struct Remove {
    frame: Frame,
    kept: Kept,
}

pub(crate) async fn remove_page(
    by: Allowed<Manage>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<Remove>, PageError> {
    let kept = get(&app, id).await?;
    Ok(Page(Remove { frame: Frame::of(&app, &by, Place::Servers).await?, kept }))
}

pub(crate) async fn remove(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Manage, Nothing>,
) -> Result<Response, PageError> {
    servers::remove(&app.db, ServerId(id), by.actor(), app.now()).await?;
    Ok(Redirect::to("/servers").into_response())
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Test {
    /// Where a test message goes; empty for none.
    to: String,
}

impl Test {
    fn recipient(&self) -> Result<Option<EmailAddress>, PageError> {
        let not = |_| PageError::NotNow(format!("“{}” is no e-mail address", self.to));
        match self.to.trim() {
            "" => Ok(None),
            to => to.parse().map(Some).map_err(not),
        }
    }
}

/// Tries a server of the page out, and keeps what came of it.
pub(crate) async fn test(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form }: Submitted<Manage, Test>,
) -> Result<Response, PageError> {
    let (kept, to) = (get(&app, id).await?, form.recipient()?);
    let relay = servers::relay(&app.sender.keys, &kept)?;
    let trial = tried(&app, &by, &relay, to.as_ref()).await;
    kept_servers::note_test(&app.db, kept.server.id, trial.fault(), app.now()).await?;
    note(&app, &by, Some(kept.server.id), &kept.server.name, &trial).await?;
    let page = Show::of(&app, &by, Some(get(&app, id).await?)).await?;
    Ok(Page(Show { trial: Some(trial), to: form.to, ..page }).into_response())
}

/// Tries the relay of the configuration out.
pub(crate) async fn test_configured(
    State(app): State<App>,
    Submitted { by, form }: Submitted<Administer, Test>,
) -> Result<Response, PageError> {
    let (relay, to) = (app.installation.relay.clone().ok_or(PageError::NotFound)?, form.recipient()?);
    let trial = tried(&app, &by, &relay, to.as_ref()).await;
    note(&app, &by, None, &relay.host, &trial).await?;
    Ok(Page(list(&app, &by, Some(trial), &form.to).await?).into_response())
}

async fn tried<P>(app: &App, by: &Allowed<P>, relay: &Relay, to: Option<&EmailAddress>) -> Trial {
    trial(relay, &app.sender, to.map(|to| (to, by.actor())), app.now()).await
}

async fn note<P>(
    app: &App,
    by: &Allowed<P>,
    id: Option<ServerId>,
    name: &str,
    trial: &Trial,
) -> Result<(), rebound_db::Error> {
    let detail = format!("{name}: {}", trial.fault().unwrap_or("it works"));
    let (at, kind, actor, subject_id) = (app.now(), "server.tested", by.actor(), id.map(|id| id.0));
    events::add(&app.db, &Event { at, kind, actor, subject: "server", subject_id, key: None, detail }).await
}

async fn get(app: &App, id: i64) -> Result<Kept, PageError> {
    kept_servers::get(&app.db, ServerId(id)).await?.ok_or(PageError::NotFound)
}

impl From<ServerError> for PageError {
    fn from(error: ServerError) -> Self {
        match words(error) {
            Ok(words) => Self::NotNow(words),
            Err(error) => error,
        }
    }
}

/// Seconds after the beginning: `0.04 s`.
fn seconds(after: &std::time::Duration) -> String {
    format!("{:.2} s", after.as_secs_f64())
}

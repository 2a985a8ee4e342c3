//! `/servers`: the servers that take our mail; trying one out, and choosing which one is in use.

mod form;

use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::session::{Administer, Allowed, Manage, Needs, Submitted};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use form::Written;
use rebound_db::events::{self, Event};
use rebound_db::servers::{self as kept_servers, Kept};
use rebound_db::volumes;
use rebound_domain::{EmailAddress, Server, ServerId, Span, Tls};
use rebound_send::servers::{self, Password, ServerError};
use rebound_send::{Egress, Trial, Via, trial};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "servers/index.html")]
pub(crate) struct Index {
    frame: Frame,
    configured: Option<Egress>,
    servers: Vec<Line>,
    trial: Option<Trial>,
    to: String,
}

struct Line {
    kept: Kept,
    state: (&'static str, &'static str),
    tested: Option<When>,
    /// Its share in per cent, where others are in use too.
    share: Option<i64>,
    volumes: Vec<Volume>,
    /// `day 3 of 20`.
    warm_up: Option<(i64, i64)>,
}

/// What a server was given of a limit.
struct Volume {
    given: Count,
    most: Count,
    span: Span,
    is_full: bool,
}

pub(crate) async fn index(by: Allowed<Administer>, State(app): State<App>) -> Result<Page<Index>, PageError> {
    Ok(Page(list(&app, &by, None, "").await?))
}

async fn list(app: &App, by: &Allowed<Administer>, trial: Option<Trial>, to: &str) -> Result<Index, PageError> {
    let (configured, now) = (app.installation.egress.clone(), app.now());
    let kept = kept_servers::list(&app.db).await?;
    let in_use = || kept.iter().filter(|kept| kept.in_use);
    let (count, weights) = (in_use().count(), in_use().map(|kept| i64::from(kept.server.weight)).sum::<i64>());
    let mut servers = Vec::new();
    for kept in kept {
        let plan = kept.server.warm_up.filter(|plan| plan.most(now).is_some());
        servers.push(Line {
            state: state(&kept, configured.is_some()),
            tested: kept.tested.as_ref().map(|(at, _)| When::new(*at, now)),
            share: (kept.in_use && count > 1 && configured.is_none())
                .then(|| 100 * i64::from(kept.server.weight) / weights.max(1)),
            volumes: given(app, &kept.server).await?,
            warm_up: plan.map(|plan| (plan.day(now), plan.days())),
            kept,
        });
    }
    let to = if to.is_empty() { by.actor().to_owned() } else { to.to_owned() };
    Ok(Index { frame: Frame::of(app, by, Place::Servers).await?, servers, configured, trial, to })
}

/// What `server` was given, of each of its limits.
async fn given(app: &App, server: &Server) -> Result<Vec<Volume>, PageError> {
    let (now, mut volumes) = (app.now(), Vec::new());
    for volume in server.limits.volumes(server.warm_up.as_ref(), now) {
        let given = volumes::given(&app.db, server.id, volume.span, now).await?;
        let (most, is_full) = (i64::from(volume.most), given >= i64::from(volume.most));
        volumes.push(Volume { given: Count(given), most: Count(most), span: volume.span, is_full });
    }
    Ok(volumes)
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
        let is_overruled = app.installation.egress.is_some();
        Ok(Self {
            frame: Frame::of(app, by, Place::Servers).await?,
            state: kept.as_ref().map_or(("s-draft", "New"), |kept| state(kept, is_overruled)),
            changed: kept.as_ref().map(|kept| When::new(kept.changed, app.now())),
            tested: kept.as_ref().and_then(|kept| kept.tested.as_ref()).map(|(at, _)| When::new(*at, app.now())),
            written: kept
                .as_ref()
                .map_or_else(|| Written::blank("relay", &app.public_url), |kept| Written::of(&kept.server)),
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

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Kind {
    /// `direct` for a way straight to receivers.
    kind: String,
}

pub(crate) async fn blank(
    by: Allowed<Manage>,
    State(app): State<App>,
    Query(Kind { kind }): Query<Kind>,
) -> Result<Page<Show>, PageError> {
    let written = Written::blank(&kind, &app.public_url);
    Ok(Page(Show { written, ..Show::of(&app, &by, None).await? }))
}

pub(crate) async fn create(
    State(app): State<App>,
    Submitted { by, form }: Submitted<Manage, Written>,
) -> Result<Response, PageError> {
    let outcome = match form.server(ServerId(0), None, app.now()) {
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
    let outcome = match form.server(ServerId(id), Some(&kept.server), app.now()) {
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
    servers::put_in_use(&app.db, ServerId(id), true, by.actor(), app.now()).await?;
    app.wake.notify_one();
    Ok(Redirect::to("/servers").into_response())
}

/// Sends through it no longer; where it was the last one, campaigns wait.
pub(crate) async fn rest(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Manage, Nothing>,
) -> Result<Response, PageError> {
    servers::put_in_use(&app.db, ServerId(id), false, by.actor(), app.now()).await?;
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
    let egress = servers::egress(&app.sender.keys, &kept, &app.installation.direct)?;
    let trial = tried(&app, &by, &egress, to.as_ref()).await;
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
    let (egress, to) = (app.installation.egress.clone().ok_or(PageError::NotFound)?, form.recipient()?);
    let trial = tried(&app, &by, &egress, to.as_ref()).await;
    note(&app, &by, None, &egress.name, &trial).await?;
    Ok(Page(list(&app, &by, Some(trial), &form.to).await?).into_response())
}

async fn tried<P>(app: &App, by: &Allowed<P>, egress: &Egress, to: Option<&EmailAddress>) -> Trial {
    trial(egress, &app.sender, to.map(|to| (to, by.actor())), app.now()).await
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

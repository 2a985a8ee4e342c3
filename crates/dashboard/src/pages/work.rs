//! `/jobs`: long work, under way or stopped, and what can be done about it.

use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::pages::imports::{percent, sentence, state};
use crate::session::{Allowed, See, Submitted, Write};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::TimeDelta;
use rebound_db::jobs::{self, Job, JobKind, JobState};
use rebound_db::{campaigns, imports, incidents};
use rebound_domain::{Campaign, CampaignState, ImportId, IncidentId, JobId, Permission};
use serde::Deserialize;

/// How long work that is over stays on the page.
const REMEMBERED: TimeDelta = TimeDelta::days(7);
const ROWS: u32 = 100;
/// What a person calls the move.
const MOVE: &str = "Move from SQLite to PostgreSQL";

#[derive(Template)]
#[template(path = "work/index.html")]
pub(crate) struct Index {
    frame: Frame,
    rows: Rows,
}

/// The part of the page that changes.
#[derive(Template)]
#[template(path = "work/rows.html")]
pub(crate) struct Rows {
    csrf: String,
    open: Vec<Line>,
    over: Vec<Line>,
    now: When,
}

struct Line {
    what: String,
    link: String,
    /// What else there is to know, in a sentence.
    detail: String,
    since: When,
    by: String,
    state: (&'static str, &'static str),
    /// How much of it is done, where somebody knows.
    percent: Option<i64>,
    cancel: Option<String>,
    retry: Option<String>,
}

pub(crate) async fn index(by: Allowed<See>, State(app): State<App>) -> Result<Page<Index>, PageError> {
    let rows = rows(&by, &app).await?;
    Ok(Page(Index { frame: Frame::of(&app, &by, Place::Work).await?, rows }))
}

pub(crate) async fn progress(by: Allowed<See>, State(app): State<App>) -> Result<Page<Rows>, PageError> {
    Ok(Page(rows(&by, &app).await?))
}

async fn rows(by: &Allowed<See>, app: &App) -> Result<Rows, PageError> {
    let now = When::new(app.now(), app.now());
    let (mut open, mut over) = (vec![], vec![]);
    for campaign in campaigns::in_states(&app.db, &[CampaignState::Planning]).await? {
        open.push(planning(&campaign, by, now));
    }
    for job in jobs::recent(&app.db, app.now() - REMEMBERED, ROWS).await? {
        let is_over = matches!(job.state, JobState::Done | JobState::Cancelled);
        let line = line(app, by, job, now).await?;
        if is_over { over.push(line) } else { open.push(line) }
    }
    Ok(Rows { csrf: by.session.csrf.clone(), open, over, now })
}

/// Who gets a campaign is worked out by its own row.
fn planning(campaign: &Campaign, by: &Allowed<See>, now: When) -> Line {
    Line {
        what: format!("Who gets “{}”", campaign.draft.name),
        link: format!("/campaigns/{}", campaign.id),
        detail: format!("{} so far.", Count(campaign.planned).people()),
        since: campaign.launched.map_or(now, |at| now.to(at)),
        by: String::new(),
        state: state(JobState::Running),
        percent: (campaign.expected > 0).then(|| percent(campaign.planned, campaign.expected)),
        cancel: by.may(Permission::Launch).then(|| format!("/campaigns/{}/cancel", campaign.id)),
        retry: None,
    }
}

async fn line(app: &App, by: &Allowed<See>, job: Job, now: When) -> Result<Line, PageError> {
    let (what, link, mut detail) = match job.kind {
        JobKind::Import => import(app, &job).await?,
        JobKind::Restore => restore(app, &job).await?,
        JobKind::Migration => migration(&job),
        JobKind::Rejudge => rejudge(&job),
    };
    if let Some(error) = &job.error {
        detail = format!("{}.", sentence(error));
    }
    // A move goes on where its command runs, and nowhere else.
    let may = by.may(permission(job.kind)) && job.kind != JobKind::Migration;
    let can_stop = !matches!(job.state, JobState::Done | JobState::Cancelled);
    Ok(Line {
        what,
        link,
        detail,
        since: now.to(job.created),
        state: state(job.state),
        percent: (job.state.is_under_way() && job.total > 0).then(|| percent(job.done, job.total)),
        cancel: (may && can_stop).then(|| format!("/jobs/{}/cancel", job.id)),
        retry: (may && job.state == JobState::Failed).then(|| format!("/jobs/{}/retry", job.id)),
        by: job.actor,
    })
}

async fn import(app: &App, job: &Job) -> Result<(String, String, String), PageError> {
    let found = imports::get(&app.db, ImportId(job.subject)).await?;
    let (file, lines) = found.map_or_else(Default::default, |import| (import.file, import.counts.lines));
    let detail = if lines > 0 { format!("{} read.", Count(lines).of("row", "rows")) } else { String::new() };
    Ok((format!("Import of {file}"), format!("/imports/{}", job.subject), detail))
}

async fn restore(app: &App, job: &Job) -> Result<(String, String, String), PageError> {
    let incident = incidents::get(&app.db, IncidentId(job.subject)).await?;
    let title = match incident {
        Some(incident) => crate::pages::incidents::title(&incident, &campaigns::all(&app.db).await?),
        None => String::new(),
    };
    let detail = format!("{} of {} judged anew.", Count(job.done), Count(job.total).people());
    Ok((format!("Restore: {title}"), format!("/incidents/{}", job.subject), detail))
}

fn migration(job: &Job) -> (String, String, String) {
    let rows = Count(job.total).of("row", "rows");
    let detail = match job.state {
        JobState::Done => format!("{rows} copied, each compared with the old one."),
        _ => format!("{} of {rows} copied.", Count(job.done)),
    };
    (MOVE.to_owned(), format!("/jobs/{}", job.id), detail)
}

fn rejudge(job: &Job) -> (String, String, String) {
    let what = format!("The history judged again by version {} of the rules", job.subject);
    let detail = format!("{} of {} looked at.", Count(job.done), Count(job.total).of("bounce", "bounces"));
    (what, "/settings/rules".to_owned(), detail)
}

/// Who may stop it is who may begin it.
fn permission(kind: JobKind) -> Permission {
    match kind {
        JobKind::Import => Permission::Write,
        JobKind::Restore | JobKind::Migration | JobKind::Rejudge => Permission::Administer,
    }
}

/// A piece of work that has no page of its own elsewhere: the move of everything into this database.
#[derive(Template)]
#[template(path = "work/show.html")]
pub(crate) struct Show {
    frame: Frame,
    what: &'static str,
    state: (&'static str, &'static str),
    file: String,
    by: String,
    begun: When,
    last: When,
    is_done: bool,
    error: Option<String>,
    rows: Count,
    of: Count,
    /// How often its command was run.
    times: Count,
}

/// What the move was asked for with.
#[derive(Default, Deserialize)]
struct Moved {
    #[serde(default)]
    file: String,
}

pub(crate) async fn show(by: Allowed<See>, State(app): State<App>, Path(id): Path<i64>) -> Result<Response, PageError> {
    let job = jobs::get(&app.db, JobId(id)).await?.ok_or(PageError::NotFound)?;
    let link = match job.kind {
        JobKind::Import => import(&app, &job).await?.1,
        JobKind::Restore => restore(&app, &job).await?.1,
        JobKind::Rejudge => rejudge(&job).1,
        JobKind::Migration => return Ok(Page(moved(&app, &by, job).await?).into_response()),
    };
    Ok(Redirect::to(&link).into_response())
}

async fn moved(app: &App, by: &Allowed<See>, job: Job) -> Result<Show, PageError> {
    let now = When::new(app.now(), app.now());
    let Moved { file } = serde_json::from_str(&job.settings).unwrap_or_default();
    Ok(Show {
        frame: Frame::of(app, by, Place::Work).await?,
        what: MOVE,
        state: state(job.state),
        file,
        by: job.actor,
        begun: now.to(job.created),
        last: now.to(job.updated),
        is_done: job.state == JobState::Done,
        error: job.error.as_deref().map(sentence),
        rows: Count(job.done),
        of: Count(job.total),
        times: Count(job.claim),
    })
}

#[derive(Template)]
#[template(path = "work/cancel.html")]
pub(crate) struct CancelPage {
    frame: Frame,
    id: JobId,
    what: String,
    link: String,
    done: Count,
    /// Whom a restore has not come to; of an import, how much of the file is read, in percent.
    left: Count,
    percent: i64,
    kind: JobKind,
}

pub(crate) async fn cancel_page(
    by: Allowed<Write>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<CancelPage>, PageError> {
    let job = found(&app, &by, id).await?;
    let (what, link, _) = match job.kind {
        JobKind::Import => import(&app, &job).await?,
        JobKind::Restore => restore(&app, &job).await?,
        JobKind::Rejudge => rejudge(&job),
        JobKind::Migration => return Err(PageError::NotNow("a move is stopped where its command runs".to_owned())),
    };
    let done = match (job.kind, imports::get(&app.db, ImportId(job.subject)).await?) {
        (JobKind::Import, Some(import)) => import.counts.added,
        (JobKind::Import, None) => 0,
        (JobKind::Restore | JobKind::Migration | JobKind::Rejudge, _) => job.done,
    };
    let frame = Frame::of(&app, &by, Place::Work).await?;
    Ok(Page(CancelPage {
        frame,
        id: job.id,
        what,
        link,
        done: Count(done),
        left: Count((job.total - job.done).max(0)),
        percent: percent(job.done, job.total),
        kind: job.kind,
    }))
}

#[derive(Deserialize)]
pub(crate) struct Nothing {}

pub(crate) async fn cancel(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Write, Nothing>,
) -> Result<Redirect, PageError> {
    let job = found(&app, &by, id).await?;
    let why = format!("cancelled by {}", by.session.user.name);
    if !rebound_contacts::cancel(&app.db, job.id, by.actor(), &why, app.now()).await? {
        return Err(PageError::NotNow("it is over already".to_owned()));
    }
    Ok(Redirect::to("/jobs"))
}

pub(crate) async fn retry(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Write, Nothing>,
) -> Result<Redirect, PageError> {
    let job = found(&app, &by, id).await?;
    if !rebound_contacts::retry(&app.db, job.id, by.actor(), app.now()).await? {
        return Err(PageError::NotNow("it did not fail, or was begun anew".to_owned()));
    }
    app.work.notify_one();
    Ok(Redirect::to("/jobs"))
}

async fn found(app: &App, by: &Allowed<Write>, id: i64) -> Result<Job, PageError> {
    let job = jobs::get(&app.db, JobId(id)).await?.ok_or(PageError::NotFound)?;
    if by.may(permission(job.kind)) { Ok(job) } else { Err(PageError::Forbidden) }
}

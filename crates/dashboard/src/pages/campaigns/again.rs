//! `/campaigns/{id}/resend` and `/hurry`: writing again to exactly those who did not get it.

use super::found;
use super::report::Report;
use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, Launch, Submitted, Write};
use crate::words::{Count, bytes};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use rebound_db::outcomes;
use rebound_domain::{BounceCause, Campaign, CampaignId, Remedy, StateName};
use rebound_send::{ResendError, Version, hurry, letter_size, pictures_inside, resend, resendable};
use serde::Deserialize;

/// What can be done for those of one cause: a page, or the row that opens below theirs.
#[derive(Template)]
#[template(path = "campaigns/again.html")]
struct Again {
    frame: Frame,
    report: Report,
    inset: Inset,
}

#[derive(Template)]
#[template(path = "campaigns/again_row.html")]
struct Row {
    inset: Inset,
}

#[derive(Template)]
#[template(path = "campaigns/inset.html")]
struct Inset {
    id: i64,
    csrf: String,
    cause: BounceCause,
    remedy: Option<Remedy>,
    change: &'static str,
    people: Count,
    size: String,
    pictures: usize,
}

impl askama::filters::HtmlSafe for Inset {}

#[derive(Deserialize)]
pub(crate) struct Of {
    cause: String,
    #[serde(default)]
    version: String,
}

impl Of {
    fn cause(&self) -> Result<BounceCause, PageError> {
        self.cause.parse().map_err(|_| PageError::NotFound)
    }
}

pub(crate) async fn resend_page(
    by: Allowed<Write>,
    State(app): State<App>,
    Path(id): Path<i64>,
    Query(of): Query<Of>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let (campaign, cause) = (found(&app.db, id).await?, of.cause()?);
    let frame = Frame::of(&app, &by, Place::Campaigns).await?;
    let inset = inset(&app, &campaign, cause, &frame).await?;
    if headers.contains_key("hx-request") {
        return Ok(Page(Row { inset }).into_response());
    }
    let report = Report::of(&app.db, campaign, "bounces", app.now()).await?;
    Ok(Page(Again { frame, report, inset }).into_response())
}

async fn inset(app: &App, campaign: &Campaign, cause: BounceCause, frame: &Frame) -> Result<Inset, PageError> {
    let people = match resendable(&app.db, campaign, cause, app.now()).await {
        Ok(people) => people,
        Err(ResendError::Never(_)) => 0,
        Err(error) => return Err(error.into()),
    };
    Ok(Inset {
        id: campaign.id.0,
        csrf: frame.csrf.clone(),
        cause,
        remedy: Remedy::of(cause),
        change: cause.advice().marketer,
        people: Count(people),
        size: bytes(letter_size(&campaign.draft)),
        pictures: pictures_inside(&campaign.draft),
    })
}

pub(crate) async fn make_resend(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form }: Submitted<Write, Of>,
) -> Result<Redirect, PageError> {
    let (version, place) = match form.version.as_str() {
        "light" => (Version::Light, ""),
        "edit" => (Version::Same, "/edit"),
        _ => (Version::Same, ""),
    };
    let draft = resend(&app.db, CampaignId(id), form.cause()?, version, by.actor(), app.now()).await?;
    Ok(Redirect::to(&format!("/campaigns/{draft}{place}")))
}

#[derive(Template)]
#[template(path = "campaigns/hurry.html")]
pub(crate) struct HurryPage {
    frame: Frame,
    campaign: Campaign,
    cause: BounceCause,
    people: Count,
}

pub(crate) async fn hurry_page(
    by: Allowed<Launch>,
    State(app): State<App>,
    Path(id): Path<i64>,
    Query(of): Query<Of>,
) -> Result<Page<HurryPage>, PageError> {
    let (campaign, cause) = (found(&app.db, id).await?, of.cause()?);
    let failed = outcomes::of_campaign(&app.db, campaign.id).await?;
    let wait = failed.iter().filter(|one| one.cause == cause && one.state == StateName::Deferred);
    let people = Count(wait.map(|one| one.count).sum());
    let frame = Frame::of(&app, &by, Place::Campaigns).await?;
    Ok(Page(HurryPage { frame, campaign, cause, people }))
}

pub(crate) async fn hurry_up(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form }: Submitted<Launch, Of>,
) -> Result<Redirect, PageError> {
    hurry(&app.db, CampaignId(id), form.cause()?, by.actor(), app.now()).await?;
    app.wake.notify_one();
    Ok(Redirect::to(&format!("/campaigns/{id}/bounces")))
}

impl From<ResendError> for PageError {
    fn from(error: ResendError) -> Self {
        match error {
            ResendError::Unknown => Self::NotFound,
            ResendError::Database(error) => error.into(),
            other => Self::NotNow(other.to_string()),
        }
    }
}

//! What a person orders a campaign to do. The rules are in `rebound_send`.

use super::found;
use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, Launch, Submitted};
use crate::tally::Tally;
use crate::words::Count;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Redirect;
use chrono::{NaiveDate, NaiveTime};
use rebound_db::deliveries;
use rebound_domain::{Campaign, CampaignId, CampaignState};
use rebound_send::{Cleared, LaunchError, Progress};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "campaigns/cancel.html")]
pub(crate) struct CancelPage {
    frame: Frame,
    campaign: Campaign,
    unsent: Count,
}

#[derive(Deserialize)]
pub(crate) struct Nothing {}

type Order = Submitted<Launch, Nothing>;

pub(crate) async fn launch(State(app): State<App>, Path(id): Path<i64>, order: Order) -> Result<Redirect, PageError> {
    let campaign = found(&app.db, id).await?;
    if campaign.launched.is_none() {
        cleared(&app, &campaign).await?.launch(&app.db, order.by.actor()).await?;
        app.wake.notify_one();
    }
    Ok(report(campaign.id))
}

/// A campaign that nothing stands in the way of. Who comes while it is looked at is not written to.
async fn cleared(app: &App, campaign: &Campaign) -> Result<Cleared, PageError> {
    let now = app.now();
    if matches!(campaign.state, CampaignState::Draft | CampaignState::Scheduled) {
        app.preflights.get(app, campaign).await?.gate()?;
    }
    let kept = app.full_checks.found(campaign).await;
    Ok(Cleared::new(&app.db, campaign, kept.as_deref(), &app.sender, &Progress::default(), now).await?)
}

/// When it is to go, as the form says it: in UTC, like all times on the pages.
#[derive(Deserialize)]
pub(crate) struct At {
    #[serde(default)]
    day: String,
    #[serde(default)]
    time: String,
}

pub(crate) async fn schedule(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form }: Submitted<Launch, At>,
) -> Result<Redirect, PageError> {
    let day = NaiveDate::parse_from_str(form.day.trim(), "%Y-%m-%d");
    let time = NaiveTime::parse_from_str(form.time.trim(), "%H:%M");
    let (Ok(day), Ok(time)) = (day, time) else {
        return Err(PageError::NotNow("say a day and a time, such as 2026-11-26 and 08:00".into()));
    };
    let at = day.and_time(time).and_utc();
    if at <= app.now() {
        return Err(LaunchError::Past.into());
    }
    let campaign = found(&app.db, id).await?;
    cleared(&app, &campaign).await?.schedule(&app.db, at, by.actor()).await?;
    Ok(report(campaign.id))
}

pub(crate) async fn unschedule(
    State(app): State<App>,
    Path(id): Path<i64>,
    order: Order,
) -> Result<Redirect, PageError> {
    let id = CampaignId(id);
    rebound_send::unschedule(&app.db, id, order.by.actor(), app.now()).await?;
    Ok(report(id))
}

pub(crate) async fn pause(State(app): State<App>, Path(id): Path<i64>, order: Order) -> Result<Redirect, PageError> {
    let id = CampaignId(id);
    rebound_send::pause(&app.db, id, order.by.actor(), app.now()).await?;
    Ok(report(id))
}

pub(crate) async fn resume(State(app): State<App>, Path(id): Path<i64>, order: Order) -> Result<Redirect, PageError> {
    let id = CampaignId(id);
    rebound_send::resume(&app.db, id, order.by.actor(), app.now()).await?;
    app.wake.notify_one();
    Ok(report(id))
}

pub(crate) async fn cancel_page(
    by: Allowed<Launch>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<CancelPage>, PageError> {
    let campaign = found(&app.db, id).await?;
    let tally = Tally::of(&deliveries::counts(&app.db, campaign.id).await?, &[]);
    let frame = Frame::of(&app, &by, Place::Campaigns).await?;
    Ok(Page(CancelPage { frame, campaign, unsent: tally.unsent() }))
}

pub(crate) async fn cancel(State(app): State<App>, Path(id): Path<i64>, order: Order) -> Result<Redirect, PageError> {
    let id = CampaignId(id);
    rebound_send::cancel(&app.db, id, order.by.actor(), app.now()).await?;
    Ok(report(id))
}

fn report(id: CampaignId) -> Redirect {
    Redirect::to(&format!("/campaigns/{id}"))
}

impl From<LaunchError> for PageError {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Unknown => Self::NotFound,
            LaunchError::NotNow(why) => Self::NotNow(why.to_string()),
            LaunchError::Findings(findings) => {
                let words: Vec<&str> = findings.iter().map(|finding| finding.what.as_str()).collect();
                Self::NotNow(words.join(" ").trim_end_matches('.').to_owned())
            }
            LaunchError::Changed | LaunchError::Past => Self::NotNow(error.to_string()),
            LaunchError::Database(error) => error.into(),
        }
    }
}

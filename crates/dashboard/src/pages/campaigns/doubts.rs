//! `/campaigns/{id}/doubts`: messages of which nobody knows whether they left, by name, and what to do about them.

use super::found;
use super::report::Report;
use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, Launch, See, Submitted};
use crate::words::When;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Redirect;
use chrono::{DateTime, Utc};
use rebound_db::doubts::{self, Doubt};
use rebound_domain::{CampaignId, CampaignState, DeliveryId, DoubtPolicy};
use rebound_send::{leave_doubts, resend_doubts};
use serde::Deserialize;

const ROWS: u32 = 100;

#[derive(Template)]
#[template(path = "campaigns/doubts.html")]
pub(crate) struct Doubts {
    frame: Frame,
    report: Report,
    rows: Vec<Line>,
    more: Option<i64>,
    asks: Option<When>,
    seen: i64,
}

struct Line {
    doubt: Doubt,
    found: When,
    handed: Option<When>,
}

#[derive(Deserialize)]
pub(crate) struct From {
    after: Option<i64>,
}

pub(crate) async fn doubts(
    by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
    Query(from): Query<From>,
) -> Result<Page<Doubts>, PageError> {
    let now = app.now();
    let campaign = found(&app.db, id).await?;
    let mut found = doubts::of_campaign(&app.db, campaign.id, from.after.map(DeliveryId), ROWS + 1).await?;
    let more = found.len() > ROWS as usize;
    found.truncate(ROWS as usize);
    let more = found.last().filter(|_| more).map(|last| last.delivery.0);
    let first = found.iter().map(|doubt| doubt.found).min();
    let asks = first.zip(campaign.draft.doubt.asks_after()).map(|(at, wait)| When::new(at + wait, now));
    let line = |doubt: Doubt| Line {
        found: When::new(doubt.found, now),
        handed: doubt.handed.map(|at| When::new(at, now)),
        doubt,
    };
    let rows = found.into_iter().map(line).collect();
    let frame = Frame::of(&app, &by, Place::Campaigns).await?;
    let report = Report::of(&app.db, campaign, "bounces", now).await?;
    Ok(Page(Doubts { frame, report, rows, more, asks, seen: now.timestamp_millis() }))
}

/// What somebody decided about those who were in doubt when they looked.
#[derive(Deserialize)]
pub(crate) struct Decision {
    decision: Decided,
    seen: i64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Decided {
    Resend,
    Leave,
}

pub(crate) async fn decide(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form }: Submitted<Launch, Decision>,
) -> Result<Redirect, PageError> {
    let now = app.now();
    let seen = DateTime::<Utc>::from_timestamp_millis(form.seen).ok_or(PageError::Unreadable)?.min(now);
    let id = CampaignId(id);
    match form.decision {
        Decided::Resend => {
            resend_doubts(&app.db, id, seen, by.actor(), now).await?;
            app.wake.notify_one();
        }
        Decided::Leave => leave_doubts(&app.db, id, seen, by.actor(), now).await?,
    }
    Ok(Redirect::to(&format!("/campaigns/{id}")))
}

//! `/campaigns/{id}/recipients`: what became of each.

use super::found;
use super::report::Report;
use crate::App;
use crate::advice;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See};
use crate::words::When;
use askama::Template;
use axum::extract::{Path, Query, State};
use rebound_db::clicks;
use rebound_db::outcomes::{self, Filter};
use rebound_domain::{BounceCause, ContactId, DeliveryId, StateName};
use serde::Deserialize;

const ROWS: u32 = 100;

#[derive(Template)]
#[template(path = "campaigns/recipients.html")]
pub(crate) struct Recipients {
    frame: Frame,
    report: Report,
    asked: Asked,
    states: &'static [StateName],
    rows: Vec<Line>,
    /// Where the link leads that all of them followed.
    followed: Option<String>,
    more: Option<i64>,
}

struct Line {
    contact: ContactId,
    address: String,
    state: (&'static str, &'static str),
    attempts: u8,
    bounce: Option<(i64, BounceCause)>,
    next: Option<When>,
}

/// What the filter bar holds.
#[derive(Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    state: String,
    failed: Option<bool>,
    #[serde(default)]
    q: String,
    #[serde(default)]
    cause: String,
    link: Option<u16>,
    after: Option<i64>,
}

pub(crate) async fn recipients(
    by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
    Query(asked): Query<Asked>,
) -> Result<Page<Recipients>, PageError> {
    let now = app.now();
    let report = Report::of(&app.db, found(&app.db, id).await?, "recipients", now).await?;
    let filter = Filter {
        state: StateName::ALL.into_iter().find(|state| state.as_str() == asked.state),
        failed: asked.failed,
        cause: asked.cause.parse().ok(),
        search: asked.q.clone(),
        resends: !report.resends.is_empty(),
        link: asked.link,
    };
    let found =
        outcomes::recipients(&app.db, report.campaign.id, &filter, asked.after.map(DeliveryId), ROWS + 1).await?;
    let more = found.len() > ROWS as usize;
    let shown = &found[..found.len().min(ROWS as usize)];
    let line = |one: &outcomes::Recipient| Line {
        contact: one.contact,
        address: one.address.clone(),
        state: match (one.state, one.bounce) {
            (StateName::Accepted, Some(_)) => ("s-recovered", "Recovered"),
            (state, _) => advice::state(state),
        },
        attempts: one.attempts,
        bounce: one.bounce,
        next: one.due.map(|at| When::new(at, now)),
    };
    let rows = shown.iter().map(line).collect();
    let more = shown.last().filter(|_| more).map(|last| last.delivery.0);
    let links = if asked.link.is_some() { clicks::links(&app.db, report.campaign.id).await? } else { vec![] };
    let followed = asked.link.and_then(|link| links.get(usize::from(link).checked_sub(1)?).cloned());
    let frame = Frame::of(&app, &by, Place::Campaigns).await?;
    Ok(Page(Recipients { frame, report, asked, states: &StateName::ALL, rows, followed, more }))
}

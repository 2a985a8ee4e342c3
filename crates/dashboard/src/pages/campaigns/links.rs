//! `/campaigns/{id}/links`: who followed which link.

use super::found;
use super::report::Report;
use crate::App;
use crate::chart::{Slice, bar};
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See};
use crate::words::{Count, percent};
use askama::Template;
use axum::extract::{Path, State};
use rebound_db::{clicks, deliveries};
use rebound_domain::StateName;

#[derive(Template)]
#[template(path = "campaigns/links.html")]
pub(crate) struct LinksPage {
    frame: Frame,
    report: Report,
    people: Count,
    got: Count,
    share: Option<String>,
    rows: Vec<Link>,
}

struct Link {
    number: usize,
    target: String,
    people: Count,
    machines: Count,
    bar: Vec<Slice>,
}

pub(crate) async fn links(
    by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<LinksPage>, PageError> {
    let campaign = found(&app.db, id).await?;
    let people = clicks::people(&app.db, campaign.id).await?;
    let counts = clicks::counts(&app.db, campaign.id).await?;
    // Its own letters: what was sent again has links of its own.
    let got = deliveries::counts(&app.db, campaign.id).await?.remove(&StateName::Accepted).unwrap_or_default();
    let report = Report::of(&app.db, campaign, "links", app.now()).await?;
    let most = counts.iter().map(|link| link.people).max().unwrap_or_default();
    let row = |(number, link): (usize, clicks::LinkCount)| Link {
        number,
        bar: bar("s-delivered", link.people, most),
        target: link.target,
        people: Count(link.people),
        machines: Count(link.machines),
    };
    let page = LinksPage {
        frame: Frame::of(&app, &by, Place::Campaigns).await?,
        report,
        people: Count(people),
        got: Count(got),
        share: percent(people, got),
        rows: (1..).zip(counts).map(row).collect(),
    };
    Ok(Page(page))
}

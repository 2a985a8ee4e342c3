//! `/campaigns`: all of them. One campaign is in the files of this folder, by what is done with it.

mod again;
mod copies;
mod doubts;
mod draft;
mod form;
mod links;
mod live;
mod orders;
mod preview;
mod recipients;
mod report;
mod testing;

pub(crate) use again::{hurry_page, hurry_up, make_resend, resend_page};
pub(crate) use copies::{copy, delete, delete_page, lacking};
pub(crate) use doubts::{decide, doubts};
pub(crate) use draft::{checks, launch_page};
pub(crate) use form::{blank, create, edit, update};
pub(crate) use links::links;
pub(crate) use live::progress;
pub(crate) use orders::{cancel, cancel_page, launch, pause, resume, schedule, unschedule};
pub(crate) use preview::preview;
pub(crate) use recipients::recipients;
pub(crate) use report::{bounces, show};
pub(crate) use testing::test;

use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See};
use crate::tally::{Tally, after_resends, campaign_state};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::{Query, State};
use chrono::NaiveDate;
use rebound_db::{Pool, campaigns, deliveries, lists, outcomes, statistics};
use rebound_domain::{Campaign, CampaignId, CampaignState};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Campaigns on one page.
const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "campaigns/index.html")]
pub(crate) struct Index {
    frame: Frame,
    asked: Asked,
    states: &'static [CampaignState],
    rows: Vec<Line>,
    any: bool,
    /// How many went on the day that is asked for.
    of_day: Option<(String, Count)>,
    more: Option<i64>,
}

struct Line {
    id: CampaignId,
    name: String,
    list: String,
    state: (&'static str, &'static str),
    when: String,
    people: Count,
    reached: Count,
    unreached: Count,
    /// Nothing has gone out: there are no figures yet.
    is_written: bool,
    is_draft: bool,
    resend: bool,
    /// How many of it went on the day that is asked for.
    on_day: Option<Count>,
}

/// What the filter bar holds.
#[derive(Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    state: String,
    /// Only those of which something went on this day, in UTC.
    #[serde(default)]
    day: String,
    after: Option<i64>,
}

impl Asked {
    fn lets_through(&self, campaign: &Campaign) -> bool {
        let q = self.q.trim().to_lowercase();
        let draft = &campaign.draft;
        (q.is_empty() || draft.name.to_lowercase().contains(&q) || draft.subject.to_lowercase().contains(&q))
            && (self.state.is_empty() || campaign.state.as_str() == self.state)
    }
}

pub(crate) async fn index(
    by: Allowed<See>,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Page<Index>, PageError> {
    let now = app.now();
    let frame = Frame::of(&app, &by, Place::Campaigns).await?;
    let mut all = campaigns::all(&app.db).await?;
    all.sort_by_key(|campaign| std::cmp::Reverse(campaign.id));
    let any = !all.is_empty();
    let parents: BTreeSet<CampaignId> = all.iter().filter_map(|one| one.resend).map(|resend| resend.of).collect();
    let names = lists::all(&app.db).await?;
    let day: Option<NaiveDate> = asked.day.parse().ok();
    let sent: Option<BTreeMap<CampaignId, i64>> = match day {
        Some(day) => Some(statistics::sent_on(&app.db, day).await?.into_iter().collect()),
        None => None,
    };
    let after = asked.after.unwrap_or(i64::MAX);
    let of_day = |one: &Campaign| sent.as_ref().is_none_or(|sent| sent.contains_key(&one.id));
    let mut found = all.into_iter().filter(|one| one.id.0 < after && asked.lets_through(one) && of_day(one));
    let mut rows = Vec::new();
    for campaign in found.by_ref().take(ROWS) {
        let mut counts = deliveries::counts(&app.db, campaign.id).await?;
        if parents.contains(&campaign.id) {
            counts = after_resends(counts, &outcomes::resent_to(&app.db, campaign.id).await?);
        }
        let tally = Tally::of(&counts, &[]);
        let when = match (campaign.launched, campaign.finished) {
            (None, None) if campaign.scheduled.is_some() => {
                campaign.scheduled.map(|at| format!("goes {}", When::new(at, now))).unwrap_or_default()
            }
            (_, Some(at)) => format!("until {}", When::new(at, now)),
            (Some(at), None) => format!("since {}", When::new(at, now)),
            (None, None) => format!("written {}", When::new(campaign.created, now)),
        };
        rows.push(Line {
            id: campaign.id,
            list: names
                .iter()
                .find(|list| list.id == campaign.draft.list)
                .map(|list| list.name.clone())
                .unwrap_or_default(),
            name: campaign.draft.name,
            state: campaign_state(campaign.state),
            when,
            people: Count(tally.people),
            reached: Count(tally.reached()),
            unreached: Count(tally.unreached()),
            is_written: matches!(campaign.state, CampaignState::Draft | CampaignState::Scheduled),
            is_draft: campaign.state == CampaignState::Draft,
            resend: campaign.resend.is_some(),
            on_day: sent.as_ref().and_then(|sent| sent.get(&campaign.id)).map(|count| Count(*count)),
        });
    }
    let more = found.next().and(rows.last()).map(|line| line.id.0);
    let of_day = day.zip(sent).map(|(day, sent)| (day.format("%-d %B %Y").to_string(), Count(sent.values().sum())));
    Ok(Page(Index { frame, asked, states: &CampaignState::ALL, rows, any, of_day, more }))
}

/// The campaign with `id`, or no page.
async fn found(db: &Pool, id: i64) -> Result<Campaign, PageError> {
    campaigns::get(db, CampaignId(id)).await?.ok_or(PageError::NotFound)
}

/// The name of its list.
async fn list_name(db: &Pool, campaign: &Campaign) -> Result<String, PageError> {
    Ok(lists::get(db, campaign.draft.list).await?.map(|list| list.name).unwrap_or_default())
}

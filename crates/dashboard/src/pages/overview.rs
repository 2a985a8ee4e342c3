//! `/`: how it is going, and what needs a person.

mod figures;

use crate::App;
use crate::advice::{Turn, turn};
use crate::chart::{Slice, bar};
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See};
use crate::tally::{Tally, campaign_state};
use crate::words::{Count, When, colour};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use figures::{Day, Tile, days, tiles};
use rebound_db::outcomes::{self, Failed};
use rebound_db::{Pool, campaigns, contacts, deliveries, incidents, statistics};
use rebound_domain::{Campaign, CampaignState, CauseGroup, StateName};

/// How many days the figures are of.
const DAYS: i64 = 30;
/// At most so many things that need a person; the rest is behind a link.
const MOST: usize = 5;

#[derive(Template)]
#[template(path = "overview/index.html")]
struct Overview {
    frame: Frame,
    today: When,
    attention: Vec<Attention>,
    more: usize,
    tiles: Vec<Tile>,
    days: Vec<Day>,
    causes: Vec<Cause>,
    resting: Count,
    coming_back: Vec<ComingBack>,
    running: Vec<Running>,
}

#[derive(Template)]
#[template(path = "overview/empty.html")]
struct Empty {
    frame: Frame,
    people: Count,
    campaigns: usize,
}

struct Attention {
    colour: &'static str,
    href: String,
    title: String,
    text: String,
    button: &'static str,
}

struct Cause {
    group: CauseGroup,
    colour: &'static str,
    count: Count,
    bar: Vec<Slice>,
    fate: String,
}

struct ComingBack {
    label: String,
    count: Count,
    bar: Vec<Slice>,
}

struct Running {
    href: String,
    name: String,
    text: String,
    state: (&'static str, &'static str),
}

pub(crate) async fn show(by: Allowed<See>, State(app): State<App>) -> Result<Response, PageError> {
    let now = app.now();
    let frame = Frame::of(&app, &by, Place::Overview).await?;
    let all = campaigns::all(&app.db).await?;
    if !all.iter().any(|campaign| campaign.launched.is_some()) {
        let people = Count(contacts::count(&app.db, &contacts::Filter::default()).await?);
        return Ok(Page(Empty { frame, people, campaigns: all.len() }).into_response());
    }
    let today = now.date_naive();
    let counts = statistics::by_day(&app.db, today - TimeDelta::days(2 * DAYS - 1), today, None).await?;
    let failed = outcomes::since(&app.db, now - TimeDelta::days(DAYS)).await?;
    let recovered = failed.iter().filter(|one| one.state == StateName::Accepted).map(|one| one.count).sum();
    let rests = outcomes::coming_back(&app.db, now).await?;
    let mut attention = attention(&app.db, &all, now).await?;
    let more = attention.len().saturating_sub(MOST);
    attention.truncate(MOST);
    let page = Overview {
        frame,
        today: When::new(now, now),
        attention,
        more,
        tiles: tiles(&counts, today, Count(recovered)),
        days: days(&counts, today),
        causes: causes(&failed),
        resting: Count(rests.iter().map(|(_, count)| count).sum()),
        coming_back: coming_back(&rests, now),
        running: running(&app.db, &all, now).await?,
    };
    Ok(Page(page).into_response())
}

/// What only a person can decide: open incidents, and campaigns that stopped.
async fn attention(db: &Pool, all: &[Campaign], now: DateTime<Utc>) -> Result<Vec<Attention>, PageError> {
    let mut attention = Vec::new();
    for incident in incidents::open(db).await? {
        let title = crate::pages::incidents::title(&incident, all);
        let text = format!(
            "Since {}. {} did not get their mail. No contact is blamed.",
            When::new(incident.opened, now),
            Count(incident.bounces).people()
        );
        let href = format!("/incidents/{}", incident.id);
        attention.push(Attention {
            colour: colour(incident.cause.group()),
            href,
            title,
            text,
            button: "See what to change",
        });
    }
    for campaign in
        all.iter().filter(|campaign| matches!(campaign.state, CampaignState::Paused | CampaignState::Waiting))
    {
        let (_, state) = campaign_state(campaign.state);
        attention.push(Attention {
            colour: "s-soft",
            href: format!("/campaigns/{}", campaign.id),
            title: format!("“{}” is {}", campaign.draft.name, state.to_lowercase()),
            text: campaign.reason.clone().unwrap_or_else(|| "It goes on when you resume it.".to_owned()),
            button: "See the campaign",
        });
    }
    Ok(attention)
}

fn causes(failed: &[Failed]) -> Vec<Cause> {
    let of = |group: CauseGroup| failed.iter().filter(move |one| one.cause.group() == group);
    let sum = |group| of(group).map(|one| one.count).sum::<i64>();
    let most = CauseGroup::ALL.into_iter().map(sum).max().unwrap_or_default();
    let mut causes: Vec<Cause> = CauseGroup::ALL
        .into_iter()
        .filter(|group| sum(*group) > 0)
        .map(|group| {
            let with = |wanted: Option<Turn>| -> i64 {
                of(group).filter(|one| turn(one.cause, one.state) == wanted).map(|one| one.count).sum()
            };
            let parts = [
                (of(group).filter(|one| one.state == StateName::Accepted).map(|one| one.count).sum(), "recovered"),
                (with(Some(Turn::Ours)), "tried again"),
                (with(Some(Turn::Yours)), "wait for you"),
                (with(Some(Turn::Nobodys)), "not reached"),
            ];
            let fate: Vec<String> = parts
                .iter()
                .filter(|(count, _): &&(i64, &str)| *count > 0)
                .map(|(count, words)| format!("{} {words}", Count(*count)))
                .collect();
            let (count, colour) = (sum(group), colour(group));
            Cause { group, colour, count: Count(count), bar: bar(colour, count, most), fate: fate.join("; ") }
        })
        .collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.count));
    causes
}

/// Addresses that rest: the next days one by one, what is further away together.
fn coming_back(rests: &[(DateTime<Utc>, i64)], now: DateTime<Utc>) -> Vec<ComingBack> {
    let (near, far) = rests.split_at(rests.len().min(3));
    let mut rows: Vec<(String, i64)> =
        near.iter().map(|(until, count)| (When::new(*until, now).day(), *count)).collect();
    if let Some((until, _)) = far.first() {
        rows.push((format!("From {} on", When::new(*until, now).day()), far.iter().map(|(_, count)| count).sum()));
    }
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or_default();
    rows.into_iter()
        .map(|(label, count)| ComingBack { label, count: Count(count), bar: bar("s-soft", count, most) })
        .collect()
}

async fn running(db: &Pool, all: &[Campaign], now: DateTime<Utc>) -> Result<Vec<Running>, PageError> {
    let mut running = Vec::new();
    let over = |state| matches!(state, CampaignState::Draft | CampaignState::Sent | CampaignState::Cancelled);
    for campaign in all.iter().filter(|campaign| !over(campaign.state)).take(MOST) {
        let tally = Tally::of(&deliveries::counts(db, campaign.id).await?, &[]);
        let since = campaign.launched.map(|at| format!(", since {}", When::new(at, now))).unwrap_or_default();
        running.push(Running {
            href: format!("/campaigns/{}", campaign.id),
            name: campaign.draft.name.clone(),
            text: format!("{}{since}", tally.headline()),
            state: campaign_state(campaign.state),
        });
    }
    Ok(running)
}

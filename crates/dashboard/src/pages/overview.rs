//! `/`: how it is going, and what needs a person.

mod figures;

use crate::App;
use crate::chart::{Slice, bar};
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See};
use crate::tally::{Tally, campaign_state};
use crate::words::{Count, When, colour};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use figures::{Day, Tile, days, tiles};
use rebound_db::statistics::{self, Kind};
use rebound_db::{Pool, campaigns, contacts, deliveries, doubts, events, incidents, outcomes};
use rebound_domain::{Campaign, CampaignState, CauseGroup};

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
    fate: Vec<Fate>,
}

/// So many tries led to this.
struct Fate {
    kind: &'static str,
    words: &'static str,
    count: Count,
}

struct ComingBack {
    href: String,
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
        let people = Count(contacts::total(&app.db).await?.count);
        return Ok(Page(Empty { frame, people, campaigns: all.len() }).into_response());
    }
    let today = now.date_naive();
    let counts = statistics::by_day(&app.db, today - TimeDelta::days(2 * DAYS - 1), today, None).await?;
    let recovered = outcomes::recovered(&app.db, now - TimeDelta::days(DAYS)).await?;
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
        causes: causes(&counts, today),
        resting: Count(rests.iter().map(|(_, count)| count).sum()),
        coming_back: coming_back(&rests, now),
        running: running(&app.db, &all, now).await?,
    };
    Ok(Page(page).into_response())
}

/// What only a person can decide: open incidents, and campaigns that stopped.
async fn attention(db: &Pool, all: &[Campaign], now: DateTime<Utc>) -> Result<Vec<Attention>, PageError> {
    let mut attention = machine(db, now).await?;
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
    attention.extend(undecided(db, all, now).await?);
    Ok(attention)
}

/// What is wrong with the machine that Rebound runs on: its disk, its clock.
async fn machine(db: &Pool, now: DateTime<Utc>) -> Result<Vec<Attention>, PageError> {
    let attention = |title: &str, text: String| Attention {
        colour: "s-soft",
        href: "/settings".to_owned(),
        title: title.to_owned(),
        text,
        button: "See the settings",
    };
    let mut wrong = Vec::new();
    if db.is_disk_full() {
        let text = "Nothing is sent or taken in. It goes on by itself when there is room on the disk that holds the \
                    database: ask your admin to make some.";
        wrong.push(attention("The disk is full", text.to_owned()));
    }
    if let Some(by) = events::put_back(db, now).await? {
        let text = format!(
            "Things happened here up to {} from now. Messages that were put off may go so much later; nobody is left \
             out. Ask your admin to set the time by NTP.",
            Count(by.num_minutes()).of("minute", "minutes")
        );
        wrong.push(attention("The clock was put back", text));
    }
    Ok(wrong)
}

/// Messages in doubt for which no evidence came, and campaigns that could not go at their time.
async fn undecided(db: &Pool, all: &[Campaign], now: DateTime<Utc>) -> Result<Vec<Attention>, PageError> {
    let mut attention = Vec::new();
    for (id, count) in doubts::asking(db, now).await? {
        let name = all.iter().find(|one| one.id == id).map(|one| one.draft.name.as_str()).unwrap_or_default();
        attention.push(Attention {
            colour: "s-soft",
            href: format!("/campaigns/{id}/doubts"),
            title: format!("{} of “{name}” in doubt", Count(count).of("message", "messages")),
            text: "A worker stopped before the answer came, and no evidence has come since.".to_owned(),
            button: "Decide",
        });
    }
    for campaign in all.iter().filter(|campaign| campaign.state == CampaignState::Draft) {
        let Some(reason) = &campaign.reason else { continue };
        attention.push(Attention {
            colour: "s-soft",
            href: format!("/campaigns/{}", campaign.id),
            title: format!("“{}” did not go", campaign.draft.name),
            text: reason.clone(),
            button: "See the draft",
        });
    }
    Ok(attention)
}

/// Failed tries of the last days by the group of their cause, and what they led to.
fn causes(counts: &[statistics::Count], today: NaiveDate) -> Vec<Cause> {
    let start = today - TimeDelta::days(DAYS - 1);
    let sum = |group: CauseGroup, kinds: &[Kind]| -> i64 {
        let of_group = |count: &&statistics::Count| count.cause.is_some_and(|cause| cause.group() == group);
        let recent = counts.iter().filter(|count| count.day >= start && kinds.contains(&count.kind));
        recent.filter(of_group).map(|count| count.count).sum()
    };
    let all = [Kind::Hard, Kind::Soft, Kind::Deferred];
    let most = CauseGroup::ALL.into_iter().map(|group| sum(group, &all)).max().unwrap_or_default();
    let cause = |group: CauseGroup| {
        let parts = [
            (Kind::Deferred, "deferred", "put off and tried again"),
            (Kind::Soft, "soft", "given up, for a reason that passes"),
            (Kind::Hard, "hard", "refused for good"),
        ];
        let parts = parts.into_iter().map(|(of, kind, words)| Fate { kind, words, count: Count(sum(group, &[of])) });
        let fate = parts.filter(|fate| fate.count.0 > 0).collect();
        let (count, colour) = (sum(group, &all), colour(group));
        Cause { group, colour, count: Count(count), bar: bar(colour, count, most), fate }
    };
    let mut causes: Vec<Cause> = CauseGroup::ALL.into_iter().map(cause).filter(|cause| cause.count.0 > 0).collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.count));
    causes
}

/// Addresses that rest: the next days one by one, what is further away together.
fn coming_back(rests: &[(DateTime<Utc>, i64)], now: DateTime<Utc>) -> Vec<ComingBack> {
    let (near, far) = rests.split_at(rests.len().min(3));
    let href = |until: &DateTime<Utc>| format!("/suppressions?reason=soft&back={}", until.date_naive());
    let mut rows: Vec<(String, String, i64)> =
        near.iter().map(|(until, count)| (href(until), When::new(*until, now).day(), *count)).collect();
    if let Some((until, _)) = far.first() {
        let (href, label) = (format!("{}&later=1", href(until)), format!("From {} on", When::new(*until, now).day()));
        rows.push((href, label, far.iter().map(|(_, count)| count).sum()));
    }
    let most = rows.iter().map(|(_, _, count)| *count).max().unwrap_or_default();
    rows.into_iter()
        .map(|(href, label, count)| ComingBack { href, label, count: Count(count), bar: bar("s-soft", count, most) })
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

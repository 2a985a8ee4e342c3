//! `/bounces`: every failed try, filtered by cause, campaign, provider and time.

mod correction;
mod evidence;
mod verdict;

pub(crate) use correction::{correct, take_back};
pub(crate) use verdict::show;

use crate::App;
use crate::chart::{Slice, bar};
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See};
use crate::words::{Count, When, colour};
use askama::Template;
use axum::extract::{Query, State};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::bounces::{self, Filter, NotedBounce};
use rebound_db::campaigns;
use rebound_domain::{BounceCause, BounceId, Campaign, CampaignId, CauseGroup, IncidentId, Permanence};
use serde::Deserialize;

const ROWS: u32 = 50;
/// Providers beside the causes.
const PROVIDERS: u32 = 8;

#[derive(Template)]
#[template(path = "bounces/index.html")]
pub(crate) struct Index {
    frame: Frame,
    asked: Asked,
    campaigns: Vec<Campaign>,
    total: Count,
    is_filtered: bool,
    causes: Vec<Bar>,
    providers: Vec<Bar>,
    rows: Vec<Line>,
    more: Option<String>,
}

/// A row of the tables beside each other: its words, its count, and a way to only these.
struct Bar {
    href: String,
    colour: &'static str,
    letter: &'static str,
    words: String,
    count: Count,
    bar: Vec<Slice>,
}

struct Line {
    id: BounceId,
    at: When,
    address: String,
    campaign: String,
    cause: BounceCause,
    colour: &'static str,
    words: String,
    kind: (&'static str, &'static str),
}

/// What the filter bar holds.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    group: String,
    cause: String,
    campaign: String,
    incident: String,
    domain: String,
    days: String,
    q: String,
    kind: String,
    after: String,
}

impl Asked {
    fn filter(&self, now: DateTime<Utc>) -> Filter {
        Filter {
            cause: self.cause.parse().ok(),
            group: CauseGroup::ALL.into_iter().find(|group| group.as_str() == self.group),
            campaign: self.campaign.parse().ok().map(CampaignId),
            incident: self.incident.parse().ok().map(IncidentId),
            domain: Some(self.domain.trim().to_lowercase()).filter(|domain| !domain.is_empty()),
            search: self.q.clone(),
            from: self
                .days
                .parse()
                .ok()
                .filter(|days| (1..=3650).contains(days))
                .map(|days| now - TimeDelta::days(days)),
            only_final: self.kind == "final",
            only_hard: self.kind == "hard",
            only_recovered: self.kind == "recovered",
            ..Filter::default()
        }
    }

    /// The filters as a query, without the page.
    fn query(&self) -> String {
        let pairs = [
            ("group", &self.group),
            ("cause", &self.cause),
            ("campaign", &self.campaign),
            ("incident", &self.incident),
            ("domain", &self.domain),
            ("days", &self.days),
            ("q", &self.q),
            ("kind", &self.kind),
        ];
        let pairs: Vec<(&str, &String)> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        serde_urlencoded::to_string(pairs).unwrap_or_default()
    }

    /// Where the next page begins: `<milliseconds>-<id>`.
    fn place(&self) -> Option<(DateTime<Utc>, BounceId)> {
        let (at, id) = self.after.split_once('-')?;
        Some((DateTime::from_timestamp_millis(at.parse().ok()?)?, BounceId(id.parse().ok()?)))
    }
}

pub(crate) async fn index(
    by: Allowed<See>,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Page<Index>, PageError> {
    let now = app.now();
    let filter = asked.filter(now);
    let all = campaigns::all(&app.db).await?;
    let found = bounces::page(&app.db, &filter, asked.place(), ROWS + 1).await?;
    let shown = &found[..found.len().min(ROWS as usize)];
    let causes = bounces::causes(&app.db, &filter).await?;
    let providers = bounces::domains(&app.db, &filter, PROVIDERS).await?;
    let next = shown.last().filter(|_| found.len() > shown.len());
    let query = asked.query();
    Ok(Page(Index {
        frame: Frame::of(&app, &by, Place::Bounces).await?,
        total: Count(causes.values().sum()),
        causes: cause_bars(&causes.into_iter().collect::<Vec<_>>(), &asked),
        providers: provider_bars(&providers, &asked),
        rows: shown.iter().map(|bounce| line(bounce, &all, now)).collect(),
        more: next.map(|last| format!("{query}&after={}-{}", last.at.timestamp_millis(), last.id)),
        is_filtered: !query.is_empty(),
        campaigns: all.into_iter().filter(|campaign| campaign.launched.is_some()).collect(),
        asked,
    }))
}

fn cause_bars(causes: &[(BounceCause, i64)], asked: &Asked) -> Vec<Bar> {
    let most = causes.iter().map(|(_, count)| *count).max().unwrap_or_default();
    let mut bars: Vec<Bar> = causes
        .iter()
        .map(|(cause, count)| {
            let only = Asked { cause: cause.to_string(), group: String::new(), ..asked.clone() };
            let colour = colour(cause.group());
            Bar {
                href: format!("/bounces?{}", only.query()),
                colour,
                letter: cause.group().as_str(),
                words: cause.title().to_owned(),
                count: Count(*count),
                bar: bar(colour, *count, most),
            }
        })
        .collect();
    bars.sort_by_key(|bar| std::cmp::Reverse(bar.count));
    bars
}

fn provider_bars(providers: &[(String, i64)], asked: &Asked) -> Vec<Bar> {
    let most = providers.iter().map(|(_, count)| *count).max().unwrap_or_default();
    let of = |(domain, count): &(String, i64)| {
        let only = Asked { domain: domain.clone(), ..asked.clone() };
        let href = format!("/bounces?{}", only.query());
        let (words, bar) = (domain.clone(), bar("g-o", *count, most));
        Bar { href, colour: "g-o", letter: "", words, count: Count(*count), bar }
    };
    providers.iter().map(of).collect()
}

fn line(bounce: &NotedBounce, campaigns: &[Campaign], now: DateTime<Utc>) -> Line {
    let campaign = campaigns.iter().find(|one| Some(one.id) == bounce.campaign());
    Line {
        id: bounce.id,
        at: When::new(bounce.at, now),
        address: bounce.address.to_string(),
        campaign: campaign.map(|one| one.draft.name.clone()).unwrap_or_default(),
        cause: bounce.case().cause(),
        colour: colour(bounce.case().cause().group()),
        words: bounce.verdict.diagnostic.chars().take(160).collect(),
        kind: kind(bounce),
    }
}

/// The class and the words for what a failed try was.
pub(crate) fn kind(bounce: &NotedBounce) -> (&'static str, &'static str) {
    let hard = bounce.corrected.map_or(bounce.verdict.is_hard(), |case| case.permanence() == Permanence::Hard);
    match (bounce.is_final, bounce.is_excused(), hard) {
        (false, ..) => ("s-deferred", "Deferred"),
        (true, true, _) => ("s-draft", "Not counted"),
        (true, false, true) => ("s-hard", "Hard"),
        (true, false, false) => ("s-soft", "Soft"),
    }
}

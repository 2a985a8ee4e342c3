//! `/bounces`: every failed try, filtered by cause, campaign, provider and time.

mod correction;
mod evidence;
mod rule;
mod verdict;

pub(crate) use correction::{correct, take_back};
pub(crate) use evidence::{Piece, marked};
pub(crate) use rule::{make_rule, propose_rule};
pub(crate) use verdict::show;

use crate::App;
use crate::chart::{Slice, bar};
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See};
use crate::words::{Count, When, colour};
use askama::Template;
use axum::extract::{Query, State};
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};
use rebound_db::bounces::{self, Filter, Kind, NotedBounce, Tries};
use rebound_db::{campaigns, lists};
use rebound_domain::{BounceCause, BounceId, Campaign, CampaignId, CauseGroup, IncidentId, List, ListId, Permanence};
use serde::Deserialize;

const ROWS: u32 = 50;
/// Providers beside the causes.
const PROVIDERS: u32 = 8;
/// Days that are shown one by one, where no others are asked for.
const DAYS: i64 = 30;
/// Days that are seen at once.
const DAYS_SEEN: usize = 7;

#[derive(Template)]
#[template(path = "bounces/index.html")]
pub(crate) struct Index {
    frame: Frame,
    asked: Asked,
    campaigns: Vec<Campaign>,
    lists: Vec<List>,
    total: Count,
    is_filtered: bool,
    chips: Vec<Chip>,
    causes: Vec<Bar>,
    providers: Vec<Bar>,
    days: Vec<Bar>,
    earlier: Vec<Bar>,
    rows: Vec<Line>,
    more: Option<String>,
}

/// A kind of failed try, and a way to only those.
struct Chip {
    href: String,
    words: &'static str,
    count: Option<Count>,
    is_current: bool,
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
    list: String,
    incident: String,
    domain: String,
    days: String,
    day: String,
    q: String,
    kind: String,
    after: String,
}

impl Asked {
    fn filter(&self, now: DateTime<Utc>) -> Filter {
        let day = self.day();
        Filter {
            cause: self.cause.parse().ok(),
            group: CauseGroup::ALL.into_iter().find(|group| group.as_str() == self.group),
            campaign: self.campaign.parse().ok().map(CampaignId),
            list: self.list.parse().ok().map(ListId),
            incident: self.incident.parse().ok().map(IncidentId),
            domain: Some(self.domain.trim().to_lowercase()).filter(|domain| !domain.is_empty()),
            search: self.q.clone(),
            from: day.or_else(|| self.span().map(|days| now - TimeDelta::days(days))),
            before: day.map(|day| day + TimeDelta::days(1)),
            kind: self.kind(),
            ..Filter::default()
        }
    }

    fn kind(&self) -> Kind {
        KINDS.into_iter().find(|(name, ..)| *name == self.kind).map_or(Kind::Any, |(_, _, kind)| kind)
    }

    /// How many days back.
    fn span(&self) -> Option<i64> {
        self.days.parse().ok().filter(|days| (1..=3650).contains(days))
    }

    /// The one day, in UTC, that is asked for.
    fn day(&self) -> Option<DateTime<Utc>> {
        let day: NaiveDate = self.day.parse().ok()?;
        let years = 2000..=2999;
        years.contains(&day.year()).then(|| day.and_time(NaiveTime::MIN).and_utc())
    }

    /// The filters as a query, without the page.
    fn query(&self) -> String {
        let pairs = [
            ("group", &self.group),
            ("cause", &self.cause),
            ("campaign", &self.campaign),
            ("list", &self.list),
            ("incident", &self.incident),
            ("domain", &self.domain),
            ("days", &self.days),
            ("day", &self.day),
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
    let every = bounces::causes(&app.db, &Filter { kind: Kind::Any, ..filter.clone() }).await?;
    let causes = match filter.kind {
        Kind::Recovered => bounces::causes(&app.db, &filter).await?,
        _ => every.clone(),
    };
    let causes: Vec<(BounceCause, i64)> =
        causes.into_iter().map(|(cause, tries)| (cause, of_kind(&tries, filter.kind))).collect();
    let providers = bounces::domains(&app.db, &filter, PROVIDERS).await?;
    let since = now - TimeDelta::days(asked.span().unwrap_or(DAYS));
    let days = bounces::days(&app.db, &Filter { from: Some(since), before: None, ..filter.clone() }).await?;
    let mut days = day_bars(&days, &asked, now);
    let next = shown.last().filter(|_| found.len() > shown.len());
    let query = asked.query();
    Ok(Page(Index {
        frame: Frame::of(&app, &by, Place::Bounces).await?,
        total: Count(causes.iter().map(|(_, count)| count).sum()),
        chips: chips(every.values(), &asked),
        causes: cause_bars(&causes, &asked),
        providers: provider_bars(&providers, &asked),
        earlier: days.split_off(days.len().min(DAYS_SEEN)),
        days,
        rows: shown.iter().map(|bounce| line(bounce, &all, now)).collect(),
        more: next.map(|last| format!("{query}&after={}-{}", last.at.timestamp_millis(), last.id)),
        is_filtered: !query.is_empty(),
        campaigns: all.into_iter().filter(|campaign| campaign.launched.is_some()).collect(),
        lists: lists::all(&app.db).await?,
        asked,
    }))
}

/// The kinds: their names in the address and on the page.
const KINDS: [(&str, &str, Kind); 6] = [
    ("", "Every try", Kind::Any),
    ("hard", "Hard", Kind::Hard),
    ("soft", "Soft", Kind::Soft),
    ("final", "Hard or soft", Kind::Final),
    ("deferred", "Deferred", Kind::Deferred),
    ("recovered", "Delivered later", Kind::Recovered),
];

fn chips<'a>(every: impl Iterator<Item = &'a Tries> + Clone, asked: &Asked) -> Vec<Chip> {
    let chip = |(name, words, kind): (&'static str, &'static str, Kind)| Chip {
        href: format!("/bounces?{}", Asked { kind: name.to_owned(), ..asked.clone() }.query()),
        words,
        // Looked up where it is asked for: each message must be looked at.
        count: (kind != Kind::Recovered).then(|| Count(every.clone().map(|tries| of_kind(tries, kind)).sum())),
        is_current: asked.kind() == kind,
    };
    KINDS.into_iter().map(chip).collect()
}

fn of_kind(tries: &Tries, kind: Kind) -> i64 {
    match kind {
        Kind::Any | Kind::Recovered => tries.all,
        Kind::Final => tries.hard + tries.soft,
        Kind::Hard => tries.hard,
        Kind::Soft => tries.soft,
        Kind::Deferred => tries.deferred(),
    }
}

fn cause_bars(causes: &[(BounceCause, i64)], asked: &Asked) -> Vec<Bar> {
    let most = causes.iter().map(|(_, count)| *count).max().unwrap_or_default();
    let mut bars: Vec<Bar> = causes
        .iter()
        .filter(|(_, count)| *count > 0)
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

fn day_bars(days: &[(DateTime<Utc>, i64)], asked: &Asked, now: DateTime<Utc>) -> Vec<Bar> {
    let most = days.iter().map(|(_, count)| *count).max().unwrap_or_default();
    let of = |(day, count): &(DateTime<Utc>, i64)| {
        let only = Asked { day: day.format("%Y-%m-%d").to_string(), days: String::new(), ..asked.clone() };
        let href = format!("/bounces?{}", only.query());
        let (words, bar) = (When::new(*day, now).day(), bar("g-o", *count, most));
        Bar { href, colour: "g-o", letter: "", words, count: Count(*count), bar }
    };
    days.iter().map(of).collect()
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

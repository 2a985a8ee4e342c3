//! `/suppressions`: the addresses we no longer write to, and why.

mod lift;

pub(crate) use lift::lift;

use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::pages::contacts::reason;
use crate::session::{Allowed, See, Submitted, TakeAway, Write};
use crate::words::{Count, When};
use askama::Template;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use rebound_contacts::SuppressionExport;
use rebound_db::events::{self, Event};
use rebound_db::suppressions::{self, Filter};
use rebound_db::{bounces, contacts, lists};
use rebound_domain::{AddressKey, BounceId, EmailAddress, List, ListId, Scope, Suppression, SuppressionReason};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "suppressions/index.html")]
struct Index {
    frame: Frame,
    asked: Asked,
    chips: Vec<Chip>,
    all: Count,
    rows: Vec<Line>,
    more: Option<String>,
    /// How many fit.
    found: Count,
    /// Said once, after something was done.
    done: Option<String>,
    fault: Option<String>,
    written: NewSuppression,
}

struct Chip {
    name: &'static str,
    words: &'static str,
    count: Count,
}

struct Line {
    address: String,
    contact: Option<i64>,
    scope_words: Option<String>,
    /// What a form calls it.
    pick: String,
    /// The page of the bounce that shows it.
    words: Option<BounceId>,
    state: (&'static str, &'static str),
    evidence: String,
    since: When,
    until: Option<When>,
    can_lift: bool,
}

/// What the filter bar holds.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    reason: String,
    q: String,
    /// Only those that come back on this day, in UTC; or, where `later` is set, on it or later.
    back: String,
    later: String,
    after: String,
    /// How many were just lifted, to be said once.
    lifted: String,
    added: String,
}

impl Asked {
    fn filter(&self) -> Filter {
        let day: Option<NaiveDate> = self.back.parse().ok();
        let from = day.map(|day| day.and_time(NaiveTime::MIN).and_utc());
        let before =
            from.filter(|_| self.later.is_empty()).and_then(|from| from.checked_add_signed(TimeDelta::days(1)));
        Filter { reason: named(&self.reason), search: self.q.clone(), ends_from: from, ends_before: before }
    }

    fn is_filtered(&self) -> bool {
        [&self.reason, &self.q, &self.back].into_iter().any(|text| !text.is_empty())
    }

    /// The filters as pairs of a form, without the page.
    fn pairs(&self) -> Vec<(&'static str, &str)> {
        let pairs = [("reason", &self.reason), ("q", &self.q), ("back", &self.back), ("later", &self.later)];
        pairs.into_iter().map(|(name, value)| (name, value.as_str())).filter(|(_, value)| !value.is_empty()).collect()
    }

    fn query(&self) -> String {
        serde_urlencoded::to_string(self.pairs()).unwrap_or_default()
    }

    /// `Comes back on 30 Nov`.
    fn return_day(&self) -> Option<String> {
        let day: NaiveDate = self.back.parse().ok()?;
        let later = if self.later.is_empty() { "" } else { " or later" };
        Some(format!("Comes back on {}{later}", day.format("%-d %B %Y")))
    }

    /// What is asked for, as the audit log tells it.
    fn words(&self) -> String {
        let reason = named(&self.reason).map(|reason| format!("for “{}”", reason.as_str()));
        let search = Some(self.q.trim()).filter(|q| !q.is_empty()).map(|q| format!("with “{q}”"));
        let back = self.return_day().map(|words| words.to_lowercase());
        let parts: Vec<String> = [reason, search, back].into_iter().flatten().collect();
        if parts.is_empty() { "all of them".to_owned() } else { parts.join(", ") }
    }

    /// The last row of the page before: `<milliseconds>-<scope>-<reason>-<address>`.
    fn place(&self) -> Option<Suppression> {
        let mut parts = self.after.splitn(4, '-');
        let mut number = || parts.next()?.parse::<i64>().ok();
        let (since, scope, reason) = (number()?, number()?, number()?);
        Some(Suppression {
            address: AddressKey::stored(parts.next()?.to_owned()),
            scope: scope_of(scope),
            reason: SuppressionReason::from_code(i16::try_from(reason).ok()?)?,
            since: DateTime::from_timestamp_millis(since)?,
            until: None,
            evidence: String::new(),
        })
    }
}

pub(crate) async fn index(
    by: Allowed<See>,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    Ok(Page(page(&app, &by, asked, NewSuppression::default(), None).await?).into_response())
}

async fn page<P: crate::session::Needs>(
    app: &App,
    by: &Allowed<P>,
    asked: Asked,
    written: NewSuppression,
    fault: Option<String>,
) -> Result<Index, PageError> {
    let now = app.now();
    let counts = suppressions::counts(&app.db, now).await?;
    let filter = asked.filter();
    let done = done(&asked);
    let found = suppressions::page(&app.db, &filter, asked.place().as_ref(), ROWS + 1, now).await?;
    let shown = &found[..found.len().min(ROWS as usize)];
    let keys: Vec<AddressKey> = shown.iter().map(|one| one.address.clone()).collect();
    let people = contacts::with_keys(&app.db, &keys).await?;
    let lists = lists::all(&app.db).await?;
    let mut words: HashMap<AddressKey, BounceId> = HashMap::new();
    for bounce in bounces::judged(&app.db, &keys).await?.into_iter().filter(|one| !one.is_excused()) {
        words.insert(bounce.address, bounce.id);
    }
    let row = |one: &Suppression| {
        let about_bounces = matches!(one.reason, SuppressionReason::Soft | SuppressionReason::Hard);
        let words = words.get(&one.address).copied().filter(|_| about_bounces);
        line(one, people.get(&one.address).map(|contact| contact.id.0), words, &lists, now)
    };
    let rows = shown.iter().map(row).collect();
    let more = shown.last().filter(|_| found.len() > shown.len()).map(|last| {
        let scope = scope_number(last.scope);
        format!("{}-{scope}-{}-{}", last.since.timestamp_millis(), last.reason.code(), last.address)
    });
    let chips = SuppressionReason::ALL.into_iter().rev().filter_map(|one| {
        let count = Count(counts.get(&one).copied()?);
        Some(Chip { name: one.as_str(), words: reason(one).1, count })
    });
    Ok(Index {
        frame: Frame::of(app, by, Place::Suppressions).await?,
        all: Count(counts.values().sum()),
        chips: chips.collect(),
        asked,
        rows,
        more,
        found: Count(suppressions::count(&app.db, &filter, now).await?),
        done,
        fault,
        written,
    })
}

/// What was done by the form before.
fn done(asked: &Asked) -> Option<String> {
    let count = |text: &str| text.parse().ok().map(Count);
    let lifted = count(&asked.lifted).map(|count| format!("{} lifted.", count.of("suppression", "suppressions")));
    lifted.or_else(|| count(&asked.added).map(|count| format!("{} suppressed.", count.of("address", "addresses"))))
}

fn line(one: &Suppression, contact: Option<i64>, words: Option<BounceId>, lists: &[List], now: DateTime<Utc>) -> Line {
    let scope_words = match one.scope {
        Scope::Everywhere => None,
        Scope::List(id) => Some(lists.iter().find(|list| list.id == id).map_or("a list", |list| &list.name).to_owned()),
    };
    Line {
        address: one.address.to_string(),
        contact,
        scope_words,
        pick: lift::pick(one),
        words,
        state: reason(one.reason),
        evidence: one.evidence.clone(),
        since: When::new(one.since, now),
        until: one.until.map(|at| When::new(at, now)),
        can_lift: one.reason != SuppressionReason::Erased,
    }
}

/// The form of the page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct NewSuppression {
    #[serde(alias = "address")]
    addresses: String,
    days: String,
    why: String,
}

pub(crate) async fn add(
    State(app): State<App>,
    Submitted { by, form }: Submitted<Write, NewSuppression>,
) -> Result<Response, PageError> {
    let now = app.now();
    let until = match until(&form.days, now) {
        Ok(until) => until,
        Err(fault) => return faulty(&app, &by, form, fault.to_owned()).await,
    };
    let keys = match addresses(&form.addresses) {
        Ok(keys) => keys,
        Err(fault) => return faulty(&app, &by, form, fault).await,
    };
    rebound_contacts::suppress_all(&app.db, &keys, until, form.why.trim(), by.actor(), now).await?;
    Ok(Redirect::to(&format!("/suppressions?added={}", keys.len())).into_response())
}

/// Addresses as they were pasted: one to a line, or with commas, semicolons or spaces between them; each once.
fn addresses(text: &str) -> Result<Vec<AddressKey>, String> {
    let (mut keys, mut known) = (vec![], HashSet::new());
    for (line, number) in text.lines().zip(1..) {
        for word in line.split([',', ';', ' ', '\t']).map(str::trim).filter(|word| !word.is_empty()) {
            let key = word.parse::<EmailAddress>().map_err(|fault| format!("line {number}, “{word}”: {fault}"))?.key();
            if known.insert(key.clone()) {
                keys.push(key);
            }
        }
    }
    if keys.is_empty() { Err("write at least one address".to_owned()) } else { Ok(keys) }
}

async fn faulty(app: &App, by: &Allowed<Write>, form: NewSuppression, fault: String) -> Result<Response, PageError> {
    Ok(Faulty(page(app, by, Asked::default(), form, Some(fault)).await?).into_response())
}

fn until(days: &str, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, &'static str> {
    match days.trim() {
        "" => Ok(None),
        days => match days.parse::<i64>() {
            Ok(days) if (1..=3650).contains(&days) => Ok(Some(now + TimeDelta::days(days))),
            _ => Err("write a number of days from 1 to 3,650, or nothing for good"),
        },
    }
}

/// Those that fit, as CSV, however many: one part is in memory at a time.
pub(crate) async fn export(
    by: Allowed<TakeAway>,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let (now, detail) = (app.now(), asked.words());
    let (kind, actor, subject) = ("suppressions.exported", by.actor(), "contact");
    events::add(&app.db, &Event { at: now, kind, actor, subject, subject_id: None, key: None, detail }).await?;
    let begun = (app.db.clone(), SuppressionExport::of(asked.filter()));
    let parts = futures_util::stream::try_unfold(begun, move |(db, mut export)| async move {
        let part = export.next(&db, now).await.map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>(part.map(|part| (part, (db, export))))
    });
    let name = "attachment; filename=\"suppressions.csv\"";
    let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(parts)).into_response())
}

fn named(reason: &str) -> Option<SuppressionReason> {
    SuppressionReason::ALL.into_iter().find(|one| one.as_str() == reason)
}

fn scope_number(scope: Scope) -> i64 {
    match scope {
        Scope::Everywhere => 0,
        Scope::List(list) => list.0,
    }
}

fn scope_of(number: i64) -> Scope {
    if number == 0 { Scope::Everywhere } else { Scope::List(ListId(number)) }
}

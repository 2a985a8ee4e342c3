//! `/suppressions`: the addresses we no longer write to, and why.

use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::pages::contacts::reason;
use crate::session::{Allowed, See, Submitted, Write};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::suppressions::{self, Filter};
use rebound_db::{contacts, lists};
use rebound_domain::{AddressKey, EmailAddress, List, ListId, Scope, Suppression, SuppressionReason};
use serde::Deserialize;

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
    scope: i64,
    scope_words: Option<String>,
    reason: &'static str,
    state: (&'static str, &'static str),
    evidence: String,
    since: When,
    until: Option<When>,
    can_lift: bool,
    asks_why: bool,
}

/// What the filter bar holds.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    reason: String,
    q: String,
    after: String,
}

impl Asked {
    fn filter(&self) -> Filter {
        Filter { reason: named(&self.reason), search: self.q.clone() }
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
    let found = suppressions::page(&app.db, &asked.filter(), asked.place().as_ref(), ROWS + 1, now).await?;
    let shown = &found[..found.len().min(ROWS as usize)];
    let keys: Vec<AddressKey> = shown.iter().map(|one| one.address.clone()).collect();
    let people = contacts::with_keys(&app.db, &keys).await?;
    let lists = lists::all(&app.db).await?;
    let rows =
        shown.iter().map(|one| line(one, people.get(&one.address).map(|contact| contact.id.0), &lists, now)).collect();
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
        fault,
        written,
    })
}

fn line(one: &Suppression, contact: Option<i64>, lists: &[List], now: DateTime<Utc>) -> Line {
    use SuppressionReason::{Complaint, Erased, Unsubscribe};
    let scope_words = match one.scope {
        Scope::Everywhere => None,
        Scope::List(id) => Some(lists.iter().find(|list| list.id == id).map_or("a list", |list| &list.name).to_owned()),
    };
    Line {
        address: one.address.to_string(),
        contact,
        scope: scope_number(one.scope),
        scope_words,
        reason: one.reason.as_str(),
        state: reason(one.reason),
        evidence: one.evidence.clone(),
        since: When::new(one.since, now),
        until: one.until.map(|at| When::new(at, now)),
        can_lift: one.reason != Erased,
        asks_why: matches!(one.reason, Complaint | Unsubscribe),
    }
}

/// The form of the page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct NewSuppression {
    address: String,
    days: String,
    why: String,
}

pub(crate) async fn add(
    State(app): State<App>,
    Submitted { by, form }: Submitted<Write, NewSuppression>,
) -> Result<Response, PageError> {
    let now = app.now();
    let (address, until) = match (form.address.parse::<EmailAddress>(), until(&form.days, now)) {
        (Ok(address), Ok(until)) => (address, until),
        (Err(fault), _) => return faulty(&app, &by, form, fault.to_string()).await,
        (_, Err(fault)) => return faulty(&app, &by, form, fault.to_owned()).await,
    };
    let why = form.why.trim();
    rebound_contacts::suppress(&app.db, &address.key(), Scope::Everywhere, until, why, by.actor(), now).await?;
    Ok(Redirect::to("/suppressions").into_response())
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

/// What is to be lifted.
#[derive(Deserialize)]
pub(crate) struct Lift {
    address: String,
    scope: i64,
    reason: String,
    #[serde(default)]
    why: String,
}

pub(crate) async fn lift(
    State(app): State<App>,
    Submitted { by, form }: Submitted<Write, Lift>,
) -> Result<Redirect, PageError> {
    let address = form.address.parse::<EmailAddress>().map_err(|_| PageError::Unreadable)?.key();
    let reason = named(&form.reason).ok_or(PageError::Unreadable)?;
    let scope = scope_of(form.scope);
    let lifted = rebound_contacts::lift(&app.db, &address, scope, reason, &form.why, by.actor(), app.now()).await;
    match lifted {
        Ok(_) => Ok(Redirect::to("/suppressions")),
        Err(error @ (rebound_contacts::Error::Forgotten | rebound_contacts::Error::NeedsReason)) => {
            Err(PageError::NotNow(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
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

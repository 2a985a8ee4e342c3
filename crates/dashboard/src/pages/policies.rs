//! `/policies`: what each cause leads to, in numbers; what other numbers would have done; saving them.

mod form;
mod versions;

pub(crate) use versions::version;

use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::session::{Administer, Allowed, Needs, See, Submitted};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use form::{Field, Group, Written};
use rebound_contacts::{REPLAYED_DAYS, Replay};
use rebound_db::policies::{self, Saved};
use rebound_domain::Policy;
use std::time::Instant;

#[derive(Template)]
#[template(path = "policies/index.html")]
struct Index {
    frame: Frame,
    version: u32,
    since: Option<When>,
    /// Whose numbers the form begins with, where that is an earlier version.
    from: Option<u32>,
    groups: Vec<Group>,
    whole: Vec<Field>,
    faults: Vec<(String, String, String)>,
    effect: Effect,
    versions: Vec<Version>,
    why: String,
    /// Saved by somebody else while this was written.
    conflict: Option<Conflict>,
}

/// The part of the page that htmx asks for.
#[derive(Template)]
#[template(path = "policies/effect.html")]
struct Part {
    effect: Effect,
}

/// What the numbers in the form would have done, beside those in force.
struct Effect {
    changes: Vec<Change>,
    replay: Option<Replay>,
    /// Seconds that it took, with one decimal.
    took: String,
}

/// A number that is different.
#[derive(Clone, Debug)]
struct Change {
    words: String,
    old: String,
    new: String,
}

/// Somebody else was faster.
struct Conflict {
    saved: Version,
    theirs: Vec<Change>,
}

/// A line of the history.
struct Version {
    number: u32,
    at: Option<When>,
    actor: String,
    why: String,
    changed: usize,
}

pub(crate) async fn show(
    by: Allowed<See>,
    State(app): State<App>,
    Query(written): Query<Written>,
) -> Result<Response, PageError> {
    let in_force = policies::in_force(&app.db).await?;
    let begin = begin(&app, &written, &in_force).await?;
    let page = index(&app, &by, &in_force, Begun { written, begin, conflict: None }).await?;
    Ok(Page(page).into_response())
}

/// The effect of the numbers in the form: a part of the page for htmx, or else the whole of it.
pub(crate) async fn effect(
    by: Allowed<See>,
    State(app): State<App>,
    headers: HeaderMap,
    Query(written): Query<Written>,
) -> Result<Response, PageError> {
    let in_force = policies::in_force(&app.db).await?;
    let begin = begin(&app, &written, &in_force).await?;
    if headers.contains_key("hx-request") {
        let (policy, faults) = written.policy(&begin);
        let wanted = if faults.is_empty() { policy } else { in_force.clone() };
        let effect = looked(&app, &in_force, &wanted, app.now()).await?;
        return Ok(Page(Part { effect }).into_response());
    }
    let page = index(&app, &by, &in_force, Begun { written, begin, conflict: None }).await?;
    Ok(Page(page).into_response())
}

/// Saves the numbers as a new version; 409 where another was saved meanwhile, 422 where a number makes no sense.
pub(crate) async fn save(
    State(app): State<App>,
    Submitted { by, form: written }: Submitted<Administer, Written>,
) -> Result<Response, PageError> {
    let in_force = policies::in_force(&app.db).await?;
    let based_on = written.based_on().unwrap_or(in_force.version);
    let begin = begin(&app, &written, &in_force).await?;
    let (policy, faults) = written.policy(&begin);
    if !faults.is_empty() {
        let page = index(&app, &by, &in_force, Begun { written, begin, conflict: None }).await?;
        return Ok(Faulty(page).into_response());
    }
    if based_on == in_force.version && in_force.changes(&policy).is_empty() {
        return Ok(Redirect::to("/policies").into_response());
    }
    let saved = rebound_contacts::save_policy(&app.db, policy, based_on, written.why(), by.actor(), app.now()).await;
    match saved {
        Ok(version) => Ok(Redirect::to(&format!("/policies/versions/{version}")).into_response()),
        Err(rebound_contacts::Error::PolicyChanged { .. }) => conflicting(&app, &by, written, begin, based_on).await,
        Err(error) => Err(error.into()),
    }
}

/// Shows both: what the other one saved, and what was written here, now to be based on that.
async fn conflicting(
    app: &App,
    by: &Allowed<Administer>,
    written: Written,
    begin: Policy,
    based_on: u32,
) -> Result<Response, PageError> {
    let in_force = policies::in_force(&app.db).await?;
    let versions = policies::versions(&app.db).await?;
    let before = versions.iter().find(|saved| saved.policy.version == based_on).map(|saved| saved.policy.clone());
    let Some(newest) = versions.first() else { return Ok(Redirect::to("/policies").into_response()) };
    let conflict = Conflict {
        saved: version_line(newest, before.as_ref(), app.now()),
        theirs: changes(&before.unwrap_or_default(), &newest.policy),
    };
    let page = index(app, by, &in_force, Begun { written, begin, conflict: Some(conflict) }).await?;
    Ok((StatusCode::CONFLICT, Page(page)).into_response())
}

/// What the form is filled with.
struct Begun {
    written: Written,
    begin: Policy,
    conflict: Option<Conflict>,
}

/// The policy that the form begins with: an earlier version, or the one in force.
async fn begin(app: &App, written: &Written, in_force: &Policy) -> Result<Policy, PageError> {
    let Some(from) = written.from() else { return Ok(in_force.clone()) };
    let versions = policies::versions(&app.db).await?;
    let found = versions.into_iter().find(|saved| saved.policy.version == from).map(|saved| saved.policy);
    found.ok_or(PageError::NotFound)
}

async fn index<P: Needs>(app: &App, by: &Allowed<P>, in_force: &Policy, begun: Begun) -> Result<Index, PageError> {
    let now = app.now();
    let Begun { written, begin, conflict } = begun;
    let (policy, faults) = written.policy(&begin);
    let saved = policies::versions(&app.db).await?;
    let versions = saved.iter().enumerate().map(|(at, one)| {
        let before = saved.get(at + 1).map(|older| &older.policy);
        version_line(one, before, now)
    });
    Ok(Index {
        frame: Frame::of(app, by, Place::Policies).await?,
        version: in_force.version,
        since: saved.first().filter(|one| one.based_on > 0).map(|one| When::new(one.at, now)),
        from: written.from(),
        groups: form::groups(&policy, in_force, &written, &faults),
        whole: form::whole(&policy, in_force, &written, &faults),
        faults: faults
            .iter()
            .map(|(setting, words)| (setting.to_string(), setting.title(), words.to_string()))
            .collect(),
        effect: looked(app, in_force, if faults.is_empty() { &policy } else { in_force }, now).await?,
        versions: versions.collect(),
        why: written.why().to_owned(),
        conflict,
    })
}

/// Replays, where there is a difference to see.
async fn looked(app: &App, in_force: &Policy, policy: &Policy, now: DateTime<Utc>) -> Result<Effect, PageError> {
    let changes = changes(in_force, policy);
    if changes.is_empty() {
        return Ok(Effect { changes, replay: None, took: String::new() });
    }
    let begun = Instant::now();
    let replay = rebound_contacts::effect(&app.db, in_force, policy, now).await?;
    Ok(Effect { changes, replay: Some(replay), took: format!("{:.1}", begun.elapsed().as_secs_f64()) })
}

fn changes(old: &Policy, new: &Policy) -> Vec<Change> {
    let value = |value: Option<u32>| value.map_or_else(|| "–".to_owned(), |value| Count(value.into()).to_string());
    let change = |(setting, old, new): (rebound_domain::Setting, Option<u32>, Option<u32>)| Change {
        words: setting.title(),
        old: value(old),
        new: value(new),
    };
    old.changes(new).into_iter().map(change).collect()
}

fn version_line(one: &Saved, before: Option<&Policy>, now: DateTime<Utc>) -> Version {
    Version {
        number: one.policy.version,
        at: (one.based_on > 0).then(|| When::new(one.at, now)),
        actor: one.actor.clone(),
        why: one.why.clone(),
        changed: before.map_or(0, |before| before.changes(&one.policy).len()),
    }
}

impl Effect {
    fn days(&self) -> i64 {
        REPLAYED_DAYS
    }

    /// A number of the replay, as many as all contacts would have.
    fn figure(&self, counted: &u64) -> Count {
        let one_in = self.replay.map_or(1, |replay| replay.one_in);
        Count(i64::try_from(*counted).unwrap_or(i64::MAX).saturating_mul(one_in))
    }

    fn tries(&self) -> Count {
        Count(self.replay.map_or(0, |replay| replay.tries))
    }
}

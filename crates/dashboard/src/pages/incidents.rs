//! `/incidents`: failures that are ours or a host's, never a contact's.

use crate::App;
use crate::advice;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Administer, Allowed, Launch, See, Submitted};
use crate::tally::Tally;
use crate::words::{Count, When, colour};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Redirect;
use rebound_contacts::feedback;
use rebound_db::bounces::{self, NotedBounce};
use rebound_db::incidents::Which;
use rebound_db::jobs::{self, Job, JobKind, JobState};
use rebound_db::{campaigns, deliveries, events, incidents, lanes};
use rebound_domain::{Campaign, CampaignState, CauseGroup, Incident, IncidentId, IncidentSubject, Receiver};
use serde::Deserialize;

const ROWS: u32 = 50;
/// Examples of what the host said.
const EXAMPLES: u32 = 5;

#[derive(Template)]
#[template(path = "incidents/index.html")]
pub(crate) struct Index {
    frame: Frame,
    rows: Vec<Line>,
    more: Option<i64>,
    state: &'static str,
    chips: Vec<(&'static str, &'static str, Count)>,
}

struct Line {
    id: IncidentId,
    title: String,
    colour: &'static str,
    opened: When,
    closed: Option<When>,
    bounces: Count,
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    before: Option<i64>,
    #[serde(default)]
    state: String,
}

/// The chips: their names in the address and on the page.
const STATES: [(&str, &str, Which); 3] =
    [("", "All", Which::All), ("open", "Open", Which::Open), ("over", "Over", Which::Closed)];

pub(crate) async fn index(
    by: Allowed<See>,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Page<Index>, PageError> {
    let now = app.now();
    let all = campaigns::all(&app.db).await?;
    let (state, _, which) = STATES.into_iter().find(|(name, ..)| *name == asked.state).unwrap_or(STATES[0]);
    let found = incidents::page(&app.db, which, asked.before.map(IncidentId), ROWS).await?;
    let mut chips = vec![];
    for (name, words, which) in STATES {
        chips.push((name, words, Count(incidents::count(&app.db, which).await?)));
    }
    let line = |incident: &Incident| Line {
        id: incident.id,
        title: title(incident, &all),
        colour: colour(incident.cause.group()),
        opened: When::new(incident.opened, now),
        closed: incident.closed.map(|at| When::new(at, now)),
        bounces: Count(incident.bounces),
    };
    let more = found.last().filter(|_| found.len() == ROWS as usize).map(|last| last.id.0);
    let frame = Frame::of(&app, &by, Place::Incidents).await?;
    Ok(Page(Index { frame, rows: found.iter().map(line).collect(), more, state, chips }))
}

#[derive(Template)]
#[template(path = "incidents/show.html")]
pub(crate) struct Show {
    frame: Frame,
    title: String,
    incident: Incident,
    opened: When,
    closed: Option<When>,
    doing: (&'static str, &'static str),
    change: &'static str,
    /// The same for who looks after servers and DNS, where it is not about the relay.
    admin: Option<&'static str>,
    waiting: Option<Campaign>,
    /// How many of that campaign have not had their message.
    unsent: Count,
    campaign: Option<Campaign>,
    examples: Vec<NotedBounce>,
    log: Vec<(When, String)>,
    /// The people whom it touched.
    touched: Count,
    /// Whether its provider's lane rests, until when, and how much waits for that.
    rests: Option<When>,
    /// Where the restore of its contacts stands, if somebody asked for one.
    restore: Option<Job>,
}

pub(crate) async fn show(
    by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<Show>, PageError> {
    let now = app.now();
    let incident = incidents::get(&app.db, IncidentId(id)).await?.ok_or(PageError::NotFound)?;
    let all = campaigns::all(&app.db).await?;
    let campaign = match incident.subject {
        IncidentSubject::Campaign { campaign } => all.iter().find(|one| one.id == campaign).cloned(),
        _ => None,
    };
    let rests = match &incident.subject {
        IncidentSubject::Route { receiver } => {
            let resting = lanes::resting(&app.db).await?.into_iter();
            resting
                .filter(|lane| lane.receiver.as_str() == receiver)
                .map(|lane| lane.notice.until)
                .find(|until| *until > now)
        }
        _ => None,
    };
    let waiting = campaign.clone().filter(|one| one.state == CampaignState::Waiting);
    let unsent = match &waiting {
        Some(waiting) => Tally::of(&deliveries::counts(&app.db, waiting.id).await?, &[]).unsent(),
        None => Count(0),
    };
    let filter = bounces::Filter { incident: Some(incident.id), ..bounces::Filter::default() };
    let log = events::of_subject(&app.db, "incident", id, 50).await?;
    let page = Show {
        frame: Frame::of(&app, &by, Place::Incidents).await?,
        title: title(&incident, &all),
        opened: When::new(incident.opened, now),
        closed: incident.closed.map(|at| When::new(at, now)),
        doing: doing(&incident),
        change: change(&incident),
        admin: (!is_about_recipients(&incident)).then(|| incident.cause.advice().admin),
        waiting,
        unsent,
        campaign,
        examples: bounces::page(&app.db, &filter, None, EXAMPLES).await?,
        log: log.into_iter().map(|entry| (When::new(entry.at, now), told(&entry))).collect(),
        touched: Count(bounces::touched(&app.db, incident.id).await?),
        rests: rests.map(|until| When::new(until, now)),
        restore: jobs::of(&app.db, JobKind::Restore, id).await?,
        incident,
    };
    Ok(Page(page))
}

#[derive(Deserialize)]
pub(crate) struct Nothing {}

/// It was our fault: exactly those it touched are judged anew without it.
pub(crate) async fn restore(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Administer, Nothing>,
) -> Result<Redirect, PageError> {
    incidents::get(&app.db, IncidentId(id)).await?.ok_or(PageError::NotFound)?;
    rebound_contacts::restore_later(&app.db, IncidentId(id), by.actor(), app.now()).await?;
    app.work.notify_one();
    Ok(Redirect::to(&format!("/incidents/{id}")))
}

/// The provider is asked again now: its lane need not rest to its end.
pub(crate) async fn probe(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Launch, Nothing>,
) -> Result<Redirect, PageError> {
    let incident = incidents::get(&app.db, IncidentId(id)).await?.ok_or(PageError::NotFound)?;
    let IncidentSubject::Route { receiver } = incident.subject else { return Err(PageError::NotFound) };
    rebound_send::probe_now(&app.db, &Receiver::of_domain(&receiver), IncidentId(id), by.actor(), app.now()).await?;
    app.wake.notify_one();
    Ok(Redirect::to(&format!("/incidents/{id}")))
}

/// It is over.
pub(crate) async fn close(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Administer, Nothing>,
) -> Result<Redirect, PageError> {
    let tx = app.db.begin().await?;
    feedback::close(&tx, IncidentId(id), by.actor(), app.now()).await?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/incidents/{id}")))
}

impl From<rebound_contacts::Error> for PageError {
    fn from(error: rebound_contacts::Error) -> Self {
        Self::Broken(Box::new(error))
    }
}

/// Whose doing it is. So many addresses or hosts cannot all have gone wrong at once: then it is what they share.
fn doing(incident: &Incident) -> (&'static str, &'static str) {
    if is_about_recipients(incident) {
        ("Your relay’s, most likely", "the contacts are not blamed")
    } else {
        advice::doing(incident.cause)
    }
}

fn change(incident: &Incident) -> &'static str {
    if is_about_recipients(incident) {
        "Ask the operator of your relay why it answers everybody alike, or look for what this list’s addresses share."
    } else {
        incident.cause.advice().marketer
    }
}

/// A burst of answers that would speak about one recipient or host, had they not come for many.
fn is_about_recipients(incident: &Incident) -> bool {
    incident.burst && matches!(incident.cause.group(), CauseGroup::A | CauseGroup::B | CauseGroup::C)
}

/// What an incident is, as a headline.
pub(crate) fn title(incident: &Incident, campaigns: &[Campaign]) -> String {
    let cause = incident.cause.title();
    match &incident.subject {
        IncidentSubject::Campaign { campaign } => {
            let name = campaigns.iter().find(|one| one.id == *campaign).map_or("a campaign", |one| &one.draft.name);
            format!("“{name}” comes back: {}", lower(cause))
        }
        IncidentSubject::Route { receiver } => format!("{receiver} refuses our mail: {}", lower(cause)),
        IncidentSubject::SendingDomain { domain } => format!("Mail from {domain} is refused: {}", lower(cause)),
    }
}

/// Names such as SPF keep their capitals.
fn lower(words: &str) -> String {
    let mut letters = words.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(letters).collect(),
        _ => words.to_owned(),
    }
}

fn told(entry: &events::Entry) -> String {
    match entry.kind.as_str() {
        "incident.opened" => "It began, and we noticed".to_owned(),
        "incident.closed" => format!("{} closed it", entry.actor),
        "incident.probed" => format!("{} asked the provider again before its rest was over", entry.actor),
        "incident.restored" => format!("{} restored the contacts it touched", entry.actor),
        other => format!("{}: {other}", entry.actor),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cause_in_a_sentence_keeps_its_names() {
        assert_eq!(super::lower("SPF, DKIM or DMARC failed"), "SPF, DKIM or DMARC failed");
        assert_eq!(super::lower("A filter thinks so"), "a filter thinks so");
    }
}

//! `/campaigns/{id}` once it is launched: how it is going, and what it takes to reach the rest.

use super::preview::Shown;
use super::{draft, found, list_name};
use crate::App;
use crate::advice::{Turn, turn};
use crate::chart::{Slice, bar};
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See};
use crate::tally::{Tally, after_resends, campaign_state};
use crate::words::{Count, When, colour};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use rebound_db::outcomes::{self, Failed};
use rebound_db::{Pool, campaigns, clicks, complaints, deliveries, events};
use rebound_domain::{BounceCause, Campaign, CampaignState, Remedy, StateName};

#[derive(Template)]
#[template(path = "campaigns/overview.html")]
struct OverviewPage {
    frame: Frame,
    report: Report,
    complaints: Count,
    /// How many people followed a link, where that is noted.
    followed: Option<Count>,
    log: Vec<(When, String)>,
}

#[derive(Template)]
#[template(path = "campaigns/bounces.html")]
struct BouncesPage {
    frame: Frame,
    report: Report,
}

/// A campaign under way, or over.
pub(super) struct Report {
    pub(super) campaign: Campaign,
    pub(super) list: String,
    /// The campaign that this is a resend of.
    pub(super) first: Option<Campaign>,
    /// What was sent again to those whom this one did not reach.
    pub(super) resends: Vec<Campaign>,
    pub(super) tab: &'static str,
    pub(super) progress: Progress,
    pub(super) rows: Rows,
}

/// The part that changes while it sends: headline, bar, figures.
#[derive(Template)]
#[template(path = "campaigns/progress.html")]
pub(super) struct Progress {
    pub(super) id: i64,
    pub(super) tally: Tally,
    state: (&'static str, &'static str),
    reason: Option<String>,
    planned: Option<(Count, Count)>,
    next: Option<When>,
    pub(super) now: When,
    pub(super) is_over: bool,
}

/// The decision rows.
#[derive(Template)]
#[template(path = "campaigns/rows.html")]
pub(super) struct Rows {
    id: i64,
    /// While it sends, the rows come anew each second, and one that was opened would close under the reader's hand.
    opens: bool,
    groups: Vec<Group>,
    unreached: Count,
}

struct Group {
    title: &'static str,
    note: &'static str,
    people: Count,
    causes: Vec<Cause>,
}

struct Cause {
    cause: BounceCause,
    state: StateName,
    colour: &'static str,
    words: String,
    people: Count,
    bar: Vec<Slice>,
    change: &'static str,
    next: Option<When>,
    act: Act,
}

/// What the reader can do for people of a cause.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Correct the message and send it again.
    Resend,
    /// Try again now.
    Hurry,
    /// Say what to do with messages that may have left.
    Decide,
    /// Nothing but look.
    See,
}

// They are templates themselves: what is in them was escaped when they were made.
impl askama::filters::HtmlSafe for Progress {}
impl askama::filters::HtmlSafe for Rows {}

impl Report {
    pub(super) async fn of(
        db: &Pool,
        campaign: Campaign,
        tab: &'static str,
        now: DateTime<Utc>,
    ) -> Result<Self, PageError> {
        let resends = campaigns::resends(db, campaign.id).await?;
        let mut counts = deliveries::counts(db, campaign.id).await?;
        let failed = if resends.is_empty() {
            outcomes::of_campaign(db, campaign.id).await?
        } else {
            counts = after_resends(counts, &outcomes::resent_to(db, campaign.id).await?);
            outcomes::of_family(db, campaign.id).await?
        };
        let first = match campaign.resend {
            Some(resend) => campaigns::get(db, resend.of).await?,
            None => None,
        };
        let tally = Tally::of(&counts, &failed);
        let due = deliveries::next_due(db, campaign.id).await?;
        let is_over = matches!(campaign.state, CampaignState::Sent | CampaignState::Cancelled);
        let progress = Progress {
            id: campaign.id.0,
            tally,
            state: campaign_state(campaign.state),
            reason: campaign.reason.clone(),
            planned: (campaign.state == CampaignState::Planning && campaign.planned < campaign.expected)
                .then_some((Count(campaign.planned), Count(campaign.expected))),
            next: due.filter(|_| !is_over).map(|at| When::new(at, now)),
            now: When::new(now, now),
            is_over,
        };
        let rows = Rows::of(campaign.id.0, is_over, &failed, &tally, now);
        Ok(Self { list: list_name(db, &campaign).await?, campaign, first, resends, tab, progress, rows })
    }

    pub(super) fn launched(&self) -> String {
        self.campaign.launched.map(|at| self.progress.now.to(at).to_string()).unwrap_or_default()
    }

    pub(super) fn can_pause(&self) -> bool {
        use CampaignState::{Planning, Sending, Waiting};
        matches!(self.campaign.state, Planning | Sending | Waiting)
    }

    /// Who has not had it yet, and is still to.
    pub(super) fn unsent(&self) -> Count {
        self.progress.tally.unsent()
    }

    pub(super) fn can_resume(&self) -> bool {
        matches!(self.campaign.state, CampaignState::Paused | CampaignState::Waiting)
    }
}

impl Rows {
    fn of(id: i64, opens: bool, failed: &[Failed], tally: &Tally, now: DateTime<Utc>) -> Self {
        let groups = [
            (Turn::Yours, "Needs you", "nothing more happens until you decide", tally.yours),
            (Turn::Ours, "Deferred", "we act by ourselves", tally.deferred),
            (Turn::Nobodys, "Cannot be reached", "nothing to do", tally.lost),
        ];
        let most = failed.iter().filter(|one| turn(one.cause, one.state).is_some()).map(|one| one.count).max();
        let cause = |one: &Failed| Cause {
            cause: one.cause,
            state: one.state,
            colour: colour(one.cause.group()),
            words: one.words.chars().take(120).collect(),
            people: Count(one.count),
            bar: bar(colour(one.cause.group()), one.count, most.unwrap_or_default()),
            change: one.cause.advice().marketer,
            next: one.due.map(|at| When::new(at, now)),
            act: act(one),
        };
        let groups = groups
            .into_iter()
            .map(|(of, title, note, people)| {
                let causes: Vec<Cause> =
                    failed.iter().filter(|one| turn(one.cause, one.state) == Some(of)).map(cause).collect();
                // Some wait without a failure of their own: their receiver rests.
                let people = Count(people.max(causes.iter().map(|cause| cause.people.0).sum()));
                Group { title, note, people, causes }
            })
            .filter(|group: &Group| group.people.0 > 0 || !group.causes.is_empty())
            .collect();
        Self { id, opens, groups, unreached: Count(tally.unreached()) }
    }
}

fn act(one: &Failed) -> Act {
    match (one.state, turn(one.cause, one.state)) {
        (StateName::InDoubt, _) => Act::Decide,
        (StateName::Deferred, _) if one.cause == BounceCause::MailboxFull => Act::Hurry,
        (StateName::Bounced, Some(_)) if Remedy::of(one.cause).is_some() => Act::Resend,
        _ => Act::See,
    }
}

pub(crate) async fn show(
    by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
    Query(shown): Query<Shown>,
) -> Result<Response, PageError> {
    let campaign = found(&app.db, id).await?;
    if matches!(campaign.state, CampaignState::Draft | CampaignState::Scheduled) {
        return draft::show(&app, &by, campaign, &shown).await;
    }
    let now = app.now();
    let complaints = Count(complaints::of_campaign(&app.db, campaign.id).await?);
    let followed = match campaign.draft.counts_clicks {
        true => Some(Count(clicks::people(&app.db, campaign.id).await?)),
        false => None,
    };
    let log = events::of_subject(&app.db, "campaign", id, 20).await?;
    let log = log.into_iter().map(|entry| (When::new(entry.at, now), told(&entry))).collect();
    let report = Report::of(&app.db, campaign, "overview", now).await?;
    let frame = Frame::of(&app, &by, Place::Campaigns).await?;
    Ok(Page(OverviewPage { frame, report, complaints, followed, log }).into_response())
}

pub(crate) async fn bounces(
    by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Response, PageError> {
    let campaign = found(&app.db, id).await?;
    let report = Report::of(&app.db, campaign, "bounces", app.now()).await?;
    let frame = Frame::of(&app, &by, Place::Campaigns).await?;
    Ok(Page(BouncesPage { frame, report }).into_response())
}

/// An entry of the log as a sentence.
fn told(entry: &events::Entry) -> String {
    let done = match entry.kind.rsplit('.').next().unwrap_or_default() {
        "planning" => "launched or resumed it",
        "scheduled" => "scheduled it",
        "draft" => "took it back to a draft",
        "tested" => "tested it",
        "resend" => "began a resend",
        "hurried" => "had a try made now",
        "doubts_resent" => "sent again what was in doubt",
        "doubts_left" => "left what is in doubt as not known",
        "paused" => "paused it",
        "cancelled" => "cancelled it",
        "waiting" => "let it wait",
        "sent" => "sent the last message",
        other => other,
    };
    let detail = if entry.detail.is_empty() { String::new() } else { format!(": {}", entry.detail) };
    format!("{} {done}{detail}", entry.actor)
}

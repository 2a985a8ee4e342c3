//! `/contacts/{id}`: one person, what happened, and what happens next.

use super::{Standing, standing_of};
use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See, Submitted, Write};
use crate::words::When;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Redirect;
use chrono::{DateTime, Utc};
use rebound_db::bounces::{self, NotedBounce};
use rebound_db::clicks::{self, Followed};
use rebound_db::deliveries::{self, Delivery};
use rebound_db::events::{self, Entry};
use rebound_db::{campaigns, contacts, lists, outcomes, policies, standings, subscriptions, suppressions};
use rebound_domain::{
    Campaign, CampaignId, Contact, ContactId, DeliveryId, ListId, Scope, StateName, SubscriptionState, Suppression,
    SuppressionReason, full_name, strongest,
};
use serde::Deserialize;

/// So much of what happened is shown.
const ROWS: u32 = 200;

#[derive(Template)]
#[template(path = "contacts/show.html")]
pub(crate) struct Show {
    frame: Frame,
    contact: Contact,
    name: String,
    standing: Standing,
    next: Next,
    is_filtered: bool,
    story: Vec<Moment>,
    suppressions: Vec<Stop>,
    lists: Vec<Joined>,
    soft: u32,
    limit: u32,
    received: usize,
    written_to: usize,
    bounced: usize,
}

/// What is done next, and when.
struct Next {
    class: &'static str,
    words: String,
    more: String,
}

/// One thing that happened, or will.
struct Moment {
    at: When,
    class: &'static str,
    title: String,
    text: String,
    link: Option<(String, &'static str)>,
    is_bounce: bool,
}

/// A suppression that stands, and how it is ended.
struct Stop {
    number: i16,
    list: i64,
    end: Option<&'static str>,
    asks_why: bool,
    reason: &'static str,
    class: &'static str,
    scope: String,
    since: When,
    until: Option<When>,
    evidence: String,
}

struct Joined {
    list: String,
    id: i64,
    state: &'static str,
    source: String,
    since: When,
}

/// What is known of a person, before it is put into words.
struct Known<'a> {
    now: DateTime<Utc>,
    campaigns: &'a [Campaign],
    lists: &'a [rebound_domain::List],
}

/// What of the story is shown.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Shown {
    only: String,
}

pub(crate) async fn show(
    by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
    Query(shown): Query<Shown>,
) -> Result<Page<Show>, PageError> {
    let now = app.now();
    let contact = contacts::get(&app.db, ContactId(id)).await?.ok_or(PageError::NotFound)?;
    let key = contact.address.key();
    let (all, lists) = (campaigns::all(&app.db).await?, lists::all(&app.db).await?);
    let known = Known { now, campaigns: &all, lists: &lists };

    let written_to = deliveries::of_contact(&app.db, contact.id).await?;
    let accepted = outcomes::accepted(&app.db, contact.id).await?;
    let came_back = bounces::of_key(&app.db, &key, ROWS).await?;
    let followed = clicks::of_contact(&app.db, contact.id, ROWS).await?;
    let noted = events::of_key(&app.db, &key, ROWS).await?;
    let standing: Vec<Suppression> = suppressions::of(&app.db, &key).await?;
    let run =
        standings::get(&app.db, std::slice::from_ref(&key)).await?.remove(&key).and_then(|kept| kept.standing.run);

    let is_filtered = shown.only == "bounces";
    let mut story: Vec<Moment> = written_to.iter().filter_map(|one| known.ahead(one)).collect();
    story.extend(standing.iter().filter_map(|one| known.comes_back(one)));
    story.extend(accepted.iter().map(|(delivery, at)| known.got(*delivery, *at, &came_back)));
    story.extend(came_back.iter().map(|bounce| known.bounced(bounce)));
    story.extend(followed.iter().map(|one| known.followed(one)));
    story.extend(noted.iter().map(|entry| known.noted(entry)));
    story.sort_by_key(|moment| std::cmp::Reverse(moment.at));
    let soonest = story.iter().rev().find(|moment| moment.at.is_ahead());
    let rules = strongest(&standing, now).filter(|one| one.scope == Scope::Everywhere);
    let (soft, limit) = (run.map_or(0, |run| run.count()), policies::in_force(&app.db).await?.least_limit());
    let next = Next::of(soonest, rules, soft, limit, now);
    if is_filtered {
        story.retain(|moment| moment.is_bounce || moment.at.is_ahead());
    }

    let page = Show {
        frame: Frame::of(&app, &by, Place::Contacts).await?,
        name: full_name(&contact.fields).unwrap_or_else(|| contact.address.to_string()),
        standing: standing_of(rules, now),
        next,
        is_filtered,
        story,
        suppressions: standing.iter().filter(|one| one.stands(now)).map(|one| known.stop(one)).collect(),
        lists: joined(&app, &known, contact.id).await?,
        soft,
        limit,
        received: accepted.len(),
        written_to: written_to.len(),
        bounced: came_back.len(),
        contact,
    };
    Ok(Page(page))
}

async fn joined(app: &App, known: &Known<'_>, contact: ContactId) -> Result<Vec<Joined>, PageError> {
    let subscriptions = subscriptions::of_contact(&app.db, contact).await?;
    let joined = subscriptions.into_iter().map(|one| Joined {
        list: known.list(one.list.0),
        id: one.list.0,
        state: match one.state {
            SubscriptionState::Pending => "has not confirmed",
            SubscriptionState::Confirmed => "on it",
            SubscriptionState::Left => "left",
        },
        source: one.source,
        since: When::new(one.since, known.now),
    });
    Ok(joined.collect())
}

impl Next {
    fn of(soonest: Option<&Moment>, rules: Option<&Suppression>, soft: u32, limit: u32, now: DateTime<Utc>) -> Self {
        let run =
            format!("{soft} of {limit} soft bounces in a row; at {limit} over at least 7 days the address rests.");
        match (rules, soonest) {
            (Some(one), _) if one.until.is_none() => Self {
                class: super::reason(one.reason).0,
                words: "We do not write to this address".into(),
                more: "Nothing more happens by itself. You can lift the suppression below.".into(),
            },
            (Some(one), _) => {
                let day = one.until.map(|at| When::new(at, now).to_string()).unwrap_or_default();
                let more = "The next campaign after that tries the address once.".into();
                Self { class: "s-soft", words: format!("Comes back from its rest {day}"), more }
            }
            (None, Some(moment)) => {
                Self { class: "s-deferred", words: moment.title.clone(), more: format!("{run} Nothing for you to do.") }
            }
            (None, None) => Self {
                class: "s-delivered",
                words: "Nothing waits. The next campaign to one of their lists reaches them".into(),
                more: run,
            },
        }
    }
}

impl Known<'_> {
    fn when(&self, at: DateTime<Utc>) -> When {
        When::new(at, self.now)
    }

    fn campaign(&self, id: Option<CampaignId>) -> String {
        let found = self.campaigns.iter().find(|campaign| Some(campaign.id) == id);
        found.map_or_else(|| "A message".to_owned(), |campaign| format!("“{}”", campaign.draft.name))
    }

    fn list(&self, id: i64) -> String {
        self.lists.iter().find(|list| list.id.0 == id).map_or_else(|| "a list".to_owned(), |list| list.name.clone())
    }

    /// The next try of a message that is not settled.
    fn ahead(&self, delivery: &Delivery) -> Option<Moment> {
        let waits = matches!(delivery.state, StateName::Planned | StateName::Deferred);
        (waits && delivery.due > self.now).then(|| {
            let at = self.when(delivery.due);
            let again = if delivery.attempts > 0 { " again" } else { "" };
            let title = format!("Next: we try {}{again}, {at}", self.campaign(Some(delivery.id.campaign())));
            Moment { at, class: "ahead", title, text: String::new(), link: None, is_bounce: false }
        })
    }

    fn comes_back(&self, suppression: &Suppression) -> Option<Moment> {
        let until = suppression.until.filter(|until| *until > self.now)?;
        let (at, text) = (self.when(until), "The next campaign after that tries the address once.".to_owned());
        Some(Moment {
            at,
            class: "ahead",
            title: "The address comes back from its rest".into(),
            text,
            link: None,
            is_bounce: false,
        })
    }

    fn got(&self, delivery: DeliveryId, at: DateTime<Utc>, bounces: &[NotedBounce]) -> Moment {
        let failures = bounces.iter().filter(|bounce| bounce.delivery == Some(delivery)).count();
        let (class, text) = match failures {
            0 => ("s-delivered", String::new()),
            1 => ("s-recovered", "After a failure".to_owned()),
            some => ("s-recovered", format!("After {some} failures")),
        };
        let title = format!("Got {}", self.campaign(Some(delivery.campaign())));
        Moment { at: self.when(at), class, title, text, link: None, is_bounce: false }
    }

    fn bounced(&self, bounce: &NotedBounce) -> Moment {
        let cause = bounce.verdict.cause.title();
        let campaign = self.campaign(bounce.campaign());
        let (class, title) = match (bounce.is_final, bounce.verdict.is_hard()) {
            (false, _) => ("s-deferred", format!("{campaign} was put off: {cause}")),
            (true, true) => ("s-hard", format!("{campaign} came back: {cause}")),
            (true, false) => ("s-soft", format!("{campaign} came back: {cause}")),
        };
        let text = if bounce.excused { "It was not this person’s doing: nothing is counted." } else { "" };
        let link = Some((format!("/bounces/{}", bounce.id), "What the host said"));
        Moment { at: self.when(bounce.at), class, title, text: text.to_owned(), link, is_bounce: true }
    }

    fn followed(&self, one: &Followed) -> Moment {
        let title = format!("Followed a link of {}", self.campaign(Some(one.delivery.campaign())));
        let at = self.when(one.at);
        Moment { at, class: "s-delivered", title, text: one.target.clone(), link: None, is_bounce: false }
    }

    fn noted(&self, entry: &Entry) -> Moment {
        let (class, title) = match entry.kind.as_str() {
            "rests" => ("s-soft", "The address rests".to_owned()),
            "suppressed" if entry.actor == "rebound" => ("s-hard", "Suppressed: the mailbox is gone".to_owned()),
            "suppressed" => ("s-suppressed", format!("{} suppressed the address", entry.actor)),
            "restored" => ("s-delivered", "Can be written to again".to_owned()),
            "lifted" | "lifted.other" => ("s-delivered", format!("{} lifted a suppression", entry.actor)),
            "complained" => ("s-complaint", "Reported our mail as spam".to_owned()),
            "feedback" => ("s-draft", "Sent feedback".to_owned()),
            "unsubscribed" => ("s-suppressed", "Unsubscribed".to_owned()),
            "resubscribed" => ("s-delivered", "Took the unsubscribe back".to_owned()),
            "subscription.asked" => ("s-draft", "Asked to join a list".to_owned()),
            "list.joined" => ("s-draft", format!("{} put them on a list", entry.actor)),
            "list.left" => ("s-suppressed", format!("{} took them off a list", entry.actor)),
            "contact.edited" => ("s-draft", format!("{} changed what is known", entry.actor)),
            "reached" => ("s-delivered", "The mailbox works: a letter was read or delivered there".to_owned()),
            "clicks.refused" => ("s-draft", "Does not want it noted which links they follow".to_owned()),
            "clicks.allowed" => ("s-draft", "Lets it be noted which links they follow".to_owned()),
            "subscription.confirmed" => ("s-delivered", "Confirmed a subscription".to_owned()),
            other => ("s-draft", format!("{}: {other}", entry.actor)),
        };
        // Details of automatic acts are for machines; a person's are words.
        let text = if entry.detail.starts_with('{') { String::new() } else { entry.detail.clone() };
        Moment { at: self.when(entry.at), class, title, text, link: None, is_bounce: false }
    }

    fn stop(&self, suppression: &Suppression) -> Stop {
        let (class, reason) = super::reason(suppression.reason);
        use SuppressionReason::{Complaint, Erased, Hard, Manual, Soft, Unsubscribe};
        Stop {
            number: suppression.reason.code(),
            list: match suppression.scope {
                Scope::Everywhere => 0,
                Scope::List(list) => list.0,
            },
            end: match suppression.reason {
                Soft => Some("End the rest"),
                Hard | Manual | Unsubscribe | Complaint => Some("Lift it"),
                Erased => None,
            },
            asks_why: matches!(suppression.reason, Complaint | Unsubscribe),
            reason,
            class,
            scope: match suppression.scope {
                Scope::Everywhere => "all mail".to_owned(),
                Scope::List(list) => self.list(list.0),
            },
            since: self.when(suppression.since),
            until: suppression.until.map(|at| self.when(at)),
            evidence: suppression.evidence.clone(),
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Reason {
    #[serde(default)]
    why: String,
}

/// Somebody here says that this person is not to be written to.
pub(crate) async fn suppress(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form }: Submitted<Write, Reason>,
) -> Result<Redirect, PageError> {
    let contact = contacts::get(&app.db, ContactId(id)).await?.ok_or(PageError::NotFound)?;
    let (key, everywhere) = (contact.address.key(), Scope::Everywhere);
    rebound_contacts::suppress(&app.db, &key, everywhere, None, form.why.trim(), by.actor(), app.now()).await?;
    Ok(Redirect::to(&format!("/contacts/{id}")))
}

/// Which suppression is to be ended, and why.
#[derive(Deserialize)]
pub(crate) struct End {
    reason: i16,
    list: i64,
    #[serde(default)]
    why: String,
}

/// Somebody here ends a suppression or a rest of this person.
pub(crate) async fn lift(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form }: Submitted<Write, End>,
) -> Result<Redirect, PageError> {
    let contact = contacts::get(&app.db, ContactId(id)).await?.ok_or(PageError::NotFound)?;
    let reason = SuppressionReason::from_code(form.reason).ok_or(PageError::Unreadable)?;
    let scope = if form.list == 0 { Scope::Everywhere } else { Scope::List(ListId(form.list)) };
    let key = contact.address.key();
    match rebound_contacts::lift(&app.db, &key, scope, reason, form.why.trim(), by.actor(), app.now()).await {
        Ok(_) => Ok(Redirect::to(&format!("/contacts/{id}"))),
        Err(error @ (rebound_contacts::Error::Forgotten | rebound_contacts::Error::NeedsReason)) => {
            Err(PageError::NotNow(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

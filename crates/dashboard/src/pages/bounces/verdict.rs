//! `/bounces/{id}`: one failed try, what it means, and what happens next.

use super::correction::{Said, can_be_corrected, said};
use super::evidence::{Piece, marked};
use super::kind;
use crate::App;
use crate::advice;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See};
use crate::words::{Count, When, colour};
use askama::Template;
use axum::extract::{Path, State};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::bounces::{self, NotedBounce};
use rebound_db::deliveries::{self, Delivery};
use rebound_db::{campaigns, inbox, policies, suppressions};
use rebound_domain::{
    Advice, BounceCause, BounceId, Campaign, Case, Grade, Policy, Scope, StateName, Suppression, strongest,
};

/// So much of a raw report is shown.
const RAW: usize = 64 << 10;

#[derive(Template)]
#[template(path = "bounces/show.html")]
pub(crate) struct Show {
    frame: Frame,
    bounce: NotedBounce,
    at: When,
    headline: String,
    campaign: Option<Campaign>,
    colour: &'static str,
    lasting: (&'static str, &'static str),
    kind: (&'static str, &'static str),
    doing: (&'static str, &'static str),
    second: Option<(BounceCause, u8)>,
    words: Vec<Piece>,
    rules: Vec<(String, String)>,
    grade: &'static str,
    plan: Vec<Step>,
    advice: Advice,
    raw: Option<String>,
    /// What rules, and what the verdict alone would say.
    cause: BounceCause,
    said: Vec<Said>,
    /// Others with the same words from that host, where it can be called wrong.
    alike: Option<Count>,
}

/// A step of the plan, in the order of time.
struct Step {
    at: Option<When>,
    class: &'static str,
    title: String,
    text: String,
}

pub(crate) async fn show(
    by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<Show>, PageError> {
    let now = app.now();
    let bounce = bounces::get(&app.db, BounceId(id)).await?.ok_or(PageError::NotFound)?;
    let campaign = match bounce.campaign() {
        Some(id) => campaigns::get(&app.db, id).await?,
        None => None,
    };
    let delivery = match bounce.delivery {
        Some(id) => deliveries::get(&app.db, &[id]).await?.pop(),
        None => None,
    };
    let standing = suppressions::of(&app.db, &bounce.address).await?;
    let ruling = strongest(&standing, now).filter(|one| one.scope == Scope::Everywhere);
    let (verdict, case) = (&bounce.verdict, bounce.case());
    let policy = policies::in_force(&app.db).await?;
    let alike = match can_be_corrected(&bounce) {
        true => Some(Count(bounces::alike_count(&app.db, bounce.id).await?.max(1) - 1)),
        false => None,
    };
    let raw = match bounce.inbox {
        Some(id) => inbox::raw(&app.db, id).await?,
        None => None,
    };
    let page = Show {
        frame: Frame::of(&app, &by, Place::Bounces).await?,
        at: When::new(bounce.at, now),
        headline: headline(&bounce, delivery.as_ref(), now),
        campaign,
        cause: case.cause(),
        said: said(&app, &bounce).await?,
        alike,
        colour: colour(case.cause().group()),
        lasting: advice::lasting(bounce.corrected.map_or(verdict.permanence, Case::permanence)),
        kind: kind(&bounce),
        doing: advice::doing(case.cause()),
        // Another rule for the same cause is no rival to it.
        second: verdict.second.filter(|(cause, _)| *cause != verdict.cause),
        words: marked(&verdict.diagnostic, &verdict.evidence),
        rules: verdict.evidence.iter().map(|one| (one.rule.clone(), one.matched.clone())).collect(),
        grade: grade(bounce.grade),
        plan: plan(&bounce, delivery.as_ref(), ruling, &policy, now),
        advice: case.cause().advice(),
        raw: raw.map(|bytes| String::from_utf8_lossy(bytes.get(..RAW).unwrap_or(&bytes)).into_owned()),
        bounce,
    };
    Ok(Page(page))
}

/// What happened and what comes, in one or two sentences.
fn headline(bounce: &NotedBounce, delivery: Option<&Delivery>, now: DateTime<Utc>) -> String {
    let cause = bounce.case().cause().title();
    match delivery {
        Some(one) if matches!(one.state, StateName::Planned | StateName::Deferred) && one.due > now => {
            format!("{cause}. We try again {}.", When::new(one.due, now))
        }
        Some(one) if one.state == StateName::Accepted => format!("{cause}. It was delivered later."),
        _ => format!("{cause}."),
    }
}

fn grade(grade: Grade) -> &'static str {
    match grade {
        Grade::Ours => "Heard in our own session, or at a return path that only we can sign.",
        Grade::Returned => "A signed name of ours came back inside the report.",
        Grade::TextOnly => "Only the text of a report names the address: it is noted, and changes nothing.",
    }
}

fn plan(
    bounce: &NotedBounce,
    delivery: Option<&Delivery>,
    ruling: Option<&Suppression>,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Vec<Step> {
    let when = |at| Some(When::new(at, now));
    let cause = bounce.verdict.cause.title().to_lowercase();
    let nth = match bounce.attempt {
        0 => "A try".to_owned(),
        1 => "First try".to_owned(),
        n => format!("Try {n}"),
    };
    let (class, _) = kind(bounce);
    let by_rules = match &*bounce.verdict.rules {
        "" => String::new(),
        rules => format!(", read by rules {rules}"),
    };
    let judged = format!("Judged by policy version {}{by_rules}", bounce.policy_version);
    let mut plan = vec![Step { at: when(bounce.at), class, title: format!("{nth}: {cause}"), text: judged }];
    if let Some(delivery) = delivery {
        plan.extend(of_delivery(delivery, bounce.case(), policy, now));
    }
    if bounce.is_final && bounce.is_excused() {
        let text = "It belongs to an incident, or was excused.".to_owned();
        plan.push(Step {
            at: None,
            class: "s-delivered",
            title: "Nothing is counted against the contact".into(),
            text,
        });
    }
    if let Some(rule) = ruling {
        let (class, words) = crate::pages::contacts::reason(rule.reason);
        let (at, text) = match rule.until {
            Some(until) => (when(until), "Then the next campaign tries the address once.".to_owned()),
            None => (when(rule.since), "For good, unless somebody lifts it.".to_owned()),
        };
        let title = if rule.until.is_some() {
            "The address rests until then".into()
        } else {
            format!("{words}: not written to")
        };
        plan.push(Step { at, class: if rule.until.is_some() { "ahead" } else { class }, title, text });
    }
    plan
}

fn of_delivery(delivery: &Delivery, case: Case, policy: &Policy, now: DateTime<Utc>) -> Vec<Step> {
    let when = |at| Some(When::new(at, now));
    let step = |at, class, title: &str, text: &str| Step { at, class, title: title.into(), text: text.into() };
    match delivery.state {
        StateName::Planned | StateName::Deferred => {
            let backoff = policy.row_of(case).after_4yz;
            let gaps = backoff.map_or_else(String::new, |one| {
                format!("Gaps grow from {} to {}.", span(one.base_minutes), span(one.cap_minutes))
            });
            let mut steps = vec![step(when(delivery.due), "ahead", "Next try", &gaps)];
            if let Some((since, backoff)) = delivery.since.zip(backoff) {
                let last = since + TimeDelta::hours(backoff.give_up_hours.into());
                steps.push(step(
                    when(last),
                    "ahead",
                    "Last moment for this message",
                    "If it still fails we let it go.",
                ));
            }
            steps
        }
        StateName::Leased | StateName::HandingOver => vec![step(None, "s-live", "Being tried now", "")],
        StateName::InDoubt => vec![step(None, "s-soft", "In doubt", "It may or may not have left when a worker died.")],
        StateName::Accepted => vec![step(None, "s-recovered", "Delivered at a later try", "")],
        StateName::Bounced => vec![step(None, "s-hard", "This message is not tried again", "")],
        StateName::Suppressed => {
            vec![step(None, "s-suppressed", "Not handed over any more", "The person left meanwhile.")]
        }
        StateName::Cancelled => vec![step(None, "s-suppressed", "Not tried again", "The campaign was cancelled.")],
    }
}

/// `20 minutes`, `6 hours`.
fn span(minutes: u32) -> String {
    if minutes >= 120 && minutes.is_multiple_of(60) {
        format!("{} hours", minutes / 60)
    } else {
        format!("{minutes} minutes")
    }
}

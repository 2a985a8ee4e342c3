//! `/bounces/{id}/rule`: this is wrong, and so is all like it: a rule of one's own, with what it would change in the
//! history before it is made.

use super::evidence::{Piece, marked};
use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::session::{Administer, Allowed, Submitted};
use crate::words::{Count, When, colour};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use rebound_contacts::rules::{Foreseen, foresee, ids_of, make_rule as make, propose};
use rebound_contacts::{Error, NewRule};
use rebound_db::bounces::{self, NotedBounce};
use rebound_db::rule_files;
use rebound_domain::{BounceId, Case, Evidence, EvidenceField};
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Template)]
#[template(path = "bounces/rule.html")]
struct Make {
    frame: Frame,
    bounce: NotedBounce,
    words: Vec<Piece>,
    rule: NewRule,
    based_on: i64,
    faults: Vec<String>,
    effect: Option<Effect>,
}

/// What the rule would change.
struct Effect {
    bounces: Count,
    lifted: Count,
    suppressed: Count,
    by_hand: Count,
    unseen: Count,
    rows: Vec<Line>,
    /// Names the rule that this is the effect of.
    seen: String,
}

struct Line {
    id: BounceId,
    at: When,
    address: String,
    words: String,
    before: Case,
    after: Case,
    colour: &'static str,
}

/// The form of the page.
#[derive(Deserialize)]
pub(crate) struct Form {
    rule: String,
    words: String,
    case: String,
    #[serde(default)]
    why: String,
    #[serde(default)]
    not: String,
    based_on: i64,
    /// Set where the effect of just this was seen, and the rule is to be made.
    #[serde(default)]
    seen: String,
}

pub(crate) async fn propose_rule(
    by: Allowed<Administer>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Response, PageError> {
    let bounce = found(&app, id).await?;
    let based_on = rule_files::in_force(&app.db).await?;
    let taken = ids_of(&rule_files::text(&app.db, based_on).await?.unwrap_or_default());
    let mut rule = propose(&bounce, bounce.case(), &taken);
    let host = bounce.reporting_mta.clone().unwrap_or_else(|| bounce.address.domain().to_owned());
    rule.why = format!("said by {host} on {}", bounce.at.format("%Y-%m-%d"));
    Ok(Page(Make::of(&app, &by, bounce, rule, based_on).await?).into_response())
}

/// Shows what the rule would change, or, when that was seen, makes it.
pub(crate) async fn make_rule(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form }: Submitted<Administer, Form>,
) -> Result<Response, PageError> {
    let bounce = found(&app, id).await?;
    let lines = form.words.lines().map(str::trim).filter(|line| !line.is_empty());
    let rule = NewRule {
        id: form.rule.trim().to_owned(),
        words: lines.map(str::to_owned).collect(),
        case: form.case.parse().map_err(|_| PageError::Unreadable)?,
        why: form.why.trim().to_owned(),
        example: bounce.verdict.diagnostic.clone(),
        not: form.not.trim().to_owned(),
    };
    let now = app.now();
    if form.seen == seal(&rule, form.based_on) {
        match make(&app.db, &rule, form.based_on, by.actor(), now).await {
            Ok(_) => {
                app.work.notify_one();
                return Ok(Redirect::to(&format!("/bounces/{id}")).into_response());
            }
            // Looked at again, beside what was saved meanwhile.
            Err(Error::RulesChanged { .. } | Error::FaultyRules(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let based_on = rule_files::in_force(&app.db).await?;
    let foreseen = foresee(&app.db, &rule, based_on, now).await;
    let mut page = Make::of(&app, &by, bounce, rule, based_on).await?;
    match foreseen {
        Ok(foreseen) => page.effect = Some(Effect::of(foreseen, seal(&page.rule, based_on), now)),
        Err(Error::FaultyRules(faults)) => {
            page.faults = faults.iter().map(ToString::to_string).collect();
            return Ok(Faulty(page).into_response());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Page(page).into_response())
}

async fn found(app: &App, id: i64) -> Result<NotedBounce, PageError> {
    let bounce = bounces::get(&app.db, BounceId(id)).await?.ok_or(PageError::NotFound)?;
    if bounce.verdict.diagnostic.trim().is_empty() {
        return Err(PageError::NotNow("the host said nothing that a rule could look for".to_owned()));
    }
    Ok(bounce)
}

/// Names a rule and what it is added to: what is made is what was looked at.
fn seal(rule: &NewRule, based_on: i64) -> String {
    let digest = Sha256::digest(format!("{based_on}\n{}", rule.written()));
    data_encoding::HEXLOWER.encode(&digest)
}

impl Make {
    async fn of(
        app: &App,
        by: &Allowed<Administer>,
        bounce: NotedBounce,
        rule: NewRule,
        based_on: i64,
    ) -> Result<Self, PageError> {
        let frame = Frame::of(app, by, Place::Bounces).await?;
        let words = marked(&bounce.verdict.diagnostic, &places(&bounce.verdict.diagnostic, &rule.words));
        Ok(Self { frame, bounce, words, rule, based_on, faults: vec![], effect: None })
    }

    fn text(&self) -> String {
        self.rule.words.join("\n")
    }
}

/// Where the words of a rule stand in what was said: the pieces between gaps, one by one.
fn places(text: &str, words: &[String]) -> Vec<Evidence> {
    let folded = text.to_ascii_lowercase();
    let pieces = words.iter().flat_map(|words| words.split('*')).map(str::trim).filter(|piece| !piece.is_empty());
    let place = |piece: &str| {
        let start = folded.find(&piece.to_ascii_lowercase())?;
        let (rule, matched, field) = (String::new(), piece.to_owned(), EvidenceField::Reply);
        Some(Evidence { rule, matched, start, end: start + piece.len(), field, raw: None })
    };
    pieces.filter_map(place).collect()
}

impl Effect {
    fn of(foreseen: Foreseen, seen: String, now: chrono::DateTime<chrono::Utc>) -> Self {
        let line = |(bounce, after): (NotedBounce, Case)| Line {
            id: bounce.id,
            at: When::new(bounce.at, now),
            address: bounce.address.to_string(),
            words: bounce.verdict.diagnostic.chars().take(160).collect(),
            before: bounce.case(),
            after,
            colour: colour(after.cause().group()),
        };
        Self {
            bounces: Count::from_len(foreseen.bounces),
            lifted: Count::from_len(foreseen.lifted),
            suppressed: Count::from_len(foreseen.suppressed),
            by_hand: Count::from_len(foreseen.by_hand),
            unseen: Count(foreseen.unseen),
            rows: foreseen.first.into_iter().map(line).collect(),
            seen,
        }
    }
}

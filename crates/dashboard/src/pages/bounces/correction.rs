//! `/bounces/{id}/correction`: this is wrong. What that would change is shown before it is kept.

use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, Submitted, Write};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use rebound_contacts::feedback::{self, Corrected, Extent};
use rebound_db::bounces::{self, NotedBounce};
use rebound_domain::{BounceId, Case, Grade};
use serde::Deserialize;

/// A correction as a page shows it.
pub(crate) struct Said {
    pub(crate) at: When,
    pub(crate) actor: String,
    /// `None` where it was taken back.
    pub(crate) judged: Option<Case>,
    pub(crate) why: String,
    pub(crate) bounces: Count,
    /// The rule that said it, where no person did.
    pub(crate) rule: Option<String>,
}

/// What was said of `bounce`, newest first.
pub(super) async fn said(app: &App, bounce: &NotedBounce) -> Result<Vec<Said>, PageError> {
    let found = bounces::corrections(&app.db, bounce.id).await?;
    let now = app.now();
    let read = |one: bounces::Correction| Said {
        at: When::new(one.at, now),
        actor: one.actor,
        judged: one.judged,
        why: one.why,
        bounces: Count(one.bounces),
        rule: one.rule,
    };
    Ok(found.into_iter().map(read).collect())
}

/// Whether a person can say what it was: anybody is judged only by what ended a delivery of ours.
pub(super) fn can_be_corrected(bounce: &NotedBounce) -> bool {
    bounce.is_final && bounce.delivery.is_some() && bounce.grade > Grade::TextOnly
}

/// The form of the page.
#[derive(Deserialize)]
pub(crate) struct Correction {
    case: String,
    #[serde(default)]
    why: String,
    /// Set where it is said of all with the same words from that host.
    #[serde(default)]
    alike: String,
    /// Set when what would change was seen.
    #[serde(default)]
    seen: String,
}

#[derive(Template)]
#[template(path = "bounces/correct.html")]
struct Ask {
    frame: Frame,
    bounce: NotedBounce,
    case: Case,
    would: Corrected,
    alike: bool,
    why: String,
}

/// Shows what would change, or, when that was seen, keeps what was said.
pub(crate) async fn correct(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form }: Submitted<Write, Correction>,
) -> Result<Response, PageError> {
    let bounce = bounces::get(&app.db, BounceId(id)).await?.ok_or(PageError::NotFound)?;
    let case: Case = form.case.parse().map_err(|_| PageError::Unreadable)?;
    if !can_be_corrected(&bounce) {
        return Err(PageError::NotNow("nobody is judged by this bounce".to_owned()));
    }
    let alike = !form.alike.is_empty();
    let extent = if alike { Extent::Alike } else { Extent::This };
    let why = form.why.trim();
    let tx = app.db.begin().await?;
    let done = feedback::correct(&tx, &bounce, extent, case, (by.actor(), why), app.now()).await?;
    if !form.seen.is_empty() {
        tx.commit().await?;
        return Ok(Redirect::to(&format!("/bounces/{id}")).into_response());
    }
    // Rolled back: that was only a look.
    drop(tx);
    let frame = Frame::of(&app, &by, Place::Bounces).await?;
    Ok(Page(Ask { frame, bounce, case, would: done, alike, why: why.to_owned() }).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Nothing {}

/// The verdict rules again.
pub(crate) async fn take_back(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: Nothing {} }: Submitted<Write, Nothing>,
) -> Result<Redirect, PageError> {
    let bounce = bounces::get(&app.db, BounceId(id)).await?.ok_or(PageError::NotFound)?;
    let by: Allowed<Write> = by;
    let tx = app.db.begin().await?;
    feedback::take_back(&tx, &bounce, by.actor(), app.now()).await?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/bounces/{id}")))
}

impl Ask {
    fn bounces(&self) -> Count {
        Count::from_len(self.would.bounces)
    }

    fn lifted(&self) -> Count {
        Count::from_len(self.would.lifted)
    }

    fn suppressed(&self) -> Count {
        Count::from_len(self.would.suppressed)
    }
}

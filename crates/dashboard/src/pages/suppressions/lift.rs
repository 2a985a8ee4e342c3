//! `/suppressions/lift`: ends one, those that are ticked, or all that fit; first it says which and how many.

use super::{Asked, named, scope_number, scope_of};
use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::session::{Submitted, Write};
use crate::words::Count;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use rebound_contacts::{lift_all, lift_found};
use rebound_db::suppressions;
use rebound_domain::{AddressKey, Suppression, SuppressionReason};

/// No page shows more at once.
const MOST: usize = 200;
/// So many are named one by one.
const NAMED: usize = 10;

#[derive(Template)]
#[template(path = "suppressions/lift.html")]
struct Ask {
    frame: Frame,
    count: Count,
    named: Vec<String>,
    others: Count,
    /// What is ticked, to be sent again.
    picked: Vec<String>,
    all: bool,
    /// The filter, where all that fit are meant.
    asked: Asked,
    asks_why: bool,
    fault: Option<String>,
    why: String,
}

/// What the form says: fields come in any order, and `pick` once for each that is ticked.
struct Said {
    picked: Vec<Suppression>,
    /// Set where all that fit the filter are meant.
    all: bool,
    asked: Asked,
    why: String,
    is_sure: bool,
}

impl Said {
    fn read(form: &[(String, String)], now: DateTime<Utc>) -> Self {
        let all = |name: &'static str| form.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str());
        let one = |name| all(name).next().unwrap_or_default().trim().to_owned();
        Self {
            picked: all("pick").filter_map(|text| picked(text, now)).take(MOST).collect(),
            all: all("all").next().is_some(),
            asked: Asked {
                reason: one("reason"),
                q: one("q"),
                back: one("back"),
                later: one("later"),
                ..Asked::default()
            },
            why: one("why"),
            is_sure: all("sure").next().is_some(),
        }
    }
}

/// A row as a form names it: `<scope>-<reason>-<address>`.
pub(super) fn pick(one: &Suppression) -> String {
    format!("{}-{}-{}", scope_number(one.scope), one.reason.code(), one.address)
}

fn picked(text: &str, now: DateTime<Utc>) -> Option<Suppression> {
    let mut parts = text.splitn(3, '-');
    let scope = parts.next()?.parse().ok()?;
    let reason = SuppressionReason::from_code(parts.next()?.parse().ok()?)?;
    let address = AddressKey::stored(parts.next()?.to_owned());
    Some(Suppression { address, scope: scope_of(scope), reason, since: now, until: None, evidence: String::new() })
}

pub(crate) async fn lift(
    State(app): State<App>,
    Submitted { by, form }: Submitted<Write, Vec<(String, String)>>,
) -> Result<Response, PageError> {
    use SuppressionReason::{Complaint, Unsubscribe};
    let now = app.now();
    let said = Said::read(&form, now);
    let filter = said.asked.filter();
    let mut fault = None;
    if said.is_sure {
        let lifted = match said.all {
            true => lift_found(&app.db, &filter, &said.why, by.actor(), now).await,
            false => lift_all(&app.db, &said.picked, &said.why, by.actor(), now).await,
        };
        match lifted {
            Ok(count) => return Ok(Redirect::to(&format!("/suppressions?lifted={count}")).into_response()),
            Err(error @ (rebound_contacts::Error::Forgotten | rebound_contacts::Error::NeedsReason)) => {
                fault = Some(error.to_string());
            }
            Err(error) => return Err(error.into()),
        }
    }
    let count = match said.all {
        true => suppressions::count(&app.db, &filter, now).await?,
        false => said.picked.len() as i64,
    };
    if count == 0 {
        return Ok(Redirect::to("/suppressions").into_response());
    }
    let asks_why = match said.all {
        true => named(&said.asked.reason).is_none_or(|reason| matches!(reason, Complaint | Unsubscribe)),
        false => said.picked.iter().any(|one| matches!(one.reason, Complaint | Unsubscribe)),
    };
    let names: Vec<String> = match said.all {
        true => suppressions::page(&app.db, &filter, None, NAMED as u32, now).await?,
        false => said.picked.iter().take(NAMED).cloned().collect(),
    }
    .iter()
    .map(|one| one.address.to_string())
    .collect();
    let is_faulty = fault.is_some();
    let page = Ask {
        frame: Frame::of(&app, &by, Place::Suppressions).await?,
        count: Count(count),
        others: Count(count - names.len() as i64),
        named: names,
        picked: said.picked.iter().map(pick).collect(),
        all: said.all,
        asked: said.asked,
        asks_why,
        fault,
        why: said.why,
    };
    Ok(if is_faulty { Faulty(page).into_response() } else { Page(page).into_response() })
}

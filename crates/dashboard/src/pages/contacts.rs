//! `/contacts`: the people we may write to, found by address, name, list or domain.

mod profile;

pub(crate) use profile::{show, suppress};

use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::{Query, State};
use chrono::{DateTime, Utc};
use rebound_db::contacts::{self, Filter};
use rebound_db::{lists, suppressions};
use rebound_domain::{AddressKey, Contact, ContactId, List, ListId, Suppression, SuppressionReason};
use serde::Deserialize;

const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "contacts/index.html")]
pub(crate) struct Index {
    frame: Frame,
    asked: Asked,
    lists: Vec<List>,
    rows: Vec<Line>,
    count: Count,
    suppressed: Count,
    is_filtered: bool,
    more: Option<i64>,
}

struct Line {
    id: ContactId,
    name: Option<String>,
    address: String,
    standing: Standing,
}

/// Whether somebody can be written to, as the class and words of a state.
pub(crate) struct Standing {
    pub(crate) class: &'static str,
    pub(crate) words: String,
}

/// What the filter bar holds.
#[derive(Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    list: String,
    after: Option<i64>,
}

pub(crate) async fn index(
    by: Allowed<See>,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Page<Index>, PageError> {
    let now = app.now();
    let filter = Filter { search: asked.q.clone(), domain: None, list: asked.list.parse().ok().map(ListId) };
    let found = contacts::page(&app.db, &filter, asked.after.map(ContactId), ROWS + 1).await?;
    let shown = &found[..found.len().min(ROWS as usize)];
    let keys: Vec<AddressKey> = shown.iter().map(|contact| contact.address.key()).collect();
    // Who left one list can still be written to for another.
    let standing = suppressions::standing(&app.db, &keys, None, now).await?;
    let line = |contact: &Contact| Line {
        id: contact.id,
        name: name(contact),
        address: contact.address.to_string(),
        standing: standing_of(standing.get(&contact.address.key()), now),
    };
    let frame = Frame::of(&app, &by, Place::Contacts).await?;
    Ok(Page(Index {
        frame,
        is_filtered: filter != Filter::default(),
        lists: lists::all(&app.db).await?,
        rows: shown.iter().map(line).collect(),
        count: Count(contacts::count(&app.db, &filter).await?),
        suppressed: Count(suppressions::addresses(&app.db, now).await?),
        more: shown.last().filter(|_| found.len() > shown.len()).map(|last| last.id.0),
        asked,
    }))
}

/// What people are called, if their fields say so.
pub(crate) fn name(contact: &Contact) -> Option<String> {
    let field = |name: &str| contact.fields.get(name).filter(|value| !value.trim().is_empty()).map(String::as_str);
    let parts: Vec<&str> = [field("first_name"), field("last_name")].into_iter().flatten().collect();
    if parts.is_empty() { field("name").map(str::to_owned) } else { Some(parts.join(" ")) }
}

/// What a suppression, or none, means for a person.
pub(crate) fn standing_of(suppression: Option<&Suppression>, now: DateTime<Utc>) -> Standing {
    let Some(suppression) = suppression else {
        return Standing { class: "s-delivered", words: "Can be written to".into() };
    };
    let (class, words) = reason(suppression.reason);
    let until = suppression.until.map(|at| format!(" until {}", When::new(at, now).day())).unwrap_or_default();
    Standing { class, words: format!("{words}{until}") }
}

/// The class and the words of a reason.
pub(crate) fn reason(reason: SuppressionReason) -> (&'static str, &'static str) {
    match reason {
        SuppressionReason::Soft => ("s-soft", "Rests"),
        SuppressionReason::Hard => ("s-hard", "Hard bounce"),
        SuppressionReason::Manual => ("s-suppressed", "By hand"),
        SuppressionReason::Unsubscribe => ("s-suppressed", "Unsubscribed"),
        SuppressionReason::Complaint => ("s-complaint", "Complained"),
        SuppressionReason::Erased => ("s-suppressed", "Asked to be forgotten"),
    }
}

//! `/imports`: bringing people in from a CSV file.

mod begin;
mod show;
mod upload;

pub(crate) use begin::start;
pub(crate) use show::{bad_rows, percent, progress, show};
pub(crate) use upload::{LARGEST, blank, create};

use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::{Query, State};
use rebound_db::imports::{self, Import};
use rebound_db::jobs::JobState;
use rebound_db::lists;
use rebound_domain::ImportId;
use serde::Deserialize;

/// Imports on one page.
const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "imports/index.html")]
pub(crate) struct Index {
    frame: Frame,
    rows: Vec<Line>,
    more: Option<ImportId>,
}

struct Line {
    id: ImportId,
    file: String,
    list: String,
    started: When,
    by: String,
    state: (&'static str, &'static str),
    added: Count,
    bad: Count,
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    before: Option<i64>,
}

pub(crate) async fn index(
    by: Allowed<See>,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Page<Index>, PageError> {
    let now = app.now();
    let found = imports::newest(&app.db, asked.before.map(ImportId), ROWS).await?;
    let lists = lists::all(&app.db).await?;
    let more = found.last().filter(|_| found.len() == ROWS as usize).map(|last| last.id);
    let line = |import: Import| Line {
        id: import.id,
        list: lists.iter().find(|list| list.id == import.list).map_or_else(String::new, |list| list.name.clone()),
        file: import.file,
        started: When::new(import.started, now),
        by: import.actor,
        state: state(import.state),
        added: Count(import.counts.added),
        bad: Count(import.counts.bad),
    };
    let rows = found.into_iter().map(line).collect();
    Ok(Page(Index { frame: Frame::of(&app, &by, Place::Contacts).await?, rows, more }))
}

/// The class and the word for how long work stands.
pub(crate) fn state(state: JobState) -> (&'static str, &'static str) {
    match state {
        JobState::Arriving => ("s-live", "Arriving"),
        JobState::Prepared => ("s-draft", "Waits for you"),
        JobState::Waiting => ("s-deferred", "Waits for its turn"),
        JobState::Running => ("s-live", "Under way"),
        JobState::Done => ("s-delivered", "Finished"),
        JobState::Failed => ("s-hard", "Stopped by an error"),
        JobState::Cancelled => ("s-suppressed", "Cancelled"),
    }
}

/// Words of ours, which begin small inside a sentence, as one of their own.
pub(crate) fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

//! `/imports/{id}`: how far it is, and what came of it.

use super::begin::Before;
use super::{sentence, state};
use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See, TakeAway};
use crate::words::When;
use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::try_unfold;
use rebound_contacts::BadRows;
use rebound_db::events::{self, Event};
use rebound_db::imports::{self, BadRow, Import};
use rebound_db::jobs::JobState;
use rebound_db::lists;
use rebound_domain::ImportId;

/// Bad rows that a page shows; the file has all.
const ROWS: u32 = 100;

#[derive(Template)]
#[template(path = "imports/show.html")]
struct Show {
    frame: Frame,
    list: String,
    started: When,
    state: (&'static str, &'static str),
    error: Option<String>,
    progress: Progress,
    import: Import,
    bad: Vec<BadRow>,
}

/// How far it is: the part of the page that changes.
#[derive(Template)]
#[template(path = "imports/progress.html")]
pub(crate) struct Progress {
    id: ImportId,
    counts: imports::Counts,
    state: JobState,
    is_over: bool,
    percent: i64,
    now: When,
}

/// It has escaped what it holds, so a page may hold it as it is.
impl askama::filters::HtmlSafe for Progress {}

impl Progress {
    fn of(import: &Import, app: &App) -> Self {
        let now = app.now();
        Self {
            id: import.id,
            counts: import.counts,
            state: import.state,
            is_over: import.state.is_over(),
            percent: percent(import.done, import.total),
            now: When::new(now, now),
        }
    }

    fn headline(&self) -> String {
        match self.state {
            JobState::Waiting => "It begins in a moment".to_owned(),
            _ => format!("{} % of the file is in", self.percent),
        }
    }
}

/// Whole percent; 0 where nobody knows how much there is.
pub(crate) fn percent(done: i64, total: i64) -> i64 {
    if total > 0 { (done.clamp(0, total) * 100) / total } else { 0 }
}

pub(crate) async fn show(by: Allowed<See>, State(app): State<App>, Path(id): Path<i64>) -> Result<Response, PageError> {
    let import = imports::get(&app.db, ImportId(id)).await?.ok_or(PageError::NotFound)?;
    let list = lists::get(&app.db, import.list).await?.map(|list| list.name).unwrap_or_default();
    let frame = Frame::of(&app, &by, Place::Contacts).await?;
    if matches!(import.state, JobState::Arriving | JobState::Prepared) {
        return Ok(Page(Before::of(&app, frame, import, list).await?).into_response());
    }
    let page = Show {
        frame,
        list,
        started: When::new(import.started, app.now()),
        state: state(import.state),
        error: import.error.as_deref().map(sentence),
        progress: Progress::of(&import, &app),
        bad: imports::bad_rows(&app.db, import.id, 0, ROWS).await?,
        import,
    };
    Ok(Page(page).into_response())
}

/// The part that changes. When it is over, the page is asked for anew: much else changes with it.
pub(crate) async fn progress(
    _by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Response, PageError> {
    let import = imports::get(&app.db, ImportId(id)).await?.ok_or(PageError::NotFound)?;
    let progress = Progress::of(&import, &app);
    if progress.is_over {
        return Ok(([(HeaderName::from_static("hx-refresh"), "true")], "").into_response());
    }
    Ok(Page(progress).into_response())
}

/// The rows that were not taken, with their reasons, as CSV.
pub(crate) async fn bad_rows(
    by: Allowed<TakeAway>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Response, PageError> {
    let import = imports::get(&app.db, ImportId(id)).await?.ok_or(PageError::NotFound)?;
    let (at, actor, detail) = (app.now(), by.actor(), import.file.clone());
    let (kind, subject, subject_id) = ("bad-rows.exported", "import", Some(import.id.0));
    events::add(&app.db, &Event { at, kind, actor, subject, subject_id, key: None, detail }).await?;
    let name = format!("attachment; filename=\"import-{id}-to-correct.csv\"");
    let parts = try_unfold((BadRows::of(import.id), app.db), |(mut rows, db)| async move {
        let part = rows.next(&db).await?;
        Ok::<_, rebound_contacts::Error>(part.map(|part| (part, (rows, db))))
    });
    let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(parts)).into_response())
}

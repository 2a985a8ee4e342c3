//! `/campaigns/{id}/progress`: the report while it sends, at most once a second.

use super::found;
use super::report::Report;
use crate::App;
use crate::error::PageError;
use crate::session::{Allowed, See};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Deserialize;
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// The shortest time between two events.
const PAUSE: Duration = Duration::from_secs(1);
/// A large campaign takes long to count; counting takes at most a tenth of the time.
const REST: u32 = 10;
/// So many events, and the browser connects anew: who was signed out meanwhile is then told.
const EVENTS: u32 = 300;

#[derive(Deserialize)]
pub(crate) struct Parts {
    /// Whether the decision rows are on the page.
    #[serde(default)]
    rows: bool,
}

/// Where a stream stands.
struct Cursor {
    app: App,
    id: i64,
    rows: bool,
    pause: Duration,
    left: u32,
    is_over: bool,
}

pub(crate) async fn progress(
    _by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
    Query(parts): Query<Parts>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, PageError> {
    found(&app.db, id).await?;
    let start = Cursor { app, id, rows: parts.rows, pause: Duration::ZERO, left: EVENTS, is_over: false };
    Ok(Sse::new(unfold(start, next)).keep_alive(KeepAlive::default()))
}

/// The next event; none after the campaign is over, or when it cannot be counted.
async fn next(mut cursor: Cursor) -> Option<(Result<Event, Infallible>, Cursor)> {
    if cursor.left == 0 {
        return None;
    }
    cursor.left -= 1;
    if cursor.is_over {
        // The last figures went out before; this tells the browser not to come back.
        cursor.left = 0;
        return Some((Ok(Event::default().event("finished").data("over")), cursor));
    }
    tokio::time::sleep(cursor.pause).await;
    let start = Instant::now();
    match event(&cursor).await {
        Ok((event, is_over)) => {
            cursor.pause = PAUSE.max(start.elapsed() * REST);
            cursor.is_over = is_over;
            Some((Ok(event), cursor))
        }
        Err(error) => {
            // Not as `Debug`: with it, drivers print the row that they could not write.
            if let PageError::Broken(error) = &error {
                tracing::warn!(
                    campaign.id = cursor.id,
                    error = error.as_ref() as &dyn std::error::Error,
                    "the progress cannot be told"
                );
            }
            None
        }
    }
}

async fn event(cursor: &Cursor) -> Result<(Event, bool), PageError> {
    let campaign = found(&cursor.app.db, cursor.id).await?;
    let report = Report::of(&cursor.app.db, campaign, "", cursor.app.now()).await?;
    let is_over = report.progress.is_over;
    let mut data = partial("#progress", &report.progress.render()?);
    if cursor.rows {
        data += &partial("#found", &report.rows.render()?);
    }
    Ok((Event::default().data(data), is_over))
}

/// What htmx puts into the place of `target`, keeping focus and open rows.
fn partial(target: &str, html: &str) -> String {
    format!("<hx-partial hx-target=\"{target}\" hx-swap=\"innerMorph\">{html}</hx-partial>")
}

//! `/lists`: sets that people join.

use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See, Submitted, Write};
use crate::words::Count;
use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use rebound_db::{contacts, lists, subscriptions};
use rebound_domain::{List, ListId};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "lists/index.html")]
pub(crate) struct Index {
    frame: Frame,
    rows: Vec<Line>,
}

struct Line {
    list: List,
    people: Count,
    reachable: Count,
}

pub(crate) async fn index(by: Allowed<See>, State(app): State<App>) -> Result<Page<Index>, PageError> {
    let now = app.now();
    let mut rows = Vec::new();
    for list in lists::all(&app.db).await? {
        let filter = contacts::Filter { list: Some(list.id), ..contacts::Filter::default() };
        let people = Count(contacts::count(&app.db, &filter).await?);
        let reachable = Count(subscriptions::audience_count(&app.db, list.id, now).await?);
        rows.push(Line { list, people, reachable });
    }
    Ok(Page(Index { frame: Frame::of(&app, &by, Place::Lists).await?, rows }))
}

#[derive(Deserialize)]
pub(crate) struct NewList {
    name: String,
}

pub(crate) async fn create(
    State(app): State<App>,
    Submitted { by: _, form }: Submitted<Write, NewList>,
) -> Result<Redirect, PageError> {
    let name: String = form.name.trim().chars().filter(|c| !c.is_control()).take(200).collect();
    if !name.is_empty() {
        lists::ensure(&app.db, &name, app.now()).await?;
    }
    Ok(Redirect::to("/lists"))
}

/// Everybody who ever joined a list, as CSV.
pub(crate) async fn export(
    _by: Allowed<Write>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Response, PageError> {
    let list = lists::get(&app.db, ListId(id)).await?.ok_or(PageError::NotFound)?;
    let mut file = Vec::new();
    rebound_contacts::export(&app.db, list.id, &mut file).await?;
    let name = format!("attachment; filename=\"list-{id}.csv\"");
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)], file)
        .into_response())
}

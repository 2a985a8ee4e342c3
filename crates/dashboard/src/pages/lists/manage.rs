//! Making, naming, putting away, deleting and downloading a list.

use super::{Figures, found, page};
use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::session::{Allowed, Submitted, TakeAway, Write};
use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::stream;
use rebound_contacts::Export;
use rebound_db::events::{self, Event};
use rebound_db::{Connection, Error, lists};
use rebound_domain::List;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "lists/delete.html")]
pub(crate) struct Delete {
    frame: Frame,
    figures: Figures,
    campaigns: i64,
}

#[derive(Deserialize)]
pub(crate) struct Named {
    name: String,
}

impl Named {
    fn read(&self) -> Option<String> {
        let name: String = self.name.trim().chars().filter(|c| !c.is_control()).take(200).collect();
        Some(name).filter(|name| !name.is_empty())
    }
}

/// A form that carries nothing but its token.
#[derive(Deserialize)]
pub(crate) struct Nothing {}

pub(crate) async fn create(
    State(app): State<App>,
    Submitted { by: _, form }: Submitted<Write, Named>,
) -> Result<Redirect, PageError> {
    if let Some(name) = form.read() {
        lists::ensure(&app.db, &name, app.now()).await?;
    }
    Ok(Redirect::to("/lists"))
}

pub(crate) async fn rename(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form }: Submitted<Write, Named>,
) -> Result<Response, PageError> {
    let list = found(&app, id).await?;
    let fault = match form.read() {
        None => "a list needs a name",
        Some(name) => match lists::rename(&app.db, list.id, &name).await {
            Ok(()) => {
                note(&app, &app.db, &by, "list.renamed", &list, format!("“{}” is now “{name}”", list.name)).await?;
                return Ok(Redirect::to(&format!("/lists/{id}")).into_response());
            }
            Err(Error::Taken { .. }) => "another list has that name",
            Err(error) => return Err(error.into()),
        },
    };
    Ok(Faulty(page(&app, &by, list, Some(fault)).await?).into_response())
}

/// Puts a list away, or takes it out again.
pub(crate) async fn archive(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: _ }: Submitted<Write, Nothing>,
) -> Result<Redirect, PageError> {
    let list = found(&app, id).await?;
    let is_away = lists::archived(&app.db).await?.contains_key(&list.id);
    lists::archive(&app.db, list.id, (!is_away).then(|| app.now())).await?;
    let kind = if is_away { "list.unarchived" } else { "list.archived" };
    note(&app, &app.db, &by, kind, &list, list.name.clone()).await?;
    Ok(Redirect::to(&format!("/lists/{id}")))
}

pub(crate) async fn delete_page(
    by: Allowed<Write>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<Delete>, PageError> {
    let list = found(&app, id).await?;
    let campaigns = lists::campaigns(&app.db, list.id).await?;
    let figures = super::Tallies::of(&app, app.now()).await?.figures(&app.db, list).await?;
    Ok(Page(Delete { frame: Frame::of(&app, &by, Place::Lists).await?, figures, campaigns }))
}

pub(crate) async fn delete(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: _ }: Submitted<Write, Nothing>,
) -> Result<Redirect, PageError> {
    let list = found(&app, id).await?;
    let tx = app.db.begin().await?;
    if !lists::delete(&tx, list.id).await? {
        return Err(PageError::NotNow("a campaign is for this list, so it is kept. You can archive it".into()));
    }
    note(&app, &tx, &by, "list.deleted", &list, list.name.clone()).await?;
    tx.commit().await?;
    Ok(Redirect::to("/lists"))
}

/// Everybody who ever joined a list, as CSV, part by part.
pub(crate) async fn export(
    by: Allowed<TakeAway>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Response, PageError> {
    let list = found(&app, id).await?;
    note(&app, &app.db, &by, "list.exported", &list, list.name.clone()).await?;
    let export = Export::of(&app.db, list.id).await?;
    let parts = stream::try_unfold((export, app.db), |(mut export, db)| async move {
        let part = export.next(&db).await?;
        Ok::<_, rebound_contacts::Error>(part.map(|part| (part, (export, db))))
    });
    let name = format!("attachment; filename=\"list-{id}.csv\"");
    let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(parts)).into_response())
}

async fn note<P>(
    app: &App,
    db: &impl Connection,
    by: &Allowed<P>,
    kind: &str,
    list: &List,
    detail: String,
) -> Result<(), PageError> {
    let (actor, subject_id) = (by.actor(), Some(list.id.0));
    Ok(events::add(db, &Event { at: app.now(), kind, actor, subject: "list", subject_id, key: None, detail }).await?)
}

//! `/lists`: sets that people join.

mod manage;

pub(crate) use manage::{archive, create, delete, delete_page, export, rename};

use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, Needs, See};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::{Path, State};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::lists::{self, Size};
use rebound_db::{Pool, campaigns};
use rebound_domain::{CampaignId, List, ListId};
use std::collections::HashMap;

/// Growth is told of so many days.
const DAYS: i64 = 30;

#[derive(Template)]
#[template(path = "lists/index.html")]
pub(crate) struct Index {
    frame: Frame,
    rows: Vec<Figures>,
    archived: Vec<Figures>,
}

#[derive(Template)]
#[template(path = "lists/show.html")]
pub(crate) struct Show {
    frame: Frame,
    figures: Figures,
    campaigns: Vec<(CampaignId, String)>,
    fault: Option<&'static str>,
}

/// A list in numbers.
struct Figures {
    list: List,
    /// Who is on it: confirmed or asked to be.
    members: Count,
    pending: Count,
    /// Confirmed, and no suppression stands.
    mailable: Count,
    suppressed: Count,
    left: Count,
    came: Count,
    gone: Count,
    archived: Option<When>,
}

/// What the figures of all lists are made of.
struct Tallies {
    sizes: HashMap<ListId, Size>,
    suppressed: HashMap<ListId, i64>,
    archived: HashMap<ListId, DateTime<Utc>>,
    now: DateTime<Utc>,
}

impl Tallies {
    async fn of(app: &App, now: DateTime<Utc>) -> Result<Self, PageError> {
        let db = &app.db;
        let suppressed = app.suppressed.get(lists::suppressed(db, now)).await?;
        Ok(Self { sizes: lists::sizes(db).await?, suppressed, archived: lists::archived(db).await?, now })
    }

    async fn figures(&self, db: &Pool, list: List) -> Result<Figures, PageError> {
        let size = self.sizes.get(&list.id).copied().unwrap_or_default();
        let suppressed = self.suppressed.get(&list.id).copied().unwrap_or_default();
        let (came, gone) = lists::growth(db, list.id, self.now - TimeDelta::days(DAYS)).await?;
        Ok(Figures {
            members: Count(size.pending + size.confirmed),
            pending: Count(size.pending),
            mailable: Count((size.confirmed - suppressed).max(0)),
            suppressed: Count(suppressed),
            left: Count(size.left),
            came: Count(came),
            gone: Count(gone),
            archived: self.archived.get(&list.id).map(|at| When::new(*at, self.now)),
            list,
        })
    }
}

pub(crate) async fn index(by: Allowed<See>, State(app): State<App>) -> Result<Page<Index>, PageError> {
    let counted = Tallies::of(&app, app.now()).await?;
    let mut all = Vec::new();
    for list in lists::all(&app.db).await? {
        all.push(counted.figures(&app.db, list).await?);
    }
    let (archived, rows) = all.into_iter().partition(|one| one.archived.is_some());
    Ok(Page(Index { frame: Frame::of(&app, &by, Place::Lists).await?, rows, archived }))
}

pub(crate) async fn show(
    by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<Show>, PageError> {
    let list = found(&app, id).await?;
    Ok(Page(page(&app, &by, list, None).await?))
}

async fn page<P: Needs>(
    app: &App,
    by: &Allowed<P>,
    list: List,
    fault: Option<&'static str>,
) -> Result<Show, PageError> {
    let all = campaigns::all(&app.db).await?;
    let campaigns = all.into_iter().filter(|one| one.draft.list == list.id).map(|one| (one.id, one.draft.name));
    let campaigns = campaigns.collect();
    let figures = Tallies::of(app, app.now()).await?.figures(&app.db, list).await?;
    Ok(Show { frame: Frame::of(app, by, Place::Lists).await?, figures, campaigns, fault })
}

async fn found(app: &App, id: i64) -> Result<List, PageError> {
    lists::get(&app.db, ListId(id)).await?.ok_or(PageError::NotFound)
}

//! `/campaigns/{id}/copy`, `/delete` and `/lacking`: beginning from an old one, throwing a draft away, and who has no
//! value for a merge field.

use super::{found, list_name};
use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, See, Submitted, Write};
use crate::words::Count;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Redirect;
use rebound_db::{Audience, audience, campaigns};
use rebound_domain::{Campaign, CampaignId, CampaignState, Contact, ContactId, Draft};
use serde::Deserialize;

const ROWS: u32 = 100;

/// Names that are tried for a copy.
const NAMES: usize = 100;

#[derive(Deserialize)]
pub(crate) struct Nothing {}

pub(crate) async fn copy(
    State(app): State<App>,
    Path(id): Path<i64>,
    _by: Submitted<Write, Nothing>,
) -> Result<Redirect, PageError> {
    let draft = found(&app.db, id).await?.draft;
    for number in 1..=NAMES {
        let name = match number {
            1 => format!("Copy of {}", draft.name),
            _ => format!("Copy {number} of {}", draft.name),
        };
        match campaigns::create(&app.db, &Draft { name, ..draft.clone() }, app.now()).await {
            Ok(id) => return Ok(Redirect::to(&format!("/campaigns/{id}/edit"))),
            Err(rebound_db::Error::Taken { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(PageError::NotNow("there are too many copies of it; delete some first".into()))
}

#[derive(Template)]
#[template(path = "campaigns/delete.html")]
pub(crate) struct DeletePage {
    frame: Frame,
    campaign: Campaign,
}

pub(crate) async fn delete_page(
    by: Allowed<Write>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<DeletePage>, PageError> {
    let campaign = found(&app.db, id).await?;
    if campaign.state != CampaignState::Draft {
        return Err(no_draft());
    }
    let frame = Frame::of(&app, &by, Place::Campaigns).await?;
    Ok(Page(DeletePage { frame, campaign }))
}

pub(crate) async fn delete(
    State(app): State<App>,
    Path(id): Path<i64>,
    _by: Submitted<Write, Nothing>,
) -> Result<Redirect, PageError> {
    if campaigns::delete(&app.db, CampaignId(id)).await? {
        return Ok(Redirect::to("/campaigns"));
    }
    // Gone already: twice is once.
    match campaigns::get(&app.db, CampaignId(id)).await? {
        None => Ok(Redirect::to("/campaigns")),
        Some(_) => Err(no_draft()),
    }
}

fn no_draft() -> PageError {
    PageError::NotNow("only a draft is deleted; what was sent stays in the books".into())
}

#[derive(Template)]
#[template(path = "campaigns/lacking.html")]
pub(crate) struct Lacking {
    frame: Frame,
    campaign: Campaign,
    list: String,
    field: String,
    count: Count,
    rows: Vec<Contact>,
    more: Option<ContactId>,
}

#[derive(Deserialize)]
pub(crate) struct Of {
    #[serde(default)]
    field: String,
    #[serde(default)]
    after: i64,
}

pub(crate) async fn lacking(
    by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
    Query(of): Query<Of>,
) -> Result<Page<Lacking>, PageError> {
    let (campaign, now) = (found(&app.db, id).await?, app.now());
    let field = rebound_domain::field_name(&of.field);
    let to = Audience::of(&campaign);
    let mut rows = audience::lacking(&app.db, to, &field, ContactId(of.after), ROWS + 1, now).await?;
    let more = rows.len() > ROWS as usize;
    rows.truncate(ROWS as usize);
    let counts = audience::counts(&app.db, to, std::slice::from_ref(&field), now).await?;
    let page = Lacking {
        frame: Frame::of(&app, &by, Place::Campaigns).await?,
        list: list_name(&app.db, &campaign).await?,
        count: Count(counts.lacking.first().copied().unwrap_or_default()),
        more: rows.last().filter(|_| more).map(|last| last.id),
        campaign,
        field,
        rows,
    };
    Ok(Page(page))
}

//! `/campaigns/{id}/preview`: what one person will read, in a frame that may do nothing.

use super::{found, list_name};
use crate::App;
use crate::error::PageError;
use crate::session::{Allowed, See};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, Utc};
use rebound_db::{Audience, Pool, audience, contacts};
use rebound_domain::{Campaign, Contact, ContactId, Fields};
use rebound_send::Template as Message;
use serde::Deserialize;

/// How the preview is shown.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct Shown {
    #[serde(rename = "as")]
    pub(super) whom: Option<i64>,
    #[serde(default)]
    pub(super) part: Part,
    #[serde(default)]
    pub(super) images: bool,
    /// Whether what DNS and the way back say is waited for.
    #[serde(default)]
    pub(super) look: bool,
}

/// Which part of a message.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    #[default]
    Html,
    Text,
}

/// Whose message is shown: the one asked for, the first who gets it, or somebody made up.
pub(super) async fn reader(
    db: &Pool,
    campaign: &Campaign,
    whom: Option<i64>,
    now: DateTime<Utc>,
) -> Result<Contact, PageError> {
    if let Some(id) = whom
        && let Some(contact) = contacts::get(db, ContactId(id)).await?
    {
        return Ok(contact);
    }
    let first = audience::people(db, Audience::of(campaign), ContactId(0), 1, now).await?;
    let made_up = || {
        let address = "someone@example.com".parse().map_err(|_| PageError::NotFound)?;
        Ok(Contact { id: ContactId(0), address, fields: Fields::new() })
    };
    first.into_iter().next().map_or_else(made_up, Ok)
}

/// What a person wrote, shown in a frame that may do nothing: no script, no form, no way out, and no picture from
/// elsewhere until it is asked for.
const SEALED: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'self'";
const SEALED_WITH_IMAGES: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data: https: http:; sandbox; \
                                  base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

pub(crate) async fn preview(
    _by: Allowed<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
    Query(shown): Query<Shown>,
) -> Result<Response, PageError> {
    let campaign = found(&app.db, id).await?;
    let list = list_name(&app.db, &campaign).await?;
    let whom = reader(&app.db, &campaign, shown.whom, app.now()).await?;
    let rendered = Message::compile(&campaign.draft, &list)
        .and_then(|message| message.render(whom.address.as_str(), &whom.fields, "#"));
    let mut response = match (rendered, shown.part) {
        (Ok(rendered), Part::Html) if !rendered.html.is_empty() => Html(rendered.html).into_response(),
        (Ok(rendered), _) => rendered.text.into_response(),
        (Err(error), _) => error.to_string().into_response(),
    };
    let policy = if shown.images { SEALED_WITH_IMAGES } else { SEALED };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

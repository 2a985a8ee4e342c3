//! `/campaigns/{id}` while it is a draft: who gets it, what it says, what must be mended; then the launch.

use super::{found, list_name};
use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Allowed, Launch, See};
use crate::words::Count;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use rebound_db::{Pool, contacts, subscriptions};
use rebound_domain::{Campaign, CampaignState, Contact, ContactId, Fields};
use rebound_send::{Finding, Template as Message};
use serde::Deserialize;

/// People that the preview can be shown as.
const SHOWN_AS: u32 = 20;

#[derive(Template)]
#[template(path = "campaigns/draft.html")]
struct DraftPage {
    frame: Frame,
    campaign: Campaign,
    list: String,
    people: Count,
    stops: Vec<Finding>,
    hints: Vec<Finding>,
    shown_as: Vec<Contact>,
    chosen: i64,
    part: Part,
    images: bool,
    subject: String,
}

#[derive(Template)]
#[template(path = "campaigns/launch.html")]
struct LaunchPage {
    frame: Frame,
    campaign: Campaign,
    list: String,
    people: Count,
    stops: Vec<Finding>,
}

/// How the preview is shown.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct Shown {
    #[serde(rename = "as")]
    whom: Option<i64>,
    #[serde(default)]
    part: Part,
    #[serde(default)]
    images: bool,
}

/// Which part of a message.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    #[default]
    Html,
    Text,
}

pub(super) async fn show(
    app: &App,
    by: &Allowed<See>,
    campaign: Campaign,
    shown: &Shown,
) -> Result<Response, PageError> {
    let now = app.now();
    let frame = Frame::of(app, by, Place::Campaigns).await?;
    let list = list_name(&app.db, &campaign).await?;
    let findings = rebound_send::check(&app.db, &campaign.draft, &app.sender, now).await?;
    let (stops, hints) = findings.into_iter().partition(|finding| finding.stops);
    let shown_as = subscriptions::audience(&app.db, campaign.draft.list, ContactId(0), SHOWN_AS, now).await?;
    let whom = reader(&app.db, &shown_as, shown.whom).await?;
    let subject = Message::compile(&campaign.draft, &list)
        .and_then(|message| message.render(whom.address.as_str(), &whom.fields, "#"))
        .map_or_else(|error| error.to_string(), |rendered| rendered.subject);
    let people = Count(subscriptions::audience_count(&app.db, campaign.draft.list, now).await?);
    let chosen = whom.id.0;
    let (part, images) = (shown.part, shown.images);
    let page = DraftPage { frame, campaign, list, people, stops, hints, shown_as, chosen, part, images, subject };
    Ok(Page(page).into_response())
}

/// Whose message is shown: the one asked for, the first who gets it, or somebody made up.
async fn reader(db: &Pool, audience: &[Contact], whom: Option<i64>) -> Result<Contact, PageError> {
    if let Some(id) = whom
        && let Some(contact) = contacts::get(db, ContactId(id)).await?
    {
        return Ok(contact);
    }
    let made_up = || {
        let address = "someone@example.com".parse().map_err(|_| PageError::NotFound)?;
        Ok(Contact { id: ContactId(0), address, fields: Fields::new() })
    };
    audience.first().cloned().map_or_else(made_up, Ok)
}

pub(crate) async fn launch_page(
    by: Allowed<Launch>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Response, PageError> {
    let campaign = found(&app.db, id).await?;
    if campaign.state != CampaignState::Draft {
        return Err(PageError::NotNow(format!("a campaign that is {} cannot be launched", campaign.state.as_str())));
    }
    let now = app.now();
    let findings = rebound_send::check(&app.db, &campaign.draft, &app.sender, now).await?;
    let page = LaunchPage {
        frame: Frame::of(&app, &by, Place::Campaigns).await?,
        list: list_name(&app.db, &campaign).await?,
        people: Count(subscriptions::audience_count(&app.db, campaign.draft.list, now).await?),
        stops: findings.into_iter().filter(|finding| finding.stops).collect(),
        campaign,
    };
    Ok(Page(page).into_response())
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
    let audience = subscriptions::audience(&app.db, campaign.draft.list, ContactId(0), 1, app.now()).await?;
    let whom = reader(&app.db, &audience, shown.whom).await?;
    let rendered = Message::compile(&campaign.draft, &list)
        .and_then(|message| message.render(whom.address.as_str(), &whom.fields, "#"));
    let mut response = match (rendered, shown.part) {
        (Ok(rendered), Part::Html) => Html(rendered.html).into_response(),
        (Ok(rendered), Part::Text) => rendered.text.into_response(),
        (Err(error), _) => error.to_string().into_response(),
    };
    let policy = if shown.images { SEALED_WITH_IMAGES } else { SEALED };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

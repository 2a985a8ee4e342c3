//! `/api/v1`: what programs ask, and hear as JSON.

use crate::App;
use crate::error::PageError;
use crate::readings::NotRead;
use crate::session::{Allowed, Needs, See};
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rebound_classify::{Answer, ReplyAnswer};
use rebound_db::campaigns;
use rebound_domain::CampaignId;
use rebound_send::{Depth, PreflightAnswer, Progress};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::timeout;

/// The largest message that is read, in bytes: the same as by SMTP.
const LARGEST: usize = 25 << 20;
/// The longest reply, in bytes.
const LONGEST_REPLY: usize = 64 << 10;
/// How long a message may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(60);

/// Why there is no answer: `{"error": …, "message": …}`.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    name: &'static str,
    message: String,
    /// Seconds after which to ask again.
    retry_after: Option<&'static str>,
}

impl ApiError {
    fn new(status: StatusCode, name: &'static str, message: impl Into<String>) -> Self {
        Self { status, name, message: message.into(), retry_after: None }
    }
}

impl From<PageError> for ApiError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::SignIn { .. } => {
                Self::new(StatusCode::UNAUTHORIZED, "not_signed_in", "Sign in, and send the session’s cookie.")
            }
            PageError::Forbidden => {
                Self::new(StatusCode::FORBIDDEN, "not_allowed", "Your role does not allow it. Ask your admin.")
            }
            PageError::Forged => {
                Self::new(StatusCode::FORBIDDEN, "foreign_page", "Another site’s page sent this. It was not read.")
            }
            PageError::NotFound => Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing with that number."),
            PageError::TooLarge => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "A message has 25 MiB at most, a reply 64 KiB.")
            }
            // Logs what is ours to repair, and knows what says that the database is away.
            other => match other.into_response().status() {
                StatusCode::SERVICE_UNAVAILABLE => Self {
                    retry_after: Some("60"),
                    ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The database does not answer.")
                },
                status => Self::new(status, "failed", "That did not work. Try again."),
            },
        }
    }
}

impl From<NotRead> for ApiError {
    fn from(error: NotRead) -> Self {
        let message = error.to_string();
        match error {
            NotRead::Busy => {
                Self { retry_after: Some("5"), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message) }
            }
            NotRead::TooLong => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too_long", message),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.name, "message": self.message }).to_string();
        let mut response = (self.status, [(header::CONTENT_TYPE, JSON)], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(seconds));
        }
        response
    }
}

/// A program that is signed in as someone who may do `P`. It fills no form: that no other site's page asks in its name
/// is seen to by the guard before.
pub(crate) struct Program<P>(#[allow(dead_code, reason = "that there is one is what is asked")] Allowed<P>);

impl<P: Needs> FromRequestParts<App> for Program<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        Ok(Self(Allowed::from_request_parts(parts, app).await?))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    reply: String,
}

/// `POST /api/v1/classify`: a raw message, or `{"reply": "550 …"}`; what it means. Nothing is kept.
pub(crate) async fn classify(
    _by: Program<See>,
    State(app): State<App>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    match &*kind(&parts.headers) {
        "message/rfc822" | "application/octet-stream" => {
            let turn = app.readings.turn(&app.db).await??;
            let raw = whole(&parts.headers, body, LARGEST).await?;
            let report = turn.message(raw).await?;
            json(&Answer::new("-", &report))
        }
        "application/json" => {
            let turn = app.readings.turn(&app.db).await??;
            let body = whole(&parts.headers, body, LONGEST_REPLY).await?;
            let asked: Asked = serde_json::from_slice(&body).map_err(|error| {
                let message = format!("The JSON is {{\"reply\": \"550 …\"}}: {error}.");
                ApiError::new(StatusCode::BAD_REQUEST, "unreadable", message)
            })?;
            let verdict = turn.reply(asked.reply.clone()).await?;
            json(&ReplyAnswer::new(&asked.reply, verdict.as_ref()))
        }
        _ => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unknown_kind",
            "Send a message as message/rfc822 or application/octet-stream, or {\"reply\": \"550 …\"} as application/json.",
        )),
    }
}

/// `GET /api/v1/campaigns/{id}/preflight`: what is known of a campaign before it goes. It takes some seconds.
pub(crate) async fn preflight(
    _by: Program<See>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Response, ApiError> {
    let campaign = campaigns::get(&app.db, CampaignId(id)).await.map_err(PageError::from)?;
    let campaign = campaign.ok_or(PageError::NotFound)?;
    let progress = Progress::default();
    let inside = rebound_send::preflight(&app.db, &campaign, &app.sender, Depth::Everybody(&progress), app.now());
    let outside = app.preflights.get(&app, &campaign);
    let (inside, outside) = tokio::try_join!(inside, outside).map_err(PageError::from)?;
    json(&PreflightAnswer::new(&campaign, &inside.with(outside)))
}

const JSON: &str = "application/json";

/// The content type without its parameters, in lower case.
fn kind(headers: &HeaderMap) -> String {
    let whole = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    whole.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// All of a body; what says beforehand that it is too large is not waited for.
async fn whole(headers: &HeaderMap, body: Body, limit: usize) -> Result<axum::body::Bytes, ApiError> {
    let told = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|told| told > limit) {
        return Err(PageError::TooLarge.into());
    }
    match timeout(ARRIVAL, axum::body::to_bytes(body, limit)).await {
        Ok(body) => body.map_err(|_| PageError::TooLarge.into()),
        Err(_) => Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "It did not arrive within a minute.")),
    }
}

fn json(answer: &impl Serialize) -> Result<Response, ApiError> {
    let body = serde_json::to_string(answer).map_err(PageError::from)?;
    Ok(([(header::CONTENT_TYPE, JSON)], body).into_response())
}

//! `/events/…`: programs tell what became of mail, signed as Standard Webhooks say.

use super::{Desk, Peer, Trouble};
use crate::events;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use rebound_db::inbox::{self, Arrived};
use rebound_domain::{EventDoor, Signature};

/// The longest request, in bytes. It is read only where the address is right.
const LONGEST: usize = 5 << 20;

/// Answers 200 when the events are on the disk. What is wrong is said in words for whoever set the sender up, and for nobody
/// who has not the secret.
pub(super) async fn take(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    Peer(peer): Peer,
    request: Request,
) -> Response {
    let Some(door) = EventDoor::named(&name, &desk.pages.keys) else {
        return match desk.wrong(peer, Trouble::CutLink) {
            Trouble::TooMany => StatusCode::TOO_MANY_REQUESTS.into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        };
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let signature = signature(&parts.headers);
    // A signature grows old on the wall clock, whatever the product's time is.
    if !door.lets_in(&signature, &body, Utc::now()) {
        let words = "the signature is wrong or older than 5 minutes: sign “id.timestamp.body” with the secret";
        return (StatusCode::FORBIDDEN, words).into_response();
    }
    if let Err(words) = events::check(&body) {
        return (StatusCode::BAD_REQUEST, words).into_response();
    }
    let arrived = Arrived {
        received: desk.now(),
        source: events::SOURCE.to_owned(),
        mail_from: String::new(),
        // What is sent again has the same; the same words may be told of another try.
        recipient: format!("webhook-id {}", signature.id),
        raw: body.into(),
    };
    match inbox::keep(&desk.pages.db, &arrived).await {
        Ok(_) => StatusCode::OK.into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "events could not be kept; they come again");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

fn signature(headers: &HeaderMap) -> Signature<'_> {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // One of both spellings, and not a mix.
    let prefix = if headers.contains_key("svix-id") { "svix" } else { "webhook" };
    let [id, timestamp, signatures] = ["id", "timestamp", "signature"].map(|part| said(&format!("{prefix}-{part}")));
    Signature { id, timestamp, signatures }
}

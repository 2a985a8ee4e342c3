//! `/u/…`: leaving a list, and coming back, for people who have nothing but a link from a letter.
//!
//! No cookies: the signed link says who it is. Opening it changes nothing, since programs open links too; leaving is
//! a POST, by the page's button or by the mail program itself (one-click, RFC 8058).

use crate::guesses::Guesses;
use askama::Template;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Extension, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{RequestPartsExt, Router};
use chrono::{DateTime, Utc};
use rebound_contacts::{resubscribe, unsubscribe};
use rebound_db::{Pool, campaigns, contacts, deliveries, suppressions};
use rebound_domain::{Clock, Contact, Draft, Keys, Scope, SuppressionReason, UnsubscribeLink};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

/// What the public pages need.
#[derive(Clone, Debug)]
pub struct PublicPages {
    /// Who is on which list.
    pub db: Pool,
    /// What unsubscribe links are signed with.
    pub keys: Keys,
    /// The product's time.
    pub clock: Clock,
    /// Where the stylesheets are, in their order.
    pub stylesheets: Vec<String>,
}

/// Where a request comes from, if it is not the other end of the connection: set as an extension of the request by
/// whoever knows which proxies to believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// The pages that anybody may open.
pub fn public_routes(pages: PublicPages) -> Router {
    let desk = Desk { pages: Arc::new(pages), guesses: Arc::default() };
    Router::new()
        .route("/u/{token}", get(ask).post(leave))
        .route("/u/{token}/undo", post(come_back))
        .layer(DefaultBodyLimit::max(16 << 10))
        .layer(from_fn(protect))
        .with_state(desk)
}

#[derive(Clone, Debug)]
struct Desk {
    pages: Arc<PublicPages>,
    guesses: Arc<Guesses>,
}

/// The letter that the link came from.
#[derive(Debug)]
struct Letter {
    token: String,
    from: String,
    postal_address: String,
    address: String,
    contact: Contact,
    scope: Scope,
}

/// What the page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Ask,
    Left,
    Back,
    Unknown,
    TooMany,
    Broken,
}

impl Step {
    fn title(&self) -> &'static str {
        match self {
            Self::Ask => "Unsubscribe?",
            Self::Left => "You are unsubscribed",
            Self::Back => "You stay subscribed",
            Self::Unknown => "This link is not whole",
            Self::TooMany => "Please wait a minute",
            Self::Broken => "This did not work",
        }
    }

    fn is_done(self) -> bool {
        matches!(self, Self::Left | Self::Back)
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Ask | Self::Left | Self::Back => StatusCode::OK,
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Broken => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

#[derive(Template)]
#[template(path = "public/unsubscribe.html")]
struct Page<'a> {
    step: Step,
    letter: Option<Letter>,
    stylesheets: &'a [String],
}

/// What a link leads to.
enum Link {
    /// A letter of ours.
    To(Box<Letter>),
    /// A letter to somebody whom we know no more: there is nobody left to write to.
    Nowhere,
    /// We did not sign it.
    Wrong,
}

async fn ask(State(desk): State<Desk>, Path(token): Path<String>, Peer(peer): Peer) -> Response {
    desk.answer(&token, peer, async |letter, db, now| {
        let left = suppressions::of(db, &letter.contact.address.key()).await?.iter().any(|one| {
            let covers = one.scope == letter.scope || one.scope == Scope::Everywhere;
            one.reason == SuppressionReason::Unsubscribe && covers && one.stands(now)
        });
        Ok(if left { Step::Left } else { Step::Ask })
    })
    .await
}

async fn leave(State(desk): State<Desk>, Path(token): Path<String>, Peer(peer): Peer, body: Bytes) -> Response {
    if !is_one_click(&body) {
        let page = desk.answer(&token, peer, async |_, _, _| Ok(Step::Ask)).await;
        return (StatusCode::BAD_REQUEST, page).into_response();
    }
    desk.answer(&token, peer, async |letter, db, now| {
        let transaction = db.begin().await?;
        unsubscribe(&transaction, letter.contact.id, letter.scope, "unsubscribe link", now).await?;
        transaction.commit().await?;
        Ok(Step::Left)
    })
    .await
}

async fn come_back(State(desk): State<Desk>, Path(token): Path<String>, Peer(peer): Peer) -> Response {
    desk.answer(&token, peer, async |letter, db, now| {
        let transaction = db.begin().await?;
        resubscribe(&transaction, letter.contact.id, letter.scope, "undo on the unsubscribe page", now).await?;
        transaction.commit().await?;
        Ok(Step::Back)
    })
    .await
}

/// RFC 8058 §3.2 allows both forms of a form; the page's own button says the same.
fn is_one_click(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let multipart = || text.contains("name=\"List-Unsubscribe\"") && text.contains("One-Click");
    text.split('&').any(|field| field.trim() == "List-Unsubscribe=One-Click") || multipart()
}

impl Desk {
    /// The page after `act` was done for the letter that `token` names.
    async fn answer(
        &self,
        token: &str,
        peer: IpAddr,
        act: impl AsyncFnOnce(&Letter, &Pool, DateTime<Utc>) -> Result<Step, rebound_contacts::Error>,
    ) -> Response {
        let now = self.pages.clock.at(Utc::now());
        let done = match self.letter(token).await {
            Ok(Link::To(letter)) => act(&letter, &self.pages.db, now).await.map(|step| (step, Some(*letter))),
            Ok(Link::Nowhere) => Ok((Step::Left, None)),
            Ok(Link::Wrong) if self.guesses.wrong(peer, Instant::now()) => Ok((Step::TooMany, None)),
            Ok(Link::Wrong) => Ok((Step::Unknown, None)),
            Err(error) => Err(error.into()),
        };
        let (step, letter) = done.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "an unsubscribe link could not be served");
            (Step::Broken, None)
        });
        match (Page { step, letter, stylesheets: &self.pages.stylesheets }).render() {
            Ok(html) => (step.status(), Html(html)).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }

    async fn letter(&self, token: &str) -> Result<Link, rebound_db::Error> {
        let Some(UnsubscribeLink(id)) = UnsubscribeLink::verify(token, &self.pages.keys) else {
            return Ok(Link::Wrong);
        };
        let db = &self.pages.db;
        let Some(delivery) = deliveries::get(db, &[id]).await?.into_iter().next() else { return Ok(Link::Nowhere) };
        let contact = contacts::get(db, delivery.contact).await?;
        let campaign = campaigns::get(db, id.campaign()).await?;
        let (Some(contact), Some(campaign)) = (contact, campaign) else { return Ok(Link::Nowhere) };
        Ok(Link::To(Box::new(Letter::new(token, contact, campaign.draft))))
    }
}

impl Letter {
    fn new(token: &str, contact: Contact, draft: Draft) -> Self {
        let Draft { from_name, from, postal_address, list, .. } = draft;
        let from = if from_name.trim().is_empty() { from.to_string() } else { from_name };
        let address = contact.address.to_string();
        Self { token: token.to_owned(), from, postal_address, address, contact, scope: Scope::List(list) }
    }
}

/// Where a request comes from.
struct Peer(IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        if let Ok(Extension(ClientAddress(address))) = parts.extract().await {
            return Ok(Self(address));
        }
        let peer = parts.extract::<Extension<ConnectInfo<SocketAddr>>>().await;
        // Who cannot be told apart shares one count.
        Ok(Self(peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |Extension(ConnectInfo(peer))| peer.ip())))
    }
}

/// What browsers are told about every answer.
async fn protect(request: Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                          frame-ancestors 'none'";
    let told: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ];
    let mut response = next.run(request).await;
    for (name, value) in told {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wish_to_leave_is_one() {
        for (body, expected) in [
            (&b"List-Unsubscribe=One-Click"[..], true),
            (b"List-Unsubscribe=One-Click\r\n", true),
            (b"a=b&List-Unsubscribe=One-Click", true),
            (b"--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--", true),
            (b"", false),
            (b"List-Unsubscribe=", false),
            (b"q=List-Unsubscribe", false),
            (b"\xff\xfe", false),
        ] {
            assert_eq!(is_one_click(body), expected, "{body:?}");
        }
    }
}

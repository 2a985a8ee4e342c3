//! `/u/…`: leaving a list, and choosing what one gets, for people who have nothing but a link from a letter; and `/c/…`, by
//! which the letter's own links lead; and `/events/…`, by which programs tell what became of mail.
//!
//! No cookies: the signed link says who it is. Opening it changes nothing for anybody, since programs open links too; what is
//! to change is a POST, by the page's button or by the mail program itself (one-click, RFC 8058).
//!
//! [`public_addresses`] is the table of all of them. A test asks each one without our signature: it must tell nothing
//! about anybody, and write nothing.

mod click;
mod door;
mod preferences;
mod unsubscribe;

use crate::guesses::Guesses;
use askama::Template;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Extension, FromRequestParts, Request};
use axum::handler::Handler;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{self, MethodRouter};
use axum::{RequestPartsExt, Router};
use chrono::{DateTime, Utc};
use rebound_contacts::record_arrivals;
use rebound_db::{Pool, campaigns, contacts, deliveries, lists, policies};
use rebound_domain::{Clock, Contact, DeliveryId, Draft, Keys, List, Scope, UnsubscribeLink};
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
    /// Where a counted link leads.
    pub destination: Destination,
}

/// Where a link leads by what its letter's author wrote there, for somebody of whom nothing may be known any more; `None`
/// where that is nowhere. Whoever makes letters knows: draft, name of the list, link, person.
pub type Destination = fn(&Draft, &str, &str, Option<&Contact>) -> Option<String>;

/// Where a request comes from, if it is not the other end of the connection: set as an extension of the request by
/// whoever knows which proxies to believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// One public address, how it is asked, and what proves that one may.
pub struct PublicAddress {
    /// How.
    pub method: Method,
    /// Where, with `{token}` for what is signed.
    pub path: &'static str,
    /// What it takes instead of a sign-in.
    pub takes: Signed,
    handler: MethodRouter<Desk>,
}

/// A name in an address that we signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signed {
    /// An [`UnsubscribeLink`]: whoever has it got a letter of ours, or was handed one. It does not expire.
    UnsubscribeLink,
    /// A [`CountedLink`](rebound_domain::CountedLink): one of the links of a letter. It does not expire.
    CountedLink,
    /// The name of an [`EventDoor`](rebound_domain::EventDoor), and a signature over what is told.
    EventDoor,
}

/// All of them. The handlers get what they know of anybody from `Desk::answer` and `Desk::destination` alone, which ask for
/// the signature.
#[must_use]
pub fn public_addresses() -> Vec<PublicAddress> {
    use Signed::{CountedLink, EventDoor, UnsubscribeLink};
    vec![
        get("/c/{token}", CountedLink, click::follow),
        get("/u/{token}", UnsubscribeLink, unsubscribe::ask),
        post("/u/{token}", UnsubscribeLink, unsubscribe::leave),
        post("/u/{token}/undo", UnsubscribeLink, unsubscribe::come_back),
        get("/u/{token}/preferences", UnsubscribeLink, preferences::ask),
        post("/u/{token}/preferences", UnsubscribeLink, preferences::save),
        post("/events/{token}", EventDoor, door::take),
    ]
}

fn get<T: 'static, H: Handler<T, Desk>>(path: &'static str, takes: Signed, handler: H) -> PublicAddress {
    PublicAddress { method: Method::GET, path, takes, handler: routing::get(handler) }
}

fn post<T: 'static, H: Handler<T, Desk>>(path: &'static str, takes: Signed, handler: H) -> PublicAddress {
    PublicAddress { method: Method::POST, path, takes, handler: routing::post(handler) }
}

/// The pages that anybody may open.
pub fn public_routes(pages: PublicPages) -> Router {
    let desk = Desk { pages: Arc::new(pages), guesses: Arc::default() };
    let table = public_addresses();
    let table = table.into_iter().fold(Router::new(), |router, address| router.route(address.path, address.handler));
    table.layer(DefaultBodyLimit::max(16 << 10)).layer(from_fn(protect)).with_state(desk)
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
    delivery: DeliveryId,
    from: String,
    postal_address: String,
    address: String,
    contact: Contact,
    list: List,
}

impl Letter {
    fn new(token: &str, delivery: DeliveryId, contact: Contact, list: List, draft: Draft) -> Self {
        let Draft { from_name, from, postal_address, .. } = draft;
        let from = if from_name.trim().is_empty() { from.to_string() } else { from_name };
        let address = contact.address.to_string();
        Self { token: token.to_owned(), delivery, from, postal_address, address, contact, list }
    }

    /// Whoever presses a button that it leads to has it, also where we were in doubt. What they wanted is done already.
    async fn arrived(&self, db: &Pool, now: DateTime<Utc>) {
        let settling = async {
            let tx = db.begin().await?;
            let policy = policies::in_force(&tx).await?;
            record_arrivals(&tx, &[self.delivery], "its link was used", &policy, now).await?;
            tx.commit().await
        };
        if let Err(error) = settling.await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a letter whose link was used may be in doubt still");
        }
    }

    fn scope(&self) -> Scope {
        Scope::List(self.list.id)
    }
}

/// Why a link leads to no letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// It was to somebody whom we know no more: there is nobody left to write to.
    Nobody,
    /// We did not sign it.
    Wrong,
    /// We did not sign it, and it was to lead elsewhere.
    CutLink,
    /// What it was to lead to is not known any more, or is no page.
    LeadsNowhere,
    TooMany,
    Broken,
}

impl Trouble {
    fn title(&self) -> &'static str {
        match self {
            Self::Nobody => "You are unsubscribed",
            Self::Wrong | Self::CutLink => "This link is not whole",
            Self::LeadsNowhere => "This link leads nowhere",
            Self::TooMany => "Please wait a minute",
            Self::Broken => "This did not work",
        }
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Nobody => "You get no more letters from us.",
            Self::Wrong => {
                "Some programs cut long links in two. Please copy the whole link from the letter, or answer the \
                 letter and ask to be taken off the list."
            }
            Self::CutLink => "Some programs cut long links in two. Please copy the whole link from the letter.",
            Self::LeadsNowhere => "The page is not there any more. Please answer the letter to ask for it.",
            Self::TooMany => {
                "Too many wrong links came from where you are. Please wait a minute, then open the link from the \
                 letter again."
            }
            Self::Broken => "Nothing was changed. Please try again in a minute.",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Nobody => StatusCode::OK,
            Self::Wrong | Self::CutLink | Self::LeadsNowhere => StatusCode::NOT_FOUND,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Broken => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<rebound_contacts::Error> for Trouble {
    fn from(error: rebound_contacts::Error) -> Self {
        if matches!(error, rebound_contacts::Error::NoContact) {
            return Self::Nobody;
        }
        tracing::error!(error = &error as &dyn std::error::Error, "a link from a letter could not be served");
        Self::Broken
    }
}

impl From<rebound_db::Error> for Trouble {
    fn from(error: rebound_db::Error) -> Self {
        rebound_contacts::Error::from(error).into()
    }
}

#[derive(Template)]
#[template(path = "public/trouble.html")]
struct TroublePage<'a> {
    trouble: Trouble,
    stylesheets: &'a [String],
}

impl Desk {
    /// The page that `act` makes for the letter that `token` names.
    async fn answer<P: Template>(
        &self,
        token: &str,
        peer: IpAddr,
        act: impl AsyncFnOnce(Letter, &Pool, DateTime<Utc>) -> Result<P, rebound_contacts::Error>,
    ) -> Response {
        let page = match self.letter(token, peer).await {
            Ok(letter) => act(letter, &self.pages.db, self.now()).await.map_err(Trouble::from),
            Err(trouble) => Err(trouble),
        };
        match page {
            Ok(page) => show(StatusCode::OK, &page),
            Err(trouble) => self.sorry(trouble),
        }
    }

    fn sorry(&self, trouble: Trouble) -> Response {
        show(trouble.status(), &TroublePage { trouble, stylesheets: self.stylesheets() })
    }

    /// Counts a link that we did not sign.
    fn wrong(&self, peer: IpAddr, trouble: Trouble) -> Trouble {
        if self.guesses.wrong(peer, Instant::now()) { Trouble::TooMany } else { trouble }
    }

    fn now(&self) -> DateTime<Utc> {
        self.pages.clock.at(Utc::now())
    }

    async fn letter(&self, token: &str, peer: IpAddr) -> Result<Letter, Trouble> {
        let Some(UnsubscribeLink(id)) = UnsubscribeLink::verify(token, &self.pages.keys) else {
            return Err(self.wrong(peer, Trouble::Wrong));
        };
        let db = &self.pages.db;
        let delivery = deliveries::get(db, &[id]).await?.into_iter().next().ok_or(Trouble::Nobody)?;
        let contact = contacts::get(db, delivery.contact).await?.ok_or(Trouble::Nobody)?;
        let draft = campaigns::get(db, id.campaign()).await?.ok_or(Trouble::Nobody)?.draft;
        let list = lists::get(db, draft.list).await?.ok_or(Trouble::Nobody)?;
        Ok(Letter::new(token, id, contact, list, draft))
    }

    /// Whether we signed the token for no letter at all.
    fn is_rehearsal(&self, token: &str) -> bool {
        UnsubscribeLink::verify(token, &self.pages.keys) == Some(UnsubscribeLink(DeliveryId(0)))
    }

    fn stylesheets(&self) -> &[String] {
        &self.pages.stylesheets
    }
}

fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
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
    const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; \
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

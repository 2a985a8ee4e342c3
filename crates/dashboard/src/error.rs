//! What a page says when it cannot be shown. The cause is logged with an id; the reader sees the id only.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use rebound_db::Outage;

/// Why there is no page.
#[derive(Debug)]
pub(crate) enum PageError {
    /// Nobody is signed in; `back` is where to go afterwards.
    SignIn {
        /// The page that was asked for.
        back: Option<String>,
    },
    /// Their password is asked for again; `back` is where to go afterwards.
    Confirm {
        /// The page that was asked for.
        back: String,
    },
    /// They may not.
    Forbidden,
    /// The form was not ours, or its session is over.
    Forged,
    /// The form has not the fields it should have.
    Unreadable,
    /// A field holds a NUL, which no text in a database may.
    Nul,
    /// More than we take.
    TooLarge,
    /// There is no such thing.
    NotFound,
    /// Not in this state, in words for the reader.
    NotNow(String),
    /// Ours to repair.
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

macro_rules! broken {
    ($($error:ty)*) => {$(
        impl From<$error> for PageError {
            fn from(error: $error) -> Self {
                Self::Broken(Box::new(error))
            }
        }
    )*};
}
broken! { rebound_db::Error std::io::Error askama::Error serde_json::Error }

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    title: &'static str,
    text: String,
    id: Option<String>,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Self::SignIn { back } => return to_sign_in(back.as_deref()),
            Self::Confirm { back } => return to(&format!("/confirm?back={}", within_query(&back))),
            Self::Broken(error) => match outage(&*error) {
                Some(outage) => return away(outage, &*error),
                None => return broken(&*error),
            },
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "You may not do that",
                "Your role does not allow it. Nothing was changed. Ask your admin.".to_owned(),
            ),
            Self::Forged => (
                StatusCode::FORBIDDEN,
                "This form is too old",
                "Nothing was changed. Go back, reload the page and send it again.".to_owned(),
            ),
            Self::Unreadable => (
                StatusCode::BAD_REQUEST,
                "The form could not be read",
                "Nothing was changed. Go back, reload the page and send it again.".to_owned(),
            ),
            Self::Nul => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "A character cannot be kept",
                "What was written holds a NUL, which no text may hold. Nothing was changed. Go back and take it out."
                    .to_owned(),
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "That is too large",
                "Nothing was changed. Send it in smaller parts.".to_owned(),
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "There is nothing here",
                "The address is wrong, or what stood here is gone.".to_owned(),
            ),
            Self::NotNow(words) => (StatusCode::CONFLICT, "Not now", format!("Nothing was changed: {words}.")),
        };
        shown(status, ErrorPage { title, text, id: None })
    }
}

fn to_sign_in(back: Option<&str>) -> Response {
    let place = match back {
        Some(path) if path != "/" => format!("/sign-in?back={path}"),
        _ => "/sign-in".to_owned(),
    };
    to(&place)
}

/// A place of ours as a value of a query; its own query must not end there.
fn within_query(place: &str) -> String {
    place.replace('%', "%25").replace('&', "%26").replace('+', "%2B").replace('#', "%23")
}

fn to(place: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

/// What keeps the database from answering, if that is the cause.
fn outage(error: &(dyn std::error::Error + 'static)) -> Option<Outage> {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.filter_map(|cause| cause.downcast_ref::<rebound_db::Error>()).find_map(rebound_db::Error::outage)
}

fn away(outage: Outage, error: &(dyn std::error::Error + 'static)) -> Response {
    tracing::warn!(error, cause = error.source(), "a page waits for the database");
    let (title, text) = match outage {
        Outage::Away => (
            "The database does not answer",
            "The database does not answer. Nothing was changed. What is being sent waits, and goes on by itself when \
             the database is back. Reload this page in a minute.",
        ),
        Outage::Full => (
            "The disk is full",
            "A disk is full: that of the database, or of temporary files. Nothing was changed. What cannot be written \
             waits, and goes on by itself when there is room. Ask your admin to make room.",
        ),
    };
    let page = ErrorPage { title, text: text.to_owned(), id: None };
    ([(header::RETRY_AFTER, "60")], shown(StatusCode::SERVICE_UNAVAILABLE, page)).into_response()
}

/// Says once, in the log, what went wrong; the page names only the id.
pub(crate) fn broken(error: &(dyn std::error::Error + 'static)) -> Response {
    let id = data_encoding::BASE32_NOPAD.encode(&rand::random::<[u8; 5]>());
    tracing::error!(error.id = %id, error, "a page could not be shown");
    let text = "The page could not be made. Nothing was changed. Try again.".to_owned();
    shown(StatusCode::INTERNAL_SERVER_ERROR, ErrorPage { title: "That did not work", text, id: Some(id) })
}

fn shown(status: StatusCode, page: ErrorPage) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => (status, page.text).into_response(),
    }
}

//! What people see: the pages for marketers, admins and auditors.
//!
//! ```text
//! request ─ same site? ─ who? may they? (Allowed, Submitted) ─ handler ─ template ─ headers ─▶ answer
//! ```
//!
//! [`router`] makes the whole of it from an [`App`]; [`routes`] is the table of addresses, each with the
//! permission it asks for. The crate reads from the database; what follows a rule it orders from the crate
//! that owns the rule. It opens no port and speaks no SQL.
//!
//! ```
//! use rebound_dashboard::routes;
//! use rebound_domain::Permission;
//!
//! let launch = routes().into_iter().find(|route| route.path == "/campaigns/{id}/launch").unwrap();
//! assert_eq!(launch.needs, Some(Permission::Launch));
//! ```

mod advice;
mod app;
mod assets;
mod chart;
mod counted;
mod device;
mod error;
mod form;
mod full_checks;
mod guard;
mod guess;
mod page;
mod pages;
mod password;
mod preflights;
mod proxies;
mod readings;
mod routes;
mod secret;
mod session;
mod tally;
pub mod users;
mod words;

pub use app::{App, DemoNotice, Installation};
pub use assets::stylesheets;
pub use counted::Counted;
pub use full_checks::FullChecks;
pub use password::{BadPassword, Hasher, LONGEST, SHORTEST};
pub use preflights::Preflights;
pub use proxies::Proxies;
pub use readings::Readings;
pub use routes::{Route, routes};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use std::any::Any;
use tower_http::catch_panic::CatchPanicLayer;

/// The longest request that is no upload.
const BODY_LIMIT: usize = 2 << 20;

/// All pages of `app`.
///
/// Serve it with `into_make_service_with_connect_info::<SocketAddr>()`, so that guessing passwords is slowed
/// down for each address on its own.
pub fn router(app: App) -> Router {
    let table = routes().into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler));
    table
        .fallback(|| async { error::PageError::NotFound })
        .method_not_allowed_fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, error::PageError::NotFound) })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn_with_state(app.clone(), guard::same_site))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.clone(), guard::headers))
        .with_state(app)
}

/// A bug in one page is that page's trouble only.
fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let words = cause.downcast_ref::<&str>().map(|words| (*words).to_owned());
    let words = words.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_default();
    error::broken(&Panic(words)).into_response()
}

#[derive(Debug, thiserror::Error)]
#[error("a page panicked: {0}")]
struct Panic(String);

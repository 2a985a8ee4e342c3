//! The table of all addresses.

use crate::pages::{
    account, bounces, campaigns, contacts, imports, incidents, lists, overview, settings, setup, sign_in, suppressions,
};
use crate::{App, assets};
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{self, MethodRouter};
use rebound_domain::Permission::{self, Administer, Launch, See, Write};

/// One address, how it is asked, and what that asks for.
pub struct Route {
    /// How.
    pub method: Method,
    /// Where, with `{names}` of what varies.
    pub path: &'static str,
    /// What it takes; `None` before the sign-in.
    pub needs: Option<Permission>,
    pub(crate) handler: MethodRouter<App>,
}

/// All of them. The handlers check the permission by the type of their first argument; a test holds both together.
#[must_use]
pub fn routes() -> Vec<Route> {
    vec![
        get(assets::ROUTE, None, assets::serve),
        get("/sign-in", None, sign_in::show),
        post("/sign-in", None, sign_in::enter),
        get("/setup/{secret}", None, setup::show),
        post("/setup/{secret}", None, setup::make),
        post("/sign-out", Some(See), sign_in::leave),
        get("/account", Some(See), account::show),
        post("/account/password", Some(See), account::set_password),
        get("/", Some(See), overview::show),
        get("/campaigns", Some(See), campaigns::index),
        get("/campaigns/new", Some(Write), campaigns::blank),
        post("/campaigns/new", Some(Write), campaigns::create),
        get("/campaigns/{id}", Some(See), campaigns::show),
        get("/campaigns/{id}/edit", Some(Write), campaigns::edit),
        post("/campaigns/{id}/edit", Some(Write), campaigns::update),
        get("/campaigns/{id}/preview", Some(See), campaigns::preview),
        get("/campaigns/{id}/launch", Some(Launch), campaigns::launch_page),
        post("/campaigns/{id}/launch", Some(Launch), campaigns::launch),
        post("/campaigns/{id}/pause", Some(Launch), campaigns::pause),
        post("/campaigns/{id}/resume", Some(Launch), campaigns::resume),
        get("/campaigns/{id}/cancel", Some(Launch), campaigns::cancel_page),
        post("/campaigns/{id}/cancel", Some(Launch), campaigns::cancel),
        get("/campaigns/{id}/bounces", Some(See), campaigns::bounces),
        get("/campaigns/{id}/recipients", Some(See), campaigns::recipients),
        get("/campaigns/{id}/progress", Some(See), campaigns::progress),
        get("/contacts", Some(See), contacts::index),
        get("/contacts/{id}", Some(See), contacts::show),
        post("/contacts/{id}/suppress", Some(Write), contacts::suppress),
        get("/lists", Some(See), lists::index),
        post("/lists", Some(Write), lists::create),
        get("/lists/{id}/export", Some(Write), lists::export),
        get("/imports/new", Some(Write), imports::blank),
        upload("/imports/new", Some(Write), imports::create),
        get("/imports/{id}", Some(See), imports::show),
        get("/imports/{id}/bad-rows", Some(See), imports::bad_rows),
        get("/suppressions", Some(See), suppressions::index),
        post("/suppressions", Some(Write), suppressions::add),
        post("/suppressions/lift", Some(Write), suppressions::lift),
        get("/bounces", Some(See), bounces::index),
        get("/bounces/{id}", Some(See), bounces::show),
        get("/incidents", Some(See), incidents::index),
        get("/incidents/{id}", Some(See), incidents::show),
        post("/incidents/{id}/close", Some(Administer), incidents::close),
        post("/incidents/{id}/restore", Some(Administer), incidents::restore),
        get("/settings", Some(Administer), settings::show),
    ]
}

fn get<T: 'static, H: Handler<T, App>>(path: &'static str, needs: Option<Permission>, handler: H) -> Route {
    Route { method: Method::GET, path, needs, handler: routing::get(handler) }
}

fn post<T: 'static, H: Handler<T, App>>(path: &'static str, needs: Option<Permission>, handler: H) -> Route {
    Route { method: Method::POST, path, needs, handler: routing::post(handler) }
}

/// A form with a file, which may be longer than others.
fn upload<T: 'static, H: Handler<T, App>>(path: &'static str, needs: Option<Permission>, handler: H) -> Route {
    let handler = routing::post(handler).layer(DefaultBodyLimit::max(imports::LARGEST));
    Route { method: Method::POST, path, needs, handler }
}

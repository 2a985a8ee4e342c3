//! The table of all addresses.

use crate::pages::{
    account, api, audit, bounces, campaigns, classify, confirm, contacts, imports, incidents, join, lists, overview,
    policies, return_path, sending_domains, servers, settings, setup, sign_in, suppressions, users, work,
};
use crate::{App, assets};
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{self, MethodRouter};
use rebound_domain::Permission::{self, Administer, Audit, Launch, See, Write};

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
        get("/campaigns/{id}/checks", Some(See), campaigns::checks),
        get("/campaigns/{id}/launch", Some(Launch), campaigns::launch_page),
        post("/campaigns/{id}/launch", Some(Launch), campaigns::launch),
        post("/campaigns/{id}/schedule", Some(Launch), campaigns::schedule),
        post("/campaigns/{id}/unschedule", Some(Launch), campaigns::unschedule),
        post("/campaigns/{id}/test", Some(Launch), campaigns::test),
        post("/campaigns/{id}/copy", Some(Write), campaigns::copy),
        get("/campaigns/{id}/delete", Some(Write), campaigns::delete_page),
        post("/campaigns/{id}/delete", Some(Write), campaigns::delete),
        get("/campaigns/{id}/lacking", Some(See), campaigns::lacking),
        get("/campaigns/{id}/resend", Some(Write), campaigns::resend_page),
        post("/campaigns/{id}/resend", Some(Write), campaigns::make_resend),
        get("/campaigns/{id}/hurry", Some(Launch), campaigns::hurry_page),
        post("/campaigns/{id}/hurry", Some(Launch), campaigns::hurry_up),
        get("/campaigns/{id}/doubts", Some(See), campaigns::doubts),
        post("/campaigns/{id}/doubts", Some(Launch), campaigns::decide),
        post("/campaigns/{id}/pause", Some(Launch), campaigns::pause),
        post("/campaigns/{id}/resume", Some(Launch), campaigns::resume),
        get("/campaigns/{id}/cancel", Some(Launch), campaigns::cancel_page),
        post("/campaigns/{id}/cancel", Some(Launch), campaigns::cancel),
        get("/campaigns/{id}/bounces", Some(See), campaigns::bounces),
        get("/campaigns/{id}/recipients", Some(See), campaigns::recipients),
        get("/campaigns/{id}/links", Some(See), campaigns::links),
        get("/campaigns/{id}/progress", Some(See), campaigns::progress),
        get("/contacts", Some(See), contacts::index),
        get("/contacts/{id}", Some(See), contacts::show),
        post("/contacts/selected", Some(Write), contacts::act),
        get("/contacts/{id}/edit", Some(Write), contacts::edit),
        post("/contacts/{id}/edit", Some(Write), contacts::update),
        post("/contacts/{id}/suppress", Some(Write), contacts::suppress),
        post("/contacts/{id}/lift", Some(Write), contacts::lift),
        get("/lists", Some(See), lists::index),
        post("/lists", Some(Write), lists::create),
        get("/lists/{id}", Some(See), lists::show),
        post("/lists/{id}/rename", Some(Write), lists::rename),
        post("/lists/{id}/archive", Some(Write), lists::archive),
        get("/lists/{id}/delete", Some(Write), lists::delete_page),
        post("/lists/{id}/delete", Some(Write), lists::delete),
        get("/lists/{id}/export", Some(Write), lists::export),
        get("/imports", Some(See), imports::index),
        get("/imports/new", Some(Write), imports::blank),
        upload("/imports/new", Some(Write), imports::create),
        get("/imports/{id}", Some(See), imports::show),
        get("/imports/{id}/progress", Some(See), imports::progress),
        post("/imports/{id}/start", Some(Write), imports::start),
        get("/imports/{id}/bad-rows", Some(Write), imports::bad_rows),
        get("/jobs", Some(See), work::index),
        get("/jobs/progress", Some(See), work::progress),
        get("/jobs/{id}", Some(See), work::show),
        get("/jobs/{id}/cancel", Some(Write), work::cancel_page),
        post("/jobs/{id}/cancel", Some(Write), work::cancel),
        post("/jobs/{id}/retry", Some(Write), work::retry),
        get("/suppressions", Some(See), suppressions::index),
        post("/suppressions", Some(Write), suppressions::add),
        post("/suppressions/lift", Some(Write), suppressions::lift),
        get("/suppressions/export", Some(Write), suppressions::export),
        get("/bounces", Some(See), bounces::index),
        get("/bounces/{id}", Some(See), bounces::show),
        get("/bounces/{id}/rule", Some(Administer), bounces::propose_rule),
        post("/bounces/{id}/rule", Some(Administer), bounces::make_rule),
        post("/bounces/{id}/correction", Some(Write), bounces::correct),
        post("/bounces/{id}/correction/undo", Some(Write), bounces::take_back),
        get("/classify", Some(See), classify::show),
        post("/classify", Some(See), classify::read),
        post("/api/v1/classify", Some(See), api::classify),
        get("/api/v1/campaigns/{id}/preflight", Some(See), api::preflight),
        get("/incidents", Some(See), incidents::index),
        get("/incidents/{id}", Some(See), incidents::show),
        post("/incidents/{id}/close", Some(Administer), incidents::close),
        post("/incidents/{id}/restore", Some(Administer), incidents::restore),
        post("/incidents/{id}/probe", Some(Launch), incidents::probe),
        get("/policies", Some(See), policies::show),
        post("/policies", Some(Administer), policies::save),
        get("/policies/effect", Some(See), policies::effect),
        get("/policies/versions/{version}", Some(See), policies::version),
        get("/settings", Some(Administer), settings::show),
        get("/settings/rules", Some(Administer), settings::rules),
        post("/settings/rules", Some(Administer), settings::save_rules),
        post("/settings/rules/history", Some(Administer), settings::judge_history),
        get("/settings/rules/versions/{version}", Some(Administer), settings::rules_version),
        get("/join/{secret}", None, join::show),
        post("/join/{secret}", None, join::choose),
        get("/confirm", Some(See), confirm::show),
        post("/confirm", Some(See), confirm::check),
        post("/account/sessions/end", Some(See), account::end_sessions),
        get("/users", Some(Administer), users::index),
        get("/users/new", Some(Administer), users::blank),
        post("/users/new", Some(Administer), users::invite),
        get("/users/{id}", Some(Administer), users::show),
        post("/users/{id}/role", Some(Administer), users::set_role),
        post("/users/{id}/deactivate", Some(Administer), users::deactivate),
        post("/users/{id}/reactivate", Some(Administer), users::reactivate),
        post("/users/{id}/link", Some(Administer), users::link),
        post("/users/{id}/sign-out", Some(Administer), users::sign_out),
        get("/audit", Some(Audit), audit::index),
        get("/audit/export", Some(Audit), audit::export),
        get("/audit/{id}/undo", Some(Administer), audit::undo_page),
        post("/audit/{id}/undo", Some(Administer), audit::undo),
        get("/servers", Some(Administer), servers::index),
        get("/servers/new", Some(Administer), servers::blank),
        post("/servers/new", Some(Administer), servers::create),
        get("/servers/{id}", Some(Administer), servers::show),
        post("/servers/{id}", Some(Administer), servers::update),
        post("/servers/{id}/use", Some(Administer), servers::put_in_use),
        post("/servers/{id}/rest", Some(Administer), servers::rest),
        get("/servers/{id}/remove", Some(Administer), servers::remove_page),
        post("/servers/{id}/remove", Some(Administer), servers::remove),
        post("/servers/{id}/test", Some(Administer), servers::test),
        post("/servers/test", Some(Administer), servers::test_configured),
        get("/sending-domains", Some(Administer), sending_domains::index),
        get("/sending-domains/new", Some(Administer), sending_domains::blank),
        post("/sending-domains/new", Some(Administer), sending_domains::create),
        get("/sending-domains/{id}", Some(Administer), sending_domains::show),
        post("/sending-domains/{id}/check", Some(Administer), sending_domains::check),
        post("/sending-domains/{id}/align", Some(Administer), sending_domains::align),
        post("/sending-domains/{id}/rotate", Some(Administer), sending_domains::rotate),
        get("/sending-domains/{id}/remove", Some(Administer), sending_domains::remove_page),
        post("/sending-domains/{id}/remove", Some(Administer), sending_domains::remove),
        get("/dkim-keys/{id}/retire", Some(Administer), sending_domains::retire_page),
        post("/dkim-keys/{id}/retire", Some(Administer), sending_domains::retire),
        get("/return-path", Some(Administer), return_path::show),
        post("/return-path", Some(Administer), return_path::check),
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

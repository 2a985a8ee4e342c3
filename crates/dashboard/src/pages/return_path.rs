//! `/return-path`: where bounces come to, what DNS must say, whether they find back, and where programs tell of mail.

use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Administer, Allowed, Submitted};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::State;
use rebound_db::inbox;
use rebound_domain::{EventDoor, Route};
use rebound_send::return_path::{self, Found, State as Well};
use serde::Deserialize;
use std::net::IpAddr;

#[derive(Template)]
#[template(path = "return_path/index.html")]
pub(crate) struct Show {
    frame: Frame,
    domain: String,
    listen: String,
    host: String,
    relay: String,
    last: Option<When>,
    unread: Count,
    found: Vec<Found>,
    /// Where programs tell what became of mail.
    events: String,
    /// What they sign it with.
    secret: String,
}

pub(crate) async fn show(by: Allowed<Administer>, State(app): State<App>) -> Result<Page<Show>, PageError> {
    Ok(Page(page(&app, &by, vec![]).await?))
}

#[derive(Deserialize)]
pub(crate) struct Nothing {}

/// Looks now. It takes some seconds, and nothing is kept of it.
pub(crate) async fn check(
    State(app): State<App>,
    Submitted { by, form: Nothing {} }: Submitted<Administer, Nothing>,
) -> Result<Page<Show>, PageError> {
    let found = return_path::check(&app.sender, &app.installation.way, app.now()).await;
    Ok(Page(page(&app, &by, found).await?))
}

async fn page(app: &App, by: &Allowed<Administer>, found: Vec<Found>) -> Result<Show, PageError> {
    let last = inbox::last_received(&app.db).await?;
    let url = app.public_url.split_once("://").map_or(app.public_url.as_str(), |(_, host)| host);
    let host = url.split(['/', ':']).next().unwrap_or_default();
    // There is always a key.
    let door = EventDoor::newest(&app.sender.keys);
    Ok(Show {
        events: door.as_ref().map(|door| format!("{}/events/{}", app.public_url, door.name())).unwrap_or_default(),
        secret: door.map(|door| door.secret()).unwrap_or_default(),
        frame: Frame::of(app, by, Place::ReturnPath).await?,
        domain: app.sender.return_domain.clone(),
        listen: app.installation.way.listen.to_string(),
        host: if host.contains(|c: char| c.is_ascii_alphabetic()) {
            host.to_owned()
        } else {
            "mail.example.org".to_owned()
        },
        relay: ways_out(app).await?,
        last: last.map(|at| When::new(at, app.now())),
        unread: Count(inbox::waiting(&app.db).await?),
        found,
    })
}

/// The ways out that the SPF record must name: `a:smtp.example.org ip4:192.0.2.1`.
async fn ways_out(app: &App) -> Result<String, PageError> {
    let mut terms = Vec::new();
    if let Some(egress) = &app.installation.egress {
        terms.push(format!("a:{}", egress.name));
    } else {
        for kept in rebound_db::servers::in_use(&app.db).await? {
            match kept.server.route {
                Route::Relay { host, .. } => terms.push(format!("a:{host}")),
                Route::Direct { sources } if sources.is_empty() => terms.push(format!("a:{}", kept.server.hello)),
                Route::Direct { sources } => terms.extend(sources.iter().map(|address| match address {
                    IpAddr::V4(_) => format!("ip4:{address}"),
                    IpAddr::V6(_) => format!("ip6:{address}"),
                })),
            }
        }
    }
    Ok(if terms.is_empty() { "a:smtp.example.org".to_owned() } else { terms.join(" ") })
}

impl Show {
    fn is_well(&self) -> bool {
        self.found.iter().all(|found| found.state == Well::Well)
    }
}

/// The class and the sign of a tick.
pub(crate) fn tick(state: &Well) -> (&'static str, &'static str, &'static str) {
    match state {
        Well::Well => ("done", "✓", "Well:"),
        Well::Unsure => ("warn", "?", "Not sure:"),
        Well::Wrong => ("stop", "!", "Wrong:"),
    }
}

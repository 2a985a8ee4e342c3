//! `/settings`: how this installation is set up and whether its parts are at work. Shown, not changed: the
//! configuration is a file.

use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Administer, Allowed};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::State;
use rebound_db::{events, inbox, lanes, users};
use rebound_domain::{BounceCause, Policy, User};

/// Entries of the audit log.
const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "settings/index.html")]
pub(crate) struct Settings {
    frame: Frame,
    public_url: String,
    return_domain: String,
    engine: &'static str,
    speed: Count,
    unread: Count,
    lanes: Vec<Lane>,
    users: Vec<User>,
    policy: Policy,
    log: Vec<(When, events::Entry)>,
}

struct Lane {
    receiver: String,
    until: When,
    cause: BounceCause,
    words: String,
}

pub(crate) async fn show(by: Allowed<Administer>, State(app): State<App>) -> Result<Page<Settings>, PageError> {
    let now = app.now();
    let resting = lanes::resting(&app.db).await?;
    let lane = |lane: lanes::RestingLane| Lane {
        receiver: lane.receiver.as_str().to_owned(),
        until: When::new(lane.until, now),
        cause: lane.cause,
        words: lane.words,
    };
    let log = events::newest(&app.db, None, ROWS).await?;
    // Clocks run as fast as the wall's, or some whole number of times faster.
    #[allow(clippy::cast_possible_truncation)]
    let speed = Count(app.clock.factor().round() as i64);
    Ok(Page(Settings {
        frame: Frame::of(&app, &by, Place::Settings).await?,
        public_url: app.public_url.clone(),
        return_domain: app.sender.return_domain.clone(),
        engine: if app.db.file().is_some() { "SQLite, one file" } else { "PostgreSQL" },
        speed,
        unread: Count(inbox::waiting(&app.db).await?),
        lanes: resting.into_iter().map(lane).collect(),
        users: users::all(&app.db).await?,
        policy: Policy::default(),
        log: log.into_iter().map(|entry| (When::new(entry.at, now), entry)).collect(),
    }))
}

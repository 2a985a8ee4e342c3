//! `/settings`: how this installation is set up and whether its parts are at work. Shown, not changed: the
//! configuration is a file.

mod rules;

pub(crate) use rules::{judge_history, rules, rules_version, save_rules};

use crate::App;
use crate::error::PageError;
use crate::page::{Frame, Page, Place};
use crate::session::{Administer, Allowed};
use crate::words::{Count, When};
use askama::Template;
use axum::extract::State;
use chrono::{DateTime, Utc};
use rebound_db::{inbox, lanes, policies, sending_domains, servers, users};
use rebound_domain::{BounceCause, PaceRules, Policy, ServerId};
use std::collections::HashMap;

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
    people: Count,
    relay: String,
    domains: Vec<String>,
    listen: String,
    proxies: Vec<String>,
    keys: Vec<String>,
    version: &'static str,
    policy: Policy,
    /// The version of the rules that bounces are read by, and of the installation's own.
    rules: (String, i64),
    rules_hold: bool,
}

/// A provider that rests or is slowed.
struct Lane {
    /// As people call it, or its domain.
    name: String,
    receiver: String,
    /// `slowed to 10/min`, `rests`.
    what: String,
    /// By which of several ways.
    way: Option<String>,
    until: When,
    /// `it has seen an unusual rate of mail from us`.
    why: String,
    cause: BounceCause,
    words: String,
}

impl Lane {
    /// Where there are several ways, it says by which.
    fn of(lane: lanes::HeldLane, ways: &HashMap<ServerId, String>, now: DateTime<Utc>) -> Self {
        let lanes::HeldLane { server, receiver, notice } = lane;
        let name = PaceRules::built_in().group(&receiver).map_or(receiver.as_str(), |group| group.title.as_str());
        Self {
            name: name.to_owned(),
            receiver: receiver.as_str().to_owned(),
            what: notice.slowed.to_string(),
            way: ways.get(&server).filter(|_| ways.len() > 1).cloned(),
            until: When::new(notice.until, now),
            why: notice.why,
            cause: notice.cause,
            words: notice.words,
        }
    }
}

pub(crate) async fn show(by: Allowed<Administer>, State(app): State<App>) -> Result<Page<Settings>, PageError> {
    let now = app.now();
    let rules = app.readings.in_force(&app.db).await?;
    let held = lanes::held(&app.db).await?.into_iter().filter(|lane| lane.notice.holds(now));
    let people = users::people(&app.db).await?.into_iter().filter(|one| one.deactivated.is_none()).count();
    let ways = match &app.installation.egress {
        Some(egress) => vec![egress.name.clone()],
        None => servers::in_use(&app.db).await?.into_iter().map(|kept| kept.server.name).collect(),
    };
    let named: HashMap<_, _> =
        servers::list(&app.db).await?.into_iter().map(|kept| (kept.server.id, kept.server.name)).collect();
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
        lanes: held.map(|lane| Lane::of(lane, &named, now)).collect(),
        people: Count(i64::try_from(people).unwrap_or(i64::MAX)),
        relay: ways.join(", "),
        domains: sending_domains::list(&app.db).await?.into_iter().map(|domain| domain.name.to_string()).collect(),
        listen: app.installation.listen.to_string(),
        proxies: app.proxies.names(),
        keys: app.sender.keys.names().into_iter().map(String::from).collect(),
        version: app.installation.version,
        policy: policies::in_force(&app.db).await?,
        rules: (rules.rules().version().to_owned(), rules.version),
        rules_hold: rules.faults.is_empty(),
    }))
}

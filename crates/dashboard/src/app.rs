//! What the pages are made with.

use crate::password::Hasher;
use crate::{Counted, FullChecks, Preflights, Proxies, Readings};
use chrono::{DateTime, Utc};
use rebound_db::Pool;
use rebound_domain::{Clock, ListId};
use rebound_send::Egress;
use rebound_send::mx::DirectSettings;
use rebound_send::return_path::Way;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Notify;

/// What the pages are made with.
#[derive(Clone, Debug)]
pub struct App {
    /// The one database.
    pub db: Pool,
    /// The product's time.
    pub clock: Clock,
    /// Hashes passwords.
    pub hasher: Hasher,
    /// Where browsers find us, without a slash at the end: `https://mail.fernhill.example`.
    pub public_url: String,
    /// Whether cookies travel over TLS only. Without TLS (on loopback) browsers would not return such cookies.
    pub secure_cookies: bool,
    /// Set when this is a demo; every page says so.
    pub demo: Option<DemoNotice>,
    /// Whom mail is from.
    pub sender: Arc<rebound_send::Sender>,
    /// Wakes the worker when there is something to send.
    pub wake: Arc<Notify>,
    /// Wakes who does long work when there is some.
    pub work: Arc<Notify>,
    /// Whose word counts on where a request comes from.
    pub proxies: Proxies,
    /// How the installation is set up, for the pages about it.
    pub installation: Installation,
    /// How many of each list a suppression keeps from its mail.
    pub suppressed: Counted<HashMap<ListId, i64>>,
    /// What DNS and the way back said of campaigns that are to be launched.
    pub preflights: Preflights,
    /// What came of making their letters for everybody.
    pub full_checks: FullChecks,
    /// Reads bounces that are handed in, by the rules in force.
    pub readings: Readings,
}

/// How the installation is set up, outside of the database.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Where the pages are served.
    pub listen: SocketAddr,
    /// The way out of the configuration file; it rules over the servers on the page.
    pub egress: Option<Egress>,
    /// How mail goes straight to receivers here.
    pub direct: DirectSettings,
    /// The way bounces come back.
    pub way: Way,
    /// The version of the program.
    pub version: &'static str,
}

/// What every page of a demo says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DemoNotice {
    /// How many times faster than the wall clock its time runs.
    pub factor: f64,
}

impl App {
    /// The product's time now. Handlers ask it once and pass it inward.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.at(Utc::now())
    }
}

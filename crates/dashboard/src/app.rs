//! What the pages are made with.

use crate::password::Hasher;
use chrono::{DateTime, Utc};
use rebound_db::Pool;
use rebound_domain::Clock;
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

//! Launches scheduled campaigns when their time has come.
//!
//! Beside the worker's rounds: a launch tries every message out, and mail must not wait for that.

use crate::{Sender, launch};
use chrono::Utc;
use rebound_db::Pool;
use rebound_domain::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Until `stop`. Several workers may do it: each campaign is launched once.
pub(crate) async fn run(db: Pool, sender: Sender, clock: Clock, wake: Arc<Notify>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        match launch::launch_due(&db, &sender, clock.at(Utc::now())).await {
            Ok(true) => wake.notify_one(),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the scheduled campaigns wait for the database"),
        }
    }
}

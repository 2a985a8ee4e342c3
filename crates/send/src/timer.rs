//! What time does beside the worker's rounds: it launches scheduled campaigns, looks after the keys that sign, and takes
//! over from workers that died.
//!
//! A launch tries every message out, and a name server may be slow: mail must wait for neither. And a round of the
//! worker lasts as long as its connections are busy: a dead worker's mail must not wait for that.

use crate::scheduled::Scheduled;
use crate::takeover::Watch;
use crate::{Sender, Worker, sending_domains};
use chrono::Utc;
use rebound_db::Pool;
use rebound_domain::Clock;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often the clock is looked at for campaigns.
const LOOK: Duration = Duration::from_millis(500);

/// How often the clock is looked at for keys.
const LOOK_AT_KEYS: Duration = Duration::from_secs(5);

/// Until `stop`. Several workers may do it: each campaign is launched once, and each key moved once.
pub(crate) async fn run(watch: Watch, worker: &Worker, stop: CancellationToken) {
    let Worker { db, clock, sender, wake, nameserver, .. } = worker;
    let (clock, nameserver) = (*clock, *nameserver);
    tokio::join!(launches(db, sender, clock, wake, &stop), keys(db, nameserver, clock, &stop), watch.run(wake, &stop));
}

async fn launches(db: &Pool, sender: &Sender, clock: Clock, wake: &Notify, stop: &CancellationToken) {
    let mut scheduled = Scheduled::default();
    while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        match scheduled.look(db, sender, clock.at(Utc::now())).await {
            Ok(true) => wake.notify_one(),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the scheduled campaigns wait for the database"),
        }
    }
}

async fn keys(db: &Pool, nameserver: Option<SocketAddr>, clock: Clock, stop: &CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(LOOK_AT_KEYS)).await.is_some() {
        let looked = sending_domains::look_at_keys(db, nameserver, clock.at(Utc::now()));
        if let Some(Err(error)) = stop.run_until_cancelled(looked).await {
            tracing::error!(%error, "the keys that sign could not be looked after");
        }
    }
}

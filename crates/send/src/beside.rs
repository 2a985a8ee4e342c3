//! What goes on beside the worker's rounds, so that mail waits for none of it: time, planning, and hearing calls.

use crate::takeover::Watch;
use crate::worker::{LOOK, Worker};
use crate::{planning, timer};
use rebound_db::wake;
use rebound_domain::WorkerId;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Until `stop`. Whenever there may be something to send, it rings the `bell`.
pub(crate) async fn run(worker: Worker, me: WorkerId, bell: Arc<Notify>, stop: CancellationToken) {
    let watch = Watch::new(worker.db.clone(), me, worker.clock);
    let plan = Notify::new();
    tokio::join!(
        timer::run(watch, &worker, stop.clone()),
        planning::run(&worker.db, worker.clock, &plan, &bell, &stop),
        pass_on(&worker.wake, &plan, &bell, &stop),
        hear(&worker, &stop),
    );
}

/// One call is for all who wait.
async fn pass_on(wake: &Notify, plan: &Notify, bell: &Notify, stop: &CancellationToken) {
    while stop.run_until_cancelled(wake.notified()).await.is_some() {
        plan.notify_one();
        bell.notify_one();
    }
}

/// Calls of other processes. While they cannot be heard, each look finds what there is.
async fn hear(worker: &Worker, stop: &CancellationToken) {
    loop {
        let listening = wake::listen(&worker.db, &worker.url, || worker.wake.notify_one());
        match stop.run_until_cancelled(listening).await {
            None => return,
            Some(Ok(never)) => match never {},
            Some(Err(error)) => {
                tracing::warn!(%error, "calls of other processes are not heard; looks find what there is");
            }
        }
        stop.run_until_cancelled(tokio::time::sleep(LOOK)).await;
    }
}

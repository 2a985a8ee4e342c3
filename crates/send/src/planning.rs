//! Plans launched campaigns: a delivery for each member of the audience, chunk by chunk.
//!
//! It goes on beside sending, which starts with the first chunk. Where there is one writer, chunks and hand-overs take
//! turns. Several workers may do it: each campaign is planned by one of them at a time.

use crate::worker::LOOK;
use chrono::{DateTime, Utc};
use rebound_db::{Pool, campaigns, fail_point, wake};
use rebound_domain::{Campaign, CampaignState, Clock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Until `stop`; rings the `bell` for each chunk. `plan` says that there may be something to plan.
pub(crate) async fn run(db: &Pool, clock: Clock, plan: &Notify, bell: &Notify, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let busy = match round(db, clock, bell, stop).await {
            Ok(busy) => busy,
            Err(error) => {
                tracing::error!(%error, "planning waits for the database");
                false
            }
        };
        if !busy {
            tokio::select! {
                () = stop.cancelled() => {}
                () = plan.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

/// A chunk of each campaign, so that a small one need not wait for the end of a large one; whether there may be more.
async fn round(db: &Pool, clock: Clock, bell: &Notify, stop: &CancellationToken) -> Result<bool, rebound_db::Error> {
    let mut busy = false;
    for campaign in campaigns::in_states(db, &[CampaignState::Planning]).await? {
        if stop.is_cancelled() {
            return Ok(false);
        }
        if chunk(db, &campaign, clock.at(Utc::now())).await? {
            busy = true;
            bell.notify_one();
        }
    }
    Ok(busy)
}

/// Plans the next chunk; with the last one, the campaign is left to sending. `false` when there was nothing to do:
/// another worker is at it, or somebody stopped the campaign.
async fn chunk(db: &Pool, campaign: &Campaign, now: DateTime<Utc>) -> Result<bool, rebound_db::Error> {
    let tx = db.begin_briefly().await?;
    if !campaigns::is_ours_to_plan(&tx, campaign.id).await? {
        return Ok(false);
    }
    let planned = campaigns::plan(&tx, campaign, now).await?;
    if planned < campaigns::CHUNK {
        campaigns::set_state(&tx, campaign.id, CampaignState::Planning, CampaignState::Sending, None, now).await?;
    }
    wake::call(&tx).await?;
    fail_point("planning").await;
    tx.commit().await?;
    Ok(true)
}

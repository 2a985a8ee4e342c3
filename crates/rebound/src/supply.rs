//! Through which server mail goes, and the worker that follows it: the configuration's relay rules, else the server
//! that is in use on the page. Another choice holds without a restart.

use crate::keys;
use crate::roles::Parts;
use rebound_db::campaigns;
use rebound_domain::CampaignState;
use rebound_send::Relay;
use rebound_send::servers::{self, ServerError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often another choice is looked for.
const LOOK: Duration = Duration::from_secs(1);

/// What campaigns wait for where nobody chose a server.
const NO_SERVER: &str = "No sending server is in use. Choose one under Sending servers; then it goes on by itself.";

/// Where mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Supply {
    Through(Relay),
    /// Nowhere, and why.
    None(String),
}

/// A worker that sends through one relay.
struct Running {
    supply: Supply,
    stop: CancellationToken,
    worker: Option<JoinHandle<anyhow::Result<()>>>,
}

/// Sends through whatever server is in use, until told to stop.
pub(crate) async fn run(parts: Parts) -> anyhow::Result<()> {
    let mut running = start(&parts, supply(&parts, None).await);
    loop {
        let over = match &mut running.worker {
            Some(worker) => tokio::select! {
                ended = worker => Some(ended?),
                () = tokio::time::sleep(LOOK) => None,
            },
            None => {
                rest(&parts, &running.supply).await;
                parts.stop.run_until_cancelled(tokio::time::sleep(LOOK)).await;
                parts.stop.is_cancelled().then_some(Ok(()))
            }
        };
        if let Some(ended) = over {
            return ended;
        }
        let now = supply(&parts, Some(&running.supply)).await;
        if now != running.supply && !parts.stop.is_cancelled() {
            tracing::info!(to = ?now, "mail goes another way");
            running.stop.cancel();
            if let Some(worker) = running.worker.take() {
                worker.await??;
            }
            running = start(&parts, now);
        }
    }
}

fn start(parts: &Parts, supply: Supply) -> Running {
    let stop = parts.stop.child_token();
    let worker = match &supply {
        Supply::Through(relay) => {
            let (worker, stop) = (parts.worker_for(relay.clone()), stop.clone());
            Some(tokio::spawn(async move { Ok(worker.run(stop).await?) }))
        }
        Supply::None(_) => None,
    };
    Running { supply, stop, worker }
}

/// What is in force. While the database does not answer, it is what it was.
async fn supply(parts: &Parts, before: Option<&Supply>) -> Supply {
    if let Some(relay) = &parts.config.relay {
        return Supply::Through(relay.clone());
    }
    match in_use(parts).await {
        Ok(Some(relay)) => Supply::Through(relay),
        Ok(None) => Supply::None(NO_SERVER.to_owned()),
        Err(error @ ServerError::Sealed(_)) => Supply::None(format!("The sending server cannot be used: {error}.")),
        Err(error) => {
            tracing::warn!(%error, "cannot see which server is in use");
            before.cloned().unwrap_or_else(|| Supply::None(NO_SERVER.to_owned()))
        }
    }
}

/// A password that was sealed with a key that just came is opened with it.
async fn in_use(parts: &Parts) -> Result<Option<Relay>, ServerError> {
    match servers::in_use(&parts.db, &parts.keys).await {
        Err(ServerError::Sealed(_)) => {
            if let Ok(newer) = keys::load(&parts.config.key_file) {
                parts.keys.replace(&newer);
            }
            servers::in_use(&parts.db, &parts.keys).await
        }
        answer => answer,
    }
}

/// Campaigns that would be sent wait, and say why.
async fn rest(parts: &Parts, supply: &Supply) {
    let Supply::None(why) = supply else { return };
    let waiting = async {
        let states = [CampaignState::Planning, CampaignState::Sending];
        if !campaigns::in_states(&parts.db, &states).await?.is_empty() {
            campaigns::wait_for_relay(&parts.db, why).await?;
        }
        Ok::<_, rebound_db::Error>(())
    };
    if let Err(error) = waiting.await {
        tracing::warn!(%error, "campaigns could not be told that there is no sending server");
    }
}

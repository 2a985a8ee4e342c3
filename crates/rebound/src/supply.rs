//! Which ways mail goes, and the worker that follows: the configuration's relay rules, else the servers that are in use
//! on the page. Another choice holds without a restart.

use crate::keys;
use crate::roles::Parts;
use rebound_db::campaigns;
use rebound_domain::CampaignState;
use rebound_send::servers::{self, ServerError};
use rebound_send::{Egress, Worker, WorkerError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often another choice is looked for.
const LOOK: Duration = Duration::from_secs(1);

/// How long a worker waits at most before it tries a database again that was away.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What campaigns wait for where nobody chose a server.
const NO_SERVER: &str = "No sending server is in use. Choose one under Sending servers; then it goes on by itself.";

/// Where mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Supply {
    By(Vec<Egress>),
    /// Nowhere, and why.
    None(String),
}

/// A worker that sends by some ways.
struct Running {
    supply: Supply,
    stop: CancellationToken,
    worker: Option<JoinHandle<anyhow::Result<()>>>,
}

/// Sends by whatever servers are in use, until told to stop.
pub(crate) async fn run(parts: Parts) -> anyhow::Result<()> {
    follow(parts, watch::Sender::new(Supply::None(String::new()))).await
}

/// The same, telling each time where mail goes.
async fn follow(parts: Parts, told: watch::Sender<Supply>) -> anyhow::Result<()> {
    let mut running = start(&parts, supply(&parts, None).await);
    told.send_replace(running.supply.clone());
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
            told.send_replace(running.supply.clone());
        }
    }
}

fn start(parts: &Parts, supply: Supply) -> Running {
    let stop = parts.stop.child_token();
    let worker = match &supply {
        Supply::By(ways) => {
            let (worker, stop) = (parts.worker_for(ways.clone()), stop.clone());
            Some(tokio::spawn(patiently(worker, stop)))
        }
        Supply::None(_) => None,
    };
    Running { supply, stop, worker }
}

/// A worker that waits for a database that is away, also where that happens while another server is chosen.
async fn patiently(worker: Worker, stop: CancellationToken) -> anyhow::Result<()> {
    let mut pause = LOOK;
    loop {
        match worker.clone().run(stop.clone()).await {
            Err(WorkerError::Database(rebound_contacts::Error::Database(error))) if error.outage().is_some() => {
                tracing::error!(error = &error as &dyn std::error::Error, "the worker waits for the database");
            }
            ended => return Ok(ended?),
        }
        // What it could not give back, the next worker takes from it.
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return Ok(());
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What is in force. While the database does not answer, it is what it was.
async fn supply(parts: &Parts, before: Option<&Supply>) -> Supply {
    if let Some(egress) = &parts.config.egress {
        return Supply::By(vec![egress.clone()]);
    }
    match in_use(parts).await {
        Ok(ways) if !ways.is_empty() => Supply::By(ways),
        Ok(_) => Supply::None(NO_SERVER.to_owned()),
        Err(error @ ServerError::Sealed(_)) => Supply::None(format!("The sending server cannot be used: {error}.")),
        Err(error) => {
            tracing::warn!(%error, "cannot see which server is in use");
            before.cloned().unwrap_or_else(|| Supply::None(NO_SERVER.to_owned()))
        }
    }
}

/// A password that was sealed with a key that just came is opened with it.
async fn in_use(parts: &Parts) -> Result<Vec<Egress>, ServerError> {
    match servers::in_use(&parts.db, &parts.keys, &parts.config.direct).await {
        Err(ServerError::Sealed(_)) => {
            if let Ok(newer) = keys::load(&parts.config.key_file) {
                parts.keys.replace(&newer);
            }
            servers::in_use(&parts.db, &parts.keys, &parts.config.direct).await
        }
        answer => answer,
    }
}

/// Campaigns that would be sent wait, and say why.
async fn rest(parts: &Parts, supply: &Supply) {
    let Supply::None(why) = supply else { return };
    let waiting = async {
        let states = [CampaignState::Planning, CampaignState::Sending];
        let sends = !campaigns::in_states(&parts.db, &states).await?.is_empty();
        if sends || campaigns::any_waits_for_relay(&parts.db).await? {
            campaigns::wait_for_relay(&parts.db, why, true).await?;
        }
        Ok::<_, rebound_db::Error>(())
    };
    if let Err(error) = waiting.await {
        tracing::warn!(%error, "campaigns could not be told that there is no sending server");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use chrono::Utc;
    use rebound_db::lists;
    use rebound_domain::{Campaign, CampaignId, DoubtPolicy, Draft, Fields, Limits, Route, Server, ServerId, Tls};
    use rebound_sandbox::{Sandbox, Settings};
    use std::path::Path;

    async fn parts(folder: &Path) -> Parts {
        let (database, key) = (folder.join("rebound.db"), folder.join("rebound.key"));
        let text = format!("database = 'sqlite:{}'\nkey_file = '{}'", database.display(), key.display());
        Parts::open(Config::parse(&text, "rebound.toml", std::iter::empty()).unwrap()).await.unwrap()
    }

    fn server(name: &str, sandbox: &Sandbox) -> Server {
        Server {
            id: ServerId(0),
            name: name.into(),
            route: Route::Relay {
                host: sandbox.address().ip().to_string(),
                port: sandbox.address().port(),
                tls: Tls::None,
                authority: String::new(),
                login: String::new(),
                token: None,
            },
            hello: "news.fernhill.test".into(),
            connections: 2,
            weight: 1,
            limits: Limits::default(),
            warm_up: None,
        }
    }

    async fn launched(parts: &Parts, name: &str) -> CampaignId {
        let list = lists::ensure(&parts.db, "Newsletter", Utc::now()).await.unwrap();
        let import = rebound_contacts::Import::new(list.id, "people.csv", Utc::now());
        let people = std::io::Cursor::new(b"email\nada@sandbox.test\n".to_vec());
        rebound_contacts::import(&parts.db, people, &import, |_| ()).await.unwrap();
        let draft = Draft {
            name: name.into(),
            list: list.id,
            from_name: "Fernhill".into(),
            from: "news@fernhill.test".parse().unwrap(),
            reply_to: None,
            subject: name.into(),
            html: "<p>Hello</p>".into(),
            text: String::new(),
            postal_address: "1 Garden Row".into(),
            defaults: Fields::default(),
            doubt: DoubtPolicy::Resend,
            counts_clicks: true,
        };
        let id = campaigns::create(&parts.db, &draft, Utc::now()).await.unwrap();
        rebound_send::launch(&parts.db, id, &parts.sender(), "ines", Utc::now()).await.unwrap();
        id
    }

    async fn until(parts: &Parts, id: CampaignId, good: impl Fn(&Campaign) -> bool) -> Campaign {
        let reached = async {
            loop {
                let campaign = campaigns::get(&parts.db, id).await.unwrap().unwrap();
                if good(&campaign) {
                    return campaign;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), reached).await.expect("the campaign never came to that")
    }

    #[tokio::test]
    async fn mail_follows_the_server_that_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let parts = parts(folder.path()).await;
        let first = Sandbox::start(Settings::default()).await.unwrap();
        let second = Sandbox::start(Settings::default()).await.unwrap();
        let told = watch::Sender::new(Supply::None(String::new()));
        let mut seen = told.subscribe();
        let running = tokio::spawn(follow(parts.clone(), told));

        let spring = launched(&parts, "Spring").await;
        let waits = until(&parts, spring, |campaign| campaign.state == CampaignState::Waiting).await;
        assert_eq!(waits.reason.as_deref(), Some(NO_SERVER));

        let (db, keys, now) = (&parts.db, &parts.keys, Utc::now());
        let one = servers::add(db, keys, &server("First", &first), "", "ines", now).await.unwrap();
        until(&parts, spring, |campaign| campaign.state == CampaignState::Sent).await;
        assert_eq!(first.received("ada@sandbox.test").len(), 1);

        let other = servers::add(db, keys, &server("Second", &second), "", "ines", now).await.unwrap();
        servers::put_in_use(db, other, true, "ines", now).await.unwrap();
        servers::put_in_use(db, one, false, "ines", now).await.unwrap();
        let goes = |supply: &Supply| matches!(supply, Supply::By(ways) if ways.len() == 1 && ways[0].id == other);
        tokio::time::timeout(Duration::from_secs(60), seen.wait_for(goes)).await.unwrap().unwrap();
        let summer = launched(&parts, "Summer").await;
        until(&parts, summer, |campaign| campaign.state == CampaignState::Sent).await;
        let subjects = |sandbox: &Sandbox| -> Vec<String> {
            sandbox.received("ada@sandbox.test").into_iter().map(|message| message.subject).collect()
        };
        assert_eq!((subjects(&first), subjects(&second)), (vec!["Spring".to_owned()], vec!["Summer".to_owned()]));

        servers::put_in_use(db, other, false, "ines", now).await.unwrap();
        parts.stop.cancel();
        running.await.unwrap().unwrap();
        first.stop().await;
        second.stop().await;
    }
}

//! The parts that run: pages, worker, listener and reader; started together, stopped together.

use crate::config::Config;
use crate::{keys, supply};
use anyhow::Context;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use rebound_contacts::{Jobs, RuleBook};
use rebound_dashboard::{App, Counted, DemoNotice, FullChecks, Hasher, Installation, Preflights, Proxies, Readings};
use rebound_db::Pool;
use rebound_domain::{Clock, EmailAddress, Keys};
use rebound_ingest::{ClientAddress, Limits, Listener, Reader, Reception};
use rebound_send::return_path::Way;
use rebound_send::{Egress, Sender, Surroundings, Worker};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What every part is given.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) db: Pool,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    /// Told when there is something to send.
    pub(crate) send: Arc<Notify>,
    /// Told when there is something to read.
    pub(crate) read: Arc<Notify>,
    /// The rules that bounces are read by.
    pub(crate) rules: RuleBook,
    /// Told when there is long work.
    pub(crate) work: Arc<Notify>,
    pub(crate) stop: CancellationToken,
}

impl Parts {
    /// Opens the database, brings it up to date, and reads the keys.
    pub(crate) async fn open(config: Config) -> anyhow::Result<Self> {
        let db = rebound_db::connect(&config.database).await.context("the database cannot be opened")?;
        rebound_db::migrate(&db).await.context("the database cannot be brought up to date")?;
        let keys = keys::load(&config.key_file)?;
        Ok(Self {
            config,
            db,
            keys,
            clock: clock()?,
            send: Arc::default(),
            read: Arc::default(),
            rules: RuleBook::default(),
            work: Arc::default(),
            stop: CancellationToken::new(),
        })
    }

    /// How our messages name us.
    pub(crate) fn sender(&self) -> Sender {
        Sender {
            keys: self.keys.clone(),
            return_domain: self.config.return_domain.clone(),
            public_url: self.config.public_url.clone(),
        }
    }

    /// What stands around a campaign from `from` here.
    pub(crate) async fn surroundings(&self, from: &EmailAddress) -> Result<Surroundings, rebound_db::Error> {
        Surroundings::of(&self.db, self.way(), self.config.egress.as_ref(), from, self.now()).await
    }

    /// The way bounces come back.
    fn way(&self) -> Way {
        Way { listen: self.config.return_listen, port: 25, nameserver: self.config.direct.nameserver }
    }

    /// The product's time now.
    pub(crate) fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.clock.at(chrono::Utc::now())
    }

    /// Starts the pages and the public routes on their port.
    pub(crate) async fn pages(&self, parts: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
        let address = self.config.listen;
        let socket = tokio::net::TcpListener::bind(address)
            .await
            .with_context(|| format!("the pages cannot be served at {address}; choose another `listen`"))?;
        let app = App {
            db: self.db.for_pages(),
            clock: self.clock,
            hasher: Hasher::default(),
            public_url: self.config.public_url.clone(),
            secure_cookies: self.config.public_url.starts_with("https:"),
            demo: (self.clock.factor() > 1.0).then(|| DemoNotice { factor: self.clock.factor() }),
            sender: Arc::new(self.sender()),
            wake: Arc::clone(&self.send),
            work: Arc::clone(&self.work),
            proxies: Proxies::new(self.config.trusted_proxies.clone()),
            installation: Installation {
                listen: address,
                egress: self.config.egress.clone(),
                direct: self.config.direct.clone(),
                way: self.way(),
                version: env!("CARGO_PKG_VERSION"),
            },
            suppressed: Counted::default(),
            preflights: Preflights::default(),
            full_checks: FullChecks::default(),
            readings: Readings::with(self.rules.clone()),
        };
        let proxies = app.proxies.clone();
        let public = rebound_ingest::public_routes(rebound_ingest::PublicPages {
            db: self.db.for_pages(),
            keys: self.keys.clone(),
            clock: self.clock,
            stylesheets: rebound_dashboard::stylesheets(),
            destination: rebound_send::destination,
        });
        let public = public.layer(from_fn_with_state(proxies, name_the_client));
        let routes = rebound_dashboard::router(app).merge(public);
        let stop = self.stop.clone();
        parts.spawn(async move {
            let service = routes.into_make_service_with_connect_info::<std::net::SocketAddr>();
            // A page that watches a campaign keeps its line open; it is not waited for.
            let patience = {
                let stop = stop.clone();
                async move {
                    stop.cancelled().await;
                    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
                }
            };
            let serving = axum::serve(socket, service).with_graceful_shutdown(stop.cancelled_owned());
            tokio::select! {
                served = serving.into_future() => served?,
                () = patience => {}
            }
            Ok(())
        });
        Ok(())
    }

    /// Starts the listener for the return path, and the reader behind it.
    pub(crate) async fn ingest(&self, parts: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<std::net::SocketAddr> {
        let listener = Listener::bind(self.config.return_listen)
            .await
            .context("bounces cannot be taken in; choose another `return_path.listen`")?;
        let address = listener.address();
        let reception = Reception {
            host: self.config.return_domain.clone(),
            domain: self.config.return_domain.clone(),
            keys: self.keys.clone(),
            clock: self.clock,
            limits: Limits::default(),
        };
        let (db, read, stop) = (self.db.clone(), Arc::clone(&self.read), self.stop.clone());
        parts.spawn(async move {
            listener.run(db, reception, read, stop).await;
            Ok(())
        });
        let reader = self.reader();
        let (read, stop) = (Arc::clone(&self.read), self.stop.clone());
        parts.spawn(async move {
            reader.run(read, stop).await;
            Ok(())
        });
        Ok(address)
    }

    /// Reads what has been kept.
    pub(crate) fn reader(&self) -> Reader {
        Reader { db: self.db.clone(), keys: self.keys.clone(), clock: self.clock, rules: self.rules.clone() }
    }

    /// Starts who does long work: imports, restores.
    pub(crate) fn jobs(&self, parts: &mut JoinSet<anyhow::Result<()>>) {
        let jobs = Jobs { db: self.db.clone(), url: self.config.database.clone(), clock: self.clock };
        let (work, stop) = (Arc::clone(&self.work), self.stop.clone());
        parts.spawn(async move { Ok(jobs.run(work, stop).await?) });
    }

    /// Starts the worker, which sends through whatever servers are in use.
    pub(crate) fn worker(&self, parts: &mut JoinSet<anyhow::Result<()>>) {
        parts.spawn(supply::run(self.clone()));
    }

    /// A worker that sends by these `ways`.
    pub(crate) fn worker_for(&self, ways: Vec<Egress>) -> Worker {
        Worker {
            db: self.db.clone(),
            url: self.config.database.clone(),
            ways,
            sender: self.sender(),
            clock: self.clock,
            wake: Arc::clone(&self.send),
            rules: self.rules.clone(),
            nameserver: self.config.direct.nameserver,
            leaving: self.stop.clone(),
        }
    }

    /// Follows the key file, unless the keys are in the environment.
    pub(crate) fn follow_keys(&self, parts: &mut JoinSet<anyhow::Result<()>>) {
        if keys::are_in_the_environment() {
            return;
        }
        let following = keys::follow(self.config.key_file.clone(), self.keys.clone(), self.stop.clone());
        parts.spawn(async move {
            following.await;
            Ok(())
        });
    }

    /// Waits for SIGTERM or Ctrl-C, or for a part that fails; then stops all of them.
    pub(crate) async fn wait(&self, stop: StopSignal, parts: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
        let first = tokio::select! {
            () = stop.heard() => Ok(()),
            Some(ended) = parts.join_next() => ended.map_err(Into::into).and_then(|ended| ended),
        };
        self.halt(parts).await;
        first
    }

    /// Tells all parts to stop, and waits until they have.
    pub(crate) async fn halt(&self, parts: &mut JoinSet<anyhow::Result<()>>) {
        self.stop.cancel();
        let all = async { while parts.join_next().await.is_some() {} };
        if tokio::time::timeout(std::time::Duration::from_secs(30), all).await.is_err() {
            tracing::error!("a part did not stop within 30 seconds");
            parts.abort_all();
        }
        // A database that hangs does not keep us here: what it has not confirmed was not said either.
        if tokio::time::timeout(std::time::Duration::from_secs(5), self.db.close()).await.is_err() {
            tracing::error!("the database did not let go within 5 seconds");
        }
    }
}

/// Tells the public pages who asks, so that guesses are counted for each client behind a proxy.
async fn name_the_client(State(proxies): State<Proxies>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    if let Some(peer) = peer {
        let client = proxies.client(peer, request.headers());
        request.extensions_mut().insert(ClientAddress(client));
    }
    next.run(request).await
}

/// The wall clock; or, for tests and demos that go on, `REBOUND_CLOCK="2026-11-24T08:00:00Z 3600"`: where the time began
/// to run faster, and how many times. Every page says so.
pub(crate) fn clock() -> anyhow::Result<Clock> {
    let Ok(text) = std::env::var("REBOUND_CLOCK") else { return Ok(Clock::wall()) };
    let form = "REBOUND_CLOCK must be a time and a factor, such as `2026-11-24T08:00:00Z 3600`";
    let (origin, factor) = text.split_once(' ').context(form)?;
    Ok(Clock::faster(origin.parse().context(form)?, factor.parse().context(form)?))
}

/// SIGTERM and Ctrl-C, heard from the moment it is made: before anything is started that must not be cut off.
pub(crate) struct StopSignal {
    term: Signal,
    int: Signal,
}

impl StopSignal {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// Waits for either.
    pub(crate) async fn heard(mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
        tracing::info!("stopping");
    }
}

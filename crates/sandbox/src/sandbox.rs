//! The sandbox as a whole: started, asked, changed, stopped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::Utc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::courier;
use crate::hosts::Hosts;
use crate::mailboxes::Behaviour;
use crate::memory::Received;
use crate::model::Model;
use crate::session;
use crate::settings::Settings;

/// Reports travel over so many lines at once.
const COURIERS: usize = 4;

/// A running sandbox. Dropping it ends every session and leaves owed reports unsent; they are
/// sent when it is started again on the same truth file.
pub struct Sandbox {
    address: SocketAddr,
    hosts: Arc<Hosts>,
    tasks: JoinSet<()>,
}

impl Sandbox {
    /// Opens the truth file, listens, and serves until stopped or dropped.
    ///
    /// # Errors
    /// When the address is taken, or the truth file cannot be opened or read.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let hosts = Arc::new(Hosts::open(settings, Utc::now())?);
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, Arc::clone(&hosts)));
        for _ in 0..COURIERS {
            tasks.spawn(courier::run(Arc::clone(&hosts)));
        }
        Ok(Self { address, hosts, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends reports to `address` from now on, also those that are owed already.
    pub fn set_return_host(&self, address: SocketAddr) {
        self.hosts.set_return_host(address);
    }

    /// Lets an address, or everyone at a domain, behave as told from now on. An address outranks
    /// its domain. The new host remembers when the first try was.
    pub fn set_behaviour(&self, recipient_or_domain: &str, behaviour: Behaviour) {
        self.hosts.choose(recipient_or_domain, behaviour);
    }

    /// Has the host of `domain` say what `model` says, before anything else is asked of it.
    pub fn set_model(&self, domain: &str, model: impl Model + 'static) {
        self.hosts.models.set(domain, Box::new(model));
    }

    /// How the host behind `recipient` behaves now.
    pub fn behaviour(&self, recipient: &str) -> Behaviour {
        self.hosts.behaviour(&recipient.to_ascii_lowercase())
    }

    /// What the mailbox of `recipient` holds, oldest first, each copy on its own.
    pub fn received(&self, recipient: &str) -> Vec<Received> {
        self.hosts.received(recipient)
    }

    /// How many copies were accepted, for anyone.
    pub fn accepted(&self) -> u64 {
        self.hosts.accepted()
    }

    /// How many clients are connected.
    pub fn sessions_open(&self) -> usize {
        self.hosts.sessions_open.load(Ordering::Relaxed)
    }

    /// How many reports are owed: promised, and neither delivered nor refused.
    pub fn reports_pending(&self) -> usize {
        self.hosts.reports.pending()
    }

    /// Waits until no report is owed. More may come with the next message.
    pub async fn idle(&self) {
        self.hosts.reports.settled().await;
    }

    /// Ends every session and waits until all is closed.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Serves whoever connects; the sessions end with this future.
async fn listen(listener: TcpListener, hosts: Arc<Hosts>) {
    let mut sessions = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                sessions.spawn(session::serve(stream, Arc::clone(&hosts)));
            }
            Err(why) => {
                tracing::warn!(%why, "no connection could be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await; // out of file handles, most likely
            }
        }
        while sessions.try_join_next().is_some() {}
    }
}

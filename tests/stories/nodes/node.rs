//! A machine with a worker: a process, its line to the database, and the hosts that it alone writes to.

use super::link::{Link, State};
use crate::program;
use crate::world::World;
use rebound_sandbox::{Event, Sandbox, Settings, Truth};
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::process::Child;

/// What is different about a node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kind {
    /// More lines of the part about the relay.
    pub(super) relay: &'static str,
    /// A named place at which its worker waits, such as `after-mark@20`.
    pub(super) waits: Option<&'static str>,
}

pub(super) struct Node {
    pub(super) number: usize,
    pub(super) link: Link,
    kind: Kind,
    folder: TempDir,
    relay: SocketAddr,
    /// Its own.
    hosts: Option<Sandbox>,
    worker: Child,
    /// So much of the hosts' file has been read.
    read: u64,
}

impl Node {
    /// Starts the `number`th worker of the world's installation, with hosts of its own.
    pub(super) async fn start(world: &World, number: usize, hosts: Settings, kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let truth = Some(folder.path().join("truth.jsonl"));
        let relay = program::free_port();
        let hosts = Sandbox::start(Settings { truth, listen: relay, ..hosts }).await.unwrap();
        Self::of(world, number, (folder, relay, Some(hosts)), kind)
    }

    /// The same, where all write to the world's hosts.
    pub(super) fn beside(world: &World, number: usize, kind: Kind) -> Self {
        Self::of(world, number, (tempfile::tempdir().unwrap(), world.sandbox.address(), None), kind)
    }

    fn of(
        world: &World,
        number: usize,
        (folder, relay, hosts): (TempDir, SocketAddr, Option<Sandbox>),
        kind: Kind,
    ) -> Self {
        let link = Link::to(world.database());
        let text = format!(
            "database = '{}'\nkey_file = '{}'\nlisten = '127.0.0.1:0'\n\
             [return_path]\ndomain = 'bounce.fernhill.test'\nlisten = '127.0.0.1:0'\n\
             [relay]\nhost = '{}'\nport = {}\ntls = 'none'\nhello = 'node{number}.fernhill.test'\n{}\n",
            link.address(world.database()),
            world.folder().join("rebound.key").display(),
            relay.ip(),
            relay.port(),
            kind.relay,
        );
        std::fs::write(folder.path().join("rebound.toml"), text).unwrap();
        let worker = work(&folder, kind);
        Self { number, link, kind, folder, relay, hosts, worker, read: 0 }
    }

    /// Ends the worker at once.
    pub(super) async fn kill(&mut self) {
        self.worker.kill().await.unwrap();
    }

    /// Asks the worker to stop, and waits until it has.
    pub(super) async fn stop(&mut self) {
        program::ask_to_stop(&self.worker).await;
        let ended = self.worker.wait().await.unwrap();
        assert!(ended.success(), "{}", self.log());
    }

    /// Starts a worker in place of one that ended.
    pub(super) fn restart(&mut self) {
        self.worker = work(&self.folder, self.kind);
    }

    /// Stops the worker in its tracks, as a machine that hangs does.
    pub(super) async fn hang(&mut self) {
        program::signal(&self.worker, "-STOP").await;
    }

    /// Has it go on, and its line be open.
    pub(super) async fn come_back(&mut self) {
        self.link.set(State::Open);
        program::signal(&self.worker, "-CONT").await;
    }

    /// Nobody answers it any more.
    pub(super) fn lose_hosts(&mut self) {
        self.hosts = None;
    }

    /// Its hosts answer again.
    pub(super) async fn find_hosts(&mut self, hosts: Settings) {
        self.hosts = Some(Sandbox::start(Settings { listen: self.relay, ..hosts }).await.unwrap());
    }

    /// What its worker noted.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("err")).unwrap_or_default()
    }

    /// What its hosts took since this was asked last.
    pub(super) fn taken(&mut self) -> Vec<Truth> {
        let mut file = std::fs::File::open(self.folder.path().join("truth.jsonl")).unwrap();
        file.seek(SeekFrom::Start(self.read)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.read += u64::try_from(whole).unwrap();
        let lines = text[..whole].lines().map(|line| serde_json::from_str::<Truth>(line).unwrap());
        lines.filter(|line| line.event == Event::Accepted).collect()
    }

    /// How many letters its hosts took.
    pub(super) fn accepted(&self) -> u64 {
        self.hosts.as_ref().map_or(0, Sandbox::accepted)
    }
}

fn work(folder: &TempDir, kind: Kind) -> Child {
    let environment = kind.waits.map(|what| ("REBOUND_FAIL_POINT".to_owned(), what.to_owned()));
    program::start(folder.path(), environment.as_slice(), &["worker"])
}

//! The processes that the storm ends, and starts again.

use super::chance::Chance;
use crate::engine::Engine;
use crate::program;
use crate::world::{World, until};
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::process::Child;

/// Where a worker may end by itself. `reading` is in the other process.
const POINTS: [&str; 7] =
    ["before-mark", "in-commit", "after-mark", "after-dot", "after-reply", "planning", "recovering"];

/// How long a process may take to do as it is asked.
const PATIENCE: Duration = Duration::from_secs(60);

/// How processes ended so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    /// Killed from outside, at any time.
    pub(super) killed: u64,
    /// Ended at a named place.
    pub(super) at_points: u64,
    /// Asked to stop.
    pub(super) stopped: u64,
}

impl Ends {
    /// Those that may leave something in doubt.
    pub(super) fn sudden(self) -> u64 {
        self.killed + self.at_points
    }
}

/// Pages, listener and reader in one process; the workers in others.
pub(super) struct Fleet {
    server: Child,
    workers: Vec<Child>,
    /// The server may end by itself at any time.
    may_end_reading: bool,
    pub(super) ends: Ends,
}

impl Fleet {
    /// Starts the server and as many workers as the engine allows.
    pub(super) async fn start(world: &World, engine: Engine) -> Self {
        let server = serve(world, None).await;
        let workers = (0..if engine == Engine::Sqlite { 1 } else { 2 }).map(|_| work(world, None)).collect();
        Self { server, workers, may_end_reading: false, ends: Ends::default() }
    }

    /// Ends one process in one way, and starts another in its place, which may end at a named place by itself.
    pub(super) async fn end_one(&mut self, world: &World, chance: &mut Chance) {
        if chance.percent(12) {
            return self.end_server(world, chance).await;
        }
        let next = chance.percent(50).then(|| {
            let times = chance.one_of(&[1, 2, 5, 20, 80]);
            (chance.one_of(&POINTS), times)
        });
        let place = usize::try_from(chance.below(self.workers.len() as u64)).unwrap();
        let mut worker = self.workers.remove(place);
        if chance.percent(25) {
            self.stop(&mut worker, world).await;
        } else {
            worker.kill().await.unwrap();
            self.ends.killed += 1;
        }
        self.workers.push(work(world, next));
    }

    async fn end_server(&mut self, world: &World, chance: &mut Chance) {
        if self.may_end_reading || chance.percent(50) {
            self.end_server_now().await;
        } else {
            program::ask_to_stop(&self.server).await;
            assert!(ended(&mut self.server).await.success(), "{}", world.log());
            self.ends.stopped += 1;
        }
        self.server = serve(world, None).await;
        self.may_end_reading = false;
    }

    async fn stop(&mut self, worker: &mut Child, world: &World) {
        if worker.try_wait().unwrap().is_some() {
            self.ends.at_points += 1; // it was faster
            return;
        }
        program::ask_to_stop(worker).await;
        let asked = Instant::now();
        if ended(worker).await.success() {
            self.ends.stopped += 1;
            assert!(asked.elapsed() < Duration::from_secs(30), "it took {:?} to stop", asked.elapsed());
        } else {
            self.ends.at_points += 1; // on its way out
        }
        assert!(!world.log().contains("panicked"), "{}", world.log());
    }

    /// Starts others for those that ended by themselves.
    pub(super) async fn replace_the_dead(&mut self, world: &World) {
        for worker in &mut self.workers {
            if worker.try_wait().unwrap().is_some() {
                self.ends.at_points += 1;
                *worker = work(world, None);
            }
        }
        if self.server.try_wait().unwrap().is_some() {
            self.ends.at_points += 1;
            self.server = serve(world, None).await;
            self.may_end_reading = false;
        }
    }

    /// Has the process that reads reports end at its `times`th batch of them.
    pub(super) async fn end_while_reading(&mut self, world: &World, times: u64) {
        self.end_server_now().await;
        self.server = serve(world, Some(("reading", times))).await;
        self.may_end_reading = true;
    }

    /// Has the pages answer from now on, until they are ended from outside.
    pub(super) async fn keep_the_pages(&mut self, world: &World) {
        if self.may_end_reading {
            self.end_server_now().await;
            self.server = serve(world, None).await;
            self.may_end_reading = false;
        }
    }

    /// Whether pages are there for sure.
    pub(super) fn has_pages(&self) -> bool {
        !self.may_end_reading
    }

    async fn end_server_now(&mut self) {
        if self.server.try_wait().unwrap().is_some() {
            self.ends.at_points += 1;
        } else {
            self.server.kill().await.unwrap();
            self.ends.killed += 1;
        }
    }
}

type Point = (&'static str, u64);

fn environment(point: Option<Point>) -> Vec<(String, String)> {
    let variable = |(name, times)| ("REBOUND_FAIL_POINT".to_owned(), format!("{name}:{times}"));
    point.map(variable).into_iter().collect()
}

fn work(world: &World, point: Option<Point>) -> Child {
    program::start(world.folder(), &environment(point), &["worker"])
}

async fn serve(world: &World, point: Option<Point>) -> Child {
    let mut server = program::start(world.folder(), &environment(point), &["serve", "--without-worker"]);
    for address in [world.pages, world.bounces] {
        until("Rebound serves, or has read and ended", async || {
            let has_ended = point.is_some() && server.try_wait().unwrap().is_some();
            (has_ended || TcpStream::connect(address).await.is_ok()).then_some(())
        })
        .await;
    }
    server
}

async fn ended(child: &mut Child) -> ExitStatus {
    tokio::time::timeout(PATIENCE, child.wait()).await.unwrap_or_else(|_| panic!("a process does not stop")).unwrap()
}

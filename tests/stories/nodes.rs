//! Several workers on one PostgreSQL, each on a machine of its own: they are killed, hang, and lose the database, and
//! share the work all the same.
//!
//! It goes on for some seconds; `make nodes MINUTES=10 SEED=7` has it go on longer.

mod failover;
mod history;
mod lanes;
mod link;
mod node;
mod rate;
mod relays;

use crate::engine::Engine;
use crate::storm::chance::Chance;
use crate::world::{World, until};
use history::Findings;
use link::State;
use node::{Kind, Node};
use rebound_sandbox::Settings;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const NODES: usize = 4;

/// Without a word about it, no more is done to the workers after so many seconds, once each kind of harm was done.
const SECONDS: u64 = 30;

/// Who gets a letter in one campaign; fewer where it goes on for seconds.
const PEOPLE: (u64, u64) = (300_000, 5_000);

/// How many milliseconds a letter waits: before its final dot at two of the workers, so that many a letter is caught
/// there, and behind it at the others. Longer where it goes on for seconds: tests that measure time beside it need the
/// machine too.
const BEFORE_DOT: (&str, &str) = ("after-mark@30", "after-mark@150");
const BEHIND_DOT: (u64, u64) = (3, 150);

/// Longer than a lease, in milliseconds: whoever is away for so long is taken for dead.
const LONG: (u64, u64) = (16_500, 22_000);

/// What was done to the workers.
#[derive(Clone, Copy, Debug, Default)]
struct Blows {
    killed: u64,
    hung: u64,
    held: u64,
    cut: u64,
}

impl Blows {
    fn count(self) -> u64 {
        self.killed + self.hung + self.held + self.cut
    }

    fn are_all_there(self) -> bool {
        self.killed > 0 && self.hung > 0 && self.held > 0 && self.cut > 0
    }
}

struct Nodes {
    world: World,
    people: u64,
    nodes: Vec<Node>,
    /// When each is back.
    back: Vec<Option<Instant>>,
    chance: Chance,
    blows: Blows,
    total: Findings,
    campaigns: u64,
}

#[tokio::test]
async fn no_delivery_is_with_two_workers_at_a_time() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seconds = number("REBOUND_NODES_SECONDS").unwrap_or(SECONDS);
    let now = u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap();
    let seed = number("REBOUND_STORM_SEED").unwrap_or(now);
    eprintln!("{NODES} workers on one PostgreSQL: {seconds} s, SEED={seed}");

    let (people, before_dot, behind_dot) = match seconds < 120 {
        true => (PEOPLE.1, BEFORE_DOT.1, BEHIND_DOT.1),
        false => (PEOPLE.0, BEFORE_DOT.0, BEHIND_DOT.0),
    };
    let mut nodes = Nodes::begin(Chance::new(seed), people, before_dot, behind_dot).await;
    let begun = Instant::now();
    // On a slow machine each kind of harm takes its time; none is left out for that.
    while begun.elapsed() < Duration::from_secs(seconds) || !nodes.blows.are_all_there() {
        nodes.campaign(begun + Duration::from_secs(seconds)).await;
    }

    nodes.report(begun.elapsed());
    let Nodes { blows, total, .. } = nodes;
    let told = format!("SEED={seed} {total:?} {blows:?}");
    assert_eq!((total.double, total.unmarked, total.strange, total.unexplained), (0, 0, 0, 0), "{told}");
    assert!(total.late <= total.copies && total.leases >= total.copies, "{told}");
}

impl Nodes {
    async fn begin(chance: Chance, people: u64, before_dot: &'static str, behind_dot: u64) -> Self {
        let world = World::forgetful(Engine::Postgres.database(), Settings::default(), "").await;
        let everybody: Vec<String> = (0..people).map(|place| format!("p{place}@orchard.sandbox.test")).collect();
        world.import(&format!("email\n{}\n", everybody.join("\n"))).await;
        history::note(world.database());
        let mut nodes = Vec::new();
        for number in 0..NODES {
            let waits = number % 2 == 1;
            let latency = Duration::from_millis(if waits { 3 } else { behind_dot });
            let kind = Kind { relay: "connections = 16", waits: waits.then_some(before_dot) };
            nodes.push(Node::start(&world, number, Settings { latency, ..Settings::default() }, kind).await);
        }
        let (blows, total) = (Blows::default(), Findings::default());
        Self { world, people, nodes, back: vec![None; NODES], chance, blows, total, campaigns: 0 }
    }

    /// Sends one campaign while workers come to harm, until `end`, and until each kind of harm was done; then compares the
    /// books.
    async fn campaign(&mut self, end: Instant) {
        self.campaigns += 1;
        let name = format!("Letter {}", self.campaigns);
        self.world.launch(&name).await;
        // So much later it hangs.
        let latest = end.max(Instant::now()) + Duration::from_secs(300) + Duration::from_millis(20 * self.people);
        let mut looked = Instant::now();
        loop {
            tokio::time::sleep(self.chance.millis(100, 900)).await;
            self.bring_back().await;
            if Instant::now() < end || !self.blows.are_all_there() {
                self.strike().await;
            }
            if looked.elapsed() > Duration::from_secs(1) {
                looked = Instant::now();
                let status = self.world.status(&name).await;
                if status["state"] == "sent" {
                    break;
                }
                assert!(Instant::now() < latest, "it does not end: {status}");
            }
        }
        // Who is away may hold a letter still, and hand it over when it wakes: until then nothing is over.
        until("all are back", async || {
            self.bring_back().await;
            self.back.iter().all(Option::is_none).then_some(())
        })
        .await;
        self.compare(&name).await;
    }

    async fn compare(&mut self, name: &str) {
        // What woke up needs a moment to finish what it had on its lines.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let ledger = self.world.ledger(name).await;
        assert_eq!(ledger.len() as u64, self.people);
        assert!(ledger.values().all(|line| line.state == "accepted"), "somebody has no final state");
        let taken: Vec<_> = self.nodes.iter_mut().map(|node| (node.number, node.taken())).collect();
        let in_doubt: BTreeMap<_, _> = ledger.into_iter().map(|(who, line)| (who, line.in_doubt)).collect();
        let found = history::check(self.world.database(), &taken, &in_doubt);
        eprintln!("{name}: {found:?}");
        self.total.add(found);
        assert!(!self.nodes.iter().any(|node| node.log().contains("panicked")));
    }

    /// Does something to one worker that is not away, while two others are there.
    async fn strike(&mut self) {
        let away = self.back.iter().filter(|back| back.is_some()).count();
        let place = usize::try_from(self.chance.below(NODES as u64)).unwrap();
        if away >= NODES - 2 || self.back[place].is_some() {
            return;
        }
        let node = &mut self.nodes[place];
        let is_long = self.blows.hung + self.blows.held == 0 || self.chance.percent(70);
        let (least, most) = if is_long { LONG } else { (500, 14_000) };
        let wait = self.chance.millis(least, most);
        // Each once, and then as it comes.
        let blows = self.blows.count();
        match if blows < 4 { [0, 5, 8, 9][usize::try_from(blows).unwrap()] } else { self.chance.below(10) } {
            0..4 => {
                node.kill().await;
                node.restart();
                self.blows.killed += 1;
                return;
            }
            4..7 => {
                node.hang().await;
                self.blows.hung += 1;
            }
            7..9 => {
                node.link.set(State::Held);
                self.blows.held += 1;
            }
            _ => {
                node.link.set(State::Cut);
                self.blows.cut += 1;
            }
        }
        self.back[place] = Some(Instant::now() + wait);
    }

    async fn bring_back(&mut self) {
        for (node, back) in self.nodes.iter_mut().zip(&mut self.back) {
            if back.is_some_and(|back| back <= Instant::now()) {
                node.come_back().await;
                *back = None;
            }
        }
    }

    fn report(&self, took: Duration) {
        let (Blows { killed, hung, held, cut }, found) = (self.blows, self.total);
        eprintln!(
            "| leases | letters taken | killed | hung | line held up | line cut | two at a time | by who had lost it \
             | second copies, named | unexplained | seconds |\n\
             |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n\
             | {} | {} | {killed} | {hung} | {held} | {cut} | {} | {} | {} | {} | {} |",
            found.leases,
            found.copies,
            found.double,
            found.late,
            found.named,
            found.unexplained,
            took.as_secs()
        );
    }
}

impl Findings {
    fn add(&mut self, more: Self) {
        self.leases += more.leases;
        self.copies += more.copies;
        self.double += more.double;
        self.unmarked += more.unmarked;
        self.late += more.late;
        self.named += more.named;
        self.unexplained += more.unexplained;
        self.strange += more.strange;
    }
}

//! A crash storm: processes end at random times and at named places, people pause, suppress and cancel, answers get
//! lost on their way, and in the end our books agree with the hosts'.
//!
//! It blows for some seconds on each engine; `make crash-storm MINUTES=10 SEED=7` has it blow longer.

mod books;
pub(crate) mod chance;
mod fleet;
mod round;

use crate::engine::Engine;
use crate::world::World;
use chance::Chance;
use fleet::{Ends, Fleet};
use rebound_sandbox::{Drops, Event, Settings, Truth};
use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

/// Lines to the relay of one worker.
const CONNECTIONS: u64 = 8;

/// Without a word about it, a storm starts its last campaign after so many seconds.
const SECONDS: u64 = 25;

#[tokio::test]
async fn nobody_is_lost_in_a_crash_storm_on_sqlite() {
    storm(Engine::Sqlite).await;
}

#[tokio::test]
async fn nobody_is_lost_in_a_crash_storm_on_postgres() {
    storm(Engine::Postgres).await;
}

/// Who gets a letter in one campaign; fewer in a storm of seconds.
const PEOPLE: (u64, u64) = (3_000, 2_000);

/// How long a host thinks about a letter, in milliseconds; longer in a storm of seconds: tests that measure time beside
/// it need the machine too.
const LATENCY: (u64, u64) = (1, 20);

/// However short it is, so many end without being asked.
const SUDDEN_ENDS: u64 = 8;

/// What a storm has done so far, and what it has shown.
#[derive(Debug, Default)]
struct Score {
    campaigns: u64,
    recipients: usize,
    lost: usize,
    doubts: i64,
    named: i64,
    unexplained: usize,
    /// Answers that the relay lost.
    answers_lost: u64,
}

struct Storm {
    world: World,
    fleet: Fleet,
    chance: Chance,
    people: u64,
    score: Score,
    /// So much of the hosts' file has been read.
    read: u64,
}

async fn storm(engine: Engine) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seconds = number("REBOUND_STORM_SECONDS").unwrap_or(SECONDS);
    let now = u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap();
    let seed = number("REBOUND_STORM_SEED").unwrap_or(now);
    eprintln!("crash storm on {engine:?}: {seconds} s, SEED={seed}");

    let begun = Instant::now();
    let (people, latency) = if seconds < 60 { (PEOPLE.1, LATENCY.1) } else { (PEOPLE.0, LATENCY.0) };
    let mut storm = Storm::begin(engine, Chance::new(seed), people, Duration::from_millis(latency)).await;
    while storm.fleet.ends.sudden() < SUDDEN_ENDS || begun.elapsed() < Duration::from_secs(seconds) {
        storm.round().await;
    }
    storm.end(engine, begun.elapsed(), seed);
}

impl Storm {
    async fn begin(engine: Engine, mut chance: Chance, people: u64, latency: Duration) -> Self {
        let hosts = Settings {
            latency,
            drop_after_record: Drops::Share(if chance.percent(50) { 0.01 } else { 0.05 }),
            drop_before_record: Drops::Share(0.005),
            ..Settings::default()
        };
        let relay = format!("connections = {CONNECTIONS}");
        let world = World::forgetful(engine.database(), hosts, &relay).await;
        let fleet = Fleet::start(&world, engine).await;
        Self { world, fleet, chance, people, score: Score::default(), read: 0 }
    }

    /// What the hosts did since this was asked last.
    fn news(&mut self) -> Vec<Truth> {
        let mut file = std::fs::File::open(self.world.folder().join("truth.jsonl")).unwrap();
        file.seek(SeekFrom::Start(self.read)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.read += u64::try_from(whole).unwrap();
        text[..whole].lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Every worker that died, with what its death put in doubt, as whoever took over noted it.
    fn deaths(&self) -> Vec<u64> {
        let log = self.world.log();
        let deaths = log.lines().filter(|line| line.contains("a worker died; its deliveries were taken back"));
        let doubts = |line: &str| {
            let number: String =
                plain(line).split("doubts=").nth(1)?.chars().take_while(char::is_ascii_digit).collect();
            number.parse().ok()
        };
        deaths.map(|line| doubts(line).unwrap_or_else(|| panic!("how many? {line}"))).collect()
    }

    fn end(self, engine: Engine, took: Duration, seed: u64) {
        let (deaths, score, ends) = (self.deaths(), &self.score, self.fleet.ends);
        let most = deaths.iter().copied().max().unwrap_or_default();
        report(engine, score, ends, (most, took));
        let told = format!("SEED={seed} {score:?} {ends:?} most doubts by one end: {most}");
        assert!(deaths.iter().any(|doubts| *doubts > 0), "some ended in the middle: {told}");
        assert_eq!(score.lost + score.unexplained, 0, "{told}");
        assert!(most <= CONNECTIONS, "an end puts in doubt what was on its lines at most: {told}");
        // Whoever took over may have been ended before it could note how many.
        let by_deaths = deaths.iter().sum::<u64>() + CONNECTIONS;
        let doubts = u64::try_from(score.doubts).unwrap();
        assert!(doubts <= by_deaths + score.answers_lost, "asked to stop, none leaves a doubt: {told}, {by_deaths}");
        assert!(!self.world.log().contains("panicked"), "{}", self.world.log());
    }
}

/// Without the colours.
fn plain(line: &str) -> String {
    line.split('\u{1b}').enumerate().fold(String::new(), |text, (place, part)| {
        text + if place == 0 { part } else { part.split_once('m').map_or("", |(_, rest)| rest) }
    })
}

fn report(engine: Engine, score: &Score, ends: Ends, (most, took): (u64, Duration)) {
    eprintln!(
        "| engine | kills | at named places | asked to stop | campaigns | recipients | lost | answers lost | doubts \
         | second copies, named | unexplained | most doubts by one kill | seconds |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n\
         | {engine:?} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {most} | {} |",
        ends.killed,
        ends.at_points,
        ends.stopped,
        score.campaigns,
        score.recipients,
        score.lost,
        score.answers_lost,
        score.doubts,
        score.named,
        score.unexplained,
        took.as_secs()
    );
}

/// How often a line broke though nobody was killed.
fn answers_lost(truth: &[Truth]) -> u64 {
    u64::try_from(truth.iter().filter(|line| line.event == Event::Dropped).count()).unwrap()
}

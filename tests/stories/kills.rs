//! Ten times asked to stop and ten times killed, in one campaign.

use crate::crash::nobody_is_lost_or_bothered;
use crate::engine::Engine;
use crate::world::{Line, World, people, until};
use rebound_sandbox::{Event, Settings};
use std::collections::HashSet;

const PEOPLE: usize = 5_000;
const KILLS: usize = 10;
const CONNECTIONS: usize = 8;
/// Letters from one end to the next. Counted from the beginning, so that what goes out while a slow machine starts the
/// program again brings the campaign no nearer to its own end.
const BETWEEN: u64 = 150;

#[tokio::test]
async fn nobody_is_lost_by_twenty_ends_of_the_one_process_on_sqlite() {
    let relay = format!("per_second = 200\nconnections = {CONNECTIONS}");
    let mut world = World::with(Engine::Sqlite, Settings::default(), &relay).await;
    world.import(&people(PEOPLE, &[])).await;
    world.launch("Spring").await;

    for end in 1..=KILLS {
        in_its_middle(&world, end).await;
        world.stop().await;
        world.serve().await;
    }
    nobody_has_two(&world).await;
    for end in 1..=KILLS {
        in_its_middle(&world, KILLS + end).await;
        world.kill().await;
        world.serve().await;
    }

    everyone_has_one(&world).await;
}

#[tokio::test]
async fn nobody_is_lost_by_twenty_ends_of_two_workers_on_postgres() {
    let relay = format!("per_second = 100\nconnections = {CONNECTIONS}");
    let mut world = World::asleep(Engine::Postgres.database(), Settings::default(), &relay).await;
    world.serve_without_worker().await;
    world.import(&people(PEOPLE, &[])).await;
    world.add_worker();
    world.add_worker();
    world.launch("Spring").await;

    for end in 1..=KILLS {
        in_its_middle(&world, end).await;
        world.stop_worker().await;
        world.add_worker();
    }
    nobody_has_two(&world).await;
    for end in 1..=KILLS {
        in_its_middle(&world, KILLS + end).await;
        world.kill_worker().await;
        world.add_worker();
    }

    everyone_has_one(&world).await;
    let log = world.log();
    assert!(log.contains("a worker died; its deliveries were taken back"), "one took over from the other: {log}");
}

#[tokio::test]
async fn a_second_worker_beside_sqlite_is_refused() {
    let world = World::start(Engine::Sqlite).await;

    let second = world.run(&["worker"]).await;

    assert!(!second.well);
    assert!(second.err.contains("another worker sends from rebound.db already"), "{}", second.err);
    assert!(second.err.contains("PostgreSQL"), "it says what to do: {}", second.err);
    world.import("email\nada@sandbox.test\n").await;
    world.send("Spring").await;
    assert_eq!(world.subjects("ada@sandbox.test"), ["Spring"], "the first goes on");
}

/// Waits until it is time for the `end`th end.
async fn in_its_middle(world: &World, end: usize) {
    let letters = end as u64 * BETWEEN;
    until("some more letters", async || (world.sandbox.accepted() >= letters).then_some(())).await;
}

/// Who was asked to stop leaves no doubt, and so nobody a second copy.
async fn nobody_has_two(world: &World) {
    let mut seen = HashSet::new();
    for line in world.truth().into_iter().filter(|line| line.event == Event::Accepted) {
        assert!(seen.insert(line.recipient.clone()), "{} has two", line.recipient);
    }
    assert!(seen.len() < PEOPLE, "the campaign still goes on");
    let doubts: Vec<Line> = world.ledger("Spring").await.into_values().filter(|line| line.in_doubt > 0).collect();
    assert!(doubts.is_empty(), "{doubts:?}");
}

async fn everyone_has_one(world: &World) {
    assert!(world.sandbox.accepted() < PEOPLE as u64, "every end came in the middle of the campaign");
    world.reaches("Spring", "sent").await;
    let ledger = world.ledger("Spring").await;
    let doubts = ledger.values().filter(|line| line.in_doubt > 0).count();
    assert!(doubts <= KILLS * CONNECTIONS, "one per open line at most: {doubts}");
    nobody_is_lost_or_bothered(ledger.into_values(), &world.truth(), PEOPLE);
}

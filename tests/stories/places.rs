//! The program ends at each of the places that have a name (`crates/db/src/fail_point.rs`), and what that costs is
//! exactly what the promise says.

use crate::engine::{Engine, on_both_engines};
use crate::program;
use crate::world::{World, people, until};
use rebound_sandbox::Settings;

on_both_engines! {
    an_end_at_each_place_costs_what_was_promised,
    a_report_whose_reader_ends_is_read_once,
}

const PEOPLE: usize = 4;

async fn an_end_at_each_place_costs_what_was_promised(engine: Engine) {
    // One line to the relay, so that it is known what is on it: the first letter. No answer is there before it is
    // waited for.
    let late = Settings { latency: std::time::Duration::from_millis(20), ..Settings::default() };
    let mut world = World::asleep(engine.database(), late, "connections = 1").await;
    world.serve_without_worker().await;
    world.import(&people(PEOPLE, &[])).await;

    // The places in turn, doubts, second copies.
    for (places, doubts, second) in [
        (vec!["planning"], 0, 0),
        (vec!["before-mark"], 0, 0),
        (vec!["in-commit"], 0, 0),
        (vec!["after-mark"], 1, 0),
        (vec!["after-dot"], 1, 1),
        (vec!["after-reply"], 1, 1),
        (vec!["after-reply", "recovering"], 1, 1),
    ] {
        let name = places.join(" and ");
        let before = world.sandbox.accepted();
        world.launch(&name).await;
        for place in &places {
            ends_at(&world, place).await;
        }
        world.add_worker();

        world.reaches(&name, "sent").await;
        let ledger = world.ledger(&name).await;
        assert!(ledger.values().all(|line| line.state == "accepted"), "{name}: {ledger:?}");
        assert_eq!(ledger.values().map(|line| line.in_doubt).sum::<i64>(), doubts, "{name}: doubts");
        assert_eq!(world.sandbox.accepted() - before - PEOPLE as u64, second, "{name}: second copies");
        world.stop_worker().await;
    }
}

async fn a_report_whose_reader_ends_is_read_once(engine: Engine) {
    let mut world = World::asleep(engine.database(), Settings::default(), "").await;
    world.serve_without_worker().await;
    world.import(&people(PEOPLE, &["gone-report@sandbox.test"])).await;
    world.kill().await;
    let mut server = begin(&world, &["serve", "--without-worker"], "reading");
    world.add_worker();
    world.launch("Spring").await;

    let ended = server.wait().await.unwrap();
    assert!(!ended.success());
    world.serve_without_worker().await;

    world.becomes("Spring", "gone-report@sandbox.test", "bounced").await;
    assert_eq!(world.status("Spring").await["deliveries"]["accepted"], PEOPLE);
    let suppressions = world.browser().await.text("/suppressions").await;
    assert_eq!(suppressions.matches("gone-report@sandbox.test").count(), 1, "{suppressions}");
}

/// Starts a worker, and waits until it has ended at `place`.
async fn ends_at(world: &World, place: &'static str) {
    let mut worker = begin(world, &["worker"], place);
    until(&format!("a worker ends at {place}"), async || worker.try_wait().unwrap()).await;
}

fn begin(world: &World, args: &[&str], place: &str) -> tokio::process::Child {
    let environment = [("REBOUND_FAIL_POINT".to_owned(), place.to_owned())];
    program::start(world.folder(), &environment, args)
}

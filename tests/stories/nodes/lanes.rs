//! A receiver that is held to a rate, written to by several workers: what it was said to bear, they share.

use super::node::{Kind, Node};
use super::rate::in_window;
use crate::engine::Engine;
use crate::postgres::ask;
use crate::world::World;
use rebound_sandbox::Settings;
use std::time::Duration;

/// Messages per second of all together.
const RATE: usize = 40;

/// Seconds that both send, and that one does.
const LONG: u64 = 20;

const KIND: Kind = Kind { relay: "connections = 8", waits: None };

#[tokio::test]
async fn workers_share_the_rate_that_a_receiver_is_held_to() {
    let world = World::forgetful(Engine::Postgres.database(), Settings::default(), "").await;
    let everybody: Vec<String> = (0..4_000).map(|place| format!("p{place}@orchard.sandbox.test")).collect();
    world.import(&format!("email\n{}\n", everybody.join("\n"))).await;
    hold(&world);
    world.launch("Spring").await;
    let mut nodes = [Node::beside(&world, 0, KIND), Node::beside(&world, 1, KIND)];
    tokio::time::sleep(Duration::from_secs(LONG)).await;
    let both = times(&world).len();
    nodes[0].stop().await;
    tokio::time::sleep(Duration::from_secs(LONG)).await;
    nodes[1].stop().await;

    let times = times(&world);
    let most = (0..times.len()).map(|from| in_window(&times[from..])).max().unwrap();
    eprintln!("{both} letters by two workers, {} by one; in any ten seconds {most} at most", times.len() - both);
    assert!(most <= RATE * 10 * 115 / 100, "{most} in ten seconds");
    let least = RATE * usize::try_from(LONG).unwrap() / 2;
    assert!(both > least && times.len() - both > least, "the rate is used: {both}, then {}", times.len() - both);
}

/// As a worker notes what the receiver told it: so many an hour, for an hour.
fn hold(world: &World) {
    let until = chrono::Utc::now().timestamp_millis() + 3_600_000;
    let rate = RATE * 3_600;
    let sql = format!(
        "INSERT INTO lanes (server_id, receiver, until, rests, cause, words, per_hour, places, why)
         VALUES (0, 'orchard.sandbox.test', {until}, 0, 0, '421', {rate}, NULL, 'it asks for less mail at a time')"
    );
    ask(world.database(), &sql);
}

/// When the hosts took each letter, in milliseconds.
fn times(world: &World) -> Vec<i64> {
    let mut times: Vec<i64> = world.truth().iter().map(|line| line.at.timestamp_millis()).collect();
    times.sort_unstable();
    times
}

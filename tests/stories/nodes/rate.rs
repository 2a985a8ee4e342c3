//! A rate that workers share, as their hosts see it.

use super::node::{Kind, Node};
use crate::engine::Engine;
use crate::world::World;
use rebound_sandbox::Settings;
use std::time::Duration;

/// Messages per second of all together.
const RATE: usize = 100;

const KIND: Kind = Kind { relay: "per_second = 100\nconnections = 16", waits: None };

/// The goal speaks of any ten seconds.
const WINDOW: i64 = 10_000;

const MOST: usize = 8;

#[tokio::test]
async fn workers_that_come_and_go_keep_a_rate_together() {
    let world = World::forgetful(Engine::Postgres.database(), Settings::default(), "").await;
    let everybody: Vec<String> = (0..10_000).map(|place| format!("p{place}@orchard.sandbox.test")).collect();
    world.import(&format!("email\n{}\n", everybody.join("\n"))).await;
    world.launch("Spring").await;
    // One that hangs for a moment; seven more come; two are killed; all but one go.
    let mut nodes = vec![Node::beside(&world, 0, KIND)];
    tokio::time::sleep(Duration::from_secs(4)).await;
    nodes[0].hang().await;
    tokio::time::sleep(Duration::from_millis(450)).await;
    nodes[0].come_back().await;
    for number in 1..MOST {
        nodes.push(Node::beside(&world, number, KIND));
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    for _ in 0..2 {
        nodes.remove(0).kill().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    while nodes.len() > 1 {
        nodes.remove(0).stop().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut times: Vec<i64> = world.truth().iter().map(|line| line.at.timestamp_millis()).collect();
    times.sort_unstable();
    let most = (0..times.len()).map(|from| in_window(&times[from..])).max().unwrap();
    let seconds = (times[times.len() - 1] - times[0]) / 1000;
    eprintln!("{} letters in {seconds} s; in any ten seconds {most} at most, of {}", times.len(), RATE * 10);
    assert!(most <= RATE * 10 * 102 / 100, "{most} in ten seconds");
    assert!(times.len() > RATE * 20 * 8 / 10, "the rate is used: {}", times.len());
}

/// How many come within ten seconds of the first.
pub(super) fn in_window(times: &[i64]) -> usize {
    times.partition_point(|time| *time < times[0] + WINDOW)
}

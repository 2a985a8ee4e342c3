//! Workers that lose the relay, each its own.

use super::node::{Kind, Node};
use crate::engine::Engine;
use crate::postgres::ask;
use crate::world::{World, until};
use rebound_sandbox::Settings;
use std::time::Duration;

const SLOW: Kind = Kind { relay: "connections = 4", waits: None };

#[tokio::test]
async fn a_campaign_waits_only_while_no_worker_can_send() {
    let world = World::forgetful(Engine::Postgres.database(), Settings::default(), "").await;
    let everybody: Vec<String> = (0..1_500).map(|place| format!("p{place}@orchard.sandbox.test")).collect();
    world.import(&format!("email\n{}\n", everybody.join("\n"))).await;
    let hosts = || Settings { latency: Duration::from_millis(60), ..Settings::default() };
    let mut first = Node::start(&world, 0, hosts(), SLOW).await;
    let mut second = Node::start(&world, 1, hosts(), SLOW).await;
    world.launch("Spring").await;
    until("both send", async || (first.accepted().min(second.accepted()) > 20).then_some(())).await;

    first.lose_hosts();
    until("it says that it cannot send", async || (able(&world) == ["node1"]).then_some(())).await;
    let before = second.accepted();
    until("the second goes on alone", async || {
        assert_eq!(world.status("Spring").await["state"], "sending");
        (second.accepted() > before + 200).then_some(())
    })
    .await;

    second.lose_hosts();
    let status = world.reaches("Spring", "waiting").await;
    assert!(status["reason"].as_str().unwrap().contains("cannot be reached"), "{status}");
    first.find_hosts(hosts()).await;
    world.reaches("Spring", "sent").await;
    assert_eq!(able(&world), ["node0"]);
    let ledger = world.ledger("Spring").await;
    assert!(ledger.len() == everybody.len() && ledger.values().all(|line| line.state == "accepted"));
}

/// The nodes whose workers can send.
fn able(world: &World) -> Vec<String> {
    let names = ask(world.database(), "SELECT split_part(name, '.', 1) FROM workers WHERE can_send ORDER BY 1");
    names.lines().map(str::to_owned).collect()
}

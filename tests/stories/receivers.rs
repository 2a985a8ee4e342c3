//! Hosts that do not behave: what they lose, mumble or make up harms nobody but themselves.

use crate::crash::nobody_is_lost_or_bothered;
use crate::engine::{Engine, on_both_engines};
use crate::world::{Line, World, people, until};
use rebound_sandbox::Settings;
use std::time::Duration;

on_both_engines! {
    what_gets_lost_is_in_doubt_by_name_and_sent_again,
    a_host_that_replies_wrongly_holds_up_nobody_else,
}

async fn what_gets_lost_is_in_doubt_by_name_and_sent_again(engine: Engine) {
    let hosts = Settings { slowness: Duration::from_millis(200), ..Settings::default() };
    let world = World::with(engine, hosts, "connections = 4").await;
    let lossy = ["loses", "loses-answer", "mumbles"];
    let others: Vec<String> = lossy
        .into_iter()
        .chain(["tarpit"])
        .flat_map(|host| (1..=3).map(move |number| format!("{host}-{number}@sandbox.test")))
        .collect();
    world.import(&people(20, &others.iter().map(String::as_str).collect::<Vec<_>>())).await;

    world.send("Spring").await;

    let ledger = world.ledger("Spring").await;
    let is_lossy = |line: &&Line| lossy.iter().any(|host| line.recipient.starts_with(&format!("{host}-")));
    assert!(ledger.values().filter(is_lossy).all(|line| line.in_doubt == 1), "{ledger:?}");
    assert_eq!(ledger.values().map(|line| line.in_doubt).sum::<i64>(), 9, "{ledger:?}");
    assert!(ledger.values().all(|line| line.state == "accepted"), "{ledger:?}");
    nobody_is_lost_or_bothered(ledger.into_values(), &world.truth(), 32);
}

async fn a_host_that_replies_wrongly_holds_up_nobody_else(engine: Engine) {
    // One line, so that a reply out of its turn would meet the next recipient.
    let world = World::with(engine, Settings::default(), "connections = 1").await;
    let wrong = ["garbage@sandbox.test", "nines@sandbox.test", "early@sandbox.test"];
    let gone = ["gone-1@sandbox.test", "spam-1@sandbox.test", "gone-2@sandbox.test", "early-2@sandbox.test"];
    world.import(&people(20, &[wrong.as_slice(), gone.as_slice()].concat())).await;

    world.launch("Spring").await;

    // One whose line was in use before goes at once over another, and waits then.
    let ledger = until("everybody else has it, and these wait", async || {
        let ledger = world.ledger("Spring").await;
        let open = || ledger.values().filter(|line| !["accepted", "bounced"].contains(&line.state.as_str()));
        (open().count() == 4 && open().all(|line| line.state == "planned")).then_some(ledger)
    })
    .await;
    for (recipient, line) in &ledger {
        let expected = match recipient.split(['-', '@']).next().unwrap() {
            "garbage" | "nines" | "early" => "planned",
            "gone" | "spam" => "bounced",
            _ => "accepted",
        };
        assert_eq!(line.state, expected, "{recipient}");
        assert_eq!(line.in_doubt, 0, "{recipient}: nothing was handed over");
    }
    assert_eq!(world.sandbox.accepted(), 20, "everybody once");
}

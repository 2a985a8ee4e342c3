//! Mailboxes that are full for a while, and for ever. Time runs 14,400 times faster here: four hours a second.

use crate::engine::{Engine, on_both_engines};
use crate::world::World;
use chrono::TimeDelta;
use rebound_sandbox::Settings;

on_both_engines! {
    a_full_mailbox_gets_its_letter_when_it_is_emptied_and_is_given_up_when_it_is_not,
}

const FASTER: f64 = 14_400.0;

async fn a_full_mailbox_gets_its_letter_when_it_is_emptied_and_is_given_up_when_it_is_not(engine: Engine) {
    let world = World::with(engine, Settings { faster: FASTER, ..Settings::default() }, "").await;
    world.import("email\nemptied@sandbox.test\nfull@sandbox.test\nada@sandbox.test\n").await;

    world.send("Spring").await;

    let ledger = world.ledger("Spring").await;
    let (emptied, full) = (&ledger["emptied@sandbox.test"], &ledger["full@sandbox.test"]);
    assert_eq!(emptied.state, "accepted");
    assert!(emptied.attempts > 1, "it was full at first");
    assert_eq!(world.subjects("emptied@sandbox.test"), ["Spring"], "it came once");
    assert_eq!((full.state.as_str(), full.verdict.as_deref()), ("bounced", Some("mailbox_full")));
    let hours = tried_for(&world, "full@sandbox.test");
    assert!((72..96).contains(&hours), "it was tried for 72 hours: {hours}");
    assert!((4..16).contains(&full.attempts), "with growing gaps: {} tries", full.attempts);
    assert_eq!(ledger["ada@sandbox.test"].attempts, 1);

    let browser = world.browser().await;
    assert!(browser.text("/suppressions").await.contains("Every contact can be reached"), "one time is no time");
    assert!(browser.text("/bounces").await.contains("full@sandbox.test"));
}

/// From the first try at `recipient` to the last, in hours of the product's time.
fn tried_for(world: &World, recipient: &str) -> i64 {
    let tries: Vec<_> =
        world.truth().into_iter().filter(|line| line.recipient == recipient).map(|line| line.at).collect();
    let passed: TimeDelta = *tries.last().unwrap() - tries[0];
    // A try is noted a moment after it was made; two minutes of ours are half an hour there.
    (passed.num_milliseconds() * 14_400 + 1_800_000) / 3_600_000
}

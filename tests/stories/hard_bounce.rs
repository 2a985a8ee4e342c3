//! Mailboxes that are gone.

use crate::engine::{Engine, on_both_engines};
use crate::world::World;

on_both_engines! {
    a_contact_whose_mailbox_is_gone_is_written_to_once,
    a_report_that_comes_later_says_the_same,
}

async fn a_contact_whose_mailbox_is_gone_is_written_to_once(engine: Engine) {
    let world = World::start(engine).await;
    world.import("email\ngone@sandbox.test\nada@sandbox.test\n").await;

    world.send("Spring").await;
    world.send("Summer").await;

    assert_eq!(world.subjects("ada@sandbox.test"), ["Spring", "Summer"]);
    let tries = world.truth().into_iter().filter(|line| line.recipient == "gone@sandbox.test");
    assert_eq!(tries.count(), 1, "written to once");
    let spring = &world.ledger("Spring").await["gone@sandbox.test"];
    assert_eq!((spring.state.as_str(), spring.verdict.as_deref()), ("bounced", Some("mailbox_unknown")));
    let suppressions = world.browser().await.text("/suppressions").await;
    assert!(suppressions.contains("gone@sandbox.test"), "{suppressions}");
    assert!(!suppressions.contains("ada@sandbox.test"), "{suppressions}");
}

async fn a_report_that_comes_later_says_the_same(engine: Engine) {
    let world = World::start(engine).await;
    world.import("email\ngone-report@sandbox.test\nada@sandbox.test\n").await;

    world.send("Spring").await;
    world.becomes("Spring", "gone-report@sandbox.test", "bounced").await;
    world.send("Summer").await;

    assert_eq!(world.subjects("gone-report@sandbox.test"), ["Spring"]);
    assert_eq!(world.subjects("ada@sandbox.test"), ["Spring", "Summer"]);
    let browser = world.browser().await;
    assert!(browser.text("/suppressions").await.contains("gone-report@sandbox.test"));
    assert!(browser.text("/bounces").await.contains("gone-report@sandbox.test"));
}

//! Sending again to exactly those who did not get it, after the message was made lighter.

use crate::engine::{Engine, on_both_engines};
use crate::pages::text_of;
use crate::world::World;

on_both_engines! {
    only_those_whose_message_was_too_large_get_the_lighter_one,
}

async fn only_those_whose_message_was_too_large_get_the_lighter_one(engine: Engine) {
    let world = World::start(engine).await;
    world.import("email\nlarge@sandbox.test\ngone@sandbox.test\nada@sandbox.test\n").await;
    world.send("Spring").await;
    assert_eq!(world.ledger("Spring").await["large@sandbox.test"].verdict.as_deref(), Some("message_too_large"));

    // The marketer finds why, makes the light version, and sends it; each button is pressed twice.
    let browser = world.browser().await;
    let bounces = browser.text("/campaigns/1/bounces").await;
    assert!(bounces.contains("Send a lighter version to 1"), "{bounces}");
    let form = "/campaigns/1/resend?cause=message_too_large";
    for _ in 0..2 {
        let fields = [("cause", "message_too_large"), ("version", "light")];
        let (status, page) = browser.press(form, "/campaigns/1/resend", &fields).await;
        let draft = text_of(&page);
        assert!(status.is_success() && draft.contains("1 person who did not get it"), "{status}: {draft}");
        assert!(draft.contains("Text alone"), "{draft}");
    }
    for _ in 0..2 {
        let (status, page) = browser.press("/campaigns/2", "/campaigns/2/launch", &[]).await;
        assert!(status.is_success(), "{status}: {}", text_of(&page));
    }
    world.reaches("Spring, again 1", "sent").await;

    // It went to nobody else, as a message of its own; the first campaign leads to it.
    let (first, again) = (world.ledger("Spring").await, world.ledger("Spring, again 1").await);
    assert_eq!(again.keys().collect::<Vec<_>>(), ["large@sandbox.test"]);
    assert_ne!(first["large@sandbox.test"].message_id, again["large@sandbox.test"].message_id);
    assert_eq!(world.subjects("ada@sandbox.test"), ["Spring"], "who has it gets it once");
    assert!(world.subjects("gone@sandbox.test").is_empty());
    assert!(browser.text("/campaigns/1").await.contains("Sent again: Spring, again 1"));

    // A test is real mail, and no part of any campaign.
    world.create("Summer").await;
    let (status, page) = browser.press("/campaigns/3", "/campaigns/3/test", &[("to", "me@sandbox.test")]).await;
    assert!(status.is_success() && page.contains("me@sandbox.test: the relay took it"), "{status}: {}", text_of(&page));
    assert_eq!(world.subjects("me@sandbox.test"), ["[Test] Summer"]);
    assert!(world.ledger("Summer").await.is_empty());
}

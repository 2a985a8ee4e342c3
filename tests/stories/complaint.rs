//! Somebody presses "report spam".

use crate::engine::{Engine, on_both_engines};
use crate::smtp::{Talk, complaint};
use crate::world::{World, people, until};
use rebound_sandbox::Settings;

on_both_engines! {
    a_complaint_stops_the_next_letter_though_it_is_queued,
    who_complains_of_one_campaign_is_left_out_of_the_next,
}

/// She comes last in every campaign.
const ZOE: &str = "zoe@sandbox.test";

async fn a_complaint_stops_the_next_letter_though_it_is_queued(engine: Engine) {
    let world = World::with(engine, Settings::default(), "per_second = 8\nconnections = 2").await;
    world.import(&people(100, &[ZOE])).await;
    world.import_to("Friends", &format!("email\n{ZOE}\n")).await;
    world.create_to("Friends", "Spring").await;
    world.rebound(&["campaign", "launch", "Spring"]).await;
    let letter = world.letter(ZOE).await;
    world.launch("Summer").await;
    until("Zoe's letter is queued, behind others", async || {
        (world.sandbox.accepted() > 4).then_some(())?;
        ["planned", "leased"].contains(&world.state("Summer", ZOE).await.as_str()).then_some(())
    })
    .await;

    let report = complaint(ZOE, &letter.message_id);
    let reply = Talk::with(world.bounces).await.hand_over(&world.return_path(ZOE), &report).await;
    assert!(reply.starts_with("250"), "{reply}");

    let status = world.reaches("Summer", "sent").await;
    assert_eq!(world.state("Summer", ZOE).await, "suppressed");
    assert_eq!(world.subjects(ZOE), ["Spring"], "nothing more came");
    assert_eq!((&status["deliveries"]["accepted"], &status["deliveries"]["suppressed"]), (&100.into(), &1.into()));
    let suppressions = world.browser().await.text("/suppressions?reason=complaint").await;
    assert!(suppressions.contains(ZOE), "{suppressions}");
}

async fn who_complains_of_one_campaign_is_left_out_of_the_next(engine: Engine) {
    let world = World::start(engine).await;
    world.import("email\ncomplains@sandbox.test\nada@sandbox.test\n").await;
    world.send("Spring").await;
    let browser = world.browser().await;
    until("the complaint is known", async || {
        browser.text("/suppressions").await.contains("complains@sandbox.test").then_some(())
    })
    .await;

    world.send("Summer").await;

    assert_eq!(world.subjects("complains@sandbox.test"), ["Spring"]);
    assert_eq!(world.state("Spring", "complains@sandbox.test").await, "accepted", "it did arrive");
}

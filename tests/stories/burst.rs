//! A relay that was set up wrongly answers `550 5.1.1` to everyone.

use crate::engine::{Engine, on_both_engines};
use crate::world::{World, people};
use rebound_sandbox::{Event, Sandbox, Settings};

on_both_engines! {
    one_answer_for_everyone_stops_the_campaign_and_blames_nobody,
}

async fn one_answer_for_everyone_stops_the_campaign_and_blames_nobody(engine: Engine) {
    let wrong = Some("550 5.1.1 No such user here".to_owned());
    let mut world = World::with(engine, Settings { answer_all: wrong, ..Settings::default() }, "").await;
    world.import(&people(500, &[])).await;

    world.launch("Spring").await;
    let status = world.reaches("Spring", "waiting").await;

    let refused = world.truth().into_iter().filter(|line| line.event == Event::Refused).count();
    assert!(refused <= 50, "it stops within 50 messages: {refused}");
    assert!(status["reason"].as_str().unwrap().contains("550 5.1.1 No such user here"), "it says why: {status}");
    let browser = world.browser().await;
    let incidents = browser.get("/incidents").await.1;
    assert_eq!(
        incidents.matches("<td role=\"cell\"><span class=\"state s-soft\">Open").count(),
        1,
        "one incident: {incidents}"
    );
    let incident = browser.text("/incidents/1").await;
    assert!(incident.contains("“Spring” waits, and no address is judged by it"), "{incident}");
    assert!(browser.text("/suppressions").await.contains("Every contact can be reached"));

    // The relay is mended: here, another one takes its place.
    let mended = Sandbox::start(Settings::default()).await.unwrap();
    world.stop().await;
    world.configure(mended.address(), "");
    world.serve().await;
    assert_eq!(world.status("Spring").await["state"], "waiting", "it waits for a person");
    let (status, page) = browser.press("/incidents/1", "/campaigns/1/resume", &[]).await;
    assert!(status.is_success(), "{status}: {page}");

    let status = world.reaches("Spring", "sent").await;
    assert_eq!(mended.accepted(), 500 - u64::try_from(refused).unwrap(), "{status}");
    assert!(browser.text("/incidents").await.contains("Over"));
    world.send("Summer").await;
    assert_eq!(world.status("Summer").await["deliveries"]["accepted"], 500, "nobody was lost");
}

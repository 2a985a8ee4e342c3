//! The relay is not there, or does not let us in.

use crate::engine::{Engine, on_both_engines};
use crate::program::free_port;
use crate::world::World;
use rebound_sandbox::{Sandbox, Settings};

on_both_engines! {
    a_campaign_waits_for_the_relay_says_so_and_goes_on_by_itself,
    a_wrong_password_is_told_and_not_shown,
}

async fn a_campaign_waits_for_the_relay_says_so_and_goes_on_by_itself(engine: Engine) {
    let mut world = World::asleep(engine.database(), Settings::default(), "").await;
    let relay = free_port();
    world.configure(relay, "");
    world.serve().await;
    world.import("email\nada@sandbox.test\nbo@sandbox.test\n").await;

    world.launch("Spring").await;
    let status = world.reaches("Spring", "waiting").await;

    let reason = status["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("{relay} cannot be reached")) && reason.contains("by itself"), "{reason}");
    let page = world.browser().await.text("/campaigns/1").await;
    assert!(page.contains("cannot be reached"), "the page says it too: {page}");
    let doctor = world.run(&["doctor"]).await;
    assert!(!doctor.well && doctor.out.contains("WRONG relay"), "{}", doctor.out);

    let sandbox = Sandbox::start(Settings { listen: relay, ..Settings::default() }).await.unwrap();
    world.reaches("Spring", "sent").await;
    assert_eq!(sandbox.accepted(), 2);
    let ledger = world.ledger("Spring").await;
    assert!(ledger.values().all(|line| line.attempts == 1), "a relay that is away is no try: {ledger:?}");
}

async fn a_wrong_password_is_told_and_not_shown(engine: Engine) {
    let login = Some(("news".to_owned(), "right-password".to_owned()));
    let mut world =
        World::with(engine, Settings { login, ..Settings::default() }, "user = 'news'\npassword = 'wrong-password'")
            .await;
    world.import("email\nada@sandbox.test\n").await;

    world.launch("Spring").await;
    let status = world.reaches("Spring", "waiting").await;

    let reason = status["reason"].as_str().unwrap();
    assert!(reason.contains("refused the login") && reason.contains("credentials invalid"), "{reason}");
    let doctor = world.run(&["doctor"]).await;
    for text in [reason, &doctor.out, &doctor.err, &world.printed(), &world.log()] {
        assert!(!text.contains("wrong-password"), "a password is never shown: {text}");
    }

    world.stop().await;
    world.configure(world.sandbox.address(), "user = 'news'\npassword = 'right-password'");
    world.serve().await;
    world.reaches("Spring", "sent").await;
}

//! A campaign, from the CSV file to the mailbox.

use crate::engine::{Engine, on_both_engines};
use crate::world::{World, people, until};
use mail_parser::{HeaderName, MessageParser};
use rebound_sandbox::Settings;

on_both_engines! {
    everyone_on_the_list_gets_a_letter_of_their_own,
    a_letter_carries_what_mail_programs_ask_for,
    launching_twice_adds_nothing,
    a_campaign_is_paused_goes_on_and_is_cancelled,
}

const PEOPLE: &str = include_str!("../fixtures/people.csv");
const SPRING: &str = include_str!("../fixtures/spring.toml");

async fn everyone_on_the_list_gets_a_letter_of_their_own(engine: Engine) {
    let world = World::start(engine).await;
    assert!(world.import(PEOPLE).await.starts_with("3 new"));
    let file = world.write("spring.toml", SPRING);
    world.rebound(&["campaign", "create", file.to_str().unwrap()]).await;

    world.rebound(&["campaign", "launch", "Spring bulbs"]).await;
    let status = world.reaches("Spring bulbs", "sent").await;

    assert_eq!(status["deliveries"]["accepted"], 3);
    assert_eq!(world.subjects("ada@sandbox.test"), ["Ada, the bulbs are in"]);
    assert_eq!(world.subjects("bo@sandbox.test"), ["Gardener, the bulbs are in"], "the default stands in");
    let ledger = world.ledger("Spring bulbs").await;
    for (recipient, line) in &ledger {
        let letter = world.letter(recipient).await;
        assert_eq!((line.state.as_str(), line.attempts, &line.verdict), ("accepted", 1, &None));
        assert_eq!(letter.message_id, line.message_id, "the ledger knows which letter that was");
    }
}

async fn a_letter_carries_what_mail_programs_ask_for(engine: Engine) {
    let world = World::start(engine).await;
    world.import(PEOPLE).await;
    let file = world.write("spring.toml", SPRING);
    world.rebound(&["campaign", "create", file.to_str().unwrap()]).await;

    world.rebound(&["campaign", "launch", "Spring bulbs"]).await;
    let letter = world.letter("ada@sandbox.test").await;

    let message = MessageParser::new().parse(&letter.raw).unwrap();
    let header =
        |name: &str| message.header_raw(HeaderName::from(name.to_owned())).unwrap_or_default().trim().to_owned();
    let link = header("List-Unsubscribe");
    let link = link.trim_matches(['<', '>']);
    assert!(link.starts_with(&format!("http://{}/u/", world.pages)), "{link}");
    assert_eq!(header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    assert!(header("List-ID").contains("bounce.fernhill.test"));
    assert!(header("Feedback-ID").split(':').count() == 4, "{}", header("Feedback-ID"));
    assert_eq!(message.reply_to().and_then(|to| to.first()?.address()), Some("hello@fernhill.test"));
    for body in [message.body_text(0).unwrap(), message.body_html(0).unwrap()] {
        let body = body.replace("&#x2f;", "/").replace("&amp;", "&");
        assert!(body.contains("Ada") && body.contains("Paris & Lyon"), "{body}");
        assert!(body.contains(link) && body.contains("1 Garden Row"), "the footer is there: {body}");
    }
    let from = &world.truth().into_iter().find(|line| line.recipient == "ada@sandbox.test").unwrap().sender;
    assert!(from.starts_with("b.") && from.ends_with("@bounce.fernhill.test"), "bounces find their way: {from}");
}

async fn launching_twice_adds_nothing(engine: Engine) {
    let world = World::start(engine).await;
    world.import(PEOPLE).await;
    world.send("Spring").await;

    world.rebound(&["campaign", "launch", "Spring"]).await;
    world.import("email\nnew@sandbox.test\n").await;
    world.send("Summer").await;

    assert_eq!(world.subjects("ada@sandbox.test"), ["Spring", "Summer"]);
    assert_eq!(world.subjects("new@sandbox.test"), ["Summer"], "who joins later is not written to");
    assert_eq!(world.ledger("Spring").await.len(), 3);
}

async fn a_campaign_is_paused_goes_on_and_is_cancelled(engine: Engine) {
    let world = World::with(engine, Settings::default(), "per_second = 12\nconnections = 2").await;
    world.import(&people(600, &[])).await;
    world.launch("Spring").await;
    until("the first letters", async || (world.sandbox.accepted() >= 3).then_some(())).await;

    world.rebound(&["campaign", "pause", "Spring"]).await;
    let paused = settled(&world).await;
    assert!(paused < 600, "some are left");
    assert_eq!(world.status("Spring").await["state"], "paused");

    world.rebound(&["campaign", "resume", "Spring"]).await;
    until("more letters", async || (world.sandbox.accepted() > paused).then_some(())).await;

    world.rebound(&["campaign", "cancel", "Spring"]).await;
    let sent = settled(&world).await;
    until("the rest is cancelled", async || {
        let status = world.status("Spring").await;
        (status["deliveries"]["cancelled"].as_u64() == Some(600 - sent)).then_some(())
    })
    .await;
    let status = world.status("Spring").await;
    assert_eq!((&status["state"], status["deliveries"]["accepted"].as_u64()), (&"cancelled".into(), Some(sent)));
    let again = world.run(&["campaign", "resume", "Spring"]).await;
    assert!(!again.well, "cancelled is for good: {}", again.out);
    let unknown = world.run(&["campaign", "launch", "Autumn"]).await;
    assert!(unknown.err.contains("Autumn") && unknown.err.contains("campaign list"), "{}", unknown.err);
    assert!(world.rebound(&["campaign", "list"]).await.contains("cancelled  Spring"));
}

/// How many letters there are once nothing is on its way any more.
async fn settled(world: &World) -> u64 {
    until("nothing is on its way", async || {
        let deliveries = &world.status("Spring").await["deliveries"];
        let moving = deliveries["leased"].as_u64()? + deliveries["handing_over"].as_u64()?;
        (moving == 0).then_some(())
    })
    .await;
    world.sandbox.accepted()
}

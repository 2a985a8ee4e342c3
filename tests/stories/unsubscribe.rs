//! People leave by the link in a letter.

use crate::engine::{Engine, on_both_engines};
use crate::pages::{Browser, text_of};
use crate::world::{World, people};
use mail_parser::{HeaderName, MessageParser};

on_both_engines! {
    one_click_is_enough_and_opening_the_link_changes_nothing,
    a_link_that_we_did_not_sign_moves_nobody,
}

const ADA: &str = "ada@sandbox.test";
/// She comes last in every campaign.
const ZOE: &str = "zoe@sandbox.test";

async fn one_click_is_enough_and_opening_the_link_changes_nothing(engine: Engine) {
    let mut world = World::start(engine).await;
    world.import(&people(60, &[ZOE])).await;
    world.send("Spring").await;
    let link = link(&world, ZOE).await;
    // Her next letter is queued, a quarter of a minute behind others, when she leaves.
    world.stop().await;
    world.configure(world.sandbox.address(), "per_second = 4\nconnections = 2");
    world.serve().await;
    world.launch("Summer").await;
    world.becomes("Summer", "person0@sandbox.test", "accepted").await;
    world.rebound(&["campaign", "pause", "Summer"]).await;
    let stranger = Browser::new(world.pages);

    let (status, page) = stranger.get(&link).await;
    assert!(status.is_success() && text_of(&page).contains("Unsubscribe?"), "{status} {page}");
    let browser = world.browser().await;
    assert!(!browser.text("/suppressions").await.contains(ZOE), "programs open links too");

    let (status, page) = stranger.send(&link, &[("List-Unsubscribe", "One-Click")]).await;
    assert!(status.is_success() && text_of(&page).contains("You are unsubscribed"), "{status} {page}");
    let (status, _) = stranger.send(&link, &[("List-Unsubscribe", "One-Click")]).await;
    assert!(status.is_success(), "twice is once");
    world.rebound(&["campaign", "resume", "Summer"]).await;
    world.reaches("Summer", "sent").await;

    assert_eq!(world.subjects(ZOE), ["Spring"]);
    assert_eq!(world.state("Summer", ZOE).await, "suppressed");
    assert_eq!(world.subjects("person59@sandbox.test"), ["Spring", "Summer"]);
    assert!(browser.text("/suppressions").await.contains(ZOE));
    let answer = world.import(&format!("email\n{ZOE}\n")).await;
    assert!(answer.contains("1 person left or suppressed before"), "an import brings nobody back: {answer}");
}

async fn a_link_that_we_did_not_sign_moves_nobody(engine: Engine) {
    let world = World::start(engine).await;
    world.import("email\nada@sandbox.test\n").await;
    world.send("Spring").await;
    let link = link(&world, ADA).await;
    let last = if link.ends_with('a') { 'b' } else { 'a' };
    let forged = format!("{}{last}", &link[..link.len() - 1]);
    let stranger = Browser::new(world.pages);

    let (status, _) = stranger.send(&forged, &[("List-Unsubscribe", "One-Click")]).await;
    assert_eq!(status, 404);
    let (status, _) = stranger.send(&link, &[("something", "else")]).await;
    assert_eq!(status, 400, "not every POST is a wish to leave");

    world.send("Summer").await;
    assert_eq!(world.subjects(ADA), ["Spring", "Summer"]);
}

/// The link in somebody's first letter.
pub(crate) async fn link(world: &World, recipient: &str) -> String {
    let letter = world.letter(recipient).await;
    let message = MessageParser::new().parse(&letter.raw).unwrap();
    let header = message.header_raw(HeaderName::from("List-Unsubscribe".to_owned())).unwrap();
    header.trim().trim_matches(['<', '>']).to_owned()
}

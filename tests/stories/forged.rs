//! Somebody who is no host of ours says that a mailbox is gone.

use crate::engine::{Engine, on_both_engines};
use crate::smtp::{Talk, bounce};
use crate::world::World;

on_both_engines! {
    a_forged_bounce_changes_nothing,
    the_same_bounce_counts_where_we_signed_for_it,
}

const ADA: &str = "ada@sandbox.test";

async fn a_forged_bounce_changes_nothing(engine: Engine) {
    let world = World::start(engine).await;
    world.import("email\nada@sandbox.test\n").await;
    world.send("Spring").await;
    let letter = world.letter(ADA).await;
    let (genuine, report) = (world.return_path(ADA), bounce(ADA, &letter.message_id));
    let (local, domain) = genuine.split_once('@').unwrap();
    let last = if local.ends_with('a') { 'b' } else { 'a' };
    let wrong = format!("{}{last}@{domain}", &local[..local.len() - 1]);

    for to in ["ada@bounce.fernhill.test", "postmaster@elsewhere.test", "b.a.b.c.d@bounce.fernhill.test", &wrong] {
        let reply = Talk::with(world.bounces).await.hand_over(to, &report).await;
        assert!(reply.starts_with("550"), "{to}: {reply}");
    }
    let hearsay = world.write("hearsay.eml", bounce(ADA, "m.a.aaaa.aaaa@news.fernhill.test"));
    let answer = world.rebound(&["ingest", hearsay.to_str().unwrap()]).await;
    assert!(answer.contains("1 message kept"), "it is kept, and changes nothing: {answer}");

    assert_eq!(world.state("Spring", ADA).await, "accepted");
    let browser = world.browser().await;
    assert!(browser.text("/suppressions").await.contains("Every contact can be reached"));
    world.send("Summer").await;
    assert_eq!(world.subjects(ADA), ["Spring", "Summer"]);
}

async fn the_same_bounce_counts_where_we_signed_for_it(engine: Engine) {
    let world = World::start(engine).await;
    world.import("email\nada@sandbox.test\nbo@sandbox.test\ncleo@sandbox.test\n").await;
    world.send("Spring").await;
    let ada = bounce(ADA, &world.letter(ADA).await.message_id);
    let bo = bounce("bo@sandbox.test", &world.letter("bo@sandbox.test").await.message_id);

    // One comes to the return path, the other in a file, with our letter in it.
    let reply = Talk::with(world.bounces).await.hand_over(&world.return_path(ADA), &ada).await;
    assert!(reply.starts_with("250"), "{reply}");
    let file = world.write("bounce.eml", bo);
    world.rebound(&["ingest", file.to_str().unwrap()]).await;
    world.rebound(&["ingest", file.to_str().unwrap()]).await;

    for recipient in [ADA, "bo@sandbox.test"] {
        world.becomes("Spring", recipient, "bounced").await;
    }
    world.send("Summer").await;
    assert_eq!(world.subjects(ADA), ["Spring"]);
    assert_eq!(world.subjects("cleo@sandbox.test"), ["Spring", "Summer"]);
}

//! Work that takes long, and programs that are killed in it.

use crate::engine::{Engine, on_both_engines};
use crate::pages::Browser;
use crate::program;
use crate::world::{LIST, World, people, until};
use rebound_sandbox::Settings;

on_both_engines! {
    an_import_whose_program_is_killed_is_ended_by_another,
}

async fn an_import_whose_program_is_killed_is_ended_by_another(engine: Engine) {
    let world = World::start(engine).await;
    let browser = world.browser().await;
    let file = world.write("people.csv", people(40_000, &["not an address"]));
    let mut import = program::start(world.folder(), &[], &["import", file.to_str().unwrap(), "--list", LIST]);
    until("the import is under way", async || browser.text("/imports").await.contains("Under way").then_some(())).await;

    import.kill().await.unwrap();

    let text = until("another process ends it", async || {
        Some(browser.text("/imports/1").await).filter(|text| text.contains("Finished"))
    })
    .await;
    for said in ["40,000 people are in", "40,001 rows", "1 row needs"] {
        assert!(text.contains(said) && !text.contains("so far"), "{said} is not in: {text}");
    }
}

#[tokio::test]
async fn a_campaign_under_way_moves_to_postgresql_and_goes_on() {
    let mut world = World::with(Engine::Sqlite, Settings::default(), "per_second = 100").await;
    world.import(&people(400, &["gone@sandbox.test"])).await;
    world.launch("Spring").await;
    until("some have it", async || (world.truth().len() > 50).then_some(())).await;
    let url = Engine::nothing();
    let busy = world.run(&["migrate", "--to", &url]).await;
    assert!(!busy.well && busy.err.contains("stop"), "{}", busy.err);

    world.stop().await;
    let said = world.rebound(&["migrate", "--to", &url]).await;
    assert!(said.contains("each compared with its copy"), "{said}");
    world.moved_to(&url);
    world.serve().await;

    world.reaches("Spring", "sent").await;
    assert_eq!(world.ledger("Spring").await.len(), 401);
    for number in 0..400 {
        assert_eq!(world.subjects(&format!("person{number}@sandbox.test")), ["Spring"], "person{number}");
    }
    assert_eq!(world.state("Spring", "gone@sandbox.test").await, "bounced");
    let browser = Browser::signed_in(&world).await;
    let text = browser.text("/jobs").await;
    assert!(
        text.contains("Move from SQLite to PostgreSQL") && text.contains("each compared with the old one"),
        "{text}"
    );
}

//! A world with something to see on every page.

use crate::chromium::Chromium;
use crate::engine::Engine;
use crate::journey;
use crate::pages::follow;
use crate::world::{LIST, World, people, until};

/// Some whose hosts take everything, some who cannot be reached, and why; then two rows that are no people.
const OTHERS: [&str; 14] = [
    "ada@sandbox.test",
    "gone@sandbox.test",
    "full@sandbox.test",
    "spam@sandbox.test",
    "large@sandbox.test",
    "unexplained@sandbox.test",
    "moved@sandbox.test",
    "inactive@sandbox.test",
    "complains@sandbox.test",
    "forwards@sandbox.test",
    "away@sandbox.test",
    "grey@sandbox.test",
    "not an address",
    "nobody@@sandbox.test",
];

/// A world in which people were imported, a campaign was sent, and some of it came back; its owner has signed in.
pub(crate) async fn world(engine: Engine) -> (World, Chromium) {
    let world = World::start(engine).await;
    let browser = Chromium::signed_in(&world).await;
    browser.open("/suppressions").await;
    browser.write("Addresses, one to a line", "asked-by-phone@sandbox.test").await;
    browser.press("Suppress them").await;
    browser.sees("1 address suppressed").await;
    // A host that blocks our server: after a few such answers mail to it rests.
    let blocked: Vec<String> = (0..12).map(|number| format!("person{number}@blocked.sandbox.test")).collect();
    let others: Vec<&str> = OTHERS.into_iter().chain(blocked.iter().map(String::as_str)).collect();
    import(&world, &browser, LIST, &people(20, &others)).await;
    world.launch("Spring").await;
    for recipient in ["gone@sandbox.test", "forwards@sandbox.test"] {
        world.becomes("Spring", recipient, "bounced").await;
    }
    until("a provider that rests is shown", async || {
        browser.open("/settings").await;
        browser.text().await.contains("blocked.sandbox.test").then_some(())
    })
    .await;
    assert_eq!(follow(&world.counted_link("ada@sandbox.test").await).await.0, 302);
    world.create("Summer").await;
    browser.open("/servers/new").await;
    browser.write("Host", "mail.fernhill.test").await;
    browser.press("Save").await;
    browser.sees("mail.fernhill.test").await;
    browser.open("/sending-domains/new").await;
    browser.write("Domain of your senders", "fernhill.test").await;
    browser.press("Add it and make keys").await;
    browser.sees("Waiting for its record").await;
    // A letter that filters take for spam: an incident, for which the campaign waits. That a host blocks us would not do: how
    // many hear it before mail rests depends on how many were under way.
    let filtered: Vec<String> = (0..60).map(|number| format!("spam-{number}@sandbox.test")).collect();
    let filtered: Vec<&str> = filtered.iter().map(String::as_str).collect();
    world.import_to("Neighbours", &people(0, &filtered)).await;
    world.create_to("Neighbours", "Autumn").await;
    world.rebound(&["campaign", "launch", "Autumn"]).await;
    world.reaches("Autumn", "waiting").await;
    journey::changes_a_policy(&browser).await;
    // A file that was looked at, and waits for somebody to say go.
    let file = world.write("more.csv", people(5, &["not an address"]));
    browser.open("/imports/new").await;
    browser.write("Name of the new list", "Friends").await;
    browser.attach("CSV file", &file).await;
    browser.press("Look at the file").await;
    browser.sees("Import into").await;
    (world, browser)
}

/// Brings a file of people onto a new list, through the page.
pub(crate) async fn import(world: &World, browser: &Chromium, list: &str, csv: &str) {
    let file = world.write("people.csv", csv);
    browser.open("/imports/new").await;
    browser.write("Name of the new list", list).await;
    browser.attach("CSV file", &file).await;
    browser.press("Look at the file").await;
    browser.press("Import into").await;
    browser.sees("Write to these people").await;
}

/// The pages that ask before something is taken back, of what people did last.
pub(crate) async fn undo_pages(browser: &Chromium) -> Vec<String> {
    browser.open("/audit?by=people&kind=suppressed").await;
    let script = "return [...document.querySelectorAll('a[href$=\"/undo\"]')].map(a => a.getAttribute('href'))";
    serde_json::from_value(browser.run(script, vec![]).await).unwrap()
}

/// The pages to which a letter leads whoever got it: leaving the list, and choosing among lists.
pub(crate) async fn letter_pages(world: &World, recipient: &str) -> [String; 2] {
    let letter = world.letter(recipient).await;
    let message = mail_parser::MessageParser::default().parse(&letter.raw).unwrap();
    let link = message.header("List-Unsubscribe").and_then(|link| link.as_address()).unwrap();
    let link = link.first().and_then(|link| link.address()).unwrap();
    [link.to_owned(), format!("{link}/preferences")]
}

//! A marketer and an owner do their whole work, from the first link to the last sign-out.

use crate::chromium::Chromium;
use crate::engine::{Engine, on_both_engines};
use crate::furnished::import;
use crate::pages::{EMAIL, PASSWORD};
use crate::world::{World, until};
use serde_json::json;

on_both_engines! {
    everything_is_done_in_the_browser,
}

const PEOPLE: &str = "email,first_name\nada@sandbox.test,Ada\ngone@sandbox.test,Bo\nlarge@sandbox.test,Cleo\n\
                      spam@sandbox.test,Dora\nfull@sandbox.test,Eli\nnot an address,Fay\nnobody@@sandbox.test,Gil\n";

async fn everything_is_done_in_the_browser(engine: Engine) {
    let world = World::start(engine).await;
    let browser = Chromium::start(&world).await;
    sets_up(&world, &browser).await;
    imports_people(&world, &browser).await;
    writes_and_sends(&world, &browser).await;
    finds_out_why_and_sends_again(&world, &browser).await;
    marks_a_verdict_wrong(&browser).await;
    lifts_and_adds_a_suppression(&browser).await;
    restores_an_incident(&world, &browser).await;
    changes_a_policy(&browser).await;
    invites_a_colleague(&world, &browser).await;
    signs_out(&browser).await;
}

/// Makes the first account, by the set-up link, and signs in.
pub(crate) async fn sets_up(world: &World, browser: &Chromium) {
    browser.open(&world.setup_link().await).await;
    browser.write("Your name", "Ines").await;
    browser.write("E-mail address", EMAIL).await;
    browser.write("Password", PASSWORD).await;
    browser.press("Make my account").await;
    browser.sign_in(EMAIL, PASSWORD).await;
    browser.sees("Sign out").await;
}

async fn imports_people(world: &World, browser: &Chromium) {
    import(world, browser, "Newsletter", PEOPLE).await;
    browser.sees("2 rows need a correction").await;
    let download = browser.find("pressable", "Download 2 rows").await.attr("href").await.unwrap().unwrap();
    let (_, rows) = browser.answer(&download).await;
    assert!(rows.contains("not an address") && rows.contains("nobody@@sandbox.test"), "{rows}");
    assert!(!rows.contains("ada@sandbox.test"), "{rows}");
}

async fn writes_and_sends(world: &World, browser: &Chromium) {
    browser.open("/campaigns/new").await;
    browser.write("Name", "Spring").await;
    browser.choose("List", "Newsletter").await;
    browser.write("Sender’s name", "Fernhill Garden").await;
    browser.write("Sender’s address", "news@fernhill.test").await;
    browser.write("Subject", "The bulbs are in").await;
    browser.write("HTML", "<p>Dear {{ first_name }}, come and see.</p>").await;
    browser.write("Postal address", "1 Garden Row, Fernhill").await;
    browser.press("Save the draft").await;
    browser.sees("Before you send").await;
    let campaign = browser.path().await;

    browser.choose("Shown as", "ada@sandbox.test").await;
    browser.press("Show").await;
    until("the page with Ada’s letter", async || browser.path().await.contains("as=").then_some(())).await;
    let letter = browser.find("frame", "Preview of the message").await.attr("src").await.unwrap().unwrap();
    browser.open(&letter).await;
    browser.sees("Dear Ada, come and see.").await;

    browser.open(&campaign).await;
    browser.write("To", "ines@sandbox.test").await;
    browser.press("Send the test").await;
    let test = world.letter("ines@sandbox.test").await;
    assert!(test.subject.contains("The bulbs are in"), "{}", test.subject);

    browser.open(&campaign).await;
    browser.press("Send to 5 people").await; // asks
    browser.sees("What has left cannot be called back").await;
    browser.press("Send to 5 people").await; // does
    browser.sees("of 5 reached").await;
    browser.run("window.here = true", vec![]).await;
    // The figures change while one looks; the page is not loaded anew.
    browser.sees("Cannot be reached 1").await;
    let here = browser.run("return window.here === true", vec![]).await;
    assert_eq!(here, json!(true), "the page was loaded anew");
    world.becomes("Spring", "gone@sandbox.test", "bounced").await;
}

async fn finds_out_why_and_sends_again(world: &World, browser: &Chromium) {
    browser.open("/campaigns/1/bounces").await;
    browser.sees("The message is over a size limit").await;
    browser.open("/contacts?q=large@sandbox.test").await;
    browser.press("Cleo").await;
    browser.sees("What happened").await;
    browser.open("/campaigns/1/resend?cause=message_too_large").await;
    browser.press("Correct the message first").await;
    browser.write("Subject", "The bulbs are in, shorter").await;
    browser.press("Save the draft").await;
    browser.press("Send to 1 person").await;
    browser.sees("goes to those who did not get the first message").await;
    browser.press("Send to 1 person").await;
    let asked = async || world.truth().into_iter().filter(|line| line.recipient == "large@sandbox.test").count();
    until("just the one is written to again", async || (asked().await >= 2).then_some(())).await;
    assert_eq!(world.subjects("ada@sandbox.test"), ["The bulbs are in"], "whoever has it gets it once");
}

async fn marks_a_verdict_wrong(browser: &Chromium) {
    browser.open("/bounces?q=gone@sandbox.test").await;
    browser.press("gone@sandbox.test").await;
    browser.press("This is wrong").await;
    browser.choose("The cause is", "B").await;
    browser.write("Why", "they wrote to us today").await;
    browser.press("See what would change").await;
    browser.press("Correct 1 bounce").await;
    browser.sees("they wrote to us today").await;
}

async fn lifts_and_adds_a_suppression(browser: &Chromium) {
    browser.open("/suppressions").await;
    browser.write("Addresses, one to a line", "eve@elsewhere.test").await;
    browser.press("Suppress them").await;
    browser.sees("eve@elsewhere.test").await;
    browser.press_field("Select eve@elsewhere.test").await;
    browser.press("Lift 1 suppression").await; // asks
    browser.sees("again, from the next campaign on").await;
    browser.press("Lift 1 suppression").await; // does
    browser.sees("1 suppression lifted").await;
    browser.open("/suppressions").await;
    assert!(!browser.text().await.contains("eve@elsewhere.test"), "it stands there still");
}

async fn restores_an_incident(world: &World, browser: &Chromium) {
    let people: String = (0..60).map(|number| format!("blocked-{number}@sandbox.test\n")).collect();
    world.import_to("Neighbours", &format!("email\n{people}")).await;
    world.create_to("Neighbours", "Autumn").await;
    world.rebound(&["campaign", "launch", "Autumn"]).await;
    // How many are refused before nothing goes there any more depends on how many were under way.
    let incident = "sandbox.test refuses our mail";
    until("an incident", async || {
        browser.open("/incidents").await;
        browser.text().await.contains(incident).then_some(())
    })
    .await;
    browser.press(incident).await;
    browser.press("Restore the contacts").await;
    let said = until("how many it touched", async || {
        let text = browser.text().await;
        let touched = text.split("Restore ").find(|part| part.starts_with(|c: char| c.is_ascii_digit()))?;
        Some(format!("Restore {}", touched.split(' ').next()?))
    })
    .await;
    let incident = browser.path().await;
    browser.run("window.before = true", vec![]).await;
    browser.press(&said).await;
    let is_new = "return window.before !== true && document.readyState === 'complete'";
    until("the page after it", async || (browser.run(is_new, vec![]).await == json!(true)).then_some(())).await;
    until("the contacts are restored", async || {
        browser.open(&incident).await;
        browser.text().await.contains("judged anew without it").then_some(())
    })
    .await;
}

/// Saves another version of the policy.
pub(crate) async fn changes_a_policy(browser: &Chromium) {
    browser.open("/policies").await;
    let field = "return document.querySelector('fieldset input[type=number]').id";
    let id = browser.run(field, vec![]).await;
    browser.run("const one = document.getElementById(arguments[0]); one.value = Number(one.value) + 1", vec![id]).await;
    browser.write("Why", "our readers are patient").await;
    browser.press("Save as version 2").await;
    browser.sees("Version 2 In force").await;
}

/// Adds a colleague; the link by which they choose their password.
pub(crate) async fn makes_a_link(browser: &Chromium) -> String {
    browser.open("/users/new").await;
    if browser.path().await.starts_with("/confirm") {
        browser.write("Password of", PASSWORD).await;
        browser.press("Go on").await;
    }
    browser.write("Name", "Bo").await;
    browser.write("E-mail address", "bo@fernhill.test").await;
    browser.press_field("marketer").await;
    browser.press("Make the link").await;
    browser.find("field", "One-time link").await.prop("value").await.unwrap().unwrap()
}

async fn invites_a_colleague(world: &World, browser: &Chromium) {
    let link = makes_a_link(browser).await;
    let other = Chromium::start(world).await;
    other.open(&link).await;
    other.write("New password", "daffodils in the rain").await;
    other.press("Choose it and sign in").await;
    if !other.text().await.contains("Sign out") {
        other.sign_in("bo@fernhill.test", "daffodils in the rain").await;
    }
    other.sees("Sign out").await;
    other.open("/users").await;
    other.sees("Your role does not allow it").await;
}

async fn signs_out(browser: &Chromium) {
    browser.open("/").await;
    browser.press("Sign out").await;
    browser.sees("Password").await;
    browser.open("/contacts").await;
    assert!(browser.path().await.starts_with("/sign-in"));
}

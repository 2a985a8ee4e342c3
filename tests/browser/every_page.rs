//! Each page there is, for everybody: whatever they see, hold or press.

use crate::chromium::Chromium;
use crate::engine::{Engine, on_both_engines};
use crate::world::{World, until};
use crate::{accessibility, furnished, journey};
use rebound_dashboard::routes;
use std::collections::BTreeSet;

/// What an address answers with.
enum Kind {
    /// A page, at these addresses.
    Page(&'static [&'static str]),
    /// A table for a spreadsheet, at this address.
    File(&'static str),
    /// Neither: a stream, or a letter inside a page.
    Else,
}

use Kind::{Else, File, Page};

/// Every address that is asked with GET, and where the furnished world has something to see there.
const PLACES: &[(&str, Kind)] = &[
    ("/assets/{file}", Else),
    ("/sign-in", Page(&["/sign-in"])),
    ("/setup/{secret}", Else), // see `the_pages_before_the_sign_in`; and `/join`
    ("/account", Page(&["/account"])),
    ("/", Page(&["/"])),
    ("/campaigns", Page(&["/campaigns"])),
    ("/campaigns/new", Page(&["/campaigns/new"])),
    ("/campaigns/{id}", Page(&["/campaigns/1", "/campaigns/2", "/campaigns/3"])),
    ("/campaigns/{id}/edit", Page(&["/campaigns/2/edit"])),
    ("/campaigns/{id}/preview", Else),
    ("/campaigns/{id}/checks", Else), // part of the page above
    ("/campaigns/{id}/launch", Page(&["/campaigns/2/launch"])),
    ("/campaigns/{id}/delete", Page(&["/campaigns/2/delete"])),
    ("/campaigns/{id}/lacking", Page(&["/campaigns/2/lacking?field=first_name"])),
    ("/campaigns/{id}/resend", Page(&["/campaigns/1/resend?cause=message_too_large"])),
    ("/campaigns/{id}/hurry", Page(&["/campaigns/1/hurry?cause=mailbox_full"])),
    ("/campaigns/{id}/doubts", Page(&["/campaigns/1/doubts"])),
    ("/campaigns/{id}/cancel", Page(&["/campaigns/1/cancel"])),
    ("/campaigns/{id}/bounces", Page(&["/campaigns/1/bounces"])),
    ("/campaigns/{id}/recipients", Page(&["/campaigns/1/recipients"])),
    ("/campaigns/{id}/links", Page(&["/campaigns/1/links", "/campaigns/3/links"])),
    ("/campaigns/{id}/progress", Else),
    ("/contacts", Page(&["/contacts", "/contacts?q=nobody-has-this"])),
    ("/contacts/{id}", Page(&["/contacts/1", "/contacts/22"])),
    ("/contacts/{id}/edit", Page(&["/contacts/1/edit"])),
    ("/lists", Page(&["/lists"])),
    ("/lists/{id}", Page(&["/lists/1"])),
    ("/lists/{id}/delete", Page(&["/lists/1/delete"])),
    ("/lists/{id}/export", File("/lists/1/export")),
    ("/imports", Page(&["/imports"])),
    ("/imports/new", Page(&["/imports/new"])),
    ("/imports/{id}", Page(&["/imports/1", "/imports/3"])),
    ("/imports/{id}/progress", Else),
    ("/imports/{id}/bad-rows", File("/imports/1/bad-rows")),
    ("/classify", Page(&["/classify"])),
    ("/jobs", Page(&["/jobs"])),
    ("/jobs/progress", Else),
    ("/jobs/{id}", Else), // that of an import or an incident; see `the_page_of_a_move_serves_everybody`
    ("/jobs/{id}/cancel", Page(&["/jobs/3/cancel"])),
    ("/suppressions", Page(&["/suppressions"])),
    ("/suppressions/export", File("/suppressions/export")),
    ("/bounces", Page(&["/bounces"])),
    ("/bounces/{id}", Page(&["/bounces/1"])),
    ("/bounces/{id}/rule", Page(&["/bounces/1/rule"])),
    ("/api/v1/campaigns/{id}/preflight", Else),
    ("/incidents", Page(&["/incidents"])),
    ("/incidents/{id}", Page(&["/incidents/1"])),
    ("/policies", Page(&["/policies"])),
    ("/policies/effect", Page(&["/policies/effect"])),
    ("/policies/versions/{version}", Page(&["/policies/versions/2"])),
    ("/settings", Page(&["/settings"])),
    ("/settings/rules", Page(&["/settings/rules"])),
    ("/settings/rules/versions/{version}", Else), // until somebody saves rules there are none
    ("/join/{secret}", Else),
    ("/confirm", Page(&["/confirm"])),
    ("/users", Page(&["/users"])),
    ("/users/new", Page(&["/users/new"])),
    ("/users/{id}", Page(&["/users/1"])),
    ("/audit", Page(&["/audit"])),
    ("/audit/{id}/undo", Else), // see `furnished::undo_pages`
    ("/audit/export", File("/audit/export")),
    ("/servers", Page(&["/servers"])),
    ("/servers/new", Page(&["/servers/new", "/servers/new?kind=direct"])),
    ("/servers/{id}", Page(&["/servers/1"])),
    ("/servers/{id}/remove", Page(&["/servers/1/remove"])),
    ("/sending-domains", Page(&["/sending-domains"])),
    ("/sending-domains/new", Page(&["/sending-domains/new"])),
    ("/sending-domains/{id}", Page(&["/sending-domains/1"])),
    ("/sending-domains/{id}/remove", Page(&["/sending-domains/1/remove"])),
    ("/dkim-keys/{id}/retire", Page(&["/dkim-keys/1/retire"])),
    ("/return-path", Page(&["/return-path"])),
];

/// Where there is a page to see.
pub(crate) fn addresses() -> Vec<&'static str> {
    let pages = PLACES.iter().map(|(_, kind)| if let Page(addresses) = kind { *addresses } else { &[] });
    pages.flatten().copied().collect()
}

/// Where there is a table for a spreadsheet.
pub(crate) fn files() -> Vec<&'static str> {
    PLACES.iter().filter_map(|(_, kind)| if let File(address) = kind { Some(*address) } else { None }).collect()
}

#[test]
fn no_page_is_left_out() {
    let told: BTreeSet<&str> = PLACES.iter().map(|(path, _)| *path).collect();
    let there: BTreeSet<&str> =
        routes().into_iter().filter(|route| route.method == "GET").map(|route| route.path).collect();
    let missing: Vec<&&str> = there.difference(&told).collect();
    assert!(missing.is_empty(), "nobody looks at these pages; add them to PLACES: {missing:?}");
    let gone: Vec<&&str> = told.difference(&there).collect();
    assert!(gone.is_empty(), "these pages are no more: {gone:?}");
}

on_both_engines!(every_page_serves_everybody);

/// What a page looks like comes of its template: it is looked at on one engine. What it answers is asked of both.
async fn every_page_serves_everybody(engine: Engine) {
    let (world, browser) = furnished::world(engine).await;
    let letters = furnished::letter_pages(&world, "ada@sandbox.test").await;
    let undo = furnished::undo_pages(&browser).await;
    let others = letters.iter().chain(undo.first()).map(String::as_str);
    assert!(!undo.is_empty());
    let mut faults = Vec::new();
    for address in addresses().into_iter().chain(others).chain(["/nothing-is-here"]) {
        faults.extend(match engine {
            Engine::Sqlite => visit(&browser, address).await,
            Engine::Postgres => opened(&browser, address).await,
        });
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[tokio::test]
async fn the_pages_before_the_sign_in_serve_everybody() {
    let world = World::start(Engine::Sqlite).await;
    let browser = Chromium::start(&world).await;
    let mut faults = visit(&browser, &world.setup_link().await).await;
    faults.extend(visit(&browser, "/sign-in").await);
    journey::sets_up(&world, &browser).await;
    let link = journey::makes_a_link(&browser).await;
    faults.extend(visit(&Chromium::start(&world).await, &link).await);
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[tokio::test]
async fn the_page_of_a_move_serves_everybody() {
    let mut world = World::start(Engine::Sqlite).await;
    world.stop().await;
    let url = Engine::nothing();
    world.rebound(&["migrate", "--to", &url]).await;
    world.moved_to(&url);
    world.serve().await;
    let browser = Chromium::signed_in(&world).await;
    let mut faults = visit(&browser, "/jobs").await;
    browser.sees("Move from SQLite to PostgreSQL").await;
    faults.extend(visit(&browser, "/jobs/1").await);
    browser.sees("Each was compared with the old one").await;
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[tokio::test]
async fn what_forms_about_bounces_answer_serves_everybody() {
    let (_world, browser) = furnished::world(Engine::Sqlite).await;
    browser.open("/classify").await;
    browser.write("Message or reply", "552 5.2.2 <ada@orchard.test>: mailbox over quota, says <b>Bob</b>").await;
    browser.press("Read it").await;
    browser.sees("The mailbox is over its quota").await;
    browser.sees("says <b>Bob</b>").await;
    let mut faults = answered(&browser, "a bounce that was read").await;

    // The page of a bounce that ended its message.
    browser.open("/bounces?kind=final&q=gone@sandbox.test").await;
    browser.press("gone@sandbox.test").await;
    browser.sees("This is wrong").await;
    let bounce = browser.path().await;
    browser.open(&format!("{bounce}/rule")).await;
    browser.write("When a host says", "words that it did not say").await;
    browser.press("See what would change").await;
    browser.sees("does not match its example").await;
    // What is wrong takes the focus, so there is no walk from the top.
    faults.extend(accessibility::faults(&browser).await);

    sees_what_a_rule_would_change(&browser, &bounce).await;
    faults.extend(answered(&browser, "what a rule would change").await);
    sees_what_a_rule_would_change(&browser, &bounce).await;
    browser.press("Make the rule").await;
    until("the page of the bounce", async || (browser.path().await == bounce).then_some(())).await;
    until("the bounce is judged again", async || {
        browser.open(&bounce).await;
        browser.text().await.contains("Judged again by rule local.").then_some(())
    })
    .await;
    faults.extend(visit(&browser, &bounce).await);
    faults.extend(visit(&browser, "/settings/rules").await);
    faults.extend(visit(&browser, "/settings/rules/versions/1").await);

    browser.open("/settings/rules").await;
    browser.write("Rules", "[[rule]]").await;
    browser.press("Save as version 2").await;
    browser.sees("what does not hold yet").await;
    faults.extend(accessibility::faults(&browser).await);
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

async fn sees_what_a_rule_would_change(browser: &Chromium, bounce: &str) {
    browser.open(bounce).await;
    browser.press("This is wrong").await;
    browser.press("Make it a rule").await;
    browser.choose("It means", "B").await;
    browser.press("See what would change").await;
    browser.sees("would be judged differently").await;
}

/// What is wrong with the answer to a form.
async fn answered(browser: &Chromium, what: &str) -> Vec<String> {
    let mut faults = accessibility::walk(browser).await;
    faults.extend(accessibility::faults(browser).await);
    faults.into_iter().map(|fault| format!("{what}: {fault}")).collect()
}

/// What is wrong with the page at `address`.
async fn visit(browser: &Chromium, address: &str) -> Vec<String> {
    let mut faults = opened(browser, address).await;
    let mut seen = Vec::new();
    if browser.run("return !!document.querySelector('nav.side')", vec![]).await == true {
        seen.extend(accessibility::walk(browser).await);
        seen.extend(complaints(browser, address).await);
    }
    seen.extend(accessibility::faults(browser).await);
    faults.extend(seen.into_iter().map(|fault| format!("{address}: {fault}")));
    faults
}

/// What is wrong with what the page at `address` answers, and what the browser complains of.
async fn opened(browser: &Chromium, address: &str) -> Vec<String> {
    browser.complaints().await;
    browser.open(address).await;
    let mut faults = Vec::new();
    let status = browser.run("return performance.getEntriesByType('navigation')[0].responseStatus", vec![]).await;
    if status != expected(address) {
        faults.push(format!("answers {status}"));
    }
    faults.extend(complaints(browser, address).await);
    faults.into_iter().map(|fault| format!("{address}: {fault}")).collect()
}

fn expected(address: &str) -> u16 {
    if address == "/nothing-is-here" { 404 } else { 200 }
}

/// What the browser has complained of in earnest since it was asked last.
async fn complaints(browser: &Chromium, address: &str) -> Vec<String> {
    // A browser asks for an icon where a page names none.
    let missing = |complaint: &String| {
        complaint.contains("404 (Not Found)") && (expected(address) == 404 || complaint.contains("/favicon.ico"))
    };
    browser.complaints().await.into_iter().filter(|complaint| !missing(complaint)).collect()
}

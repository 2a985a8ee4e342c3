//! What nobody may do, tried in a browser by somebody who tries it.

use crate::chromium::Chromium;
use crate::engine::{Engine, on_both_engines};
use crate::pages::{EMAIL, PASSWORD};
use crate::world::World;
use rebound_dashboard::routes;
use rebound_domain::Role;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

on_both_engines! {
    guessing_a_password_is_slowed_down_and_told,
    a_form_on_another_page_does_nothing,
    there_is_one_owner,
}

async fn guessing_a_password_is_slowed_down_and_told(engine: Engine) {
    let world = World::start(engine).await;
    world.browser().await;
    let browser = Chromium::start(&world).await;

    // Five tries are free; then the waits are 1, 2, 4 and 8 s. The last of them lasts when the right one is tried.
    let mut fifth = Instant::now();
    let mut tries = 0;
    while tries < 10 || fifth.elapsed() < Duration::from_secs(11) {
        browser.sign_in(EMAIL, "not the password").await;
        browser.sees("The address or the password is not right").await;
        tries += 1;
        if tries == 5 {
            fifth = Instant::now();
        }
    }

    browser.sees("you must wait before the next one counts").await;
    browser.sign_in(EMAIL, PASSWORD).await;
    browser.sees("The address or the password is not right").await;
    browser.open("/contacts").await;
    assert!(browser.path().await.starts_with("/sign-in"), "the right one does not count either, for a while");
}

async fn a_form_on_another_page_does_nothing(engine: Engine) {
    let world = World::start(engine).await;
    let browser = Chromium::signed_in(&world).await;

    let elsewhere = elsewhere(&format!(
        "<form method=post action='http://{}/lists'><input name=name value=Forged><input name=csrf value=guessed>\
         <button>Win a prize</button></form>",
        world.pages
    ));
    browser.open(&elsewhere).await;
    browser.press("Win a prize").await;
    browser.sees("To the overview").await;
    browser.open("/lists").await;
    assert!(!browser.text().await.contains("Forged"), "another page made a list");

    // A form of ours, with a token that is not this session's.
    browser
        .run("for (const one of document.querySelectorAll('[name=csrf]')) one.value = one.value.slice(1) + 'x'", vec![])
        .await;
    browser.write("Name", "Tampered").await;
    browser.key(thirtyfour::Key::Enter).await;
    browser.sees("To the overview").await;
    browser.open("/lists").await;
    assert!(!browser.text().await.contains("Tampered"), "a form with a wrong token was taken");
}

/// What a role may do is a table in the code, the same on either engine: it is tried on one.
#[tokio::test]
async fn nobody_sees_what_their_role_does_not_allow() {
    let world = World::start(Engine::Sqlite).await;
    world.browser().await;
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Owner) {
        let email = format!("{}@fernhill.test", role.as_str());
        let user = ["user", "add", &email, "--name", "Bo", "--role", role.as_str()];
        let added = world.run_with(&user, PASSWORD).await;
        assert!(added.well, "{}", added.err);
        let browser = Chromium::start(&world).await;
        browser.sign_in(&email, PASSWORD).await;
        browser.sees("Sign out").await;

        let (mut shown, mut kept) = (0, 0);
        for route in routes().into_iter().filter(|route| route.method == "GET") {
            let Some(needs) = route.needs else { continue };
            let address = route.path.replace("{id}", "1").replace("{version}", "1");
            if address.ends_with("/progress") || address.contains("/export") {
                continue; // not a page; the tests of the dashboard ask for them
            }
            let (status, text) = browser.answer(&address).await;
            let refused = text.contains("Your role does not allow it");
            assert_eq!(refused, status == 403, "{address} for {role:?}: {status}");
            assert_eq!(refused, !role.may(needs), "{address} for {role:?}");
            if refused { kept += 1 } else { shown += 1 }
        }
        // Only what an owner does, and no page of its own, is kept from an admin.
        let some = kept > 3 || role == Role::Admin;
        assert!(shown > 10 && some, "{role:?}: {shown} pages shown, {kept} kept");
    }
}

async fn there_is_one_owner(engine: Engine) {
    let world = World::start(engine).await;
    let link = world.setup_link().await;
    let browser = Chromium::signed_in(&world).await;

    // The link is of no use once there is an owner.
    browser.open(&link).await;
    browser.sees("To the overview").await;
    // Nor does an invitation offer that role, and a forged one is refused.
    browser.open("/users/new").await;
    browser.write("Name", "Eve").await;
    browser.write("E-mail address", "eve@elsewhere.test").await;
    let offered =
        browser.run("return [...document.querySelectorAll('[name=role]')].map((one) => one.value)", vec![]).await;
    assert_eq!(offered, json!(["admin", "marketer", "auditor"]));
    browser
        .run("const one = document.querySelector('[name=role]'); one.value = 'owner'; one.checked = true", vec![])
        .await;
    browser.press("Make the link").await;
    browser.open("/users").await;
    assert!(!browser.text().await.contains("eve@elsewhere.test"), "a second owner was invited");
    let added =
        world.run_with(&["user", "add", "eve@elsewhere.test", "--name", "Eve", "--role", "owner"], PASSWORD).await;
    assert!(!added.well, "{}", added.out);
}

/// The address of a page that is not ours.
fn elsewhere(body: &str) -> String {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    // Another name is another site, also on this machine.
    let address = format!("http://localhost:{}/", server.local_addr().unwrap().port());
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut asked = [0; 4096];
            if stream.read(&mut asked).is_err() || stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    address
}

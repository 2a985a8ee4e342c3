//! Bounces that are handed in to be read: by a person on a page, by a program as JSON.

use crate::world::{Answer, Browser, World};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use rebound_domain::Role;
use serde_json::Value;

const OURS: &str = "https://mail.fernhill.example";
const DSN: &str = "From: MAILER-DAEMON@orchard.example\r\nSubject: Undelivered Mail\r\n\
    Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
    --b\r\nContent-Type: text/plain\r\n\r\nSorry <b>Ada</b>.\r\n\
    --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.orchard.example\r\n\r\n\
    Final-Recipient: rfc822; ada@orchard.example\r\nAction: failed\r\nStatus: 5.2.2\r\n\
    Diagnostic-Code: smtp; 552 5.2.2 mailbox over quota <script>alert(1)</script>\r\n\r\n--b--\r\n";

async fn ask(
    world: &World,
    browser: Option<&Browser>,
    kind: &str,
    body: impl Into<Body>,
    more: &[(&str, &str)],
) -> Answer {
    let mut request = Request::post("/api/v1/classify").header(header::CONTENT_TYPE, kind);
    if let Some(browser) = browser {
        request = request.header(header::COOKIE, &browser.cookie);
    }
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    world.ask(request.body(body.into()).unwrap()).await
}

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json", "{}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

#[tokio::test]
async fn a_program_asks_what_a_message_or_a_reply_means() {
    let world = World::seeded().await;
    for role in Role::ALL {
        let browser = world.browser(role).await;
        let answer = ask(&world, Some(&browser), "message/rfc822", DSN, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{role:?}: {}", answer.text);
        let answer = json(&answer);
        assert_eq!(
            (answer["kind"].as_str(), answer["recipients"][0]["cause"].as_str()),
            (Some("bounce"), Some("mailbox_full"))
        );
        assert_eq!(answer["recipients"][0]["recipient"], "ada@orchard.example");
        assert!(answer["recipients"][0]["advice"]["marketer"].as_str().unwrap().starts_with("Wait"));
    }
    let owner = world.sign_in("owner@fernhill.example").await;
    let reply = r#"{"reply": "550 5.1.1 no such user"}"#;
    for origin in [&[][..], &[("origin", OURS)], &[("sec-fetch-site", "same-origin")]] {
        let answer = ask(&world, Some(&owner), "application/json; charset=utf-8", reply, origin).await;
        assert_eq!(json(&answer)["cause"], "mailbox_unknown", "{origin:?}");
    }
    let answer = ask(&world, Some(&owner), "application/octet-stream", "\0\u{1}\u{2}", &[]).await;
    assert_eq!(json(&answer)["kind"], "not-bounce");
    let answer = ask(&world, Some(&owner), "application/json", r#"{"reply": "250 ok"}"#, &[]).await;
    assert_eq!(json(&answer), serde_json::json!({ "reply": "250 ok" }));
}

#[tokio::test]
async fn a_program_hears_in_json_why_it_is_not_answered() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let reply = || Body::from(r#"{"reply": "550 no"}"#);
    let (message, form, text) = ("message/rfc822", "application/x-www-form-urlencoded", "text/plain");
    for (browser, kind, body, more, status, error) in [
        (None, message, Body::from(DSN), vec![], StatusCode::UNAUTHORIZED, "not_signed_in"),
        (
            Some(&owner),
            message,
            Body::from(DSN),
            vec![("origin", "https://evil.example")],
            StatusCode::FORBIDDEN,
            "foreign_page",
        ),
        (
            Some(&owner),
            "application/json",
            reply(),
            vec![("sec-fetch-site", "cross-site")],
            StatusCode::FORBIDDEN,
            "foreign_page",
        ),
        // What a page of anybody's may send without being asked first.
        (Some(&owner), form, reply(), vec![], StatusCode::UNSUPPORTED_MEDIA_TYPE, "unknown_kind"),
        (Some(&owner), text, reply(), vec![], StatusCode::UNSUPPORTED_MEDIA_TYPE, "unknown_kind"),
        (Some(&owner), "application/json", Body::from("{}"), vec![], StatusCode::BAD_REQUEST, "unreadable"),
        (
            Some(&owner),
            "application/json",
            Body::from("x".repeat((64 << 10) + 1)),
            vec![],
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
        ),
        (
            Some(&owner),
            message,
            Body::from("x".repeat((25 << 20) + 1)),
            vec![],
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
        ),
        (
            Some(&owner),
            message,
            Body::from("x"),
            vec![("content-length", "99999999")],
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
        ),
    ] {
        let answer = ask(&world, browser, kind, body, &more).await;
        assert_eq!(answer.status, status, "{kind} {more:?}: {}", answer.text);
        assert_eq!(json(&answer)["error"], error, "{}", answer.text);
    }
    let answer = ask(&world, Some(&owner), "message/rfc822", "x".repeat(24 << 20), &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "a large one is read");
}

#[tokio::test]
async fn more_programs_than_there_are_places_take_turns() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let mut asked = Vec::new();
    for _ in 0..24 {
        asked.push(ask(&world, Some(&owner), "message/rfc822", DSN, &[]));
    }
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
}

#[tokio::test]
async fn a_person_pastes_a_bounce_and_reads_why() {
    let world = World::seeded().await;
    let auditor = world.browser(Role::Auditor).await;
    assert!(world.get(Some(&auditor), "/bounces").await.text.contains("href=\"/classify\""));
    let blank = world.get(Some(&auditor), "/classify").await;
    assert!(blank.text.contains("name=\"bounce\"") && !blank.text.contains("How sure"), "{}", blank.text);

    let read = world.post(&auditor, "/classify", &[("bounce", DSN)]).await;
    assert_eq!(read.status, StatusCode::OK);
    for part in [
        "<h2>A bounce</h2>",
        "ada@orchard.example",
        "The mailbox is over its quota",
        "Soft: it passes",
        "<mark>mailbox over quota</mark>",
        "common.mailbox-full",
        "Diagnostic-Code",
        "Wait: the mailbox needs room",
        "For your admin: ",
        "mx.orchard.example",
    ] {
        assert!(read.text.contains(part), "{part} in {}", read.text);
    }
    assert!(!read.text.contains("<script>alert") && !read.text.contains("<b>Ada"), "hostile words are words");
    assert!(read.text.contains("&#60;script&#62;") || read.text.contains("&lt;script&gt;"), "{}", read.text);

    let reply = world.post(&auditor, "/classify", &[("bounce", "550 5.1.1 no such user\r\n")]).await;
    assert!(reply.text.contains("No such mailbox") && reply.text.contains("Hard: it lasts"), "{}", reply.text);
    let fine = world.post(&auditor, "/classify", &[("bounce", "250 2.0.0 queued")]).await;
    assert!(fine.text.contains("No failure"), "{}", fine.text);
    let letter = world.post(&auditor, "/classify", &[("bounce", "From: ada@orchard.example\n\nHello")]).await;
    assert!(letter.text.contains("No bounce"), "{}", letter.text);
    let empty = world.post(&auditor, "/classify", &[("bounce", " ")]).await;
    assert!(empty.text.contains("Paste a message or a reply first"), "{}", empty.text);
    assert_eq!(world.get(None, "/classify").await.status, StatusCode::SEE_OTHER);
}

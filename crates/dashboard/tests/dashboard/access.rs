//! Who may do what: the table of addresses against every role.

use crate::world::{Answer, Browser, World};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use rebound_dashboard::routes;
use rebound_db::{campaigns, events, suppressions};
use rebound_domain::Role;

/// A path of the table with its names filled in.
fn filled(path: &str) -> String {
    path.replace("{id}", "2").replace("{secret}", "unknown").replace("{file}", "unknown.css").replace("{version}", "2")
}

/// Whether it answers in JSON.
fn is_for_programs(path: &str) -> bool {
    path.starts_with("/api/")
}

/// Asks without a token: a permission is asked for before the form is read, and nothing is ever changed.
async fn knock(world: &World, method: &Method, path: &str, browser: Option<&Browser>) -> Answer {
    match *method {
        Method::GET => world.get(browser, path).await,
        _ => world.send(browser, path, &[], None).await,
    }
}

#[tokio::test]
async fn every_address_keeps_out_who_may_not() {
    let world = World::seeded().await;
    let mut browsers = Vec::new();
    for role in Role::ALL {
        browsers.push((role, world.browser(role).await));
    }
    let mut checked = 0;
    for route in routes() {
        let Some(needs) = route.needs else { continue };
        let path = filled(route.path);
        let (method, name) = (&route.method, format!("{} {}", route.method, route.path));
        let stranger = knock(&world, method, &path, None).await;
        let away = if is_for_programs(route.path) { StatusCode::UNAUTHORIZED } else { StatusCode::SEE_OTHER };
        assert_eq!(stranger.status, away, "{name} for a stranger");
        for (role, browser) in &browsers {
            let forbidden = "Your role does not allow it";
            let answer = knock(&world, method, &path, Some(browser)).await;
            let kept_out = answer.status == StatusCode::FORBIDDEN && answer.text.contains(forbidden);
            assert_eq!(kept_out, !role.may(needs), "{name} for {role:?}: {}", answer.status);
            assert!(answer.status != StatusCode::INTERNAL_SERVER_ERROR, "{name} for {role:?}: {}", answer.text);
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

#[tokio::test]
async fn looking_changes_nothing() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let count = async || {
        let all = campaigns::all(&world.db).await.unwrap();
        let states: Vec<_> = all.iter().map(|campaign| (campaign.id, campaign.state, campaign.planned)).collect();
        let log = events::newest(&world.db, None, 10_000).await.unwrap().len();
        let suppressed = suppressions::counts(&world.db, world.now).await.unwrap();
        (states, log, suppressed, rebound_db::users::all(&world.db).await.unwrap())
    };
    let file = std::fs::read(world.db.file().unwrap().with_extension("db-wal")).unwrap();
    let before = count().await;
    // What is taken away as a file is noted in the audit log, so that is all those change.
    let is_file = |path: &str| path.ends_with("/export") || path.ends_with("/bad-rows");
    for route in routes().iter().filter(|route| route.method == Method::GET && !is_file(route.path)) {
        let answer = world.get(Some(&owner), &filled(route.path)).await;
        assert!(!answer.status.is_server_error(), "{}: {}", route.path, answer.text);
    }
    assert_eq!(count().await, before);
    // Not one byte was written.
    assert!(std::fs::read(world.db.file().unwrap().with_extension("db-wal")).unwrap() == file);
}

#[tokio::test]
async fn forms_are_taken_from_our_own_pages_only() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let ours = Some("https://mail.fernhill.example");
    let foreign = Some("https://evil.example");
    for route in routes().iter().filter(|route| route.method == Method::POST) {
        let path = filled(route.path);
        let with_token = [("csrf", owner.csrf.as_str())];
        let answer = world.send(Some(&owner), &path, &with_token, foreign).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} from another site");
        let before_sign_in = route.needs.is_none();
        let upload = route.path == "/imports/new";
        // A program fills no form: where it asks from is all there is to look at.
        if before_sign_in || upload || is_for_programs(route.path) {
            continue;
        }
        for token in ["", "wrong", &owner.csrf[1..]] {
            let answer = world.send(Some(&owner), &path, &[("csrf", token)], ours).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} with token {token:?}");
        }
    }
    let other = world.browser(Role::Marketer).await;
    let answer = world.send(Some(&other), "/lists", &[("csrf", &owner.csrf), ("name", "Mine")], ours).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "the token of another session");
    assert_eq!(rebound_db::lists::all(&world.db).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_upload_without_its_token_is_not_read() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let part = |name: &str, rest: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{rest}\r\n\r\n{value}\r\n")
    };
    let file = part("file", "; filename=\"p.csv\"", "email\nzoe@orchard.test\n");
    let list = part("new_list", "", "Fair");
    let import = "/imports/2";
    for (token, status, kept) in [
        ("wrong", StatusCode::FORBIDDEN, StatusCode::NOT_FOUND),
        (owner.csrf.as_str(), StatusCode::SEE_OTHER, StatusCode::OK),
    ] {
        let body = format!("{}{list}{file}--b--\r\n", part("csrf", "", token));
        let answer = world.upload(&owner, body).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(world.get(Some(&owner), import).await.status, kept, "the file is kept only with its token");
    }
}

#[tokio::test]
async fn an_upload_has_few_fields_and_short_words() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let part =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let csrf = part("csrf", &owner.csrf);
    let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"p.csv\"\r\n\r\nemail\n\r\n--b--\r\n";
    let upload =
        async |words: String| world.upload(&owner, format!("{csrf}{}{words}{file}", part("list", "1"))).await.status;
    assert_eq!(upload(part("consent", &"x".repeat(4_097))).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(upload(part("consent", &"x".repeat(100 << 10))).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(upload(part("consent", "asked\0by phone")).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(upload(part("other", "x").repeat(6)).await, StatusCode::UNPROCESSABLE_ENTITY, "the file comes ninth");
    assert!(
        rebound_db::imports::get(&world.db, rebound_domain::ImportId(2)).await.unwrap().is_none(),
        "nothing was kept"
    );
    assert_eq!(upload(part("consent", &"x".repeat(4_096))).await, StatusCode::SEE_OTHER);
    assert_eq!(upload(part("other", "x").repeat(5)).await, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn no_form_carries_a_nul() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    for (path, field) in [
        ("/lists", "name"),
        ("/suppressions", "why"),
        ("/suppressions/lift", "pick"),
        ("/account/password", "old"),
        ("/users/new", "email"),
    ] {
        let answer = world.post(&owner, path, &[(field, "a\0b")]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {}", answer.text);
        assert!(answer.text.contains("A character cannot be kept"), "{path}: {}", answer.text);
    }
    for fields in [[("email", "a\0b"), ("password", "x")], [("email", "a@b.test"), ("password", "x\0")]] {
        let answer = world.send(None, "/sign-in", &fields, None).await;
        assert!(answer.text.contains("A character cannot be kept"), "{}", answer.text);
    }
    // Words that only look like one are words.
    world.post(&owner, "/lists", &[("name", "100%00")]).await;
    assert!(rebound_db::lists::named(&world.db, "100%00").await.unwrap().is_some());
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    for route in routes() {
        let path = filled(route.path);
        for browser in [None, Some(&owner)] {
            let answer = knock(&world, &route.method, &path, browser).await;
            let header = |name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
            let policy = header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
            let preview = path.ends_with("/preview") && browser.is_some();
            assert_eq!(policy.contains("unsafe-inline"), preview, "{path}");
            assert_eq!(policy.contains("sandbox"), preview, "{path}");
            assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
            assert!(header("strict-transport-security").contains("max-age=31536000"), "{path}");
            assert!(!header("referrer-policy").is_empty() && !header("x-frame-options").is_empty(), "{path}");
            // A page holds what others may not see; an event stream says so in its own words.
            assert!(header("cache-control").starts_with("no-"), "{path}");
        }
    }
    // Whatever made the answer: no such page, no such method, too much of it.
    let (get, long) = (Request::get("/nothing/here"), Request::post("/sign-in"));
    let delete = Request::delete("/campaigns").header(header::ORIGIN, "https://mail.fernhill.example");
    for (request, body, status) in [
        (get, Body::empty(), StatusCode::NOT_FOUND),
        (delete, Body::empty(), StatusCode::METHOD_NOT_ALLOWED),
        (long, Body::from("x".repeat(3 << 20)), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body).unwrap();
        let answer = world.ask(request).await;
        assert_eq!(answer.status, status);
        for name in ["content-security-policy", "x-content-type-options", "strict-transport-security"] {
            assert!(answer.headers.contains_key(name), "{name} on {status}");
        }
    }
}

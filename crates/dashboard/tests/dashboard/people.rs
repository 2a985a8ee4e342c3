//! Inviting, changing and shutting out; sessions; the audit of all of it.

use crate::world::{Browser, PASSWORD, World};
use axum::http::{StatusCode, header};
use rebound_dashboard::users::{self, By};
use rebound_db::events::Event;
use rebound_db::{events, sessions};
use rebound_domain::Role;

/// The one-time link that a page shows.
fn link(text: &str) -> String {
    let start = text.find("/join/").unwrap();
    text[start..].split('"').next().unwrap().to_owned()
}

async fn kinds(world: &World) -> Vec<String> {
    let log = events::newest(&world.db, None, 100).await.unwrap();
    log.into_iter().rev().map(|entry| entry.kind).collect()
}

#[tokio::test]
async fn a_person_is_invited_joins_and_is_shut_out() {
    let world = World::empty().await;
    let owner = world.browser(Role::Owner).await;
    let form = |role| [("email", "jo@fernhill.example"), ("name", "Jo Reyes"), ("role", role)];
    for bad in ["owner", "emperor"] {
        let answer = world.post(&owner, "/users/new", &form(bad)).await;
        assert!(answer.status.is_client_error(), "{bad}: {}", answer.status);
    }
    let invited = world.post(&owner, "/users/new", &form("marketer")).await;
    assert_eq!(invited.status, StatusCode::OK, "{}", invited.text);
    let path = link(&invited.text);
    let again = world.post(&owner, "/users/new", &form("marketer")).await;
    assert!(again.status == StatusCode::UNPROCESSABLE_ENTITY && again.text.contains("signs in already"));
    assert!(world.get(Some(&owner), "/users").await.text.contains("Invited until"));
    assert!(!world.get(Some(&owner), "/users/2").await.text.contains("/join/"), "the link is shown once");

    // Opening the link uses nothing up; a password that is too short, or that others would guess, neither.
    assert_eq!(world.get(None, &path).await.status, StatusCode::OK);
    for (password, why) in [("short", "at least 12"), ("jo@fernhill.example", "easy to guess")] {
        let refused = world.send(None, &path, &[("password", password)], None).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text.contains("Nothing was changed") && refused.text.contains(why), "{}", refused.text);
    }
    assert_eq!(world.send(None, &path, &[("password", PASSWORD)], None).await.status, StatusCode::SEE_OTHER);
    assert_eq!(world.get(None, &path).await.status, StatusCode::NOT_FOUND, "it works once");
    let jo = world.sign_in("jo@fernhill.example").await;
    assert_eq!(world.get(Some(&jo), "/audit").await.status, StatusCode::FORBIDDEN);

    // Another role signs out, and shows at the next sign-in.
    assert_eq!(world.post(&owner, "/users/2/role", &[("role", "auditor")]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(world.get(Some(&jo), "/").await.status, StatusCode::SEE_OTHER, "a role change ends sessions");
    let jo = world.sign_in("jo@fernhill.example").await;
    assert_eq!(world.get(Some(&jo), "/audit").await.status, StatusCode::OK);

    assert_eq!(world.post(&owner, "/users/2/deactivate", &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(world.get(Some(&jo), "/").await.status, StatusCode::SEE_OTHER, "shutting out ends sessions");
    let credentials = [("email", "jo@fernhill.example"), ("password", PASSWORD)];
    let refused = world.send(None, "/sign-in", &credentials, None).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(world.post(&owner, "/users/2/reactivate", &[]).await.status, StatusCode::SEE_OTHER);
    world.sign_in("jo@fernhill.example").await;

    let log = kinds(&world).await;
    for kind in [
        "user.invited",
        "user.joined",
        "user.role",
        "user.deactivated",
        "sign-in.refused",
        "user.reactivated",
        "signed-in",
    ] {
        assert!(log.iter().any(|known| known == kind), "{kind} in {log:?}");
    }
}

#[tokio::test]
async fn nobody_reaches_above_themselves() {
    let world = World::empty().await;
    let owner = world.browser(Role::Owner).await;
    let admin = world.browser(Role::Admin).await;
    // The owner is 1, the admin 2.
    for (who, whom) in [(&admin, 1), (&admin, 2), (&owner, 1)] {
        for (order, field) in [("role", "role"), ("deactivate", "x"), ("link", "x"), ("sign-out", "x")] {
            let answer = world.post(who, &format!("/users/{whom}/{order}"), &[(field, "marketer")]).await;
            assert_eq!(answer.status, StatusCode::CONFLICT, "{order} of {whom}: {}", answer.text);
        }
    }
    let second = world.post(&owner, "/users/2/role", &[("role", "owner")]).await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    let from_outside =
        users::invite(&world.db, By::CommandLine, "eve@fernhill.example", "Eve", Role::Owner, world.now, world.now);
    assert!(matches!(from_outside.await, Err(users::UserError::SecondOwner)));
    assert_eq!(world.get(Some(&admin), "/users").await.status, StatusCode::OK, "nothing was changed");
    let people = rebound_db::users::all(&world.db).await.unwrap();
    assert_eq!(people.iter().filter(|user| user.role == Role::Owner).count(), 1);
}

#[tokio::test]
async fn sessions_are_seen_and_ended() {
    let world = World::empty().await;
    let here = world.browser(Role::Marketer).await;
    let (there, elsewhere) =
        (world.sign_in("marketer@fernhill.example").await, world.sign_in("marketer@fernhill.example").await);
    let user = users::find(&world.db, &"marketer@fernhill.example".parse().unwrap()).await.unwrap();
    let open = sessions::of_user(&world.db, user.id, chrono::Utc::now()).await.unwrap();
    assert_eq!(open.len(), 3);
    let page = world.get(Some(&here), "/account").await.text;
    assert!(page.contains("Sign out 2 others") && page.contains("this one"));
    let alive = async |browser: &Browser| world.get(Some(browser), "/").await.status == StatusCode::OK;

    // A stranger's form names a session of somebody else.
    let other = world.browser(Role::Auditor).await;
    let named = [("session", open[0].name())];
    world.post(&other, "/account/sessions/end", &named).await;
    assert!(alive(&here).await && alive(&there).await && alive(&elsewhere).await);
    world.post(&here, "/account/sessions/end", &[]).await;
    assert!(alive(&here).await && !alive(&there).await && !alive(&elsewhere).await);

    let owner = world.browser(Role::Owner).await;
    assert_eq!(world.post(&owner, &format!("/users/{}/sign-out", user.id), &[]).await.status, StatusCode::SEE_OTHER);
    assert!(!alive(&here).await, "an admin signs others out");
}

#[tokio::test]
async fn secrets_and_people_ask_for_the_password_again() {
    let world = World::empty().await;
    let owner = world.browser(Role::Owner).await;
    world.leave_open(Role::Owner).await;

    for path in ["/users/new", "/users/1", "/servers/new", "/audit/export"] {
        let answer = world.get(Some(&owner), path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert_eq!(answer.headers[header::LOCATION], format!("/confirm?back={path}"));
    }
    let form = [("email", "jo@fernhill.example"), ("name", "Jo"), ("role", "admin")];
    assert_eq!(world.post(&owner, "/users/new", &form).await.status, StatusCode::SEE_OTHER);
    assert_eq!(rebound_db::users::all(&world.db).await.unwrap().len(), 1, "nobody was invited");

    let wrong = [("password", "a wrong sentence"), ("back", "/users/new")];
    assert_eq!(world.post(&owner, "/confirm", &wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(world.get(Some(&owner), "/users/new").await.status, StatusCode::SEE_OTHER);
    let right = [("password", PASSWORD), ("back", "//evil.example")];
    assert_eq!(world.post(&owner, "/confirm", &right).await.headers[header::LOCATION], "/");
    assert_eq!(world.get(Some(&owner), "/users/new").await.status, StatusCode::OK);
    for n in 0..12 {
        let guess = format!("a wrong sentence {n}");
        world.post(&owner, "/confirm", &[("password", &guess), ("back", "/")]).await;
    }
    let answer = world.post(&owner, "/confirm", &right).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "guessing is slowed down here too");
    let refusals = kinds(&world).await.iter().filter(|kind| *kind == "password.refused").count();
    assert!((6..=13).contains(&refusals), "{refusals}: each that was looked at, none that had to wait");
}

#[tokio::test]
async fn another_password_is_not_one_that_is_soon_guessed() {
    let world = World::empty().await;
    let browser = world.browser(Role::Marketer).await;
    let change = async |new: &str| world.post(&browser, "/account/password", &[("old", PASSWORD), ("new", new)]).await;

    for common in ["qwerty123456", "marketer@fernhill.example"] {
        let refused = change(common).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{common}");
        assert!(refused.text.contains("Nothing was changed: that password is common"), "{}", refused.text);
    }
    world.sign_in("marketer@fernhill.example").await;

    assert_eq!(change("another short sentence").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_old_password_cannot_be_guessed_at_either() {
    let world = World::empty().await;
    let browser = world.browser(Role::Marketer).await;
    let change = async |old: &str| {
        let form = [("old", old), ("new", "another short sentence")];
        world.post(&browser, "/account/password", &form).await
    };
    let first = change("a wrong sentence").await;
    assert!(first.status == StatusCode::UNPROCESSABLE_ENTITY && first.text.contains("is not right"), "{}", first.text);
    for n in 0..6 {
        change(&format!("a wrong sentence {n}")).await;
    }
    let right = change(PASSWORD).await;
    assert!(right.status == StatusCode::TOO_MANY_REQUESTS && right.text.contains("Nothing was changed"));
    assert!(right.text.contains("Wait some minutes"), "{}", right.text);
    let log = kinds(&world).await;
    assert!(log.iter().any(|kind| kind == "password.refused") && !log.iter().any(|kind| kind == "user.password"));
}

#[tokio::test]
async fn who_may_sign_in_is_not_taken_back_by_a_browser_left_open() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    world.browser(Role::Marketer).await;
    world.post(&owner, "/users/2/role", &[("role", "auditor")]).await;
    let add = [("address", "person1@larkfield.test"), ("days", ""), ("why", "")];
    world.post(&owner, "/suppressions", &add).await;
    world.leave_open(Role::Owner).await;

    let log = events::newest(&world.db, None, 100).await.unwrap();
    let undo = async |kind: &str| {
        let entry = log.iter().find(|entry| entry.kind == kind).unwrap();
        let answer = world.post(&owner, &format!("/audit/{}/undo", entry.id), &[]).await;
        answer.headers[header::LOCATION].to_str().unwrap().to_owned()
    };
    assert_eq!(undo("user.role").await, "/confirm?back=/audit");
    let marketer = "marketer@fernhill.example".parse().unwrap();
    assert_eq!(users::find(&world.db, &marketer).await.unwrap().role, Role::Auditor);
    assert_eq!(undo("suppressed").await, "/audit", "an address can be lifted as it is on its own page");
    world.post(&owner, "/confirm", &[("password", PASSWORD), ("back", "/audit")]).await;
    assert_eq!(undo("user.role").await, "/audit");
    assert_eq!(users::find(&world.db, &marketer).await.unwrap().role, Role::Marketer);
}

#[tokio::test]
async fn what_is_taken_away_is_noted_and_asks_for_the_password() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let part = |name: &str, rest: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{rest}\r\n\r\n{value}\r\n")
    };
    let file = part("file", "; filename=\"fair.csv\"", "email\nzoe@orchard.test\n");
    let body = format!("{}{}{file}--b--\r\n", part("csrf", "", &owner.csrf), part("new_list", "", "Fair"));
    let uploaded = world.upload(&owner, body).await;
    let import = uploaded.headers[header::LOCATION].to_str().unwrap().to_owned();
    let asked = [
        ("/lists/1/export".to_owned(), "list.exported", "Newsletter"),
        (
            "/suppressions/export?reason=hard&q=larkfield".to_owned(),
            "suppressions.exported",
            "for “hard”, with “larkfield”",
        ),
        (format!("{import}/bad-rows"), "bad-rows.exported", "fair.csv"),
        ("/audit/export?by=people".to_owned(), "audit.exported", "by=people"),
    ];
    for (path, kind, detail) in &asked {
        let answer = world.get(Some(&owner), path).await;
        assert_eq!(answer.headers[header::CONTENT_TYPE], "text/csv; charset=utf-8", "{path}");
        let entry = events::newest(&world.db, None, 1).await.unwrap().remove(0);
        let noted = (entry.kind.as_str(), entry.actor.as_str(), entry.detail.as_str());
        assert_eq!(noted, (*kind, "owner@fernhill.example", *detail));
    }
    world.leave_open(Role::Owner).await;
    for (path, ..) in &asked {
        let answer = world.get(Some(&owner), path).await;
        let place = answer.headers[header::LOCATION].to_str().unwrap().to_owned();
        let page = world.get(Some(&owner), &place).await.text;
        let back = page.split("name=\"back\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(&back.replace("&#38;", "&"), path, "nothing of what was asked for is lost");
    }
}

#[tokio::test]
async fn the_log_is_filtered_exported_and_taken_back() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    world.browser(Role::Marketer).await;
    world.post(&owner, "/users/2/role", &[("role", "auditor")]).await;
    let add = [("address", "person1@larkfield.test"), ("days", ""), ("why", "=HYPERLINK(\"x\")")];
    assert_eq!(world.post(&owner, "/suppressions", &add).await.status, StatusCode::SEE_OTHER);

    let page = world.get(Some(&owner), "/audit?by=people&address=person1@larkfield.test").await.text;
    assert!(page.contains("suppressed an address") && page.contains("Lift it again"), "{page}");
    assert!(!page.contains("changed a role"));
    let csv = world.get(Some(&owner), "/audit/export?who=owner@fernhill.example").await;
    assert!(csv.headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/csv"));
    assert!(csv.text.contains("user.role") && !csv.text.contains(",\"=") && !csv.text.contains("\n="));
    assert!(world.get(Some(&owner), "/audit?from=yesterday").await.text.contains("2026-11-24"));

    let log = events::newest(&world.db, None, 100).await.unwrap();
    let entry = |kind: &str| log.iter().find(|entry| entry.kind == kind).unwrap().id;
    for (kind, about) in [("suppressed", "1 address, person1@larkfield.test,"), ("user.role", "is marketer again")] {
        let path = format!("/audit/{}/undo", entry(kind));
        let asked = world.get(Some(&owner), &path).await.text;
        assert!(asked.contains(about) && asked.contains("stays in the log"), "{asked}");
        assert_eq!(world.post(&owner, &path, &[]).await.status, StatusCode::SEE_OTHER, "{kind}");
    }
    let key = "person1@larkfield.test".parse::<rebound_domain::EmailAddress>().unwrap().key();
    assert!(rebound_db::suppressions::of(&world.db, &key).await.unwrap().is_empty());
    let user = users::find(&world.db, &"marketer@fernhill.example".parse().unwrap()).await.unwrap();
    assert_eq!(user.role, Role::Marketer, "the old role is back");
    let twice = world.post(&owner, &format!("/audit/{}/undo", entry("suppressed")), &[]).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_long_log_is_exported_to_its_last_entry() {
    let world = World::seeded().await;
    let owner = world.browser(Role::Owner).await;
    let tx = world.db.begin().await.unwrap();
    for number in 0..4_500 {
        let (kind, actor, subject, detail) = ("tested", "rebound", "contact", format!("number {number};"));
        let event = Event { at: world.now, kind, actor, subject, subject_id: None, key: None, detail };
        events::add(&tx, &event).await.unwrap();
    }
    tx.commit().await.unwrap();
    let csv = world.get(Some(&owner), "/audit/export?kind=tested").await.text;
    assert_eq!(csv.lines().count(), 4_501, "each once, and the headings");
    assert!(csv.starts_with("id,when,who") && csv.contains("number 0;") && csv.contains("number 4499;"));
    let none = world.get(Some(&owner), "/audit/export?kind=never-done").await.text;
    assert_eq!(none.lines().count(), 1, "the headings");
}

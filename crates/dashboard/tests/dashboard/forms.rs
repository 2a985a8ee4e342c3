//! Signing in, setting up, and what forms do.

use crate::world::{Browser, PASSWORD, World};
use axum::http::{StatusCode, header};
use rebound_dashboard::{BadPassword, users};
use rebound_db::{campaigns, lists, suppressions};
use rebound_domain::{CampaignId, CampaignState, Role, SuppressionReason};

#[tokio::test]
async fn the_set_up_link_makes_one_owner() {
    let world = World::empty().await;
    let stale = users::setup_link(&world.db, world.now).await.unwrap().unwrap();
    let secret = users::setup_link(&world.db, world.now).await.unwrap().unwrap();
    let path = format!("/setup/{secret}");
    let form = |password| [("name", "Ines"), ("email", "ines@fernhill.example"), ("password", password)];

    assert_eq!(world.get(None, &format!("/setup/{stale}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get(None, &path).await.status, StatusCode::OK);
    let short = world.send(None, &path, &form("eleven chrs"), None).await;
    assert_eq!(short.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(short.text.contains("at least 12") && short.text.contains("ines@fernhill.example"));
    for common in ["password1234", "ines@fernhill.example"] {
        let common = world.send(None, &path, &form(common), None).await;
        assert_eq!(common.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(common.text.contains("Nothing was made: that password is common or easy to guess; choose a short"));
    }
    assert_eq!(world.send(None, &path, &form(PASSWORD), None).await.status, StatusCode::SEE_OTHER);

    assert_eq!(world.send(None, &path, &form(PASSWORD), None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get(None, &path).await.status, StatusCode::NOT_FOUND);
    assert!(users::setup_link(&world.db, world.now).await.unwrap().is_none());
    let second = users::create(&world.db, "jo@fernhill.example", "Jo", Role::Owner, PASSWORD, world.now).await;
    assert!(matches!(second, Err(users::UserError::SecondOwner)));
    // The command line asks for no less.
    let common = users::create(&world.db, "jo@fernhill.example", "Jo", Role::Admin, "password1234", world.now).await;
    assert!(matches!(common, Err(users::UserError::Password(BadPassword::Guessable))));
    let common = users::set_password(&world.db, "ines@fernhill.example", "ines@fernhill.example").await;
    assert!(matches!(common, Err(users::UserError::Password(BadPassword::Guessable))));
    world.sign_in("ines@fernhill.example").await;
}

#[tokio::test]
async fn a_cookie_is_sealed_and_ends_with_the_session() {
    let world = World::empty().await;
    let browser = world.browser(Role::Owner).await;
    assert!(browser.cookie.starts_with("__Host-rebound="));
    let answer =
        world.send(None, "/sign-in", &[("email", "owner@fernhill.example"), ("password", PASSWORD)], None).await;
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    for attribute in ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"));

    assert_eq!(world.get(Some(&browser), "/").await.status, StatusCode::OK);
    assert_eq!(world.post(&browser, "/sign-out", &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(world.get(Some(&browser), "/").await.status, StatusCode::SEE_OTHER);
    let forged = Browser { cookie: "__Host-rebound=guess".into(), csrf: String::new() };
    assert_eq!(world.get(Some(&forged), "/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn guessing_is_slowed_down_and_tells_nothing() {
    let world = World::empty().await;
    world.browser(Role::Owner).await;
    let guess = async |email: &str, password: &str| {
        let answer = world.send(None, "/sign-in", &[("email", email), ("password", password)], None).await;
        // The address that was typed is kept in the form; nothing else may differ.
        (answer.status, answer.text.replace(email, "…"))
    };
    let known = guess("owner@fernhill.example", "a wrong sentence").await;
    let unknown = guess("nobody@fernhill.example", "a wrong sentence").await;
    assert_eq!(known, unknown);
    assert_eq!(known.0, StatusCode::UNPROCESSABLE_ENTITY);

    let mut looked = 1;
    for n in 0..12 {
        let (status, text) = guess("owner@fernhill.example", &format!("wrong sentence {n}")).await;
        looked += i32::from(status == StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(text, known.1, "the same words however often");
    }
    assert!(looked <= 6, "{looked} of 13 guesses were looked at");
    assert_eq!(guess("owner@fernhill.example", PASSWORD).await.0, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_campaign_is_written_corrected_and_launched() {
    let world = World::seeded().await;
    let browser = world.browser(Role::Marketer).await;
    let list = lists::named(&world.db, "Newsletter").await.unwrap().unwrap().id.to_string();
    let mut form = vec![
        ("name", "Spring"),
        ("list", list.as_str()),
        ("from_name", "Fernhill"),
        ("from", "not an address"),
        ("subject", "For {{ first_name }}"),
        ("html", "<p>Kept as it was typed</p>"),
        ("postal_address", "1 Lane, Ulmen"),
    ];
    let refused = world.post(&browser, "/campaigns/new", &form).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("aria-invalid") && refused.text.contains("Kept as it was typed"));

    form[3] = ("from", "hello@fernhill.example");
    let kept = world.post(&browser, "/campaigns/new", &form).await;
    assert_eq!(kept.status, StatusCode::SEE_OTHER, "{}", kept.text);
    let place = kept.headers[header::LOCATION].to_str().unwrap().to_owned();
    assert!(world.get(Some(&browser), &place).await.text.contains("Send to"));
    assert_eq!(world.post(&browser, "/campaigns/new", &form).await.status, StatusCode::UNPROCESSABLE_ENTITY);

    let id = CampaignId(place.rsplit('/').next().unwrap().parse().unwrap());
    assert_eq!(world.get(Some(&browser), &format!("{place}/launch")).await.status, StatusCode::OK);
    assert_eq!(campaigns::get(&world.db, id).await.unwrap().unwrap().state, CampaignState::Draft);
    assert_eq!(world.post(&browser, &format!("{place}/launch"), &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(campaigns::get(&world.db, id).await.unwrap().unwrap().state, CampaignState::Planning);
    assert_eq!(world.post(&browser, &format!("{place}/edit"), &form).await.status, StatusCode::CONFLICT);

    for (order, state) in
        [("pause", CampaignState::Paused), ("resume", CampaignState::Planning), ("cancel", CampaignState::Cancelled)]
    {
        assert_eq!(world.post(&browser, &format!("{place}/{order}"), &[]).await.status, StatusCode::SEE_OTHER);
        assert_eq!(campaigns::get(&world.db, id).await.unwrap().unwrap().state, state);
    }
    assert_eq!(world.post(&browser, &format!("{place}/resume"), &[]).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn an_address_is_suppressed_and_lifted_again() {
    let world = World::seeded().await;
    let browser = world.browser(Role::Marketer).await;
    let add = async |address: &str, days: &str| {
        world.post(&browser, "/suppressions", &[("address", address), ("days", days), ("why", "asked by phone")]).await
    };
    assert_eq!(add("no address", "").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(add("person1@larkfield.test", "many").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        add("=cmd@evil.test\nPerson1@larkfield.test, person9@larkfield.test", "30").await.status,
        StatusCode::SEE_OTHER
    );
    let page = world.get(Some(&browser), "/suppressions?q=person1@lark").await;
    assert!(page.text.contains("asked by phone"), "{}", page.text);
    let file = world.get(Some(&browser), "/suppressions/export?reason=manual").await;
    assert!(file.text.contains("\n'=cmd@evil.test,manual"), "a formula is defused: {}", file.text);
    assert_eq!(file.text.lines().count(), 4, "{}", file.text);

    let lift = [("pick", "0-2-person1@larkfield.test")];
    let asked = world.post(&browser, "/suppressions/lift", &lift).await;
    assert_eq!(asked.status, StatusCode::OK, "first it asks");
    assert!(asked.text.contains("Lift 1 suppression?") && asked.text.contains("person1@larkfield.test"));
    let sure = [lift[0], ("sure", "1")];
    assert_eq!(world.post(&browser, "/suppressions/lift", &sure).await.status, StatusCode::SEE_OTHER);
    let key = "person1@larkfield.test".parse::<rebound_domain::EmailAddress>().unwrap().key();
    assert!(suppressions::of(&world.db, &key).await.unwrap().is_empty());
}

#[tokio::test]
async fn all_that_fit_are_lifted_and_who_left_only_with_a_reason() {
    let world = World::seeded().await;
    let browser = world.browser(Role::Marketer).await;
    let all = [("all", "1"), ("reason", "hard"), ("q", "")];
    let hard = suppressions::counts(&world.db, world.now).await.unwrap()[&SuppressionReason::Hard];
    assert!(hard > 0);
    let asked = world.post(&browser, "/suppressions/lift", &all).await;
    assert!(asked.text.contains(&format!("Lift {hard} suppression")), "{}", asked.text);
    let sure: Vec<_> = all.into_iter().chain([("sure", "1")]).collect();
    assert_eq!(world.post(&browser, "/suppressions/lift", &sure).await.status, StatusCode::SEE_OTHER);
    assert!(!suppressions::counts(&world.db, world.now).await.unwrap().contains_key(&SuppressionReason::Hard));

    let key = "person2@sendero.test".parse::<rebound_domain::EmailAddress>().unwrap().key();
    let complaint = rebound_domain::Suppression {
        address: key.clone(),
        scope: rebound_domain::Scope::Everywhere,
        reason: SuppressionReason::Complaint,
        since: world.now,
        until: None,
        evidence: "Reported as spam".into(),
    };
    suppressions::add(&world.db, &complaint).await.unwrap();
    let everything = [("all", "1"), ("reason", ""), ("q", "person2@sendero"), ("sure", "1")];
    let refused = world.post(&browser, "/suppressions/lift", &everything).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("say why"), "{}", refused.text);
    assert_eq!(suppressions::of(&world.db, &key).await.unwrap().len(), 1);
    let with_reason: Vec<_> = everything.into_iter().chain([("why", "a mistake, they said")]).collect();
    assert_eq!(world.post(&browser, "/suppressions/lift", &with_reason).await.status, StatusCode::SEE_OTHER);
    assert_eq!(suppressions::of(&world.db, &key).await.unwrap(), []);
}

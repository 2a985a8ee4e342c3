//! What is known of a campaign before it goes, on its page and for programs.

use crate::seed;
use crate::world::{Browser, World};
use axum::http::StatusCode;
use chrono::Utc;
use rebound_db::{Audience, audience, campaigns};
use rebound_domain::{CampaignId, CampaignState, ContactId, ListId, Role};
use rebound_send::Sender;

#[tokio::test]
async fn the_page_does_not_wait_for_the_world() {
    let world = World::seeded().await;
    let viewer = world.browser(Role::Auditor).await;
    let page = world.get(Some(&viewer), "/campaigns/1").await.text;
    for words in ["are being looked at", "hx-get=\"/campaigns/1/checks\"", "/campaigns/1?look=true"] {
        assert!(page.contains(words), "{words}: {page}");
    }

    let checks = world.get(Some(&viewer), "/campaigns/1/checks").await.text;
    for words in ["could not be checked", "Good to know", "checks passed"] {
        assert!(checks.contains(words), "{words}: {checks}");
    }
    assert!(!checks.contains("<html") && !checks.contains("being looked at"), "{checks}");

    let page = world.get(Some(&viewer), "/campaigns/1").await.text;
    for words in ["could not be checked", "Look again"] {
        assert!(page.contains(words), "what was heard is kept: {words}: {page}");
    }
    assert!(!page.contains("are being looked at"), "{page}");
}

#[tokio::test]
async fn programs_ask_for_it() {
    let world = World::seeded().await;
    let viewer = world.browser(Role::Auditor).await;
    let answer = world.get(Some(&viewer), "/api/v1/campaigns/1/preflight").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let told: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!((&told["campaign"], &told["can_go"]), (&1.into(), &true.into()), "{told}");
    let checks: Vec<&str> =
        told["findings"].as_array().unwrap().iter().filter_map(|finding| finding["check"].as_str()).collect();
    assert!(checks.contains(&"unchecked") && checks.contains(&"no_preheader"), "{checks:?}");
    assert_eq!(told["people"], told["tried"], "the message was made for everybody: {told}");

    let nobody = world.get(Some(&viewer), "/api/v1/campaigns/99/preflight").await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    assert!(nobody.text.contains("\"not_found\""), "{}", nobody.text);
}

#[tokio::test]
async fn what_the_world_says_stops_a_launch() {
    let plain = Sender { public_url: "http://news.fernhill.example".into(), ..seed::sender() };
    let world = World::of(plain).await;
    seed::fill(&world.db, 12, world.now).await;
    let owner = world.browser(Role::Owner).await;
    let question = world.get(Some(&owner), "/campaigns/1/launch").await.text;
    assert!(question.contains("It cannot go yet") && question.contains("is not protected"), "{question}");
    let later = world.now + chrono::TimeDelta::days(2);
    let (day, time) = (later.format("%Y-%m-%d").to_string(), later.format("%H:%M").to_string());
    for (path, fields) in [
        ("/campaigns/1/launch", vec![]),
        ("/campaigns/1/schedule", vec![("day", day.as_str()), ("time", time.as_str())]),
    ] {
        let refused = world.post(&owner, path, &fields).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{path}");
        assert!(refused.text.contains("is not protected"), "{path}: {}", refused.text);
    }
    let draft = campaigns::get(&world.db, CampaignId(1)).await.unwrap().unwrap();
    assert_eq!(draft.state, CampaignState::Draft);
}

/// A letter to more people than a page makes it for at once.
#[tokio::test]
async fn the_letter_is_made_for_everybody_behind_the_page() {
    let world = World::empty().await;
    seed::fill(&world.db, 1_200, world.now).await;
    let owner = world.browser(Role::Owner).await;
    let page = world.get(Some(&owner), "/campaigns/1").await.text;
    for words in ["id=\"looking\"", "made for the first 1,000"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let checks = over(&world, &owner, "/campaigns/1/checks").await;
    assert!(checks.contains("made for everybody.") && !checks.contains("id=\"looking\""), "{checks}");
    let question = over(&world, &owner, "/campaigns/1/launch").await;
    assert!(question.contains("Send to 1,175 people</button>"), "{question}");

    // Who only looks has nothing made; and after an import, what was found counts no more.
    let auditor = world.browser(Role::Auditor).await;
    let mut import = rebound_contacts::Import::new(ListId(1), "more.csv", Utc::now());
    import.consent = "sign-up form, 2026".into();
    let csv = "email,first_name\nlate@orchard.test,Lou\n";
    rebound_contacts::import(&world.db, std::io::Cursor::new(csv.as_bytes()), &import, |_| ()).await.unwrap();
    let checks = world.get(Some(&auditor), "/campaigns/1/checks").await.text;
    assert!(checks.contains("made for the first 1,000") && !checks.contains("id=\"looking\""), "{checks}");
    assert!(world.get(Some(&owner), "/campaigns/1").await.text.contains("Send to 1,176 people…"));

    // It cannot be made for one whom the first thousand are not.
    let campaign = campaigns::get(&world.db, CampaignId(1)).await.unwrap().unwrap();
    let all = audience::people(&world.db, Audience::of(&campaign), ContactId(0), 2_000, world.now).await.unwrap();
    let (last, mut draft) = (all.last().unwrap().address.to_string(), campaign.draft);
    draft.html += &format!("{{% if email == '{last}' %}}{{{{ email.nothing.there }}}}{{% endif %}}");
    assert!(campaigns::update(&world.db, CampaignId(1), &draft).await.unwrap());
    let page = world.get(Some(&owner), "/campaigns/1").await.text;
    assert!(page.contains("Send to 1,176 people…"), "{page}");
    let checks = over(&world, &owner, "/campaigns/1/checks").await;
    assert!(checks.contains(&format!("cannot be made for {last}: HTML, line 1")), "{checks}");
    let refused = world.post(&owner, "/campaigns/1/launch", &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);

    draft.html = "<p>Dear {{ first_name }},</p>".into();
    assert!(campaigns::update(&world.db, CampaignId(1), &draft).await.unwrap());
    over(&world, &owner, "/campaigns/1/checks").await;
    assert_eq!(world.post(&owner, "/campaigns/1/launch", &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(world.post(&owner, "/campaigns/1/launch", &[]).await.status, StatusCode::SEE_OTHER, "twice is once");
}

/// Asks until all letters are made.
async fn over(world: &World, browser: &Browser, path: &str) -> String {
    loop {
        let answer = world.get(Some(browser), path).await.text;
        if !answer.contains("id=\"making\"") {
            return answer;
        }
    }
}

//! Policies and verdicts, changed through the pages.

use crate::world::World;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use rebound_db::{bounces, policies, suppressions};
use rebound_domain::{BounceCause as C, Role};

#[tokio::test]
async fn a_policy_is_looked_at_saved_and_gone_back_from() {
    let world = World::seeded().await;
    let admin = world.browser(Role::Admin).await;
    let page = world.get(Some(&admin), "/policies").await;
    assert!(page.text.contains("name=\"mailbox_full.limit\"") && page.text.contains("Save as version 2"));
    assert!(!page.text.contains("name=\"spam_suspected.limit\""), "the sender's fault is never counted");

    // Before anything is saved: the part that htmx asks for, and the whole page for who has no script.
    let path = "/policies/effect?based_on=1&mailbox_full.limit=7&mailbox_full.give_up_hours=24";
    let asked = Request::get(path).header(header::COOKIE, &admin.cookie).header("hx-request", "true");
    let part = world.ask(asked.body(Body::empty()).unwrap()).await;
    assert!(part.text.contains("bounces in a row: 5 → 7") && !part.text.contains("<html"), "{}", part.text);
    assert!(part.text.contains("Replayed 16 failed tries"), "{}", part.text);
    let whole = world.get(Some(&admin), path).await;
    assert!(whole.text.contains("bounces in a row: 5 → 7") && whole.text.contains("changed from 5"));
    assert!(policies::versions(&world.db).await.unwrap().is_empty(), "nothing was saved");

    let faulty = [("based_on", "1"), ("mailbox_full.limit", "many"), ("mailbox_full.base_minutes", "9000")];
    let refused = world.post(&admin, "/policies", &faulty).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("write a whole number from 1 to 50") && refused.text.contains("value=\"many\""));
    assert!(refused.text.contains("may not be longer than the longest"), "{}", refused.text);

    let saved = world.post(&admin, "/policies", &[("based_on", "1"), ("mailbox_full.limit", "7")]).await;
    assert_eq!(
        (saved.status, &saved.headers["location"]),
        (StatusCode::SEE_OTHER, &"/policies/versions/2".parse().unwrap())
    );
    let in_force = policies::in_force(&world.db).await.unwrap();
    assert_eq!(in_force.version, 2);

    // Who was slower sees both.
    let slower = world.post(&admin, "/policies", &[("based_on", "1"), ("mailbox_full.limit", "9")]).await;
    assert_eq!(slower.status, StatusCode::CONFLICT);
    assert!(slower.text.contains("saved version 2 while you wrote") && slower.text.contains("5 → 7"));
    assert!(slower.text.contains("changed from 7") && slower.text.contains("name=\"based_on\" value=\"2\""));

    let back = world.get(Some(&admin), "/policies?from=1").await;
    assert!(back.text.contains("bounces in a row: 7 → 5"), "{}", back.text);
    let saved = world.post(&admin, "/policies", &[("based_on", "2"), ("from", "1")]).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let versions = policies::versions(&world.db).await.unwrap();
    assert_eq!(versions.len(), 3);
    assert!(versions[2].policy.changes(&versions[0].policy).is_empty());
    let shown = world.get(Some(&admin), "/policies/versions/2").await;
    assert!(shown.text.contains("What it changed") && shown.text.contains("admin@fernhill.example"));

    let marketer = world.browser(Role::Marketer).await;
    assert!(!world.get(Some(&marketer), "/policies").await.text.contains("Save as version"));
    assert_eq!(world.post(&marketer, "/policies", &[("based_on", "3")]).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_verdict_is_called_wrong_and_right_again() {
    let world = World::seeded().await;
    let marketer = world.browser(Role::Marketer).await;
    let filter = bounces::Filter { cause: Some(C::MailboxUnknown), ..bounces::Filter::default() };
    let found = bounces::page(&world.db, &filter, None, 9).await.unwrap();
    let bounce = found.first().unwrap();
    let stands = async || suppressions::of(&world.db, &bounce.address).await.unwrap().len();
    assert_eq!(stands().await, 1);
    let path = format!("/bounces/{}", bounce.id);
    assert!(world.get(Some(&marketer), &path).await.text.contains("This is wrong"));

    let says = [("case", "mailbox_full"), ("why", "they wrote to me")];
    let order = format!("{path}/correction");
    let look = world.post(&marketer, &order, &says).await;
    assert!(look.text.contains("1 address is written to again"), "{}", look.text);
    assert_eq!(stands().await, 1, "a look changes nothing");
    let seen: Vec<_> = says.into_iter().chain([("seen", "1")]).collect();
    assert_eq!(world.post(&marketer, &order, &seen).await.status, StatusCode::SEE_OTHER);
    assert_eq!(stands().await, 0);
    let page = world.get(Some(&marketer), &path).await;
    assert!(page.text.contains("they wrote to me") && page.text.contains("marketer@fernhill.example"), "{}", page.text);
    assert!(page.text.contains("the verdict was: no such mailbox"), "{}", page.text);

    assert_eq!(world.post(&marketer, &format!("{order}/undo"), &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(stands().await, 1);
    let auditor = world.browser(Role::Auditor).await;
    assert!(!world.get(Some(&auditor), &path).await.text.contains("This is wrong"));
}

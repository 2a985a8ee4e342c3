//! Leaving lists, and choosing among them, by nothing but a link.

use crate::world::World;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use chrono::{TimeDelta, Utc};
use rebound_db::{events, lists, subscriptions, suppressions};
use rebound_domain::{
    Clock, Contact, DeliveryId, Draft, Keys, ListId, Scope, StateName, SubscriptionState, Suppression,
    SuppressionReason, UnsubscribeLink,
};
use rebound_ingest::{ClientAddress, PublicPages, public_routes};
use std::net::IpAddr;
use tower::ServiceExt;

pub(crate) const ADA: &str = "ada@orchard.example";
pub(crate) const ONE_CLICK: &str = "List-Unsubscribe=One-Click";

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: String,
}

pub(crate) fn site(world: &World) -> Router {
    let stylesheets = vec!["/assets/app.1.css".to_owned()];
    let (db, keys, clock) = (world.db.clone(), world.keys.clone(), Clock::wall());
    public_routes(PublicPages { db, keys, clock, stylesheets, destination })
}

/// What an author wrote, with the address of whoever it is for, as long as that is known.
fn destination(_: &Draft, _: &str, target: &str, contact: Option<&Contact>) -> Option<String> {
    let address = contact.map_or("", |contact| contact.address.as_str());
    target.starts_with("https://").then(|| target.replace("{{ email }}", address))
}

pub(crate) async fn ask(site: &Router, method: Method, path: &str, body: &str, from: u8) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .extension(ClientAddress(IpAddr::from([192, 0, 2, from])))
        .body(Body::from(body.to_owned()))
        .unwrap();
    let response = site.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, body }
}

pub(crate) async fn link(world: &World) -> String {
    format!("/u/{}", UnsubscribeLink(world.delivery(ADA).await).sign(&world.keys))
}

/// Another list, which Ada joined or not.
async fn another_list(world: &World, name: &str, joined: bool) -> ListId {
    let list = lists::ensure(&world.db, name, world.now).await.unwrap().id;
    let ada = ADA.parse::<rebound_domain::EmailAddress>().unwrap().key();
    let people = if joined { vec![ada] } else { vec![] };
    subscriptions::confirm_all(&world.db, list, &people, "a form", world.now).await.unwrap();
    list
}

fn is_ticked(page: &Answer, list: ListId) -> bool {
    page.body.contains(&format!("name=\"list\" value=\"{list}\" checked"))
}

async fn place(world: &World) -> SubscriptionState {
    subscriptions::get(&world.db, world.list, world.contact(ADA).await).await.unwrap().unwrap().state
}

#[tokio::test]
async fn opening_the_link_changes_nothing_and_says_what_a_click_would_do() {
    let world = World::with(&[ADA]).await;
    let (site, link) = (site(&world), link(&world).await);
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
        ask(&site, method, &link, ONE_CLICK, 1).await;
    }
    for path in [format!("{link}?{ONE_CLICK}"), format!("{link}/undo")] {
        ask(&site, Method::GET, &path, "", 1).await;
    }
    let wrong_form = ask(&site, Method::POST, &link, "q=1", 1).await;
    let page = ask(&site, Method::GET, &link, "", 1).await;

    assert_eq!((world.suppression(ADA).await, place(&world).await), (None, SubscriptionState::Confirmed));
    assert_eq!((wrong_form.status, page.status), (StatusCode::BAD_REQUEST, StatusCode::OK));
    for words in ["Unsubscribe?", ADA, "Fernhill &#60;Garden&#62;", "3 Mill Lane, Ulmen", "/assets/app.1.css"] {
        assert!(page.body.contains(words), "{words} in {}", page.body);
    }
    assert!(page.body.contains(&format!("action=\"{link}\"")) && page.body.contains("value=\"One-Click\""));
}

#[tokio::test]
async fn one_click_leaves_the_list_before_it_is_answered_and_twice_is_once() {
    let world = World::with(&[ADA]).await;
    let (site, link) = (site(&world), link(&world).await);
    for _ in 0..2 {
        let answer = ask(&site, Method::POST, &link, ONE_CLICK, 1).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.body.contains("You are unsubscribed"), "{}", answer.body);
    }
    assert_eq!(world.suppression(ADA).await.unwrap().reason, SuppressionReason::Unsubscribe);
    assert_eq!(place(&world).await, SubscriptionState::Left);
    let told = events::of_subject(&world.db, "contact", world.contact(ADA).await.0, 100).await.unwrap();
    assert_eq!(told.iter().filter(|event| event.kind == "unsubscribed").count(), 1);
    assert!(ask(&site, Method::GET, &link, "", 1).await.body.contains("You are unsubscribed"));
    // Mail that is planned from now on leaves them out.
    world.send("Summer", Utc::now() + TimeDelta::hours(1)).await;
    assert_eq!(world.delivery(ADA).await.campaign().0, 1);
}

#[tokio::test]
async fn whoever_leaves_by_a_letter_in_doubt_has_it() {
    let world = World::with(&[ADA]).await;
    world.send_in_doubt("Summer", world.now).await;
    let (site, link) = (site(&world), link(&world).await);
    ask(&site, Method::GET, &link, "", 1).await;
    assert_ne!(world.state(ADA).await, StateName::Accepted, "a scanner opens links too");
    ask(&site, Method::POST, &link, ONE_CLICK, 1).await;
    assert_eq!(world.state(ADA).await, StateName::Accepted);
}

#[tokio::test]
async fn both_forms_of_a_form_leave() {
    let world = World::with(&[ADA]).await;
    let form = "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
    let answer = ask(&site(&world), Method::POST, &link(&world).await, form, 1).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(world.suppression(ADA).await.is_some());
}

#[tokio::test]
async fn who_left_by_mistake_can_come_back() {
    let world = World::with(&[ADA]).await;
    let (site, link) = (site(&world), link(&world).await);
    ask(&site, Method::POST, &link, ONE_CLICK, 1).await;
    for _ in 0..2 {
        let answer = ask(&site, Method::POST, &format!("{link}/undo"), "", 1).await;
        assert!(answer.status == StatusCode::OK && answer.body.contains("You stay subscribed"), "{}", answer.body);
    }
    assert_eq!((world.suppression(ADA).await, place(&world).await), (None, SubscriptionState::Confirmed));
}

#[tokio::test]
async fn a_person_sees_and_chooses_their_lists() {
    let world = World::with(&[ADA]).await;
    let (care, staff) =
        (another_list(&world, "Care & <Repair>", true).await, another_list(&world, "Staff", false).await);
    let (site, link) = (site(&world), link(&world).await);
    let page = format!("{link}/preferences");
    let news = world.list;

    let seen = ask(&site, Method::GET, &page, "", 1).await;
    assert_eq!(seen.status, StatusCode::OK);
    assert!(seen.body.contains("Care &#38; &#60;Repair&#62;") && !seen.body.contains("Staff"), "{}", seen.body);
    assert_eq!((is_ticked(&seen, news), is_ticked(&seen, care)), (true, true));

    let form = format!("shown={news}&shown={care}&list={care}&shown={staff}&list={staff}");
    for _ in 0..2 {
        let saved = ask(&site, Method::POST, &page, &form, 1).await;
        assert!(saved.body.contains("Saved") && !is_ticked(&saved, news) && is_ticked(&saved, care), "{}", saved.body);
    }
    assert_eq!(place(&world).await, SubscriptionState::Left);
    let told = events::of_subject(&world.db, "contact", world.contact(ADA).await.0, 100).await.unwrap();
    assert_eq!(told.iter().filter(|event| event.kind == "unsubscribed").count(), 1);
    let left = ask(&site, Method::GET, &link, "", 1).await.body;
    assert!(left.contains("no more of “Newsletter”") && left.contains("You still get “Care"), "{left}");

    ask(&site, Method::POST, &page, &format!("shown={news}&list={news}"), 1).await;
    assert_eq!((world.suppression(ADA).await, place(&world).await), (None, SubscriptionState::Confirmed));
}

#[tokio::test]
async fn who_stops_all_letters_gets_none_and_can_take_it_back() {
    let world = World::with(&[ADA]).await;
    let care = another_list(&world, "Care", true).await;
    let (site, link) = (site(&world), link(&world).await);
    let page = format!("{link}/preferences");
    for method in [Method::GET, Method::HEAD, Method::PUT] {
        ask(&site, method, &format!("{page}?all=stop"), "all=stop", 1).await;
    }
    assert_eq!(world.suppression(ADA).await, None, "opening the page changes nothing");

    let stopped = ask(&site, Method::POST, &page, &format!("shown={care}&list={care}&all=stop"), 1).await;
    assert!(stopped.body.contains("no more letters from us") && !is_ticked(&stopped, care), "{}", stopped.body);
    assert_eq!(world.suppression(ADA).await.unwrap().scope, Scope::Everywhere);
    assert!(ask(&site, Method::GET, &link, "", 1).await.body.contains("You are unsubscribed"));

    let back = ask(&site, Method::POST, &format!("{link}/undo"), "", 1).await;
    assert!(back.body.contains("You stay subscribed"), "{}", back.body);
    let seen = ask(&site, Method::GET, &page, "", 1).await;
    assert!(is_ticked(&seen, care) && is_ticked(&seen, world.list), "{}", seen.body);
}

#[tokio::test]
async fn a_complaint_is_no_choice_and_the_page_says_so() {
    let world = World::with(&[ADA]).await;
    let (site, page) = (site(&world), format!("{}/preferences", link(&world).await));
    let (address, scope) = (ADA.parse::<rebound_domain::EmailAddress>().unwrap().key(), Scope::Everywhere);
    let reason = SuppressionReason::Complaint;
    let one = Suppression { address, scope, reason, since: world.now, until: None, evidence: String::new() };
    suppressions::add(&world.db, &one).await.unwrap();

    let news = world.list;
    let saved = ask(&site, Method::POST, &page, &format!("shown={news}&list={news}"), 1).await;

    assert!(saved.body.contains("reported as spam"), "{}", saved.body);
    assert_eq!(world.suppression(ADA).await.map(|one| one.reason), Some(reason));
}

#[tokio::test]
async fn a_wrong_link_is_not_found_and_guessing_is_slowed() {
    let world = World::with(&[ADA]).await;
    let (site, link) = (site(&world), link(&world).await);
    let delivery = world.delivery(ADA).await;
    let others = Keys::new(('a', b"another key".to_vec()), vec![]);
    let long = "a".repeat(5000);
    for token in [UnsubscribeLink(delivery).sign(&others).as_str(), "u.a.b.c", "x", "%00%ff", &long] {
        let answer = ask(&site, Method::POST, &format!("/u/{token}"), ONE_CLICK, 1).await;
        let refused = [StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST];
        assert!(refused.contains(&answer.status), "{token}: {}", answer.status);
    }
    let mut slowed = 0;
    for n in 0..100 {
        let token = link.replace("/u/", "").replacen('a', "b", n % 4 + 2);
        let kind = ["", "/undo", "/preferences"][n % 3];
        let answer = ask(&site, Method::POST, &format!("/u/{token}{kind}"), ONE_CLICK, 1).await;
        slowed += usize::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(slowed >= 70, "{slowed}");
    assert_eq!(world.suppression(ADA).await, None);
    // Others, and who has a link of ours, are not kept waiting.
    assert_eq!(ask(&site, Method::GET, "/u/x", "", 2).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ask(&site, Method::POST, &link, ONE_CLICK, 1).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_link_to_nobody_and_a_database_that_is_away_are_told_apart() {
    let world = World::with(&[ADA]).await;
    let (site, link) = (site(&world), link(&world).await);
    let nobody = UnsubscribeLink(DeliveryId(99 << 31)).sign(&world.keys);
    assert_eq!(ask(&site, Method::POST, &format!("/u/{nobody}"), ONE_CLICK, 1).await.status, StatusCode::OK);
    world.db.close().await;
    assert_eq!(ask(&site, Method::POST, &link, ONE_CLICK, 1).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

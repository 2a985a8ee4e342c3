//! Following the counted links of a letter.

use crate::pages::{ADA, ask, link, site};
use crate::postgres::empty;
use crate::world::{World, dsn, key};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use chrono::{TimeDelta, Utc};
use rebound_db::{clicks, events, leases, standings};
use rebound_domain::{CountedLink, DeliveryId, Follower, StateName, WorkerId};
use std::time::Duration;
use tower::ServiceExt;

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

async fn address(world: &World, link: u16) -> String {
    format!("/c/{}", CountedLink { delivery: world.delivery(ADA).await, link }.sign(&world.keys))
}

async fn follow(site: &Router, method: Method, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    site.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

/// A person follows a link of Ada's letter; where it leads.
async fn person(site: &Router, path: &str) -> String {
    let answer = follow(site, Method::GET, path, &[("user-agent", BROWSER)]).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    answer.headers()[header::LOCATION].to_str().unwrap().to_owned()
}

async fn noted(world: &World) -> Vec<(u16, Follower)> {
    let all = clicks::of_letter(&world.db, world.delivery(ADA).await).await.unwrap();
    let mut all: Vec<_> = all.into_iter().map(|click| (click.of.link, click.follower)).collect();
    all.sort_by_key(|(link, _)| *link);
    all
}

#[tokio::test]
async fn a_link_leads_on_and_is_noted_once() {
    let world = World::with(&[ADA, "bob@orchard.example"]).await;
    let (site, path) = (site(&world), address(&world, 1).await);
    for _ in 0..3 {
        assert_eq!(person(&site, &path).await, format!("https://fernhill.example/bulbs?for={ADA}"));
    }
    assert_eq!(noted(&world).await, [(1, Follower::Person)]);
    let campaign = world.delivery(ADA).await.campaign();
    let counts = clicks::counts(&world.db, campaign).await.unwrap();
    let counts: Vec<_> = counts.iter().map(|link| (link.people, link.machines)).collect();
    assert_eq!((clicks::people(&world.db, campaign).await.unwrap(), counts), (1, vec![(1, 0), (0, 0), (0, 0)]));
    let story = clicks::of_contact(&world.db, world.contact(ADA).await, 10).await.unwrap();
    assert_eq!(
        story.iter().map(|one| one.target.as_str()).collect::<Vec<_>>(),
        ["https://fernhill.example/bulbs?for={{ email }}"]
    );
}

#[tokio::test]
async fn machines_are_told_from_people_and_people_count_where_both_came() {
    let world = World::with(&[ADA]).await;
    let (site, path) = (site(&world), address(&world, 1).await);
    let head = follow(&site, Method::HEAD, &path, &[("user-agent", BROWSER)]).await;
    assert_eq!((head.status(), noted(&world).await), (StatusCode::FOUND, vec![]));
    for headers in [
        &[("user-agent", "BarracudaCentral/1.0")][..],
        &[("user-agent", BROWSER), ("sec-purpose", "prefetch;prerender")],
        &[],
    ] {
        let answer = follow(&site, Method::GET, &path, headers).await;
        assert_eq!((answer.status(), noted(&world).await), (StatusCode::FOUND, vec![(1, Follower::Machine)]));
    }
    person(&site, &path).await;
    assert_eq!(noted(&world).await, [(1, Follower::Person)]);
    follow(&site, Method::GET, &path, &[("user-agent", "curl/8")]).await;
    assert_eq!(noted(&world).await, [(1, Follower::Person)], "a machine changes nothing of that");
}

#[tokio::test]
async fn who_follows_two_links_at_once_is_a_machine() {
    two_at_once(&World::with(&[ADA]).await).await;
    let db = rebound_db::connect(&empty()).await.unwrap();
    rebound_db::migrate(&db).await.unwrap();
    two_at_once(&World::on(db, tempfile::tempdir().unwrap(), &[ADA]).await).await;
}

async fn two_at_once(world: &World) {
    let (site, one, two) = (site(world), address(world, 1).await, address(world, 2).await);
    // A scanner under the name of a browser, both at the same time, and each many times.
    let asks = (0..10).flat_map(|_| [&one, &two]).map(|path| person(&site, path));
    futures_util::future::join_all(asks).await;
    assert_eq!(noted(world).await, [(1, Follower::Machine), (2, Follower::Machine)]);
    assert_eq!(clicks::people(&world.db, world.delivery(ADA).await.campaign()).await.unwrap(), 0);
    // What a browser fetches ahead says nothing of its reader, who comes later and reads on.
    for path in [&one, &two] {
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        person(&site, path).await;
    }
    let ahead = [("user-agent", BROWSER), ("sec-purpose", "prefetch")];
    follow(&site, Method::GET, &one, &ahead).await;
    assert_eq!(noted(world).await, [(1, Follower::Person), (2, Follower::Person)]);
}

#[tokio::test]
async fn whoever_follows_a_link_has_the_letter_also_where_we_were_in_doubt() {
    let world = World::with(&[ADA]).await;
    world.send_in_doubt("Autumn", world.now - TimeDelta::hours(1)).await;
    assert_eq!(world.state(ADA).await, StateName::Planned, "it waits to be sent again");
    // A filter may look at a letter that its host does not take.
    follow(&site(&world), Method::GET, &address(&world, 1).await, &[("user-agent", "python-requests")]).await;
    assert_eq!(world.state(ADA).await, StateName::Planned);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    person(&site(&world), &address(&world, 2).await).await;
    assert_eq!(world.state(ADA).await, StateName::Accepted);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    person(&site(&world), &address(&world, 1).await).await;
    assert_eq!(noted(&world).await, [(1, Follower::Person), (2, Follower::Person)], "they read on at once");
    assert_eq!(
        leases::claim(&world.db, WorkerId(2), world.delivery(ADA).await.campaign(), 10, Utc::now()).await.unwrap(),
        []
    );
}

#[tokio::test]
async fn whoever_follows_a_later_link_is_reached_again() {
    let world = World::with(&[ADA]).await;
    let late = dsn(ADA, "4.4.7", "450 4.4.7 delivery time expired", &world.message_id(ADA).await);
    world.arrive(&world.return_path(ADA).await, &late).await;
    world.read_all().await;
    let run = async || standings::get(&world.db, &[key(ADA)]).await.unwrap().remove(&key(ADA)).unwrap().standing.run;
    assert!(run().await.is_some());
    // The letter that came back says nothing of the mailbox now, whoever kept it.
    person(&site(&world), &address(&world, 1).await).await;
    assert!(run().await.is_some());
    world.send_in_doubt("Autumn", Utc::now()).await;
    let delivery = world.delivery(ADA).await;
    let (tx, policy) = (world.db.begin().await.unwrap(), rebound_domain::Policy::default());
    rebound_contacts::record_arrivals(&tx, &[delivery], "a test", &policy, Utc::now()).await.unwrap();
    tx.commit().await.unwrap();
    // Nobody reads so fast.
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    person(&site(&world), &address(&world, 1).await).await;
    assert!(run().await.is_none());
    let told = events::of_key(&world.db, &key(ADA), 20).await.unwrap();
    assert_eq!(told.iter().filter(|event| event.kind == "reached").count(), 1);
}

#[tokio::test]
async fn of_who_does_not_want_it_nothing_is_noted_and_what_was_is_forgotten() {
    let world = World::with(&[ADA]).await;
    let (site, path) = (site(&world), address(&world, 1).await);
    let page = format!("{}/preferences", link(&world).await);
    let news = world.list;
    let shown = ask(&site, Method::GET, &page, "", 1).await;
    assert!(shown.body.contains("name=\"counted\" value=\"yes\" checked"), "{}", shown.body);
    person(&site, &path).await;
    assert_eq!(noted(&world).await.len(), 1);
    for _ in 0..2 {
        let form = format!("shown={news}&list={news}&asks=counted");
        let saved = ask(&site, Method::POST, &page, &form, 1).await;
        assert!(saved.body.contains("name=\"counted\" value=\"yes\">"), "{}", saved.body);
        assert_eq!(person(&site, &path).await, format!("https://fernhill.example/bulbs?for={ADA}"));
        assert_eq!(noted(&world).await, []);
    }
    // A page that did not ask changes nothing.
    ask(&site, Method::POST, &page, &format!("shown={news}&list={news}"), 1).await;
    person(&site, &path).await;
    assert_eq!(noted(&world).await, []);
    ask(&site, Method::POST, &page, &format!("shown={news}&list={news}&asks=counted&counted=yes"), 1).await;
    person(&site, &path).await;
    assert_eq!(noted(&world).await, [(1, Follower::Person)]);
    let told = events::of_key(&world.db, &key(ADA), 20).await.unwrap();
    let kinds: Vec<&str> =
        told.iter().map(|event| event.kind.as_str()).filter(|kind| kind.starts_with("clicks")).collect();
    assert_eq!(kinds, ["clicks.allowed", "clicks.refused"]);
}

#[tokio::test]
async fn what_leads_nowhere_is_said_and_nothing_is_noted() {
    let world = World::with(&[ADA]).await;
    let (site, delivery) = (site(&world), world.delivery(ADA).await);
    for (link, status) in [
        // What its author wrote is no page.
        (CountedLink { delivery, link: 3 }, StatusCode::NOT_FOUND),
        (CountedLink { delivery, link: 4 }, StatusCode::NOT_FOUND),
        (CountedLink { delivery, link: u16::MAX }, StatusCode::NOT_FOUND),
        (CountedLink { delivery: DeliveryId(99 << 31), link: 1 }, StatusCode::NOT_FOUND),
        // Its person is not known any more, or never was.
        (CountedLink { delivery: DeliveryId(delivery.0 + 7), link: 1 }, StatusCode::FOUND),
    ] {
        let answer = follow(&site, Method::GET, &format!("/c/{}", link.sign(&world.keys)), &[]).await;
        assert_eq!(answer.status(), status, "{link:?}");
    }
    assert_eq!(noted(&world).await, []);
    world.db.close().await;
    let away = follow(&site, Method::GET, &address_of(delivery, &world), &[]).await;
    assert_eq!((away.status(), away.headers().get(header::LOCATION)), (StatusCode::SERVICE_UNAVAILABLE, None));
}

fn address_of(delivery: DeliveryId, world: &World) -> String {
    format!("/c/{}", CountedLink { delivery, link: 2 }.sign(&world.keys))
}

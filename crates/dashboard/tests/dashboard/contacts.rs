//! Contacts and lists: found, selected, edited, and written to again.

use crate::world::{Browser, World};
use axum::http::{StatusCode, header};
use chrono::TimeDelta;
use rebound_db::{contacts, events, lists, subscriptions, suppressions};
use rebound_domain::{Contact, EmailAddress, Role, Scope, SubscriptionState, Suppression, SuppressionReason};

async fn person(world: &World, address: &str) -> Contact {
    let key = address.parse::<EmailAddress>().unwrap().key();
    contacts::by_key(&world.db, &key).await.unwrap().unwrap()
}

/// The addresses on a page, in their order.
fn addresses(page: &str) -> Vec<&str> {
    let labels = page.split("aria-label=\"Select ").skip(1).filter_map(|rest| rest.split('"').next());
    labels.filter(|one| one.contains('@')).collect()
}

#[tokio::test]
async fn people_are_found_by_how_they_stand_and_in_the_order_asked_for() {
    let world = World::seeded().await;
    let browser = world.browser(Role::Marketer).await;
    let page = async |query: &str| world.get(Some(&browser), &format!("/contacts?{query}")).await.text;
    let gone = page("state=hard").await;
    let gone = addresses(&gone);
    assert!(!gone.is_empty());
    let mailable = page("state=mailable&sort=oldest").await;
    assert!(addresses(&mailable).iter().all(|one| !gone.contains(one)));

    let sorted = page("domain=gmail.test&sort=address").await;
    let found = addresses(&sorted);
    assert!(found.len() == 24 && found.is_sorted() && found.iter().all(|one| one.ends_with("@gmail.test")));
    assert!(sorted.contains("24 people found"));
    let first = page("sort=address").await;
    let next = first.split("href=\"").find(|part| part.contains("after=")).unwrap().split('"').next().unwrap();
    let second = world.get(Some(&browser), &next.replace("&#38;", "&")).await.text;
    assert_eq!(addresses(&first).len() + addresses(&second).len(), 96);
    assert!(addresses(&first).last() < addresses(&second).first());
    assert!(page("q=nobody+like+this").await.contains("No contact matches"));
}

/// Each link of a page to `place`, with the figure that it stands for.
fn figures(page: &str, place: &str) -> Vec<(String, usize)> {
    let begins = format!("href=\"{place}");
    let links = page.split(begins.as_str()).skip(1);
    let figure = |link: &str| {
        let (rest, words) = link.split_once('"')?;
        let words = words.split_once("</a>")?.0;
        let figure = words.split("class=\"figure\">").nth(1).or_else(|| words.split_once('>').map(|(_, rest)| rest))?;
        let digits: String = figure.chars().take_while(|c| c.is_ascii_digit() || *c == ',').collect();
        Some((format!("{place}{rest}").replace("&#38;", "&"), digits.replace(',', "").parse().ok()?))
    };
    links.filter_map(figure).collect()
}

#[tokio::test]
async fn figures_lead_to_as_many_rows() {
    let world = World::seeded().await;
    let browser = world.browser(Role::Marketer).await;
    let page = async |path: &str| world.get(Some(&browser), path).await.text;
    let keys = [0, 4, 8].map(|n| format!("person{n}@orchard.test").parse::<EmailAddress>().unwrap().key());
    for (key, days) in keys.iter().zip([3, 3, 5]) {
        let (scope, reason, since) = (Scope::Everywhere, SuppressionReason::Soft, world.now);
        let until = Some(world.now + TimeDelta::days(days));
        let rest = Suppression { address: key.clone(), scope, reason, since, until, evidence: String::new() };
        suppressions::add(&world.db, &rest).await.unwrap();
    }

    let (import, list) = (page("/imports/1").await, page("/lists/1").await);
    let people = [figures(&import, "/contacts?import="), figures(&list, "/contacts?list=1")].concat();
    assert!(people.iter().any(|(_, figure)| *figure == 96) && people.len() > 6, "{people:?}");
    for (path, figure) in people {
        let found = page(&path).await;
        let words = if figure == 1 { "1 person found".to_owned() } else { format!("{figure} people found") };
        assert!(found.contains(&words), "{path} does not show {words}");
    }

    let overview = page("/").await;
    let days = figures(&overview, "/campaigns?day=");
    assert!(!days.is_empty());
    for (path, figure) in days {
        assert!(page(&path).await.contains(&format!("{figure} message")), "{path}: {figure}");
    }
    let back = figures(&overview, "/suppressions?reason=soft&#38;back=");
    assert!(!back.is_empty());
    for (path, figure) in back {
        assert_eq!(addresses(&page(&path).await).len(), figure, "{path}");
    }
}

#[tokio::test]
async fn several_are_acted_on_only_after_it_was_said_what_happens_to_how_many() {
    let world = World::seeded().await;
    let browser = world.browser(Role::Marketer).await;
    let people = [person(&world, "person0@orchard.test").await, person(&world, "person2@sendero.test").await];
    let ids = people.each_ref().map(|one| one.id.to_string());
    let act = async |act: &str, more: &[(&str, &str)]| {
        let mut form = vec![("act", act), ("id", ids[0].as_str()), ("id", ids[1].as_str())];
        form.extend(more);
        world.post(&browser, "/contacts/selected", &form).await
    };
    let asked = act("suppress", &[]).await;
    assert!(asked.text.contains("Suppress 2 people?") && asked.text.contains("person0@orchard.test"), "{}", asked.text);
    let keys = people.each_ref().map(|one| one.address.key());
    assert!(suppressions::standing(&world.db, &keys, None, world.now).await.unwrap().is_empty(), "nothing yet");

    let list = lists::ensure(&world.db, "Garden club", world.now).await.unwrap();
    let list_id = list.id.to_string();
    let sure = [("list", list_id.as_str()), ("sure", "yes")];
    for (act_name, went) in [("join", "join&n=2"), ("leave", "leave&n=2"), ("join", "join&n=0")] {
        assert_eq!(act(act_name, &sure).await.headers[header::LOCATION], format!("/contacts?done={went}"));
    }
    let place = subscriptions::get(&world.db, list.id, people[0].id).await.unwrap().unwrap();
    assert_eq!(place.state, SubscriptionState::Left, "who left stays off");

    assert_eq!(act("suppress", &[("sure", "yes"), ("why", "asked")]).await.status, StatusCode::SEE_OTHER);
    let later = world.now + chrono::TimeDelta::minutes(1);
    assert_eq!(suppressions::standing(&world.db, &keys, None, later).await.unwrap().len(), 2);
    let nobody = world.post(&browser, "/contacts/selected", &[("act", "suppress"), ("sure", "yes")]).await;
    assert!(nobody.text.contains("nobody was ticked"));
}

#[tokio::test]
async fn a_profile_is_edited_and_its_suppression_lifted_with_a_reason() {
    let world = World::seeded().await;
    let browser = world.browser(Role::Marketer).await;
    let one = person(&world, "person0@orchard.test").await;
    let at = format!("/contacts/{}", one.id);
    let fields = [("name", "First name"), ("value", "Elif"), ("name", "town"), ("value", "")];
    assert_eq!(world.post(&browser, &format!("{at}/edit"), &fields).await.status, StatusCode::SEE_OTHER);
    let edited = contacts::get(&world.db, one.id).await.unwrap().unwrap();
    assert_eq!(edited.fields.into_iter().collect::<Vec<_>>(), [("first_name".to_owned(), "Elif".to_owned())]);
    let found = world.get(Some(&browser), "/contacts?q=elif").await.text;
    assert!(found.contains("person0@orchard.test"), "found by the new name");
    let twice = [("name", "town"), ("value", "a"), ("name", "Town"), ("value", "b")];
    assert_eq!(world.post(&browser, &format!("{at}/edit"), &twice).await.status, StatusCode::UNPROCESSABLE_ENTITY);

    world.post(&browser, &format!("{at}/suppress"), &[("why", "by telephone")]).await;
    let page = world.get(Some(&browser), &at).await.text;
    assert!(page.contains("We do not write to this address") && page.contains("Lift it"), "{page}");
    let form = [("reason", "2"), ("list", "0"), ("why", "a mistake")];
    assert_eq!(world.post(&browser, &format!("{at}/lift"), &form).await.status, StatusCode::SEE_OTHER);
    let log = events::of_key(&world.db, &one.address.key(), 10).await.unwrap();
    assert!(log.iter().any(|entry| entry.kind == "lifted.other" && entry.detail.contains("a mistake")));
    assert!(!world.get(Some(&browser), &at).await.text.contains("Lift it"));
}

#[tokio::test]
async fn a_list_has_its_numbers_a_new_name_an_archive_and_an_end() {
    let world = World::seeded().await;
    let browser = world.browser(Role::Marketer).await;
    let page = async |path: &str| world.get(Some(&browser), path).await.text;
    let list = lists::named(&world.db, "Newsletter").await.unwrap().unwrap();
    let at = format!("/lists/{}", list.id);
    let shown = page(&at).await;
    let mailable = rebound_contacts::audience_count(&world.db, list.id, world.now).await.unwrap();
    assert!(shown.contains("96 people") && shown.contains(&format!("{mailable} can be written to")), "{shown}");
    let csv = page(&format!("{at}/export")).await;
    assert!(csv.lines().count() == 97 && csv.starts_with("email,first_name"));

    let other = lists::ensure(&world.db, "Press", world.now).await.unwrap();
    let refused = world.post(&browser, &format!("{at}/rename"), &[("name", "Press")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    world.post(&browser, &format!("{at}/rename"), &[("name", "Letter")]).await;
    assert!(page("/lists").await.contains("Letter"));
    world.post(&browser, &format!("{at}/archive"), &[]).await;
    assert!(page(&at).await.contains("Take it out of the archive"));

    assert_eq!(delete(&world, &browser, &at).await, StatusCode::CONFLICT, "a campaign is for it");
    let key = person(&world, "person1@larkfield.test").await.address.key();
    subscriptions::confirm_all(&world.db, other.id, std::slice::from_ref(&key), "test", world.now).await.unwrap();
    assert!(page(&format!("/lists/{}/delete", other.id)).await.contains("1 person"));
    assert_eq!(delete(&world, &browser, &format!("/lists/{}", other.id)).await, StatusCode::SEE_OTHER);
    assert_eq!(lists::named(&world.db, "Press").await.unwrap(), None);
    assert!(contacts::by_key(&world.db, &key).await.unwrap().is_some(), "the people stay");
}

async fn delete(world: &World, browser: &Browser, list: &str) -> StatusCode {
    world.post(browser, &format!("{list}/delete"), &[]).await.status
}

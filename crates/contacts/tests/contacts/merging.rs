//! The same person, twice.

use crate::place::Place;
use rebound_contacts::{Import, import};
use rebound_db::contacts::{self, How, Sort};
use rebound_db::{events, imports, lists, subscriptions};
use rebound_domain::{ContactId, EmailAddress, Fields, SubscriptionState};
use std::io::Cursor;

#[tokio::test]
async fn twice_is_once() {
    let place = Place::new().await;
    // Far apart, so that they do not travel together, and each says something else.
    let middle: String = (0..9000).map(|n| format!("p{n}@orchard.example,P{n},Ghent\n")).collect();
    let file =
        format!("email,name,town\nada@orchard.example,Ada,Ghent\nno address,x,y\n{middle}ADA@orchard.example,Ada L,\n");

    let first = place.import(file.clone()).await.counts;
    assert_eq!((first.added, first.duplicates, first.bad, first.lines), (9001, 1, 1, 9003));
    let second = place.import(file).await.counts;
    assert_eq!((second.unchanged, second.duplicates, second.bad, second.lines), (9001, 1, 1, 9003));

    assert_eq!(contacts::total(&place.db).await.unwrap().count, 9001);
    assert_eq!(place.field("ada@orchard.example", "name").await, "Ada L");
    assert_eq!(place.field("ada@orchard.example", "town").await, "Ghent", "an empty cell takes nothing away");
    let imports = imports::newest(&place.db, None, 2).await.unwrap();
    assert_eq!(imports[0].digest, imports[1].digest);
    assert_eq!(imports[0].digest.len(), 64);
    let told = events::of_subject(&place.db, "list", place.list.id.0, 9).await.unwrap();
    assert_eq!(told.len(), 2);
    let first = |event: &events::Entry| event.detail.starts_with("people.csv: 9003 rows, 9001 added, 0 updated");
    assert!(told.iter().any(first), "{told:?}");
}

#[tokio::test]
async fn what_was_known_of_a_contact_stays_known() {
    let place = Place::new().await;
    place.import("email,name,town\nada@orchard.example,Ada,Ghent\nbob@orchard.example,Bob,Bern\n").await;
    let counts = place.import("email,town,plan\nada@orchard.example,,gold\nbob@orchard.example,Bern,\n").await.counts;
    assert_eq!((counts.updated, counts.unchanged), (1, 1));
    let fields = place.contact("ada@orchard.example").await.unwrap().fields;
    let shown: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(shown, ["name=Ada", "plan=gold", "town=Ghent"]);
}

#[tokio::test]
async fn consent_has_its_source_and_its_time() {
    let place = Place::new().await;
    let mut settings = Import::new(place.list.id, "people.csv", place.now);
    settings.consent = "fair in Ghent, signed sheet".to_owned();
    import(&place.db, Cursor::new("email\nada@orchard.example\n"), &settings, |_| ()).await.unwrap();
    let ada = place.contact("ada@orchard.example").await.unwrap();
    let place_in_list = subscriptions::get(&place.db, place.list.id, ada.id).await.unwrap().unwrap();
    assert_eq!(place_in_list.state, SubscriptionState::Confirmed);
    assert_eq!((place_in_list.source.as_str(), place_in_list.since), ("fair in Ghent, signed sheet", place.now));
}

#[tokio::test]
async fn an_import_tells_how_far_it_is() {
    let place = Place::new().await;
    let file: String = (0..60_000).map(|n| format!("p{n}@orchard.example\n")).collect();
    let settings = Import::new(place.list.id, "people.csv", place.now);
    let mut told = Vec::new();
    import(&place.db, Cursor::new(file), &settings, |counts| told.push(*counts)).await.unwrap();
    assert!(told.len() > 10);
    assert!(told.windows(2).all(|pair| pair[0].lines <= pair[1].lines && pair[0].added <= pair[1].added));
    assert_eq!(told.last().map(|counts| (counts.lines, counts.added)), Some((60_000, 60_000)));
}

#[tokio::test]
async fn people_are_found_by_address_name_domain_and_list() {
    let place = Place::new().await;
    place
        .import("email,name\nada@orchard.example,Ada Lovelace\nbob@harbour.example,Grace\ng_1@harbour.example,100%\n")
        .await;
    let other = lists::ensure(&place.db, "Other", place.now).await.unwrap();
    let found = async |search: &str, domain: Option<&str>, list| {
        let filter = contacts::Filter {
            search: search.to_owned(),
            domain: domain.map(str::to_owned),
            list,
            ..contacts::Filter::default()
        };
        let mut page = contacts::page(&place.db, &filter, Sort::Newest, None, 10, place.now).await.unwrap();
        let count = contacts::count(&place.db, &filter, place.now).await.unwrap();
        assert_eq!((count.count, count.how), (i64::try_from(page.len()).unwrap(), How::Exactly));
        page.sort_by_key(|contact| contact.address.to_string());
        page.iter().map(|contact| contact.address.local().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found("", None, None).await, "ada bob g_1");
    assert_eq!(found("AD", None, None).await, "ada");
    assert_eq!(found("ada love", None, None).await, "ada");
    assert_eq!(found("grace", None, None).await, "bob");
    assert_eq!(found("g_", None, None).await, "g_1", "an underscore is no wildcard");
    assert_eq!(found("%", None, None).await, "");
    assert_eq!(found("@harbour.example", None, None).await, "bob g_1");
    assert_eq!(found("", Some("harbour.example"), Some(place.list.id)).await, "bob g_1");
    assert_eq!(found("", None, Some(other.id)).await, "");

    let nothing = contacts::Filter::default();
    let mut all = Vec::new();
    for sort in [Sort::Oldest, Sort::Address, Sort::Newest] {
        all = contacts::page(&place.db, &nothing, sort, None, 10, place.now).await.unwrap();
        let rest = contacts::page(&place.db, &nothing, sort, Some(all[0].id), 10, place.now).await.unwrap();
        assert_eq!((all.len(), &all[1..]), (3, &rest[..]), "{sort:?}");
    }
    let ids: Vec<ContactId> = all.iter().map(|contact| contact.id).collect();
    assert_eq!(contacts::with_ids(&place.db, &ids).await.unwrap().len(), 3);
    assert_eq!(lists::sizes(&place.db).await.unwrap()[&place.list.id].confirmed, 3);
    let again: EmailAddress = "ADA@orchard.example".parse().unwrap();
    assert_eq!(contacts::add(&place.db, &[(again, Fields::new())], place.now).await.unwrap(), 0);
}

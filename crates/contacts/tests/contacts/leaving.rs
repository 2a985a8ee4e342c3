//! Leaving, being suppressed, and coming back.

use crate::place::Place;
use chrono::TimeDelta;
use rebound_contacts::{Error, confirm, lift, prefer, preferences, resubscribe, subscribe, suppress, unsubscribe};
use rebound_db::{events, lists, standings, subscriptions, suppressions};
use rebound_domain::{
    AddressKey, BounceCause, ContactId, Reach, Scope, Standing, Subscription, SubscriptionState, Suppression,
    SuppressionReason,
};

const FILE: &str = "email,name\nada@orchard.example,Ada\nbob@orchard.example,Bob\n";

fn ada() -> AddressKey {
    AddressKey::stored("ada@orchard.example".to_owned())
}

async fn imported() -> (Place, ContactId) {
    let place = Place::new().await;
    place.import(FILE).await;
    let id = place.contact("ada@orchard.example").await.unwrap().id;
    (place, id)
}

async fn suppressed(place: &Place, reason: SuppressionReason, scope: Scope) {
    let (address, since) = (ada(), place.now);
    let one = Suppression { address, scope, reason, since, until: None, evidence: "550 5.1.1".to_owned() };
    suppressions::add(&place.db, &one).await.unwrap();
}

#[tokio::test]
async fn an_import_brings_nobody_back() {
    use SuppressionReason::{Complaint, Erased, Hard, Manual, Soft, Unsubscribe};
    for reason in [Soft, Hard, Manual, Unsubscribe, Complaint, Erased] {
        let (place, _) = imported().await;
        suppressed(&place, reason, Scope::Everywhere).await;
        let counts = place.import(FILE).await.counts;
        assert_eq!((counts.suppressed, counts.unchanged), (1, 1), "{reason:?}");
        assert_eq!(place.audience().await, ["bob@orchard.example"], "{reason:?}");
    }
    for scope in [true, false] {
        let (place, id) = imported().await;
        let scope = if scope { Scope::Everywhere } else { Scope::List(place.list.id) };
        assert!(unsubscribe(&place.db, id, scope, "link", place.now).await.unwrap());
        let counts = place.import(FILE.replace(",Ada", ",Ada L")).await.counts;
        assert_eq!((counts.suppressed, counts.updated), (1, 0));
        let state = subscriptions::get(&place.db, place.list.id, id).await.unwrap().unwrap().state;
        assert_eq!(state, SubscriptionState::Left);
        assert_eq!(place.audience().await, ["bob@orchard.example"]);
    }
}

#[tokio::test]
async fn who_asked_to_be_forgotten_is_not_kept_and_who_complained_does_not_join() {
    let place = Place::new().await;
    suppressed(&place, SuppressionReason::Erased, Scope::Everywhere).await;
    assert_eq!(place.import(FILE).await.counts.suppressed, 1);
    assert_eq!(place.contact("ada@orchard.example").await, None);

    let place = Place::new().await;
    suppressed(&place, SuppressionReason::Complaint, Scope::Everywhere).await;
    assert_eq!(place.import(FILE).await.counts.suppressed, 1);
    let id = place.contact("ada@orchard.example").await.unwrap().id;
    assert_eq!(subscriptions::get(&place.db, place.list.id, id).await.unwrap(), None);
}

#[tokio::test]
async fn a_rest_that_is_over_and_another_lists_goodbye_do_not_count() {
    let (mut place, _) = imported().await;
    let other = lists::ensure(&place.db, "Other", place.now).await.unwrap();
    suppressed(&place, SuppressionReason::Unsubscribe, Scope::List(other.id)).await;
    assert_eq!(place.audience().await.len(), 2);
    let until = Some(place.now + TimeDelta::days(30));
    suppress(&place.db, &ada(), Scope::Everywhere, until, "on leave", "eve@house.example", place.now).await.unwrap();
    assert_eq!(place.audience().await.len(), 1);
    place.now += TimeDelta::days(30);
    assert_eq!(place.audience().await.len(), 2);
}

#[tokio::test]
async fn leaving_is_once_and_can_be_taken_back() {
    let (place, id) = imported().await;
    let other = lists::ensure(&place.db, "Other", place.now).await.unwrap();
    let early = Subscription {
        list: other.id,
        contact: id,
        state: SubscriptionState::Left,
        source: "page".to_owned(),
        since: place.now - TimeDelta::days(9),
    };
    subscriptions::put(&place.db, &early).await.unwrap();
    let later = place.now + TimeDelta::hours(1);

    assert!(unsubscribe(&place.db, id, Scope::Everywhere, "one click", place.now).await.unwrap());
    assert!(!unsubscribe(&place.db, id, Scope::Everywhere, "one click", later).await.unwrap());
    let of = suppressions::of(&place.db, &ada()).await.unwrap();
    assert_eq!((of.len(), of[0].reason, of[0].since), (1, SuppressionReason::Unsubscribe, place.now));
    let told = events::of_key(&place.db, &ada(), 10).await.unwrap();
    assert_eq!(told.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["unsubscribed"]);
    assert!(told[0].detail.contains("import people.csv"), "the consent stays on record: {}", told[0].detail);

    assert!(resubscribe(&place.db, id, Scope::Everywhere, "undo", later).await.unwrap());
    assert!(!resubscribe(&place.db, id, Scope::Everywhere, "undo", later).await.unwrap());
    assert_eq!(place.audience().await.len(), 2);
    let other = subscriptions::get(&place.db, other.id, id).await.unwrap();
    assert_eq!(other, Some(early), "a list left on another day stays left");
}

#[tokio::test]
async fn who_left_comes_back_by_asking_and_confirming() {
    let (place, id) = imported().await;
    let (db, list, now) = (&place.db, place.list.id, place.now);
    unsubscribe(db, id, Scope::List(list), "link", now).await.unwrap();
    assert_eq!(subscribe(db, id, list, "form", now).await.unwrap(), SubscriptionState::Pending);
    assert_eq!(place.audience().await.len(), 1);
    confirm(db, id, list, "link in mail", now).await.unwrap();
    confirm(db, id, list, "link in mail", now).await.unwrap();
    assert_eq!(place.audience().await.len(), 2);
    assert_eq!(subscribe(db, id, list, "form", now).await.unwrap(), SubscriptionState::Confirmed);
    let kinds: Vec<_> = events::of_subject(db, "contact", id.0, 9).await.unwrap().into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds, ["subscription.confirmed", "subscription.asked", "unsubscribed"]);
    assert!(matches!(confirm(db, ContactId(99), list, "x", now).await, Err(Error::NoContact)));
}

#[tokio::test]
async fn a_person_chooses_among_their_own_lists() {
    let (place, id) = imported().await;
    let (db, news, now) = (&place.db, place.list.id, place.now);
    let care = lists::ensure(db, "Care", now).await.unwrap().id;
    let staff = lists::ensure(db, "Staff", now).await.unwrap().id;
    confirm(db, id, care, "form", now).await.unwrap();
    let wanted = async || -> Vec<(String, bool)> {
        let wishes = preferences(db, id, now).await.unwrap();
        wishes.into_iter().map(|wish| (wish.list.name, wish.wanted)).collect()
    };
    let so = |care, news| vec![("Care".to_owned(), care), ("Newsletter".to_owned(), news)];
    assert_eq!(wanted().await, so(true, true), "nobody sees a list they never joined");

    let choose = async |wishes: &[(_, bool)]| prefer(db, id, wishes, "page", now).await.unwrap();
    assert!(choose(&[(news, false), (care, true), (staff, true)]).await);
    assert!(!choose(&[(news, false)]).await, "twice is once");
    assert_eq!((wanted().await, place.audience().await.len()), (so(true, false), 1));
    assert_eq!(subscriptions::get(db, staff, id).await.unwrap(), None, "nobody joins by a form of their own");

    assert!(unsubscribe(db, id, Scope::Everywhere, "page", now).await.unwrap());
    assert_eq!(wanted().await, so(false, false));
    assert!(choose(&[(news, true)]).await);
    assert_eq!((wanted().await, place.audience().await.len()), (so(false, true), 2));
    suppressed(&place, SuppressionReason::Complaint, Scope::Everywhere).await;
    assert!(!choose(&[(news, true)]).await);
    assert_eq!(place.audience().await.len(), 1, "a wish ends no complaint");
}

#[tokio::test]
async fn lifting_says_who_and_why_and_forgets_what_bounces_said() {
    let (place, _) = imported().await;
    let (db, now, here) = (&place.db, place.now, Scope::Everywhere);
    suppressed(&place, SuppressionReason::Hard, here).await;
    suppressed(&place, SuppressionReason::Complaint, here).await;
    suppressed(&place, SuppressionReason::Erased, here).await;
    let gone =
        Standing { reach: Reach::Gone { since: now, cause: BounceCause::MailboxUnknown }, ..Standing::default() };
    standings::put(db, &[(ada(), standings::Kept { standing: gone, updated: now })]).await.unwrap();

    let lift = async |reason, why| lift(db, &ada(), here, reason, why, "eve@house.example", now).await;
    assert!(matches!(lift(SuppressionReason::Erased, "please").await, Err(Error::Forgotten)));
    assert!(matches!(lift(SuppressionReason::Complaint, " ").await, Err(Error::NeedsReason)));
    assert!(lift(SuppressionReason::Complaint, "pressed by mistake, called us").await.unwrap());
    assert_ne!(standings::get(db, &[ada()]).await.unwrap()[&ada()].standing, Standing::default());
    assert!(lift(SuppressionReason::Hard, "").await.unwrap());
    assert!(!lift(SuppressionReason::Hard, "").await.unwrap());
    assert_eq!(standings::get(db, &[ada()]).await.unwrap()[&ada()].standing, Standing::default());

    let told: Vec<_> =
        events::newest(db, None, 2).await.unwrap().into_iter().map(|e| (e.kind, e.actor, e.detail)).collect();
    let eve = "eve@house.example".to_owned();
    assert_eq!(told[0], ("lifted".to_owned(), eve.clone(), "hard".to_owned()));
    assert_eq!(told[1], ("lifted.other".to_owned(), eve, "complaint: pressed by mistake, called us".to_owned()));
}

#[tokio::test]
async fn suppressions_are_paged_counted_and_the_strongest_rules() {
    let place = Place::new().await;
    let db = &place.db;
    for n in 0..25 {
        let address = AddressKey::stored(format!("p{n:02}@orchard.example"));
        for reason in [SuppressionReason::Soft, SuppressionReason::Complaint] {
            let since = place.now - TimeDelta::minutes(n / 5);
            let one = Suppression {
                address: address.clone(),
                scope: Scope::Everywhere,
                reason,
                since,
                until: None,
                evidence: String::new(),
            };
            suppressions::add(db, &one).await.unwrap();
        }
    }
    let filter = suppressions::Filter::default();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = suppressions::page(db, &filter, after.as_ref(), 7, place.now).await.unwrap();
        let Some(last) = page.last().cloned() else { break };
        after = Some(last);
        seen.extend(page);
    }
    assert_eq!(seen.len(), 50);
    assert!(seen.windows(2).all(|pair| pair[0].since >= pair[1].since && pair[0] != pair[1]));
    let complaints = suppressions::Filter {
        reason: Some(SuppressionReason::Complaint),
        search: "P1".to_owned(),
        ..suppressions::Filter::default()
    };
    assert_eq!(suppressions::page(db, &complaints, None, 99, place.now).await.unwrap().len(), 10);
    let counts = suppressions::counts(db, place.now).await.unwrap();
    assert_eq!(
        counts.into_iter().collect::<Vec<_>>(),
        [(SuppressionReason::Soft, 25), (SuppressionReason::Complaint, 25)]
    );
    assert_eq!(suppressions::addresses(db, place.now).await.unwrap(), 25);
    let keys = [AddressKey::stored("p01@orchard.example".to_owned())];
    let standing = suppressions::standing(db, &keys, None, place.now).await.unwrap();
    assert_eq!(standing[&keys[0]].reason, SuppressionReason::Complaint);
}

//! Finding contacts, asked on both engines.

use crate::engines;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::contacts::{self, Filter, Membership, Sort, State};
use rebound_db::imports::{self, Fate};
use rebound_db::statistics::{self, Count, Kind};
use rebound_db::{lists, subscriptions, suppressions};
use rebound_domain::{CampaignId, EmailAddress, Fields, Scope, Suppression, SuppressionReason};

#[tokio::test]
async fn contacts_are_found_by_each_condition_and_in_each_order() {
    for (engine, db) in engines().await.each() {
        let now = Utc::now();
        let people: Vec<_> = ["ada@fernhill.example", "ben@orchard.example", "adam@orchard.example"]
            .map(|address| (address.parse().unwrap(), Fields::default()))
            .into();
        contacts::add(db, &people, now).await.unwrap();
        for (search, domain, state, expected) in [
            ("", None, None, 3),
            ("ada", None, None, 2),
            ("@orchard.example", None, None, 2),
            ("ada", Some("orchard.example"), None, 1),
            ("ada", None, Some(State::Mailable), 2),
            ("", Some("orchard.example"), Some(State::Suppressed), 0),
        ] {
            let filter = Filter { search: search.into(), domain: domain.map(Into::into), state, ..Filter::default() };
            for sort in [Sort::Newest, Sort::Oldest, Sort::Address] {
                let found = contacts::page(db, &filter, sort, None, 50, now).await;
                assert_eq!(found.unwrap().len(), expected, "{engine} {filter:?} {sort:?}");
            }
            let found = contacts::count(db, &filter, now).await.unwrap();
            assert_eq!(found.count, i64::try_from(expected).unwrap(), "{engine} {filter:?}");
        }
    }
}

#[tokio::test]
async fn figures_of_a_list_an_import_and_a_day_lead_to_their_rows() {
    for (engine, db) in engines().await.each() {
        let (now, day) = (Utc::now(), TimeDelta::days(1));
        let people: Vec<_> = (0..4).map(|n| (address(n), Fields::default())).collect();
        contacts::add(db, &people, now).await.unwrap();
        let keys: Vec<_> = (0..4).map(|n| address(n).key()).collect();
        let list = lists::ensure(db, "Newsletter", now).await.unwrap().id;
        subscriptions::confirm_all(db, list, &keys[..2], "a form", now - day * 40).await.unwrap();
        subscriptions::confirm_all(db, list, &keys[2..], "a form", now - day * 2).await.unwrap();
        let found = contacts::with_keys(db, &keys).await.unwrap();
        let id = |n: usize| found[&keys[n]].id;
        subscriptions::leave_all(db, list, &[id(0)], "a link", now - day * 35).await.unwrap();
        subscriptions::leave_all(db, list, &[id(3)], "a link", now - day).await.unwrap();
        let import = imports::start(db, list, "people.csv", now).await.unwrap();
        let fates = [(keys[1].clone(), Fate::Added), (keys[2].clone(), Fate::Updated), (keys[3].clone(), Fate::Added)];
        // The second time changes nothing.
        imports::add_people(db, import, &fates).await.unwrap();
        imports::add_people(db, import, &fates).await.unwrap();

        let on = |membership| Filter { list: Some(list), membership, ..Filter::default() };
        let by = |fate| Filter { import: Some((import, fate)), ..Filter::default() };
        for (filter, expected) in [
            (on(Membership::On), vec![1, 2]),
            (on(Membership::Pending), vec![]),
            (on(Membership::Since(now - day * 30)), vec![2]),
            (on(Membership::Left(Some(now - day * 30))), vec![3]),
            (on(Membership::Left(None)), vec![0, 3]),
            (by(Fate::Added), vec![1, 3]),
            (by(Fate::Updated), vec![2]),
            (by(Fate::Suppressed), vec![]),
            (Filter { import: Some((import, Fate::Added)), ..on(Membership::On) }, vec![1]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(id).collect();
            for sort in [Sort::Newest, Sort::Oldest, Sort::Address] {
                let page = contacts::page(db, &filter, sort, None, 50, now).await.unwrap();
                let mut ids: Vec<_> = page.iter().map(|one| one.id).collect();
                let first = ids.first().copied();
                ids.sort_unstable();
                assert_eq!(ids, expected, "{engine} {filter:?} {sort:?}");
                let rest = contacts::page(db, &filter, sort, first, 50, now).await.unwrap();
                assert_eq!(rest.len(), expected.len().saturating_sub(1), "{engine} the page after the first of them");
            }
            let count = contacts::count(db, &filter, now).await.unwrap().count;
            assert_eq!(count, i64::try_from(expected.len()).unwrap(), "{engine} {filter:?}");
        }
        let tx = db.begin().await.unwrap();
        assert!(lists::delete(&tx, list).await.unwrap(), "what imports did goes with the list");
        tx.commit().await.unwrap();
        assert!(contacts::page(db, &by(Fate::Added), Sort::Newest, None, 9, now).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn who_comes_back_on_a_day_is_found_by_it() {
    for (engine, db) in engines().await.each() {
        let (now, day) = (DateTime::UNIX_EPOCH + TimeDelta::days(20_000), TimeDelta::days(1));
        for (n, until) in [(0, Some(now + day)), (1, Some(now + day * 2)), (2, Some(now + day * 9)), (3, None)] {
            let (address, since) = (address(n).key(), now - day);
            let (scope, reason, evidence) = (Scope::Everywhere, SuppressionReason::Soft, String::new());
            let one = Suppression { address, scope, reason, since, until, evidence };
            suppressions::add(db, &one).await.unwrap();
        }
        let ends = |from, before| suppressions::Filter { ends_from: from, ends_before: before, ..Default::default() };
        for (filter, expected) in [
            (ends(None, None), 4),
            (ends(Some(now + day), Some(now + day * 2)), 1),
            (ends(Some(now + day * 2), None), 2),
            (ends(Some(now + day * 3), Some(now + day * 4)), 0),
        ] {
            let page = suppressions::page(db, &filter, None, 9, now).await.unwrap();
            assert_eq!(page.len(), expected, "{engine} {filter:?}");
            let count = suppressions::count(db, &filter, now).await.unwrap();
            assert_eq!(count, i64::try_from(expected).unwrap(), "{engine} {filter:?}");
        }
    }
}

#[tokio::test]
async fn what_went_on_a_day_is_told_by_campaign() {
    for (engine, db) in engines().await.each() {
        let at = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let count = |campaign, kind, count| Count { count, ..Count::one(at, CampaignId(campaign), kind, None) };
        let counts = [
            count(1, Kind::Accepted, 90),
            count(1, Kind::Hard, 10),
            count(1, Kind::Returned, 4),
            count(1, Kind::Deferred, 50),
            count(2, Kind::Soft, 3),
            count(3, Kind::Complaint, 1),
        ];
        statistics::count(db, &counts).await.unwrap();
        let sent = statistics::sent_on(db, at.date_naive()).await.unwrap();
        assert_eq!(sent, [(CampaignId(2), 3), (CampaignId(1), 96)], "{engine}");
        assert!(statistics::sent_on(db, (at + TimeDelta::days(1)).date_naive()).await.unwrap().is_empty(), "{engine}");
    }
}

fn address(n: usize) -> EmailAddress {
    format!("person{n}@orchard.example").parse().unwrap()
}

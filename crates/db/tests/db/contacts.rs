//! Finding contacts, asked on both engines.

use crate::engines;
use chrono::Utc;
use rebound_db::contacts::{self, Filter, Sort, State};
use rebound_domain::Fields;

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

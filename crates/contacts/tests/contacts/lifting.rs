//! Lifting all that fit, on both engines.

use crate::postgres::empty;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_contacts::{Error, lift_found};
use rebound_db::suppressions::{self, Filter};
use rebound_db::{Pool, events};
use rebound_domain::{AddressKey, Scope, Suppression, SuppressionReason as Why};

const EVE: &str = "eve@house.example";

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

/// More than one transaction lifts: some of each reason, every fifth erased.
async fn suppressed(db: &Pool) {
    let one = |n: i64| Suppression {
        address: AddressKey::stored(format!("p{n}@d{}.example", n % 2)),
        scope: Scope::Everywhere,
        reason: [Why::Erased, Why::Hard, Why::Manual, Why::Soft, Why::Complaint][n as usize % 5],
        since: now() - TimeDelta::minutes(n / 7),
        until: None,
        evidence: "a test".to_owned(),
    };
    suppressions::add_all(db, &(0..1500).map(one).collect::<Vec<_>>()).await.unwrap();
}

async fn check(db: &Pool) {
    suppressed(db).await;
    let (all, hard) =
        (Filter::default(), Filter { reason: Some(Why::Hard), search: "@d1.example".to_owned(), ..Filter::default() });
    let left = async |filter: &Filter| suppressions::count(db, filter, now()).await.unwrap();

    // Complaints want a reason; without one nothing at all is lifted.
    assert!(matches!(lift_found(db, &all, " ", EVE, now()).await, Err(Error::NeedsReason)));
    assert_eq!(left(&all).await, 1500);

    // Of the hard ones, those with odd numbers are at d1. No reason is asked for them.
    assert_eq!(lift_found(db, &hard, "", EVE, now()).await.unwrap(), 150);
    assert_eq!((left(&hard).await, left(&all).await), (0, 1350));

    // All others but those who asked to be forgotten.
    assert_eq!(lift_found(db, &all, "they asked", EVE, now()).await.unwrap(), 1050);
    assert_eq!(left(&all).await, 300);
    assert_eq!(left(&Filter { reason: Some(Why::Erased), ..all.clone() }).await, 300);
    assert_eq!(lift_found(db, &all, "", EVE, now()).await.unwrap(), 0, "there is nothing more");

    let told = events::of_key(db, &AddressKey::stored("p4@d0.example".to_owned()), 9).await.unwrap();
    let told: Vec<_> = told.iter().map(|one| (one.kind.as_str(), one.detail.as_str())).collect();
    assert_eq!(told, [("lifted.other", "complaint: they asked")]);
}

#[tokio::test]
async fn all_that_fit_are_lifted_but_for_the_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    check(&rebound_db::temporary(folder.path()).await.unwrap()).await;
    let postgres = rebound_db::connect(&empty()).await.unwrap();
    rebound_db::migrate(&postgres).await.unwrap();
    check(&postgres).await;
}

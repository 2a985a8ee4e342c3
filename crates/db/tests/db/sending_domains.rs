//! Domains that mail is sent from, and the states of their keys.

use crate::engines;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::dkim_keys::{self, New};
use rebound_db::{Error, sending_domains};
use rebound_domain::{Alignment, DomainName, KeyAlgorithm, KeyState, RecordState, SendingDomainId};

fn at(days: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000 + days)
}

fn name() -> DomainName {
    "fernhill.example".parse().unwrap()
}

#[tokio::test]
async fn a_domain_is_there_once() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let before = sending_domains::edition(db).await.unwrap();
        let id = sending_domains::create(db, (&name(), Alignment::Relaxed), "ines", at(0)).await.unwrap();
        let again = sending_domains::create(db, (&name(), Alignment::Strict), "ines", at(1)).await;
        assert!(matches!(again, Err(Error::Taken { .. })), "{engine}");
        let kept = sending_domains::named(db, &name()).await.unwrap().unwrap();
        assert_eq!(
            (kept.id, kept.alignment, kept.added, kept.added_by.as_str()),
            (id, Alignment::Relaxed, at(0), "ines")
        );
        let added = sending_domains::edition(db).await.unwrap();
        assert_ne!(added, before, "{engine}");
        sending_domains::set_alignment(db, id, Alignment::Strict, at(2)).await.unwrap();
        assert_ne!(sending_domains::edition(db).await.unwrap(), added, "{engine}");
        assert_eq!(sending_domains::list(db).await.unwrap()[0].alignment, Alignment::Strict, "{engine}");
        assert_eq!(sending_domains::get(db, SendingDomainId(99)).await.unwrap(), None);
        assert!(sending_domains::remove(db, id).await.unwrap() && !sending_domains::remove(db, id).await.unwrap());
    }
}

#[tokio::test]
async fn a_key_is_moved_once_and_loses_its_secret_in_the_end() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let domain = sending_domains::create(db, (&name(), Alignment::Relaxed), "ines", at(0)).await.unwrap();
        let new = |selector| New { domain, selector, algorithm: KeyAlgorithm::Rsa2048, public: "MIIB" };
        let id = dkim_keys::create(db, new("rsa1"), at(0)).await.unwrap();
        for taken in ["rsa1", "rsa2"] {
            // The name is taken; or another one of its kind waits.
            assert!(matches!(dkim_keys::create(db, new(taken), at(0)).await, Err(Error::Taken { .. })), "{engine}");
        }
        dkim_keys::set_secret(db, id, "s1.a.sealed").await.unwrap();
        let wrong = RecordState::Malformed("it has p= twice".into());
        dkim_keys::note_check(db, id, &wrong, at(1)).await.unwrap();
        let kept = dkim_keys::get(db, id).await.unwrap().unwrap();
        assert_eq!((kept.sealed.as_str(), kept.key.state), ("s1.a.sealed", KeyState::Waiting), "{engine}");
        assert_eq!(kept.key.checked, Some((at(1), wrong)), "{engine}");

        let waiting = kept.key.state;
        let active = waiting.seen(at(2)).unwrap();
        let edition = sending_domains::edition(db).await.unwrap();
        assert!(dkim_keys::set_state(db, id, (waiting, active), at(2)).await.unwrap(), "{engine}");
        assert!(
            !dkim_keys::set_state(db, id, (waiting, active), at(3)).await.unwrap(),
            "{engine}: somebody was faster"
        );
        assert_ne!(sending_domains::edition(db).await.unwrap(), edition, "{engine}");
        let second = dkim_keys::create(db, new("rsa2"), at(4)).await.unwrap();
        let both = dkim_keys::set_state(db, second, (waiting, active), at(4)).await;
        assert!(both.is_err(), "{engine}: two keys of a kind never sign at once");

        let retiring = active.replaced(at(5)).unwrap();
        assert!(dkim_keys::set_state(db, id, (active, retiring), at(5)).await.unwrap());
        assert_eq!(dkim_keys::get(db, id).await.unwrap().unwrap().key.state, retiring, "{engine}");
        assert_eq!(dkim_keys::at_work(db).await.unwrap().len(), 2);
        let retired = retiring.over(at(12)).unwrap();
        assert!(dkim_keys::set_state(db, id, (retiring, retired), at(12)).await.unwrap());
        let kept = dkim_keys::get(db, id).await.unwrap().unwrap();
        assert_eq!((kept.sealed.as_str(), kept.key.state), ("", retired), "{engine}");
        assert_eq!(dkim_keys::at_work(db).await.unwrap().len(), 1);
        let all: Vec<String> =
            dkim_keys::of(db, domain).await.unwrap().into_iter().map(|kept| kept.key.selector).collect();
        assert_eq!(all, ["rsa2", "rsa1"], "{engine}");
        assert!(sending_domains::remove(db, domain).await.unwrap());
        assert_eq!(dkim_keys::of(db, domain).await.unwrap().len(), 0, "{engine}");
    }
}

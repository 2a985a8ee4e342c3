//! Versions of the policy, corrections, and what is replayed: on both engines.

use crate::engines;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::bounces::{self, Filter, Kind, Note, Tries};
use rebound_db::policies::{self, Saved};
use rebound_db::{Pool, contacts};
use rebound_domain::{
    AddressKey, Bounce, BounceCause as C, BounceId, CampaignId, Case, DeliveryId, EmailAddress, Fields, Grade,
    Permanence, Policy, Refusal, Setting, Verdict,
};

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

#[tokio::test]
async fn the_newest_version_is_in_force_and_none_is_overwritten() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        assert_eq!(policies::in_force(db).await.unwrap(), Policy::default(), "{engine}: the program's own");
        assert!(policies::versions(db).await.unwrap().is_empty());
        let version = |version, days| {
            let mut policy = Policy { version, ..Policy::default() };
            policy.set(Setting::ProvenDays, days).unwrap();
            let actor = "eve@house.example".to_owned();
            Saved { policy, at: now(), actor, based_on: version - 1, why: "“Zoë” asked".to_owned() }
        };
        assert!(policies::add(db, &version(1, 5)).await.unwrap());
        assert!(policies::add(db, &version(2, 9)).await.unwrap());
        assert!(!policies::add(db, &version(2, 11)).await.unwrap(), "{engine}: that number is taken");
        assert_eq!(policies::in_force(db).await.unwrap(), version(2, 9).policy, "{engine}");
        assert_eq!(policies::versions(db).await.unwrap(), [version(2, 9), version(1, 5)], "{engine}");
        assert_eq!(policies::newer(db, 2).await.unwrap(), None);
        assert_eq!(policies::newer(db, 1).await.unwrap().map(|policy| policy.version), Some(2));
    }
}

/// Ten people at two domains; every one of them failed once, for good.
async fn failed(db: &Pool) -> Vec<BounceId> {
    let people: Vec<_> =
        (0..10).map(|n| (format!("p{n}@d{}.example", n % 2).parse().unwrap(), Fields::new())).collect();
    contacts::add(db, &people, now()).await.unwrap();
    let keys: Vec<_> = people.iter().map(|(address, _): &(EmailAddress, Fields)| address.key()).collect();
    let known = contacts::with_keys(db, &keys).await.unwrap();
    let bounces: Vec<Bounce> = keys
        .iter()
        .zip(0..)
        .map(|(key, n)| Bounce {
            delivery: DeliveryId::new(CampaignId(1), n),
            attempt: 1,
            address: key.clone(),
            grade: Grade::Ours,
            refusal: Refusal::Permanent,
            held: false,
            receiver: None,
            learned: None,
            verdict: Verdict {
                confidence: 90,
                reply_code: Some(550),
                ..Verdict::known(C::MailboxUnknown, Permanence::Hard, &format!("550 <{key}>: no such user"))
            },
            reporting_mta: None,
            inbox: None,
            at: now() + TimeDelta::minutes(n),
        })
        .collect();
    let contact = |bounce: &Bounce| Some(known[&bounce.address].id);
    let notes: Vec<Note<'_>> = bounces
        .iter()
        .map(|bounce| Note { bounce, contact: contact(bounce), is_final: true, policy_version: 1, incident: None })
        .collect();
    let mut ids: Vec<BounceId> = bounces::add(db, &notes).await.unwrap().into_values().collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn corrections_stand_beside_what_they_correct() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let ids = failed(db).await;
        assert_eq!(bounces::alike_count(db, ids[0]).await.unwrap(), 5, "{engine}");
        let alike = bounces::alike(db, ids[0], 3).await.unwrap();
        assert_eq!(alike.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [ids[8], ids[6], ids[4]], "{engine}");
        let full = Case::of(C::MailboxFull, Permanence::Soft);
        let by = ("eve@house.example", "it is full");
        bounces::correct(db, ids[0], &[ids[0], ids[2]], Some(full), by, now()).await.unwrap();
        let later = now() + TimeDelta::hours(1);
        bounces::correct(db, ids[2], &[ids[2]], Some(full), by, later).await.unwrap();

        let first = bounces::get(db, ids[0]).await.unwrap().unwrap();
        assert_eq!((first.verdict.cause, first.corrected), (C::MailboxUnknown, Some(full)), "{engine}");
        let said = bounces::corrections(db, ids[2]).await.unwrap();
        assert_eq!(said.iter().map(|one| (one.origin, one.bounces)).collect::<Vec<_>>(), [(ids[2], 1), (ids[0], 2)]);
        let together = bounces::corrected_together(db, &said[1]).await.unwrap();
        assert_eq!(
            together.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            [ids[0]],
            "{engine}: the other was said anew"
        );
        bounces::correct(db, ids[0], &[ids[0]], None, by, later).await.unwrap();
        assert_eq!(bounces::get(db, ids[0]).await.unwrap().unwrap().corrected, None, "{engine}");
    }
}

#[tokio::test]
async fn what_a_person_said_is_found_and_counted_as_that() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let ids = failed(db).await;
        let (full, by) = (Case::of(C::MailboxFull, Permanence::Soft), ("eve@house.example", ""));
        bounces::correct(db, ids[4], &[ids[4], ids[7]], Some(full), by, now()).await.unwrap();
        let ids_of = |numbers: &[usize]| numbers.iter().map(|n| ids[*n]).collect::<Vec<_>>();
        let of = |cause| Filter { cause: Some(cause), ..Filter::default() };
        let kind = |kind| Filter { kind, ..Filter::default() };
        for (filter, expected) in [
            (of(C::MailboxFull), ids_of(&[7, 4])),
            (Filter { group: Some(rebound_domain::CauseGroup::B), ..Filter::default() }, ids_of(&[7, 4])),
            (of(C::MailboxUnknown), ids_of(&[9, 8, 6, 5, 3, 2, 1, 0])),
            (kind(Kind::Soft), ids_of(&[7, 4])),
            (kind(Kind::Hard), ids_of(&[9, 8, 6, 5, 3, 2, 1, 0])),
            (Filter { kind: Kind::Hard, ..of(C::MailboxFull) }, vec![]),
            (kind(Kind::Deferred), vec![]),
            (Filter { list: Some(rebound_domain::ListId(7)), ..Filter::default() }, vec![]),
        ] {
            // In pages of three: each begins where the one before ended, whichever way a bounce fits.
            let (mut after, mut found) = (None, vec![]);
            loop {
                let page = bounces::page(db, &filter, after, 3).await.unwrap();
                let Some(last) = page.last() else { break };
                after = Some((last.at, last.id));
                found.extend(page.iter().map(|one| one.id));
            }
            assert_eq!(found, expected, "{engine}: {filter:?}");
            let causes = bounces::causes(db, &filter).await.unwrap();
            assert_eq!(
                causes.values().map(|tries| tries.all).sum::<i64>(),
                expected.len() as i64,
                "{engine}: {filter:?}"
            );
            let days = bounces::days(db, &filter).await.unwrap();
            let day = (!expected.is_empty()).then_some((now(), expected.len() as i64));
            assert_eq!(days, Vec::from_iter(day), "{engine}: {filter:?}");
        }
        let causes = bounces::causes(db, &Filter::default()).await.unwrap();
        let tries = |all, hard, soft| Tries { all, hard, soft };
        let expected = [(C::MailboxUnknown, tries(8, 8, 0)), (C::MailboxFull, tries(2, 0, 2))];
        assert_eq!(causes, std::collections::BTreeMap::from(expected), "{engine}");
        // 4 is at d0, 7 at d1.
        let domains = bounces::domains(db, &of(C::MailboxFull), 9).await.unwrap();
        assert_eq!(domains, [("d0.example".to_owned(), 1), ("d1.example".to_owned(), 1)], "{engine}");
        bounces::correct(db, ids[4], &[ids[4], ids[7]], None, by, now()).await.unwrap();
        assert_eq!(bounces::causes(db, &of(C::MailboxFull)).await.unwrap().len(), 0, "{engine}: taken back");
    }
}

#[tokio::test]
async fn what_is_replayed_is_what_happened_to_those_people() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        failed(db).await;
        assert_eq!(bounces::replay_size(db, now()).await.unwrap(), 10, "{engine}");
        let all = bounces::replay_people(db, now(), 1).await.unwrap();
        let some = bounces::replay_people(db, now() + TimeDelta::minutes(2), 5).await.unwrap();
        let key = |n: i64| AddressKey::stored(format!("p{n}@d{}.example", n % 2));
        assert_eq!(all, (0..10).map(key).collect::<Vec<_>>(), "{engine}");
        assert_eq!(some, [key(4), key(9)], "{engine}: contacts 5 and 10");
        let told = bounces::replay(db, &some, now()).await.unwrap();
        assert_eq!(
            told.iter().map(|one| (one.address.clone(), one.refusal)).collect::<Vec<_>>(),
            [(key(4), Refusal::Permanent), (key(9), Refusal::Permanent)]
        );
        assert!(told.iter().all(|one| one.fact.is_some() && one.case.is_for_good()), "{engine}");
        assert_eq!(bounces::arrivals(db, &all, now()).await.unwrap(), []);
    }
}

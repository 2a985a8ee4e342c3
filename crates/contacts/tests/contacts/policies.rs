//! Policies that are changed while mail goes on.

use crate::mailing::{Mailing, delivery, key};
use chrono::TimeDelta;
use rebound_contacts::feedback::rebuild_standing;
use rebound_contacts::{Error, effect, save_policy};
use rebound_db::{bounces, events, policies};
use rebound_domain::{Bounce, BounceCause as C, Case, Number, Permanence, Policy, Reach, Refusal, Setting};

const EVE: &str = "eve@house.example";
const SOFT: Permanence = Permanence::Soft;

fn unknown(number: Number) -> Setting {
    Setting::Of(Case::of(C::MailboxUnknown, SOFT), number)
}

fn with(changes: &[(Setting, u32)]) -> Policy {
    let mut policy = Policy::default();
    changes.iter().for_each(|(setting, value)| policy.set(*setting, *value).unwrap());
    policy
}

/// The mailboxes of `people` are unknown for now in so many campaigns, a day between them, from day `from` on.
async fn unknown_days(mailing: &Mailing, people: &[i64], from: i64, days: i64) {
    for day in from..from + days {
        let at = mailing.now() + TimeDelta::days(day);
        let campaign = mailing.hand_over(&format!("Day {day}"), at).await;
        let heard: Vec<Bounce> = people
            .iter()
            .map(|n| {
                let what = (C::MailboxUnknown, SOFT);
                Bounce { at, ..mailing.refused(delivery(campaign, *n), what, Refusal::Permanent) }
            })
            .collect();
        mailing.record(&heard, at).await;
    }
}

#[tokio::test]
async fn a_new_version_judges_what_comes_and_leaves_what_was() {
    let mut mailing = Mailing::to(40).await;
    let people = [2];
    unknown_days(&mailing, &people, 0, 3).await;
    let db = mailing.db().clone();
    let run = async |mailing: &Mailing| mailing.standing(2).await.unwrap().run.map_or(0, |run| run.count());
    assert_eq!(run(&mailing).await, 3);

    // Two in a row are enough from now on; the three that came are judged no more.
    let at = mailing.now() + TimeDelta::hours(60);
    let new = with(&[(unknown(Number::Limit), 2), (unknown(Number::OverDays), 1)]);
    assert_eq!(save_policy(&db, new.clone(), 1, "Too patient", EVE, at).await.unwrap(), 2);
    mailing.policy = policies::in_force(&db).await.unwrap();
    assert_eq!(mailing.policy, Policy { version: 2, ..new });
    assert_eq!(rebuild_standing(&db, &key(2), &mailing.policy).await.unwrap(), mailing.standing(2).await);
    assert_eq!(run(&mailing).await, 3, "it rests at the next one, not before");

    unknown_days(&mailing, &people, 4, 1).await;
    let standing = mailing.standing(2).await.unwrap();
    assert!(matches!(standing.reach, Reach::Resting { cause: C::MailboxUnknown, .. }), "{standing:?}");
    assert_eq!(rebuild_standing(&db, &key(2), &mailing.policy).await.unwrap(), Some(standing.clone()));
    let versions: Vec<u32> =
        bounces::of_key(&db, &key(2), 9).await.unwrap().iter().map(|bounce| bounce.policy_version).collect();
    assert_eq!(versions, [2, 1, 1, 1], "each bounce keeps the version that judged it");

    // A third version, most patient: what rests, rests on, also when all is folded anew.
    let at = mailing.now() + TimeDelta::days(5);
    assert_eq!(save_policy(&db, with(&[(unknown(Number::Limit), 50)]), 2, "", EVE, at).await.unwrap(), 3);
    mailing.policy = policies::in_force(&db).await.unwrap();
    assert_eq!(rebuild_standing(&db, &key(2), &mailing.policy).await.unwrap(), Some(standing));
}

#[tokio::test]
async fn who_was_slower_is_told_and_nothing_is_lost() {
    let mailing = Mailing::to(1).await;
    let (db, now) = (mailing.db(), mailing.now());
    let (one, other) = (with(&[(unknown(Number::Limit), 7)]), with(&[(unknown(Number::Limit), 3)]));
    save_policy(db, one, 1, "", EVE, now).await.unwrap();
    let refused = save_policy(db, other, 1, "", "bob@house.example", now).await;
    assert!(matches!(refused, Err(Error::PolicyChanged { version: 2 })), "{refused:?}");
    let versions = policies::versions(db).await.unwrap();
    let told: Vec<_> = versions.iter().map(|saved| (saved.policy.version, saved.actor.as_str())).collect();
    assert_eq!(told, [(2, EVE), (1, "rebound")]);
    assert_eq!(versions[1].policy, Policy::default(), "what judged until then is a fact, too");
    assert_eq!(versions[1].policy.changes(&versions[0].policy), [(unknown(Number::Limit), Some(5), Some(7))]);
    let event = events::newest(db, None, 1).await.unwrap().remove(0);
    assert_eq!((event.kind.as_str(), event.actor.as_str(), event.subject_id), ("policy.saved", EVE, Some(2)));
}

#[tokio::test]
async fn the_effect_is_what_the_policy_would_have_done() {
    let mailing = Mailing::to(40).await;
    let (db, now) = (mailing.db(), mailing.now());
    // Three of forty are no burst. Eight days: they rest under the policy in force.
    unknown_days(&mailing, &[2, 9, 16], 0, 8).await;
    unknown_days(&mailing, &[23], 8, 2).await;
    assert_eq!(mailing.suppressed(40).await, [0_i64; 0], "not yet a day ago");
    let later = now + TimeDelta::days(20);
    let look = async |new: &Policy, at| effect(db, &mailing.policy, new, at).await.unwrap();

    let patient = look(&with(&[(unknown(Number::Limit), 9)]), later).await;
    assert_eq!((patient.tries, patient.one_in), (26, 1));
    assert_eq!((patient.effect.now.rested, patient.effect.new.rested), (3, 0));
    assert_eq!((patient.effect.gained, patient.effect.lost), (3, 0));

    let strict = look(&with(&[(unknown(Number::Limit), 2), (unknown(Number::OverDays), 1)]), later).await;
    assert_eq!((strict.effect.new.rested, strict.effect.gained, strict.effect.lost), (4, 0, 1));
    // It is what really happens: the standings say the same of the policy in force.
    let mut rest = 0;
    for n in 0..40 {
        let standing = mailing.standing(n).await.unwrap_or_default();
        rest += u64::from(matches!(standing.reach, Reach::Resting { .. }));
    }
    assert_eq!(rest, patient.effect.now.rested);

    let nothing = look(&with(&[(unknown(Number::Limit), 2)]), now + TimeDelta::days(200)).await;
    assert_eq!((nothing.tries, nothing.effect.new.rested), (0, 0), "older than 90 days");
}

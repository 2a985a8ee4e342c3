//! A person says that a verdict is wrong.

use crate::mailing::{Mailing, delivery, key};
use rebound_contacts::feedback::{Corrected, Extent, correct, rebuild_standing, take_back};
use rebound_db::bounces::{self, NotedBounce};
use rebound_db::events;
use rebound_domain::{BounceCause as C, Case, Permanence, Refusal, SuppressionReason as Why};

const EVE: &str = "eve@house.example";

async fn bounce_of(mailing: &Mailing, n: i64) -> NotedBounce {
    bounces::of_key(mailing.db(), &key(n), 9).await.unwrap().remove(0)
}

async fn say(mailing: &Mailing, n: i64, extent: Extent, case: Case) -> Corrected {
    let tx = mailing.db().begin().await.unwrap();
    let bounce = bounce_of(mailing, n).await;
    let corrected = correct(&tx, &bounce, extent, case, (EVE, "they wrote to me"), mailing.now()).await.unwrap();
    tx.commit().await.unwrap();
    corrected
}

async fn unsay(mailing: &Mailing, n: i64) -> Option<Corrected> {
    let tx = mailing.db().begin().await.unwrap();
    let corrected = take_back(&tx, &bounce_of(mailing, n).await, EVE, mailing.now()).await.unwrap();
    tx.commit().await.unwrap();
    corrected
}

#[tokio::test]
async fn what_a_person_says_stands_beside_the_verdict_and_can_be_taken_back() {
    let mailing = Mailing::to(60).await;
    let (db, now) = (mailing.db(), mailing.now());
    let campaign = mailing.hand_over("Spring", now).await;
    // Three at one host, one at another.
    let heard: Vec<_> = [0, 7, 14, 1].map(|n| mailing.gone(delivery(campaign, n))).to_vec();
    mailing.record(&heard, now).await;
    assert_eq!(mailing.suppressed(60).await, [0, 1, 7, 14]);

    let full = Case::of(C::MailboxFull, Permanence::Soft);
    assert_eq!(bounces::alike_count(db, bounce_of(&mailing, 0).await.id).await.unwrap(), 3);
    let one = say(&mailing, 0, Extent::This, full).await;
    assert_eq!(one, Corrected { bounces: 1, lifted: 1, suppressed: 0 });
    assert_eq!(mailing.suppressed(60).await, [1, 7, 14]);
    let bounce = bounce_of(&mailing, 0).await;
    assert_eq!((bounce.verdict.cause, bounce.case(), bounce.policy_version), (C::MailboxUnknown, full, 1));
    assert_eq!(rebuild_standing(db, &key(0), &mailing.policy).await.unwrap(), mailing.standing(0).await);
    let told = events::of_key(db, &key(0), 9).await.unwrap();
    let told: Vec<_> = told.iter().map(|one| (one.kind.as_str(), one.actor.as_str())).collect();
    assert_eq!(told, [("bounce.corrected", EVE), ("restored", EVE), ("suppressed", "rebound")]);

    // All with the same words from that host: the one that was corrected before is among them.
    let all = say(&mailing, 7, Extent::Alike, full).await;
    assert_eq!(all, Corrected { bounces: 3, lifted: 2, suppressed: 0 });
    assert_eq!(mailing.suppressed(60).await, [1]);
    let said = bounces::corrections(db, bounce_of(&mailing, 0).await.id).await.unwrap();
    assert_eq!(
        said.iter().map(|one| (one.bounces, one.judged)).collect::<Vec<_>>(),
        [(3, Some(full)), (1, Some(full))]
    );
    assert_eq!(said[0].why, "they wrote to me");

    let undone = unsay(&mailing, 7).await.unwrap();
    assert_eq!(undone, Corrected { bounces: 3, lifted: 0, suppressed: 3 });
    assert_eq!(mailing.suppressed(60).await, [0, 1, 7, 14]);
    assert_eq!(unsay(&mailing, 7).await, None, "there is nothing to take back any more");
    assert_eq!(bounce_of(&mailing, 7).await.corrected, None);
    assert_eq!(bounces::corrections(db, bounce_of(&mailing, 0).await.id).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_look_at_what_would_change_changes_nothing() {
    let mailing = Mailing::to(20).await;
    let campaign = mailing.hand_over("Spring", mailing.now()).await;
    mailing.record(&[mailing.gone(delivery(campaign, 3))], mailing.now()).await;
    let tx = mailing.db().begin().await.unwrap();
    let bounce = bounce_of(&mailing, 3).await;
    let full = Case::of(C::MailboxFull, Permanence::Soft);
    let would = correct(&tx, &bounce, Extent::This, full, (EVE, ""), mailing.now()).await.unwrap();
    drop(tx);
    assert_eq!(would, Corrected { bounces: 1, lifted: 1, suppressed: 0 });
    assert_eq!(mailing.suppressed(20).await, [3]);
    assert_eq!(bounce_of(&mailing, 3).await, bounce);
}

#[tokio::test]
async fn a_person_may_end_an_address_that_the_verdict_kept() {
    let mailing = Mailing::to(20).await;
    let (db, now) = (mailing.db(), mailing.now());
    let campaign = mailing.hand_over("Spring", now).await;
    // Taken for our own fault: an incident, and nobody was judged.
    let spam = mailing.refused(delivery(campaign, 4), (C::SpamSuspected, Permanence::Soft), Refusal::Permanent);
    mailing.record(&[spam], now).await;
    assert!(bounce_of(&mailing, 4).await.is_excused());
    let gone = Case::of(C::MailboxUnknown, Permanence::Hard);
    let corrected = say(&mailing, 4, Extent::This, gone).await;
    assert_eq!(corrected, Corrected { bounces: 1, lifted: 0, suppressed: 1 });
    assert_eq!(mailing.reasons(4).await, [Why::Hard]);
    assert_eq!(rebuild_standing(db, &key(4), &mailing.policy).await.unwrap(), mailing.standing(4).await);
}

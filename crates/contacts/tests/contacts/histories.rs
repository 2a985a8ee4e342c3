//! Random histories: what is kept of an address is what its facts say, in whatever order they became known.

#![allow(clippy::unwrap_used)] // a test that cannot go on stops

use crate::mailing::{Mailing, by_mail, delivery, key};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use rebound_contacts::feedback::rebuild_standing;
use rebound_db::bounces::{self, Filter};
use rebound_db::deliveries;
use rebound_domain::{Bounce, BounceCause, Fact, Permanence, Reach, Refusal, Scope, Standing, SuppressionReason, fold};

#[derive(Clone, Copy, Debug)]
enum Answer {
    Refused(BounceCause, Permanence),
    Taken,
    TakenAndReturned(BounceCause, Permanence),
    Lifted,
}

fn answer() -> impl Strategy<Value = Answer> {
    let cause = || proptest::sample::select(BounceCause::ALL.to_vec());
    let permanence = || prop_oneof![1 => Just(Permanence::Hard), 3 => Just(Permanence::Soft)];
    prop_oneof![
        6 => (cause(), permanence()).prop_map(|(cause, permanence)| Answer::Refused(cause, permanence)),
        3 => Just(Answer::Taken),
        3 => (cause(), permanence()).prop_map(|(cause, permanence)| Answer::TakenAndReturned(cause, permanence)),
        1 => Just(Answer::Lifted),
    ]
}

/// A step: hours after the one before, by how many steps its bounce is late, and what the host says.
type Step = (i64, usize, Answer);

/// Plays a history to one person, a campaign a step; the facts in it.
async fn play(mailing: &Mailing, history: &[Step]) -> Vec<(DateTime<Utc>, Fact)> {
    let (mut now, mut facts) = (mailing.now(), vec![]);
    let mut under_way: Vec<(usize, Bounce)> = vec![];
    for (step, (hours, late, answer)) in history.iter().enumerate() {
        now += TimeDelta::hours(*hours) + TimeDelta::minutes(1);
        let (due, later) = under_way.into_iter().partition(|(due, _)| *due <= step);
        under_way = later;
        arrive(mailing, due, now, &mut facts).await;
        if matches!(answer, Answer::Lifted) {
            for reason in [SuppressionReason::Hard, SuppressionReason::Soft] {
                let lifted =
                    rebound_contacts::lift(mailing.db(), &key(0), Scope::Everywhere, reason, "", "eve", now).await;
                facts.extend(lifted.unwrap().then_some((now, Fact::Lifted)));
            }
            continue;
        }
        let campaign = mailing.hand_over(&format!("{step}"), now).await;
        let id = delivery(campaign, 0);
        if deliveries::get(mailing.db(), &[id]).await.unwrap().is_empty() {
            continue; // suppressed: nothing was planned
        }
        if !matches!(answer, Answer::Refused(..)) {
            mailing.accept(&[id], now).await;
            facts.push((now, Fact::Accepted));
        }
        if let Answer::Refused(cause, permanence) | Answer::TakenAndReturned(cause, permanence) = *answer {
            let at = now + TimeDelta::seconds(30);
            let refused = Bounce { at, ..mailing.refused(id, (cause, permanence), Refusal::Permanent) };
            match answer {
                Answer::Refused(..) => arrive(mailing, vec![(step, refused)], at, &mut facts).await,
                _ => under_way.push((step + late, by_mail(refused))),
            }
        }
    }
    arrive(mailing, under_way, now, &mut facts).await;
    facts
}

async fn arrive(
    mailing: &Mailing,
    heard: Vec<(usize, Bounce)>,
    now: DateTime<Utc>,
    facts: &mut Vec<(DateTime<Utc>, Fact)>,
) {
    for (_, bounce) in heard {
        let campaign = bounce.delivery.unwrap().campaign();
        let recorded = mailing.record(std::slice::from_ref(&bounce), now).await;
        let of_campaign = Filter { campaign: Some(campaign), ..Filter::default() };
        let excused = bounces::page(mailing.db(), &of_campaign, None, 1).await.unwrap()[0].excused;
        let (cause, permanence, grade) = (bounce.verdict.cause, bounce.verdict.permanence, bounce.grade);
        if recorded.given_up == 1 {
            facts.push((bounce.at, Fact::Bounced { cause, permanence, grade, campaign, excused }));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_is_what_the_facts_say(
        history in proptest::collection::vec((0_i64..150, 1_usize..4, answer()), 1..14)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mailing = Mailing::to(1).await;
            let mut facts = play(&mailing, &history).await;
            facts.retain(|(_, fact)| !matches!(fact, Fact::Bounced { excused: true, .. }));
            facts.sort_by_key(|(at, _)| *at);
            let policy = &mailing.policy;
            let told = facts.iter().fold(Standing::default(), |standing, (at, fact)| fold(policy, &standing, fact, *at));

            let kept = mailing.standing(0).await;
            let rebuilt = rebuild_standing(mailing.db(), &key(0), policy).await.unwrap();
            assert_eq!(kept, rebuilt);
            match &kept {
                Some(kept) => assert_eq!(*kept, told),
                None => assert_eq!((told.reach, told.run.clone()), (Reach::Reachable, None)),
            }
            let called_for = told.suppression(&key(0), String::new());
            let stands = mailing.suppressions(0).await;
            assert_eq!(
                stands.iter().map(|one| (one.reason, one.since, one.until)).collect::<Vec<_>>(),
                called_for.iter().map(|one| (one.reason, one.since, one.until)).collect::<Vec<_>>()
            );
        });
    }
}

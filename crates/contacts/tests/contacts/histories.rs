//! Random histories: what is kept of an address is what its facts say, in whatever order they became known.

use crate::mailing::{Mailing, by_mail, delivery, key};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use rebound_contacts::feedback::rebuild_standing;
use rebound_db::deliveries;
use rebound_domain::{
    Bounce, BounceCause, Fact, Grade, Permanence, Reach, Refusal, Scope, Standing, SuppressionReason, fold,
};

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

/// Plays a history to one person, a campaign a step; the facts in it.
async fn play(mailing: &Mailing, history: &[(i64, i64, Answer)]) -> Vec<(DateTime<Utc>, Fact)> {
    let mut now = mailing.now();
    let mut facts = vec![];
    for (step, (hours, late, answer)) in history.iter().enumerate() {
        now += TimeDelta::hours(*hours) + TimeDelta::minutes(1);
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
            // A cause that would be tried again is final where nothing is sent any more.
            let refused = mailing.refused(id, (cause, permanence), Refusal::Permanent);
            let refused = Bounce { at: now + TimeDelta::seconds(30), ..refused };
            let heard = now + TimeDelta::seconds(30) + TimeDelta::hours(*late);
            let refused = if matches!(answer, Answer::Refused(..)) { refused } else { by_mail(refused) };
            let recorded = mailing.record(std::slice::from_ref(&refused), heard).await;
            let noted = rebound_db::bounces::of_key(mailing.db(), &key(0), 1).await.unwrap();
            let excused = noted[0].excused;
            if recorded.given_up == 1 {
                facts.push((refused.at, Fact::Bounced { cause, permanence, grade: Grade::Ours, campaign, excused }));
            }
        }
    }
    facts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_is_what_the_facts_say(
        history in proptest::collection::vec((0_i64..150, 0_i64..200, answer()), 1..14)
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

//! Audiences, resends and doubts, on both engines.

use crate::engines;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::audience::{self, Audience, Counts, Figures};
use rebound_db::forecast::{self, AtDomain};
use rebound_db::leases::Try;
use rebound_db::{
    Error, Pool, campaigns, contacts, deliveries, doubts, leases, lists, outcomes, subscriptions, suppressions,
};
use rebound_domain::{
    BounceCause, Campaign, CampaignId, CampaignState, ContactId, DeliveryId, DoubtPolicy, Draft, EmailAddress, Fields,
    Resend, Scope, StateName, Suppression, SuppressionReason, WorkerId,
};
use sea_orm::ConnectionTrait;

const WORKER: WorkerId = WorkerId(1);

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

/// Six people on a list, every second with a town, and a draft to them.
async fn draft(db: &Pool, doubt: DoubtPolicy) -> Draft {
    let list = lists::ensure(db, "Readers", now()).await.unwrap().id;
    let fields =
        |n: usize| if n.is_multiple_of(2) { Fields::from([("town".into(), "Ulmen".into())]) } else { Fields::new() };
    let people: Vec<(EmailAddress, Fields)> =
        (0..6).map(|n| (format!("r{n}@orchard.example").parse().unwrap(), fields(n))).collect();
    contacts::add(db, &people, now()).await.unwrap();
    let keys: Vec<_> = people.iter().map(|(address, _)| address.key()).collect();
    subscriptions::confirm_all(db, list, &keys, "a test", now()).await.unwrap();
    Draft {
        name: format!("Autumn {doubt:?}"),
        list,
        from_name: "Fernhill".into(),
        from: "news@fernhill.example".parse().unwrap(),
        reply_to: None,
        subject: "Hello".into(),
        html: "<p>Hello</p>".into(),
        text: String::new(),
        postal_address: "1 Garden Row".into(),
        defaults: Fields::new(),
        doubt,
        counts_clicks: true,
    }
}

async fn planned(db: &Pool, id: CampaignId) -> Campaign {
    assert!(campaigns::set_state(db, id, CampaignState::Draft, CampaignState::Planning, None, now()).await.unwrap());
    let campaign = campaigns::get(db, id).await.unwrap().unwrap();
    let tx = db.begin().await.unwrap();
    while campaigns::plan(&tx, &campaign, now()).await.unwrap() > 0 {}
    tx.commit().await.unwrap();
    campaigns::get(db, id).await.unwrap().unwrap()
}

#[tokio::test]
async fn who_lacks_a_value_is_known_by_name() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let list = draft(db, DoubtPolicy::Resend).await.list;
        let all = Audience { list, resend: None, joined: None };
        assert_eq!(audience::count(db, all, now()).await.unwrap(), 6, "{engine}");
        let fields = ["name".to_owned(), "town".to_owned()];
        let counts = audience::counts(db, all, &fields, now()).await.unwrap();
        assert_eq!((counts.people, counts.lacking), (6, vec![6, 3]), "{engine}");
        let many: Vec<String> = (0..2_100).map(|n| if n == 2_050 { "town".into() } else { format!("f{n}") }).collect();
        let lacking = audience::counts(db, all, &many, now()).await.unwrap().lacking;
        assert_eq!((lacking.len(), lacking[2_049], lacking[2_050]), (2_100, 6, 3), "{engine}");
        let lacking = audience::lacking(db, all, "town", ContactId(0), 2, now()).await.unwrap();
        let names: Vec<_> = lacking.iter().map(|contact| contact.address.to_string()).collect();
        assert_eq!(names, ["r1@orchard.example", "r3@orchard.example"], "{engine}");
        let figures = audience::figures(db, all, now()).await.unwrap();
        assert_eq!(figures, Figures { confirmed: 6, new: 6, ..Figures::default() }, "{engine}");
    }
}

#[tokio::test]
async fn who_is_left_out_is_counted_once_and_for_the_stronger_reason() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let list = draft(db, DoubtPolicy::Resend).await.list;
        let other = lists::ensure(db, "Others", now()).await.unwrap().id;
        let info: EmailAddress = "info@orchard.example".parse().unwrap();
        contacts::add(db, &[(info.clone(), Fields::new())], now()).await.unwrap();
        subscriptions::confirm_all(db, list, &[info.key()], "a test", now()).await.unwrap();
        let day = TimeDelta::days(1);
        let stands = |n: usize, scope, reason, since, until| Suppression {
            address: format!("r{n}@orchard.example").parse::<EmailAddress>().unwrap().key(),
            scope,
            reason,
            since,
            until,
            evidence: "a test".into(),
        };
        use SuppressionReason::{Hard, Manual, Soft};
        let standing = [
            stands(0, Scope::Everywhere, Hard, now() - day, None),
            stands(0, Scope::List(list), Soft, now() - day, Some(now() + day)), // it counts as the other
            stands(1, Scope::List(list), Soft, now() - day, Some(now() + day)),
            stands(1, Scope::Everywhere, Soft, now() - day, Some(now() + day)),
            stands(2, Scope::Everywhere, Soft, now() - day, Some(now())), // it is over
            stands(3, Scope::List(other), Manual, now() - day, None),
            stands(4, Scope::Everywhere, Manual, now() + day, None), // it begins tomorrow
            stands(9, Scope::Everywhere, Hard, now() - day, None),   // nobody's
        ];
        suppressions::add_all(db, &standing).await.unwrap();
        let all = Audience { list, resend: None, joined: None };
        let expected = Figures { confirmed: 7, suppressed: 1, resting: 1, new: 5 };
        assert_eq!(audience::figures(db, all, now()).await.unwrap(), expected, "{engine}");
        // Then there are fewer suppressions than members, and the way is the other one.
        let gone = "DELETE FROM suppressions WHERE key IN ('r3@orchard.example', 'r9@orchard.example')";
        assert_eq!(db.execute_unprepared(gone).await.unwrap().rows_affected(), 2, "{engine}");
        assert_eq!(audience::figures(db, all, now()).await.unwrap(), expected, "{engine}");
        let counts = audience::counts(db, all, &[], now()).await.unwrap();
        assert_eq!(counts, Counts { people: 5, roles: 1, lacking: vec![] }, "{engine}");
    }
}

#[tokio::test]
async fn the_domains_of_an_audience_are_counted_the_most_frequent_first() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let first =
            planned(db, campaigns::create(db, &draft(db, DoubtPolicy::Resend).await, now()).await.unwrap()).await;
        let list = first.draft.list;
        let late: Vec<EmailAddress> =
            ["a@meadow.example", "b@meadow.example", "c@orchard.example"].map(|one| one.parse().unwrap()).into();
        contacts::add(db, &late.iter().map(|one| (one.clone(), Fields::new())).collect::<Vec<_>>(), now())
            .await
            .unwrap();
        let keys: Vec<_> = late.iter().map(EmailAddress::key).collect();
        subscriptions::confirm_all(db, list, &keys, "a test", now()).await.unwrap();
        let all = Audience { list, resend: None, joined: None };
        let at = |domain: &str, people, new| AtDomain { domain: domain.into(), people, new };
        let expected = [at("orchard.example", 7, 1), at("meadow.example", 2, 2)];
        assert_eq!(forecast::domains(db, all, 9, now()).await.unwrap(), expected, "{engine}");
        assert_eq!(forecast::domains(db, all, 1, now()).await.unwrap(), expected[..1], "{engine}");
    }
}

#[tokio::test]
async fn a_resend_takes_each_person_once_and_counts_for_the_first() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let draft = draft(db, DoubtPolicy::Resend).await;
        let first = planned(db, campaigns::create(db, &draft, now()).await.unwrap()).await;
        let settled =
            |id, ordinal, state| deliveries::Settled { id: DeliveryId::new(id, ordinal).unwrap(), state, due: None };
        let bounced: Vec<_> = (0..3).map(|n| settled(first.id, n, StateName::Bounced)).collect();
        deliveries::settle(db, &bounced).await.unwrap();
        noted(db, &bounced).await;

        let resend = Resend { of: first.id, cause: BounceCause::MessageTooLarge };
        let again = Draft { name: "Autumn, again".into(), ..draft.clone() };
        let id = campaigns::create_resend(db, &again, resend, now()).await.unwrap();
        let twin = Draft { name: "Autumn, and again".into(), ..draft };
        let taken = campaigns::create_resend(db, &twin, resend, now()).await;
        assert!(matches!(taken, Err(Error::Taken { .. })), "{engine}: there is one draft");
        let second = planned(db, id).await;
        assert_eq!((second.planned, second.resend), (3, Some(resend)), "{engine}");
        let twin = campaigns::create_resend(db, &twin, resend, now()).await.unwrap();
        assert_eq!(planned(db, twin).await.planned, 0, "{engine}: they are being written to");

        let states = [StateName::Accepted, StateName::Deferred, StateName::Suppressed];
        let settled: Vec<_> = (0..).zip(states).map(|(n, state)| settled(second.id, n, state)).collect();
        deliveries::settle(db, &settled).await.unwrap();
        let resent = outcomes::resent_to(db, first.id).await.unwrap();
        assert_eq!(resent, [(StateName::Accepted, 1), (StateName::Deferred, 1)].into(), "{engine}");
        let family = outcomes::of_family(db, first.id).await.unwrap();
        let mut states: Vec<_> = family.iter().map(|one| (one.state, one.count)).collect();
        states.sort();
        let expected = [(StateName::Deferred, 1), (StateName::Accepted, 1), (StateName::Bounced, 1)];
        assert_eq!(states, expected, "{engine}");
        let recovered = outcomes::Filter {
            state: Some(StateName::Accepted),
            failed: Some(true),
            search: "r".into(),
            resends: true,
            ..outcomes::Filter::default()
        };
        let found = outcomes::recipients(db, first.id, &recovered, None, 9).await.unwrap();
        assert_eq!(found.len(), 1, "{engine}");
        assert_eq!(campaigns::resends(db, first.id).await.unwrap().len(), 2, "{engine}");
    }
}

/// Notes that each was too large.
async fn noted(db: &Pool, bounced: &[deliveries::Settled]) {
    use rebound_domain::{Bounce, Grade, Permanence, Refusal, Verdict};
    let ids: Vec<_> = bounced.iter().map(|one| one.id).collect();
    let (keys, rows) = (deliveries::keys(db, &ids).await.unwrap(), deliveries::get(db, &ids).await.unwrap());
    let bounces: Vec<Bounce> = ids
        .iter()
        .map(|id| Bounce {
            delivery: Some(*id),
            attempt: 1,
            address: keys[id].clone(),
            grade: Grade::Ours,
            refusal: Refusal::Permanent,
            held: false,
            receiver: None,
            learned: None,
            verdict: Verdict {
                confidence: 90,
                ..Verdict::known(BounceCause::MessageTooLarge, Permanence::Soft, "552 too large")
            },
            reporting_mta: None,
            inbox: None,
            at: now(),
        })
        .collect();
    let contact = |id: Option<DeliveryId>| rows.iter().find(|row| Some(row.id) == id).map(|row| row.contact);
    let notes: Vec<_> = bounces
        .iter()
        .map(|bounce| rebound_db::bounces::Note {
            bounce,
            contact: contact(bounce.delivery),
            is_final: true,
            policy_version: 1,
            incident: None,
        })
        .collect();
    rebound_db::bounces::add(db, &notes).await.unwrap();
}

#[tokio::test]
async fn doubts_ask_when_their_policy_says_so() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        for (policy, asks_later) in [(DoubtPolicy::Hold, true), (DoubtPolicy::Never, false)] {
            let draft = draft(db, policy).await;
            let campaign = planned(db, campaigns::create(db, &draft, now()).await.unwrap()).await;
            let leases = leases::claim(db, WORKER, campaign.id, 2, now()).await.unwrap();
            let tries: Vec<Try> = leases.iter().map(|lease| Try { id: lease.id, number: 1 }).collect();
            leases::mark(db, WORKER, &tries, now()).await.unwrap();
            assert_eq!(leases::recover(db, WORKER, now()).await.unwrap(), 2, "{engine}");

            let listed = doubts::of_campaign(db, campaign.id, None, 9).await.unwrap();
            assert_eq!(listed.len(), 2, "{engine}");
            assert_eq!((listed[0].unanswered, listed[0].handed), (1, Some(now())), "{engine}");
            let later = now() + TimeDelta::minutes(31);
            let asked = async |at| doubts::asking(db, at).await.unwrap().contains(&(campaign.id, 2));
            assert!(!asked(now()).await, "{engine} {policy:?}: evidence may come");
            assert_eq!(asked(later).await, asks_later, "{engine} {policy:?}");
            doubts::leave(db, campaign.id, now()).await.unwrap();
            assert!(!asked(later).await, "{engine} {policy:?}");
            assert_eq!(doubts::resend(db, campaign.id, now(), later).await.unwrap(), 2, "{engine}");
            assert_eq!(doubts::resend(db, campaign.id, now(), later).await.unwrap(), 0, "{engine}: twice is once");
        }
    }
}

#[tokio::test]
async fn a_campaign_is_due_when_it_was_scheduled_for() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let draft = draft(db, DoubtPolicy::Resend).await;
        let id = campaigns::create(db, &draft, now()).await.unwrap();
        let at = now() + TimeDelta::hours(1);
        campaigns::schedule(db, id, Some(at)).await.unwrap();
        assert!(campaigns::due(db, at).await.unwrap().is_empty(), "{engine}: it is a draft still");
        campaigns::set_state(db, id, CampaignState::Draft, CampaignState::Scheduled, None, now()).await.unwrap();
        assert!(campaigns::due(db, now()).await.unwrap().is_empty(), "{engine}");
        assert_eq!(campaigns::due(db, at).await.unwrap()[0].scheduled, Some(at), "{engine}");
        assert!(!campaigns::delete(db, id).await.unwrap(), "{engine}: only a draft is deleted");
        campaigns::set_state(db, id, CampaignState::Scheduled, CampaignState::Draft, None, now()).await.unwrap();
        assert!(campaigns::delete(db, id).await.unwrap(), "{engine}");
        assert_eq!(deliveries::hurry(db, id, BounceCause::MailboxFull, now()).await.unwrap(), 0, "{engine}");
    }
}

//! What came back, and what follows for the people it is about.

use crate::mailing::{Mailing, WORKER, by_mail, delivery, key};
use chrono::TimeDelta;
use rebound_contacts::feedback::{self, Recorded, rebuild_standing};
use rebound_db::bounces::{self, Filter};
use rebound_db::leases::{self, Try};
use rebound_db::statistics::{self, Kind};
use rebound_db::{campaigns, deliveries, events, incidents};
use rebound_domain::{
    Bounce, BounceCause as C, CampaignState, Complaint, Grade, IncidentSubject, Permanence, Receiver, Refusal,
    StateName, SuppressionReason as Why,
};
use std::collections::HashSet;

const HARD: Permanence = Permanence::Hard;
const SOFT: Permanence = Permanence::Soft;

#[tokio::test]
async fn a_dead_mailbox_is_suppressed_at_once_with_the_hosts_words() {
    let mailing = Mailing::to(3).await;
    let now = mailing.now();
    let campaign = mailing.hand_over("Spring", now).await;
    let gone = mailing.gone(delivery(campaign, 1));
    let recorded = mailing.record(std::slice::from_ref(&gone), now).await;
    assert_eq!(recorded, Recorded { given_up: 1, suppressed: 1, ..Recorded::default() });

    assert_eq!(mailing.state(delivery(campaign, 1)).await, StateName::Bounced);
    let stands = mailing.suppressions(1).await;
    assert_eq!((stands.len(), stands[0].reason, stands[0].until), (1, Why::Hard, None));
    assert_eq!(stands[0].evidence, gone.verdict.diagnostic);
    let told = events::of_key(mailing.db(), &key(1), 9).await.unwrap();
    assert_eq!((told[0].kind.as_str(), told[0].actor.as_str()), ("suppressed", "rebound"));
    assert!(told[0].detail.contains("\"cause\":\"mailbox_unknown\""), "{}", told[0].detail);

    let noted = bounces::of_key(mailing.db(), &key(1), 9).await.unwrap();
    assert_eq!((noted.len(), noted[0].is_final, noted[0].excused), (1, true, false));
    assert_eq!((&noted[0].verdict, noted[0].grade), (&gone.verdict, Grade::Ours));
    assert_eq!(bounces::get(mailing.db(), noted[0].id).await.unwrap(), Some(noted[0].clone()));
    let days = statistics::by_day(mailing.db(), now.date_naive(), now.date_naive(), Some(campaign)).await.unwrap();
    assert_eq!(
        days.iter().map(|day| (day.kind, day.cause, day.count)).collect::<Vec<_>>(),
        [(Kind::Hard, Some(C::MailboxUnknown), 1)]
    );
}

#[tokio::test]
async fn a_thousand_replays_are_one_bounce() {
    let mailing = Mailing::to(3).await;
    let campaign = mailing.hand_over("Spring", mailing.now()).await;
    let gone = mailing.gone(delivery(campaign, 0));
    let replays: Vec<Bounce> = (0..500).map(|_| gone.clone()).collect();
    let first = mailing.record(&replays, mailing.now()).await;
    assert_eq!(first, Recorded { given_up: 1, suppressed: 1, ignored: 499, ..Recorded::default() });
    for at in 1..6 {
        let again = mailing.record(&replays[..100], mailing.now() + TimeDelta::hours(at)).await;
        assert_eq!(again, Recorded { ignored: 100, ..Recorded::default() });
    }
    assert_eq!(bounces::of_key(mailing.db(), &key(0), 2000).await.unwrap().len(), 1);
    assert_eq!(events::of_key(mailing.db(), &key(0), 2000).await.unwrap().len(), 1);
    let counted = bounces::causes(mailing.db(), &Filter::default()).await.unwrap();
    let tries = bounces::Tries { all: 1, hard: 1, soft: 0 };
    assert_eq!(counted.into_iter().collect::<Vec<_>>(), [(C::MailboxUnknown, tries)]);
}

#[tokio::test]
async fn a_report_that_only_names_an_address_changes_nothing() {
    let mailing = Mailing::to(3).await;
    let campaign = mailing.hand_over("Spring", mailing.now()).await;
    mailing.accept(&[delivery(campaign, 0)], mailing.now()).await;
    let forged = Bounce { grade: Grade::TextOnly, ..by_mail(mailing.gone(delivery(campaign, 0))) };
    let nameless = Bounce { delivery: None, attempt: 0, ..forged.clone() };
    let delayed = Bounce {
        held: true,
        learned: None,
        attempt: 0,
        ..by_mail(mailing.refused(delivery(campaign, 0), (C::MailboxFull, SOFT), Refusal::Transient))
    };
    let unknown = mailing.gone(delivery(campaign, 4_000));
    let recorded = mailing.record(&[forged, nameless, delayed, unknown], mailing.now()).await;
    assert_eq!(recorded, Recorded { noted: 4, ..Recorded::default() });
    assert_eq!(mailing.state(delivery(campaign, 0)).await, StateName::Accepted);
    assert_eq!(mailing.suppressions(0).await, []);
    assert_eq!(mailing.standing(0).await, None);
    let only_final = Filter { kind: bounces::Kind::Final, ..Filter::default() };
    assert_eq!(bounces::page(mailing.db(), &only_final, None, 9).await.unwrap(), []);
    assert_eq!(bounces::page(mailing.db(), &Filter::default(), None, 9).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_message_that_was_taken_may_come_back_and_go_out_again() {
    let mailing = Mailing::to(4).await;
    let (db, now) = (mailing.db(), mailing.now());
    let campaign = mailing.hand_over("Spring", now).await;
    let ids = [0, 1, 2, 3].map(|n| delivery(campaign, n));
    mailing.accept(&ids[..3], now).await;
    let full = |n: usize| mailing.refused(ids[n], (C::MailboxFull, SOFT), Refusal::Permanent);
    let recorded = mailing
        .record(&[by_mail(mailing.gone(ids[0])), by_mail(full(1)), Bounce { attempt: 2, ..by_mail(full(2)) }], now)
        .await;
    assert_eq!((recorded.given_up, recorded.retried, recorded.noted), (1, 1, 1));
    let found = deliveries::get(db, &[ids[1]]).await.unwrap();
    assert_eq!((found[0].state, found[0].due), (StateName::Deferred, now + TimeDelta::minutes(270)));
    assert_eq!(mailing.state(ids[0]).await, StateName::Bounced);
    assert_eq!(mailing.state(ids[2]).await, StateName::Accepted, "a report about another try changes nothing");
    let days = statistics::by_day(db, now.date_naive(), now.date_naive(), None).await.unwrap();
    let count = |kind| days.iter().filter(|day| day.kind == kind).map(|day| day.count).sum::<i64>();
    assert_eq!([Kind::Accepted, Kind::Hard, Kind::Deferred, Kind::Returned].map(count), [3, 1, 1, 2]);

    // The campaign is cancelled: nothing goes out again.
    let (sending, cancelled) = (CampaignState::Sending, CampaignState::Cancelled);
    campaigns::set_state(db, campaign, sending, cancelled, None, now).await.unwrap();
    let recorded = mailing.record(&[full(3)], now).await;
    assert_eq!((recorded.given_up, recorded.retried), (1, 0));
    assert_eq!(mailing.standing(3).await.unwrap().run.unwrap().count(), 1);
}

#[tokio::test]
async fn one_answer_for_sixty_addresses_judges_nobody() {
    let mailing = Mailing::to(200).await;
    let (db, now) = (mailing.db(), mailing.now());
    let campaign = mailing.hand_over("Spring", now).await;
    let refused: Vec<Bounce> = (0..60).map(|n| mailing.gone(delivery(campaign, n))).collect();
    let recorded = mailing.record(&refused, now).await;
    assert_eq!((recorded.given_up, recorded.suppressed), (60, 0));
    assert_eq!((recorded.incidents.len(), recorded.waiting.as_slice()), (1, [campaign].as_slice()));

    assert_eq!(mailing.suppressed(200).await, [0_i64; 0]);
    assert_eq!(mailing.campaign_state(campaign).await, CampaignState::Waiting);
    let reason = campaigns::get(db, campaign).await.unwrap().unwrap().reason.unwrap();
    assert!(reason.starts_with("Sending waits: one answer came for many addresses at once."), "{reason}");
    let open = incidents::open(db).await.unwrap();
    assert_eq!((open.len(), open[0].burst, open[0].bounces), (1, true, 60));
    assert_eq!(open[0].subject, IncidentSubject::Campaign { campaign });
    let inside = Filter { incident: Some(open[0].id), ..Filter::default() };
    assert_eq!(bounces::page(db, &inside, None, 100).await.unwrap().len(), 60);

    // What was on its way belongs to it as well, and another cause does not.
    let late = [mailing.gone(delivery(campaign, 100)), moved(&mailing, delivery(campaign, 101))];
    let recorded = mailing.record(&late, now).await;
    assert_eq!((recorded.suppressed, recorded.incidents.len(), recorded.waiting.len()), (1, 0, 0));
    assert_eq!(mailing.suppressed(200).await, [101]);
    assert_eq!(incidents::get(db, open[0].id).await.unwrap().unwrap().bounces, 61);
}

fn moved(mailing: &Mailing, id: rebound_domain::DeliveryId) -> Bounce {
    mailing.refused(id, (C::AddressMoved, HARD), Refusal::Permanent)
}

#[tokio::test]
async fn who_was_judged_before_the_burst_showed_is_written_to_again() {
    let mailing = Mailing::to(100).await;
    let (db, now) = (mailing.db(), mailing.now());
    let campaign = mailing.hand_over("Spring", now).await;
    let first: Vec<Bounce> = (0..10).map(|n| mailing.gone(delivery(campaign, n * 4))).collect();
    assert_eq!(mailing.record(&first, now).await.suppressed, 10, "10 of 50 are 20 %: no burst yet");
    assert_eq!(mailing.suppressed(100).await.len(), 10);
    let recorded = mailing.record(&[mailing.gone(delivery(campaign, 41))], now).await;
    assert_eq!((recorded.suppressed, recorded.waiting.as_slice()), (0, [campaign].as_slice()));
    assert_eq!(mailing.suppressed(100).await, [0_i64; 0]);
    assert_eq!(mailing.standing(4).await, None);
    let told = events::of_key(db, &key(4), 9).await.unwrap();
    assert_eq!(told.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["restored", "suppressed"]);
    assert_eq!(incidents::open(db).await.unwrap()[0].bounces, 11);
    assert_eq!(mailing.state(delivery(campaign, 4)).await, StateName::Bounced, "a person resends later");

    // A person has looked, and sends on: what comes now is judged again.
    campaigns::trust_from(db, campaign, now).await.unwrap();
    assert!(incidents::close(db, incidents::open(db).await.unwrap()[0].id, now).await.unwrap());
    let later = now + TimeDelta::minutes(5);
    let next = Bounce { at: later, ..mailing.gone(delivery(campaign, 43)) };
    assert_eq!(mailing.record(&[next], later).await.suppressed, 1);
}

#[tokio::test]
async fn a_restore_touches_exactly_those_of_the_incident() {
    let mailing = Mailing::to(120).await;
    let (db, now) = (mailing.db(), mailing.now());
    let (spring, summer) = (mailing.hand_over("Spring", now).await, mailing.hand_over("Summer", now).await);
    // Two are really gone: another campaign heard so too. One of them is in the burst.
    mailing.record(&[mailing.gone(delivery(summer, 3)), mailing.gone(delivery(summer, 90))], now).await;
    let burst: Vec<Bounce> = (0..20).map(|n| mailing.gone(delivery(spring, n))).collect();
    mailing.record(&burst, now).await;
    assert_eq!(mailing.suppressed(120).await, [3, 90]);

    let incident = incidents::open(db).await.unwrap()[0].id;
    let (mut after, mut parts) = (None, vec![]);
    loop {
        let tx = db.begin().await.unwrap();
        let eve = "eve@house.example";
        let part = feedback::restore_next(&tx, incident, after.as_ref(), 8, &mailing.policy, eve, now).await.unwrap();
        tx.commit().await.unwrap();
        parts.push(part.count);
        let open = incidents::get(db, incident).await.unwrap().unwrap().closed.is_none();
        assert_eq!(open, part.last.is_some(), "closed by the last part");
        after = part.last;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(parts, [8, 8, 4]);
    assert_eq!(mailing.suppressed(120).await, [3, 90]);
    assert!(incidents::get(db, incident).await.unwrap().unwrap().closed.is_some());
    let told = events::of_subject(db, "incident", incident.0, 9).await.unwrap();
    assert_eq!((told[0].kind.as_str(), told[0].actor.as_str()), ("incident.restored", "eve@house.example"));
}

/// Who had it gave it up: the policy of the cause, which may be another by now, does not bring it back to nobody.
#[tokio::test]
async fn what_was_given_up_without_a_try_is_over() {
    let mailing = Mailing::to(2).await;
    let campaign = mailing.hand_over("Spring", mailing.now()).await;
    let given_up =
        |n| Bounce { attempt: 0, ..mailing.refused(delivery(campaign, n), (C::RateLimited, SOFT), Refusal::Transient) };
    let recorded = mailing.record(&[given_up(0)], mailing.now()).await;
    assert_eq!((recorded.given_up, recorded.retried), (1, 0));
}

/// Else it would stay with its worker for ever.
#[tokio::test]
async fn a_try_ends_also_where_what_it_heard_is_known() {
    let mailing = Mailing::to(1).await;
    let (db, now) = (mailing.db(), mailing.now());
    let (id, later) = (delivery(mailing.hand_over("Spring", now).await, 0), now + TimeDelta::days(2));
    let refused = mailing.refused(id, (C::MailboxFull, SOFT), Refusal::Transient);
    assert_eq!(mailing.record(std::slice::from_ref(&refused), now).await.retried, 1);

    leases::claim(db, WORKER, id.campaign(), 9, later).await.unwrap();
    leases::mark(db, WORKER, &[Try { id, number: 1 }], later).await.unwrap();
    let again = mailing.record(&[refused], later).await;
    assert_eq!(again, Recorded { ignored: 1, ..Recorded::default() });
    assert_eq!(mailing.state(id).await, StateName::Deferred);
    assert_eq!(bounces::of_key(db, &key(0), 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn our_own_fault_opens_an_incident_and_counts_against_nobody() {
    let mailing = Mailing::to(80).await;
    let (db, now) = (mailing.db(), mailing.now());
    let campaign = mailing.hand_over("Spring", now).await;
    let refuse = |n, cause| mailing.refused(delivery(campaign, n), (cause, SOFT), Refusal::Permanent);
    let recorded = mailing
        .record(
            &[
                refuse(0, C::SpamSuspected),
                refuse(9, C::SpamSuspected),
                refuse(15, C::PolicyOther),
                refuse(22, C::PolicyOther),
                refuse(30, C::AuthFailure),
                refuse(7, C::ProtocolError),
                refuse(14, C::ProtocolError),
            ],
            now,
        )
        .await;
    assert_eq!((recorded.given_up, recorded.suppressed, recorded.incidents.len()), (7, 0, 3));
    let receiver = "d1.example".to_owned();
    let domain = "fernhill.example".to_owned();
    let mut found: Vec<_> =
        incidents::open(db).await.unwrap().into_iter().map(|one| (one.subject, one.cause, one.bounces)).collect();
    found.reverse();
    assert_eq!(
        found,
        [
            (IncidentSubject::Campaign { campaign }, C::SpamSuspected, 2),
            (IncidentSubject::Route { receiver }, C::PolicyOther, 2),
            (IncidentSubject::SendingDomain { domain }, C::AuthFailure, 1),
        ]
    );
    // The third time in a day at one receiver.
    let recorded = mailing.record(&[refuse(21, C::ProtocolError)], now).await;
    assert_eq!(recorded.incidents.len(), 1);
    assert_eq!(mailing.standing(0).await, None, "nobody is judged");
    assert_eq!(mailing.campaign_state(campaign).await, CampaignState::Sending);

    // Spam for many at once is a burst of the incident that is there.
    let many: Vec<Bounce> = (40..52).map(|n| refuse(n, C::SpamSuspected)).collect();
    let recorded = mailing.record(&many, now).await;
    assert_eq!((recorded.incidents.len(), recorded.waiting.len()), (0, 1));
    let spam = incidents::open(db).await.unwrap().into_iter().find(|one| one.cause == C::SpamSuspected).unwrap();
    assert_eq!((spam.burst, spam.bounces), (true, 14));
}

#[tokio::test]
async fn an_incident_of_a_route_is_one_for_all_domains_behind_it() {
    let mailing = Mailing::to(80).await;
    let (db, now) = (mailing.db(), mailing.now());
    let campaign = mailing.hand_over("Spring", now).await;
    let refuse = |n| mailing.refused(delivery(campaign, n), (C::ReputationBlock, SOFT), Refusal::Permanent);
    let behind = |n| Bounce { receiver: Some(Receiver::of_domain("google.com")), ..refuse(n) };
    mailing.record(&[behind(1), behind(2), behind(10), refuse(3)], now).await;
    let mut found: Vec<_> =
        incidents::open(db).await.unwrap().into_iter().map(|one| (one.subject, one.bounces)).collect();
    found.reverse();
    let route = |receiver: &str| IncidentSubject::Route { receiver: receiver.to_owned() };
    assert_eq!(found, [(route("google.com"), 3), (route("d3.example"), 1)]);
}

#[tokio::test]
async fn a_complaint_is_stronger_than_any_bounce() {
    let mailing = Mailing::to(3).await;
    let (db, now) = (mailing.db(), mailing.now());
    let campaign = mailing.hand_over("Spring", now).await;
    let id = delivery(campaign, 1);
    mailing.accept(&[id], now).await;
    mailing.record(&[by_mail(mailing.gone(id))], now).await;
    let of = |kind: &str| Complaint { delivery: id, kind: kind.to_owned(), at: now };
    let record = async |complaints: &[Complaint]| {
        let tx = db.begin().await.unwrap();
        let new = feedback::record_complaints(&tx, complaints, now).await.unwrap();
        tx.commit().await.unwrap();
        new
    };
    assert_eq!(record(&[of("not-spam")]).await, 1);
    assert_eq!(mailing.reasons(1).await, [Why::Hard]);
    assert_eq!(record(&[of("abuse"), of("abuse"), of("fraud")]).await, 2);
    assert_eq!(record(&[of("abuse")]).await, 0);
    assert_eq!(mailing.reasons(1).await, [Why::Complaint, Why::Hard]);
    assert_eq!(rebound_db::complaints::of_campaign(db, campaign).await.unwrap(), 2);

    // A bounce that turns out to be no fault of theirs takes back what it said, and not the complaint.
    rebound_contacts::lift(db, &key(1), rebound_domain::Scope::Everywhere, Why::Hard, "", "eve@house.example", now)
        .await
        .unwrap();
    assert_eq!(mailing.reasons(1).await, [Why::Complaint]);
    assert_eq!(rebuild_standing(db, &key(1), &mailing.policy).await.unwrap(), mailing.standing(1).await);
}

#[tokio::test]
async fn what_was_in_doubt_is_settled_by_whoever_has_it_and_does_not_go_again() {
    let mailing = Mailing::to(5).await;
    let (db, now) = (mailing.db(), mailing.now());
    let campaign = mailing.hand_over("Spring", now).await;
    let [complains, delayed, refused, silent] = [0, 1, 2, 3].map(|n| delivery(campaign, n));
    mailing.doubt(&[complains, delayed, refused, silent], now).await;
    mailing.record(&[by_mail(mailing.gone(refused))], now).await;
    let arrived = async || {
        let tx = db.begin().await.unwrap();
        let ids = [complains, complains, refused, delivery(campaign, 4), delivery(campaign, 99)];
        let settled = feedback::record_arrivals(&tx, &ids, "it was complained of", &mailing.policy, now).await.unwrap();
        tx.commit().await.unwrap();
        settled
    };
    assert_eq!((arrived().await, arrived().await), (1, 0), "once, and not what came back or is under way");
    let delay = |id| Bounce {
        held: true,
        ..by_mail(mailing.refused(id, (C::HostUnreachable, Permanence::Soft), Refusal::Transient))
    };
    mailing.record(&[delay(delayed), Bounce { attempt: 7, ..delay(silent) }], now).await;

    for (id, expected) in [(complains, StateName::Accepted), (delayed, StateName::Accepted)] {
        assert_eq!(mailing.state(id).await, expected, "{id:?}");
    }
    let again = mailing.try_again(campaign, now).await;
    assert!(again.contains(&silent) && !again.contains(&complains) && !again.contains(&delayed), "{again:?}");
    let day = now.date_naive();
    let counted = statistics::by_day(db, day, day, Some(campaign)).await.unwrap();
    let accepted = counted.iter().filter(|count| count.kind == Kind::Accepted);
    assert_eq!(accepted.map(|count| count.count).sum::<i64>(), 2);
}

#[tokio::test]
async fn what_came_back_does_not_go_again_for_the_doubt_that_it_settles() {
    let mailing = Mailing::to(6).await;
    let (db, now) = (mailing.db(), mailing.now());
    let campaign = mailing.hand_over("Spring", now).await;
    let [gone, nameless, full, leased, put_off, refused] = [0, 1, 2, 3, 4, 5].map(|n| delivery(campaign, n));
    // The last was refused in the session: a report can only be about an earlier try, or forged.
    mailing.doubt(&[gone, nameless, full, leased, put_off], now).await;
    mailing.record(&[mailing.refused(refused, (C::HostUnreachable, SOFT), Refusal::Transient)], now).await;
    mailing.record(&[by_mail(mailing.gone(gone)), Bounce { attempt: 0, ..by_mail(mailing.gone(nameless)) }], now).await;
    mailing.record(&[by_mail(mailing.refused(full, (C::MailboxFull, SOFT), Refusal::Permanent))], now).await;
    let again: Vec<_> = leases::claim(db, WORKER, campaign, 100, now).await.unwrap();
    assert_eq!(again.iter().map(|lease| lease.id).collect::<HashSet<_>>(), [leased, put_off].into());
    leases::release(db, WORKER, &[(put_off, Some(now + TimeDelta::hours(1)))]).await.unwrap();
    mailing.record(&[leased, put_off, refused].map(|id| by_mail(mailing.gone(id))), now).await;

    for (id, expected) in [
        (gone, StateName::Bounced),
        (nameless, StateName::Bounced),
        (full, StateName::Deferred),
        (leased, StateName::Bounced),
        (put_off, StateName::Bounced),
        (refused, StateName::Deferred),
    ] {
        assert_eq!(mailing.state(id).await, expected, "{id:?}");
    }
    let next = Try { id: leased, number: 2 };
    assert_eq!(leases::mark(db, WORKER, &[next], now).await.unwrap(), [], "who took it for the doubt sends nothing");
}

#[tokio::test]
async fn bounces_are_found_by_what_they_have_in_common() {
    let mailing = Mailing::to(40).await;
    let (db, now) = (mailing.db(), mailing.now());
    let campaign = mailing.hand_over("Spring", now).await;
    let heard: Vec<Bounce> = (0..9)
        .map(|n| {
            let what = if n % 3 == 0 { (C::MailboxFull, SOFT) } else { (C::MailboxUnknown, HARD) };
            let at = now + TimeDelta::minutes(n / 2);
            Bounce { at, ..mailing.refused(delivery(campaign, n), what, Refusal::Permanent) }
        })
        .collect();
    mailing.record(&heard, now).await;
    let count = async |filter: Filter| bounces::page(db, &filter, None, 100).await.unwrap().len();
    let all = Filter::default;
    for (what, filter, expected) in [
        ("all", all(), 9),
        ("cause", Filter { cause: Some(C::MailboxFull), ..all() }, 3),
        ("group", Filter { group: Some(rebound_domain::CauseGroup::A), ..all() }, 6),
        ("campaign", Filter { campaign: Some(campaign), ..all() }, 9),
        ("another campaign", Filter { campaign: Some(rebound_domain::CampaignId(77)), ..all() }, 0),
        ("domain", Filter { domain: Some("d1.example".into()), ..all() }, 2),
        ("address", Filter { search: "p8".into(), ..all() }, 1),
        ("a domain that was typed", Filter { search: "@d0.example".into(), ..all() }, 2),
        ("time", Filter { from: Some(now), before: Some(now + TimeDelta::minutes(1)), ..all() }, 2),
        ("final", Filter { kind: bounces::Kind::Final, ..all() }, 6),
        ("both", Filter { cause: Some(C::MailboxFull), domain: Some("d6.example".into()), ..all() }, 1),
    ] {
        assert_eq!(count(filter).await, expected, "{what}");
    }
    let (mut after, mut seen) = (None, vec![]);
    loop {
        let page = bounces::page(db, &all(), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.at, last.id));
        seen.extend(page.iter().map(|one| one.address.clone()));
    }
    assert_eq!(seen, (0..9).rev().map(key).collect::<Vec<_>>());
    let domains = bounces::domains(db, &all(), 2).await.unwrap();
    assert_eq!(domains, [("d0.example".to_owned(), 2), ("d1.example".to_owned(), 2)]);
}

//! The way of a delivery, statement by statement, on both engines.

use crate::engines;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::lanes::{self, HeldLane};
use rebound_db::leases::{Answered, Try};
use rebound_db::{
    Pool, campaigns, contacts, deliveries, leases, lists, outcomes, servers, subscriptions, suppressions,
};
use rebound_domain::{
    BounceCause as C, Campaign, CampaignState, DoubtPolicy, Draft, EmailAddress, Fields, Limits, ListId, Notice,
    Receiver, Route, Scope, Server, ServerId, Slowed, StateName, Suppression, SuppressionReason, WorkerId,
};
use sea_orm::{ConnectionTrait, Statement};

pub(crate) const WORKER: WorkerId = WorkerId(1);
pub(crate) const OTHER: WorkerId = WorkerId(2);

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

/// A launched campaign to ten people, three of whom joined too late or may not be written to.
pub(crate) async fn launched(db: &Pool, doubt: DoubtPolicy) -> Campaign {
    let list = lists::ensure(db, "News", now()).await.unwrap().id;
    let people: Vec<_> = (0..10).map(|i| (format!("p{i}@orchard.example").parse().unwrap(), Fields::new())).collect();
    contacts::add(db, &people, now()).await.unwrap();
    let keys: Vec<_> = people.iter().map(|(address, _): &(EmailAddress, Fields)| address.key()).collect();
    let tomorrow = now() + TimeDelta::days(1);
    subscriptions::confirm_all(db, list, &keys[..9], "test", now()).await.unwrap();
    subscriptions::confirm_all(db, list, &keys[9..], "test", tomorrow).await.unwrap();
    suppress(db, "p0@orchard.example", Scope::Everywhere).await;
    suppress(db, "p1@orchard.example", Scope::List(list)).await;
    suppress(db, "p2@orchard.example", Scope::List(ListId(list.0 + 1))).await;
    let draft = Draft {
        name: format!("Spring {doubt:?}"),
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
    };
    let id = campaigns::create(db, &draft, now()).await.unwrap();
    assert!(campaigns::set_state(db, id, CampaignState::Draft, CampaignState::Planning, None, now()).await.unwrap());
    campaigns::get(db, id).await.unwrap().unwrap()
}

pub(crate) async fn suppress(db: &Pool, address: &str, scope: Scope) {
    let suppression = Suppression {
        address: address.parse::<EmailAddress>().unwrap().key(),
        scope,
        reason: SuppressionReason::Manual,
        since: now() - TimeDelta::days(1),
        until: None,
        evidence: "a test".into(),
    };
    suppressions::add(db, &suppression).await.unwrap();
}

pub(crate) async fn plan(db: &Pool, campaign: &Campaign) -> i64 {
    let tx = db.begin().await.unwrap();
    let planned = campaigns::plan(&tx, campaign, now()).await.unwrap();
    tx.commit().await.unwrap();
    planned
}

#[tokio::test]
async fn a_delivery_goes_its_way_and_is_never_lost() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let campaign = launched(db, DoubtPolicy::Hold).await;
        // Nine joined in time, and two of them are suppressed for this list.
        assert_eq!((plan(db, &campaign).await, plan(db, &campaign).await), (7, 0), "{engine}");

        let leases = leases::claim(db, WORKER, campaign.id, 100, now()).await.unwrap();
        assert_eq!(leases.len(), 7, "{engine}");
        assert!(leases::claim(db, OTHER, campaign.id, 100, now()).await.unwrap().is_empty(), "{engine}");

        // One is suppressed between the claim and the mark: the mark itself asks.
        suppress(db, "p8@orchard.example", Scope::Everywhere).await;
        let tries: Vec<Try> = leases.iter().map(|lease| Try { id: lease.id, number: 1 }).collect();
        let marked = leases::mark(db, WORKER, &tries, now()).await.unwrap();
        assert_eq!(marked.len(), 6, "{engine}");
        assert!(leases::mark(db, OTHER, &tries, now()).await.unwrap().is_empty(), "{engine}: a stranger marks nothing");

        // Two are taken; one line breaks before the dot; the others were under way when the worker died.
        let answered: Vec<Answered> =
            tries[..2].iter().map(|of| Answered { of: of.clone(), accepted: true, reply: "250 ok".into() }).collect();
        leases::note_answers(db, WORKER, &answered, now()).await.unwrap();
        assert_eq!(leases::accept(db, WORKER, &tries[..2]).await.unwrap().len(), 2, "{engine}");
        let later = now() + TimeDelta::hours(1);
        leases::release(db, WORKER, &[(tries[2].id, Some(later))]).await.unwrap();
        assert_eq!(leases::recover(db, WORKER, now()).await.unwrap(), 3, "{engine}");

        let counts = deliveries::counts(db, campaign.id).await.unwrap();
        let expected =
            [(StateName::Planned, 1), (StateName::InDoubt, 3), (StateName::Accepted, 2), (StateName::Suppressed, 1)];
        assert_eq!(counts, expected.into(), "{engine}");
        assert_eq!(deliveries::next_due(db, campaign.id).await.unwrap(), Some(later), "{engine}");

        // The doubtful are listed by name; an answer that comes late resolves one.
        let ledger = deliveries::ledger(db, campaign.id, None, 100).await.unwrap();
        let doubtful: Vec<_> = ledger.iter().filter(|line| line.in_doubt == 1).collect();
        assert_eq!(doubtful.len(), 3, "{engine}");
        let late = Try { id: doubtful[0].delivery, number: 1 };
        let answer = Answered { of: late.clone(), accepted: true, reply: "250 ok".into() };
        leases::note_answers(db, WORKER, &[answer], now()).await.unwrap();
        assert_eq!(leases::accept(db, WORKER, &[late]).await.unwrap().len(), 1, "{engine}");
        let ledger = deliveries::ledger(db, campaign.id, None, 100).await.unwrap();
        assert_eq!(ledger.iter().filter(|line| line.in_doubt > 0).count(), 2, "{engine}");
    }
}

/// A worker was taken for dead, and wakes while what it had is recovered: it gives back a letter whose line broke.
#[tokio::test]
async fn no_doubt_is_noted_of_what_its_worker_gives_back_meanwhile() {
    let engines = engines().await;
    let db = &engines.postgres; // on SQLite there is one writer at a time
    let campaign = launched(db, DoubtPolicy::Hold).await;
    plan(db, &campaign).await;
    let lease = leases::claim(db, WORKER, campaign.id, 1, now()).await.unwrap()[0];
    leases::mark(db, WORKER, &[Try { id: lease.id, number: 1 }], now()).await.unwrap();

    let waking = db.begin().await.unwrap();
    assert_eq!(leases::release(&waking, WORKER, &[(lease.id, None)]).await.unwrap(), 1);
    let recovering = tokio::spawn({
        let db = db.clone();
        async move {
            let tx = db.begin().await.unwrap();
            let doubts = leases::recover(&tx, WORKER, now()).await.unwrap();
            tx.commit().await.unwrap();
            doubts
        }
    });
    let waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let waiting = Statement::from_string(db.get_database_backend(), waiting);
    while db.query_one_raw(waiting.clone()).await.unwrap().is_none() {
        assert!(!recovering.is_finished(), "it did not wait");
    }
    waking.commit().await.unwrap();
    assert_eq!(recovering.await.unwrap(), 0);
    let line = deliveries::ledger(db, campaign.id, None, 100).await.unwrap();
    let line = line.into_iter().find(|line| line.delivery == lease.id).unwrap();
    assert_eq!((line.state, line.attempts, line.in_doubt), (StateName::Planned, 0, 0));
}

#[tokio::test]
async fn what_is_in_doubt_goes_again_where_the_campaign_says_so() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let campaign = launched(db, DoubtPolicy::Resend).await;
        plan(db, &campaign).await;
        let leases = leases::claim(db, WORKER, campaign.id, 1, now()).await.unwrap();
        let first = Try { id: leases[0].id, number: 1 };
        leases::mark(db, WORKER, &[first], now()).await.unwrap();
        leases::recover(db, WORKER, now()).await.unwrap();

        let again = leases::claim(db, OTHER, campaign.id, 100, now()).await.unwrap();
        let again = again.into_iter().find(|lease| lease.id == leases[0].id).unwrap();
        assert_eq!(again.attempts, 1, "{engine}");
        let second = Try { id: again.id, number: 2 };
        leases::mark(db, OTHER, std::slice::from_ref(&second), now()).await.unwrap();
        leases::accept(db, OTHER, &[second]).await.unwrap();
        let ledger = deliveries::ledger(db, campaign.id, None, 1).await.unwrap();
        assert_eq!((ledger[0].state, ledger[0].attempts), (StateName::Accepted, 2), "{engine}");
        assert!(ledger[0].in_doubt >= 1, "{engine}");
    }
}

/// A worker was taken for dead with a letter on its line, and wakes when its host says that it took it.
#[tokio::test]
async fn an_answer_that_comes_late_stops_the_next_try_or_stays_a_doubt_by_name() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let campaign = launched(db, DoubtPolicy::Resend).await;
        plan(db, &campaign).await;
        let leases = leases::claim(db, WORKER, campaign.id, 2, now()).await.unwrap();
        let first: Vec<Try> = leases.iter().map(|lease| Try { id: lease.id, number: 1 }).collect();
        leases::mark(db, WORKER, &first, now()).await.unwrap();
        leases::recover(db, WORKER, now()).await.unwrap();
        assert_eq!(leases::claim(db, OTHER, campaign.id, 100, now()).await.unwrap().len(), 7, "{engine}");
        let second: Vec<Try> = leases.iter().map(|lease| Try { id: lease.id, number: 2 }).collect();
        assert_eq!(leases::mark(db, OTHER, &second[..1], now()).await.unwrap().len(), 1, "{engine}");

        let answer = |of: &Try| Answered { of: of.clone(), accepted: true, reply: "250 ok".into() };
        let answered: Vec<Answered> = first.iter().map(answer).collect();
        leases::note_answers(db, WORKER, &answered, now()).await.unwrap();
        let settled = leases::accept(db, WORKER, &first).await.unwrap();
        leases::keep_in_doubt(db, &first).await.unwrap();

        assert_eq!(settled, [first[1].id], "{engine}: the one whose next try is not marked yet");
        assert!(leases::mark(db, OTHER, &second[1..], now()).await.unwrap().is_empty(), "{engine}: it does not go");
        leases::note_answers(db, OTHER, &[answer(&second[0])], now()).await.unwrap();
        leases::accept(db, OTHER, &second[..1]).await.unwrap();
        let ledger = deliveries::ledger(db, campaign.id, None, 2).await.unwrap();
        let lines: Vec<_> = ledger.iter().map(|line| (line.state, line.attempts, line.in_doubt)).collect();
        assert_eq!(lines, [(StateName::Accepted, 2, 1), (StateName::Accepted, 1, 0)], "{engine}");
    }
}

#[tokio::test]
async fn a_report_is_about_the_try_that_left_after_those_that_were_refused() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let campaign = launched(db, DoubtPolicy::Resend).await;
        plan(db, &campaign).await;
        let claim = async || leases::claim(db, WORKER, campaign.id, 1, now()).await.unwrap()[0];
        let first = claim().await;
        assert_eq!((first.attempts, first.departed), (0, 0), "{engine}");
        let named = Try { id: first.id, number: 1 };
        let about = async || leases::tries_under(db, std::slice::from_ref(&named)).await.unwrap()[&(first.id, 1)];
        let answer = async |number, accepted| {
            let answered = Answered { of: Try { id: first.id, number }, accepted, reply: "a reply".into() };
            leases::note_answers(db, WORKER, &[answered], now()).await.unwrap();
        };
        answer(1, false).await;
        leases::release(db, WORKER, &[(first.id, Some(now() - TimeDelta::days(1)))]).await.unwrap();

        let second = claim().await;
        assert_eq!((second.id, second.attempts, second.departed), (first.id, 1, 0), "{engine}: the same sender again");
        assert_eq!(about().await, 1, "{engine}: nothing has left yet");
        let of = Try { id: first.id, number: 2 };
        leases::mark(db, WORKER, std::slice::from_ref(&of), now()).await.unwrap();
        assert_eq!(about().await, 2, "{engine}: a report may be faster than the answer");
        answer(2, true).await;
        leases::accept(db, WORKER, &[of]).await.unwrap();
        assert_eq!(about().await, 2, "{engine}");

        let due = Some(now() - TimeDelta::days(1));
        let again = deliveries::Settled { id: first.id, state: StateName::Deferred, due };
        deliveries::settle(db, &[again]).await.unwrap();
        let third = claim().await;
        assert_eq!((third.id, third.attempts, third.departed), (first.id, 2, 2), "{engine}: another sender");
        assert_eq!(about().await, 2, "{engine}: a late report is about what was taken then");
    }
}

#[tokio::test]
async fn whoever_was_put_off_and_got_it_in_the_end_is_counted() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let campaign = launched(db, DoubtPolicy::Resend).await;
        plan(db, &campaign).await;
        let leases = leases::claim(db, WORKER, campaign.id, 3, now()).await.unwrap();
        let answer = async |of: &Try, accepted| {
            let answered = Answered { of: of.clone(), accepted, reply: "a reply".into() };
            leases::note_answers(db, WORKER, &[answered], now()).await.unwrap();
        };
        for lease in &leases[1..] {
            answer(&Try { id: lease.id, number: 1 }, false).await;
        }
        let tries: Vec<Try> = leases.iter().map(|lease| Try { id: lease.id, number: 1 }).collect();
        let tries = [tries[0].clone(), Try { number: 2, ..tries[1].clone() }, Try { number: 2, ..tries[2].clone() }];
        assert_eq!(leases::mark(db, WORKER, &tries, now()).await.unwrap().len(), 3, "{engine}");
        for of in &tries {
            answer(of, true).await;
        }
        assert_eq!(leases::accept(db, WORKER, &tries).await.unwrap().len(), 3, "{engine}");
        let counted = async |from| outcomes::recovered(db, from).await.unwrap();
        assert_eq!(counted(now()).await, 2, "{engine}: the first one was never put off");
        assert_eq!(counted(now() + TimeDelta::seconds(1)).await, 0, "{engine}");
    }
}

#[tokio::test]
async fn a_report_that_is_faster_than_the_answer_settles_what_is_being_handed_over() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let campaign = launched(db, DoubtPolicy::Resend).await;
        plan(db, &campaign).await;
        let id = leases::claim(db, WORKER, campaign.id, 1, now()).await.unwrap()[0].id;
        let of = [Try { id, number: 1 }];
        leases::mark(db, WORKER, &of, now()).await.unwrap();
        deliveries::settle(db, &[deliveries::Settled { id, state: StateName::Bounced, due: None }]).await.unwrap();

        assert!(leases::accept(db, WORKER, &of).await.unwrap().is_empty(), "{engine}");
        assert_eq!(leases::release(db, WORKER, &[(id, None)]).await.unwrap(), 0, "{engine}");
        let found = &deliveries::get(db, &[id]).await.unwrap()[0];
        assert_eq!((found.state, found.worker, found.attempts), (StateName::Bounced, None, 1), "{engine}");
    }
}

/// A program of before knows no other mark: the database refuses it, as nobody would look for such a one.
#[tokio::test]
async fn nothing_is_marked_as_it_was_before() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let campaign = launched(db, DoubtPolicy::Resend).await;
        plan(db, &campaign).await;
        leases::claim(db, WORKER, campaign.id, 1, now()).await.unwrap();
        assert!(db.execute_unprepared("UPDATE deliveries SET state = 3 WHERE state = 2").await.is_err(), "{engine}");
    }
}

#[tokio::test]
async fn a_paused_campaign_marks_nothing_and_a_cancelled_one_ends() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let campaign = launched(db, DoubtPolicy::Resend).await;
        plan(db, &campaign).await;
        let leases = leases::claim(db, WORKER, campaign.id, 2, now()).await.unwrap();
        let tries: Vec<Try> = leases.iter().map(|lease| Try { id: lease.id, number: 1 }).collect();
        let (planning, paused) = (CampaignState::Planning, CampaignState::Paused);
        campaigns::set_state(db, campaign.id, planning, paused, None, now()).await.unwrap();
        assert!(leases::mark(db, WORKER, &tries[..1], now()).await.unwrap().is_empty(), "{engine}");
        campaigns::set_state(db, campaign.id, paused, CampaignState::Cancelled, None, now()).await.unwrap();
        campaigns::cancel_open(db, campaign.id).await.unwrap();
        assert!(leases::mark(db, WORKER, &tries[1..], now()).await.unwrap().is_empty(), "{engine}");
        let counts = deliveries::counts(db, campaign.id).await.unwrap();
        assert_eq!(counts, [(StateName::Cancelled, 7)].into(), "{engine}");
        assert!(!deliveries::any_open(db, campaign.id).await.unwrap(), "{engine}");
    }
}

#[tokio::test]
async fn what_slows_a_lane_is_kept_until_it_is_open_again() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let receiver = Receiver::of_domain("orchard.example");
        for slowed in [Slowed::Rests { rests: 2 }, Slowed::PerHour(600), Slowed::Connections(1)] {
            let (why, words) = ("it asks for less".into(), "421".into());
            let until = now() + TimeDelta::hours(1);
            let notice = Notice { slowed, until, why, cause: C::RateLimited, words };
            let lane = HeldLane { server: ServerId(3), receiver: receiver.clone(), notice };
            lanes::hold(db, &lane, now()).await.unwrap();
            assert_eq!(lanes::held(db).await.unwrap(), [lane], "{engine}");
            let rests = matches!(slowed, Slowed::Rests { .. });
            assert_eq!(lanes::resting(db).await.unwrap().len(), usize::from(rests), "{engine}");
            let tx = db.begin().await.unwrap();
            assert_eq!(lanes::hurry(&tx, &receiver, now()).await.unwrap(), rests, "{engine}: only a rest is ended");
            tx.commit().await.unwrap();
        }
        let over = now() + TimeDelta::hours(1);
        lanes::open(db, ServerId(4), &receiver, over).await.unwrap();
        assert_eq!(lanes::held(db).await.unwrap().len(), 1, "{engine}: that was another way to it");
        lanes::open(db, ServerId(3), &receiver, over).await.unwrap();
        assert_eq!(lanes::held(db).await.unwrap(), [], "{engine}");
    }
}

#[tokio::test]
async fn what_another_worker_was_told_of_a_lane_is_not_erased() {
    let (rests, slowed, places) = (Slowed::Rests { rests: 1 }, Slowed::PerHour(600), Slowed::Connections(1));
    let engines = engines().await;
    for (engine, db) in engines.each() {
        // What one was told until when, in minutes; what the other is told, after so many; and what holds then.
        for (one, other, after, expected) in [
            ((rests, 120), (slowed, 5), 0, (rests, 120)),
            ((rests, 120), (slowed, 240), 0, (rests, 120)),
            ((rests, 120), (rests, 10), 0, (rests, 120)),
            ((rests, 10), (rests, 120), 0, (rests, 120)),
            ((rests, 120), (Slowed::Rests { rests: 2 }, 120), 0, (Slowed::Rests { rests: 2 }, 120)),
            ((rests, 120), (rests, 125), 120, (rests, 125)),
            ((rests, 120), (slowed, 121), 120, (slowed, 121)),
            ((slowed, 30), (rests, 1), 0, (rests, 1)),
            ((slowed, 30), (places, 1), 0, (slowed, 30)),
            ((slowed, 30), (places, 60), 0, (places, 60)),
        ] {
            let receiver = Receiver::of_domain("orchard.example");
            let at = |minutes: i64| now() + TimeDelta::minutes(minutes);
            let told = |(slowed, until)| {
                let (why, words) = ("it asks for less".into(), "421".into());
                let notice = Notice { slowed, until: at(until), why, cause: C::RateLimited, words };
                HeldLane { server: ServerId(3), receiver: receiver.clone(), notice }
            };
            let case = format!("{engine}: {one:?}, after {after} {other:?}");
            lanes::hold(db, &told(one), now()).await.unwrap();
            // Twice is once.
            for _ in 0..2 {
                lanes::hold(db, &told(other), at(after)).await.unwrap();
                assert_eq!(lanes::held(db).await.unwrap(), [told(expected)], "{case}");
            }
            lanes::open(db, ServerId(3), &receiver, at(expected.1 - 1)).await.unwrap();
            assert_eq!(lanes::held(db).await.unwrap(), [told(expected)], "{case}: what one knew was over");
            for _ in 0..2 {
                lanes::open(db, ServerId(3), &receiver, at(expected.1)).await.unwrap();
                assert_eq!(lanes::held(db).await.unwrap(), [], "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_lane_that_is_hurried_takes_along_what_waits_for_it_and_nothing_else() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let campaign = launched(db, DoubtPolicy::Hold).await;
        assert_eq!(plan(db, &campaign).await, 7, "{engine}");
        let receiver = Receiver::of_domain("orchard.example");
        let hurry = async |receiver: &Receiver| {
            let tx = db.begin().await.unwrap();
            let hurried = lanes::hurry(&tx, receiver, now()).await.unwrap();
            tx.commit().await.unwrap();
            hurried
        };
        assert!(!hurry(&receiver).await, "{engine}: it does not rest");

        // Four were given back until the end of the rest, and three have a later time of their own.
        let until = now() + TimeDelta::hours(2);
        let slowed = Slowed::Rests { rests: 3 };
        let (why, words) = ("it asks for less".into(), "421".into());
        let notice = Notice { slowed, until, why, cause: C::RateLimited, words };
        let lane = HeldLane { server: ServerId(3), receiver: receiver.clone(), notice };
        lanes::hold(db, &lane, now()).await.unwrap();
        let leased = leases::claim(db, WORKER, campaign.id, 100, now()).await.unwrap();
        let ids: Vec<_> = leased.iter().map(|lease| lease.id).collect();
        let later = |at| if at < 4 { until } else { until + TimeDelta::hours(1) };
        let back: Vec<_> = ids.iter().enumerate().map(|(at, id)| (*id, Some(later(at)))).collect();
        assert_eq!(leases::release(db, WORKER, &back).await.unwrap(), 7, "{engine}");
        assert!(!hurry(&Receiver::of_domain("meadow.example")).await, "{engine}: another rests not");
        assert_eq!(leases::claim(db, OTHER, campaign.id, 100, now()).await.unwrap().len(), 0, "{engine}");

        assert!(hurry(&receiver).await, "{engine}");
        assert!(!hurry(&receiver).await, "{engine}: it rests no more");
        let resting = lanes::resting(db).await.unwrap();
        let sooner = HeldLane { notice: Notice { until: now(), ..lane.notice.clone() }, ..lane };
        assert_eq!(resting, [sooner], "{engine}: a probe goes first");
        let due = leases::claim(db, OTHER, campaign.id, 100, now()).await.unwrap();
        let mut due: Vec<_> = due.iter().map(|lease| lease.id).collect();
        due.sort_unstable();
        let mut expected = ids[..4].to_vec();
        expected.sort_unstable();
        assert_eq!(due, expected, "{engine}");
    }
}

#[tokio::test]
async fn a_provider_that_is_hurried_takes_along_what_waits_at_its_customers_domains() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let campaign = launched(db, DoubtPolicy::Hold).await;
        plan(db, &campaign).await;
        let server = Server {
            id: ServerId(0),
            name: "Straight".into(),
            route: Route::Direct { sources: vec![] },
            hello: "out.fernhill.example".into(),
            connections: 8,
            weight: 1,
            limits: Limits::default(),
            warm_up: None,
        };
        let server = servers::create(db, &server, "ines", now()).await.unwrap();
        let (receiver, until) = (Receiver::of_domain("google.com"), now() + TimeDelta::hours(2));
        let (why, words) = ("it blocks us".into(), "421".into());
        let notice = Notice { slowed: Slowed::Rests { rests: 1 }, until, why, cause: C::ReputationBlock, words };
        lanes::hold(db, &HeldLane { server, receiver: receiver.clone(), notice }, now()).await.unwrap();

        // Given back because of the rest, to its end and a little later; put off for another reason, until before that
        // and until after it; and so at a domain that is known to be the provider's.
        let leased = leases::claim(db, WORKER, campaign.id, 100, now()).await.unwrap();
        let gmail = format!("UPDATE contacts SET domain = 'gmail.com' WHERE id = {}", leased[4].contact);
        db.execute_unprepared(&gmail).await.unwrap();
        let minutes = [0, 6, -60, 7, -60, 60, -1];
        let later = |at: usize| Some(until + TimeDelta::minutes(minutes[at]));
        let back: Vec<_> = leased.iter().enumerate().map(|(at, lease)| (lease.id, later(at))).collect();
        assert_eq!(leases::release(db, WORKER, &back).await.unwrap(), 7, "{engine}");

        let tx = db.begin().await.unwrap();
        assert!(lanes::hurry(&tx, &receiver, now()).await.unwrap(), "{engine}");
        tx.commit().await.unwrap();
        let due = leases::claim(db, OTHER, campaign.id, 100, now()).await.unwrap();
        let mut due: Vec<_> = due.iter().map(|lease| lease.id).collect();
        due.sort_unstable();
        assert_eq!(due, [leased[0].id, leased[1].id, leased[4].id], "{engine}");
    }
}

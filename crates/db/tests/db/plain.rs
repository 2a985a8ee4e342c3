//! What a group commit writes in one call is what it writes statement by statement, on both engines.

use crate::deliveries::{OTHER, WORKER, launched, now, plan, suppress};
use crate::{engines, postgres};
use chrono::TimeDelta;
use rebound_db::leases::plain::{Mark, Settler, Taken};
use rebound_db::leases::{self, Answered, Try};
use rebound_db::statistics::{self, Kind};
use rebound_db::{Pool, campaigns, deliveries, lists, standings, subscriptions, suppressions};
use rebound_domain::{
    Campaign, CampaignState, DoubtPolicy, Draft, ListId, Scope, Standing, StateName, Suppression, SuppressionReason,
    WorkerId,
};
use sea_orm::{ConnectionTrait, DatabaseBackend, Statement};
use std::time::{Duration, Instant};

/// Seven that are leased: the first three of them marked, the others about to be.
async fn under_way(db: &Pool) -> (Campaign, Vec<Taken>, Vec<Mark>) {
    let campaign = launched(db, DoubtPolicy::Hold).await;
    plan(db, &campaign).await;
    let leases = leases::claim(db, WORKER, campaign.id, 100, now()).await.unwrap();
    let mut tries: Vec<Try> = leases.iter().map(|lease| Try { id: lease.id, number: 1 }).collect();
    let next = tries.split_off(3);
    assert_eq!(leases::mark(db, WORKER, &tries, now()).await.unwrap().len(), 3);
    let ids: Vec<_> = leases.iter().map(|lease| lease.id).collect();
    let keys = deliveries::keys(db, &ids).await.unwrap();
    let taken = tries.into_iter().map(|of| Taken { key: keys[&of.id].clone(), of, reply: "250 \"ok\"".into() });
    let next = next.into_iter().map(|of| Mark { key: keys[&of.id].clone(), of });
    (campaign, taken.collect(), next.collect())
}

fn tries(marks: Vec<Mark>) -> Vec<Try> {
    marks.into_iter().map(|mark| mark.of).collect()
}

/// Commits it where it may be; otherwise nothing is changed.
async fn write(db: &Pool, worker: WorkerId, taken: &[Taken], marks: &[Mark]) -> bool {
    let settler = Settler::new(db.clone());
    let Some(sending) = settler.settle_and_mark(worker, taken, marks, now()).await.unwrap() else { return false };
    assert_eq!(sending, campaigns::sending(db).await.unwrap());
    true
}

#[tokio::test]
async fn all_is_written_in_one_call() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let (campaign, taken, next) = under_way(db).await;
        assert!(write(db, WORKER, &taken, &next).await, "{engine}");
        let counts = deliveries::counts(db, campaign.id).await.unwrap();
        assert_eq!(counts, [(StateName::Accepted, 3), (StateName::HandingOver, 4)].into(), "{engine}");
        let day = now().date_naive();
        let counted = statistics::by_day(db, day, day, Some(campaign.id)).await.unwrap();
        assert_eq!(counted.iter().map(|count| (count.kind, count.count)).collect::<Vec<_>>(), [(Kind::Accepted, 3)]);

        // An end, and a beginning, of a campaign have only one of the two.
        let last = next.into_iter().map(|Mark { of, key }| Taken { of, key, reply: String::new() });
        assert!(write(db, WORKER, &last.collect::<Vec<_>>(), &[]).await, "{engine}");
        assert!(write(db, WORKER, &[], &[]).await, "{engine}");
        let counts = deliveries::counts(db, campaign.id).await.unwrap();
        assert_eq!(counts, [(StateName::Accepted, 7)].into(), "{engine}");
    }
}

#[tokio::test]
async fn where_something_is_in_the_way_nothing_is_written() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let (campaign, taken, next) = under_way(db).await;
        let before = deliveries::counts(db, campaign.id).await.unwrap();
        assert!(!write(db, OTHER, &taken, &next).await, "{engine}: a stranger");

        suppress(db, "p8@orchard.example", Scope::Everywhere).await;
        assert!(!write(db, WORKER, &taken, &next).await, "{engine}: one is suppressed");
        assert!(write(db, WORKER, &taken[..1], &[]).await, "{engine}: the others go");

        let kept = standings::Kept { standing: Standing::default(), updated: now() };
        standings::put(db, &[(taken[1].key.clone(), kept)]).await.unwrap();
        assert!(!write(db, WORKER, &taken[1..2], &[]).await, "{engine}: an address has a standing");
        assert!(write(db, WORKER, &taken[2..], &[]).await, "{engine}: the other one goes");

        campaigns::set_state(db, campaign.id, CampaignState::Planning, CampaignState::Paused, None, now())
            .await
            .unwrap();
        assert!(!write(db, WORKER, &[], &next[..1]).await, "{engine}: the campaign stands still");
        let after = deliveries::counts(db, campaign.id).await.unwrap();
        assert_eq!((before[&StateName::HandingOver], after[&StateName::HandingOver]), (3, 1), "{engine}");
        assert_eq!(before[&StateName::Leased], after[&StateName::Leased], "{engine}");
    }
}

#[tokio::test]
async fn only_a_suppression_that_stands_keeps_a_mark_from_being_written() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let (campaign, _, next) = under_way(db).await;
        let of_yesterday = Suppression {
            address: next[0].key.clone(),
            scope: Scope::Everywhere,
            reason: SuppressionReason::Manual,
            since: now() - TimeDelta::days(2),
            until: Some(now()),
            evidence: "a test".into(),
        };
        suppressions::add(db, &of_yesterday).await.unwrap();
        assert!(write(db, WORKER, &[], &next[..1]).await, "{engine}: it has ended");
        let ListId(list) = campaign.draft.list;
        suppress(db, next[1].key.as_str(), Scope::List(ListId(list + 1))).await;
        assert!(write(db, WORKER, &[], &next[1..2]).await, "{engine}: of another list");
        suppress(db, next[2].key.as_str(), Scope::List(ListId(list))).await;
        assert!(!write(db, WORKER, &[], &next[2..]).await, "{engine}: of this list");
        let last = next[3].of.id;
        assert_eq!(leases::mark(db, WORKER, &tries(next[2..].to_vec()), now()).await.unwrap(), [last], "{engine}");
    }
}

#[tokio::test]
async fn what_a_host_says_with_a_nul_in_it_is_written_all_the_same() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let (_, mut taken, next) = under_way(db).await;
        taken[0].reply = "250 o\0k, {\"b,\\".into();
        assert!(write(db, WORKER, &taken, &next).await, "{engine}");
        let sql = format!("SELECT reply FROM attempts WHERE delivery_id = {}", taken[0].of.id.0);
        let noted = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap().unwrap();
        assert_eq!(noted.try_get_by_index::<String>(0).unwrap(), "250 o\u{fffd}k, {\"b,\\", "{engine}");
    }
}

#[tokio::test]
async fn statement_by_statement_the_same_is_written() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let (campaign, taken, next) = under_way(db).await;
        assert!(write(db, WORKER, &taken[..1], &next[..1]).await, "{engine}");
        let answered = Answered { of: taken[1].of.clone(), accepted: true, reply: taken[1].reply.clone() };
        leases::note_answers(db, WORKER, &[answered], now()).await.unwrap();
        leases::accept(db, WORKER, &[taken[1].of.clone()]).await.unwrap();
        leases::mark(db, WORKER, &[next[1].of.clone()], now()).await.unwrap();

        let ledger = deliveries::ledger(db, campaign.id, None, 100).await.unwrap();
        let of = |id| ledger.iter().find(|line| line.delivery == id).cloned().unwrap();
        for (one, other) in [(taken[0].of.id, taken[1].of.id), (next[0].of.id, next[1].of.id)] {
            let (one, other) = (of(one), of(other));
            assert_eq!(
                (one.state, one.attempts, one.in_doubt),
                (other.state, other.attempts, other.in_doubt),
                "{engine}"
            );
        }
        let contact = deliveries::get(db, &[taken[0].of.id]).await.unwrap()[0].contact;
        assert_eq!(rebound_db::outcomes::accepted(db, contact).await.unwrap(), [(taken[0].of.id, now())], "{engine}");
    }
}

#[tokio::test]
async fn a_second_time_nothing_is_counted_again() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let (campaign, taken, next) = under_way(db).await;
        assert!(write(db, WORKER, &taken, &next).await, "{engine}");
        assert!(!write(db, WORKER, &taken, &next).await, "{engine}");

        let day = now().date_naive();
        let counted = statistics::by_day(db, day, day, Some(campaign.id)).await.unwrap();
        assert_eq!(counted.iter().map(|count| count.count).sum::<i64>(), 3, "{engine}");
    }
}

/// Otherwise each of them would write its delivery anew into every index.
#[tokio::test]
async fn a_mark_leaves_the_indexes_alone() {
    let engines = engines().await;
    let db = &engines.postgres;
    let (_, _, next) = under_way(db).await;
    assert!(write(db, WORKER, &[], &next).await);
    // A connection tells what it did when it ends.
    db.close().await;
    let in_place = "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'deliveries'";
    let start = Instant::now();
    while postgres::ask(&engines.url, in_place).trim() != "7" {
        assert!(start.elapsed() < Duration::from_secs(20), "three marks by the statement and four by the call");
    }
}

/// Two campaigns of two lists: who left one of them gets the letter of the other.
#[tokio::test]
async fn who_left_one_list_is_in_the_way_of_no_other() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let (campaign, _, next) = under_way(db).await;
        let list = lists::ensure(db, "Offers", now()).await.unwrap().id;
        subscriptions::confirm_all(db, list, &[next[0].key.clone()], "test", now()).await.unwrap();
        let draft = Draft { name: "Offers".into(), list, ..campaign.draft.clone() };
        let id = campaigns::create(db, &draft, now()).await.unwrap();
        campaigns::set_state(db, id, CampaignState::Draft, CampaignState::Planning, None, now()).await.unwrap();
        let offers = campaigns::get(db, id).await.unwrap().unwrap();
        plan(db, &offers).await;
        let lease = leases::claim(db, WORKER, id, 1, now()).await.unwrap()[0];
        let offer = Mark { of: Try { id: lease.id, number: 1 }, key: next[0].key.clone() };
        suppress(db, offer.key.as_str(), Scope::List(campaign.draft.list)).await;
        assert!(write(db, WORKER, &[], &[next[1].clone(), offer]).await, "{engine}");
        assert!(!write(db, WORKER, &[], &[next[0].clone()]).await, "{engine}");
    }
}

#[tokio::test]
async fn it_goes_on_over_another_connection() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let (campaign, taken, next) = under_way(db).await;
        let settler = Settler::new(db.clone());
        assert!(settler.settle_and_mark(WORKER, &taken[..1], &[], now()).await.unwrap().is_some(), "{engine}");
        if db.get_database_backend() == DatabaseBackend::Postgres {
            let all_others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
            db.execute_unprepared(all_others).await.unwrap();
        } else {
            // Behind its back, it may not write any more: it begins no transaction, and can only be closed.
            db.execute_unprepared("PRAGMA query_only = ON").await.unwrap();
            assert_eq!(settler.settle_and_mark(WORKER, &taken[1..], &next, now()).await.unwrap(), None);
        }

        let mut tries = 0;
        while settler.settle_and_mark(WORKER, &taken[1..], &next, now()).await.is_err() {
            tries += 1;
            assert!(tries < 20, "{engine}: an end for every connection");
        }

        let counts = deliveries::counts(db, campaign.id).await.unwrap();
        assert_eq!(counts, [(StateName::Accepted, 3), (StateName::HandingOver, 4)].into(), "{engine}");
    }
}

#[tokio::test]
async fn where_sqlite_has_no_room_for_a_trigger_nothing_is_written_and_the_statements_go_on() {
    let engines = engines().await;
    for (engine, db) in
        engines.each().into_iter().filter(|(_, db)| db.get_database_backend() != DatabaseBackend::Postgres)
    {
        let (campaign, taken, next) = under_way(db).await;
        db.execute_unprepared("CREATE TEMP VIEW settled_and_marked AS SELECT 1").await.unwrap();
        assert!(!write(db, WORKER, &taken, &next).await, "{engine}");
        let counts = deliveries::counts(db, campaign.id).await.unwrap();
        assert_eq!(counts, [(StateName::HandingOver, 3), (StateName::Leased, 4)].into(), "{engine}");
        assert_eq!(leases::mark(db, WORKER, &tries(next), now()).await.unwrap().len(), 4, "{engine}");
    }
}

#[tokio::test]
async fn where_the_server_allows_no_temporary_functions_nothing_is_written_and_the_statements_go_on() {
    let server = postgres::Server::start();
    rebound_db::migrate(&rebound_db::connect(&server.url()).await.unwrap()).await.unwrap();
    for sql in [
        "REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC",
        "CREATE ROLE guest LOGIN",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO guest",
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO guest",
    ] {
        server.run(sql);
    }
    let db = rebound_db::connect(&server.url().replace("rebound@", "guest@")).await.unwrap();
    let (campaign, taken, next) = under_way(&db).await;
    for _ in 0..2 {
        assert!(!write(&db, WORKER, &taken, &next).await);
    }
    let counts = deliveries::counts(&db, campaign.id).await.unwrap();
    assert_eq!(counts, [(StateName::HandingOver, 3), (StateName::Leased, 4)].into());

    assert_eq!(leases::mark(&db, WORKER, &tries(next), now()).await.unwrap().len(), 4);
    let tries: Vec<Try> = taken.into_iter().map(|taken| taken.of).collect();
    assert_eq!(leases::accept(&db, WORKER, &tries).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_commit_is_durable_and_statements_see_what_is_committed_also_where_the_role_is_set_up_otherwise() {
    let server = postgres::Server::start();
    for (setting, theirs, ours) in
        [("synchronous_commit", "off", "on"), ("default_transaction_isolation", "repeatable read", "read committed")]
    {
        server.run(&format!("ALTER ROLE rebound SET {setting} = '{theirs}'"));
        let show = format!("SHOW {setting}");
        assert_eq!(postgres::ask(&server.url(), &show).trim(), theirs, "whoever asks for nothing");
        let db = rebound_db::connect(&server.url()).await.unwrap();
        let row = db.query_one_raw(Statement::from_string(DatabaseBackend::Postgres, show)).await.unwrap().unwrap();
        assert_eq!(row.try_get::<String>("", setting).unwrap(), ours);
    }
}

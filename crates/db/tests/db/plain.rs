//! What a group commit writes in one call is what it writes statement by statement, on both engines.

use crate::deliveries::{OTHER, WORKER, launched, now, plan, suppress};
use crate::{engines, postgres};
use rebound_db::leases::plain::{Settler, Taken};
use rebound_db::leases::{self, Answered, Try};
use rebound_db::statistics::{self, Kind};
use rebound_db::{Pool, campaigns, deliveries, standings};
use rebound_domain::{Campaign, CampaignState, DoubtPolicy, Scope, Standing, StateName, WorkerId};
use sea_orm::{ConnectionTrait, DatabaseBackend, Statement};

/// Seven that are leased: the first three of them marked, the others about to be.
async fn under_way(db: &Pool) -> (Campaign, Vec<Taken>, Vec<Try>) {
    let campaign = launched(db, DoubtPolicy::Hold).await;
    plan(db, &campaign).await;
    let leases = leases::claim(db, WORKER, campaign.id, 100, now()).await.unwrap();
    let mut tries: Vec<Try> = leases.iter().map(|lease| Try { id: lease.id, number: 1 }).collect();
    let next = tries.split_off(3);
    assert_eq!(leases::mark(db, WORKER, &tries, now()).await.unwrap().len(), 3);
    let ids: Vec<_> = tries.iter().map(|of| of.id).collect();
    let keys = deliveries::keys(db, &ids).await.unwrap();
    let taken = tries.into_iter().map(|of| Taken { key: keys[&of.id].clone(), of, reply: "250 \"ok\"".into() });
    (campaign, taken.collect(), next)
}

/// Commits it where it may be; otherwise nothing is changed.
async fn write(db: &Pool, worker: WorkerId, taken: &[Taken], marks: &[Try]) -> bool {
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
        let keys = deliveries::keys(db, &next.iter().map(|of| of.id).collect::<Vec<_>>()).await.unwrap();
        let last = next.iter().map(|of| Taken { key: keys[&of.id].clone(), of: of.clone(), reply: String::new() });
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
async fn statement_by_statement_the_same_is_written() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let (campaign, taken, next) = under_way(db).await;
        assert!(write(db, WORKER, &taken[..1], &next[..1]).await, "{engine}");
        let answered = Answered { of: taken[1].of.clone(), accepted: true, reply: taken[1].reply.clone() };
        leases::note_answers(db, WORKER, &[answered], now()).await.unwrap();
        leases::accept(db, WORKER, &[taken[1].of.clone()]).await.unwrap();
        leases::mark(db, WORKER, &next[1..2], now()).await.unwrap();

        let ledger = deliveries::ledger(db, campaign.id, None, 100).await.unwrap();
        let of = |id| ledger.iter().find(|line| line.delivery == id).cloned().unwrap();
        for (one, other) in [(taken[0].of.id, taken[1].of.id), (next[0].id, next[1].id)] {
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
    let db =
        engines.each().into_iter().find(|(_, db)| db.get_database_backend() == DatabaseBackend::Postgres).unwrap().1;
    let (_, _, next) = under_way(db).await;
    let tx = db.begin().await.unwrap();
    leases::mark(&tx, WORKER, &next, now()).await.unwrap();
    let in_place = "SELECT pg_stat_get_xact_tuples_hot_updated('deliveries'::regclass)";
    let in_place = Statement::from_string(DatabaseBackend::Postgres, in_place);
    let in_place = tx.query_one_raw(in_place).await.unwrap().unwrap().try_get_by_index::<i64>(0).unwrap();
    assert_eq!(in_place, 4, "of four marks");
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
        assert_eq!(leases::mark(db, WORKER, &next, now()).await.unwrap().len(), 4, "{engine}");
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

    assert_eq!(leases::mark(&db, WORKER, &next, now()).await.unwrap().len(), 4);
    let tries: Vec<Try> = taken.into_iter().map(|taken| taken.of).collect();
    assert_eq!(leases::accept(&db, WORKER, &tries).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_commit_is_durable_also_where_the_role_is_set_up_otherwise() {
    let server = postgres::Server::start();
    server.run("ALTER ROLE rebound SET synchronous_commit = off");
    let is_set = |url: &str| postgres::ask(url, "SHOW synchronous_commit").trim().to_owned();
    assert_eq!(is_set(&server.url()), "off", "whoever asks for nothing");
    let db = rebound_db::connect(&server.url()).await.unwrap();
    let row = db.query_one_raw(Statement::from_string(DatabaseBackend::Postgres, "SHOW synchronous_commit"));
    assert_eq!(row.await.unwrap().unwrap().try_get::<String>("", "synchronous_commit").unwrap(), "on");
}

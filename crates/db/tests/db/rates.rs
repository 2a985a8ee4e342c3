//! A rate that several keep together.

use crate::engines;
use rebound_db::{rates, workers};
use rebound_domain::Part;
use sea_orm::ConnectionTrait;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

#[tokio::test]
async fn together_they_take_no_more_than_the_rate() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let (start, gap) = (Instant::now(), Duration::from_millis(2));
        let takers = (0..8u32).map(|taker| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut last = Duration::ZERO;
                for _ in 0..10 {
                    let wait = rates::take(&db, "relay", 5 + taker, gap).await.unwrap();
                    last = last.max(start.elapsed() + wait + gap * (5 + taker));
                }
                last
            })
        });
        let mut last = Duration::ZERO;
        for taker in takers.collect::<Vec<_>>() {
            last = last.max(taker.await.unwrap());
        }
        // 8 takers, 10 times 5 to 12 places: 680 places of 2 ms, one behind the other.
        let all = gap * 680;
        assert!(last >= all, "{engine}: {last:?} is too soon");
        assert!(last <= all + Duration::from_secs(5) + start.elapsed(), "{engine}: {last:?} is too late");
    }
}

/// One to eight of them, who come and go: over any ten seconds no more places begin than the rate has.
#[tokio::test]
async fn however_many_come_and_go_no_ten_seconds_have_more_than_the_rate() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        // A hundredth of the time, at a hundred times the rate.
        let (begun, gap, window) = (Instant::now(), Duration::from_micros(100), Duration::from_millis(100));
        let takes = Arc::new(AtomicUsize::new(0));
        let takers = (0..8u64).map(|taker| {
            let (db, takes) = (db.clone(), Arc::clone(&takes));
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(taker * 60)).await;
                let mut taken = Vec::new();
                while begun.elapsed() < Duration::from_millis(1_500 - taker * 60) || takes.load(SeqCst) <= 100 {
                    takes.fetch_add(1, SeqCst);
                    let asked = begun.elapsed();
                    let wait = rates::take(&db, "relay", 50, gap).await.unwrap();
                    // By the database's clock they begin between these two.
                    taken.push((asked + wait, begun.elapsed() + wait));
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                taken
            })
        });
        let mut taken: Vec<(Duration, Duration)> = Vec::new();
        for taker in takers.collect::<Vec<_>>() {
            taken.extend(taker.await.unwrap());
        }
        taken.sort();
        // Those that are within the window for sure: fifty places each, one behind the other.
        for (place, (earliest, _)) in taken.iter().enumerate() {
            let end = *earliest + window;
            let within = taken[place..].iter().filter(|(_, latest)| *latest + gap * 50 <= end).count();
            assert!(within <= 20, "{engine}: {within} times fifty places in {window:?}");
        }
    }
}

#[tokio::test]
async fn places_that_nobody_took_are_gone() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let gap = Duration::from_millis(1);
        rates::take(db, "relay", 1, gap).await.unwrap();
        let a_day = "UPDATE rates SET next = next - 86400000000";
        db.execute_unprepared(a_day).await.unwrap();
        let asked = Instant::now();
        rates::take(db, "relay", 60_000, gap).await.unwrap();
        let wait = rates::take(db, "relay", 1, gap).await.unwrap() + asked.elapsed();
        assert!(wait > Duration::from_millis(59_900), "{engine}: the day before is not made up for: {wait:?}");
    }
}

#[tokio::test]
async fn a_clock_that_was_put_back_does_not_stop_a_rate() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let gap = Duration::from_millis(1);
        rates::take(db, "relay", 1, gap).await.unwrap();
        let a_day = "UPDATE rates SET next = next + 86400000000";
        db.execute_unprepared(a_day).await.unwrap();
        let wait = rates::take(db, "relay", 1, gap).await.unwrap();
        assert!(wait < Duration::from_secs(1), "{engine}: {wait:?}");
        // What others have taken lately still stands.
        rates::take(db, "relay", 60_000, gap).await.unwrap();
        let wait = rates::take(db, "relay", 1, gap).await.unwrap();
        assert!(wait > Duration::from_secs(50), "{engine}: {wait:?}");
    }
}

#[tokio::test]
async fn each_worker_that_can_send_knows_which_one_it_is() {
    let engines = engines().await;
    let url = engines.url.clone();
    for (engine, db) in engines.each() {
        let sign_on = async |name: &str| workers::sign_on(db, &url, name).await.unwrap();
        let all = [sign_on("one").await, sign_on("two").await, sign_on("three").await];
        for one in &all {
            workers::note_can_send(db, one.id, true).await.unwrap();
        }
        let part = async |nth: usize| workers::part(db, all[nth].id).await.unwrap();
        assert_eq!(part(0).await, Part { nth: 0, of: 3 }, "{engine}");
        assert_eq!(part(2).await, Part { nth: 2, of: 3 }, "{engine}");
        workers::note_can_send(db, all[0].id, false).await.unwrap();
        assert_eq!(part(2).await, Part { nth: 1, of: 2 }, "{engine}");
        for one in &all[..2] {
            workers::sign_off(db, one).await.unwrap();
        }
        assert_eq!(part(2).await, Part::WHOLE, "{engine}");
    }
}

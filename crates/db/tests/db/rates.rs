//! A rate that several keep together.

use crate::engines;
use rebound_db::rates;
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

#[tokio::test]
async fn places_that_nobody_took_are_gone() {
    let engines = engines().await;
    for (engine, db) in engines.each() {
        let gap = Duration::from_millis(1);
        rates::take(db, "relay", 1, gap).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        rates::take(db, "relay", 100, gap).await.unwrap();
        let wait = rates::take(db, "relay", 1, gap).await.unwrap();
        assert!(wait > Duration::ZERO, "{engine}: the 200 that could have gone before are not made up for");
    }
}

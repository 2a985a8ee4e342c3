//! The clock is moved an hour forward and back again between two starts.

use crate::crash::nobody_is_lost_or_bothered;
use crate::engine::{Engine, on_both_engines};
use crate::world::{World, people, until};
use chrono::{DateTime, TimeDelta, Utc};
use rebound_sandbox::{Event, Settings};
use std::collections::BTreeMap;

on_both_engines! {
    a_clock_that_is_moved_an_hour_and_back_loses_nobody,
}

const PEOPLE: usize = 400;
/// Time in these stories passes so many times as fast.
const FASTER: f64 = 60.0;

async fn a_clock_that_is_moved_an_hour_and_back_loses_nobody(engine: Engine) {
    let begun = Utc::now();
    let hosts = Settings { faster: FASTER, ..Settings::default() };
    let mut world = World::asleep(engine.database(), hosts, "per_second = 40\nconnections = 4").await;
    world.set_clock(begun, FASTER);
    world.serve().await;
    world.import(&people(PEOPLE, &["later@greylist.test", "full@full.test"])).await;
    let browser = world.browser().await;

    // An hour ahead: the campaign is launched there.
    restart_at(&mut world, begun, TimeDelta::hours(1)).await;
    world.launch("Spring").await;
    until("the first letters", async || (world.sandbox.accepted() > 50).then_some(())).await;
    // And back: what was due then is due now; nothing waits for the hour to pass.
    restart_at(&mut world, begun, TimeDelta::zero()).await;

    let overview = browser.text("/").await;
    assert!(overview.contains("The clock was put back"), "{overview}");
    let doctor = world.run(&["doctor"]).await;
    assert!(!doctor.well && doctor.out.contains("WRONG clock"), "{}{}", doctor.out, doctor.err);
    assert!(world.log().contains("the clock was put back"), "{}", world.log());
    world.reaches("Spring", "sent").await;
    let truth = world.truth();
    let ledger = world.ledger("Spring").await;
    assert!(ledger.values().all(|line| line.in_doubt == 0), "an orderly stop puts nothing in doubt");
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for line in truth.iter().filter(|line| !matches!(line.event, Event::Accepted | Event::TurnedAway)) {
        *refused.entry(line.recipient.clone()).or_default() += 1;
    }
    assert!(refused.values().all(|tries| *tries <= 3), "no storm of tries: {refused:?}");
    nobody_is_lost_or_bothered(ledger.into_values(), &truth, PEOPLE + 2);
}

/// Stops, and starts with a clock that is `ahead` of the right one.
async fn restart_at(world: &mut World, begun: DateTime<Utc>, ahead: TimeDelta) {
    world.stop().await;
    // Where the time begins to run faster: the earlier, the further it has come.
    let lead = TimeDelta::milliseconds((ahead.as_seconds_f64() * 1000.0 / (FASTER - 1.0)) as i64);
    world.set_clock(begun - lead, FASTER);
    world.serve().await;
}

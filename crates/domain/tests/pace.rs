//! The pace of sending, against twelve receivers on a simulated clock. `cargo run --release -p rebound-domain --example
//! pace` prints the figures; it counts a million histories where this counts some thousands.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "counts and seconds of a simulation are small"
)]

#[path = "pace/goals.rs"]
mod goals;
#[path = "pace/histories.rs"]
mod histories;
#[path = "pace/receivers.rs"]
mod receivers;
#[path = "pace/shares.rs"]
mod shares;
#[path = "pace/world.rs"]
mod world;

/// Histories that are counted: `REBOUND_HISTORIES`, or some thousands.
fn histories() -> u64 {
    std::env::var("REBOUND_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000)
}

#[test]
fn every_retry_is_planned_within_its_causes_window() {
    let (planned, wrong) = histories::schedule_violations(histories());
    assert!(planned > histories(), "{planned}");
    assert_eq!(wrong, 0);
}

#[test]
fn greylisted_mail_arrives_on_the_second_or_third_try() {
    for (delay, soon, median) in goals::greylisting() {
        assert!(soon >= 99.9 && median <= 1.2, "{delay} s: {soon} % on try 2 or 3, median {median} × the delay");
    }
}

#[test]
fn what_a_receiver_allows_is_used_and_little_is_refused() {
    for goals::Outcome { receiver, used_percent, refused_percent } in goals::throughput() {
        assert!(used_percent >= 85.0 && refused_percent <= 1.0, "{receiver}: {used_percent} %, {refused_percent} %");
        assert!(used_percent <= 100.5, "{receiver}: {used_percent} % is more than it allows");
    }
}

#[test]
fn a_lifted_limit_is_found_within_two_minutes() {
    for (from, to, seconds) in goals::recoveries() {
        assert!(seconds <= 120, "{seconds} s from {from}/s to {to}/s");
    }
}

#[test]
fn what_gathered_in_an_outage_does_not_come_as_a_storm() {
    let outage = goals::outage(5.0);
    assert!(outage.queued > 100_000, "{}", outage.queued);
    assert!(outage.peak_minute <= 1.2 * outage.normal, "{} after {}", outage.peak_minute, outage.normal);
    assert!(outage.peak_second <= 3.0 * outage.mean, "{} on {}", outage.peak_second, outage.mean);
    assert!(outage.drained_hours < 12.0);
    // 5–10, 10–20, 20–40, 40–80, 80–160, then 120–240 minutes: at most eight in six hours, at least three.
    assert!((3..=8).contains(&outage.attempts), "{} attempts at a dead host", outage.attempts);
}

#[test]
fn a_troubled_receiver_costs_the_others_nothing() {
    let (beside_dead, beside_tarpit) = goals::neighbours();
    assert!(beside_dead >= 98.0 && beside_tarpit >= 98.0, "{beside_dead} %, {beside_tarpit} %");
}

#[test]
fn mail_that_becomes_deliverable_arrives() {
    let [ours, three, as_many] = histories::rescued(5_000);
    assert!(ours >= 95.0 && ours - three >= 20.0 && ours - as_many >= 20.0, "{ours}, {three}, {as_many}");
}

#[test]
fn no_healthy_address_is_suppressed_by_our_own_faults() {
    assert_eq!(histories::wrongly_suppressed(histories() / 4), 0);
}

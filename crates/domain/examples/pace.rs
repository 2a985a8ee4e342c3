//! The figures of the goals for the pace of sending, as a table.
//!
//! `cargo run --release -p rebound-domain --example pace`; `REBOUND_HISTORIES` says how many histories, a million
//! otherwise.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example prints, and may stop")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "counts and seconds of a simulation are small"
)]

#[path = "../tests/pace/goals.rs"]
mod goals;
#[path = "../tests/pace/histories.rs"]
mod histories;
#[path = "../tests/pace/receivers.rs"]
mod receivers;
#[path = "../tests/pace/world.rs"]
mod world;

fn main() {
    let histories = std::env::var("REBOUND_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    println!("| Receiver | used of what it allows | refused for the rate |\n| --- | --- | --- |");
    for goals::Outcome { receiver, used_percent, refused_percent } in goals::throughput() {
        println!("| {receiver} | {used_percent:.1} % | {refused_percent:.2} % |");
    }
    println!();
    for (from, to, seconds) in goals::recoveries() {
        println!("limit lifted from {from}/s to {to}/s: four fifths of it used after {seconds} s");
    }
    for (delay, soon, median) in goals::greylisting() {
        println!("greylist of {delay} s: {soon:.2} % on try 2 or 3, median {median:.2} × the delay");
    }
    let outage = goals::outage(23.2);
    println!(
        "outage of 6 h, {} queued: normal {}/s, fastest minute {:.1}/s, fastest second {}, mean {:.1}/s, {} attempts \
         meanwhile, drained in {:.1} h",
        outage.queued,
        outage.normal,
        outage.peak_minute,
        outage.peak_second,
        outage.mean,
        outage.attempts,
        outage.drained_hours
    );
    let (dead, tarpit) = goals::neighbours();
    println!("throughput of a healthy receiver beside a dead one: {dead:.2} %, beside a tarpit: {tarpit:.2} %");
    let [ours, three, as_many] = histories::rescued(200_000);
    println!(
        "deliverable within 72 h and delivered: {ours:.2} %; three retries 30 min apart {three:.2} %; as many as ours \
         30 min apart {as_many:.2} %"
    );
    let (planned, wrong) = histories::schedule_violations(histories);
    println!("{histories} histories: {planned} retries planned, {wrong} outside their window");
    println!("{histories} addresses: {} healthy ones suppressed", histories::wrongly_suppressed(histories));
}

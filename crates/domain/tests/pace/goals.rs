//! The goals for the pace of sending, each with the figures that a simulation comes to.

use crate::receivers::{Receiver, Tokens, of_day, of_schedule};
use crate::world::{Figures, Side, Supply, World};

/// More than can be taken.
const PLENTY: Supply = Supply { per_second: 400.0, until: f64::INFINITY };

/// Connections that all receivers share.
const POOL: u32 = 200;

/// What came of one receiver: how much of what it allows was used, and how much it refused for the rate.
pub(crate) struct Outcome {
    pub(crate) receiver: &'static str,
    pub(crate) used_percent: f64,
    pub(crate) refused_percent: f64,
}

fn flow(per_second: f64) -> Supply {
    Supply { per_second, until: f64::INFINITY }
}

fn alone(receiver: Receiver, supply: Supply, seconds: f64) -> Side {
    World::new(POOL, 7).with("orchard.example", receiver, supply).run(seconds).remove(0)
}

fn outcome(receiver: &'static str, figures: &Figures, allowed: f64) -> Outcome {
    let taken = figures.taken.iter().map(|count| f64::from(*count)).sum::<f64>();
    Outcome { receiver, used_percent: taken * 100.0 / allowed, refused_percent: figures.refused_percent() }
}

/// The times at which a hidden limit changes, and to how many messages per second.
pub(crate) fn schedule() -> Vec<(f64, f64)> {
    let rates = [20.0, 5.0, 40.0, 10.0, 60.0, 8.0, 30.0];
    rates.iter().enumerate().map(|(place, rate)| (place as f64 * 900.0, *rate)).collect()
}

/// Ten of the twelve: the share of what each allows, and what it refused for the rate.
pub(crate) fn throughput() -> Vec<Outcome> {
    let hours = |count: f64| count * 3600.0;
    let fixed = alone(Receiver::Fixed(Tokens::new(20.0, 20.0)), PLENTY, hours(1.0));
    let changing = changing();
    let allowed = (0..6_300).map(|second| of_schedule(&schedule(), f64::from(second))).sum();
    let hourly = alone(Receiver::Hourly { quota: 10_000, hour: 0, taken: 0 }, PLENTY, hours(6.0));
    let capped = alone(Receiver::PerConnection(30), flow(10.0), hours(1.0));
    let bursts = alone(Receiver::Bursts(Tokens::new(10.0, 2_000.0)), PLENTY, hours(2.0));
    let diurnal = alone(Receiver::Diurnal(Tokens::new(2.5, 5.0)), PLENTY, hours(24.0));
    let of_a_day = (0..86_400).map(|second| of_day(2.5, f64::from(second))).sum();
    let flaky = alone(Receiver::Flaky(0.05), flow(10.0), hours(2.0));
    let storms = alone(Receiver::Storms, flow(4.0), hours(8.0));
    let connections = alone(Receiver::Connections(4), PLENTY, hours(0.5));
    let (tarpit, _) = beside(Receiver::Tarpit(20.0), 0.5, hours(2.0));
    vec![
        outcome("fixed limit, 20/s", &fixed.figures, 20.0 * hours(1.0)),
        outcome("hidden limit that changes, 5–60/s", &changing.figures, allowed),
        outcome("hourly quota, 10,000/h", &hourly.figures, 60_000.0),
        outcome("30 messages per connection", &capped.figures, 10.0 * hours(1.0)),
        outcome("burst-tolerant, 10/s and 2,000 at once", &bursts.figures, 10.0 * hours(2.0) + 2_000.0),
        outcome("diurnal, 0.5–4.5/s", &diurnal.figures, of_a_day),
        outcome("tarpit, 20 s per message", &tarpit.figures, 0.5 * hours(2.0)),
        outcome("flaky, 5 % of connections lost", &flaky.figures, 10.0 * hours(2.0)),
        outcome("421 storms, 10 min of every 2 h", &storms.figures, 4.0 * hours(8.0)),
        outcome("4 connections at a time", &connections.figures, 40.0 * hours(0.5)),
    ]
}

fn changing() -> Side {
    alone(Receiver::Changing(Tokens::new(20.0, 10.0), schedule()), PLENTY, 6_300.0)
}

/// Seconds from each lifting of the hidden limit until four fifths of the new one are used, over ten seconds.
pub(crate) fn recoveries() -> Vec<(f64, f64, usize)> {
    let taken = changing().figures;
    let schedule = schedule();
    let raised = schedule.windows(2).filter(|pair| pair[1].1 > pair[0].1);
    raised
        .map(|pair| {
            let (from, rate) = (pair[1].0 as usize, pair[1].1);
            let is_used = |after: &usize| taken.taken_in(from + after, from + after + 10) as f64 >= 0.8 * rate * 10.0;
            (pair[0].1, rate, (0..900).find(is_used).map_or(usize::MAX, |after| after + 10))
        })
        .collect()
}

/// One greylist: its delay, the share taken on try 2 or 3, and the median wait as a multiple of the delay.
pub(crate) fn greylisting() -> Vec<(f64, f64, f64)> {
    [60.0, 300.0, 600.0, 1_500.0]
        .into_iter()
        .map(|delay| {
            let receiver = Receiver::Greylist(delay, std::collections::HashMap::new());
            let supply = Supply { per_second: 0.5, until: 20_000.0 };
            let side = alone(receiver, supply, 40_000.0);
            assert_eq!(side.left(40_000.0), 0, "all were taken");
            let mut delays = side.figures.delays;
            let soon = delays.iter().filter(|(_, tries)| (2..=3).contains(tries)).count() as f64;
            delays.sort_by(|one, other| one.0.total_cmp(&other.0));
            (delay, soon * 100.0 / delays.len() as f64, delays[delays.len() / 2].0 / delay)
        })
        .collect()
}

/// An outage: what was normal before, the fastest minute and the fastest second after it, and the mean of the drain.
pub(crate) struct Outage {
    pub(crate) queued: u64,
    pub(crate) normal: f64,
    pub(crate) peak_minute: f64,
    pub(crate) peak_second: f64,
    pub(crate) mean: f64,
    /// Attempts while it was dead, after the breaker had opened, and the probes that the waits allow.
    pub(crate) attempts: u64,
    pub(crate) drained_hours: f64,
}

/// Six hours without an answer.
pub(crate) fn outage(normal: f64) -> Outage {
    let (from, to) = (3_600.0, 3_600.0 + 6.0 * 3_600.0);
    let supply = Supply { per_second: normal, until: to };
    let end = to + 12.0 * 3_600.0;
    let side = alone(Receiver::Dead(from, to), supply, end);
    assert_eq!(side.left(end), 0, "all were taken in the end");
    let figures = side.figures;
    let after = &figures.taken[to as usize..];
    let first = after.iter().position(|count| *count > 0).unwrap();
    let drain = &after[first..];
    let queued: u64 = drain.iter().map(|count| u64::from(*count)).sum();
    let minute = drain.windows(60).map(|minute| minute.iter().sum::<u32>()).max().unwrap();
    // The first failures are known when the first connection has timed out; what went until then is no probe.
    let attempts = figures.asked[(from + 60.0) as usize..to as usize].iter().map(|count| u64::from(*count)).sum();
    Outage {
        queued,
        normal,
        peak_minute: f64::from(minute) / 60.0,
        peak_second: f64::from(*drain.iter().max().unwrap()),
        mean: queued as f64 / drain.len() as f64,
        attempts,
        drained_hours: drain.len() as f64 / 3_600.0,
    }
}

/// A troubled receiver beside a healthy one behind the same 64 connections: both.
pub(crate) fn beside(troubled: Receiver, per_second: f64, seconds: f64) -> (Side, Side) {
    let healthy = Receiver::Fixed(Tokens::new(1_000.0, 1_000.0));
    let world = World::new(64, 7).with("tarpit.example", troubled, flow(per_second)).with(
        "orchard.example",
        healthy,
        flow(20.0),
    );
    let mut sides = world.run(seconds);
    let other = sides.remove(1);
    (sides.remove(0), other)
}

/// The share of its throughput that a healthy receiver keeps beside a dead one, and beside a tarpit.
pub(crate) fn neighbours() -> (f64, f64) {
    let share = |(_, healthy): (Side, Side)| {
        healthy.figures.taken.iter().map(|count| f64::from(*count)).sum::<f64>() * 100.0 / (20.0 * 3_600.0)
    };
    let dead = beside(Receiver::Dead(0.0, f64::INFINITY), 5.0, 3_600.0);
    let tarpit = beside(Receiver::Tarpit(20.0), 50.0, 3_600.0);
    (share(dead), share(tarpit))
}

//! A hundredth of the simulated year, sent by the program itself.
//!
//! `cargo run -p rebound-domain --example pace` runs twelve receivers on a simulated clock, in memory. Here the same
//! receivers answer over sockets, and the whole program writes to them, its clock sped up; the simulation then runs
//! with the very waves of mail that were launched, and the two are laid side by side.
//!
//! It is a measurement, of six hours' mail in some minutes: `make pace-sample`.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "counts and seconds of a simulation are small"
)]

mod hosts;
#[path = "../../crates/domain/tests/pace/receivers.rs"]
mod receivers;
mod side_by_side;
#[allow(dead_code, reason = "the goals use the rest of it")]
#[path = "../../crates/domain/tests/pace/world.rs"]
mod simulation;

use crate::engine::Engine;
use crate::world::World;
use chrono::{DateTime, Utc};
use hosts::{Heard, Host, Seen};
use rebound_sandbox::Settings;
use receivers::{Receiver, Tokens};
use side_by_side::Outcome;
use simulation::{Chance, Side, Wave, World as Simulation};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Lines to the relay.
const CONNECTIONS: u32 = 16;

/// Messages that may be under way at a time with so many: taken ahead, made ready, and on the lines.
const PLACES: u32 = 128;

/// So often the simulation is run.
const SEEDS: u64 = 20;

/// No host takes less for a message, in its own seconds: so long takes what a socket and a commit take in ours.
const LEAST: f64 = 5.0;

/// How much is sent: waves of mail, so many seconds apart, and how long after the first all is looked at.
#[derive(Clone, Copy)]
struct Size {
    waves: u32,
    apart: f64,
    until: f64,
    /// From when to when the dead host is dead.
    dead: (f64, f64),
    /// Seconds of the hosts and of the program in one of ours.
    faster: f64,
}

const SIZE: Size = Size { waves: 12, apart: 1_800.0, until: 7.0 * 3_600.0, dead: (1_700.0, 9_100.0), faster: 120.0 };

/// One of the twelve, its limit a hundredth of the year's, and its mail in one wave.
struct Sample {
    name: &'static str,
    label: &'static str,
    per_wave: u64,
    make: fn(Size) -> Receiver,
}

/// Where the year has an hour of a limit of 20 a second, here is an hour of 0.2.
const SAMPLES: [Sample; 13] = [
    Sample {
        name: "fixed limit, 0.2/s",
        label: "alder",
        per_wave: 60,
        make: |_| Receiver::Fixed(Tokens::new(0.2, 2.0)),
    },
    Sample {
        name: "hidden limit that changes, 0.05–0.6/s",
        label: "bracken",
        per_wave: 125,
        make: |_| Receiver::Changing(Tokens::new(0.2, 2.0), schedule()),
    },
    Sample {
        name: "hourly quota, 100/h",
        label: "cypress",
        per_wave: 45,
        make: |_| Receiver::Hourly { quota: 100, hour: 0, taken: 0 },
    },
    Sample { name: "30 messages per connection", label: "dahlia", per_wave: 30, make: |_| Receiver::PerConnection(30) },
    Sample {
        name: "burst-tolerant, 0.1/s and 20 at once",
        label: "eider",
        per_wave: 62,
        make: |_| Receiver::Bursts(Tokens::new(0.1, 20.0)),
    },
    Sample {
        name: "diurnal, 0.005–0.045/s",
        label: "ferrous",
        per_wave: 45,
        make: |_| Receiver::Diurnal(Tokens::new(0.025, 2.0)),
    },
    Sample { name: "tarpit, 20 s per message", label: "gorse", per_wave: 3, make: |_| Receiver::Tarpit(20.0) },
    Sample {
        name: "greylist, 300 s",
        label: "heather",
        per_wave: 16,
        make: |_| Receiver::Greylist(300.0, HashMap::new()),
    },
    Sample {
        name: "greylist, 1,500 s",
        label: "ivory",
        per_wave: 16,
        make: |_| Receiver::Greylist(1_500.0, HashMap::new()),
    },
    Sample { name: "flaky, 5 % of connections lost", label: "jackdaw", per_wave: 60, make: |_| Receiver::Flaky(0.05) },
    Sample { name: "421 storms, 10 min of every 2 h", label: "kindle", per_wave: 96, make: |_| Receiver::Storms },
    Sample { name: "4 connections at a time", label: "laurel", per_wave: 60, make: |_| Receiver::Connections(4) },
    Sample {
        name: "dead for a while",
        label: "merlin",
        per_wave: 400,
        make: |size| Receiver::Dead(size.dead.0, size.dead.1),
    },
];

fn schedule() -> Vec<(f64, f64)> {
    let rates = [0.2, 0.05, 0.4, 0.1, 0.6, 0.08, 0.3];
    rates.iter().enumerate().map(|(place, rate)| (place as f64 * 900.0, *rate)).collect()
}

impl Sample {
    fn receiver(&self, size: Size) -> Receiver {
        Receiver::Slower(LEAST, Box::new((self.make)(size)))
    }

    fn domain(&self) -> String {
        format!("{}.sandbox.test", self.label)
    }
}

// At many times the speed a few milliseconds are a second: beside other tests it measures them and not the program.
#[ignore = "a measurement that wants the machine to itself: make pace-sample"]
#[tokio::test]
async fn what_the_program_does_is_what_the_simulation_says() {
    let Sent { begins, every, outcomes: sent } = send(SIZE).await;
    // What is left to chance, such as how long a rest is, is tried out.
    let simulated: Vec<_> = (0..SEEDS).map(|seed| simulate(SIZE, (&begins, every), seed)).collect();
    eprintln!("{every:.3} s of the program's time from message to message\n");
    let names = SAMPLES.map(|sample| sample.name);
    let wrong = side_by_side::compare(&names, &sent, &simulated, side_by_side::MAY);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The waves of one receiver's mail, given when each began.
fn waves(sample: &Sample, begins: &[f64]) -> Vec<Wave> {
    begins.iter().map(|at| (*at, sample.per_wave)).collect()
}

/// What the program did.
struct Sent {
    /// When each wave began.
    begins: Vec<f64>,
    /// Seconds from one message to the next where it was fastest.
    every: f64,
    outcomes: Vec<Outcome>,
}

/// Has the program send it all.
async fn send(size: Size) -> Sent {
    let hosts = Settings { faster: size.faster, ..Settings::default() };
    let relay = format!("connections = {CONNECTIONS}");
    let mut world = World::forgetful(Engine::Sqlite.database(), hosts, &relay).await;
    world.serve().await;
    for wave in 0..size.waves {
        let list = format!("Wave {wave}");
        world.import_to(&list, &people(wave)).await;
        world.create_to(&list, &list).await;
    }
    let (begun, real) = (Utc::now(), Instant::now());
    let seen: Vec<Seen> = SAMPLES.iter().map(|sample| host(&world, sample, size, begun)).collect();
    for wave in 0..size.waves {
        tokio::time::sleep_until(real + Duration::from_secs_f64(f64::from(wave) * size.apart / size.faster)).await;
        world.rebound(&["campaign", "launch", &format!("Wave {wave}")]).await;
    }
    tokio::time::sleep_until(real + Duration::from_secs_f64(size.until / size.faster)).await;
    let seen: Vec<Vec<Heard>> = seen.iter().map(|seen| seen.lock().unwrap().clone()).collect();
    assert!(!world.log().contains("panicked"), "{}", world.log());
    let first = |wave| seen.iter().flatten().filter(move |heard| heard.wave == wave).map(|heard| heard.at);
    let begins: Vec<f64> = (0..size.waves).map(|wave| first(wave).fold(f64::INFINITY, f64::min) - LEAST).collect();
    let outcomes = SAMPLES.iter().zip(&seen).map(|(sample, seen)| outcome(&waves(sample, &begins), size, seen));
    Sent { outcomes: outcomes.collect(), every: fastest(&seen), begins }
}

/// Seconds from one message to the next in the fastest minute, over all hosts.
fn fastest(seen: &[Vec<Heard>]) -> f64 {
    let mut minutes: HashMap<i64, u32> = HashMap::new();
    seen.iter().flatten().for_each(|heard| *minutes.entry((heard.at / 60.0) as i64).or_default() += 1);
    60.0 / f64::from(minutes.into_values().max().unwrap_or(1))
}

fn people(wave: u32) -> String {
    let of = |sample: &Sample| {
        let domain = sample.domain();
        (0..sample.per_wave).map(move |number| hosts::address(wave, number, &domain)).collect::<Vec<_>>()
    };
    format!("email\n{}\n", SAMPLES.iter().flat_map(of).collect::<Vec<_>>().join("\n"))
}

fn host(world: &World, sample: &Sample, size: Size, begun: DateTime<Utc>) -> Seen {
    let seen = Seen::default();
    let host = Host {
        receiver: sample.receiver(size),
        begun,
        faster: size.faster,
        chance: Chance(11),
        sessions: HashMap::new(),
        seen: Arc::clone(&seen),
    };
    world.sandbox.set_model(&sample.domain(), host);
    seen
}

fn outcome(waves: &[Wave], size: Size, seen: &[Heard]) -> Outcome {
    let seen = || seen.iter().filter(|heard| heard.at < size.until);
    let arrivals: Vec<f64> = seen().filter(|heard| heard.was_taken).map(|heard| heard.at).collect();
    let first = seen().map(|heard| heard.id).collect::<HashSet<_>>().len() as u64;
    let refused = seen().filter(|heard| heard.is_too_fast).count() as u64;
    Outcome::of(waves, size.until, &arrivals, (seen().count() as u64, first, refused))
}

/// Has the simulation send the same waves, as fast as the program was at best.
fn simulate(size: Size, (begins, every): (&[f64], f64), seed: u64) -> Vec<Outcome> {
    let world = Simulation::new(CONNECTIONS, seed).with_engine(every);
    let world = SAMPLES.iter().fold(world, |world, sample| {
        world.behind_relay(&sample.domain(), PLACES, sample.receiver(size), waves(sample, begins))
    });
    let outcome = |(sample, side): (&Sample, &Side)| {
        let figures = &side.figures;
        let at = figures.taken.iter().enumerate();
        let arrivals: Vec<f64> =
            at.flat_map(|(second, count)| vec![second as f64; usize::try_from(*count).unwrap()]).collect();
        Outcome::of(&waves(sample, begins), size.until, &arrivals, (figures.tried, side.went, figures.refused))
    };
    SAMPLES.iter().zip(&world.run(size.until)).map(outcome).collect()
}

//! Campaigns that wait for places of one lane: how many of them each gets, and how long a small one waits behind large ones.

use crate::world::Chance;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_domain::{Asker, BounceCause, CampaignId, Lane, Notice, Pass, Receiver, Slowed, Turn};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// So much mail of one campaign, all of it due at once.
struct Crowd {
    campaign: i64,
    from: f64,
    messages: u32,
    turn: Turn,
}

/// How often the program looks whose time has come.
const LOOK: f64 = 0.5;

/// How many of a campaign it takes at a time.
const BATCH: usize = 200;

fn time(seconds: f64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::milliseconds((seconds * 1000.0) as i64)
}

fn seconds(at: DateTime<Utc>) -> f64 {
    (at - time(0.0)).num_milliseconds() as f64 / 1000.0
}

/// A lane on which a receiver has set a limit.
fn held(slowed: Slowed) -> Lane {
    let mut lane = Lane::behind_relay(&Receiver::of_domain("orchard.example"), 1_000);
    let (why, words) = ("it takes no more".to_owned(), "451 slow down".to_owned());
    let notice = Notice { slowed, until: time(1e7), why, cause: BounceCause::RateLimited, words };
    lane.remember(notice, time(0.0));
    lane
}

/// When the messages of each crowd were taken, in seconds, by a receiver that answers each after `takes` seconds. Those of
/// the first ask first, whenever several may: no order is worse for the others.
fn taken_of(mut lane: Lane, crowds: &[Crowd], takes: f64, until: f64) -> Vec<Vec<f64>> {
    let mut chance = Chance(11);
    let mut waiting: Vec<BinaryHeap<Reverse<i64>>> = crowds
        .iter()
        .map(|crowd| (0..crowd.messages).map(|_| Reverse((crowd.from * 1000.0) as i64)).collect())
        .collect();
    let mut taken = vec![Vec::new(); crowds.len()];
    let mut under_way: BinaryHeap<Reverse<i64>> = BinaryHeap::new();
    let mut now = 0.0;
    while now < until && (waiting.iter().any(|waiting| !waiting.is_empty())) {
        let due =
            |heap: &mut BinaryHeap<Reverse<i64>>| heap.peek().is_some_and(|Reverse(at)| *at as f64 <= now * 1000.0);
        while due(&mut under_way) {
            under_way.pop();
            lane.answered(time(now));
        }
        for (place, crowd) in crowds.iter().enumerate() {
            let campaign = if crowd.campaign > 0 { crowd.campaign } else { place as i64 + 1 };
            let asker = Asker { campaign: CampaignId(campaign), turn: crowd.turn };
            for _ in 0..BATCH {
                if !due(&mut waiting[place]) {
                    break;
                }
                waiting[place].pop();
                if lane.pass(asker, time(now)) == Pass::Go {
                    taken[place].push(now);
                    under_way.push(Reverse(((now + takes) * 1000.0) as i64));
                } else {
                    let again = lane.queue(asker, chance.share(), time(now));
                    waiting[place].push(Reverse((seconds(again) * 1000.0) as i64));
                }
            }
        }
        now += LOOK;
    }
    taken
}

/// How long after it came the last message of a crowd was taken.
fn wait_of(crowd: &Crowd, taken: &[f64]) -> f64 {
    assert_eq!(taken.len(), crowd.messages as usize, "all of it is taken");
    taken.last().unwrap() - crowd.from
}

fn first_tries(from: f64, messages: u32) -> Crowd {
    Crowd { campaign: 0, from, messages, turn: Turn::First }
}

fn second_tries(from: f64, messages: u32) -> Crowd {
    Crowd { campaign: 0, from, messages, turn: Turn::Again }
}

/// The part of the lane that was used until then.
fn used(per_second: f64, end: f64, taken: &[Vec<f64>]) -> f64 {
    taken.iter().flatten().filter(|at| **at < end).count() as f64 / (end * per_second)
}

fn limited(per_second: f64) -> Lane {
    held(Slowed::PerHour((per_second * 3600.0) as u32))
}

#[test]
fn a_small_campaign_has_half_of_a_slowed_lane_beside_a_large_one() {
    for (per_second, small) in [(10.0_f64, 100), (100.0, 1_000), (1.0, 30), (1.0 / 6.0, 10)] {
        let crowds = [first_tries(0.0, 20_000), first_tries(60.0, small)];
        let taken = taken_of(limited(per_second), &crowds, 0.1, 600.0 / per_second.min(1.0));
        let waited = wait_of(&crowds[1], &taken[1]);
        let (fair, used) = (f64::from(small) / (per_second / 2.0), used(per_second, 60.0 + waited, &taken));
        assert!(waited <= fair * 1.2 + 5.0, "at {per_second}/s it waited {waited} s where {fair} are fair");
        assert!(used >= 0.95, "at {per_second}/s only {used} of the lane is used");
    }
}

#[test]
fn of_three_campaigns_each_has_a_third_and_nothing_is_lost_when_one_is_through() {
    let crowds = [first_tries(0.0, 20_000), first_tries(30.0, 2_000), first_tries(60.0, 100)];
    let taken = taken_of(limited(10.0), &crowds, 0.1, 600.0);
    let waited = wait_of(&crowds[2], &taken[2]);
    assert!(waited <= 38.0, "{waited} s where 30 are fair");
    let late = |taken: &[f64]| taken.iter().filter(|at| (200.0..380.0).contains(*at)).count() as f64;
    let (large, medium) = (late(&taken[0]), late(&taken[1]));
    assert!((0.9..1.1).contains(&(large / medium)), "{large} beside {medium}");
    assert!(large + medium >= 0.97 * 1_800.0, "{large} and {medium} of 1,800");
}

/// How many of each were taken in the last part of the time.
fn late(taken: &[Vec<f64>], from: f64) -> Vec<usize> {
    taken.iter().map(|taken| taken.iter().filter(|at| **at >= from).count()).collect()
}

#[test]
fn of_many_campaigns_none_starves() {
    for (per_second, campaigns, until) in [(1.0, 10, 900.0), (2.0, 10, 600.0), (0.1, 10, 3_600.0), (5.0, 80, 600.0)] {
        let crowds: Vec<Crowd> = (0..campaigns).map(|_| first_tries(0.0, 500)).collect();
        let taken = taken_of(limited(per_second), &crowds, 0.1, until);
        let late = late(&taken, until / 3.0);
        let fair = per_second * until * 2.0 / 3.0 / f64::from(campaigns);
        let (least, most) = (*late.iter().min().unwrap() as f64, *late.iter().max().unwrap() as f64);
        assert!(least >= fair * 0.8 - 1.0 && most <= fair * 1.2 + 1.0, "{least} to {most}, fair are {fair}: {late:?}");
    }
}

#[test]
fn many_campaigns_leave_few_connections_idle() {
    for (connections, takes, campaigns) in [(1, 0.5, 10), (1, 0.5, 4), (1, 2.0, 10), (2, 1.0, 20), (5, 0.5, 10)] {
        let crowds: Vec<Crowd> = (0..campaigns).map(|_| first_tries(0.0, 1_000)).collect();
        let taken = taken_of(held(Slowed::Connections(connections)), &crowds, takes, 600.0);
        let late = late(&taken, 200.0);
        let used = used(f64::from(connections) / takes, 600.0, &taken);
        let what = format!("{campaigns} over {connections} connections of {takes} s: {used:.2} used, {late:?}");
        let (least, most) = (*late.iter().min().unwrap() as f64, *late.iter().max().unwrap() as f64);
        assert!(used >= 0.85 && least >= most * 0.7 - 1.0, "{what}");
    }
}

#[test]
fn who_comes_back_is_owed_nothing() {
    let again = Crowd { campaign: 1, ..first_tries(55.0, 1_000) };
    let crowds =
        [Crowd { campaign: 1, ..first_tries(0.0, 20) }, Crowd { campaign: 2, ..first_tries(0.0, 3_000) }, again];
    let taken = taken_of(limited(10.0), &crowds, 0.1, 120.0);
    let between = |taken: &[f64]| taken.iter().filter(|at| (60.0..100.0).contains(*at)).count();
    let (back, other) = (between(&taken[2]), between(&taken[1]));
    assert!((150..=250).contains(&back) && (150..=250).contains(&other), "{back} beside {other} of 400");
}

#[test]
fn campaigns_share_what_is_left_for_second_tries() {
    let crowds = [first_tries(0.0, 20_000), second_tries(0.0, 5_000), second_tries(60.0, 40)];
    let taken = taken_of(limited(10.0), &crowds, 0.1, 400.0);
    let waited = wait_of(&crowds[2], &taken[2]);
    assert!(waited <= 60.0, "{waited} s where 40 are fair: half of a fifth of ten a second");
    let again = taken[1].len() + taken[2].len();
    assert!((640..=810).contains(&again), "{again} second tries of 4,000 messages");
    assert!(used(10.0, 400.0, &taken) >= 0.97);
}

#[test]
fn campaigns_share_connections_too() {
    for (connections, takes, small) in [(1, 0.5, 30), (5, 0.5, 100), (5, 10.0, 20), (20, 2.0, 200)] {
        let crowds = [first_tries(0.0, 20_000), first_tries(60.0, small)];
        let lane = held(Slowed::Connections(connections));
        let taken = taken_of(lane, &crowds, takes, 900.0);
        let (waited, per_second) = (wait_of(&crowds[1], &taken[1]), f64::from(connections) / takes);
        let (fair, used) = (f64::from(small) / (per_second / 2.0), used(per_second, 900.0, &taken));
        assert!(waited <= fair * 1.2 + 5.0, "{connections} × {takes} s: it waited {waited} s where {fair} are fair");
        assert!(used >= 0.97, "{connections} × {takes} s: only {used} of the connections are used");
    }
}

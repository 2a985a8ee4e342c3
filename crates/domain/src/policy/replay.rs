//! What another policy would have done with what happened.

use super::{Case, Fact, Policy, Reach, Standing, fold};
use crate::{Next, Refusal, Tries, next_try};
use chrono::{DateTime, Utc};

/// What happened to one address in the time that is replayed, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// What it is judged by, and when that happened.
    pub facts: Vec<(DateTime<Utc>, Fact)>,
    /// The messages to it that failed at first.
    pub troubled: Vec<Troubled>,
}

/// A message that failed at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Troubled {
    /// When it failed first.
    pub since: DateTime<Utc>,
    /// Why.
    pub case: Case,
    /// Whether that was meant for now or for good.
    pub refusal: Refusal,
    /// When a host took it after all.
    pub arrived: Option<DateTime<Utc>>,
}

/// What a policy does with all the histories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Addresses that it lets rest.
    pub rested: u64,
    /// Addresses that it gives up.
    pub gone: u64,
    /// Addresses that it does not write to at a time when they did take mail.
    pub wrongly: u64,
    /// Tries at messages that failed at first.
    pub tries: u64,
    /// Messages that it gives up before the time when they did arrive.
    pub missed: u64,
}

/// The difference between two policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// What the one in force does.
    pub now: Totals,
    /// What the new one does.
    pub new: Totals,
    /// Addresses that only the one in force stops writing to.
    pub gained: u64,
    /// Addresses that only the new one stops writing to.
    pub lost: u64,
}

impl Effect {
    /// Adds what both policies do with one more history.
    pub fn add(&mut self, now: &Policy, new: &Policy, history: &History) {
        let (kept_by_now, kept_by_new) = (self.now.add(now, history), self.new.add(new, history));
        self.gained += u64::from(!kept_by_now && kept_by_new);
        self.lost += u64::from(kept_by_now && !kept_by_new);
    }
}

impl Totals {
    /// Adds what `policy` does with `history`; whether it goes on writing to the address throughout.
    fn add(&mut self, policy: &Policy, history: &History) -> bool {
        let (mut standing, mut rested, mut wrongly) = (Standing::default(), false, false);
        for (at, fact) in &history.facts {
            wrongly |= *fact == Fact::Accepted && is_silent(&standing, *at);
            standing = fold(policy, &standing, fact, *at);
            rested |= matches!(standing.reach, Reach::Resting { .. });
        }
        let gone = matches!(standing.reach, Reach::Gone { .. });
        self.rested += u64::from(rested);
        self.gone += u64::from(gone);
        self.wrongly += u64::from(wrongly);
        for message in &history.troubled {
            let (tries, arrives) = tries(policy, message);
            self.tries += u64::from(tries);
            self.missed += u64::from(message.arrived.is_some() && !arrives);
        }
        !rested && !gone
    }
}

fn is_silent(standing: &Standing, at: DateTime<Utc>) -> bool {
    match standing.reach {
        Reach::Reachable => false,
        Reach::Resting { until, .. } => at < until,
        Reach::Gone { .. } => true,
    }
}

/// More tries than any policy in its senses makes.
const MOST: u32 = 1_000;

/// How often `policy` tries a message, and whether it still tries when the host takes it.
fn tries(policy: &Policy, message: &Troubled) -> (u32, bool) {
    let judged = (message.case.cause(), message.case.permanence());
    let (mut made, mut now) = (1, message.since);
    while made < MOST {
        let tries = Tries { since: message.since, made };
        // Half way between the shortest and the longest wait.
        let Next::Again(due) = next_try(policy, judged, message.refusal, tries, None, 0.5, now) else { break };
        (made, now) = (made + 1, due);
        if message.arrived.is_some_and(|at| at <= due) {
            return (made, true);
        }
    }
    (made, false)
}

//! How fast: a lane per receiving domain.

use chrono::{DateTime, TimeDelta, Utc};
use rebound_domain::{BounceCause, Lane, Pass, Permanence, Policy, Receiver, Verdict};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The lanes that are not simply open.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<HashMap<Receiver, State>>);

#[derive(Clone, Debug)]
struct State {
    lane: Lane,
    verdict: Verdict,
}

/// A change that is worth keeping.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// It rests: until when, how often in a row.
    Rests { until: DateTime<Utc>, rests: u32 },
    /// It is open again.
    Opened,
}

impl Lanes {
    /// Takes up a rest from before a restart.
    pub(crate) fn remember(&self, receiver: Receiver, until: DateTime<Utc>, rests: u32, verdict: Verdict) {
        self.map().insert(receiver, State { lane: Lane::Resting { until, rests }, verdict });
    }

    /// Somebody wants the receiver to be asked again sooner.
    pub(crate) fn shorten(&self, receiver: &Receiver, until: DateTime<Utc>) {
        if let Some(state) = self.map().get_mut(receiver)
            && let Lane::Resting { until: planned, rests } = state.lane
            && until < planned
        {
            state.lane = Lane::Resting { until, rests };
        }
    }

    /// Asks to pass; a rested lane lets one probe through.
    pub(crate) fn pass(&self, receiver: &Receiver, now: DateTime<Utc>) -> Pass {
        self.map().get_mut(receiver).map_or(Pass::Go, |state| state.lane.pass(now))
    }

    /// What the receiver said last, while its lane is not open.
    pub(crate) fn words(&self, receiver: &Receiver) -> Option<Verdict> {
        self.map().get(receiver).map(|state| state.verdict.clone())
    }

    /// A probe came back without an answer of the receiver's: another may go.
    pub(crate) fn probe_again(&self, receiver: &Receiver, now: DateTime<Utc>) {
        if let Some(state) = self.map().get_mut(receiver)
            && let Lane::Probing { rests } = state.lane
        {
            state.lane = Lane::Resting { until: now, rests };
        }
    }

    /// Learns from what the receiver said: a verdict, or `None` when it took the message.
    pub(crate) fn learn(
        &self,
        receiver: &Receiver,
        verdict: Option<&Verdict>,
        policy: &Policy,
        jitter: f64,
        now: DateTime<Utc>,
    ) -> Option<Change> {
        let mut lanes = self.map();
        let Some(verdict) = verdict.filter(|verdict| speaks_for_the_lane(verdict.cause)) else {
            return lanes.remove(receiver).map(|_| Change::Opened);
        };
        let state =
            lanes.entry(receiver.clone()).or_insert_with(|| State { lane: Lane::Open, verdict: verdict.clone() });
        let before = state.lane;
        state.lane.rest(now + rest(policy, verdict, before.rests(), jitter));
        state.verdict = verdict.clone();
        match state.lane {
            Lane::Resting { until, rests } if before != state.lane => Some(Change::Rests { until, rests }),
            _ => None,
        }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<Receiver, State>> {
        // A panic elsewhere leaves the map whole: each change is a single step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// These say something about every message to that receiver; the others about one recipient or message.
fn speaks_for_the_lane(cause: BounceCause) -> bool {
    matches!(cause, BounceCause::HostUnreachable | BounceCause::RateLimited)
}

fn rest(policy: &Policy, verdict: &Verdict, rests: u32, jitter: f64) -> TimeDelta {
    if let Some(seconds) = verdict.retry_after {
        return TimeDelta::seconds(seconds.clamp(1, 86_400).into());
    }
    let row = policy.row(verdict.cause, Permanence::Soft);
    let minutes = row
        .after_4yz
        .map_or(10, |backoff| backoff.base_minutes.saturating_mul(1 << rests.min(16)).min(backoff.cap_minutes));
    // Jitter, so that lanes do not all open in the same second.
    #[allow(clippy::cast_possible_truncation)]
    let millis = (f64::from(minutes) * 60_000.0 * (0.5 + jitter.clamp(0.0, 1.0) / 2.0)) as i64;
    TimeDelta::milliseconds(millis)
}

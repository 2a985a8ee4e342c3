//! When to try the same message again, and when to stop.

use crate::{Backoff, BounceCause, Permanence, Policy};
use chrono::{DateTime, TimeDelta, Utc};

/// Whether a refusal was meant for now or for good: the first digit of the reply or the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 4yz: not now.
    Transient,
    /// 5yz: not like this.
    Permanent,
}

/// Tries at one message, at most: the ledger and the return path number them by a byte.
pub const MOST_TRIES: u32 = 250;

/// From so many tries on, those that are left are spread over the time that is left: a host that asks for one every few
/// minutes would have had all of them long before it.
const MANY_TRIES: u32 = 200;

/// The tries at one message so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// When the first one could have been made: giving up counts from here.
    pub since: DateTime<Utc>,
    /// How many were made.
    pub made: u32,
}

/// What comes after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same message again, at that time.
    Again(DateTime<Utc>),
    /// No more by ourselves.
    GiveUp,
}

/// What comes after a refusal: full jitter over doubling waits, by cause.
///
/// The wait is `uniform(d/2, d)` with `d = min(cap, base·2ⁿ)`; `jitter` in 0..1 picks from it. A host that
/// says how long to wait (`told`, seconds) is obeyed; after 200 tries the waits are longer, so that there are never more
/// than [`MOST_TRIES`]. The last try is made when the time is up, not before.
#[must_use]
pub fn next_try(
    policy: &Policy,
    (cause, permanence): (BounceCause, Permanence),
    refusal: Refusal,
    tries: Tries,
    told: Option<u32>,
    jitter: f64,
    now: DateTime<Utc>,
) -> Next {
    let row = policy.row(cause, permanence);
    let backoff = match refusal {
        Refusal::Transient => row.after_4yz,
        Refusal::Permanent if tries.made <= policy.tries_after_5yz => row.after_5yz,
        Refusal::Permanent => None,
    };
    let end = |backoff: &Backoff| tries.since + TimeDelta::hours(backoff.give_up_hours.into());
    match backoff {
        Some(backoff) if now < end(&backoff) && tries.made < MOST_TRIES => {
            let end = end(&backoff);
            let longest =
                minutes(backoff.base_minutes, tries.made.saturating_sub(1)).min(minutes(backoff.cap_minutes, 0));
            let jitter = jitter.clamp(0.0, 1.0);
            let wait = match told {
                Some(seconds) => seconds_of(f64::from(seconds.clamp(1, 86_400)) * (1.0 + jitter / 10.0)),
                None => seconds_of(longest / 2.0 * (1.0 + jitter)),
            };
            Next::Again((now + wait.max(spread(end - now, tries.made))).min(end))
        }
        _ => Next::GiveUp,
    }
}

/// The least wait after `made` tries with `left` until the end.
fn spread(left: TimeDelta, made: u32) -> TimeDelta {
    let tries = i32::try_from(MOST_TRIES.saturating_sub(made).max(1)).unwrap_or(i32::MAX);
    if made < MANY_TRIES { TimeDelta::zero() } else { left / tries }
}

fn minutes(minutes: u32, doublings: u32) -> f64 {
    f64::from(minutes) * 60.0 * f64::from(1_u32 << doublings.min(20))
}

fn seconds_of(seconds: f64) -> TimeDelta {
    // Waits are at most a day or so: far inside what whole milliseconds hold.
    #[allow(clippy::cast_possible_truncation)]
    TimeDelta::milliseconds((seconds * 1000.0) as i64)
}

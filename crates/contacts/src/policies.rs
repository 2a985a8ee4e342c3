//! A policy is changed: what that would have done with the last 90 days, and saving it.

use crate::Error;
use chrono::{DateTime, TimeDelta, Utc};
use rebound_db::bounces::{self, Arrival, Replayed};
use rebound_db::events::{self, Event};
use rebound_db::policies::{self, Saved};
use rebound_db::{Connection, Pool};
use rebound_domain::{AddressKey, Effect, Fact, History, Policy, Troubled};
use std::collections::HashMap;

/// Days that are replayed.
pub const REPLAYED_DAYS: i64 = 90;

/// Failed tries beyond which only a part of the contacts is replayed: what a person waits for without wondering.
const ENOUGH: i64 = 40_000;

/// Contacts that are replayed together.
const PART: usize = 500;

/// What a replay found, and how much it looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// The difference, among those contacts that were looked at.
    pub effect: Effect,
    /// Failed tries that were looked at.
    pub tries: i64,
    /// One in so many contacts was looked at: 1 where all were.
    pub one_in: i64,
}

/// What `new` would have done with the last [`REPLAYED_DAYS`], beside what the policy in force `now_in_force` does. Each
/// contact begins with a clean record.
///
/// # Errors
/// [`Error::Database`]
pub async fn effect(
    db: &impl Connection,
    now_in_force: &Policy,
    new: &Policy,
    now: DateTime<Utc>,
) -> Result<Replay, Error> {
    let from = now - TimeDelta::days(REPLAYED_DAYS);
    let all = bounces::replay_size(db, from).await?;
    let one_in = (all / ENOUGH).max(0) + 1;
    let people = bounces::replay_people(db, from, one_in).await?;
    let mut replay = Replay { one_in, ..Replay::default() };
    for part in people.chunks(PART) {
        let failed = bounces::replay(db, part, from).await?;
        let arrivals = bounces::arrivals(db, part, from).await?;
        replay.tries += i64::try_from(failed.len()).unwrap_or(i64::MAX);
        for history in histories(failed, arrivals).values() {
            replay.effect.add(now_in_force, new, history);
        }
    }
    Ok(replay)
}

/// Both are in the order of time.
fn histories(failed: Vec<Replayed>, arrivals: Vec<Arrival>) -> HashMap<AddressKey, History> {
    let mut histories: HashMap<AddressKey, History> = HashMap::new();
    let arrived: HashMap<_, _> = arrivals.iter().map(|one| (one.delivery, one.at)).collect();
    let mut known = std::collections::HashSet::new();
    for one in failed {
        let history = histories.entry(one.address).or_default();
        history.facts.extend(one.fact.map(|fact| (one.at, fact)));
        if known.insert(one.delivery) {
            // What was taken before the first failure is what came back.
            let arrived = arrived.get(&one.delivery).copied().filter(|at| *at > one.at);
            history.troubled.push(Troubled { since: one.at, case: one.case, refusal: one.refusal, arrived });
        }
    }
    for one in arrivals {
        if let Some(history) = histories.get_mut(&one.address) {
            history.facts.push((one.at, Fact::Accepted));
        }
    }
    histories.values_mut().for_each(|history| history.facts.sort_by_key(|(at, _)| *at));
    histories
}

/// Saves `policy`, which was made with version `based_on` before one's eyes, and puts it in force; its version.
///
/// The first time, the program's own policy is saved with it as version 1: what judged until then is a fact, too.
///
/// # Errors
/// [`Error::PolicyChanged`] when another version is in force by now; [`Error::Database`]
pub async fn save_policy(
    pool: &Pool,
    policy: Policy,
    based_on: u32,
    why: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<u32, Error> {
    let tx = pool.begin().await?;
    let in_force = policies::in_force(&tx).await?;
    if in_force.version != based_on {
        return Err(Error::PolicyChanged { version: in_force.version });
    }
    if policies::versions(&tx).await?.is_empty() {
        let first = Saved {
            policy: in_force.clone(),
            at: DateTime::UNIX_EPOCH,
            actor: "rebound".to_owned(),
            based_on: 0,
            why: String::new(),
        };
        policies::add(&tx, &first).await?;
    }
    let version = in_force.version + 1;
    let changes: Vec<String> = in_force.changes(&policy).into_iter().map(|(setting, ..)| setting.to_string()).collect();
    let saved = Saved {
        policy: Policy { version, ..policy },
        at: now,
        actor: actor.to_owned(),
        based_on,
        why: why.trim().to_owned(),
    };
    if !policies::add(&tx, &saved).await? {
        return Err(Error::PolicyChanged { version });
    }
    let detail = serde_json::json!({ "changed": changes, "why": saved.why }).to_string();
    let event = Event {
        at: now,
        kind: "policy.saved",
        actor,
        subject: "policy",
        subject_id: Some(version.into()),
        key: None,
        detail,
    };
    events::add(&tx, &event).await?;
    tx.commit().await?;
    Ok(version)
}

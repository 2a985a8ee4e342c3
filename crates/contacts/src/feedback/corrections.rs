//! A person says that a verdict is wrong: what they say stands beside it, and whom it is about is judged anew.

use super::standings;
use chrono::{DateTime, Utc};
use rebound_db::bounces::{self, NotedBounce};
use rebound_db::events::{self, Event};
use rebound_db::{Connection, Error, Transaction, policies};
use rebound_domain::{AddressKey, BounceId, Case, Policy, Reach};
use std::collections::{HashMap, HashSet};

/// Bounces that one correction is about at most.
pub const CORRECTED_AT_ONCE: u32 = 10_000;

/// Addresses that are judged by one statement.
const PART: usize = 500;

/// Of which bounces somebody says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Of this one.
    This,
    /// Of all final ones from the same domain with the same words, the newest first.
    Alike,
}

/// What a correction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Corrected {
    /// Bounces that it is about.
    pub bounces: usize,
    /// Addresses that are written to again.
    pub lifted: usize,
    /// Addresses that are not written to any more, or for now.
    pub suppressed: usize,
}

/// `actor` says that `bounce`, and what is like it, was `case`. The verdict is not changed; whom it is about is judged
/// anew. Rolled back, it tells what would happen.
///
/// # Errors
/// [`Error`]: nothing may be committed then.
pub async fn correct(
    tx: &Transaction,
    bounce: &NotedBounce,
    extent: Extent,
    case: Case,
    (actor, why): (&str, &str),
    now: DateTime<Utc>,
) -> Result<Corrected, Error> {
    bounces::one_at_a_time(tx).await?;
    let mut about = match extent {
        Extent::This => vec![],
        Extent::Alike => bounces::alike(tx, bounce.id, CORRECTED_AT_ONCE).await?,
    };
    if !about.iter().any(|(id, _)| *id == bounce.id) {
        about.push((bounce.id, bounce.address.clone()));
    }
    let said = serde_json::json!({
        "from": bounce.case(), "to": case, "why": why, "bounces": about.len(),
    });
    apply(tx, bounce, about, Some(case), ("bounce.corrected", said.to_string()), (actor, why), now).await
}

/// `actor` takes back the newest correction of `bounce`, and of all that it was said of: the verdicts rule again.
/// `None` where there is nothing to take back.
///
/// # Errors
/// [`Error`]: nothing may be committed then.
pub async fn take_back(
    tx: &Transaction,
    bounce: &NotedBounce,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Option<Corrected>, Error> {
    bounces::one_at_a_time(tx).await?;
    let Some(newest) = bounces::corrections(tx, bounce.id).await?.into_iter().next().filter(|one| one.judged.is_some())
    else {
        return Ok(None);
    };
    let about = bounces::corrected_together(tx, &newest).await?;
    let said = serde_json::json!({ "was": newest.judged, "bounces": about.len() }).to_string();
    Ok(Some(apply(tx, bounce, about, None, ("bounce.uncorrected", said), (actor, ""), now).await?))
}

async fn apply(
    tx: &Transaction,
    origin: &NotedBounce,
    about: Vec<(BounceId, AddressKey)>,
    judged: Option<Case>,
    (kind, detail): (&str, String),
    by: (&str, &str),
    now: DateTime<Utc>,
) -> Result<Corrected, Error> {
    let policy = policies::in_force(tx).await?;
    let (ids, mut keys): (Vec<BounceId>, Vec<AddressKey>) = about.into_iter().unzip();
    keys.sort_unstable();
    keys.dedup();
    bounces::correct(tx, origin.id, &ids, judged, by, now).await?;
    let mut corrected = Corrected { bounces: ids.len(), ..Corrected::default() };
    (corrected.lifted, corrected.suppressed) = judge_history(tx, &keys, &policy, by.0, now).await?;
    let event = Event {
        at: now,
        kind,
        actor: by.0,
        subject: "bounce",
        subject_id: Some(origin.id.0),
        key: Some(origin.address.clone()),
        detail,
    };
    events::add(tx, &event).await?;
    Ok(corrected)
}

/// Judges `keys` by all that is known of them: how many are written to again, and how many are not any more.
pub(crate) async fn judge_history(
    tx: &Transaction,
    keys: &[AddressKey],
    policy: &Policy,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(usize, usize), Error> {
    let (mut lifted, mut suppressed) = (0, 0);
    for part in keys.chunks(PART) {
        let before = silent(tx, part, now).await?;
        standings::judge_anew(tx, part, policy, actor, now).await?;
        let after = silent(tx, part, now).await?;
        lifted += before.difference(&after).count();
        suppressed += after.difference(&before).count();
    }
    Ok((lifted, suppressed))
}

/// The same, if the bounces were what is `said` of them (`None`: what the verdicts say). Nothing is written.
pub(crate) async fn foreseen(
    db: &impl Connection,
    keys: &[AddressKey],
    said: &HashMap<BounceId, Option<Case>>,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<(usize, usize), Error> {
    let (mut lifted, mut suppressed) = (0, 0);
    for part in keys.chunks(PART) {
        let before = silent(db, part, now).await?;
        let after = standings::foreseen(db, part, said, policy).await?;
        let after: HashSet<AddressKey> =
            after.into_iter().filter(|(_, reach)| is_silent(*reach, now)).map(|(key, _)| key).collect();
        lifted += before.difference(&after).count();
        suppressed += after.difference(&before).count();
    }
    Ok((lifted, suppressed))
}

/// Those of `keys` that are not written to at `now` because of bounces.
async fn silent(db: &impl Connection, keys: &[AddressKey], now: DateTime<Utc>) -> Result<HashSet<AddressKey>, Error> {
    let kept = rebound_db::standings::get(db, keys).await?;
    Ok(kept.into_iter().filter(|(_, kept)| is_silent(kept.standing.reach, now)).map(|(key, _)| key).collect())
}

fn is_silent(reach: Reach, now: DateTime<Utc>) -> bool {
    match reach {
        Reach::Reachable => false,
        Reach::Resting { until, .. } => now < until,
        Reach::Gone { .. } => true,
    }
}

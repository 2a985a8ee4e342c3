//! The history judged again by rules of one's own. What was heard is not changed: what the rules say of it now stands
//! beside the verdicts, and whom it is about is judged anew.

use super::book::apart;
use super::compiled;
use super::proposal::rules_of;
use crate::feedback::{foreseen, judge_history};
use crate::{Error, NewRule};
use chrono::{DateTime, Utc};
use rebound_classify::{Fault, Rules};
use rebound_db::bounces::{self, Again, Judgement, NotedBounce};
use rebound_db::events::{self, Event};
use rebound_db::jobs::{self, Job, JobKind, JobState, NewJob};
use rebound_db::{Connection, Pool, policies, rule_files};
use rebound_domain::{AddressKey, BounceId, Case, JobId};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Bounces that are judged by one transaction.
const PART: u32 = 500;
/// Bounces that are looked at for a person who waits.
const LOOKED_AT: i64 = 20_000;
/// Bounces that are shown to them.
const SHOWN: usize = 20;

/// What a rule would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreseen {
    /// Bounces that would be judged differently.
    pub bounces: usize,
    /// Of those with these words, how many stay as a person said.
    pub by_hand: usize,
    /// Addresses that would be written to again.
    pub lifted: usize,
    /// Addresses that would not be written to any more, or for now.
    pub suppressed: usize,
    /// The first of the bounces, and what they would be.
    pub first: Vec<(NotedBounce, Case)>,
    /// Bounces with these words that were not looked at, since they are too many for a look.
    pub unseen: i64,
}

/// What `rule`, added to version `based_on`, would change in the history. Nothing is written.
///
/// # Errors
/// [`Error::FaultyRules`], [`Error::Database`]
pub async fn foresee(
    db: &impl Connection,
    rule: &NewRule,
    based_on: i64,
    now: DateTime<Utc>,
) -> Result<Foreseen, Error> {
    let text = rule.laid_on(&rule_files::text(db, based_on).await?.unwrap_or_default());
    let judge = Judge::of(text, Some(&rule.id)).await?;
    let mut seen = Foreseen::default();
    let (mut said, mut keys) = (HashMap::new(), Vec::<AddressKey>::new());
    let (mut after, mut looked_at) = (BounceId(0), 0);
    while looked_at < LOOKED_AT {
        let part = bounces::again(db, &judge.words, &judge.ids, after, PART).await?;
        let Some(last) = part.last() else { break };
        after = last.bounce.id;
        looked_at += part.len() as i64;
        seen.by_hand += part.iter().filter(|one| one.by_hand).count();
        let (part, judged) = judge.judge(part).await?;
        seen.bounces += judged.len();
        for one in judged {
            let Some(again) = part.iter().find(|again| again.bounce.id == one.id) else { continue };
            said.insert(one.id, one.judged);
            keys.push(again.bounce.address.clone());
            if let Some(case) = one.judged.filter(|_| seen.first.len() < SHOWN) {
                seen.first.push((again.bounce.clone(), case));
            }
        }
    }
    seen.unseen = (bounces::again_count(db, &judge.words, &judge.ids).await? - looked_at).max(0);
    keys.sort_unstable();
    keys.dedup();
    (seen.lifted, seen.suppressed) = foreseen(db, &keys, &said, &policies::in_force(db).await?, now).await?;
    Ok(seen)
}

/// Asks for the history to be judged again by `rule` of `version`, or by all rules of it; the job, unless the same was
/// asked for before.
///
/// # Errors
/// [`Error::Database`]
pub async fn rejudge_later(
    db: &impl Connection,
    version: i64,
    rule: Option<&str>,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Option<JobId>, Error> {
    let (kind, state) = (JobKind::Rejudge, JobState::Waiting);
    let settings = serde_json::json!({ "rule": rule }).to_string();
    let job = NewJob { kind, subject: version, state, total: 0, settings: &settings, actor };
    Ok(jobs::add(db, &job, now).await?)
}

#[derive(Deserialize)]
struct Settings {
    rule: Option<String>,
}

/// How far a job came: its cursor.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Came {
    after: i64,
    bounces: usize,
    lifted: usize,
    suppressed: usize,
}

/// What a part of the work needs to know of the job, compiled once.
pub(crate) struct Part {
    judge: Judge,
}

impl Part {
    /// What `job` is to do, and how much there is of it.
    ///
    /// # Errors
    /// [`Error::FaultyRules`], [`Error::Database`]
    pub(crate) async fn of(db: &Pool, job: &mut Job) -> Result<Self, Error> {
        let rule = serde_json::from_str::<Settings>(&job.settings).ok().and_then(|settings| settings.rule);
        let text = rule_files::text(db, job.subject).await?.unwrap_or_default();
        let judge = Judge::of(text, rule.as_deref()).await?;
        job.total = bounces::again_count(db, &judge.words, &judge.ids).await?.max(job.done);
        Ok(Self { judge })
    }
}

/// Judges the next bounces again; whether all are done. A part may be repeated without harm.
///
/// # Errors
/// [`Error::Stopped`] where somebody else does it by now; [`Error::Database`]
pub(crate) async fn rejudge_part(db: &Pool, part: &Part, job: &mut Job, now: DateTime<Utc>) -> Result<bool, Error> {
    let mut came: Came = serde_json::from_str(&job.cursor).unwrap_or_default();
    let judge = &part.judge;
    let tx = db.begin().await?;
    bounces::one_at_a_time(&tx).await?;
    let found = bounces::again(&tx, &judge.words, &judge.ids, BounceId(came.after), PART).await?;
    let (count, last) = (found.len(), found.last().map(|one| one.bounce.id));
    let (found, judged) = judge.judge(found).await?;
    let keys = found.iter().filter(|one| judged.iter().any(|said| said.id == one.bounce.id));
    let mut keys: Vec<AddressKey> = keys.map(|one| one.bounce.address.clone()).collect();
    keys.sort_unstable();
    keys.dedup();
    let why = format!("version {} of the rules", job.subject);
    bounces::judge_again(&tx, &judged, (&job.actor, &why), now).await?;
    let policy = policies::in_force(&tx).await?;
    let (lifted, suppressed) = judge_history(&tx, &keys, &policy, &job.actor, now).await?;
    came = Came {
        after: last.map_or(came.after, |last| last.0),
        bounces: came.bounces + judged.len(),
        lifted: came.lifted + lifted,
        suppressed: came.suppressed + suppressed,
    };
    job.done += i64::try_from(count).unwrap_or(0);
    job.total = job.total.max(job.done);
    job.cursor = serde_json::to_string(&came).unwrap_or_default();
    let is_done = count < PART as usize;
    let mut is_ours = jobs::advance(&tx, job, now).await?;
    if is_done {
        let detail = serde_json::json!({
            "rule": judge.named, "bounces": came.bounces, "lifted": came.lifted, "suppressed": came.suppressed,
        });
        let event = Event {
            at: now,
            kind: "history.judged",
            actor: &job.actor,
            subject: "rules",
            subject_id: Some(job.subject),
            key: None,
            detail: detail.to_string(),
        };
        events::add(&tx, &event).await?;
        is_ours &= jobs::finish(&tx, job, now).await?;
    }
    if !is_ours {
        return Err(Error::Stopped);
    }
    tx.commit().await?;
    Ok(is_done)
}

/// Rules, and which of them have something to say of the history.
struct Judge {
    rules: Arc<Option<Rules>>,
    /// The one rule that is asked for, if it is one.
    named: Option<String>,
    ids: Vec<String>,
    /// What their phrases begin with.
    words: Vec<String>,
}

impl Judge {
    async fn of(text: String, named: Option<&str>) -> Result<Self, Error> {
        let (ids, words): (Vec<String>, Vec<Vec<String>>) =
            rules_of(&text).into_iter().filter(|(id, _)| named.is_none_or(|named| named == id)).unzip();
        let rules = apart(move || compiled(&text)).await.map_err(Error::FaultyRules)?;
        Ok(Self { rules: Arc::new(rules), named: named.map(str::to_owned), ids, words: words.concat() })
    }

    /// Those of `found` that come out differently than they stand.
    async fn judge(&self, found: Vec<Again>) -> Result<(Vec<Again>, Vec<Judgement>), Error> {
        let (rules, ids) = (Arc::clone(&self.rules), self.ids.clone());
        let judged = spawn_blocking(move || {
            let rules = rules.as_ref().as_ref().unwrap_or(Rules::built_in());
            let judged = found.iter().filter_map(|one| judgement(rules, &ids, one)).collect();
            (found, judged)
        });
        let failed = |_| Fault { rule: String::new(), what: "a bounce could not be judged by them".to_owned() };
        judged.await.map_err(|error| Error::FaultyRules(vec![failed(error)]))
    }
}

/// What one of the rules `ids` says of a bounce, where that is not how it stands.
fn judgement(rules: &Rules, ids: &[String], again: &Again) -> Option<Judgement> {
    if again.by_hand {
        return None;
    }
    let bounce = &again.bounce;
    let verdict = heard_again(rules, bounce)?;
    let rule = verdict.evidence.iter().map(|one| &one.rule).find(|rule| ids.contains(rule));
    let ours = again.by_rule.as_ref().filter(|rule| ids.contains(rule));
    match (rule, ours) {
        (Some(rule), _) => {
            let case = Case::of(verdict.cause, verdict.permanence);
            (case != bounce.case()).then(|| Judgement { id: bounce.id, rule: rule.clone(), judged: Some(case) })
        }
        // It said so before, and does not any more.
        (None, Some(rule)) => bounce.corrected.map(|_| Judgement { id: bounce.id, rule: rule.clone(), judged: None }),
        (None, None) => None,
    }
}

/// The verdict on the words as they are kept, beside the codes that came with them.
fn heard_again(rules: &Rules, bounce: &NotedBounce) -> Option<rebound_domain::Verdict> {
    let kept = &bounce.verdict;
    let alone = rules.reply(kept.diagnostic.as_bytes());
    if alone.as_ref().is_some_and(|one| one.status == kept.status && one.reply_code == kept.reply_code) {
        return alone;
    }
    // A report may give its codes in fields of their own.
    let codes =
        kept.reply_code.map(|code| code.to_string()).into_iter().chain(kept.status.map(|code| code.to_string()));
    let whole: Vec<String> = codes.chain([kept.diagnostic.clone()]).collect();
    rules.reply(whole.join(" ").as_bytes())
}

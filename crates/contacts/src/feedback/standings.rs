//! How addresses stand after what came back, and the suppressions that follow from it.

use super::REBOUND;
use super::fate::Judged;
use chrono::{DateTime, Utc};
use rebound_db::bounces::{self, NotedBounce, Same};
use rebound_db::events::{self, Event};
use rebound_db::policies::{self, Saved};
use rebound_db::standings::{self, Kept};
use rebound_db::{Connection, Error, Transaction, leases, suppressions};
use rebound_domain::{AddressKey, BounceId, Case, DeliveryId, Fact, Policy, Reach, Standing, Suppression, fold};
use std::collections::{BTreeMap, HashMap};

/// Something that happened to an address.
#[derive(Clone, Debug)]
pub(super) struct Happened {
    at: DateTime<Utc>,
    fact: Fact,
    /// The bounce, if it is one, and the host's own words.
    bounce: Option<(BounceId, String)>,
    /// The version of the policy that judged it, where that was noted.
    version: Option<u32>,
}

type Histories = BTreeMap<AddressKey, Vec<Happened>>;

/// What the new final bounces add to the standings of their addresses; nothing, where an incident excuses them.
pub(super) fn facts(judged: &[Judged<'_>], ids: &HashMap<Same, BounceId>, policy: &Policy) -> Histories {
    let mut facts = Histories::new();
    for one in judged.iter().filter(|one| one.is_final() && one.incident.is_none()) {
        let (Some(delivery), verdict) = (one.bounce.delivery, &one.bounce.verdict) else { continue };
        let Some(id) = ids.get(&(delivery, one.bounce.attempt, verdict.cause, one.bounce.held)) else { continue };
        let fact = Fact::Bounced {
            cause: verdict.cause,
            permanence: verdict.permanence,
            grade: one.bounce.grade,
            campaign: delivery.campaign(),
            excused: false,
        };
        let bounce = Some((*id, verdict.diagnostic.clone()));
        let happened = Happened { at: one.bounce.at, fact, bounce, version: Some(policy.version) };
        facts.entry(one.bounce.address.clone()).or_default().push(happened);
    }
    facts.values_mut().for_each(|history| history.sort_by_key(|one| one.at));
    facts
}

/// Judges addresses by new facts, those in `absorbed` anew by all of theirs; how many are suppressed now and were
/// not before.
pub(super) async fn judge(
    tx: &Transaction,
    mut facts: Histories,
    absorbed: &[AddressKey],
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<usize, Error> {
    facts.retain(|key, _| !absorbed.contains(key));
    let anew = judge_anew(tx, absorbed, policy, REBOUND, now).await?;
    Ok(anew + go_on(tx, facts, policy, now).await?)
}

/// Judges addresses by all that is known of them; how many are suppressed now and were not before.
pub(super) async fn judge_anew(
    tx: &Transaction,
    keys: &[AddressKey],
    policy: &Policy,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<usize, Error> {
    let before = standings::get(tx, keys).await?;
    let after = folded(&histories(tx, keys, &HashMap::new()).await?, &Policies::of(tx, policy).await?);
    keep(tx, keys, &before, after, policy, actor, now).await
}

/// Folds facts into the standings that are kept. Where one came late, or is the first, all are folded: the standing
/// is the same whatever the order in which facts became known.
async fn go_on(tx: &Transaction, facts: Histories, policy: &Policy, now: DateTime<Utc>) -> Result<usize, Error> {
    let keys: Vec<AddressKey> = facts.keys().cloned().collect();
    let before = standings::get(tx, &keys).await?;
    let in_order = |key: &AddressKey, history: &[Happened]| {
        before.get(key).zip(history.first()).is_some_and(|(kept, first)| kept.updated < first.at)
    };
    let (forward, late): (Histories, Histories) = facts.into_iter().partition(|(key, history)| in_order(key, history));
    let late: Vec<AddressKey> = late.into_keys().collect();
    let policies = Policies::of(tx, policy).await?;
    let mut after = folded(&histories(tx, &late, &HashMap::new()).await?, &policies);
    for (key, history) in forward {
        let from = before.get(&key).map(|kept| kept.standing.clone()).unwrap_or_default();
        after.extend(fold_all(&policies, from, &history).map(|folded| (key, folded)));
    }
    keep(tx, &keys, &before, after, policy, REBOUND, now).await
}

/// A standing, and the bounce that brought the address where it is, if one did.
struct Folded {
    kept: Kept,
    because: Option<(BounceId, String)>,
}

/// The policies by which facts are judged: each by the one that was in force. A new version judges what comes, and
/// leaves what was judged as it is.
struct Policies<'a> {
    newest: &'a Policy,
    /// Newest first.
    saved: Vec<Saved>,
}

impl<'a> Policies<'a> {
    async fn of(db: &impl Connection, newest: &'a Policy) -> Result<Self, Error> {
        let saved = if newest.version > 1 { policies::versions(db).await? } else { vec![] };
        Ok(Self { newest, saved })
    }

    fn judges(&self, one: &Happened) -> &Policy {
        let is_it = |saved: &&Saved| match one.version {
            Some(version) => saved.policy.version == version,
            None => saved.at <= one.at,
        };
        self.saved.iter().find(is_it).map_or(self.newest, |saved| &saved.policy)
    }
}

fn folded(histories: &Histories, policies: &Policies<'_>) -> BTreeMap<AddressKey, Folded> {
    let fold = |(key, history): (&AddressKey, &Vec<Happened>)| {
        Some((key.clone(), fold_all(policies, Standing::default(), history)?))
    };
    histories.iter().filter_map(fold).collect()
}

fn fold_all(policies: &Policies<'_>, from: Standing, history: &[Happened]) -> Option<Folded> {
    let updated = history.last()?.at;
    let (mut standing, mut because) = (from, None);
    for one in history {
        let next = fold(policies.judges(one), &standing, &one.fact, one.at);
        if next.reach != standing.reach {
            because.clone_from(&one.bounce);
        }
        standing = next;
    }
    Some(Folded { kept: Kept { standing, updated }, because })
}

/// How `keys` could be reached, if the bounces were what is `said` of them; who was never judged is left out.
pub(super) async fn foreseen(
    db: &impl Connection,
    keys: &[AddressKey],
    said: &HashMap<BounceId, Option<Case>>,
    policy: &Policy,
) -> Result<Vec<(AddressKey, Reach)>, Error> {
    let after = folded(&histories(db, keys, said).await?, &Policies::of(db, policy).await?);
    Ok(after.into_iter().map(|(key, folded)| (key, folded.kept.standing.reach)).collect())
}

/// All that is known of `keys`, in order, from the first bounce that counts: what came before it cannot matter. What
/// is `said` of a bounce is taken for what was said last.
async fn histories(
    db: &impl Connection,
    keys: &[AddressKey],
    said: &HashMap<BounceId, Option<Case>>,
) -> Result<Histories, Error> {
    let mut histories = Histories::new();
    let heard = bounces::judged(db, keys).await?.into_iter();
    let heard = heard.map(|bounce| match said.get(&bounce.id) {
        Some(case) => NotedBounce { corrected: *case, ..bounce },
        None => bounce,
    });
    for bounce in heard.filter(|bounce| !bounce.is_excused()) {
        let Some(fact) = bounce.fact() else { continue };
        let (words, version) = (Some((bounce.id, bounce.verdict.diagnostic)), Some(bounce.policy_version));
        histories.entry(bounce.address).or_default().push(Happened { at: bounce.at, fact, bounce: words, version });
    }
    for (key, at, fact) in standings::other_facts(db, keys).await? {
        if let Some(history) = histories.get_mut(&key).filter(|history| history.first().is_some_and(|f| f.at <= at)) {
            history.push(Happened { at, fact, bounce: None, version: None });
        }
    }
    // Stable: of the same moment, bounces come first, in the order of noting.
    histories.values_mut().for_each(|history| history.sort_by_key(|one| one.at));
    Ok(histories)
}

/// Keeps the standings of `keys`, and makes their suppressions match.
async fn keep(
    tx: &Transaction,
    keys: &[AddressKey],
    before: &HashMap<AddressKey, Kept>,
    after: BTreeMap<AddressKey, Folded>,
    policy: &Policy,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<usize, Error> {
    let reach = |key: &AddressKey| before.get(key).map(|kept| kept.standing.reach).unwrap_or_default();
    let gone: Vec<AddressKey> = keys.iter().filter(|key| !after.contains_key(*key)).cloned().collect();
    standings::remove(tx, &gone).await?;
    let moves: Vec<Move<'_>> = keys
        .iter()
        .map(|key| Move { key, from: reach(key), to: after.get(key) })
        .filter(|one| one.from != one.reach())
        .collect();
    let moved: Vec<AddressKey> = moves.iter().map(|one| one.key.clone()).collect();
    suppressions::remove_bounced(tx, &moved).await?;
    let suppressed: Vec<Suppression> = moves.iter().filter_map(Move::suppression).collect();
    suppressions::add_all(tx, &suppressed).await?;
    let events: Vec<Event<'_>> = moves.iter().map(|one| one.event(policy, actor, now)).collect();
    events::add_all(tx, &events).await?;
    let newly = suppressed.iter().filter(|one| reach(&one.address) == Reach::Reachable).count();
    let kept: Vec<(AddressKey, Kept)> = after.into_iter().map(|(key, folded)| (key, folded.kept)).collect();
    standings::put(tx, &kept).await?;
    Ok(newly)
}

/// An address that can be reached in another way than before.
struct Move<'a> {
    key: &'a AddressKey,
    from: Reach,
    to: Option<&'a Folded>,
}

impl<'a> Move<'a> {
    fn reach(&self) -> Reach {
        self.to.map(|to| to.kept.standing.reach).unwrap_or_default()
    }

    fn words(&self) -> Option<&'a str> {
        self.to?.because.as_ref().map(|(_, words)| words.as_str()).filter(|words| !words.is_empty())
    }

    fn suppression(&self) -> Option<Suppression> {
        let standing = &self.to?.kept.standing;
        let (Reach::Resting { cause, .. } | Reach::Gone { cause, .. }) = standing.reach else { return None };
        standing.suppression(self.key, self.words().unwrap_or(cause.title()).to_owned())
    }

    fn event<'e>(&self, policy: &Policy, actor: &'e str, now: DateTime<Utc>) -> Event<'e> {
        let (kind, cause, until) = match self.reach() {
            Reach::Reachable => ("restored", None, None),
            Reach::Resting { until, cause, .. } => ("rests", Some(cause), Some(until)),
            Reach::Gone { cause, .. } => ("suppressed", Some(cause), None),
        };
        let bounce = self.to.and_then(|to| to.because.as_ref()).map(|(id, _)| id);
        let detail = serde_json::json!({
            "cause": cause, "words": self.words(), "bounce": bounce, "until": until, "policy": policy.version,
        });
        let (key, detail) = (Some(self.key.clone()), detail.to_string());
        Event { at: now, kind, actor, subject: "contact", subject_id: None, key, detail }
    }
}

/// Notes that messages were taken, for those addresses that a bounce was ever judged by: usually none.
pub(super) async fn accepted(
    tx: &Transaction,
    keys: &[AddressKey],
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let judged = standings::get(tx, keys).await?;
    if judged.is_empty() {
        return Ok(());
    }
    bounces::one_at_a_time(tx).await?;
    let taken = |key: AddressKey| (key, vec![Happened { at: now, fact: Fact::Accepted, bounce: None, version: None }]);
    go_on(tx, judged.into_keys().map(taken).collect(), policy, now).await?;
    Ok(())
}

/// Notes that people were reached by those letters. It speaks of what was before a letter was handed over alone, and nothing
/// is noted of addresses that nothing speaks against: nearly all.
pub(super) async fn reached(
    tx: &Transaction,
    by: &[(DeliveryId, AddressKey)],
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let mut keys: Vec<AddressKey> = by.iter().map(|(_, key)| key.clone()).collect();
    keys.sort_unstable();
    keys.dedup();
    let troubled = async |keys: &[AddressKey]| {
        let known = standings::get(tx, keys).await?;
        let trouble = known.into_iter().filter_map(|(key, kept)| Some((key, kept.standing.last_trouble()?)));
        Ok::<HashMap<_, _>, Error>(trouble.collect())
    };
    if troubled(&keys).await?.is_empty() {
        return Ok(());
    }
    bounces::one_at_a_time(tx).await?;
    let troubled = troubled(&keys).await?;
    let by: BTreeMap<DeliveryId, &AddressKey> =
        by.iter().filter(|(_, key)| troubled.contains_key(key)).map(|(letter, key)| (*letter, key)).collect();
    let letters: Vec<DeliveryId> = by.keys().copied().collect();
    let mut reached = BTreeMap::<&AddressKey, DateTime<Utc>>::new();
    for (letter, at) in leases::last_handed(tx, &letters).await? {
        let latest = reached.entry(by[&letter]).or_insert(at);
        *latest = at.max(*latest);
    }
    for (key, at) in reached.into_iter().filter(|(key, at)| troubled[*key] < *at) {
        clear(tx, key.clone(), at, policy, now).await?;
    }
    Ok(())
}

/// The fact is of the moment when the letter was handed over: a bounce of later speaks anew, also where it is heard late.
async fn clear(
    tx: &Transaction,
    key: AddressKey,
    at: DateTime<Utc>,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let (kind, subject, of, detail) = ("reached", "contact", Some(key.clone()), String::new());
    events::add(tx, &Event { at, kind, actor: REBOUND, subject, subject_id: None, key: of, detail }).await?;
    let happened = Happened { at, fact: Fact::Reached, bounce: None, version: None };
    go_on(tx, Histories::from([(key, vec![happened])]), policy, now).await?;
    Ok(())
}

/// The standing of `key`, folded from all that is known of it; `None` where no bounce ever counted.
///
/// # Errors
/// [`Error`]
pub async fn rebuild_standing(
    db: &impl Connection,
    key: &AddressKey,
    policy: &Policy,
) -> Result<Option<Standing>, Error> {
    let policies = Policies::of(db, policy).await?;
    let mut folded = folded(&histories(db, std::slice::from_ref(key), &HashMap::new()).await?, &policies);
    Ok(folded.remove(key).map(|folded| folded.kept.standing))
}

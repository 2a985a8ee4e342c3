//! Failures that are ours or a host's: no address is judged by them.

use super::fate::{Judged, Places};
use super::{REBOUND, standings};
use chrono::{DateTime, Utc};
use rebound_db::bounces::{self, Neighbour};
use rebound_db::events::{self, Event};
use rebound_db::incidents::{self, Report};
use rebound_db::{Error, Transaction, campaigns};
use rebound_domain::{
    AddressKey, Answer, Bounce, BounceCause, Campaign, CampaignId, Consequence, DeliveryId, IncidentId, IncidentScope,
    IncidentSubject, Policy, Receiver, WINDOW, burst,
};
use std::collections::{BTreeMap, HashMap};

/// Puts each final bounce that is our fault or a host's into its incident; answers those that were opened.
pub(super) async fn assign(
    tx: &Transaction,
    judged: &mut [Judged<'_>],
    places: &Places,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<Vec<IncidentId>, Error> {
    if !judged.iter().any(Judged::is_final) {
        return Ok(vec![]);
    }
    let bursts = incidents::open_bursts(tx).await?;
    let mut repeats = repeats(tx, judged, policy, now).await?;
    let mut reports: Vec<(Report, Vec<usize>)> = vec![];
    let mut places_of: HashMap<(IncidentSubject, BounceCause), usize> = HashMap::new();
    for (index, one) in judged.iter().enumerate().filter(|(_, one)| one.is_final()) {
        let Some((campaign, cause)) = place(one.bounce) else { continue };
        let subject = match bursts.get(&(campaign, cause)) {
            Some(_) => Some(IncidentSubject::Campaign { campaign }),
            None => subject(one.bounce, places.campaigns.get(&campaign), policy, &mut repeats),
        };
        let Some(subject) = subject else { continue };
        let place = *places_of.entry((subject.clone(), cause)).or_insert_with(|| {
            let words = one.bounce.verdict.diagnostic.clone();
            reports.push((Report { subject, cause, burst: false, words, bounces: 0 }, vec![]));
            reports.len() - 1
        });
        if let Some((report, of)) = reports.get_mut(place) {
            report.bounces += 1;
            of.push(index);
        }
    }
    let mut opened = vec![];
    for (report, of) in reports {
        let (id, is_new) = open(tx, &report, now).await?;
        opened.extend(is_new.then_some(id));
        of.into_iter().for_each(|index| judged[index].incident = Some(id));
    }
    Ok(opened)
}

fn place(bounce: &Bounce) -> Option<(CampaignId, BounceCause)> {
    Some((bounce.delivery?.campaign(), bounce.verdict.cause))
}

type Repeats = HashMap<(String, BounceCause), i64>;

/// How often those causes that make an incident only when they repeat came within a day.
async fn repeats(
    tx: &Transaction,
    judged: &[Judged<'_>],
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<Repeats, Error> {
    let mut of: Vec<(String, BounceCause)> = judged
        .iter()
        .filter(|one| one.is_final() && matches!(consequence(one.bounce, policy), Consequence::Nothing { .. }))
        .map(|one| (one.bounce.address.domain().to_owned(), one.bounce.verdict.cause))
        .collect();
    of.sort_unstable();
    of.dedup();
    bounces::repeats(tx, &of, now).await
}

fn consequence(bounce: &Bounce, policy: &Policy) -> Consequence {
    policy.row(bounce.verdict.cause, bounce.verdict.permanence).consequence
}

/// What the bounce is an incident of, if it is one.
fn subject(
    bounce: &Bounce,
    campaign: Option<&Campaign>,
    policy: &Policy,
    repeated: &mut Repeats,
) -> Option<IncidentSubject> {
    let domain = bounce.address.domain();
    // By the name of its lane, where it is known: by that a person asks for a probe.
    let receiver = bounce.receiver.as_ref().map_or(domain, Receiver::as_str).to_owned();
    match consequence(bounce, policy) {
        Consequence::Incident { scope } => Some(match scope {
            IncidentScope::Campaign => IncidentSubject::Campaign { campaign: bounce.delivery?.campaign() },
            IncidentScope::Route => IncidentSubject::Route { receiver },
            IncidentScope::SendingDomain => {
                IncidentSubject::SendingDomain { domain: campaign?.draft.from.domain().to_owned() }
            }
        }),
        Consequence::Nothing { repeats } if repeats > 0 => {
            let count = repeated.entry((domain.to_owned(), bounce.verdict.cause)).or_default();
            *count += 1;
            (*count >= i64::from(repeats)).then_some(IncidentSubject::Route { receiver })
        }
        _ => None,
    }
}

async fn open(tx: &Transaction, report: &Report, now: DateTime<Utc>) -> Result<(IncidentId, bool), Error> {
    let (id, is_new) = incidents::report(tx, report, now).await?;
    if is_new {
        let detail = serde_json::json!({
            "of": report.subject, "cause": report.cause, "burst": report.burst, "words": report.words,
        });
        note(tx, id, "incident.opened", REBOUND, detail.to_string(), now).await?;
    }
    Ok((id, is_new))
}

/// What a look for bursts led to.
#[derive(Debug, Default)]
pub(super) struct Bursts {
    /// Incidents that were opened.
    pub(super) opened: Vec<IncidentId>,
    /// Campaigns that wait now.
    pub(super) waiting: Vec<CampaignId>,
    /// Addresses that had been judged by what is an incident now.
    pub(super) absorbed: Vec<AddressKey>,
}

/// Looks whether one answer came for many addresses at once, around each delivery that was given up.
pub(super) async fn bursts(
    tx: &Transaction,
    judged: &[Judged<'_>],
    places: &Places,
    now: DateTime<Utc>,
) -> Result<Bursts, Error> {
    let given_up: Vec<DeliveryId> =
        judged.iter().filter(|one| one.is_final()).filter_map(|one| one.bounce.delivery).collect();
    if given_up.is_empty() {
        return Ok(Bursts::default());
    }
    let known = incidents::open_bursts(tx).await?;
    let mut by_campaign: BTreeMap<CampaignId, Vec<Neighbour>> = BTreeMap::new();
    for neighbour in bounces::neighbours(tx, &given_up).await? {
        let campaign = neighbour.delivery.campaign();
        if !known.contains_key(&(campaign, neighbour.answer.cause)) {
            by_campaign.entry(campaign).or_default().push(neighbour);
        }
    }
    let mut found = Bursts::default();
    for (id, mut neighbours) in by_campaign {
        let planned = places.campaigns.get(&id).map_or(i64::MAX, |campaign| campaign.planned);
        while let Some((cause, of)) = first_burst(&neighbours, planned) {
            hold(tx, id, cause, &of, &mut found, now).await?;
            if let Some(campaign) = places.campaigns.get(&id).filter(|_| !found.waiting.contains(&id))
                && wait(tx, campaign, &of, now).await?
            {
                found.waiting.push(id);
            }
            neighbours.retain(|neighbour| neighbour.answer.cause != cause);
        }
    }
    Ok(found)
}

/// The first burst in any stretch of [`WINDOW`] deliveries, and the bounces it is made of.
fn first_burst(neighbours: &[Neighbour], planned: i64) -> Option<(BounceCause, Vec<Neighbour>)> {
    let answers: Vec<Answer> = neighbours.iter().map(|neighbour| neighbour.answer.clone()).collect();
    let mut start = 0;
    for (end, last) in answers.iter().enumerate() {
        while answers.get(start).is_some_and(|first| last.ordinal - first.ordinal >= WINDOW as i64) {
            start += 1;
        }
        let window = answers.get(start..=end).unwrap_or_default();
        if let Some(cause) = burst(window, planned) {
            let of = neighbours.get(start..=end).unwrap_or_default().iter();
            return Some((cause, of.filter(|neighbour| neighbour.answer.cause == cause).cloned().collect()));
        }
    }
    None
}

/// Makes an incident of a burst: the one its bounces are in already, or one of the campaign that takes them up.
async fn hold(
    tx: &Transaction,
    campaign: CampaignId,
    cause: BounceCause,
    of: &[Neighbour],
    found: &mut Bursts,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let in_incidents: Vec<IncidentId> = of.iter().filter_map(|neighbour| neighbour.incident).collect();
    if in_incidents.len() == of.len() {
        incidents::mark_burst(tx, &in_incidents).await?;
        return Ok(());
    }
    let subject = IncidentSubject::Campaign { campaign };
    let mut report = Report { subject, cause, burst: true, words: words(of), bounces: 0 };
    let (id, is_new) = open(tx, &report, now).await?;
    let keys = bounces::absorb(tx, campaign, cause, id).await?;
    report.bounces = i64::try_from(keys.len()).unwrap_or(i64::MAX);
    incidents::report(tx, &report, now).await?;
    found.opened.extend(is_new.then_some(id));
    found.absorbed.extend(keys);
    Ok(())
}

fn words(of: &[Neighbour]) -> String {
    of.first().map(|neighbour| neighbour.diagnostic.clone()).unwrap_or_default()
}

/// Lets the campaign wait; `false` when it was not sending.
async fn wait(tx: &Transaction, campaign: &Campaign, of: &[Neighbour], now: DateTime<Utc>) -> Result<bool, Error> {
    let words: String = words(of).chars().take(200).collect();
    let reason = format!(
        "Sending waits: one answer came for many addresses at once. “{words}” So many people cannot all have gone \
         wrong at once, so no address is judged by it. Look at the incident, then resume."
    );
    let waits = campaigns::hold(tx, campaign.id, &reason).await?;
    if waits {
        let event = Event {
            at: now,
            kind: "campaign.waits",
            actor: REBOUND,
            subject: "campaign",
            subject_id: Some(campaign.id.0),
            key: None,
            detail: reason,
        };
        events::add(tx, &event).await?;
    }
    Ok(waits)
}

/// A part of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// How many contacts were judged anew.
    pub count: usize,
    /// Where the next part begins; `None` when all are done and the incident is closed.
    pub last: Option<AddressKey>,
}

/// It was our own fault: the next `limit` of those whom `incident` touched, after `after` in the order of their
/// addresses, are judged anew without it. Who restores begins with `None` and goes on with [`Restored::last`], each
/// part in a transaction of its own; the last part closes the incident. A part may be repeated without harm.
///
/// # Errors
/// [`Error`]: nothing may be committed then.
pub async fn restore_next(
    tx: &Transaction,
    incident: IncidentId,
    after: Option<&AddressKey>,
    limit: u32,
    policy: &Policy,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Restored, Error> {
    bounces::one_at_a_time(tx).await?;
    let touched = bounces::excuse(tx, incident, after, limit).await?;
    standings::judge_anew(tx, &touched, policy, actor, now).await?;
    let count = touched.len();
    if count == limit as usize {
        return Ok(Restored { count, last: touched.into_iter().next_back() });
    }
    incidents::close(tx, incident, now).await?;
    let contacts = bounces::touched(tx, incident).await?;
    let detail = serde_json::json!({ "contacts": contacts }).to_string();
    note(tx, incident, "incident.restored", actor, detail, now).await?;
    Ok(Restored { count, last: None })
}

/// The incident is over; `false` when it was before.
///
/// # Errors
/// [`Error`]: nothing may be committed then.
pub async fn close(tx: &Transaction, incident: IncidentId, actor: &str, now: DateTime<Utc>) -> Result<bool, Error> {
    let closed = incidents::close(tx, incident, now).await?;
    if closed {
        note(tx, incident, "incident.closed", actor, String::new(), now).await?;
    }
    Ok(closed)
}

async fn note(
    tx: &Transaction,
    id: IncidentId,
    kind: &str,
    actor: &str,
    detail: String,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let event = Event { at: now, kind, actor, subject: "incident", subject_id: Some(id.0), key: None, detail };
    events::add(tx, &event).await
}

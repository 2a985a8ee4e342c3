//! What must be mended before a campaign can go, what should be, and what is known of it so far.

mod answer;
mod audience;
mod catalogue;
mod checked;
mod content;
mod dns;
mod domains;
mod envelope;
mod finding;
mod identity;
mod letter;
mod one_click;
mod outside;
mod progress;
mod spf;
mod surroundings;
mod trial;

pub use answer::PreflightAnswer;
pub use catalogue::Check;
pub use checked::Checked;
pub use finding::{Finding, Level, Mend, Part};
pub use outside::{Outside, outside};
pub use progress::Progress;
pub use surroundings::{DkimState, Surroundings};

use crate::Sender;
use crate::template::Template;
use chrono::{DateTime, Utc};
use rebound_db::audience::Figures;
use rebound_db::{Audience, Error, Pool, audience as people, campaigns, deliveries, lists};
use rebound_domain::{Campaign, CampaignState, Contact, ContactId, Grouped, StateName};
use std::panic::resume_unwind;
use tokio::task::JoinSet;
use trial::Trial;

/// Contacts whose messages are tried out at once.
const CHUNK: u32 = 5_000;

/// Contacts whose messages are tried out for a page; the launch tries all.
const SAMPLE: u32 = 1_000;

/// Contacts that a finding names.
const NAMED: u32 = 5;

/// Deliveries from which a campaign says something about the next one.
const TELLING: i64 = 100;

/// How many messages are tried out.
#[derive(Clone, Copy, Debug)]
pub enum Depth<'a> {
    /// Every one, and nothing that only advises: for the launch itself.
    Gate(&'a Progress),
    /// Every one.
    Everybody(&'a Progress),
    /// The first thousand: enough to look at a draft.
    Sample,
}

/// What is known of a campaign before it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preflight {
    /// What to mend and what to look at.
    pub findings: Vec<Finding>,
    /// What was looked at and is well, in a few words each.
    pub passed: Vec<&'static str>,
    /// How many will be written to.
    pub people: i64,
    /// Of them, those at an address of a role, such as info@.
    pub roles: i64,
    /// Messages of all campaigns that found their fate today (UTC).
    pub sent_today: i64,
    /// Who of the list is written to, and who is not.
    pub figures: Figures,
    /// The longest message, in bytes.
    pub longest: usize,
    /// Messages that were made to try them out.
    pub tried: i64,
    /// What became of the last campaign to this list.
    pub last: Option<Last>,
}

/// What became of an earlier campaign to the same list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// What it is called.
    pub name: String,
    /// Deliveries that are settled.
    pub people: i64,
    /// Of them, those that failed.
    pub bounced: i64,
}

impl Preflight {
    /// Whether nothing stands in its way.
    #[must_use]
    pub fn can_go(&self) -> bool {
        !self.findings.iter().any(Finding::stops)
    }

    /// Whether the letter was made for some only.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        0 < self.tried && self.tried < self.people
    }
}

/// Tells all that is known of a campaign before it goes.
///
/// # Errors
/// [`Error`] when the database does not answer.
pub async fn preflight(
    db: &Pool,
    campaign: &Campaign,
    sender: &Sender,
    depth: Depth<'_>,
    now: DateTime<Utc>,
) -> Result<Preflight, Error> {
    of_audience(db, campaign, Audience::of(campaign), sender, depth, now).await
}

async fn of_audience(
    db: &Pool,
    campaign: &Campaign,
    audience: Audience,
    sender: &Sender,
    depth: Depth<'_>,
    now: DateTime<Utc>,
) -> Result<Preflight, Error> {
    let mut preflight = look(db, campaign, audience, sender, depth, now).await?;
    audience::history(db, &mut preflight, now).await?;
    if !matches!(depth, Depth::Gate(_)) {
        preflight.figures = people::figures(db, audience, now).await?;
        // Those of a resend are not as the whole list is.
        if campaign.resend.is_none() {
            preflight.last = last(db, campaign).await?;
        }
        audience::figures(&mut preflight);
    }
    preflight.findings.sort_by_key(|finding| finding.level);
    Ok(preflight)
}

async fn look(
    db: &Pool,
    campaign: &Campaign,
    audience: Audience,
    sender: &Sender,
    depth: Depth<'_>,
    now: DateTime<Utc>,
) -> Result<Preflight, Error> {
    let draft = &campaign.draft;
    let mut preflight = Preflight::default();
    envelope::draft(draft, &mut preflight);
    let Some(list) = lists::get(db, draft.list).await? else {
        let gone = Finding::new(Check::ListGone, "The list is not there any more.", "Choose another.");
        preflight.findings.push(gone);
        return Ok(preflight);
    };
    let template = Template::compile(draft, &list.name);
    let fields: Vec<String> = template.iter().flat_map(Template::needed_fields).collect();
    let counts = people::counts(db, audience, &fields, now).await?;
    (preflight.people, preflight.roles) = (counts.people, counts.roles);
    if preflight.people == 0 {
        if audience.joined.is_some() {
            // That nobody joined meanwhile is no fault, and all else is known.
            return Ok(preflight);
        }
        let what = match audience.resend {
            None => format!("Nobody on “{}” can be written to.", list.name),
            Some(_) => "Nobody is left to send it again to: they have it, or may not be written to.".to_owned(),
        };
        preflight.findings.push(Finding::new(
            Check::NobodyLeft,
            what,
            "Choose another list, or import people into it.",
        ));
    }
    let template = match template {
        Ok(template) => template,
        Err(error) => {
            let remedy = "Correct that place.";
            preflight.findings.push(Finding::new(Check::CannotBeMade, format!("{error}."), remedy));
            return Ok(preflight);
        }
    };
    lacking(db, fields.into_iter().zip(counts.lacking), audience, &mut preflight, now).await?;
    let mut trial = Trial::of(&template, draft, sender);
    match depth {
        Depth::Sample => {
            let few = people::people(db, audience, ContactId(0), SAMPLE, now).await?;
            few.iter().for_each(|contact| trial.add(contact));
        }
        Depth::Gate(progress) | Depth::Everybody(progress) => {
            let told = |made| progress.tell(made, preflight.people);
            try_all(db, audience, &mut trial, told, now).await?;
            // Some left while it was made for others.
            preflight.people = trial.tried();
        }
    }
    trial.tell(&mut preflight);
    content::look(draft, &template, sender, &mut preflight);
    letter::look(campaign, &list.name, sender, &mut preflight, now);
    Ok(preflight)
}

/// Makes the letter to everybody, and tells how many are made. The next people come from the database meanwhile, on
/// another thread.
async fn try_all(
    db: &Pool,
    audience: Audience,
    trial: &mut Trial<'_>,
    told: impl Fn(i64),
    now: DateTime<Utc>,
) -> Result<(), Error> {
    /// So many are written to before anything else on this thread has its turn.
    const AT_ONCE: usize = 50;
    let read = |after| {
        let db = db.clone();
        async move { people::people(&db, audience, after, CHUNK, now).await }
    };
    let mut reading = JoinSet::new();
    reading.spawn(read(ContactId(0)));
    while let Some(chunk) = reading.join_next().await {
        told(trial.tried());
        let chunk = match chunk {
            Ok(chunk) => chunk?,
            Err(broken) => match broken.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The program ends.
                Err(_) => std::future::pending().await,
            },
        };
        let Some(last) = chunk.last() else { break };
        reading.spawn(read(last.id));
        for few in chunk.chunks(AT_ONCE) {
            few.iter().for_each(|contact| trial.add(contact));
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Who has no value for a merge field, where it is known how many lack each: asked of everybody, whatever the depth.
async fn lacking(
    db: &Pool,
    fields: impl Iterator<Item = (String, i64)>,
    audience: Audience,
    preflight: &mut Preflight,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let mut all_there = true;
    for (field, count) in fields {
        if count == 0 {
            continue;
        }
        all_there = false;
        let few = people::lacking(db, audience, &field, ContactId(0), NAMED, now).await?;
        let contacts: Vec<String> = few.iter().map(|contact| contact.address.to_string()).collect();
        let what = format!(
            "{{{{ {field} }}}} has no value for {} of {} contacts, such as {}.",
            Grouped(count),
            Grouped(preflight.people),
            contacts.join(", ")
        );
        let count = u64::try_from(count).unwrap_or_default();
        let finding = Finding::new(Check::FieldEmpty, what, "Give it a default, or correct the field’s name.");
        preflight.findings.push(Finding { contacts, count, mend: Mend::Lacking(field), ..finding });
    }
    if all_there {
        preflight.passed.push("merge fields");
    }
    Ok(())
}

/// The last campaign to the same list that says something about the next.
async fn last(db: &Pool, campaign: &Campaign) -> Result<Option<Last>, Error> {
    let over = campaigns::in_states(db, &[CampaignState::Sending, CampaignState::Sent]).await?;
    let before = over.into_iter().rev();
    let to_list = |one: &Campaign| one.draft.list == campaign.draft.list && one.resend.is_none();
    let Some(last) = before.filter(|one| to_list(one) && one.planned >= TELLING).max_by_key(|one| one.id) else {
        return Ok(None);
    };
    let counts = deliveries::counts(db, last.id).await?;
    let count = |state| counts.get(&state).copied().unwrap_or_default();
    let bounced = count(StateName::Bounced);
    let people = bounced + count(StateName::Accepted);
    Ok((people >= TELLING).then_some(Last { name: last.draft.name, people, bounced }))
}

fn note(count: &mut u64, names: &mut Vec<String>, contact: &Contact) {
    *count += 1;
    if names.len() < NAMED as usize {
        names.push(contact.address.to_string());
    }
}

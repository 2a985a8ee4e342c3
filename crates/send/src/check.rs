//! What must be mended before a campaign can go, and what should be.

use crate::Sender;
use crate::template::Template;
use chrono::{DateTime, Utc};
use rebound_db::{Error, Pool, lists, subscriptions};
use rebound_domain::{Contact, ContactId, DeliveryId, Draft};
use std::collections::BTreeMap;

/// Contacts whose messages are tried out at once.
const CHUNK: u32 = 5_000;

/// Contacts that a finding names.
const NAMED: usize = 5;

/// Gmail cuts longer messages off.
const CLIPPED: usize = 100_000;

/// Something that the author should know before the launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether the campaign cannot go with it.
    pub stops: bool,
    /// What it is, in words for the author.
    pub what: String,
    /// Whom it concerns: the first few.
    pub contacts: Vec<String>,
    /// How many it concerns.
    pub count: u64,
}

impl Finding {
    fn stop(what: impl Into<String>) -> Self {
        Self { stops: true, what: what.into(), contacts: vec![], count: 0 }
    }

    fn hint(what: impl Into<String>) -> Self {
        Self { stops: false, ..Self::stop(what) }
    }
}

/// Tries the whole campaign out without sending: every message to every contact.
///
/// # Errors
/// [`Error`] when the database does not answer.
pub async fn check(db: &Pool, draft: &Draft, sender: &Sender, now: DateTime<Utc>) -> Result<Vec<Finding>, Error> {
    let mut findings = of_the_draft(draft);
    let Some(list) = lists::get(db, draft.list).await? else {
        findings.push(Finding::stop("The list is not there any more. Choose another."));
        return Ok(findings);
    };
    let template = match Template::compile(draft, &list.name) {
        Ok(template) => template,
        Err(error) => {
            findings.push(Finding::stop(error.to_string()));
            return Ok(findings);
        }
    };
    let mut trial =
        Trial { template: &template, sender, lacking: BTreeMap::new(), failing: None, longest: 0, people: 0 };
    let mut after = ContactId(0);
    loop {
        let chunk = subscriptions::audience(db, draft.list, after, CHUNK, now).await?;
        let Some(last) = chunk.last() else { break };
        after = last.id;
        chunk.iter().for_each(|contact| trial.add(contact));
        tokio::task::yield_now().await;
    }
    trial.findings(&mut findings, &list.name);
    Ok(findings)
}

fn of_the_draft(draft: &Draft) -> Vec<Finding> {
    let mut findings = Vec::new();
    if draft.subject.trim().is_empty() {
        findings.push(Finding::stop("The subject is empty."));
    }
    if draft.html.trim().is_empty() && draft.text.trim().is_empty() {
        findings.push(Finding::stop("The message is empty."));
    }
    if draft.postal_address.trim().is_empty() {
        findings.push(Finding::stop("The postal address is missing: the law asks where the sender can be found."));
    }
    if !draft.html.trim().is_empty() && draft.text.trim().is_empty() {
        findings.push(Finding::hint("There is no text part. One is made from the HTML."));
    }
    findings
}

struct Trial<'a> {
    template: &'a Template,
    sender: &'a Sender,
    lacking: BTreeMap<String, (u64, Vec<String>)>,
    failing: Option<(String, u64, Vec<String>)>,
    longest: usize,
    people: u64,
}

impl Trial<'_> {
    fn add(&mut self, contact: &Contact) {
        self.people += 1;
        for field in self.template.needed_fields() {
            if contact.fields.get(&field).is_none_or(String::is_empty) {
                let (count, names) = self.lacking.entry(field).or_default();
                note(count, names, contact);
            }
        }
        let link = self.sender.unsubscribe_url(DeliveryId(0));
        match self.template.render(contact.address.as_str(), &contact.fields, &link) {
            Ok(rendered) => self.longest = self.longest.max(rendered.html.len() + rendered.text.len()),
            Err(error) => {
                let (_, count, names) = self.failing.get_or_insert_with(|| (error.to_string(), 0, vec![]));
                note(count, names, contact);
            }
        }
    }

    fn findings(self, findings: &mut Vec<Finding>, list: &str) {
        if self.people == 0 {
            findings.push(Finding::stop(format!("Nobody on “{list}” can be written to.")));
        }
        for (field, (count, contacts)) in self.lacking {
            let what = format!(
                "{{{{ {field} }}}} has no value for {count} of {} contacts, such as {}. Give it a default, or correct the field's name.",
                self.people,
                contacts.join(", ")
            );
            findings.push(Finding { stops: true, what, contacts, count });
        }
        if let Some((error, count, contacts)) = self.failing {
            let what =
                format!("{error}: the message cannot be made for {count} contacts, such as {}.", contacts.join(", "));
            findings.push(Finding { stops: true, what, contacts, count });
        }
        if self.longest > CLIPPED {
            let kilobytes = self.longest / 1000;
            findings.push(Finding::hint(format!("The message has {kilobytes} KB; Gmail cuts it off after 102 KB.")));
        }
    }
}

fn note(count: &mut u64, names: &mut Vec<String>, contact: &Contact) {
    *count += 1;
    if names.len() < NAMED {
        names.push(contact.address.to_string());
    }
}

//! Making messages without sending them, to see what goes wrong.

use super::content::shows;
use super::{Check, Finding, Preflight, note};
use crate::Sender;
use crate::template::{Rendered, Template};
use memchr::memmem;
use minijinja::HtmlEscape;
use rebound_domain::{Contact, DeliveryId, Draft, EmailAddress, Grouped};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Gmail cuts longer messages off: 102 KB of what it shows, less what it adds.
const CLIPPED: usize = 100_000;

/// Many hosts take no longer ones. Each byte counts four thirds, as it travels.
const LARGEST: usize = 10_000_000 / 4 * 3;

/// Whom something concerns.
#[derive(Default)]
struct Touched {
    count: u64,
    names: Vec<String>,
}

/// One campaign, tried with one contact after another.
pub(super) struct Trial<'a> {
    template: &'a Template,
    link: String,
    postal_address: &'a str,
    failing: Touched,
    error: String,
    without_link: Touched,
    without_address: Touched,
    longest: usize,
    tried: i64,
    /// Hashes of the mailboxes so far: eight bytes for each contact.
    mailboxes: HashSet<u64>,
    twice: Touched,
}

impl<'a> Trial<'a> {
    pub(super) fn of(template: &'a Template, draft: &'a Draft, sender: &Sender) -> Self {
        Self {
            template,
            link: sender.unsubscribe_url(DeliveryId(0)),
            postal_address: draft.postal_address.trim(),
            failing: Touched::default(),
            error: String::new(),
            without_link: Touched::default(),
            without_address: Touched::default(),
            longest: 0,
            tried: 0,
            mailboxes: HashSet::new(),
            twice: Touched::default(),
        }
    }

    /// How many it was tried with.
    pub(super) fn tried(&self) -> i64 {
        self.tried
    }

    pub(super) fn add(&mut self, contact: &Contact) {
        self.tried += 1;
        let mut hasher = DefaultHasher::new();
        mailbox(&contact.address).hash(&mut hasher);
        if !self.mailboxes.insert(hasher.finish()) {
            note(&mut self.twice.count, &mut self.twice.names, contact);
        }
        match self.template.render(contact.address.as_str(), &contact.fields, &self.link) {
            Ok(rendered) => self.read(&rendered, contact),
            Err(error) => {
                if self.failing.count == 0 {
                    self.error = error.to_string();
                }
                note(&mut self.failing.count, &mut self.failing.names, contact);
            }
        }
    }

    fn read(&mut self, rendered: &Rendered, contact: &Contact) {
        self.longest = self.longest.max(rendered.html.len() + rendered.text.len());
        let everywhere = |html: &str, text: &str| {
            memmem::find(rendered.text.as_bytes(), text.as_bytes()).is_some()
                && (rendered.html.is_empty() || shows(&rendered.html, html))
        };
        if !everywhere(&self.link, &self.link) {
            note(&mut self.without_link.count, &mut self.without_link.names, contact);
        }
        let escaped = HtmlEscape(self.postal_address).to_string();
        if !everywhere(&escaped, self.postal_address) {
            note(&mut self.without_address.count, &mut self.without_address.names, contact);
        }
    }

    pub(super) fn tell(self, preflight: &mut Preflight) {
        preflight.tried = self.tried;
        preflight.longest = self.longest;
        let concerns = |check: Check, some: Touched, what: String, remedy: &str| Finding {
            count: some.count,
            contacts: some.names,
            ..Finding::new(check, what, remedy)
        };
        let such = |some: &Touched| match some.count {
            1 => some.names.join(", "),
            count => format!("{} contacts, such as {}", Grouped(count.cast_signed()), some.names.join(", ")),
        };
        let findings = &mut preflight.findings;
        if self.failing.count > 0 {
            let what = format!("The message cannot be made for {}: {}.", such(&self.failing), self.error);
            findings.push(concerns(Check::CannotBeMade, self.failing, what, "Correct that place, or their values."));
        }
        match self.without_link.count {
            0 => preflight.passed.push("unsubscribe link"),
            _ => {
                let what = format!("No unsubscribe link is seen by {}.", such(&self.without_link));
                let remedy = "Put {{ unsubscribe_url }} where everybody sees it.";
                findings.push(concerns(Check::UnsubscribeHidden, self.without_link, what, remedy));
            }
        }
        match self.without_address.count {
            // An empty one is told of where it is asked for.
            0 if self.postal_address.is_empty() => {}
            0 => preflight.passed.push("postal address"),
            _ => {
                let what = format!("The postal address is missing for {}.", such(&self.without_address));
                let remedy = "Put {{ postal_address }} where everybody sees it.";
                findings.push(concerns(Check::AddressHidden, self.without_address, what, remedy));
            }
        }
        match self.twice.count {
            0 => preflight.passed.push("nobody twice"),
            _ => {
                let what = format!("The same mailbox is on the list under another spelling: {}.", such(&self.twice));
                findings.push(concerns(Check::SameMailbox, self.twice, what, "Suppress one of both."));
            }
        }
        let size = format!("The message has {} KB.", self.longest / 1000);
        let remedy = "Shorten it, or link pictures instead of putting them inside.";
        if self.longest > LARGEST {
            findings.push(Finding::new(Check::TooLarge, size, remedy));
        } else if self.longest > CLIPPED {
            findings.push(Finding::new(Check::Clipped, size, remedy));
        } else if self.tried > 0 {
            preflight.passed.push("size");
        }
    }
}

/// What its provider takes for one mailbox: nobody counts what follows a plus, and Gmail no dots.
fn mailbox(address: &EmailAddress) -> String {
    let (local, domain) = (address.local().to_lowercase(), address.domain());
    let local = local.split('+').next().unwrap_or_default();
    match domain {
        "gmail.com" | "googlemail.com" => format!("{}@gmail.com", local.replace('.', "")),
        _ => format!("{local}@{domain}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mailbox_has_many_spellings() {
        for (one, other, same) in [
            ("ada.b@gmail.com", "adab+news@googlemail.com", true),
            ("ada@orchard.test", "Ada+shop@orchard.test", true),
            ("ada.b@orchard.test", "adab@orchard.test", false),
            ("ada@orchard.test", "ada@larkfield.test", false),
        ] {
            let key = |text: &str| mailbox(&text.parse().unwrap());
            assert_eq!(key(one) == key(other), same, "{one} {other}");
        }
    }
}

//! Making messages without sending them, to see what goes wrong.

use super::{Finding, Part, Preflight, note};
use crate::Sender;
use crate::template::{Rendered, Template};
use minijinja::HtmlEscape;
use rebound_domain::{Contact, DeliveryId, Draft};

/// Gmail cuts longer messages off.
const CLIPPED: usize = 100_000;

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
        }
    }

    pub(super) fn add(&mut self, contact: &Contact) {
        self.tried += 1;
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
            rendered.text.contains(text) && (rendered.html.is_empty() || rendered.html.contains(html))
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
        let stop = |some: Touched, what: String| Finding {
            count: some.count,
            contacts: some.names,
            ..Finding::stop(Part::Content, what)
        };
        let such = |some: &Touched| format!("{} contacts, such as {}", some.count, some.names.join(", "));
        if self.failing.count > 0 {
            let what = format!("{}: the message cannot be made for {}.", self.error, such(&self.failing));
            preflight.findings.push(stop(self.failing, what));
        }
        match self.without_link.count {
            0 => preflight.passed.push("unsubscribe link"),
            _ => {
                let what = format!(
                    "There is no unsubscribe link for {}. Put {{{{ unsubscribe_url }}}} where everybody sees it.",
                    such(&self.without_link)
                );
                preflight.findings.push(stop(self.without_link, what));
            }
        }
        match self.without_address.count {
            // An empty one is told of where it is asked for.
            0 if self.postal_address.is_empty() => {}
            0 => preflight.passed.push("postal address"),
            _ => {
                let what = format!(
                    "The postal address is missing for {}. Put {{{{ postal_address }}}} where everybody sees it.",
                    such(&self.without_address)
                );
                preflight.findings.push(stop(self.without_address, what));
            }
        }
        if self.longest > CLIPPED {
            let what = format!(
                "The message has {} KB; Gmail cuts it off after 102 KB. Shorten it, or link pictures instead of putting them inside.",
                self.longest / 1000
            );
            preflight.findings.push(Finding::hint(Part::Content, what));
        } else if self.tried > 0 {
            preflight.passed.push("size");
        }
    }
}

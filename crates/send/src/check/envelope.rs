//! What the draft says of itself: its subject, its address, and whom it is from.

use super::{Check, Finding, Preflight};
use rebound_domain::{Draft, EmailAddress};

/// Longer subjects are cut off in lists of mail.
const LONG_SUBJECT: usize = 78;

/// Letters from which capitals shout.
const SHOUTED: usize = 8;

/// Providers that let only their own servers send in their name (DMARC).
const MAILBOX_PROVIDERS: [&str; 16] = [
    "aol.com",
    "gmail.com",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hotmail.com",
    "icloud.com",
    "live.com",
    "mail.ru",
    "me.com",
    "outlook.com",
    "web.de",
    "yahoo.com",
    "yandex.ru",
    "ymail.com",
];

pub(super) fn draft(draft: &Draft, preflight: &mut Preflight) {
    let findings = &mut preflight.findings;
    match subject(&draft.subject) {
        Some(finding) => findings.push(finding),
        None => preflight.passed.push("subject"),
    }
    if draft.html.trim().is_empty() && draft.text.trim().is_empty() {
        findings.push(Finding::new(Check::MessageEmpty, "The message is empty.", "Write something."));
    }
    if draft.postal_address.trim().is_empty() {
        let remedy = "Say where you can be found; it stands at the foot of every message.";
        findings.push(Finding::new(Check::AddressMissing, "The postal address is missing.", remedy));
    }
    let addresses = [(Check::FromBeyondAscii, Some(&draft.from)), (Check::ReplyToBeyondAscii, draft.reply_to.as_ref())];
    for (check, address) in addresses {
        findings.extend(address.and_then(|address| beyond_ascii(check, address)));
    }
    let domain = draft.from.domain();
    if is_mailbox_provider(domain) {
        let what = format!("The sender’s address is at {domain}, which allows no other server to send in its name.");
        findings.push(Finding::new(Check::MailboxProvider, what, "Use a domain of your own."));
    } else {
        preflight.passed.push("sender’s address");
    }
}

fn beyond_ascii(check: Check, address: &EmailAddress) -> Option<Finding> {
    let what = format!("{address} has letters that stand only in few hosts’ addresses.");
    (!address.as_str().is_ascii()).then(|| Finding::new(check, what, "Use an address of plain letters (ASCII)."))
}

/// Whether mail from `domain` can come only from its own servers.
pub(super) fn is_mailbox_provider(domain: &str) -> bool {
    MAILBOX_PROVIDERS.contains(&domain) || domain.starts_with("yahoo.") || domain.starts_with("hotmail.")
}

fn subject(subject: &str) -> Option<Finding> {
    let subject = subject.trim();
    let length = subject.chars().count();
    let letters: Vec<char> = without_fields(subject).chars().filter(|c| c.is_alphabetic()).collect();
    let lower = subject.to_lowercase();
    let pretends = ["re:", "fw:", "fwd:", "aw:", "wg:", "tr:", "sv:"].iter().find(|words| lower.starts_with(**words));
    if subject.is_empty() {
        Some(Finding::new(Check::SubjectEmpty, "The subject is empty.", "Write one."))
    } else if let Some(words) = pretends {
        let what = format!("The subject begins with “{}”, as an answer would.", &subject[..words.len()]);
        Some(Finding::new(Check::SubjectPretends, what, "Leave that out."))
    } else if letters.len() >= SHOUTED && letters.iter().all(|c| c.is_uppercase()) {
        let what = "The subject is in capitals from end to end.";
        Some(Finding::new(Check::SubjectShouts, what, "Write it as in a sentence."))
    } else if length > LONG_SUBJECT {
        let what = format!("The subject has {length} letters; many lists of mail show the first 60.");
        Some(Finding::new(Check::SubjectLong, what, "Say the most telling thing first."))
    } else {
        None
    }
}

/// Merge fields are written in small letters, whatever surrounds them.
fn without_fields(subject: &str) -> String {
    let mut rest = subject;
    let mut kept = String::new();
    while let Some((before, after)) = rest.split_once("{{") {
        kept.push_str(before);
        rest = after.split_once("}}").map_or("", |(_, after)| after);
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_neither_shouts_nor_pretends() {
        for (text, expected) in [
            ("The bulbs are in", None),
            ("{{ first_name }}, HURRY WHILE IT LASTS", Some(Check::SubjectShouts)),
            ("BBC NEWS", None), // seven letters may be names
            ("春の球根が届きました、今週だけ", None),
            ("Re: your order", Some(Check::SubjectPretends)),
            ("Reading in the garden", None),
            (" ", Some(Check::SubjectEmpty)),
            (&"word ".repeat(20), Some(Check::SubjectLong)),
        ] {
            assert_eq!(subject(text).map(|finding| finding.check), expected, "{text}");
        }
    }

    #[test]
    fn a_mailbox_provider_sends_by_itself() {
        for (domain, expected) in [("gmail.com", true), ("yahoo.co.uk", true), ("fernhill.example", false)] {
            assert_eq!(is_mailbox_provider(domain), expected, "{domain}");
        }
    }
}

//! Whom a message is from and to, and its subject.

use super::{Finding, Part, Preflight};
use crate::Sender;
use rebound_domain::Draft;

/// Longer subjects are cut off in lists of mail.
const LONG_SUBJECT: usize = 78;

/// Providers that let only their own servers send in their name (DMARC).
pub(super) const MAILBOX_PROVIDERS: [&str; 10] = [
    "aol.com",
    "gmail.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hotmail.com",
    "icloud.com",
    "outlook.com",
    "web.de",
    "yahoo.com",
];

pub(super) fn draft(draft: &Draft, sender: &Sender, preflight: &mut Preflight) {
    let findings = &mut preflight.findings;
    let before = findings.len();
    match draft.subject.trim() {
        "" => findings.push(Finding::stop(Part::Subject, "The subject is empty.")),
        long if long.chars().count() > LONG_SUBJECT => {
            let what =
                format!("The subject has {} letters; many lists of mail show the first 60.", long.chars().count());
            findings.push(Finding::hint(Part::Subject, what));
        }
        _ => {}
    }
    if findings.len() == before {
        preflight.passed.push("subject");
    }
    if draft.html.trim().is_empty() && draft.text.trim().is_empty() {
        findings.push(Finding::stop(Part::Content, "The message is empty."));
    }
    if draft.postal_address.trim().is_empty() {
        let what = "The postal address is missing: the law asks where the sender can be found.";
        findings.push(Finding::stop(Part::Content, what));
    }
    match from(draft.from.domain(), &sender.return_domain) {
        Some(what) => findings.push(Finding::hint(Part::From, what)),
        None => preflight.passed.push("return path"),
    }
}

/// What a receiving server may dislike in the sender's address.
fn from(domain: &str, return_domain: &str) -> Option<String> {
    if MAILBOX_PROVIDERS.contains(&domain) {
        return Some(format!(
            "The sender's address is at {domain}, which allows no other server to send in its name. Use a domain of your own, or much of this is refused."
        ));
    }
    (!aligned(domain, return_domain)).then(|| {
        format!(
            "Bounces come back to {return_domain}, which is not part of {domain}: SPF says nothing for this sender. Let the relay sign with DKIM for {domain}, or use a return path below it."
        )
    })
}

/// Whether one is the other's part, or both are parts of one domain (RFC 7489 §3.1, without the public suffix list:
/// what is shared must have two labels at least).
fn aligned(one: &str, other: &str) -> bool {
    let below = |part: &str, whole: &str| part.strip_suffix(whole).is_some_and(|rest| rest.ends_with('.'));
    let parent =
        |domain: &str| domain.split_once('.').map(|(_, rest)| rest.to_owned()).filter(|rest| rest.contains('.'));
    one == other || below(one, other) || below(other, one) || (parent(one).is_some() && parent(one) == parent(other))
}

/// What the figures of an audience say.
pub(super) fn audience(preflight: &mut Preflight) {
    let figures = preflight.figures;
    if figures.roles > 0 {
        let what = format!(
            "{} addresses belong to a role, such as info@ or postmaster@. Nobody asked for mail there in person; write to people instead.",
            figures.roles
        );
        preflight.findings.push(Finding::hint(Part::To, what));
    }
    if preflight.people >= 100 && figures.new * 2 > preflight.people {
        let what = format!(
            "{} of {} were never written to by this installation. Expect more bounces than usual, and send to a small list first.",
            figures.new, preflight.people
        );
        preflight.findings.push(Finding::hint(Part::To, what));
    }
    preflight.passed.push("nobody twice");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spf_speaks_for_a_sender_whose_return_path_is_of_the_same_house() {
        for (from, back, expected) in [
            ("fernhill.example", "bounce.fernhill.example", true),
            ("fernhill.example", "fernhill.example", true),
            ("news.fernhill.example", "bounce.fernhill.example", true),
            ("fernhill.example", "bounce.relay.example", false),
            ("orchard.test", "fernhill.test", false),
            ("hill.example", "fernhill.example", false),
        ] {
            assert_eq!(aligned(from, back), expected, "{from} {back}");
        }
        assert!(super::from("gmail.com", "bounce.fernhill.example").is_some());
    }
}

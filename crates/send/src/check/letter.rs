//! The whole message as it travels: its headers and its lines.

use super::{Check, Finding, Preflight};
use crate::{Composer, Sender, links_of};
use chrono::{DateTime, Utc};
use rebound_domain::{Campaign, Contact, ContactId, DeliveryId, Fields};

/// The longest line, in bytes and without its end (RFC 5322 §2.1.1).
const LONGEST_LINE: usize = 998;

/// Makes one message for nobody in particular, and reads it as a host would.
pub(super) fn look(campaign: &Campaign, list: &str, sender: &Sender, preflight: &mut Preflight, now: DateTime<Utc>) {
    let Ok(address) = "someone@example.com".parse() else { return };
    let nobody = Contact { id: ContactId(0), address, fields: Fields::new() };
    // What cannot be made is told by the trial of everybody.
    let counted = links_of(&campaign.draft).unwrap_or_default();
    let Ok(composer) = Composer::new(campaign.clone(), list, sender.clone(), &counted) else { return };
    let Ok(message) = composer.compose(DeliveryId(0), &nobody, now) else { return };
    let findings = faults(&message);
    if findings.is_empty() {
        preflight.passed.extend(["one-click headers", "lines"]);
    }
    preflight.findings.extend(findings);
}

fn faults(message: &str) -> Vec<Finding> {
    let head = message.split_once("\r\n\r\n").map_or(message, |(head, _)| head).to_lowercase();
    let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let mut findings = Vec::new();
    let link = header("list-unsubscribe").is_some_and(|value| value.contains("<http"));
    let post = header("list-unsubscribe-post") == Some("list-unsubscribe=one-click");
    if !link || !post {
        let name = if link { "List-Unsubscribe-Post" } else { "List-Unsubscribe" };
        let what = format!("The message has no header {name}.");
        findings.push(Finding::new(Check::OneClickMissing, what, "Tell who runs Rebound: it is to write it."));
    }
    let longest = message.lines().map(str::len).max().unwrap_or_default();
    if longest > LONGEST_LINE {
        let what = format!("A line of the message has {longest} bytes.");
        findings.push(Finding::new(Check::LineTooLong, what, "Break the lines of the HTML."));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_finds_what_it_asks_for() {
        let good = "From: a@b.test\r\nList-Unsubscribe:\r\n <https://a.test/u/1>\r\n\
                    List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nHello\r\n";
        let long = format!("{good}{}\r\n", "x".repeat(999));
        for (message, expected) in [
            (good, vec![]),
            (&good.replace("List-Unsubscribe:", "X:"), vec![Check::OneClickMissing]),
            (&good.replace("List-Unsubscribe-Post", "X"), vec![Check::OneClickMissing]),
            (&good.replace("<https://a.test/u/1>", "<mailto:a@b.test>"), vec![Check::OneClickMissing]),
            (&long, vec![Check::LineTooLong]),
        ] {
            let found: Vec<Check> = faults(message).iter().map(|finding| finding.check).collect();
            assert_eq!(found, expected, "{message}");
        }
    }
}

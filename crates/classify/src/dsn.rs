//! Delivery status fields (RFC 3464), also in the form for addresses beyond ASCII (RFC 6533).

use std::sync::LazyLock;

use rebound_domain::EnhancedStatusCode;
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::message::{Headers, cut, split_head};
use crate::words::addresses_in;

/// Recipients of one report that are read.
const RECIPIENTS: usize = 1_000;
/// Bytes of a name, be it of a host or a person, that are kept: either may stand beside every recipient.
pub(crate) const NAME_BYTES: usize = 1_000;
/// Bytes of a diagnostic that are kept.
const SAID_BYTES: usize = 8 << 10;

/// What the reporting host did with one recipient (RFC 3464 §2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Given up.
    Failed,
    /// Still trying.
    Delayed,
    /// Arrived.
    Delivered,
    /// Handed to a host that reports nothing.
    Relayed,
    /// Sent on to several others.
    Expanded,
}

/// The fields about one recipient.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) recipient: Option<String>,
    pub(crate) original_recipient: Option<String>,
    pub(crate) action: Option<Action>,
    pub(crate) status: Option<EnhancedStatusCode>,
    pub(crate) diagnostic: String,
    pub(crate) remote_mta: Option<String>,
}

/// A whole delivery status part.
#[derive(Debug, Default)]
pub(crate) struct Dsn {
    pub(crate) reporting_mta: Option<String>,
    pub(crate) recipients: Vec<Fields>,
}

impl Dsn {
    /// Reads the text of a delivery status part; `None` if it speaks of no recipient.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut dsn = Self::default();
        let mut rest = text.as_bytes().trim_ascii_start();
        while !rest.is_empty() && dsn.recipients.len() < RECIPIENTS {
            let (headers, after) = split_head(rest);
            dsn.reporting_mta = dsn.reporting_mta.or_else(|| headers.raw("reporting-mta").map(host));
            dsn.recipients.extend(per_recipient(&headers).iter().filter_map(Fields::read));
            rest = skip_text(headers.is_empty(), after).trim_ascii_start();
        }
        dsn.recipients.truncate(RECIPIENTS);
        (!dsn.recipients.is_empty()).then_some(dsn)
    }

    /// Adds the recipients of another part of the same report.
    pub(crate) fn extend(&mut self, other: Self) {
        self.recipients.extend(other.recipients);
        self.recipients.truncate(RECIPIENTS);
    }

    /// Whether it names so many that no more are read.
    pub(crate) fn is_full(&self) -> bool {
        self.recipients.len() == RECIPIENTS
    }
}

/// A line that is no field is left out, so that reading always moves on.
fn skip_text(stuck: bool, rest: &[u8]) -> &[u8] {
    if !stuck {
        return rest;
    }
    rest.iter().position(|&b| b == b'\n').map_or(&[], |end| &rest[end + 1..])
}

/// Some systems forget the empty line between recipients: a field that comes twice begins the next one.
fn per_recipient(headers: &Headers) -> Vec<Vec<(&str, &str)>> {
    let mut groups: Vec<Vec<(&str, &str)>> = vec![Vec::new()];
    for (name, value) in headers.iter() {
        let again = matches!(name, "final-recipient" | "original-recipient")
            && groups.last().is_some_and(|group| group.iter().any(|(have, _)| *have == name));
        if again {
            groups.push(Vec::new());
        }
        if let Some(group) = groups.last_mut() {
            group.push((name, value));
        }
    }
    groups
}

impl Fields {
    fn read(group: &Vec<(&str, &str)>) -> Option<Self> {
        let value = |wanted: &str| group.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
        let recipient = value("final-recipient").or_else(|| value("x-actual-recipient")).and_then(address);
        let original_recipient = value("original-recipient").and_then(address);
        let spoke = value("final-recipient").is_some() || value("action").is_some() || original_recipient.is_some();
        spoke.then(|| Self {
            recipient,
            original_recipient,
            action: value("action").and_then(Action::read),
            status: value("status").and_then(status),
            diagnostic: cut(diagnostic(group), SAID_BYTES),
            remote_mta: value("remote-mta").map(host).filter(|host| !host.is_empty()),
        })
    }

    /// Whether this recipient was given up, by the action or else by the status.
    pub(crate) fn outcome(&self) -> Action {
        self.action.unwrap_or(match self.status {
            Some(status) if status.is_transient() => Action::Delayed,
            Some(status) if !status.is_permanent() => Action::Delivered,
            _ => Action::Failed,
        })
    }
}

impl Action {
    fn read(value: &str) -> Option<Self> {
        let word = value.trim().to_ascii_lowercase();
        // Postfix answers `deliverable` and `undeliverable` to probes.
        let begins = |words: &[&str]| words.iter().any(|start| word.starts_with(start));
        if begins(&["fail", "undeliver", "expire", "denied", "reject"]) {
            Some(Self::Failed)
        } else if begins(&["delay", "warning", "retry"]) {
            Some(Self::Delayed)
        } else if begins(&["deliver"]) {
            Some(Self::Delivered)
        } else if begins(&["relay"]) {
            Some(Self::Relayed)
        } else {
            begins(&["expand"]).then_some(Self::Expanded)
        }
    }
}

/// Every diagnostic there is; the second one often holds the host's own words.
fn diagnostic(group: &[(&str, &str)]) -> String {
    let said = group.iter().filter(|(name, _)| {
        matches!(
            *name,
            "diagnostic-code"
                | "x-diagnostic"
                | "x-smtp-diagnostic"
                | "x-supplementary-info"
                | "x-supplementary-information"
        )
    });
    let words: Vec<_> = said.map(|(_, value)| without_type(value)).collect();
    if words.iter().any(|words| words.len() > 3) {
        return words.join(" ");
    }
    // Some say it in a comment behind the status (RFC 3464 §2.3.4 allows one).
    let status = group.iter().find(|(name, _)| *name == "status").map_or("", |(_, value)| *value);
    let comment = status.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map_or("", |(comment, _)| comment);
    comment.to_owned()
}

/// `rfc822; a@b.test` without the type and brackets.
fn address(value: &str) -> Option<String> {
    let value = without_type(value);
    match addresses_in(&value).into_iter().next() {
        Some(range) => value.get(range).map(|found| found.trim_matches(['"', '\'', '.']).to_owned()),
        None => {
            let name = value.trim_matches(['<', '>', '"', ' ']);
            (!name.is_empty() && !name.contains(' ')).then(|| cut(name.to_owned(), NAME_BYTES))
        }
    }
}

fn host(value: &str) -> String {
    cut(without_type(value), NAME_BYTES)
}

/// `smtp; 550 …` without the type (RFC 3464 §2.1.2).
fn without_type(value: &str) -> String {
    static TYPE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\s*[A-Za-z0-9_.-]{1,30}\s*;\s*").ok());
    match TYPE.as_ref().and_then(|kind| kind.find(value)) {
        Some(found) => value[found.end()..].trim().to_owned(),
        None => value.trim().to_owned(),
    }
}

/// The code at the beginning of a Status field; comments may follow (RFC 3464 §2.3.4).
fn status(value: &str) -> Option<EnhancedStatusCode> {
    let code: String = value.trim().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    code.trim_end_matches('.').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_even_when_recipients_run_together() {
        let dsn = Dsn::read(
            "Reporting-MTA: dns; mx.test\n\nFinal-Recipient: rfc822;<a@b.test>\nAction: failed\nStatus: 5.1.1 (gone)\n\
             Diagnostic-Code: smtp;\n 550 gone\nFinal-Recipient: rfc822; c@d.test\nStatus: 4.2.2\n",
        )
        .unwrap();
        assert_eq!(dsn.reporting_mta.as_deref(), Some("mx.test"));
        let read: Vec<_> = dsn.recipients.iter().map(|r| (r.recipient.as_deref().unwrap(), r.outcome())).collect();
        assert_eq!(read, [("a@b.test", Action::Failed), ("c@d.test", Action::Delayed)]);
        assert_eq!(dsn.recipients[0].diagnostic, "550 gone");
    }
}

//! Whether domains exist, take mail, and belong to each other.

use super::dns::{Dns, Silent};
use super::{Check, Finding};
use futures_util::{StreamExt, stream};
use rebound_db::forecast::AtDomain;
use rebound_domain::{Draft, Grouped, organisational_domain};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Domains that are asked about at once.
const AT_ONCE: usize = 64;

/// Domains that a finding names.
const NAMED: usize = 5;

/// What a domain says to mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mail {
    /// It takes mail.
    Taken,
    /// It says that it takes none (null MX, RFC 7505).
    Declined,
    /// There is no such domain, or nothing at it.
    Nowhere,
}

/// Whether mail can be sent to `domain` (RFC 5321 §5.1: without MX records its own address stands in).
pub(super) async fn mail(dns: &Dns, domain: &str) -> Result<Mail, Silent> {
    let hosts = dns.exchangers(domain).await?;
    if hosts.iter().any(|host| !host.is_empty()) {
        return Ok(Mail::Taken);
    }
    if !hosts.is_empty() {
        return Ok(Mail::Declined);
    }
    let there = !dns.addresses(domain).await?.is_empty();
    Ok(if there { Mail::Taken } else { Mail::Nowhere })
}

/// Whether the addresses in the headers can be answered.
pub(super) async fn senders(dns: &Dns, draft: &Draft) -> Result<Vec<Finding>, Silent> {
    let from = draft.from.domain();
    let mut findings = Vec::new();
    match mail(dns, from).await? {
        Mail::Taken => {}
        Mail::Declined => {
            let what = format!("{from} says in DNS that it takes no mail (null MX).");
            findings.push(Finding::new(Check::FromDeaf, what, "Use an address that can be answered."));
        }
        Mail::Nowhere => {
            let what = format!("There is no domain {from}: it has neither an MX record nor an address.");
            findings.push(Finding::new(Check::FromDomainMissing, what, "Correct the sender’s address."));
        }
    }
    if let Some(reply_to) = draft.reply_to.as_ref().filter(|reply_to| reply_to.domain() != from)
        && mail(dns, reply_to.domain()).await? != Mail::Taken
    {
        let what = format!("Answers go to {}, which takes no mail.", reply_to.domain());
        findings.push(Finding::new(Check::ReplyToDeaf, what, "Correct the address for answers."));
    }
    Ok(findings)
}

/// Those of the audience's domains that take no mail, and how many did not say before `until`.
pub(super) async fn dead(dns: &Dns, domains: &[AtDomain], patience: Duration) -> (Vec<AtDomain>, usize) {
    let until = Instant::now() + patience;
    let asked: Vec<_> = domains.iter().map(|at| one(dns, at)).collect();
    let mut answers = stream::iter(asked).buffer_unordered(AT_ONCE);
    let (mut dead, mut heard) = (Vec::new(), 0);
    while let Ok(Some((at, mail))) = timeout_at(until, answers.next()).await {
        match mail {
            Ok(Mail::Taken) => heard += 1,
            Ok(Mail::Declined | Mail::Nowhere) => {
                heard += 1;
                dead.push(at.clone());
            }
            Err(Silent) => {}
        }
    }
    dead.sort_by(|one, other| other.people.cmp(&one.people).then_with(|| one.domain.cmp(&other.domain)));
    (dead, domains.len() - heard)
}

async fn one<'a>(dns: &Dns, at: &'a AtDomain) -> (&'a AtDomain, Result<Mail, Silent>) {
    (at, mail(dns, &at.domain).await)
}

/// What the dead domains come to.
pub(super) fn told(dead: &[AtDomain]) -> Option<Finding> {
    let people: i64 = dead.iter().map(|at| at.people).sum();
    let names: Vec<&str> = dead.iter().take(NAMED).map(|at| at.domain.as_str()).collect();
    (people > 0).then(|| {
        let what =
            format!("{} addresses are at domains that take no mail, such as {}.", Grouped(people), names.join(", "));
        let finding = Finding::new(Check::DeadDomains, what, "Correct or suppress them.");
        Finding { count: people.unsigned_abs(), ..finding }
    })
}

/// The part of a domain that somebody registered: `fernhill.co.uk` of `news.fernhill.co.uk` (RFC 7489 §3.2).
pub(super) fn organisation(domain: &str) -> &str {
    organisational_domain(domain).unwrap_or(domain)
}

/// Whether one speaks for the other: strictly, only as itself; else anywhere in one organisation (RFC 7489 §3.1).
pub(super) fn aligned(one: &str, other: &str, strict: bool) -> bool {
    if strict { one == other } else { organisation(one) == organisation(other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_house_may_have_many_names() {
        for (one, other, relaxed) in [
            ("fernhill.example", "bounce.fernhill.example", true),
            ("news.fernhill.co.uk", "bounce.fernhill.co.uk", true),
            ("fernhill.co.uk", "orchard.co.uk", false),
            ("fernhill.example", "bounce.relay.example", false),
            ("hill.example", "fernhill.example", false),
            ("one.github.io", "two.github.io", false),
        ] {
            assert_eq!(aligned(one, other, false), relaxed, "{one} {other}");
            assert_eq!(aligned(one, other, true), one == other, "{one} {other}");
        }
    }
}

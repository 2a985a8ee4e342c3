//! Which servers may send for a domain (RFC 7208).

use super::dns::{Dns, Silent};
use super::domains::organisation;
use super::{Check, Finding};
use futures_util::future::join_all;
use ipnet::IpNet;
use std::net::IpAddr;

/// Look-ups that a receiver makes (RFC 7208 §4.6.4).
const LOOKUPS: usize = 10;

/// Records that are read at most; whoever has more is over the limit long before.
const RECORDS: usize = 30;

/// Relays whose own name is not the one to include.
const INCLUDED: [(&str, &str); 5] = [
    ("amazonaws.com", "amazonses.com"),
    ("gmail.com", "google.com"),
    ("office365.com", "outlook.com"),
    ("postmarkapp.com", "mtasv.net"),
    ("brevo.com", "sendinblue.com"),
];

/// One thing that a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    All,
    /// Another record counts as well, or instead of this one.
    Record(String),
    Hosts {
        of: Option<String>,
        by_mx: bool,
        lengths: (u8, u8),
    },
    Network(IpNet),
    /// `exists` and `ptr`: they cost a look-up, and what they answer depends on each message.
    Asked,
}

/// What a record and all that it includes say.
#[derive(Debug, Default)]
struct Allowed {
    networks: Vec<IpNet>,
    records: Vec<String>,
    lookups: usize,
    is_open: bool,
    /// Whether a message decides, so that nothing is certain.
    is_unsure: bool,
    broken: Option<String>,
}

/// Looks at the record of `domain`: whether it is well, and whether it lets `sources` and `relay` send.
pub(super) async fn look(
    dns: &Dns,
    domain: &str,
    relay: Option<&str>,
    sources: &[IpAddr],
) -> Result<Option<Finding>, Silent> {
    let records = records(dns, domain).await?;
    let [record] = &records[..] else {
        return Ok(Some(match records.len() {
            0 => {
                let remedy = "Add one that names your sending server.";
                Finding::new(Check::SpfMissing, format!("{domain} has no SPF record."), remedy)
            }
            count => {
                let what = format!("{domain} has {count} SPF records.");
                Finding::new(Check::SpfSeveral, what, "Make one of them.")
            }
        }));
    };
    let allowed = allowed(dns, domain, record).await?;
    Ok(judge(domain, &allowed, relay, sources))
}

fn judge(domain: &str, allowed: &Allowed, relay: Option<&str>, sources: &[IpAddr]) -> Option<Finding> {
    if let Some(why) = &allowed.broken {
        let what = format!("The SPF record of {domain} cannot be read: {why}.");
        return Some(Finding::new(Check::SpfBroken, what, "Correct it."));
    }
    if allowed.lookups > LOOKUPS {
        let what = format!("The SPF record of {domain} needs {} look-ups; receivers make ten.", allowed.lookups);
        return Some(Finding::new(Check::SpfLookups, what, "Leave out what you do not use, or write addresses."));
    }
    if allowed.is_open {
        let what = format!("The SPF record of {domain} lets everybody send (+all).");
        return Some(Finding::new(Check::SpfOpen, what, "End it with ~all or -all."));
    }
    let outside: Vec<&IpAddr> = sources.iter().filter(|source| is_public(source)).collect();
    let by_address = |source: &&IpAddr| allowed.networks.iter().any(|network| network.contains(*source));
    let is_named = relay.is_some_and(|relay| includes(&allowed.records, relay));
    if outside.is_empty() || is_named || allowed.is_unsure || outside.iter().all(by_address) {
        return None;
    }
    let missing = outside.iter().find(|source| !by_address(source))?;
    let host = relay.map(|relay| format!(" ({relay})")).unwrap_or_default();
    let what = format!("The SPF record of {domain} does not name the sending server {missing}{host}.");
    let remedy = "Add it as ip4: or ip6:, or include the record that its provider names.";
    Some(Finding::new(Check::SpfRefuses, what, remedy))
}

/// Whether the provider of `relay` is included: it knows its own addresses.
fn includes(records: &[String], relay: &str) -> bool {
    let own = organisation(relay);
    let other = INCLUDED.iter().find(|(name, _)| *name == own).map_or(own, |(_, other)| other);
    records.iter().map(|record| organisation(record)).any(|house| house == own || house == other)
}

/// Whether others see that address.
pub(super) fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => !(four.is_loopback() || four.is_private() || four.is_link_local() || four.is_unspecified()),
        IpAddr::V6(six) => !(six.is_loopback() || six.is_unspecified() || six.is_unique_local()),
    }
}

async fn records(dns: &Dns, domain: &str) -> Result<Vec<String>, Silent> {
    let is_spf = |text: &String| {
        let text = text.to_ascii_lowercase();
        text == "v=spf1" || text.starts_with("v=spf1 ")
    };
    Ok(dns.texts(domain).await?.into_iter().filter(is_spf).collect())
}

/// Reads a record and what it includes, one generation after the other.
async fn allowed(dns: &Dns, domain: &str, record: &str) -> Result<Allowed, Silent> {
    let mut allowed = Allowed::default();
    let mut generation = vec![(domain.to_owned(), record.to_owned())];
    let mut read = 0;
    while !generation.is_empty() && allowed.broken.is_none() {
        let mut next = Vec::new();
        for (domain, record) in generation.drain(..) {
            read += 1;
            match parse(&record) {
                Ok(terms) => {
                    for term in terms {
                        take(dns, &domain, term, &mut allowed, &mut next).await?;
                    }
                }
                Err(why) => allowed.broken = Some(format!("{domain} says “{why}”")),
            }
        }
        if read > RECORDS || allowed.lookups > LOOKUPS {
            break;
        }
        let found = join_all(next.iter().map(|domain| records(dns, domain))).await;
        for (domain, found) in next.into_iter().zip(found) {
            match &found?[..] {
                [one] => generation.push((domain, one.clone())),
                other => {
                    let count = other.len();
                    allowed.broken.get_or_insert(format!("it includes {domain}, which has {count} SPF records"));
                }
            }
        }
    }
    Ok(allowed)
}

async fn take(
    dns: &Dns,
    domain: &str,
    term: Term,
    allowed: &mut Allowed,
    next: &mut Vec<String>,
) -> Result<(), Silent> {
    match term {
        Term::All => allowed.is_open = true,
        Term::Network(network) => {
            // A network of everybody is as good as +all.
            allowed.is_open |= network.prefix_len() == 0;
            allowed.networks.push(network);
        }
        Term::Asked => {
            allowed.lookups += 1;
            allowed.is_unsure = true;
        }
        Term::Record(name) => {
            allowed.lookups += 1;
            // What is not a name depends on each message.
            if name.contains('%') {
                allowed.is_unsure = true;
            } else {
                allowed.records.push(name.clone());
                next.push(name);
            }
        }
        Term::Hosts { of, by_mx, lengths } => {
            allowed.lookups += 1;
            let name = of.as_deref().unwrap_or(domain);
            if name.contains('%') {
                allowed.is_unsure = true;
                return Ok(());
            }
            let hosts = if by_mx { dns.exchangers(name).await? } else { vec![name.to_owned()] };
            for addresses in join_all(hosts.iter().take(10).map(|host| dns.addresses(host))).await {
                allowed.networks.extend(addresses?.into_iter().filter_map(|address| {
                    let length = if address.is_ipv4() { lengths.0 } else { lengths.1 };
                    IpNet::new(address, length).ok()
                }));
            }
        }
    }
    Ok(())
}

/// What a record allows; what it forbids or leaves open says nothing about us. The wrong word where one is wrong.
fn parse(record: &str) -> Result<Vec<Term>, String> {
    let mut terms = Vec::new();
    let mut redirect = None;
    let mut has_all = false;
    for word in record.split_ascii_whitespace().skip(1) {
        let wrong = || word.to_owned();
        let lower = word.to_ascii_lowercase();
        if let Some(name) = lower.strip_prefix("redirect=") {
            redirect = Some(Term::Record(name.to_owned()));
            continue;
        }
        let (allows, rest) = match lower.strip_prefix(['-', '~', '?']) {
            Some(rest) => (false, rest),
            None => (true, lower.strip_prefix('+').unwrap_or(&lower)),
        };
        let (name, value) = match rest.find([':', '/', '=']) {
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, ""),
        };
        if value.starts_with('=') {
            continue; // a modifier that says nothing here: exp, or one that nobody knows (§6)
        }
        let target = value.strip_prefix(':').unwrap_or_default();
        let term = match name {
            "all" if value.is_empty() => {
                has_all = true;
                Term::All
            }
            "include" if !target.is_empty() => Term::Record(target.trim_end_matches('.').to_owned()),
            "ip4" | "ip6" => Term::Network(network(target, name == "ip4").ok_or_else(wrong)?),
            "a" | "mx" => hosts(name == "mx", value).ok_or_else(wrong)?,
            "exists" if !target.is_empty() => Term::Asked,
            "ptr" => Term::Asked,
            _ => return Err(wrong()),
        };
        // What an include forbids still costs its look-up.
        if allows || matches!(term, Term::Record(_) | Term::Asked) {
            terms.push(term);
        }
    }
    terms.extend(redirect.filter(|_| !has_all));
    Ok(terms)
}

fn network(text: &str, four: bool) -> Option<IpNet> {
    let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    (matches!(network, IpNet::V4(_)) == four).then_some(network)
}

/// `a`, `a:name`, `a/24`, `a:name/24//64`.
fn hosts(by_mx: bool, value: &str) -> Option<Term> {
    let (name, lengths) = value.split_once('/').map_or((value, None), |(name, lengths)| (name, Some(lengths)));
    let of = match name {
        "" => None,
        name => Some(name.strip_prefix(':').filter(|name| !name.is_empty())?.to_owned()),
    };
    let (four, six) = match lengths {
        None => ("", ""),
        Some(lengths) => match lengths.strip_prefix('/') {
            Some(six) => ("", six),
            None => lengths.split_once("//").unwrap_or((lengths, "")),
        },
    };
    let length = |text: &str, most: u8| match text {
        "" => Some(most),
        text => text.parse().ok().filter(|length| *length <= most),
    };
    Some(Term::Hosts { of, by_mx, lengths: (length(four, 32)?, length(six, 128)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_receivers_read_it() {
        for (record, expected) in [
            ("v=spf1 -all", Some(0)),
            ("v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 a mx ~all", Some(4)),
            ("v=spf1 A:mail.a.test/24//64 include:_spf.b.test exists:%{i}.c.test ptr ?all", Some(4)),
            ("v=spf1 redirect=_spf.a.test", Some(1)),
            ("v=spf1 redirect=_spf.a.test -all", Some(0)), // §6.1: with all, redirect is passed over
            ("v=spf1 exp=why.a.test unknown=x -all", Some(0)),
            ("v=spf1 ip4:192.0.2.300 -all", None),
            ("v=spf1 ip4:2001:db8::1 -all", None),
            ("v=spf1 a/33 -all", None),
            ("v=spf1 include: -all", None),
            ("v=spf1 ipv4:192.0.2.1 -all", None),
            ("v=spf1 all:x", None),
        ] {
            assert_eq!(parse(record).ok().map(|terms| terms.len()), expected, "{record}");
        }
    }

    #[test]
    fn a_relay_is_named_by_its_provider() {
        for (relay, record, expected) in [
            ("smtp.mailgun.org", "mailgun.org", true),
            ("email-smtp.eu-west-1.amazonaws.com", "amazonses.com", true),
            ("smtp-relay.gmail.com", "_spf.google.com", true),
            ("smtp.fernhill.test", "amazonses.com", false),
        ] {
            assert_eq!(includes(&[record.to_owned()], relay), expected, "{relay} {record}");
        }
    }
}

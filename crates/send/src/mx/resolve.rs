//! From a domain to its mail hosts (RFC 5321 §5.1).

use super::exchange::{Exchange, Host};
use super::names::{Found, NotFound};
use super::security::{Dane, decide};
use super::{NoExchange, Shared};
use futures_util::future::join_all;
use rebound_domain::{BounceCause, Receiver};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Hosts that are called at most, and addresses of all of them.
const HOSTS: usize = 10;
const ADDRESSES: usize = 20;

/// For how long an answer is kept, whatever its name server wishes.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);

/// For how long it is kept that a domain takes no mail.
pub(super) const NO: Duration = Duration::from_secs(300);

/// What DNS says of the mail hosts of a domain.
struct Hosts {
    /// The best first.
    names: Vec<(u16, String)>,
    until: Instant,
    /// Whether the domain names none, and is its own host.
    is_implicit: bool,
}

/// Where the mail of `domain` goes, and for how long that holds.
pub(super) async fn resolve(shared: &Arc<Shared>, domain: &str) -> Result<(Exchange, Duration), NoExchange> {
    let hosts = hosts(shared, domain).await?;
    let names = hosts.names.iter().map(|(_, name)| name.as_str());
    let (found, policy, is_authentic) = tokio::join!(
        join_all(names.clone().map(|name| shared.names.addresses(name))),
        shared.policies.of(domain, &shared.names, &shared.web),
        shared.names.are_hosts_authentic(domain),
    );
    let dane = join_all(names.map(async |name| match is_authentic {
        true => shared.names.dane(name, shared.port).await,
        false => Dane::None,
    }))
    .await;
    let until = found.iter().flatten().map(|found| found.until).fold(hosts.until, Instant::min);
    let best = best(&hosts.names);
    let (mut known, mut left, mut unsaid) = (Vec::new(), ADDRESSES, None);
    for (((preference, name), found), dane) in hosts.names.iter().zip(found).zip(dane) {
        let addresses = match found {
            Ok(Found { records, .. }) if leads_back(shared, &records) => {
                known.retain(|host: &Host| host.preference < *preference);
                break;
            }
            Ok(Found { records, .. }) => callable(shared, records, &mut left),
            Err(NotFound::Unsaid(why)) => {
                unsaid = Some(why);
                vec![]
            }
            Err(NotFound::Name | NotFound::Record) => vec![],
        };
        let security = decide(policy.as_ref(), &dane, name);
        known.push(Host { name: name.clone(), preference: *preference, addresses, security });
    }
    if known.iter().all(|host| host.addresses.is_empty()) {
        return Err(match unsaid {
            Some(why) => NoExchange::unsaid(domain, &why),
            None if known.is_empty() => NoExchange::circle(domain),
            None if hosts.is_implicit => gone(shared, domain, NoExchange::nowhere(domain)).await,
            None => NoExchange::dangling(domain, &known),
        });
    }
    let receiver = Receiver::of_exchange(domain, &best);
    let sts = policy.map(|policy| policy.mode);
    let exchange = Exchange { domain: domain.to_owned(), receiver, hosts: known, sts, shared: shared.clone() };
    Ok((exchange, lives(until.saturating_duration_since(Instant::now()))))
}

fn lives(told: Duration) -> Duration {
    told.clamp(SHORTEST, LONGEST)
}

async fn hosts(shared: &Shared, domain: &str) -> Result<Hosts, NoExchange> {
    let (mut names, until, is_implicit) = match shared.names.mx(domain).await {
        Ok(Found { records, until }) => (records, until, false),
        Err(NotFound::Record) => (vec![(0, domain.to_owned())], Instant::now() + LONGEST, true),
        Err(NotFound::Name) => return Err(gone(shared, domain, NoExchange::unknown(domain)).await),
        Err(NotFound::Unsaid(why)) => return Err(NoExchange::unsaid(domain, &why)),
    };
    // The root as a host says that the domain takes no mail; beside others it says nothing (RFC 7505 §3).
    names.retain(|(_, name)| !name.is_empty());
    if names.is_empty() {
        return Err(NoExchange::null(domain));
    }
    names.sort();
    // What is behind ourselves would send it back to us.
    if let Some(ours) = names.iter().find(|(_, name)| *name == shared.hello).map(|(preference, _)| *preference) {
        names.retain(|(preference, _)| *preference < ours);
    }
    if names.is_empty() {
        return Err(NoExchange::circle(domain));
    }
    names.truncate(HOSTS);
    Ok(Hosts { names, until, is_implicit })
}

/// What follows when nothing is known of `domain`. That ends addresses, so whoever says it has to know other names.
async fn gone(shared: &Shared, domain: &str, none: NoExchange) -> NoExchange {
    if shared.names.know_the_root().await {
        return none;
    }
    NoExchange::unsaid(domain, "they deny all names, even the root of the DNS, so they know nothing of the world")
}

/// The hosts that mail goes to first.
fn best(hosts: &[(u16, String)]) -> Vec<&str> {
    let first = hosts.first().map(|(preference, _)| *preference);
    hosts.iter().filter(|(preference, _)| Some(*preference) == first).map(|(_, name)| name.as_str()).collect()
}

fn leads_back(shared: &Shared, (v4, v6): &(Vec<IpAddr>, Vec<IpAddr>)) -> bool {
    v4.iter().chain(v6).any(|address| shared.places.is_ours(*address))
}

/// Those that may be called, in the order in which they are; takes its share of what is `left`.
fn callable(shared: &Shared, (v4, v6): (Vec<IpAddr>, Vec<IpAddr>), left: &mut usize) -> Vec<IpAddr> {
    let (first, second) = if shared.prefer_ipv6 { (v6, v4) } else { (v4, v6) };
    let addresses = first.into_iter().chain(second).filter(|address| shared.places.may_call(*address));
    // The next host shall have some as well.
    let addresses: Vec<IpAddr> = addresses.take((*left).min(ADDRESSES / 2)).collect();
    *left -= addresses.len();
    addresses
}

impl NoExchange {
    fn new(permanent: bool, cause: BounceCause, words: String) -> Self {
        Self { permanent, cause, words }
    }

    /// The domain does not exist.
    fn unknown(domain: &str) -> Self {
        Self::new(true, BounceCause::DomainUnknown, format!("There is no domain {domain} (NXDOMAIN)."))
    }

    /// The domain says that it takes no mail.
    fn null(domain: &str) -> Self {
        Self::new(true, BounceCause::DomainUnknown, format!("{domain} takes no mail: it says so by a null MX record."))
    }

    /// The domain has neither mail hosts nor an address.
    fn nowhere(domain: &str) -> Self {
        let words = format!("{domain} takes no mail: it has neither an MX record nor an address that mail can go to.");
        Self::new(true, BounceCause::DomainUnknown, words)
    }

    /// It is not a domain.
    pub(super) fn no_name(domain: &str) -> Self {
        Self::new(true, BounceCause::DomainUnknown, format!("“{domain}” is not the name of a domain."))
    }

    /// Nobody said.
    pub(super) fn unsaid(domain: &str, why: &str) -> Self {
        let words = format!("The name servers did not say where the mail of {domain} goes: {why}.");
        Self::new(false, BounceCause::HostUnreachable, words)
    }

    /// Its mail would come back to us.
    fn circle(domain: &str) -> Self {
        let words = format!(
            "The MX records of {domain} lead to this machine itself. Mail for it must be taken in here by another program, or its MX records must name another host."
        );
        Self::new(false, BounceCause::RoutingError, words)
    }

    /// The hosts that it names cannot be called.
    fn dangling(domain: &str, hosts: &[Host]) -> Self {
        let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        let words = format!(
            "None of the mail hosts of {domain} has an address that can be called from here: {}.",
            names.join(", ")
        );
        Self::new(false, BounceCause::HostUnreachable, words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_neither_too_short_nor_too_long() {
        for (told, expected) in [(0, 60), (59, 60), (300, 300), (86_400, 3600)] {
            assert_eq!(lives(Duration::from_secs(told)), Duration::from_secs(expected), "{told}");
        }
    }
}

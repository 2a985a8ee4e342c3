//! What is asked of the world before a launch: DNS, the way back, and the unsubscribe page. All at once, and never
//! for long; who does not answer is told as not checked.

use super::dns::{Dns, Silent};
use super::identity::{self, Dmarc};
use super::spf::{self, is_public};
use super::{Check, DkimState, Finding, Level, Preflight, Surroundings, audience, domains, envelope, one_click};
use crate::return_path::{self, About, State, Way};
use crate::{LaunchError, Sender};
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rebound_db::forecast::{self, AtDomain};
use rebound_db::{Audience, Error, Pool};
use rebound_domain::{Campaign, Grouped, Span};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;
use url::Url;

/// How long all of it may take: two seconds, and what a name server may keep us waiting.
const PATIENCE: Duration = Duration::from_millis(4_500);

/// Domains of an audience that are looked at: the most frequent.
const DOMAINS: usize = 500;

/// Messages a day to one provider from which its rules for bulk senders hold.
const BULK: i64 = 5_000;

/// How long a campaign may take before it is worth a word, in seconds.
const LONG: i64 = 24 * 60 * 60;

const A_DAY: &str = "a day";

/// What the world said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// What to mend and what to look at.
    pub findings: Vec<Finding>,
    /// What was looked at and is well, in a few words each.
    pub passed: Vec<&'static str>,
}

impl Outside {
    /// Lets a campaign pass that nothing stands in the way of.
    ///
    /// # Errors
    /// [`LaunchError::Findings`]
    pub fn gate(&self) -> Result<(), LaunchError> {
        let stops: Vec<Finding> = self.findings.iter().filter(|finding| finding.stops()).cloned().collect();
        if stops.is_empty() { Ok(()) } else { Err(LaunchError::Findings(stops)) }
    }
}

impl Preflight {
    /// With what the world said.
    #[must_use]
    pub fn with(mut self, outside: Outside) -> Self {
        self.findings.extend(outside.findings);
        self.findings.sort_by_key(|finding| finding.level);
        self.passed.extend(outside.passed);
        self
    }
}

/// Asks the world about a campaign. It takes some seconds at most.
///
/// # Errors
/// [`Error`] when the database does not answer.
pub async fn outside(
    db: &Pool,
    campaign: &Campaign,
    sender: &Sender,
    around: &Surroundings,
    now: DateTime<Utc>,
) -> Result<Outside, Error> {
    let at = forecast::domains(db, Audience::of(campaign), DOMAINS, now).await?;
    let expected = audience::expected(db, &at).await?;
    let mut asking = Asking { outside: Outside::default(), unseen: vec![] };
    asking.well("bounces expected", expected.and_then(audience::Expected::finding));
    let people = rebound_db::audience::count(db, Audience::of(campaign), now).await?;
    asking.outside.findings.extend(takes_long(people, around));
    let is_bulk = bulk(&at);
    let public = Url::parse(&sender.public_url).is_ok_and(|url| !one_click::is_loopback(&url));
    match Dns::new(around.way.nameserver) {
        Ok(dns) if public => ask(&dns, campaign, sender, around, &at, now, &mut asking).await,
        Ok(_) => {
            let what = format!("This is a rehearsal: only this machine reaches {}.", sender.public_url);
            let remedy =
                "Before real mail goes, set public_url to an address that people reach; then DNS is looked at.";
            asking.outside.findings.push(Finding::new(Check::NotPublic, what, remedy));
        }
        Err(_) => asking.unseen.push("DNS"),
    }
    Ok(asking.told(is_bulk, &around.dkim))
}

/// What has been heard so far.
struct Asking {
    outside: Outside,
    unseen: Vec<&'static str>,
}

impl Asking {
    fn well(&mut self, name: &'static str, finding: Option<Finding>) {
        match finding {
            Some(finding) => self.outside.findings.push(finding),
            None => self.outside.passed.push(name),
        }
    }

    fn heard(&mut self, name: &'static str, answer: Result<Vec<Finding>, Silent>) {
        match answer {
            Ok(findings) if findings.is_empty() => self.outside.passed.push(name),
            Ok(findings) => self.outside.findings.extend(findings),
            Err(Silent) => self.unseen.push(name),
        }
    }

    fn told(mut self, is_bulk: bool, dkim: &DkimState) -> Outside {
        if is_bulk {
            for finding in &mut self.outside.findings {
                if stops_bulk(finding.check, dkim) {
                    finding.level = Level::Stops;
                }
            }
        }
        if !self.unseen.is_empty() {
            let names = self.unseen.join(", ");
            self.outside.findings.push(Finding::unseen(&capital(&names), "nobody answered in time"));
        }
        self.outside
    }
}

/// Whether receivers refuse a bulk sender for it. What a signature of the relay could mend is not held against
/// somebody whose relay may sign.
fn stops_bulk(check: Check, dkim: &DkimState) -> bool {
    use Check::{
        DkimDiffers, DkimMissing, DkimWaiting, DkimWeak, DmarcBroken, DmarcMissing, SpfBroken, SpfLookups, SpfMissing,
        SpfOpen, SpfRefuses, SpfSeveral, Unaligned,
    };
    match check {
        SpfMissing | SpfSeveral | SpfBroken | SpfLookups | SpfOpen | SpfRefuses => true,
        DkimWaiting | DkimMissing | DkimDiffers | DkimWeak | DmarcMissing | DmarcBroken => true,
        Unaligned => *dkim != DkimState::None,
        _ => false,
    }
}

async fn ask(
    dns: &Dns,
    campaign: &Campaign,
    sender: &Sender,
    around: &Surroundings,
    at: &[AtDomain],
    now: DateTime<Utc>,
    asking: &mut Asking,
) {
    let from = campaign.draft.from.domain();
    // Such a provider's records are its own, and the draft cannot go from there anyway.
    let ours = !envelope::is_mailbox_provider(from);
    let relay = around.relays.first().map(String::as_str);
    let spf = async {
        Ok(spf::look(dns, &sender.return_domain, relay, &sources(dns, around).await?).await?.into_iter().collect())
    };
    let dkim = identity::dkim(dns, from, &around.dkim);
    let dmarc = async {
        let found = identity::dmarc(dns, from).await?;
        let rule = found.as_ref().copied().unwrap_or_default();
        Ok(found.err().into_iter().chain(aligned(from, sender, around, rule)).collect())
    };
    let reverse = async { reverse(dns, from, sender, around).await };
    let senders = domains::senders(dns, &campaign.draft);
    let (senders, spf, dkim, dmarc, reverse, way, one_click, (dead, silent)) = tokio::join!(
        soon(async { if ours { senders.await } else { Ok(vec![]) } }),
        soon(spf),
        soon(async { if ours { dkim.await } else { Ok(vec![]) } }),
        soon(async { if ours { dmarc.await } else { Ok(vec![]) } }),
        soon(reverse),
        soon(async { Ok(way(sender, &around.way, now).await) }),
        soon(async {
            let found = one_click::look(dns, sender, around.authority.as_deref()).await?;
            Ok(found.into_iter().collect())
        }),
        domains::dead(dns, at, PATIENCE).boxed(),
    );
    for (name, answer) in [
        ("the sender’s domain", senders),
        ("SPF", spf),
        ("DKIM", dkim),
        ("DMARC", dmarc),
        ("the sending address", reverse),
        ("the return path", way),
        ("one-click unsubscribe", one_click),
    ] {
        asking.heard(name, answer);
    }
    asking.outside.findings.extend(domains::told(&dead));
    match silent {
        0 if at.len() < DOMAINS => asking.outside.passed.push("the audience’s domains"),
        0 => asking.outside.passed.push("the audience’s 500 most frequent domains"),
        _ => asking.unseen.push("some of the audience’s domains"),
    }
}

/// On the heap, since eight of them wait side by side.
fn soon<'a, T: 'a>(answer: impl Future<Output = Result<T, Silent>> + Send + 'a) -> BoxFuture<'a, Result<T, Silent>> {
    async { timeout(PATIENCE, answer).await.unwrap_or(Err(Silent)) }.boxed()
}

fn aligned(from: &str, sender: &Sender, around: &Surroundings, rule: Dmarc) -> Option<Finding> {
    identity::alignment(from, &sender.return_domain, &around.dkim, rule)
}

/// The addresses that hosts see us at, as far as is known.
async fn sources(dns: &Dns, around: &Surroundings) -> Result<Vec<IpAddr>, Silent> {
    addresses(dns, around, around.relays.iter()).await
}

async fn addresses(
    dns: &Dns,
    around: &Surroundings,
    relays: impl Iterator<Item = &String>,
) -> Result<Vec<IpAddr>, Silent> {
    let mut all = around.sources.clone();
    for relay in relays {
        all.extend(dns.addresses(relay).await?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Whether the sending addresses have names that lead back. A relay of somebody else's is theirs to answer for.
async fn reverse(dns: &Dns, from: &str, sender: &Sender, around: &Surroundings) -> Result<Vec<Finding>, Silent> {
    let house =
        |name: &&String| domains::aligned(name, from, false) || domains::aligned(name, &sender.return_domain, false);
    let mut findings = Vec::new();
    for address in addresses(dns, around, around.relays.iter().filter(house)).await?.into_iter().filter(is_public) {
        let names = dns.names(address).await?;
        if names.is_empty() {
            let what = format!("{address} has no name (PTR record).");
            findings.push(Finding::new(Check::PtrMissing, what, "Ask whoever rents the address to you to set one."));
            continue;
        }
        let mut leads_back = false;
        for name in names.iter().take(5) {
            leads_back |= dns.addresses(name).await?.contains(&address);
        }
        if !leads_back {
            let what = format!("{address} is called {}, and that name leads elsewhere.", names.join(", "));
            findings.push(Finding::new(Check::PtrForward, what, "Let the name’s A or AAAA record name the address."));
        }
    }
    Ok(findings)
}

/// The way of a bounce, in terms of a launch.
async fn way(sender: &Sender, way: &Way, now: DateTime<Utc>) -> Vec<Finding> {
    let found = return_path::way_back(sender, way, now).await;
    let heavy = |found: &return_path::Found| match (found.about, found.state) {
        (_, State::Well) | (About::Spf, _) => None,
        (About::Listener, _) => Some(Check::ListenerSilent),
        (About::Dns, _) => Some(Check::Unchecked),
        (About::Way, State::Wrong) => Some(Check::ReturnUnreachable),
        (About::Way, State::Unsure) => Some(Check::ReturnUnsure),
    };
    let told = |found: return_path::Found| {
        let check = heavy(&found)?;
        let (what, remedy) = match found.words.split_once(". ") {
            Some((what, remedy)) => (format!("{}: {what}.", found.name), remedy.to_owned()),
            None => (format!("{}: {}", found.name, found.words), String::new()),
        };
        Some(Finding::new(check, what, remedy))
    };
    found.into_iter().filter_map(told).collect()
}

/// The three providers that ask most of bulk senders.
fn provider(domain: &str) -> Option<usize> {
    let name = domain.split('.').next().unwrap_or_default();
    match (domain, name) {
        ("gmail.com" | "googlemail.com", _) => Some(0),
        (_, "yahoo") | ("aol.com" | "ymail.com" | "rocketmail.com", _) => Some(1),
        (_, "hotmail" | "outlook" | "live") | ("msn.com", _) => Some(2),
        _ => None,
    }
}

fn bulk(at: &[AtDomain]) -> bool {
    let mut sums = [0; 3];
    for one in at {
        if let Some(sum) = provider(&one.domain).and_then(|provider| sums.get_mut(provider)) {
            *sum += one.people;
        }
    }
    sums.iter().any(|sum| *sum > BULK)
}

/// Whether `people` take long by the limit that is the narrowest for so many.
fn takes_long(people: i64, around: &Surroundings) -> Option<Finding> {
    let a_second = around.per_second.map(|most| ("a second", most, 1));
    let spans = around.volumes.iter().map(|volume| {
        let span = match volume.span {
            Span::Minute => "a minute",
            Span::Hour => "an hour",
            Span::Day => A_DAY,
        };
        (span, volume.most, volume.span.length().num_seconds())
    });
    let limits = a_second.into_iter().chain(spans).filter(|(_, most, _)| *most > 0);
    let takes =
        |(span, most, seconds): (&'static str, u32, i64)| (up(people.saturating_mul(seconds), most.into()), span, most);
    let (takes, span, most) = limits.map(takes).max_by_key(|(takes, ..)| *takes).filter(|(takes, ..)| *takes > LONG)?;
    if span != A_DAY {
        let hours = takes / 3_600;
        let most = Grouped(most.into());
        let what = format!("At {most} messages {span} the last letter leaves after {hours} hours.");
        return Some(Finding::new(Check::TakesLong, what, "Raise the server’s limit, or begin earlier."));
    }
    let (days, most, people) = (up(takes, LONG), Grouped(most.into()), Grouped(people));
    let what = format!(
        "The sending servers may be given {most} messages {span} now, so that {people} take {days} days, or fewer while a warm-up grows."
    );
    let remedy = "Begin earlier, write to fewer people, or raise the daily limit under Sending servers.";
    Some(Finding::new(Check::TakesLong, what, remedy))
}

/// How many of `size`, at least 1, it takes for `all`.
const fn up(all: i64, size: i64) -> i64 {
    all / size + (all % size > 0) as i64
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rebound_domain::Volume;

    #[test]
    fn rules_for_bulk_hold_above_five_thousand_at_one_provider() {
        let at = |domain: &str, people| AtDomain { domain: domain.into(), people, new: 0 };
        for (all, expected) in [
            (vec![at("gmail.com", 5_000)], false),
            (vec![at("gmail.com", 4_000), at("googlemail.com", 1_001)], true),
            (vec![at("gmail.com", 4_000), at("yahoo.co.uk", 4_000)], false),
            (vec![at("hotmail.fr", 3_000), at("live.com", 3_000)], true),
            (vec![at("orchard.test", 50_000)], false),
        ] {
            assert_eq!(bulk(&all), expected, "{all:?}");
        }
    }

    #[test]
    fn a_slow_server_is_worth_a_word() {
        let around = |per_second, volumes: &[(Span, u32)]| Surroundings {
            way: Way { listen: ([127, 0, 0, 1], 9).into(), port: 9, nameserver: None },
            relays: vec![],
            per_second,
            volumes: volumes.iter().map(|(span, most)| Volume { span: *span, most: *most }).collect(),
            sources: vec![],
            dkim: DkimState::None,
            authority: None,
        };
        for (limit, expected) in [(None, false), (Some(10), false), (Some(2), true)] {
            assert_eq!(takes_long(200_000, &around(limit, &[])).is_some(), expected, "{limit:?}");
        }
        for (volumes, words) in [
            (&[(Span::Day, 60_000)][..], "200,000 take 4 days"),
            (&[(Span::Day, 199_999)], "200,000 take 2 days"),
            (&[(Span::Hour, 1_000)], "At 1,000 messages an hour"),
            (&[(Span::Minute, 1_000), (Span::Hour, 4_000), (Span::Day, 100_000)], "after 50 hours"),
            (&[(Span::Minute, 1_000), (Span::Day, 150_000)], "take 2 days"),
            (&[(Span::Minute, 1_000), (Span::Hour, 60_000), (Span::Day, 200_000)], ""),
        ] {
            let what = takes_long(200_000, &around(Some(100), volumes)).map_or_else(String::new, |found| found.what);
            assert!(what.contains(words) && what.is_empty() == words.is_empty(), "{volumes:?}: {what}");
        }
    }
}

//! The mail hosts of one domain, and the way to them.

use super::{Mode, Security, Shared};
use crate::transport::direct::{Call, Closed, Protection};
use crate::transport::{Line, Reply};
use chrono::{DateTime, Utc};
use rand::seq::SliceRandom;
use rebound_domain::{BounceCause, Receiver};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// Hosts whose answers are told.
const TOLD: usize = 5;

/// Where the mail of one domain goes.
pub struct Exchange {
    pub(super) domain: String,
    pub(super) receiver: Receiver,
    /// The best first.
    pub(super) hosts: Vec<Host>,
    pub(super) sts: Option<Mode>,
    pub(super) shared: Arc<Shared>,
}

/// One mail host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name, in lower case.
    pub name: String,
    /// The lower, the sooner it is called; hosts of one preference take turns.
    pub preference: u16,
    /// Its addresses, in the order in which they are called.
    pub addresses: Vec<IpAddr>,
    /// How a line to it must be protected.
    pub security: Security,
}

/// A host that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Its name.
    pub host: String,
    /// Where it answered.
    pub address: IpAddr,
    /// How the line is protected.
    pub protection: Protection,
}

/// Why no line could be opened, in words that name the hosts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct NoLine {
    /// Which hosts were called, and what each said.
    pub words: String,
    /// Whether every host refused us for good. Else a later try may go through.
    pub permanent: bool,
    /// What it comes from, as far as the line tells.
    pub cause: BounceCause,
    /// What the last host that spoke to us said, to be judged as any reply.
    pub(crate) reply: Option<Reply>,
}

/// What was heard of one host.
struct Tried {
    host: String,
    address: Option<IpAddr>,
    closed: Closed,
}

impl Exchange {
    /// Who takes the mail.
    #[must_use]
    pub fn receiver(&self) -> Receiver {
        self.receiver.clone()
    }

    /// The hosts, the best first.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The mode of the domain's MTA-STS policy, if it has one.
    #[must_use]
    pub fn sts(&self) -> Option<Mode> {
        self.sts
    }

    /// Tells it from others: the same hosts, to be called in the same way.
    pub(crate) fn place(&self) -> String {
        let mut place = String::new();
        for host in &self.hosts {
            let _ = write!(place, "{} {} {:?};", host.preference, host.name, host.security);
        }
        place
    }

    /// Opens a line to the best host that gives one, and says which it is.
    ///
    /// # Errors
    /// [`NoLine`]: each was called, or rests because it did not answer a short while ago.
    pub(crate) async fn open(&self, now: DateTime<Utc>) -> Result<(Line, Answered), NoLine> {
        self.open_for(&self.domain, now).await
    }

    /// The same for mail to `domain`, which has the same hosts.
    ///
    /// # Errors
    /// [`NoLine`], in words about `domain`.
    pub(crate) async fn open_for(&self, domain: &str, now: DateTime<Utc>) -> Result<(Line, Answered), NoLine> {
        let (deadline, mut tried) = (Instant::now() + self.shared.patience.all, Vec::new());
        for host in self.in_turn() {
            for address in &host.addresses {
                match timeout_at(deadline, self.call(host, *address, domain, now)).await {
                    Ok(Ok((line, protection))) => {
                        return Ok((line, Answered { host: host.name.clone(), address: *address, protection }));
                    }
                    Ok(Err(closed)) => {
                        let goes_on = matches!(closed, Closed::Silent(_) | Closed::Uncalled(_));
                        tried.push(Tried { host: host.name.clone(), address: Some(*address), closed });
                        if !goes_on {
                            break;
                        }
                    }
                    Err(_) => {
                        self.shared.silent.note(*address, now);
                        let closed = Closed::Silent("the time was over".to_owned());
                        tried.push(Tried { host: host.name.clone(), address: Some(*address), closed });
                        return Err(no_line(domain, &tried));
                    }
                }
            }
            if host.addresses.is_empty() {
                let closed = Closed::Uncalled("none of its addresses can be called".to_owned());
                tried.push(Tried { host: host.name.clone(), address: None, closed });
            }
        }
        Err(no_line(domain, &tried))
    }

    /// Opens a line and closes it again: whether mail could go now, and to which host.
    ///
    /// # Errors
    /// [`NoLine`]
    pub async fn probe(&self, now: DateTime<Utc>) -> Result<Answered, NoLine> {
        let (line, answered) = Box::pin(self.open(now)).await?;
        line.close().await;
        Ok(answered)
    }

    /// The hosts by preference; those of one preference in any order, so that each has its share (RFC 5321 §5.1).
    fn in_turn(&self) -> Vec<&Host> {
        let mut hosts: Vec<&Host> = self.hosts.iter().collect();
        hosts.shuffle(&mut rand::rng());
        hosts.sort_by_key(|host| host.preference);
        hosts
    }

    async fn call(
        &self,
        host: &Host,
        address: IpAddr,
        domain: &str,
        now: DateTime<Utc>,
    ) -> Result<(Line, Protection), Closed> {
        let shared = &self.shared;
        if let Err(until) = shared.silent.pass(address, now) {
            let minutes = (until - now).num_minutes() + 1;
            return Err(Closed::Uncalled(format!("it did not answer, and is called again in {minutes} minutes")));
        }
        let call = Call {
            host: &host.name,
            address: (address, shared.port).into(),
            source: shared.places.source(address),
            hello: &shared.hello,
            domain,
            security: &host.security,
            trust: &shared.trust,
            patience: shared.patience,
        };
        let answer = Line::open_to(&call).await;
        match &answer {
            Err(Closed::Silent(_)) => shared.silent.note(address, now),
            // Nothing was learnt about it.
            Err(Closed::Uncalled(_)) => {}
            Ok(_) | Err(Closed::Refused(_) | Closed::Unprotected(_)) => shared.silent.forget(address),
        }
        answer
    }
}

fn no_line(domain: &str, tried: &[Tried]) -> NoLine {
    let refusals = || {
        tried.iter().filter_map(|one| match &one.closed {
            Closed::Refused(reply) => Some(reply),
            Closed::Silent(_) | Closed::Uncalled(_) | Closed::Unprotected(_) => None,
        })
    };
    let is_unprotected = |one: &Tried| matches!(one.closed, Closed::Unprotected(_));
    let cause = if tried.iter().any(is_unprotected) && refusals().next().is_none() {
        BounceCause::SecurityRequired
    } else {
        BounceCause::HostUnreachable
    };
    NoLine {
        words: words(domain, tried),
        permanent: !tried.is_empty() && refusals().filter(|reply| reply.code >= 500).count() == tried.len(),
        cause,
        reply: refusals().next_back().cloned(),
    }
}

fn words(domain: &str, tried: &[Tried]) -> String {
    let mut words = format!("No mail host of {} takes mail from us now", domain);
    for (nth, one) in tried.iter().take(TOLD).enumerate() {
        let _ = write!(words, "{} {}", if nth == 0 { ":" } else { ";" }, one.host);
        if let Some(address) = one.address {
            let _ = write!(words, " ({address})");
        }
        let _ = match &one.closed {
            Closed::Silent(why) | Closed::Uncalled(why) => write!(words, ": {why}"),
            Closed::Refused(reply) => write!(words, ": {}", reply.line()),
            Closed::Unprotected(why) => write!(words, ": no protected line: {why}"),
        };
    }
    if tried.len() > TOLD {
        let _ = write!(words, "; and {} more", tried.len() - TOLD);
    }
    words + "."
}

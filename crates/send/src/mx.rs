//! Straight to the receiver: from a domain to a line to one of its mail hosts.
//!
//! ```text
//! domain ─▶ MX, A, AAAA ─▶ Exchange: hosts in order ─▶ a line to the first that answers
//!           MTA-STS, DANE              receiver            protected as the domain demands
//! ```
//!
//! What was found out about a domain is kept for as long as its name servers allow, between a minute and an hour;
//! those who ask for it at the same time wait for one answer.

mod exchange;
mod names;
mod place;
mod resolve;
mod secure;
mod security;
mod silent;
mod sts;
#[cfg(test)]
mod tests;
mod trust;
mod web;

use crate::transport::direct::Patience;
pub use crate::transport::direct::Protection;
pub use exchange::{Answered, Exchange, Host, NoLine};
pub use security::{Proof, Security, Tlsa};
pub use sts::Mode;
pub(crate) use trust::Trust;

use moka::Expiry;
use moka::future::Cache;
use names::Names;
use place::Places;
use rebound_domain::BounceCause;
use resolve::resolve;
use silent::Silent;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use sts::Policies;
use tokio::time::timeout;
use web::Web;

/// Domains that are kept.
const DOMAINS: u64 = 20_000;

/// For all that is asked about one domain.
const PATIENCE: Duration = Duration::from_secs(30);

/// For how long it is kept that nobody said where a domain's mail goes.
const UNSAID: Duration = Duration::from_secs(15);

/// How mail leaves this machine for the hosts of its receivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectSettings {
    /// How we name ourselves: the name that our addresses have in DNS.
    pub hello: String,
    /// Our addresses that mail leaves from, in turns; none for whichever the system takes.
    pub source: Vec<IpAddr>,
    /// Whom to ask for DNS records; `None` for whom this machine asks.
    pub nameserver: Option<SocketAddr>,
    /// The port that mail hosts listen at: 25.
    pub port: u16,
    /// Certificates (PEM) of an authority that is trusted besides those of the web.
    pub tls_authority: Option<String>,
    /// Whether hosts are called at their IPv6 addresses first.
    pub prefer_ipv6: bool,
}

impl Default for DirectSettings {
    fn default() -> Self {
        Self {
            hello: "localhost.localdomain".to_owned(),
            source: vec![],
            nameserver: None,
            port: 25,
            tls_authority: None,
            prefer_ipv6: false,
        }
    }
}

/// Why mail cannot leave from here at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// Nobody is known who could be asked for DNS records.
    #[error("this machine knows no name server: {0}")]
    NoNameServer(String),
    /// The authority that is to be trusted cannot be read.
    #[error("the certificates of the authority cannot be read: {0}")]
    Authority(String),
}

/// Why a domain has no mail host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct NoExchange {
    /// Whether DNS said so clearly. Else a later try may find one.
    pub permanent: bool,
    /// What it comes from.
    pub cause: BounceCause,
    /// What happened, for people.
    pub words: String,
}

/// The mail hosts of all domains that are written to.
pub struct Exchanges {
    shared: Arc<Shared>,
    known: Cache<String, Known>,
}

/// What every line needs.
struct Shared {
    hello: String,
    port: u16,
    prefer_ipv6: bool,
    places: Places,
    names: Names,
    policies: Policies,
    web: Web,
    trust: Trust,
    silent: Silent,
    patience: Patience,
}

/// What is known of a domain, and for how long.
#[derive(Clone)]
struct Known {
    answer: Result<Arc<Exchange>, NoExchange>,
    lives: Duration,
}

impl Exchanges {
    /// Gets ready. Nobody is asked anything yet.
    ///
    /// # Errors
    /// [`NotReady`]
    pub fn new(settings: DirectSettings) -> Result<Self, NotReady> {
        Self::with(settings, 443, Patience::default())
    }

    /// With policies at another port than the web's, and another patience with hosts.
    fn with(settings: DirectSettings, port: u16, patience: Patience) -> Result<Self, NotReady> {
        let trust = Trust::new(settings.tls_authority.as_deref()).map_err(NotReady::Authority)?;
        let names = Names::new(settings.nameserver).map_err(|error| NotReady::NoNameServer(error.to_string()))?;
        let places = Places::new(&settings.source);
        let web = Web { tls: trust.by_name(), port, places: places.clone() };
        let shared = Shared {
            hello: settings.hello.trim_end_matches('.').to_ascii_lowercase(),
            port: settings.port,
            prefer_ipv6: settings.prefer_ipv6,
            places,
            names,
            policies: Policies::new(),
            web,
            trust,
            silent: Silent::default(),
            patience,
        };
        let known = Cache::builder().max_capacity(DOMAINS).expire_after(AsLongAsItLives).build();
        Ok(Self { shared: Arc::new(shared), known })
    }

    /// Where the mail of `domain` goes.
    ///
    /// # Errors
    /// [`NoExchange`]: nowhere, or nobody said.
    pub async fn of(&self, domain: &str) -> Result<Arc<Exchange>, NoExchange> {
        let Some(name) = name_of(domain) else { return Err(NoExchange::no_name(domain)) };
        let ask = Box::pin(ask(&self.shared, &name));
        self.known.get_with(name.clone(), ask).await.answer
    }
}

/// As name servers know it: lower case, letters beyond ASCII in their written form.
fn name_of(domain: &str) -> Option<String> {
    let name = idna::domain_to_ascii(domain.trim_end_matches('.')).ok()?;
    // An underscore is in no host's name, and yet there are domains with one that take mail.
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_letter);
    (name.len() <= 253 && name.split('.').all(is_label)).then_some(name)
}

async fn ask(shared: &Arc<Shared>, domain: &str) -> Known {
    match timeout(PATIENCE, resolve(shared, domain)).await {
        Ok(Ok((exchange, lives))) => Known { answer: Ok(Arc::new(exchange)), lives },
        Ok(Err(none)) => Known { lives: if none.permanent { resolve::NO } else { UNSAID }, answer: Err(none) },
        Err(_) => {
            let why = format!("no answer within {} seconds", PATIENCE.as_secs());
            Known { answer: Err(NoExchange::unsaid(domain, &why)), lives: UNSAID }
        }
    }
}

/// Forgets what is too old.
struct AsLongAsItLives;

impl Expiry<String, Known> for AsLongAsItLives {
    fn expire_after_create(&self, _domain: &String, known: &Known, _now: Instant) -> Option<Duration> {
        Some(known.lives)
    }
}

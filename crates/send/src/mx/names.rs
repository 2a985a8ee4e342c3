//! What the name servers say, in the shapes that sending asks for.

use super::secure::{Asked, Trusted};
use super::security::{Dane, Tlsa};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// For one answer of one name server. There are [`TRIES`].
const PATIENCE: Duration = Duration::from_secs(4);
const TRIES: usize = 2;

/// A way to ask.
pub(super) struct Names {
    resolver: TokioResolver,
    /// A name server on this machine that validates by DNSSEC, if there is one.
    trusted: Option<Trusted>,
}

/// An answer, and when it is too old to be relied on.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub(super) records: T,
    pub(super) until: Instant,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotFound {
    /// The name does not exist (NXDOMAIN).
    Name,
    /// It exists, and has no such record.
    Record,
    /// Nobody said; in words.
    Unsaid(String),
}

impl Names {
    /// Asks `nameserver`, or whom this machine asks.
    pub(super) fn new(nameserver: Option<SocketAddr>) -> Result<Self, NetError> {
        let mut builder = match nameserver {
            None => TokioResolver::builder_tokio()?,
            Some(address) => {
                let mut ways = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                ways.iter_mut().for_each(|way| way.port = address.port());
                let server = NameServerConfig::new(address.ip(), true, ways);
                let config = ResolverConfig::from_parts(None, vec![], vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        (options.timeout, options.attempts) = (PATIENCE, TRIES);
        // What is known of a domain is kept as a whole, by us.
        options.cache_size = 0;
        let trusted = match nameserver {
            Some(address) => Trusted::at(address),
            None => Trusted::of_this_machine(),
        };
        Ok(Self { resolver: builder.build()?, trusted })
    }

    /// The mail hosts of `domain` with their preferences, in no order.
    pub(super) async fn mx(&self, domain: &str) -> Result<Found<Vec<(u16, String)>>, NotFound> {
        self.ask(domain, RecordType::MX, |data| match data {
            RData::MX(mx) => Some((mx.preference, plain(&mx.exchange))),
            _ => None,
        })
        .await
    }

    /// The addresses of `host`, in the order in which they were told, IPv4 and IPv6 apart.
    pub(super) async fn addresses(&self, host: &str) -> Result<Found<(Vec<IpAddr>, Vec<IpAddr>)>, NotFound> {
        let v4 = self.ask(host, RecordType::A, |data| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            _ => None,
        });
        let v6 = self.ask(host, RecordType::AAAA, |data| match data {
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        });
        match tokio::join!(v4, v6) {
            (Ok(v4), Ok(v6)) => Ok(Found { until: v4.until.min(v6.until), records: (v4.records, v6.records) }),
            (Ok(v4), Err(_)) => Ok(Found { until: v4.until, records: (v4.records, vec![]) }),
            (Err(_), Ok(v6)) => Ok(Found { until: v6.until, records: (vec![], v6.records) }),
            // What is not known outweighs what is known not to be.
            (Err(NotFound::Unsaid(why)), Err(_)) | (Err(_), Err(NotFound::Unsaid(why))) => Err(NotFound::Unsaid(why)),
            (Err(NotFound::Name), Err(_)) | (Err(_), Err(NotFound::Name)) => Err(NotFound::Name),
            (Err(NotFound::Record), Err(NotFound::Record)) => Err(NotFound::Record),
        }
    }

    /// The texts at `name`, each as one.
    pub(super) async fn texts(&self, name: &str) -> Result<Found<Vec<String>>, NotFound> {
        self.ask(name, RecordType::TXT, |data| match data {
            RData::TXT(txt) => Some(txt.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect()),
            _ => None,
        })
        .await
    }

    /// Whether the mail hosts of `domain` are told by somebody who can prove it.
    pub(super) async fn are_hosts_authentic(&self, domain: &str) -> bool {
        let Some(trusted) = &self.trusted else { return false };
        trusted.ask(domain, RecordType::MX).await.is_ok_and(|answer| answer.is_authentic)
    }

    /// What `host` says of its certificates, for mail at `port` (RFC 7672 §2.2).
    pub(super) async fn dane(&self, host: &str, port: u16) -> Dane {
        let Some(trusted) = &self.trusted else { return Dane::None };
        let (v4, v6) = tokio::join!(trusted.ask(host, RecordType::A), trusted.ask(host, RecordType::AAAA));
        // An address that nobody vouches for makes the rest worthless, and some name servers of such hosts fail at
        // TLSA (§2.2.2).
        let is_proven = |answer: &Result<Asked, String>| {
            answer.as_ref().is_ok_and(|answer| answer.is_authentic && !answer.records.is_empty())
        };
        match (v4, v6) {
            (v4, v6) if is_proven(&v4) || is_proven(&v6) => {}
            (Err(why), _) | (_, Err(why)) => return Dane::Unknown(why),
            (Ok(_), Ok(_)) => return Dane::None,
        }
        match trusted.ask(&format!("_{port}._tcp.{host}"), RecordType::TLSA).await {
            Err(why) => Dane::Unknown(why),
            Ok(Asked { is_authentic: false, .. }) => Dane::None,
            Ok(Asked { records, .. }) => {
                let records = records.iter().filter_map(|data| match data {
                    RData::TLSA(tlsa) => Some(Tlsa::from(tlsa)),
                    _ => None,
                });
                Dane::of(records.collect())
            }
        }
    }

    /// Whether the name servers can be believed when they know nothing of a name. Some that are cut off from the world,
    /// or set up for a network of their own, deny every name; they cannot say where the root of all names is either.
    pub(super) async fn know_the_root(&self) -> bool {
        self.resolver.lookup(Name::root(), RecordType::NS).await.is_ok_and(|lookup| !lookup.answers().is_empty())
    }

    async fn ask<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Found<Vec<T>>, NotFound> {
        let lookup = self.resolver.lookup(absolute(name)?, kind).await.map_err(NotFound::from)?;
        let records: Vec<T> = lookup.answers().iter().filter_map(|record| read(&record.data)).collect();
        if records.is_empty() {
            return Err(NotFound::Record);
        }
        Ok(Found { records, until: lookup.valid_until() })
    }
}

/// No search list of this machine is to be asked as well.
fn absolute(name: &str) -> Result<Name, NotFound> {
    // A name that cannot be asked for is not there.
    Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).map_err(|_| NotFound::Name)
}

/// As people write it: lower case, without the dot of the root.
fn plain(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

impl From<NetError> for NotFound {
    fn from(error: NetError) -> Self {
        match &error {
            NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
                ResponseCode::NXDomain => Self::Name,
                ResponseCode::NoError => Self::Record,
                code => Self::Unsaid(code.to_string()),
            },
            NetError::Dns(DnsError::ResponseCode(code)) => Self::Unsaid(code.to_string()),
            NetError::Timeout => Self::Unsaid("no answer".to_owned()),
            other => Self::Unsaid(other.to_string()),
        }
    }
}

//! Questions to the name server, with three answers: these, none, or nothing heard.

use crate::dns::{absolute, resolver, text};
use hickory_resolver::TokioResolver;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use std::net::{IpAddr, SocketAddr};

/// The name server did not say. That tells nothing about the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silent;

/// Asks one name server.
pub(super) struct Dns(TokioResolver);

impl Dns {
    /// Asks `nameserver`, or whom this machine asks.
    pub(super) fn new(nameserver: Option<SocketAddr>) -> Result<Self, NetError> {
        resolver(nameserver).map(Self)
    }

    /// The texts at `name`, each joined from its parts.
    pub(super) async fn texts(&self, name: &str) -> Result<Vec<String>, Silent> {
        self.ask(&absolute(name), RecordType::TXT, text).await
    }

    /// The hosts that take mail for `name`, the first choice first; an empty name means that none does (RFC 7505).
    pub(super) async fn exchangers(&self, name: &str) -> Result<Vec<String>, Silent> {
        let read = |data: &RData| match data {
            RData::MX(mx) => Some((mx.preference, mx.exchange.to_utf8().trim_end_matches('.').to_lowercase())),
            _ => None,
        };
        let mut hosts = self.ask(&absolute(name), RecordType::MX, read).await?;
        hosts.sort();
        Ok(hosts.into_iter().map(|(_, host)| host).collect())
    }

    /// The addresses of `name`, of both kinds.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Silent> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let name = absolute(name);
        let read = |data: &RData| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        };
        let (four, six) = tokio::join!(self.ask(&name, RecordType::A, read), self.ask(&name, RecordType::AAAA, read));
        match (four, six) {
            (Ok(four), Ok(six)) => Ok(four.into_iter().chain(six).collect()),
            // One kind is enough to know that there is something.
            (Ok(some), Err(Silent)) | (Err(Silent), Ok(some)) if !some.is_empty() => Ok(some),
            _ => Err(Silent),
        }
    }

    /// The names of an address (PTR).
    pub(super) async fn names(&self, address: IpAddr) -> Result<Vec<String>, Silent> {
        let read = |data: &RData| match data {
            RData::PTR(name) => Some(name.to_utf8().trim_end_matches('.').to_lowercase()),
            _ => None,
        };
        self.ask(&Name::from(address).to_utf8(), RecordType::PTR, read).await
    }

    async fn ask<T>(&self, name: &str, kind: RecordType, read: impl Fn(&RData) -> Option<T>) -> Result<Vec<T>, Silent> {
        // A name that cannot be one has no records.
        let Ok(name) = Name::from_utf8(name) else { return Ok(vec![]) };
        records(self.0.lookup(name, kind).await, read)
    }
}

fn records<T>(answer: Result<Lookup, NetError>, read: impl Fn(&RData) -> Option<T>) -> Result<Vec<T>, Silent> {
    match answer {
        Ok(lookup) => Ok(lookup.answers().iter().filter_map(|record| read(&record.data)).collect()),
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => match none.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => Ok(vec![]),
            _ => Err(Silent),
        },
        Err(_) => Err(Silent),
    }
}

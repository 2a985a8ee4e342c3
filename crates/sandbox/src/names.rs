//! A name server that knows what it is told.

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, NS, PTR, TLSA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

pub use hickory_resolver::proto::rr::RecordType;
pub use hickory_resolver::proto::rr::rdata::tlsa::CertUsage;

/// Seconds for which its answers hold.
const LIVES: u32 = 300;

/// A name server that knows what it is told, and that there is a root. It answers over UDP and TCP.
#[derive(Clone, Debug, Default)]
pub struct NameServer(Arc<Mutex<Zone>>);

#[derive(Clone, Debug, Default)]
struct Zone {
    records: Vec<(Name, RData)>,
    /// Names about which it fails.
    failing: Vec<Name>,
    /// Names about which it says nothing at all.
    silent: Vec<Name>,
    asked: HashMap<(Name, RecordType), usize>,
    /// Whether it vouches for its answers.
    signs: bool,
    /// Names that nobody vouches for all the same.
    unsigned: Vec<Name>,
    /// Whether its packets are too short for its answers.
    truncates: bool,
}

impl NameServer {
    /// Answers at a free port of 127.0.0.1, for as long as the program runs.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(&self) -> io::Result<SocketAddr> {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await?;
            if let Ok(tcp) = TcpListener::bind(udp.local_addr()?).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr()?;
        self.serve(udp, tcp);
        Ok(address)
    }

    /// Answers at `address`, which may be port 53 of an address of one's own.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn start_at(&self, address: SocketAddr) -> io::Result<()> {
        let (udp, tcp) = (UdpSocket::bind(address).await?, TcpListener::bind(address).await?);
        self.serve(udp, tcp);
        Ok(())
    }

    /// Another one that knows the same for now.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.zone().clone())))
    }

    fn serve(&self, udp: UdpSocket, tcp: TcpListener) {
        self.add(".", name("root.example").map(|root| RData::NS(NS(root))));
        let (here, there) = (self.clone(), self.clone());
        tokio::spawn(async move {
            let mut bytes = [0; 1500];
            while let Ok((length, from)) = udp.recv_from(&mut bytes).await {
                if let Some(answer) = here.answer(bytes.get(..length).unwrap_or_default(), true) {
                    let _ = udp.send_to(&answer, from).await;
                }
            }
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = tcp.accept().await {
                tokio::spawn(there.clone().converse(stream));
            }
        });
    }

    async fn converse(self, mut stream: TcpStream) -> Option<()> {
        loop {
            let mut bytes = vec![0; stream.read_u16().await.ok()?.into()];
            stream.read_exact(&mut bytes).await.ok()?;
            let answer = self.answer(&bytes, false)?;
            let length = u16::try_from(answer.len()).ok()?.to_be_bytes();
            stream.write_all(&[&length, answer.as_slice()].concat()).await.ok()?;
        }
    }

    fn answer(&self, bytes: &[u8], is_packet: bool) -> Option<Vec<u8>> {
        let mut zone = self.zone();
        let asked = Message::from_vec(bytes).ok()?;
        let query = asked.queries.first()?.clone();
        let mut name = query.name().to_lowercase();
        *zone.asked.entry((name.clone(), query.query_type())).or_default() += 1;
        let mut answer = Message::response(asked.metadata.id, OpCode::Query);
        answer.metadata.recursion_available = true;
        answer.metadata.authentic_data = zone.signs && !zone.unsigned.contains(&name) && asked.metadata.authentic_data;
        answer.add_query(query.clone());
        if zone.silent.contains(&name) {
            return None;
        }
        if zone.failing.contains(&name) {
            answer.metadata.response_code = ResponseCode::ServFail;
            return answer.to_vec().ok();
        }
        if zone.truncates && is_packet {
            answer.metadata.truncation = true;
            return answer.to_vec().ok();
        }
        while let Some((_, RData::CNAME(other))) =
            zone.records.iter().find(|(owner, data)| *owner == name && data.record_type() == RecordType::CNAME)
        {
            answer.add_answer(Record::from_rdata(name, LIVES, RData::CNAME(other.clone())));
            name = other.0.to_lowercase();
        }
        for (owner, data) in &zone.records {
            if *owner == name && data.record_type() == query.query_type() {
                answer.add_answer(Record::from_rdata(name.clone(), LIVES, data.clone()));
            }
        }
        if !zone.records.iter().any(|(owner, _)| name.zone_of(owner)) {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        answer.to_vec().ok()
    }

    /// What cannot be a name is not known.
    fn add(&self, owner: &str, data: Option<RData>) -> &Self {
        if let (Some(owner), Some(data)) = (name(owner), data) {
            self.zone().records.push((owner, data));
        }
        self
    }

    /// `host` takes the mail of `domain`; `.` says that nobody does.
    pub fn mx(&self, domain: &str, preference: u16, host: &str) -> &Self {
        self.add(domain, name(host).map(|host| RData::MX(MX::new(preference, host))))
    }

    /// `host` is at `address`.
    pub fn address(&self, host: &str, address: impl Into<IpAddr>) -> &Self {
        self.add(
            host,
            Some(match address.into() {
                IpAddr::V4(v4) => RData::A(A(v4)),
                IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
            }),
        )
    }

    /// `address` is called `host`.
    pub fn reverse(&self, address: impl Into<IpAddr>, host: &str) -> &Self {
        let owner = Name::from(address.into()).to_string();
        self.add(&owner, name(host).map(|host| RData::PTR(PTR(host))))
    }

    /// `from` is another name for `to`.
    pub fn alias(&self, from: &str, to: &str) -> &Self {
        self.add(from, name(to).map(|to| RData::CNAME(CNAME(to))))
    }

    /// A TXT record.
    pub fn text(&self, owner: &str, text: &str) -> &Self {
        // A string of a record has 255 bytes at most.
        let parts = text.as_bytes().chunks(200).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        self.add(owner, Some(RData::TXT(TXT::new(parts))))
    }

    /// A TLSA record of the whole `certificate`, as it is.
    pub fn tlsa(&self, owner: &str, usage: CertUsage, certificate: &[u8]) -> &Self {
        self.add(owner, Some(RData::TLSA(TLSA::new(usage, 0.into(), 0.into(), certificate.to_vec()))))
    }

    /// Fails about `owner`, as name servers do that cannot reach another, or find a signature wrong.
    pub fn fail(&self, owner: &str) {
        self.zone().failing.extend(name(owner));
    }

    /// Says nothing about `owner`, as name servers do that wait for another.
    pub fn be_silent(&self, owner: &str) {
        self.zone().silent.extend(name(owner));
    }

    /// Fails about nothing any more, and answers all.
    pub fn recover(&self) {
        let mut zone = self.zone();
        zone.failing.clear();
        zone.silent.clear();
    }

    /// Vouches for its answers (the AD bit), as one that validates.
    pub fn sign(&self) {
        self.zone().signs = true;
    }

    /// Vouches for everything but `owner`.
    pub fn sign_all_but(&self, owner: &str) {
        self.sign();
        self.zone().unsigned = name(owner).into_iter().collect();
    }

    /// Answers over UDP are too long from now on.
    pub fn truncate(&self) {
        self.zone().truncates = true;
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self, owner: &str, kind: RecordType) -> usize {
        name(owner).and_then(|owner| self.zone().asked.get(&(owner, kind)).copied()).unwrap_or_default()
    }

    /// Forgets what it knows of `owner`: all of it, or records of one kind; how many there were.
    pub fn remove(&self, owner: &str, kind: Option<RecordType>) -> usize {
        let (owner, mut zone) = (name(owner), self.zone());
        let before = zone.records.len();
        let goes = |known: &Name, data: &RData| {
            Some(known) == owner.as_ref() && kind.is_none_or(|kind| kind == data.record_type())
        };
        zone.records.retain(|(known, data)| !goes(known, data));
        before - zone.records.len()
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        // A panic elsewhere leaves it whole: each change is a single step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// With a full stop at its end, in lower case.
fn name(text: &str) -> Option<Name> {
    Some(Name::from_str(&format!("{}.", text.trim_end_matches('.'))).ok()?.to_lowercase())
}

//! A name server that knows what it is told.

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::tlsa::CertUsage;
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, NS, TLSA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

#[derive(Clone, Default)]
pub(super) struct NameServer(Arc<Mutex<Zone>>);

#[derive(Default)]
struct Zone {
    records: Vec<(Name, RData)>,
    /// Names about which it fails.
    failing: Vec<Name>,
    asked: HashMap<(Name, RecordType), usize>,
    /// Whether it vouches for its answers.
    signs: bool,
    /// Names that nobody vouches for all the same.
    unsigned: Vec<Name>,
    /// Whether its packets are too short for its answers.
    truncates: bool,
}

impl NameServer {
    pub(super) async fn start(&self) -> SocketAddr {
        self.add(".", RData::NS(NS(name("root.example"))));
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let (address, here, there) = (udp.local_addr().unwrap(), self.clone(), self.clone());
        tokio::spawn(async move {
            let mut bytes = [0; 1500];
            while let Ok((length, from)) = udp.recv_from(&mut bytes).await {
                udp.send_to(&here.answer(&bytes[..length], true), from).await.unwrap();
            }
        });
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                let server = there.clone();
                tokio::spawn(async move {
                    while let Ok(length) = stream.read_u16().await {
                        let mut bytes = vec![0; length.into()];
                        stream.read_exact(&mut bytes).await.unwrap();
                        let answer = server.answer(&bytes, false);
                        let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                        stream.write_all(&[&length, answer.as_slice()].concat()).await.unwrap();
                    }
                });
            }
        });
        address
    }

    fn answer(&self, bytes: &[u8], is_packet: bool) -> Vec<u8> {
        let mut zone = self.0.lock().unwrap();
        let asked = Message::from_vec(bytes).unwrap();
        let query = asked.queries[0].clone();
        *zone.asked.entry((lower(query.name()), query.query_type())).or_default() += 1;
        let mut answer = Message::response(asked.metadata.id, OpCode::Query);
        answer.metadata.recursion_available = true;
        let mut name = lower(query.name());
        let signs = zone.signs && !zone.unsigned.contains(&name);
        answer.metadata.authentic_data = signs && asked.metadata.authentic_data;
        answer.add_query(query.clone());
        if zone.failing.contains(&name) {
            answer.metadata.response_code = ResponseCode::ServFail;
            return answer.to_vec().unwrap();
        }
        if zone.truncates && is_packet {
            answer.metadata.truncation = true;
            return answer.to_vec().unwrap();
        }
        while let Some((_, RData::CNAME(other))) =
            zone.records.iter().find(|(owner, data)| *owner == name && data.record_type() == RecordType::CNAME)
        {
            answer.add_answer(Record::from_rdata(name, 300, RData::CNAME(other.clone())));
            name = lower(&other.0);
        }
        for (owner, data) in &zone.records {
            if *owner == name && data.record_type() == query.query_type() {
                answer.add_answer(Record::from_rdata(name.clone(), 300, data.clone()));
            }
        }
        if !zone.records.iter().any(|(owner, _)| name.zone_of(owner)) {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        answer.to_vec().unwrap()
    }

    fn add(&self, owner: &str, data: RData) -> &Self {
        self.0.lock().unwrap().records.push((name(owner), data));
        self
    }

    pub(super) fn mx(&self, domain: &str, preference: u16, host: &str) -> &Self {
        self.add(domain, RData::MX(MX::new(preference, name(host))))
    }

    pub(super) fn address(&self, host: &str, address: &str) -> &Self {
        match address.parse().unwrap() {
            IpAddr::V4(v4) => self.add(host, RData::A(A(v4))),
            IpAddr::V6(v6) => self.add(host, RData::AAAA(AAAA(v6))),
        }
    }

    pub(super) fn alias(&self, from: &str, to: &str) -> &Self {
        self.add(from, RData::CNAME(CNAME(name(to))))
    }

    pub(super) fn text(&self, owner: &str, text: &str) -> &Self {
        self.add(owner, RData::TXT(TXT::new(vec![text.to_owned()])))
    }

    /// Usage `usage`, the whole certificate, as it is.
    pub(super) fn tlsa(&self, owner: &str, usage: CertUsage, certificate: &[u8]) -> &Self {
        self.add(owner, RData::TLSA(TLSA::new(usage, 0.into(), 0.into(), certificate.to_vec())))
    }

    /// Fails about `owner`, as name servers do that cannot reach another, or find a signature wrong.
    pub(super) fn fail(&self, owner: &str) {
        self.0.lock().unwrap().failing.push(name(owner));
    }

    pub(super) fn recover(&self) {
        self.0.lock().unwrap().failing.clear();
    }

    pub(super) fn sign(&self) {
        self.0.lock().unwrap().signs = true;
    }

    /// Vouches for everything but `owner`.
    pub(super) fn sign_all_but(&self, owner: &str) {
        self.sign();
        self.0.lock().unwrap().unsigned = vec![name(owner)];
    }

    pub(super) fn truncate(&self) {
        self.0.lock().unwrap().truncates = true;
    }

    /// How often it was asked.
    pub(super) fn asked(&self, owner: &str, kind: RecordType) -> usize {
        self.0.lock().unwrap().asked.get(&(name(owner), kind)).copied().unwrap_or_default()
    }

    /// Forgets what it knows of `owner`.
    pub(super) fn remove(&self, owner: &str) {
        self.0.lock().unwrap().records.retain(|(known, _)| *known != name(owner));
    }
}

fn name(text: &str) -> Name {
    lower(&Name::from_str(&format!("{}.", text.trim_end_matches('.'))).unwrap())
}

fn lower(name: &Name) -> Name {
    name.to_lowercase()
}

//! A name server that knows what a test tells it.

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, MX, PTR, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record};
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use tokio::net::UdpSocket;

/// Records by their full name.
#[derive(Clone, Default)]
pub(crate) struct Zone(Vec<(String, RData)>);

impl Zone {
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        // A string of a record has 255 bytes at most.
        let parts = text.as_bytes().chunks(200).map(|part| String::from_utf8(part.to_vec()).unwrap()).collect();
        self.add(name, RData::TXT(TXT::new(parts)));
    }

    pub(crate) fn mx(&mut self, name: &str, host: &str) {
        self.add(name, RData::MX(MX::new(10, full(host))));
    }

    pub(crate) fn address(&mut self, name: &str, address: [u8; 4]) {
        self.add(name, RData::A(A(Ipv4Addr::from(address))));
    }

    pub(crate) fn reverse(&mut self, [a, b, c, d]: [u8; 4], name: &str) {
        self.add(&format!("{d}.{c}.{b}.{a}.in-addr.arpa"), RData::PTR(PTR(full(name))));
    }

    /// Leaves out what stands at `name`, but for other kinds of records than `like`.
    pub(crate) fn without(&mut self, name: &str, like: &str) {
        let kind = |data: &RData| data.record_type().to_string();
        let before = self.0.len();
        self.0.retain(|(known, data)| known != name || kind(data) != like);
        assert!(self.0.len() < before, "there is no {like} at {name}");
    }

    fn add(&mut self, name: &str, data: RData) {
        self.0.push((name.to_owned(), data));
    }

    /// Starts a name server that knows these records and no others.
    pub(crate) async fn serve(self) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let records: Vec<(Name, RData)> = self.0.into_iter().map(|(name, data)| (full(&name), data)).collect();
        tokio::spawn(async move {
            let mut bytes = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
                let asked = Message::from_vec(&bytes[..length]).unwrap();
                let query = asked.queries[0].clone();
                let mut answer = Message::response(asked.metadata.id, OpCode::Query);
                answer.add_query(query.clone());
                for (name, data) in &records {
                    if name == query.name() && data.record_type() == query.query_type() {
                        answer.add_answer(Record::from_rdata(name.clone(), 60, data.clone()));
                    }
                }
                let known = records.iter().any(|(name, _)| name == query.name());
                answer.metadata.response_code = if known { ResponseCode::NoError } else { ResponseCode::NXDomain };
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        });
        address
    }
}

fn full(name: &str) -> Name {
    Name::from_str(&format!("{}.", name.trim_end_matches('.'))).unwrap()
}

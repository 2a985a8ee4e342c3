//! Answers that a name server on this machine has validated by DNSSEC.
//!
//! Its word is the AD bit of its answers (RFC 4035 §3.2.3). The bit is worth something only where nobody can change it
//! on the way, so only a name server at a loopback address is trusted with it, as RFC 7672 §2.2 has it.

use hickory_resolver::proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(4);
const TRIES: usize = 2;

/// What fits into one packet everywhere.
const PACKET: u16 = 1232;

/// Docker answers here, and passes on what others say, their AD bit included.
const DOCKER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));

/// A name server on this machine.
pub(super) struct Trusted(SocketAddr);

/// An answer, and whether it is proven.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) records: Vec<RData>,
    pub(super) is_authentic: bool,
}

impl Trusted {
    /// The name server at `address`, if it may be trusted.
    pub(super) fn at(address: SocketAddr) -> Option<Self> {
        (address.ip().is_loopback() && address.ip() != DOCKER).then_some(Self(address))
    }

    /// The one this machine asks, if all that it may ask are its own.
    pub(super) fn of_this_machine() -> Option<Self> {
        let (config, _) = read_system_conf().ok()?;
        let mut servers = config.name_servers().iter().map(|server| Self::at((server.ip, 53).into()));
        let first = servers.next()??;
        servers.all(|server| server.is_some()).then_some(first)
    }

    /// The records of one kind at `name`; a name without any gives an empty answer.
    ///
    /// # Errors
    /// In words, if the name server does not answer, or could not validate (SERVFAIL).
    pub(super) async fn ask(&self, name: &str, kind: RecordType) -> Result<Asked, String> {
        let name = Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).map_err(|error| error.to_string())?;
        let mut why = String::new();
        for _ in 0..TRIES {
            match timeout(PATIENCE, self.try_to_ask(&name, kind)).await {
                Ok(Ok(answer)) => return read(&answer, kind),
                Ok(Err(error)) => why = error.to_string(),
                Err(_) => "no answer".clone_into(&mut why),
            }
        }
        Err(why)
    }

    async fn try_to_ask(&self, name: &Name, kind: RecordType) -> io::Result<Message> {
        let question = question(name, kind);
        let bytes = question.to_vec().map_err(io::Error::other)?;
        let socket = UdpSocket::bind(if self.0.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).await?;
        socket.connect(self.0).await?;
        socket.send(&bytes).await?;
        let mut packet = [0; PACKET as usize];
        let answer = loop {
            let length = socket.recv(&mut packet).await?;
            if let Some(answer) = packet.get(..length).and_then(|bytes| answer_to(&question, bytes)) {
                break answer;
            }
        };
        if answer.metadata.truncation { self.ask_at_length(&question, &bytes).await } else { Ok(answer) }
    }

    /// Over TCP, where an answer may be as long as it likes.
    async fn ask_at_length(&self, question: &Message, bytes: &[u8]) -> io::Result<Message> {
        let mut stream = TcpStream::connect(self.0).await?;
        let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
        let length = stream.read_u16().await?;
        let mut bytes = vec![0; usize::from(length)];
        stream.read_exact(&mut bytes).await?;
        answer_to(question, &bytes).ok_or_else(|| io::Error::other("an answer to another question"))
    }
}

fn question(name: &Name, kind: RecordType) -> Message {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    // Asks for the AD bit without the signatures (RFC 6840 §5.7).
    question.metadata.authentic_data = true;
    question.add_query(Query::query(name.clone(), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(PACKET);
    question.set_edns(edns);
    question
}

fn answer_to(question: &Message, bytes: &[u8]) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    let is_answer = answer.metadata.message_type == MessageType::Response;
    let fits = answer.metadata.id == question.metadata.id && answer.queries == question.queries;
    (is_answer && fits).then_some(answer)
}

fn read(answer: &Message, kind: RecordType) -> Result<Asked, String> {
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return Err(code.to_string()),
    }
    let records = answer.answers.iter().filter(|record| record.record_type() == kind);
    Ok(Asked {
        records: records.map(|record| record.data.clone()).collect(),
        is_authentic: answer.metadata.authentic_data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::op::OpCode;

    #[test]
    fn only_the_answer_to_a_question_is_taken() {
        let [name, other] = ["a.example.", "b.example."].map(|name| Name::from_ascii(name).unwrap());
        let question = question(&name, RecordType::TLSA);
        let answer = |id, name: &Name, kind| {
            let mut answer = Message::response(id, OpCode::Query);
            answer.add_query(Query::query(name.clone(), kind));
            answer_to(&question, &answer.to_vec().unwrap()).is_some()
        };
        let id = question.metadata.id;
        assert!(answer(id, &name, RecordType::TLSA));
        assert!(!answer(id.wrapping_add(1), &name, RecordType::TLSA));
        assert!(!answer(id, &other, RecordType::TLSA));
        assert!(!answer(id, &name, RecordType::A));
        assert!(answer_to(&question, &question.to_vec().unwrap()).is_none(), "an echo is no answer");
        assert!(answer_to(&question, b"nonsense").is_none());
    }

    #[test]
    fn only_a_name_server_on_this_machine_is_trusted() {
        for (address, expected) in [
            ("127.0.0.1:53", true),
            ("127.0.0.53:53", true),
            ("[::1]:5353", true),
            ("127.0.0.11:53", false),
            ("192.0.2.53:53", false),
        ] {
            assert_eq!(Trusted::at(address.parse().unwrap()).is_some(), expected, "{address}");
        }
    }
}

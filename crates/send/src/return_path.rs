//! Whether bounces find back: the listener, the DNS records, and the way between them.

use crate::Sender;
use crate::dns::{PATIENCE, absolute, resolver, texts};
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use rebound_domain::{CampaignId, DeliveryId};
use std::error::Error as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Hosts that are looked at; more than that nobody lists.
const HOSTS: usize = 3;

/// What is to be looked at.
#[derive(Clone, Debug)]
pub struct Way {
    /// Where we listen for bounces.
    pub listen: SocketAddr,
    /// The port that other mail servers call: 25.
    pub port: u16,
    /// Whom to ask for DNS records; `None` for whom this machine asks.
    pub nameserver: Option<SocketAddr>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it belongs to.
    pub about: About,
    /// What was looked at.
    pub name: String,
    /// How it is, and what to do about it.
    pub words: String,
    /// How well.
    pub state: State,
}

/// What a thing belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Our own listener.
    Listener,
    /// The name server: it did not say.
    Dns,
    /// The MX records, and where they lead.
    Way,
    /// The SPF record.
    Spf,
}

/// How well a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Well,
    /// It may be well; it cannot be seen from here.
    Unsure,
    /// Bounces do not come back like this.
    Wrong,
}

/// Looks at the whole way of a bounce. Nothing is sent: the conversation ends before a message.
pub async fn check(sender: &Sender, way: &Way, now: DateTime<Utc>) -> Vec<Found> {
    let mut found = way_back(sender, way, now).await;
    if let Ok(resolver) = resolver(way.nameserver) {
        found.push(spf(&resolver, &sender.return_domain).await);
    }
    found
}

/// The same without the records that only receivers of our mail ask for.
pub(crate) async fn way_back(sender: &Sender, way: &Way, now: DateTime<Utc>) -> Vec<Found> {
    let delivery = DeliveryId::new(CampaignId(0), 0).unwrap_or(DeliveryId(0));
    let ours = sender.return_path(delivery, 0, now);
    let domain = &sender.return_domain;
    let resolver = match resolver(way.nameserver) {
        Ok(resolver) => resolver,
        Err(error) => {
            let words = format!("This machine knows no name server: {error}.");
            let unsure = Found { about: About::Dns, name: "DNS".to_owned(), words, state: State::Unsure };
            return vec![listener(&ours, domain, way.listen).await, unsure];
        }
    };
    let outside = async {
        let mut found = Vec::new();
        let hosts = exchangers(&resolver, domain, &mut found).await;
        let ways = hosts.iter().take(HOSTS).map(|host| exchanger(&resolver, host, way.port, &ours, domain));
        found.extend(join_all(ways).await);
        found
    };
    let (listener, outside) = tokio::join!(listener(&ours, domain, way.listen), outside);
    std::iter::once(listener).chain(outside).collect()
}

async fn listener(ours: &str, domain: &str, listen: SocketAddr) -> Found {
    let name = "Our listener".to_owned();
    let (words, state) = match ask(reachable(listen), ours, domain).await {
        Said::Both => (format!("It answers at {listen}, takes our addresses and refuses others."), State::Well),
        Said::Open(said) => {
            let words = format!("At {listen} somebody takes mail for any address: “{said}”. That is not Rebound.");
            (words, State::Wrong)
        }
        Said::Refused(said) => {
            let words = format!(
                "At {listen} somebody refuses our addresses: “{said}”. Either it is another program, or a Rebound with another key."
            );
            (words, State::Wrong)
        }
        Said::Nothing(why) => {
            let words = format!(
                "Nobody answers at {listen} from here: {why}. Is `rebound serve` running, and does a firewall stand between?"
            );
            (words, State::Wrong)
        }
    };
    Found { about: About::Listener, name, words, state }
}

async fn exchangers(resolver: &TokioResolver, domain: &str, found: &mut Vec<Found>) -> Vec<String> {
    let name = format!("MX record of {domain}");
    let answer = timeout(PATIENCE, resolver.mx_lookup(absolute(domain))).await;
    let mut hosts: Vec<(u16, String)> = match answer {
        Ok(Ok(lookup)) => lookup
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::MX(mx) => Some((mx.preference, mx.exchange.to_utf8().trim_end_matches('.').to_owned())),
                _ => None,
            })
            .collect(),
        Ok(Err(error)) if error.is_no_records_found() => vec![],
        Ok(Err(error)) => {
            let words = format!("The name server did not say: {error}. Try again in a minute.");
            found.push(Found { about: About::Dns, name, words, state: State::Unsure });
            return vec![];
        }
        Err(_) => {
            let words = "The name server did not answer within 5 seconds. Try again in a minute.".to_owned();
            found.push(Found { about: About::Dns, name, words, state: State::Unsure });
            return vec![];
        }
    };
    hosts.sort();
    let hosts: Vec<String> = hosts.into_iter().map(|(_, host)| host).filter(|host| !host.is_empty()).collect();
    let (words, state) = if hosts.is_empty() {
        (
            "There is none, so bounces cannot come back. Add the record below where the domain is managed.".to_owned(),
            State::Wrong,
        )
    } else {
        (hosts.join(", "), State::Well)
    };
    found.push(Found { about: About::Way, name, words, state });
    hosts
}

async fn exchanger(resolver: &TokioResolver, host: &str, port: u16, ours: &str, domain: &str) -> Found {
    let name = format!("Way to {host}");
    let address = match host.parse::<IpAddr>() {
        // An address is no host name, and some mail servers refuse such a record (RFC 5321 §5.1).
        Ok(_) => {
            let words = "An MX record must name a host, not an address. Give the address a name first.".to_owned();
            return Found { about: About::Way, name, words, state: State::Wrong };
        }
        Err(_) => match timeout(PATIENCE, resolver.lookup_ip(absolute(host))).await {
            Ok(Ok(lookup)) => lookup.iter().next(),
            Ok(Err(_)) | Err(_) => None,
        },
    };
    let Some(address) = address else {
        let words = format!("{host} has no address. Add an A or AAAA record for it.");
        return Found { about: About::Way, name, words, state: State::Wrong };
    };
    let (words, state) = match ask((address, port).into(), ours, domain).await {
        Said::Both => (format!("It leads here: {address}, port {port}, takes our addresses."), State::Well),
        Said::Open(said) => {
            let words = format!(
                "{address} takes mail for any address at {domain}: “{said}”. If it passes them all on to Rebound, bounces come back, and spam with them."
            );
            (words, State::Unsure)
        }
        Said::Refused(said) => {
            let words = format!(
                "{address} refuses our addresses: “{said}”. It is another mail server: let it pass {domain} on, or point the MX record here."
            );
            (words, State::Wrong)
        }
        Said::Nothing(why) => {
            let words = format!(
                "{address} does not answer at port {port} from here: {why}. Open that port. Some networks let no machine call itself by its outside address: then look from outside."
            );
            (words, State::Unsure)
        }
    };
    Found { about: About::Way, name, words, state }
}

async fn spf(resolver: &TokioResolver, domain: &str) -> Found {
    let name = format!("SPF record of {domain}");
    let Ok(texts) = texts(resolver, domain).await else {
        let words = "The name server did not say. Try again in a minute.".to_owned();
        return Found { about: About::Spf, name, words, state: State::Unsure };
    };
    let (words, state) = match texts.into_iter().find(|text| text.to_ascii_lowercase().starts_with("v=spf1")) {
        Some(record) => (record, State::Well),
        None => (
            "There is none. Mail arrives more surely with one that names your sending server.".to_owned(),
            State::Unsure,
        ),
    };
    Found { about: About::Spf, name, words, state }
}

/// Where to call somebody who listens there.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, listen.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, listen.port()).into(),
        IpAddr::V4(_) | IpAddr::V6(_) => listen,
    }
}

/// What a host said to one address of ours, and to one that nobody signed.
enum Said {
    /// Yes and no, as it should.
    Both,
    /// Yes to both.
    Open(String),
    /// No to ours.
    Refused(String),
    /// It did not come to that.
    Nothing(String),
}

async fn ask(host: SocketAddr, ours: &str, domain: &str) -> Said {
    match timeout(PATIENCE, converse(host, ours, domain)).await {
        Ok(Ok(said)) => said,
        Ok(Err(why)) => Said::Nothing(why),
        Err(_) => Said::Nothing("no answer within 5 seconds".to_owned()),
    }
}

async fn converse(host: SocketAddr, ours: &str, domain: &str) -> Result<Said, String> {
    let socket = TcpStream::connect(host).await.map_err(|error| error.to_string())?;
    let stream: Box<dyn AsyncTokioStream> = Box::new(socket);
    let hello = ClientId::Domain(domain.to_owned());
    let words =
        |error: lettre::transport::smtp::Error| error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let mut line = AsyncSmtpConnection::connect_with_transport(stream, &hello).await.map_err(words)?;
    line.command("MAIL FROM:<>\r\n").await.map_err(words)?;
    let known = line.command(format!("RCPT TO:<{ours}>\r\n")).await;
    let stranger = line.command(format!("RCPT TO:<nobody@{domain}>\r\n")).await;
    let _ = line.quit().await;
    Ok(match (known, stranger) {
        (Ok(_), Err(_)) => Said::Both,
        (Ok(_), Ok(said)) => Said::Open(said.message().collect::<Vec<_>>().join(" ")),
        (Err(error), _) => Said::Refused(words(error)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::rr::rdata::{A, MX, TXT};
    use hickory_resolver::proto::rr::{Name, RecordType};
    use rebound_domain::{Keys, ReturnPath};
    use std::str::FromStr;
    use std::sync::{Arc, Mutex};
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    fn sender() -> Sender {
        Sender {
            keys: Keys::new(('a', b"a key of 32 bytes, kept in a file".to_vec()), vec![]),
            return_domain: "bounce.fernhill.test".into(),
            public_url: "https://mail.fernhill.test".into(),
        }
    }

    /// A name server that knows these records and no others.
    async fn names(records: Vec<(&'static str, RData)>) -> SocketAddr {
        let records = records.into_iter().map(|(name, data)| (name.to_owned(), data)).collect();
        crate::dns::pretend::names(Arc::new(Mutex::new(records))).await
    }

    /// A mail host that takes what `takes` says.
    async fn host(takes: fn(&str) -> bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (reader, mut writer) = socket.into_split();
                writer.write_all(b"220 here\r\n").await.unwrap();
                let mut lines = BufReader::new(reader).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let no = line.strip_prefix("RCPT TO:<").is_some_and(|to| !takes(to.trim_end_matches('>')));
                    let answer: &[u8] = if no { b"550 5.1.1 not ours\r\n" } else { b"250 2.0.0 well\r\n" };
                    if writer.write_all(answer).await.is_err() {
                        break;
                    }
                }
            }
        });
        address
    }

    fn is_ours(address: &str) -> bool {
        let local = address.split('@').next().unwrap_or_default();
        ReturnPath::verify(local, &sender().keys, Utc::now()).is_some()
    }

    async fn found(takes: fn(&str) -> bool, records: Vec<(&'static str, RData)>) -> Vec<(String, State)> {
        let listen = host(takes).await;
        let way = Way { listen, port: listen.port(), nameserver: Some(names(records).await) };
        let found = check(&sender(), &way, Utc::now()).await;
        found.into_iter().map(|one| (one.name, one.state)).collect()
    }

    fn mx(host: &str) -> (&'static str, RData) {
        ("bounce.fernhill.test.", RData::MX(MX::new(10, Name::from_str(host).unwrap())))
    }

    #[tokio::test]
    async fn a_whole_way_is_well() {
        let records = vec![
            mx("mail.fernhill.test."),
            ("mail.fernhill.test.", RData::A(A::new(127, 0, 0, 1))),
            ("bounce.fernhill.test.", RData::TXT(TXT::new(vec!["v=spf1 ip4:192.0.2.1 ~all".into()]))),
        ];
        let found = found(is_ours, records).await;
        assert_eq!(found.len(), 4);
        assert!(found.iter().all(|(_, state)| *state == State::Well), "{found:?}");
    }

    #[tokio::test]
    async fn each_gap_in_the_way_is_named() {
        let nothing = found(is_ours, vec![]).await;
        assert_eq!(nothing[1], ("MX record of bounce.fernhill.test".to_owned(), State::Wrong));
        assert_eq!(nothing[2].1, State::Unsure, "no SPF: {nothing:?}");
        let dangling = found(is_ours, vec![mx("mail.fernhill.test.")]).await;
        assert_eq!(dangling[2], ("Way to mail.fernhill.test".to_owned(), State::Wrong));
        let here = ("mail.fernhill.test.", RData::A(A::new(127, 0, 0, 1)));
        let other = found(|_| false, vec![mx("mail.fernhill.test."), here.clone()]).await;
        assert_eq!((other[0].1, other[2].1), (State::Wrong, State::Wrong), "another mail server: {other:?}");
        let open = found(|_| true, vec![mx("mail.fernhill.test."), here]).await;
        assert_eq!((open[0].1, open[2].1), (State::Wrong, State::Unsure), "it takes everything: {open:?}");
        assert_eq!(RecordType::MX, mx("mail.fernhill.test.").1.record_type());
    }
}

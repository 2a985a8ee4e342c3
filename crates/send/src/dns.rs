//! Questions to a name server.

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// A person waits for the answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Asks `nameserver`, or whom this machine asks. It remembers nothing from before.
pub(crate) fn resolver(nameserver: Option<SocketAddr>) -> Result<TokioResolver, NetError> {
    let mut builder = match nameserver {
        None => TokioResolver::builder_tokio()?,
        Some(address) => {
            let mut udp = ConnectionConfig::new(ProtocolConfig::Udp);
            udp.port = address.port();
            let server = NameServerConfig::new(address.ip(), true, vec![udp]);
            let config = ResolverConfig::from_parts(None, vec![], vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    (options.timeout, options.attempts) = (PATIENCE / 2, 1);
    builder.build()
}

/// The TXT records under `name`, each with its strings joined (RFC 7208 §3.3, RFC 6376 §3.6.2.2); none where there are
/// none. Else why the name server did not say.
pub(crate) async fn texts(resolver: &TokioResolver, name: &str) -> Result<Vec<String>, String> {
    match timeout(PATIENCE, resolver.txt_lookup(absolute(name))).await {
        Ok(Ok(lookup)) => Ok(lookup.answers().iter().filter_map(|record| text(&record.data)).collect()),
        Ok(Err(error)) if error.is_no_records_found() => Ok(vec![]),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer within 5 seconds".to_owned()),
    }
}

/// The text of a TXT record.
pub(crate) fn text(data: &RData) -> Option<String> {
    let RData::TXT(txt) = data else { return None };
    Some(txt.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect())
}

/// No search list of this machine is to be asked as well.
pub(crate) fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

#[cfg(test)]
pub(crate) mod pretend {
    //! A name server that knows what a test tells it.

    use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
    use hickory_resolver::proto::rr::{Name, RData, Record};
    use std::net::SocketAddr;
    use std::str::FromStr;
    use std::sync::{Arc, Mutex};
    use tokio::net::UdpSocket;

    /// Records by their full name.
    pub(crate) type Records = Arc<Mutex<Vec<(String, RData)>>>;

    /// Starts a name server that knows these records, as they are when it is asked, and no others.
    pub(crate) async fn names(records: Records) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut bytes = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
                let asked = Message::from_vec(&bytes[..length]).unwrap();
                let query = asked.queries[0].clone();
                let mut answer = Message::response(asked.metadata.id, OpCode::Query);
                answer.add_query(query.clone());
                for (name, data) in records.lock().unwrap().iter() {
                    let name = Name::from_str(name).unwrap();
                    if name == *query.name() && data.record_type() == query.query_type() {
                        answer.add_answer(Record::from_rdata(name, 60, data.clone()));
                    }
                }
                answer.metadata.response_code = ResponseCode::NoError;
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        });
        address
    }
}

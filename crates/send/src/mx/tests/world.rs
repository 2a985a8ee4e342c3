//! A small internet on this machine: a name server, mail hosts, and a page over https.

use super::host::{Authority, MailHost, Manner};
use crate::mx::{DirectSettings, Exchanges};
use crate::transport::direct::Patience;
use rebound_sandbox::names::NameServer;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(super) fn ip(text: &str) -> std::net::IpAddr {
    text.parse().unwrap()
}

pub(super) struct World {
    pub(super) names: NameServer,
    nameserver: SocketAddr,
    pub(super) authority: Authority,
    /// The one port of all mail hosts; held at 127.0.0.1, so that no other world takes it.
    pub(super) port: u16,
    _held: TcpListener,
    https: Arc<Mutex<Option<u16>>>,
    pub(super) patience: Patience,
}

impl World {
    pub(super) async fn new() -> Self {
        let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let names = NameServer::default();
        Self {
            nameserver: names.start().await.unwrap(),
            names,
            authority: Authority::new(),
            port: held.local_addr().unwrap().port(),
            _held: held,
            https: Arc::default(),
            patience: Patience::default(),
        }
    }

    pub(super) fn settings(&self) -> DirectSettings {
        DirectSettings {
            hello: "out.sender.example".to_owned(),
            source: ["127.0.0.1", "::1"].map(|address| address.parse().unwrap()).to_vec(),
            nameserver: Some(self.nameserver),
            port: self.port,
            tls_authority: Some(self.authority.pem.clone()),
            prefer_ipv6: false,
        }
    }

    pub(super) fn exchanges(&self) -> Exchanges {
        self.exchanges_with(self.settings())
    }

    pub(super) fn exchanges_with(&self, settings: DirectSettings) -> Exchanges {
        Exchanges::with(settings, self.https.lock().unwrap().unwrap_or(1), self.patience).unwrap()
    }

    /// A mail host named `name` at `address`.
    pub(super) async fn host(&self, name: &str, address: &str, manner: Manner) -> MailHost {
        self.names.address(name, ip(address));
        MailHost::start(SocketAddr::new(address.parse().unwrap(), self.port), manner).await
    }

    /// Publishes a policy of `domain`, as a whole answer of a web server.
    pub(super) async fn policy(&self, domain: &str, answer: String) -> Arc<Mutex<usize>> {
        let name = format!("mta-sts.{domain}");
        self.names.text(&format!("_mta-sts.{domain}"), "v=STSv1; id=1;").address(&name, ip("127.0.0.1"));
        let (config, _) = self.authority.vouches_for(&name);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        *self.https.lock().unwrap() = Some(listener.local_addr().unwrap().port());
        let (fetched, count) = (Arc::new(Mutex::new(0)), Arc::new(config));
        let fetches = fetched.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = TlsAcceptor::from((*count).clone()).accept(stream).await else { continue };
                let mut request = [0; 2000];
                let length = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                assert!(request.starts_with("GET /.well-known/mta-sts.txt HTTP/1.1\r\n"), "{request}");
                *fetches.lock().unwrap() += 1;
                // Who has heard enough hangs up.
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        fetched
    }
}

/// The answer of a web server that has the policy.
pub(super) fn page(mode: &str, mx: &str) -> String {
    let text = format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n");
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

//! A mail host at an address of its own, and certificates.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a host says and does.
#[derive(Clone)]
pub(super) struct Manner {
    pub(super) greeting: &'static str,
    pub(super) starttls: StartTls,
    /// Whether it knows EHLO.
    pub(super) is_new: bool,
}

#[derive(Clone)]
pub(super) enum StartTls {
    /// It does not know the word.
    Absent,
    /// It has a certificate.
    With(Arc<ServerConfig>),
    /// It says yes, and then talks nonsense.
    Broken,
    /// It offers it, and refuses.
    Refused,
    /// It says more than yes before the handshake.
    Injected(Arc<ServerConfig>),
}

/// One who called: from where, and what was said, TLS included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) from: IpAddr,
    pub(super) said: Vec<String>,
}

#[derive(Clone)]
pub(super) struct MailHost(Arc<Mutex<Vec<Caller>>>);

impl Manner {
    pub(super) fn plain() -> Self {
        Self { greeting: "220 here", starttls: StartTls::Absent, is_new: true }
    }
    pub(super) fn greeting(greeting: &'static str) -> Self {
        Self { greeting, ..Self::plain() }
    }
    pub(super) fn with(starttls: StartTls) -> Self {
        Self { starttls, ..Self::plain() }
    }
}

impl MailHost {
    pub(super) async fn start(address: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let host = Self(Arc::default());
        let callers = host.0.clone();
        tokio::spawn(async move {
            while let Ok((stream, from)) = listener.accept().await {
                let number = {
                    let mut callers = callers.lock().unwrap();
                    callers.push(Caller { from: from.ip(), said: vec![] });
                    callers.len() - 1
                };
                let (manner, callers) = (manner.clone(), callers.clone());
                // A caller who hangs up ends the talk.
                tokio::spawn(async move {
                    let note = |said: &str| callers.lock().unwrap()[number].said.push(said.to_owned());
                    let _hung_up = receive(stream, &manner, &note).await;
                });
            }
        });
        host
    }

    pub(super) fn callers(&self) -> Vec<Caller> {
        self.0.lock().unwrap().clone()
    }

    /// What the last caller said.
    pub(super) fn heard(&self) -> Vec<String> {
        self.callers().pop().map(|caller| caller.said).unwrap_or_default()
    }
}

async fn receive<S>(mut stream: S, manner: &Manner, note: &(impl Fn(&str) + Sync)) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    if manner.greeting.is_empty() {
        // Somebody is there, and never says a word.
        return std::future::pending().await;
    }
    stream.write_all(format!("{}\r\n", manner.greeting).as_bytes()).await?;
    let is_starttls = talk(&mut stream, manner, note).await?;
    match (&manner.starttls, is_starttls) {
        (StartTls::With(config) | StartTls::Injected(config), true) => {
            let more: &[u8] = match manner.starttls {
                StartTls::Injected(_) => b"220 go\r\n250 and take this for mine\r\n",
                _ => b"220 go\r\n",
            };
            stream.write_all(more).await?;
            let mut stream = TlsAcceptor::from(config.clone()).accept(stream).await?;
            note("TLS");
            let inside = Manner { starttls: StartTls::Absent, ..manner.clone() };
            talk(&mut stream, &inside, note).await?;
        }
        (StartTls::Broken, true) => stream.write_all(b"220 go\r\nthis is no handshake at all\r\n").await?,
        _ => {}
    }
    Ok(())
}

/// Answers until the caller leaves, or wants TLS.
async fn talk<S>(stream: &mut S, manner: &Manner, note: &impl Fn(&str)) -> std::io::Result<bool>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let offer = if matches!(manner.starttls, StartTls::Absent) { "" } else { "250-STARTTLS\r\n" };
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let mut is_message = false;
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(false);
        }
        note(line.trim_end());
        let word: String = line.chars().take(4).collect::<String>().to_ascii_uppercase();
        let answer = match (is_message, word.trim_end(), &manner.starttls) {
            (true, ".", _) => {
                is_message = false;
                "250 2.0.0 taken\r\n".to_owned()
            }
            (true, ..) => continue,
            (_, "EHLO", _) if !manner.is_new => "500 what?\r\n".to_owned(),
            (_, "EHLO", _) => format!("250-here\r\n250-PIPELINING\r\n{offer}250 SIZE 1000000\r\n"),
            (_, "STAR", StartTls::Refused) => "454 4.7.0 not now\r\n".to_owned(),
            (_, "STAR", _) => return Ok(true),
            (_, "DATA", _) => {
                is_message = true;
                "354 go on\r\n".to_owned()
            }
            _ => "250 well\r\n".to_owned(),
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// An authority of our own.
pub(super) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) pem: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        Self { params, key, certificate: made.der().clone(), pem: made.pem() }
    }

    /// A certificate for `name`, with its authority behind it.
    pub(super) fn vouches_for(&self, name: &str) -> (Arc<ServerConfig>, CertificateDer<'static>) {
        self.vouches_with(name, &self.certificate)
    }

    /// A certificate for `name`, with some other certificate behind it.
    pub(super) fn vouches_with(
        &self,
        name: &str,
        behind: &CertificateDer<'static>,
    ) -> (Arc<ServerConfig>, CertificateDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let made = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let chain = vec![made.der().clone(), behind.clone()];
        let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        (Arc::new(config.with_single_cert(chain, secret).unwrap()), made.der().clone())
    }
}

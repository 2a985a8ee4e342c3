//! Over SMTP straight to a receiver's mail host.
//!
//! Between strangers a line is protected as well as both can (RFC 7435), unless the receiver has published what it
//! must be like. So the opening is ours, to its last answer; then lettre takes over.

mod opened;
mod talk;

use super::stream::Protected;
use super::{Line, Offers, Reply};
use crate::mx::{Proof, Security, Trust};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use opened::Opened;
use rebound_domain::SmtpCommand;
use rustls::CertificateError;
use rustls::pki_types::ServerName;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use talk::{Said, Talk};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// For how long a host is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Until somebody answers at an address.
    pub(crate) connect: Duration,
    /// For each answer. Less than the five minutes of RFC 5321 §4.5.3.2: there are other hosts.
    pub(crate) answer: Duration,
    /// For a handshake.
    pub(crate) handshake: Duration,
    /// For all hosts together.
    pub(crate) all: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            answer: Duration::from_secs(60),
            handshake: Duration::from_secs(30),
            all: Duration::from_secs(150),
        }
    }
}

/// Whom to call, and how.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The host's name, for its certificate.
    pub(crate) host: &'a str,
    pub(crate) address: SocketAddr,
    /// Our address to call from; `None` for whichever the system takes.
    pub(crate) source: Option<IpAddr>,
    /// How we name ourselves.
    pub(crate) hello: &'a str,
    /// The domain that the mail is for.
    pub(crate) domain: &'a str,
    pub(crate) security: &'a Security,
    pub(crate) trust: &'a Trust,
    pub(crate) patience: Patience,
}

/// How a line came to be protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Not at all.
    Clear,
    /// By TLS with somebody whom nobody vouches for.
    Unproven,
    /// By TLS with the host that was meant.
    Proven,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clear => "in the clear",
            Self::Unproven => "encrypted",
            Self::Proven => "encrypted, its certificate proven",
        })
    }
}

/// Why a host gave us no line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// Nobody answers at the address.
    Silent(String),
    /// It was not called, for a reason of our own.
    Uncalled(String),
    /// It does not want us now, or ever.
    Refused(Reply),
    /// The line cannot be protected as it must be.
    Unprotected(String),
}

impl Line {
    /// Opens a line to one address of a mail host. Where nothing is demanded, a handshake that fails is left alone, and
    /// the host is called once more without.
    pub(crate) async fn open_to(call: &Call<'_>) -> Result<(Self, Protection), Closed> {
        match call.security {
            Security::Never(why) => Err(Closed::Unprotected(why.clone())),
            Security::Must(_) => call.open(true).await,
            Security::Try => match call.open(true).await {
                Err(Closed::Unprotected(why)) => {
                    tracing::debug!(host = call.host, "no protected line, the next try is in the clear: {why}");
                    call.open(false).await
                }
                answer => answer,
            },
        }
    }
}

impl Call<'_> {
    async fn open(&self, protect: bool) -> Result<(Line, Protection), Closed> {
        let mut talk = Talk::new(self.connect().await?);
        let greeting = heard(self.patience.answer, talk.listen()).await.map_err(Closed::Silent)?;
        welcomed(greeting, SmtpCommand::Connect)?;
        let offers = self.hello(&mut talk).await?;
        if protect && let Some(name) = self.starttls(&mut talk, &offers).await? {
            return self.protected(talk, name).await;
        }
        let stream = talk.into_stream().map_err(|error| Closed::Silent(error.to_string()))?;
        Ok((self.line(Box::new(stream), &offers).await?, Protection::Clear))
    }

    async fn connect(&self) -> Result<TcpStream, Closed> {
        let socket = self.socket().map_err(|error| {
            let from = self.source.map_or_else(|| "here".to_owned(), |source| source.to_string());
            Closed::Uncalled(format!("mail cannot leave from {from}: {error}"))
        })?;
        match timeout(self.patience.connect, socket.connect(self.address)).await {
            Ok(Ok(socket)) => Ok(socket),
            // As on machines without IPv6.
            Ok(Err(error)) if error.kind() == io::ErrorKind::NetworkUnreachable => {
                Err(Closed::Uncalled(error.to_string()))
            }
            Ok(Err(error)) => Err(Closed::Silent(error.to_string())),
            Err(_) => Err(Closed::Silent(format!("no answer within {} seconds", self.patience.connect.as_secs_f32()))),
        }
    }

    fn socket(&self) -> io::Result<TcpSocket> {
        let socket = if self.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = self.source {
            socket.bind((source, 0).into())?;
        }
        // Small writes are not to be held back.
        socket.set_nodelay(true)?;
        Ok(socket)
    }

    /// EHLO, or HELO for hosts of old.
    async fn hello<S: AsyncTokioStream>(&self, talk: &mut Talk<S>) -> Result<Said, Closed> {
        let said =
            heard(self.patience.answer, talk.say(&format!("EHLO {}", self.hello))).await.map_err(Closed::Silent)?;
        if (500..=504).contains(&said.code) {
            let said =
                heard(self.patience.answer, talk.say(&format!("HELO {}", self.hello))).await.map_err(Closed::Silent)?;
            let said = welcomed(said, SmtpCommand::Helo)?;
            return Ok(Said { lines: vec![], ..said });
        }
        welcomed(said, SmtpCommand::Helo)
    }

    /// Asks for a handshake; `None` where none is to be had and none is needed.
    async fn starttls(&self, talk: &mut Talk<TcpStream>, offers: &Said) -> Result<Option<ServerName<'static>>, Closed> {
        let must = matches!(self.security, Security::Must(_));
        let unprotected = |why: String| if must { Err(Closed::Unprotected(why)) } else { Ok(None) };
        if !offers.offers("STARTTLS") {
            return unprotected("it offers no STARTTLS".to_owned());
        }
        let name = match ServerName::try_from(self.host.to_owned()) {
            Ok(name) => name,
            Err(error) => return unprotected(error.to_string()),
        };
        let said = heard(self.patience.answer, talk.say("STARTTLS")).await.map_err(Closed::Unprotected)?;
        if said.code == 220 { Ok(Some(name)) } else { unprotected(format!("{} {}", said.code, said.text())) }
    }

    async fn protected(&self, talk: Talk<TcpStream>, name: ServerName<'static>) -> Result<(Line, Protection), Closed> {
        let unprotected = |error: String| Closed::Unprotected(error);
        let socket = talk.into_stream().map_err(|error| unprotected(error.to_string()))?;
        let (config, protection) = match self.security {
            Security::Must(Proof::Name) => (self.trust.by_name(), Protection::Proven),
            Security::Must(Proof::Published(records)) => {
                let config = self.trust.by_records(records.clone(), [self.host, self.domain]);
                (config.map_err(|error| unprotected(error.to_string()))?, Protection::Proven)
            }
            Security::Must(Proof::Nothing) | Security::Try | Security::Never(_) => {
                (self.trust.anybody(), Protection::Unproven)
            }
        };
        let shaken = async { Protected::shake(socket, name, config).await.map_err(in_words) };
        let stream = heard(self.patience.handshake, shaken).await.map_err(unprotected)?;
        let mut talk = Talk::new(stream);
        // What was said in the clear does not count any more (RFC 3207 §4.2). Who says nothing behind a handshake has
        // not managed it, and TLS 1.3 tells of a certificate that is not wanted only now.
        let offers = match self.hello(&mut talk).await {
            Err(Closed::Silent(why)) => return Err(unprotected(why)),
            answer => answer?,
        };
        let stream = talk.into_stream().map_err(|error| unprotected(error.to_string()))?;
        Ok((self.line(Box::new(stream), &offers).await?, protection))
    }

    async fn line(&self, stream: Box<dyn AsyncTokioStream>, offers: &Said) -> Result<Line, Closed> {
        let stream: Box<dyn AsyncTokioStream> = Box::new(Opened::new(stream));
        let hello = ClientId::Domain(self.hello.to_owned());
        let connection = AsyncSmtpConnection::connect_with_transport(stream, &hello);
        let connection = connection.await.map_err(|error| Closed::Silent(super::words(&error)))?;
        Ok(Line::opened(connection, Offers::of(&offers.lines)))
    }
}

/// What came within `patience`, or why nothing came.
async fn heard<T>(patience: Duration, answer: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    match timeout(patience, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} seconds", patience.as_secs_f32())),
    }
}

/// A yes, or the refusal.
fn welcomed(said: Said, to: SmtpCommand) -> Result<Said, Closed> {
    if said.is_positive() {
        return Ok(said);
    }
    Err(Closed::Refused(Reply { code: said.code, text: said.text(), to }))
}

/// What is wrong with a certificate, for people; other errors speak for themselves.
fn in_words(error: io::Error) -> io::Error {
    match certificate_fault(&error) {
        Some(words) => io::Error::new(io::ErrorKind::InvalidData, words),
        None => error,
    }
}

/// What is wrong with a certificate, where a handshake failed for that.
pub(super) fn certificate_fault(error: &io::Error) -> Option<String> {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    let Some(rustls::Error::InvalidCertificate(fault)) = tls else { return None };
    let words = match fault {
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            let plain = |name: &String| name.trim_start_matches("DnsName(\"").trim_end_matches("\")").to_owned();
            let names: Vec<String> = presented.iter().map(plain).collect();
            return Some(format!("its certificate is in another name: {}", names.join(", ")));
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is in another name"
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "nobody who is trusted has signed its certificate"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has run out",
        CertificateError::ApplicationVerificationFailure => {
            "its certificate is not the one that the domain names in its DNS (DANE)"
        }
        _ => return None,
    };
    Some(words.to_owned())
}

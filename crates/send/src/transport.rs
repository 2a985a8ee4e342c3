//! Over SMTP to the relay.
//!
//! lettre speaks the protocol; the socket is ours, so that small writes are not held back (`TCP_NODELAY`), and
//! the commands of one message travel together where the relay offers PIPELINING (RFC 2920).

#[cfg(test)]
mod content;
pub(crate) mod direct;
mod down;
mod login;
mod stream;
#[cfg(test)]
mod tests;
mod wire;

pub use down::RelayDown;
pub(crate) use wire::{Mail, Unfit, Wire};

use crate::{Relay, Tls};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, Certificate, TlsParameters};
use lettre::transport::smtp::commands::Rset;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::{Response, Severity};
use login::sign_in;
use rebound_db::fail_point_amid;
use rebound_domain::SmtpCommand;
use std::error::Error as _;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const CONNECT: Duration = Duration::from_secs(30);
const COMMAND: Duration = Duration::from_secs(300);
/// As long as Postfix waits: the message may have been taken, and we want to know.
const AFTER_DOT: Duration = Duration::from_secs(600);

/// Messages over one line: then it is closed and another one opened, as hosts like it.
const MESSAGES: u32 = 1_000;

/// A host that took longer than this for its last answer is not given the next envelope with a message: whoever waits
/// behind a slow answer could go over another line.
const PROMPT: Duration = Duration::from_millis(500);

/// An open line to the relay.
pub(crate) struct Line {
    connection: AsyncSmtpConnection,
    offers: Offers,
    between_messages: bool,
    is_cut: bool,
    /// Messages answered on it.
    messages: u32,
    /// Messages that it may carry.
    most: u32,
    /// Whether an envelope was answered on it.
    was_answered: bool,
    /// Whether the last answer to a message came quickly.
    is_prompt: bool,
}

/// What the relay can do, of which we make use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offers {
    /// Several commands at once (RFC 2920).
    pub(crate) pipelining: bool,
    /// Addresses beyond ASCII (RFC 6531).
    pub(crate) utf8: bool,
    /// SIZE (RFC 1870): the largest message it takes, in octets; 0 where it knows the word and names no limit.
    pub(crate) size: Option<usize>,
}

/// How far the opening of a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// Somebody answers.
    Connected,
    /// It greeted us, and the line is protected as it should be.
    Greeted,
    /// It knows us.
    LoggedIn,
    /// What it can do, in its words.
    Offered(Vec<String>),
}

/// What the relay said to the envelope.
#[derive(Debug)]
pub(crate) enum Envelope {
    /// Go on with the message.
    Ready,
    /// Not this recipient: its reply as it came.
    Refused(Reply),
    /// The line broke; nothing was sent.
    Lost,
    /// The relay ends the line, as some do after a number of messages. The message may go over another one.
    Ended,
}

/// What the relay said to the message.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It took responsibility.
    Accepted(Reply),
    /// It refused.
    Refused(Reply),
    /// The line broke after the final dot: the message may have arrived.
    Doubt,
}

/// A reply: its three digits, the text, and what it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) text: String,
    pub(crate) to: SmtpCommand,
}

impl Reply {
    /// As it stood on the wire: `550 5.1.1 no such user`.
    pub(crate) fn line(&self) -> String {
        // Databases and pages want no control characters, and nobody wants a novel.
        let text: String = self.text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(2000).collect();
        format!("{} {text}", self.code)
    }
}

type SmtpError = lettre::transport::smtp::Error;

impl Line {
    pub(crate) async fn open(relay: &Relay) -> Result<Self, RelayDown> {
        Self::open_noting(relay, &mut |_| ()).await
    }

    /// Opens a line and says after each step how far it is.
    pub(crate) async fn open_noting(relay: &Relay, note: &mut (dyn FnMut(Reached) + Send)) -> Result<Self, RelayDown> {
        match timeout(CONNECT, Self::connect(relay, note)).await {
            Ok(line) => line,
            Err(_) => Err(RelayDown::Unreachable { relay: name(relay), why: "no answer within 30 seconds".into() }),
        }
    }

    async fn connect(relay: &Relay, note: &mut (dyn FnMut(Reached) + Send)) -> Result<Self, RelayDown> {
        let unreachable = |e: std::io::Error| RelayDown::Unreachable { relay: name(relay), why: e.to_string() };
        let socket = TcpStream::connect((relay.host.as_str(), relay.port)).await.map_err(unreachable)?;
        socket.set_nodelay(true).map_err(unreachable)?;
        note(Reached::Connected);
        let unprotected = |why: String| RelayDown::Unprotected { relay: name(relay), why };
        let stream: Box<dyn AsyncTokioStream> = match relay.tls {
            Tls::Implicit => {
                Box::new(stream::Protected::open(socket, relay).await.map_err(|e| unprotected(shaken(&e)))?)
            }
            Tls::None | Tls::StartTls => Box::new(socket),
        };
        let hello = ClientId::Domain(relay.hello.clone());
        let refused = |e: &SmtpError| RelayDown::Refused { relay: name(relay), why: words(e) };
        let mut connection =
            AsyncSmtpConnection::connect_with_transport(stream, &hello).await.map_err(|e| refused(&e))?;
        if relay.tls == Tls::StartTls {
            let parameters = parameters(relay).map_err(|e| unprotected(words(&e)))?;
            connection.starttls(parameters, &hello).await.map_err(|e| unprotected(protected(&e)))?;
        }
        note(Reached::Greeted);
        if let Some(login) = &relay.login {
            sign_in(&mut connection, relay, login).await?;
            note(Reached::LoggedIn);
        }
        let words = offers(&mut connection, &hello).await.map_err(|e| refused(&e))?;
        let offers = Offers::of(&words);
        note(Reached::Offered(words));
        Ok(Self::opened(connection, offers))
    }

    /// A line whose opening is over.
    fn opened(connection: AsyncSmtpConnection, offers: Offers) -> Self {
        Self {
            connection,
            offers,
            between_messages: true,
            is_cut: false,
            messages: 0,
            most: MESSAGES,
            was_answered: false,
            is_prompt: false,
        }
    }

    /// Until the host ends a line that nobody uses. Whatever it says without being asked, it says goodbye. Who stops waiting
    /// amid its words hears the rest of them as an answer, and the line is lost before any message.
    pub(crate) async fn ended(&mut self) {
        let _goodbye = self.connection.read_response().await;
        self.is_cut = true;
    }

    /// MAIL, RCPT and DATA, at once if the relay takes them so.
    pub(crate) async fn envelope(&mut self, mail: &Mail<'_>) -> Envelope {
        let answer = timeout(COMMAND, self.try_envelope(mail)).await;
        self.envelope_answer(answer.unwrap_or_else(|_| Ok(Envelope::Lost)))
    }

    fn envelope_answer(&mut self, answer: Result<Envelope, SmtpError>) -> Envelope {
        let answer = answer.unwrap_or(Envelope::Lost);
        self.is_cut |= matches!(answer, Envelope::Lost | Envelope::Ended);
        self.was_answered |= !matches!(answer, Envelope::Lost);
        answer
    }

    async fn try_envelope(&mut self, mail: &Mail<'_>) -> Result<Envelope, SmtpError> {
        if !self.between_messages {
            self.connection.command(Rset).await?;
        }
        self.between_messages = false;
        if self.offers.pipelining {
            let first = self.connection.command(mail.together(self.offers)).await;
            return self.envelope_answers(first).await;
        }
        let mut asks_for_the_message = false;
        for (command, line) in mail.commands(self.offers) {
            match self.connection.command(line).await {
                Ok(answer) => asks_for_the_message = is_intermediate(&answer),
                Err(refusal) => return self.refused(refusal, command),
            }
        }
        Ok(self.ready(asks_for_the_message))
    }

    /// All three commands that went together are answered, whatever the first answers say.
    async fn envelope_answers(&mut self, mail: Result<Response, SmtpError>) -> Result<Envelope, SmtpError> {
        let (rcpt, data) = (self.connection.read_response().await, self.connection.read_response().await);
        let asks_for_the_message = data.as_ref().is_ok_and(is_intermediate);
        self.is_cut |= data.is_ok() && !asks_for_the_message;
        // The first refusal is the reason; those behind it follow from it.
        let refused = |answer: Result<_, SmtpError>, command| answer.err().map(|refusal| (refusal, command));
        let first = refused(mail, SmtpCommand::MailFrom)
            .or(refused(rcpt, SmtpCommand::RcptTo))
            .or(refused(data, SmtpCommand::Data));
        let Some((refusal, command)) = first else { return Ok(self.ready(asks_for_the_message)) };
        let said = self.refused(refusal, command)?;
        if asks_for_the_message {
            // A host that refused the recipient and opened DATA all the same gets an empty message, which goes to
            // nobody (RFC 2920 §3.1).
            let _nobody = self.connection.command(".\r\n").await;
        }
        Ok(said)
    }

    /// Only an intermediate reply asks for the message (RFC 5321 §4.1.1.4). After any other that is no refusal the relay
    /// has answered more often than it was asked: what it says next would be taken for the answer to something else,
    /// and one recipient's refusal for another's. Such a line is left.
    fn ready(&mut self, asks_for_the_message: bool) -> Envelope {
        if asks_for_the_message {
            return Envelope::Ready;
        }
        self.is_cut = true;
        Envelope::Lost
    }

    /// A 421 to MAIL after other messages says nothing about this one (RFC 5321 §3.8).
    fn refused(&self, refusal: SmtpError, to: SmtpCommand) -> Result<Envelope, SmtpError> {
        let reply = reply(refusal, to)?;
        let ends = reply.code == 421 && to == SmtpCommand::MailFrom && self.messages > 0;
        Ok(if ends { Envelope::Ended } else { Envelope::Refused(reply) })
    }

    /// The message and the final dot.
    pub(crate) async fn message(&mut self, message: &Wire) -> Answer {
        let since = Instant::now();
        let answer = timeout(AFTER_DOT, fail_point_amid("after-dot", self.connection.command(message))).await;
        self.answer(answer.ok(), since)
    }

    /// The message and, behind its final dot, the envelope of the next one: one round trip for both. The second answer
    /// is that to the envelope, which is not waited for once we are `ending`.
    pub(crate) async fn message_and(
        &mut self,
        message: &Wire,
        next: &Mail<'_>,
        ending: &CancellationToken,
    ) -> (Answer, Envelope) {
        let (together, since) = (message.and(next, self.offers), Instant::now());
        let answer = timeout(AFTER_DOT, fail_point_amid("after-dot", self.connection.command(together))).await;
        let answer = self.answer(answer.ok(), since);
        if self.is_broken() {
            return (answer, Envelope::Lost);
        }
        self.between_messages = false;
        let envelope = async {
            let first = self.connection.read_response().await;
            self.envelope_answers(first).await
        };
        let envelope = ending.run_until_cancelled(timeout(COMMAND, envelope)).await;
        let envelope = envelope.and_then(Result::ok).unwrap_or(Ok(Envelope::Lost));
        (answer, self.envelope_answer(envelope))
    }

    /// What was said to a message; nothing, if the time is over.
    fn answer(&mut self, said: Option<Result<Response, SmtpError>>, since: Instant) -> Answer {
        let answer = match said {
            // It asks for a message that it has: nobody knows which reply is the answer to it.
            Some(Ok(response)) if is_intermediate(&response) => Answer::Doubt,
            Some(Ok(response)) => {
                self.between_messages = true;
                let text = response.message().collect::<Vec<_>>().join(" ");
                Answer::Accepted(Reply { code: u16::from(response.code()), text, to: SmtpCommand::Data })
            }
            Some(Err(error)) => reply(error, SmtpCommand::Data).map_or(Answer::Doubt, Answer::Refused),
            None => Answer::Doubt,
        };
        self.messages += 1;
        self.is_prompt = since.elapsed() < PROMPT;
        self.is_cut |= matches!(answer, Answer::Doubt);
        answer
    }

    /// Leaves an opened message unfinished: the line is to be dropped, so that the relay throws it away. Nothing more
    /// is said on it, since a QUIT would be part of the message and nobody would answer it.
    pub(crate) fn abandon(&mut self) {
        self.is_cut = true;
    }

    /// What the relay can do.
    pub(crate) fn offers(&self) -> Offers {
        self.offers
    }

    /// Whether the next envelope may travel behind a message.
    pub(crate) fn takes_two_together(&self) -> bool {
        self.offers.pipelining && self.is_prompt && self.messages + 1 < self.most
    }

    /// Whether it has carried as many messages as it should.
    pub(crate) fn is_worn(&self) -> bool {
        self.messages >= self.most
    }

    /// Whether nothing was answered on it yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.messages == 0 && !self.was_answered
    }

    /// So that it carries no more than `most` messages.
    pub(crate) fn carrying(self, most: u32) -> Self {
        Self { most: most.clamp(1, MESSAGES), ..self }
    }

    /// Whether nothing more can be said on it: we left it, or the relay closed it, as it does after a 421.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_cut || self.connection.has_broken()
    }

    /// Says goodbye; a relay that does not answer is not waited for.
    pub(crate) async fn close(mut self) {
        let _ = timeout(Duration::from_secs(2), self.connection.quit()).await;
    }
}

/// Whether a relay waits for more (3yz).
fn is_intermediate(response: &Response) -> bool {
    response.code().severity == Severity::PositiveIntermediate
}

fn parameters(relay: &Relay) -> Result<TlsParameters, SmtpError> {
    let mut parameters = TlsParameters::builder(relay.host.clone());
    if let Some(authority) = &relay.authority {
        parameters = parameters.add_root_certificate(Certificate::from_pem(authority.as_bytes())?);
    }
    parameters.build_rustls()
}

/// lettre does not tell of extensions that it makes no use of, so EHLO is asked once more.
async fn offers(connection: &mut AsyncSmtpConnection, hello: &ClientId) -> Result<Vec<String>, SmtpError> {
    let response = connection.command(format!("EHLO {hello}\r\n")).await?;
    Ok(response.message().map(|line| line.trim().to_owned()).collect())
}

/// The reply to `to` inside an error; an error without one broke the line.
fn reply(error: SmtpError, to: SmtpCommand) -> Result<Reply, SmtpError> {
    match error.status() {
        Some(code) => Ok(Reply { code: u16::from(code), text: words(&error), to }),
        None => Err(error),
    }
}

fn words(error: &SmtpError) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// Why STARTTLS did not work.
fn protected(error: &SmtpError) -> String {
    let mut next = error.source();
    while let Some(inner) = next {
        let Some(io) = inner.downcast_ref::<std::io::Error>() else {
            next = inner.source();
            continue;
        };
        if let Some(fault) = direct::certificate_fault(io) {
            return fault;
        }
        // What such an error is made of is not among its sources.
        next = io.get_ref().map(|made_of| made_of as &(dyn std::error::Error + 'static));
    }
    words(error)
}

/// Why a handshake did not work.
fn shaken(error: &std::io::Error) -> String {
    direct::certificate_fault(error).unwrap_or_else(|| error.to_string())
}

fn name(relay: &Relay) -> String {
    format!("{}:{}", relay.host, relay.port)
}

/// Opens a line and closes it again: whether the relay can be used, and if not, why.
///
/// # Errors
/// [`RelayDown`]
pub async fn probe(relay: &Relay) -> Result<(), RelayDown> {
    Line::open(relay).await?.close().await;
    Ok(())
}

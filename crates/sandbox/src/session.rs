//! The receiving half of SMTP (RFC 5321, pipelining RFC 2920), as one relay in front of all hosts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::Utc;
use tokio::net::TcpStream;

use crate::command::Command;
use crate::faults::{EARLY, LINE, Wrong};
use crate::hosts::{Answer, Envelope, Hosts, TOO_LARGE};
use crate::login;
use crate::mailboxes::Behaviour;
use crate::tls::TlsFault;
use crate::wire::Wire;

const PATIENCE: Duration = Duration::from_secs(300);
/// Between the lines of a reply that does not end.
const BETWEEN_LINES: Duration = Duration::from_millis(100);
const COMMAND_LIMIT: usize = 4096;
const MOST_RECIPIENTS: usize = 100;

/// Serves one client until it says goodbye, the line breaks, or a host drops it.
pub(crate) async fn serve(stream: TcpStream, hosts: Arc<Hosts>) {
    let _open = Open::count(&hosts);
    let number = hosts.next_session();
    let served = match Wire::new(stream, PATIENCE) {
        Ok(wire) => Session::new(wire, &hosts, number).run().await,
        Err(why) => Err(why),
    };
    if let Err(why) = served {
        tracing::debug!(session = number, %why, "the line broke");
    }
}

/// Counts a session while it lives, however it ends.
struct Open<'a>(&'a Hosts);

impl<'a> Open<'a> {
    fn count(hosts: &'a Hosts) -> Self {
        hosts.sessions_open.fetch_add(1, Ordering::Relaxed);
        Self(hosts)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.sessions_open.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Session<'a> {
    wire: Wire,
    hosts: &'a Hosts,
    number: u64,
    greeted: bool,
    signed_in: bool,
    protected: bool,
    envelope: Option<Envelope>,
}

/// Whether the talk goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Continue,
    Close,
    /// Over a protected line, from the beginning.
    Protect,
}

impl<'a> Session<'a> {
    fn new(wire: Wire, hosts: &'a Hosts, number: u64) -> Self {
        let signed_in = hosts.settings.login.is_none();
        Self { wire, hosts, number, greeted: false, signed_in, protected: false, envelope: None }
    }

    async fn run(mut self) -> io::Result<()> {
        self.reply("220 relay.sandbox.test ESMTP");
        let mut line = Vec::new();
        loop {
            line.clear();
            if !self.wire.line(&mut line, COMMAND_LIMIT).await? {
                return Ok(());
            }
            if line.len() > COMMAND_LIMIT {
                self.reply("500 5.5.6 Line too long");
                continue;
            }
            match (self.obey(Command::parse(&line)).await?, &self.hosts.protection) {
                (Next::Continue, _) => {}
                (Next::Protect, Some(acceptor)) => {
                    let protected = self.wire.protected(acceptor).await;
                    let wire = protected.inspect_err(|_| broke(self.hosts, self.number))?;
                    self = Self { protected: true, ..Self::new(wire, self.hosts, self.number) };
                }
                (Next::Close | Next::Protect, _) => return Ok(()),
            }
        }
    }

    async fn obey(&mut self, command: Command<'_>) -> io::Result<Next> {
        match command {
            Command::Ehlo(name) => self.greet(name, true),
            Command::Helo(name) => self.greet(name, false),
            Command::Auth { mechanism, initial } => self.sign_in(mechanism, initial).await?,
            Command::Mail { sender, size } => self.mail(sender, size),
            Command::Rcpt(recipient) => return self.rcpt(recipient).await,
            Command::Data => return self.data().await,
            Command::Rset => {
                self.envelope = None;
                self.reply("250 2.0.0 Ok");
            }
            Command::StartTls => return self.start_tls().await,
            Command::Noop => self.reply("250 2.0.0 Ok"),
            Command::Vrfy => self.reply("252 2.1.5 Cannot say; write and see"),
            Command::Quit => {
                self.reply("221 2.0.0 Bye");
                self.wire.flush().await?;
                return Ok(Next::Close);
            }
            Command::Malformed(why) => self.reply(why),
        }
        Ok(Next::Continue)
    }

    fn greet(&mut self, name: &str, extended: bool) {
        self.envelope = None;
        if name.is_empty() {
            return self.reply("501 5.5.4 Say who you are");
        }
        self.greeted = true;
        if !extended {
            return self.reply("250 relay.sandbox.test");
        }
        let size = self.hosts.settings.max_size;
        let tls = if self.hosts.protection.is_some() && !self.protected { "250-STARTTLS\n" } else { "" };
        let auth = if self.hosts.settings.login.is_some() { "250-AUTH PLAIN LOGIN\n" } else { "" };
        self.reply(&format!(
            "250-relay.sandbox.test\n250-PIPELINING\n250-SIZE {size}\n250-8BITMIME\n{tls}{auth}250 ENHANCEDSTATUSCODES"
        ));
    }

    async fn start_tls(&mut self) -> io::Result<Next> {
        let Some(tls) = self.hosts.settings.tls.as_ref().filter(|_| !self.protected) else {
            self.reply("502 5.5.1 Not offered here");
            return Ok(Next::Continue);
        };
        if tls.fault == Some(TlsFault::Refused) {
            self.turn_away("", "454 4.7.0 TLS not available due to temporary reason");
            return Ok(Next::Continue);
        }
        self.reply("220 2.0.0 Ready to start TLS");
        if tls.fault == Some(TlsFault::Cut) {
            self.wire.heard().await?;
            broke(self.hosts, self.number);
            return Ok(Next::Close);
        }
        Ok(Next::Protect)
    }

    async fn sign_in(&mut self, mechanism: &str, initial: Option<&str>) -> io::Result<()> {
        let Some((user, password)) = &self.hosts.settings.login else {
            self.reply("502 5.5.1 No login is needed here");
            return Ok(());
        };
        if self.signed_in || !self.greeted {
            self.reply("503 5.5.1 Not now");
            return Ok(());
        }
        let said = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => login::plain(&self.challenged(initial, "334 ").await?),
            "LOGIN" => {
                let user = self.challenged(initial, "334 VXNlcm5hbWU6").await?;
                let password = self.challenged(None, "334 UGFzc3dvcmQ6").await?;
                login::pair(&user, &password)
            }
            _ => {
                self.reply("504 5.5.4 Unknown mechanism");
                return Ok(());
            }
        };
        match said {
            None => self.reply("501 5.5.2 Cannot read that"),
            Some((u, p)) if u == *user && p == *password => {
                self.signed_in = true;
                self.reply("235 2.7.0 Authentication successful");
            }
            Some(_) => self.turn_away("", "535 5.7.8 Authentication credentials invalid"),
        }
        Ok(())
    }

    /// What the client says to `challenge`, unless it has said it already.
    async fn challenged(&mut self, initial: Option<&str>, challenge: &str) -> io::Result<String> {
        if let Some(initial) = initial {
            return Ok(initial.to_owned());
        }
        self.reply(challenge);
        let mut line = Vec::new();
        self.wire.line(&mut line, COMMAND_LIMIT).await?;
        Ok(String::from_utf8_lossy(&line).trim().to_owned())
    }

    fn mail(&mut self, sender: &str, size: Option<u64>) {
        let limit = u64::try_from(self.hosts.settings.max_size).unwrap_or(u64::MAX);
        if !self.greeted {
            self.reply("503 5.5.1 Say hello first");
        } else if !self.signed_in {
            self.turn_away(sender, "530 5.7.0 Authentication required");
        } else if self.envelope.is_some() {
            self.reply("503 5.5.1 One message at a time");
        } else if size.is_some_and(|size| size > limit) {
            self.turn_away(sender, TOO_LARGE);
        } else {
            self.envelope = Some(Envelope { session: self.number, sender: sender.to_owned(), recipients: Vec::new() });
            self.reply("250 2.1.0 Ok");
        }
    }

    async fn rcpt(&mut self, recipient: &str) -> io::Result<Next> {
        let recipient = recipient.to_ascii_lowercase();
        let wait = self.hosts.wait_at_rcpt(&recipient);
        if !wait.is_zero() {
            self.wire.flush().await?;
            tokio::time::sleep(wait).await;
        }
        let mut said = None;
        if self.hosts.models.has(&recipient) {
            self.wire.flush().await?;
            said = self.hosts.models.judge(self.number, &recipient).await;
        }
        let Some(envelope) = &mut self.envelope else {
            self.reply("503 5.5.1 MAIL first");
            return Ok(Next::Continue);
        };
        // One answer after the data cannot speak for hosts that disagree.
        let alone = |recipient: &str| self.hosts.behaviour(recipient).refuses_after_data();
        let crowded = envelope.recipients.len() >= MOST_RECIPIENTS
            || envelope.recipients.first().is_some_and(|first| alone(first) || alone(&recipient));
        if crowded {
            self.reply("452 4.5.3 Too many recipients");
            return Ok(Next::Continue);
        }
        let admitted = match said.and_then(|said| said.refusal) {
            Some(reply) => self.hosts.turn_away(envelope, &recipient, reply, Utc::now()).map(Some),
            None => self.hosts.admit(envelope, &recipient, Utc::now()),
        };
        match admitted {
            Ok(Some(answer)) => return self.give(answer).await,
            Ok(None) => {
                let is_early = self.hosts.behaviour(&recipient) == Behaviour::AnswersEarly;
                envelope.recipients.push(recipient);
                self.reply("250 2.1.5 Ok");
                if is_early {
                    self.reply(EARLY);
                }
            }
            Err(why) => self.fail(&why),
        }
        Ok(Next::Continue)
    }

    async fn give(&mut self, answer: Answer) -> io::Result<Next> {
        match answer {
            Answer::Say(reply) => self.reply(&reply),
            Answer::Bye(reply) => {
                self.reply(&reply);
                self.wire.flush().await?;
                return Ok(Next::Close);
            }
            Answer::Drop => return Ok(Next::Close),
            Answer::Wrong(Wrong::Bytes(bytes)) => self.wire.say(bytes),
            Answer::Wrong(Wrong::Endless) => loop {
                // Until the client has enough.
                self.wire.say(LINE);
                self.wire.flush().await?;
                tokio::time::sleep(BETWEEN_LINES).await;
            },
        }
        Ok(Next::Continue)
    }

    async fn data(&mut self) -> io::Result<Next> {
        let envelope = match self.envelope.take() {
            Some(envelope) if !envelope.recipients.is_empty() => envelope,
            unready => {
                self.envelope = unready;
                self.reply("503 5.5.1 No valid recipients");
                return Ok(Next::Continue);
            }
        };
        self.reply("354 End data with <CR><LF>.<CR><LF>");
        let Some(message) = self.message().await? else {
            return Ok(Next::Close);
        };
        let ordinal = self.hosts.next_message();
        if message.len() > self.hosts.settings.max_size {
            match self.hosts.too_large(&envelope, &message, Utc::now()) {
                Ok(()) => self.reply(TOO_LARGE),
                Err(why) => self.fail(&why),
            }
            return Ok(Next::Continue);
        }
        let wait = self.hosts.wait(&envelope.recipients);
        if !wait.is_zero() {
            self.wire.flush().await?;
            tokio::time::sleep(wait).await;
        }
        match self.hosts.take(&envelope, &message, ordinal, Utc::now()) {
            Ok(answer) => self.give(answer).await,
            Err(why) => {
                self.fail(&why);
                Ok(Next::Continue)
            }
        }
    }

    /// The message up to the final dot, dots unstuffed; beyond the size limit it grows no more.
    /// `None` when the line closed before the dot.
    async fn message(&mut self) -> io::Result<Option<Vec<u8>>> {
        let limit = self.hosts.settings.max_size;
        let mut message = Vec::with_capacity(8 << 10);
        let mut line = Vec::new();
        let mut fresh = true; // a dot counts only after CRLF, or a bare LF could smuggle mail in
        loop {
            line.clear();
            if !self.wire.line(&mut line, limit).await? {
                return Ok(None);
            }
            if fresh && line == b".\r\n" {
                return Ok(Some(message));
            }
            let text = if fresh { line.strip_prefix(b".").unwrap_or(&line) } else { &line };
            if message.len() <= limit {
                message.extend_from_slice(text);
            }
            fresh = line.ends_with(b"\r\n");
        }
    }

    /// The relay's own refusal.
    fn turn_away(&mut self, sender: &str, reply: &str) {
        match self.hosts.relay_refuses(self.number, sender, reply, Utc::now()) {
            Ok(()) => self.reply(reply),
            Err(why) => self.fail(&why),
        }
    }

    /// Our own trouble, such as a full disk under the truth file.
    fn fail(&mut self, why: &io::Error) {
        tracing::error!(%why, "the truth file could not be written");
        self.reply("451 4.3.0 Local error in the sandbox");
    }

    fn reply(&mut self, text: &str) {
        self.wire.say(text.replace('\n', "\r\n").as_bytes());
        self.wire.say(b"\r\n");
    }
}

/// The line broke before it was protected.
fn broke(hosts: &Hosts, session: u64) {
    if let Err(why) = hosts.relay_refuses(session, "", "", Utc::now()) {
        tracing::error!(%why, "the truth file could not be written");
    }
}

//! One session: commands in, answers out, messages to the keeper.

use super::Reply;
use super::body::{Body, Memory};
use super::command::Command;
use super::wire::{Heard, Wire};
use crate::keeper::{Keeper, Kept, Mail};
use crate::listener::Reception;
use chrono::Utc;
use rebound_domain::ReturnPath;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A conversation with one host.
#[derive(Debug)]
pub(crate) struct Session<S> {
    wire: Wire<S>,
    reception: Arc<Reception>,
    keeper: Keeper,
    memory: Memory,
    stop: CancellationToken,
    end: Instant,
    greeted: bool,
    sender: Option<String>,
    recipients: Vec<String>,
    refusals: u32,
    messages: u32,
}

/// What follows a command.
enum Next {
    /// An answer, and the next command.
    Answer(Reply),
    /// An answer, and no more.
    Close(Reply),
    /// The message.
    Message,
}

/// The last thing to say, if there is anybody left to hear it.
type Farewell = Option<Reply>;

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(crate) fn new(
        stream: S,
        reception: Arc<Reception>,
        keeper: Keeper,
        memory: Memory,
        stop: CancellationToken,
    ) -> Self {
        let end = Instant::now() + reception.limits.session;
        let wire = Wire::new(stream);
        let (greeted, sender, recipients) = (false, None, Vec::new());
        Self { wire, reception, keeper, memory, stop, end, greeted, sender, recipients, refusals: 0, messages: 0 }
    }

    /// Talks until one side has had enough.
    ///
    /// # Errors
    /// When the other side is gone.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        let farewell = match self.converse().await {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Some(Reply::TOO_SLOW),
            other => other?,
        };
        if let Some(reply) = farewell {
            self.wire.say(&reply, Duration::from_secs(5)).await?;
            self.wire.close().await;
        }
        Ok(())
    }

    async fn converse(&mut self) -> io::Result<Farewell> {
        if self.stop.is_cancelled() {
            return Ok(Some(Reply::STOPPING));
        }
        let mut answer = Reply::greeting(&self.reception.host);
        loop {
            if let Some(farewell) = self.say(&answer).await? {
                return Ok(Some(farewell));
            }
            answer = match self.next().await? {
                Some(Next::Answer(answer)) => answer,
                Some(Next::Close(farewell)) => return Ok(Some(farewell)),
                Some(Next::Message) => match self.message().await? {
                    Some(Next::Answer(answer)) => answer,
                    Some(Next::Close(farewell)) => return Ok(Some(farewell)),
                    _ => return Ok(None),
                },
                None => return Ok(None),
            };
        }
    }

    /// Says `answer`, unless the other side did not wait for it or has been refused too often.
    async fn say(&mut self, answer: &Reply) -> io::Result<Farewell> {
        if self.wire.is_early().await? {
            return Ok(Some(Reply::EARLY));
        }
        self.refusals += u32::from(answer.is_refusal());
        if self.refusals > self.reception.limits.refusals {
            return Ok(Some(Reply::TOO_MANY_ERRORS));
        }
        self.wire.say(answer, self.reception.limits.command).await?;
        Ok(None)
    }

    /// Waits for a command and obeys it; `None` when the other side hung up.
    async fn next(&mut self) -> io::Result<Option<Next>> {
        let end = self.patience(self.reception.limits.command);
        let heard = tokio::select! {
            heard = self.wire.line(end) => heard?,
            () = self.stop.cancelled() => return Ok(Some(Next::Close(Reply::STOPPING))),
        };
        Ok(match heard {
            Heard::Nothing => None,
            Heard::TooLong => Some(Next::Close(Reply::LINE_TOO_LONG)),
            Heard::Line(line) => Some(Command::parse(&line).map_or_else(Next::Answer, |command| self.obey(command))),
        })
    }

    fn obey(&mut self, command: Command) -> Next {
        Next::Answer(match command {
            Command::Hello => self.hello(Reply::hello(&self.reception.host)),
            Command::ExtendedHello => {
                self.hello(Reply::extensions(&self.reception.host, self.reception.limits.message))
            }
            Command::Mail { from, size } => self.mail(from, size),
            Command::Recipient { to } => self.recipient(to),
            Command::Data if self.recipients.is_empty() => Reply::RECIPIENT_FIRST,
            Command::Data if self.messages >= self.reception.limits.messages => {
                return Next::Close(Reply::SESSION_OVER);
            }
            Command::Data => return Next::Message,
            Command::Reset => {
                self.forget();
                Reply::OK
            }
            Command::Noop => Reply::OK,
            Command::Verify => Reply::NOT_TOLD,
            Command::Quit => return Next::Close(Reply::BYE),
        })
    }

    fn hello(&mut self, answer: Reply) -> Reply {
        self.forget();
        self.greeted = true;
        answer
    }

    fn mail(&mut self, from: String, size: usize) -> Reply {
        if !self.greeted {
            Reply::HELLO_FIRST
        } else if self.sender.is_some() {
            Reply::ONE_SENDER
        } else if size > self.reception.limits.message {
            Reply::TOO_LARGE
        } else {
            self.sender = Some(from);
            Reply::SENDER_OK
        }
    }

    /// Only an address that we have signed is one of ours; everybody else hears the same, whoever they ask for.
    fn recipient(&mut self, to: String) -> Reply {
        if self.sender.is_none() {
            return Reply::MAIL_FIRST;
        }
        if !self.reception.is_ours(&to, Utc::now()) {
            return Reply::NO_SUCH_ADDRESS;
        }
        if self.recipients.iter().any(|known| known.eq_ignore_ascii_case(&to)) {
            return Reply::RECIPIENT_OK;
        }
        if self.recipients.len() >= self.reception.limits.recipients {
            return Reply::TOO_MANY_RECIPIENTS;
        }
        self.recipients.push(to);
        Reply::RECIPIENT_OK
    }

    /// Takes the message, and answers once it is stored.
    async fn message(&mut self) -> io::Result<Option<Next>> {
        if let Some(farewell) = self.say(&Reply::GO_AHEAD).await? {
            return Ok(Some(Next::Close(farewell)));
        }
        let end = self.patience(self.reception.limits.data);
        let mut body = Body::new(self.reception.limits.message, self.memory.clone());
        loop {
            let heard = self.wire.some(end).await?;
            if heard.is_empty() {
                return Ok(None);
            }
            if let Some(used) = body.push(&heard) {
                self.wire.put_back(heard.get(used..).unwrap_or_default());
                break;
            }
            if body.is_hopeless() {
                return Ok(Some(Next::Close(Reply::TOO_LARGE)));
            }
        }
        if self.wire.is_early().await? {
            return Ok(Some(Next::Close(Reply::EARLY)));
        }
        Ok(Some(match body.finish() {
            Ok((raw, memory)) => Next::Answer(self.keep(raw, memory).await),
            // Whoever wrote that may have meant the end to be elsewhere: nothing that follows can be trusted.
            Err(answer) if answer == Reply::BARE_LINE_END => Next::Close(answer),
            Err(answer) => {
                self.forget();
                Next::Answer(answer)
            }
        }))
    }

    /// `memory` is given back only when the message is stored, or will not be.
    async fn keep(&mut self, raw: Vec<u8>, memory: Option<OwnedSemaphorePermit>) -> Reply {
        let received = self.reception.clock.at(Utc::now());
        let mail_from = self.sender.take().unwrap_or_default();
        let mail = Mail { received, mail_from, recipients: std::mem::take(&mut self.recipients), raw };
        self.messages += 1;
        let kept = self.keeper.keep(mail).await;
        drop(memory);
        match kept {
            Kept::Stored => Reply::KEPT,
            Kept::NoRoom => Reply::NO_ROOM,
            Kept::Failed => Reply::NOT_STORED,
        }
    }

    fn forget(&mut self) {
        (self.sender, self.recipients) = (None, Vec::new());
    }

    fn patience(&self, span: Duration) -> Instant {
        self.end.min(Instant::now() + span)
    }
}

impl Reception {
    /// Whether `recipient` is a return path that we have signed, and that is still good at `wall`.
    fn is_ours(&self, recipient: &str, wall: chrono::DateTime<Utc>) -> bool {
        let Some((local, domain)) = recipient.rsplit_once('@') else { return false };
        let signed = ReturnPath::verify(local, &self.keys, self.clock.at(wall)).is_some();
        signed && domain.trim_end_matches('.').eq_ignore_ascii_case(&self.domain)
    }
}

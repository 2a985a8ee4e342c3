//! Trying a server out, step by step, as an administrator wants to see it.

use crate::mx::{DirectSettings, Exchanges};
use crate::transport::{Answer, Envelope, Line, Mail, Reached, Reply, Wire};
use crate::{Egress, Relay, RelayDown, Sender, Tls, Via};
use chrono::{DateTime, Utc};
use mail_builder::MessageBuilder;
use rebound_domain::{CampaignId, DeliveryId, EmailAddress};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// A person waits for the answer, so it comes within a minute; the steps so far are shown in any case.
const PATIENCE: Duration = Duration::from_secs(45);

/// One step of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was tried: `Connected`, `Signed in`.
    pub name: &'static str,
    /// The rest: what the server said, or what is wrong and what to do.
    pub words: String,
    /// Whether it went well.
    pub passed: bool,
    /// How long after the beginning.
    pub after: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// The steps in their order; nothing follows one that failed.
    pub steps: Vec<Step>,
}

impl Trial {
    /// What is wrong; `None` when all went well.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.steps.iter().find(|step| !step.passed).map(|step| step.words.as_str())
    }
}

/// Opens a line by `egress` and closes it again; with `to`, a test message goes there first. Straight to a receiver,
/// there is a line only with somebody to write to.
pub async fn trial(egress: &Egress, sender: &Sender, to: Option<(&EmailAddress, &str)>, now: DateTime<Utc>) -> Trial {
    let mut notes = Notes { start: Instant::now(), trial: Trial::default() };
    let run = async {
        let line = match &egress.via {
            Via::Relay(relay) => notes.relay(relay).await,
            Via::Direct(direct) => notes.straight(direct, to.map(|(to, _)| to), now).await,
        };
        let Some(mut line) = line else { return };
        if let Some((to, from)) = to {
            notes.message(&mut line, sender, to, from, now).await;
        }
        line.close().await;
    };
    if timeout(PATIENCE, Box::pin(run)).await.is_err() {
        notes.fail("Answered in time", "It did not go on within 45 seconds. Is this the right port?".to_owned());
    }
    notes.trial
}

struct Notes {
    start: Instant,
    trial: Trial,
}

impl Notes {
    async fn relay(&mut self, relay: &Relay) -> Option<Line> {
        let opened = Line::open_noting(relay, &mut |reached| self.note(relay, &reached)).await;
        opened.map_err(|down| self.down(&down)).ok()
    }

    async fn straight(
        &mut self,
        direct: &DirectSettings,
        to: Option<&EmailAddress>,
        now: DateTime<Utc>,
    ) -> Option<Line> {
        let exchanges = match Exchanges::new(direct.clone()) {
            Ok(exchanges) => exchanges,
            Err(why) => {
                self.fail("Ready to look for mail hosts", format!("{why}."));
                return None;
            }
        };
        self.pass("Ready to look for mail hosts", format!("It will say hello as {}", direct.hello));
        let Some(to) = to else {
            self.fail("A host to call", "Name an address to test with: without one nobody can be called.".to_owned());
            return None;
        };
        let exchange = match exchanges.of(to.domain()).await {
            Ok(exchange) => exchange,
            Err(none) => {
                self.fail("Mail hosts found", none.words);
                return None;
            }
        };
        let hosts: Vec<&str> = exchange.hosts().iter().map(|host| host.name.as_str()).collect();
        self.pass("Mail hosts found", hosts.join(", "));
        match Box::pin(exchange.open(now)).await {
            Ok((line, answered)) => {
                let words = format!("{} ({}), {}", answered.host, answered.address, answered.protection);
                self.pass("Connected", words);
                Some(line)
            }
            Err(none) => {
                self.fail("Connected", none.words);
                None
            }
        }
    }

    fn note(&mut self, relay: &Relay, reached: &Reached) {
        match reached {
            Reached::Connected => self.pass("Connected", format!("{}, port {}", relay.host, relay.port)),
            Reached::Greeted => {
                let (name, words) = match relay.tls {
                    Tls::None => ("Greeted", "The line is not encrypted"),
                    Tls::StartTls => ("Encrypted", "By STARTTLS; the certificate names this host"),
                    Tls::Implicit => ("Encrypted", "TLS from the start; the certificate names this host"),
                };
                self.pass(name, words.to_owned());
            }
            Reached::LoggedIn => {
                let user = relay.login.as_ref().map_or("", |login| login.user.as_str());
                self.pass("Signed in", format!("as {user}"));
            }
            Reached::Offered(offers) => {
                let offers: Vec<&str> = offers.iter().skip(1).map(String::as_str).collect();
                self.pass("Ready for mail", format!("It offers {}", offers.join(", ")));
            }
        }
    }

    fn down(&mut self, down: &RelayDown) {
        let name = match down {
            RelayDown::Unreachable { .. } | RelayDown::NoHost { .. } | RelayDown::NotReady { .. } => "Connected",
            RelayDown::Unprotected { .. } => "Encrypted",
            RelayDown::Login { .. } | RelayDown::NoToken { .. } => "Signed in",
            RelayDown::Refused { .. } | RelayDown::Breaks { .. } => "Ready for mail",
        };
        self.fail(name, down.to_string());
    }

    async fn message(&mut self, line: &mut Line, sender: &Sender, to: &EmailAddress, from: &str, now: DateTime<Utc>) {
        // No campaign has the number 0, so what comes back of it is nobody's bounce.
        let delivery = DeliveryId::new(CampaignId(0), 0).unwrap_or(DeliveryId(0));
        let back = sender.return_path(delivery, 0, now);
        let Some(text) = letter(sender, from, to, now) else {
            return self.fail("Message taken", "The message could not be written.".to_owned());
        };
        match line.envelope(&Mail { from: &back, to: to.as_str(), size: text.len() }).await {
            Envelope::Ready => self.pass("Sender and recipient taken", format!("{from} to {to}")),
            Envelope::Refused(reply) => {
                let said = format!("{} It does not take mail from {back} to {to}.", says(&reply));
                return self.fail("Sender and recipient taken", said);
            }
            Envelope::Lost | Envelope::Ended => {
                return self.fail("Sender and recipient taken", "The line broke.".to_owned());
            }
        }
        match line.message(&Wire::new(&text)).await {
            Answer::Accepted(reply) => self.pass("Message taken", says(&reply)),
            Answer::Refused(reply) => self.fail("Message taken", says(&reply)),
            Answer::Doubt => self.fail("Message taken", "The line broke before its answer; it may arrive.".to_owned()),
        }
    }

    fn pass(&mut self, name: &'static str, words: String) {
        self.trial.steps.push(Step { name, words, passed: true, after: self.start.elapsed() });
    }

    fn fail(&mut self, name: &'static str, words: String) {
        self.trial.steps.push(Step { name, words, passed: false, after: self.start.elapsed() });
    }
}

fn says(reply: &Reply) -> String {
    reply.line()
}

fn letter(sender: &Sender, from: &str, to: &EmailAddress, now: DateTime<Utc>) -> Option<String> {
    let id = format!("test.{:x}@{}", rand::random::<u64>(), sender.return_domain);
    MessageBuilder::new()
        .from(from)
        .to(to.as_str())
        .subject("A test from Rebound")
        .message_id(id)
        .date(now.timestamp())
        .header("Auto-Submitted", mail_builder::headers::raw::Raw::new("auto-generated"))
        .text_body(format!("This server takes our mail.\r\n\r\nSent by Rebound at {}.\r\n", sender.public_url))
        .write_to_string()
        .ok()
}

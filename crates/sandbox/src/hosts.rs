//! All receiving hosts of the pretend internet: what they decide, record and remember.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use mail_parser::MessageParser;
use tokio_rustls::TlsAcceptor;

use crate::faults::{MUMBLED, Wrong};
use crate::mailboxes::{Behaviour, behaviour_of, domain_of};
use crate::memory::{Memory, Received};
use crate::model::Models;
use crate::queue::Queue;
use crate::report::{Report, ReportKind};
use crate::settings::Settings;
use crate::tls::Tls;
use crate::truth::{Event, Truth, TruthFile};
use crate::words;

/// What a relay says to a message above its limit.
pub(crate) const TOO_LARGE: &str = "552 5.3.4 Message size exceeds fixed limit";

/// The hosts, shared by all sessions and couriers.
pub(crate) struct Hosts {
    pub(crate) settings: Settings,
    pub(crate) reports: Queue,
    pub(crate) sessions_open: AtomicUsize,
    /// Hosts of somebody else's making.
    pub(crate) models: Models,
    chosen: RwLock<HashMap<String, Behaviour>>,
    return_host: RwLock<Option<SocketAddr>>,
    memory: Mutex<Memory>,
    truth: TruthFile,
    last_session: AtomicU64,
    last_message: AtomicU64,
    /// Makes queue ids differ from those of an earlier run on the same truth file.
    run: i64,
    /// Shakes hands with who wants a protected line.
    pub(crate) protection: Option<TlsAcceptor>,
}

/// Who writes to whom, in which session.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) session: u64,
    pub(crate) sender: String,
    /// In lower case.
    pub(crate) recipients: Vec<String>,
}

/// What happens to an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is said, lines divided by `\n`.
    Say(String),
    /// It is said, and the line is closed.
    Bye(String),
    /// The line drops instead.
    Drop,
    /// Something is said that is no answer.
    Wrong(Wrong),
}

impl Hosts {
    /// Opens the truth file and goes on from what it says.
    pub(crate) fn open(settings: Settings, now: DateTime<Utc>) -> io::Result<Self> {
        let protection = settings.tls.as_ref().map(Tls::acceptor).transpose()?;
        let (truth, said) = TruthFile::open(settings.truth.as_deref())?;
        let mut memory = Memory::default();
        for line in &said {
            memory.apply(line, b"", settings.pace());
        }
        let reports = Queue::new();
        for report in unsent(&said) {
            reports.owe(report, settings.report_delay);
        }
        let last = |of: fn(&Truth) -> u64| AtomicU64::new(said.iter().map(of).max().unwrap_or(0));
        Ok(Self {
            return_host: RwLock::new(settings.return_host),
            settings,
            reports,
            sessions_open: AtomicUsize::new(0),
            models: Models::default(),
            chosen: RwLock::default(),
            memory: Mutex::new(memory),
            truth,
            last_session: last(|line| line.session),
            last_message: AtomicU64::new(0),
            run: now.timestamp_micros(),
            protection,
        })
    }

    pub(crate) fn next_session(&self) -> u64 {
        self.last_session.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number of a message whose data have been read, from 1.
    pub(crate) fn next_message(&self) -> u64 {
        self.last_message.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn behaviour(&self, recipient: &str) -> Behaviour {
        let chosen = self.chosen.read().unwrap_or_else(PoisonError::into_inner);
        let explicit = chosen.get(recipient).or_else(|| chosen.get(domain_of(recipient)));
        explicit.copied().unwrap_or_else(|| behaviour_of(recipient))
    }

    pub(crate) fn choose(&self, recipient_or_domain: &str, behaviour: Behaviour) {
        let mut chosen = self.chosen.write().unwrap_or_else(PoisonError::into_inner);
        chosen.insert(recipient_or_domain.to_ascii_lowercase(), behaviour);
    }

    pub(crate) fn return_host(&self) -> Option<SocketAddr> {
        *self.return_host.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_return_host(&self, address: SocketAddr) {
        *self.return_host.write().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    pub(crate) fn received(&self, recipient: &str) -> Vec<Received> {
        self.memory().received(&recipient.to_ascii_lowercase()).to_vec()
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.memory().accepted()
    }

    /// The answer to `RCPT`; `None` lets the recipient in.
    pub(crate) fn admit(&self, envelope: &Envelope, recipient: &str, now: DateTime<Utc>) -> io::Result<Option<Answer>> {
        let behaviour = self.behaviour(recipient);
        let waits = || self.memory().refuses_for(behaviour, recipient, now, self.settings.pace());
        let reply = match &self.settings.answer_all {
            Some(reply) => reply.clone(),
            None if behaviour == Behaviour::Closes => {
                self.refuse(envelope, recipient, Event::Dropped, (now, ""))?;
                return Ok(Some(Answer::Drop));
            }
            None if let Some(wrong) = Wrong::to_rcpt(behaviour) => {
                self.refuse(envelope, recipient, Event::Refused, (now, &wrong.words()))?;
                return Ok(Some(Answer::Wrong(wrong)));
            }
            None => match waits() {
                Some(wait) => words::refusal(behaviour, recipient, seconds(wait)),
                None => return Ok(None),
            },
        };
        self.turn_away(envelope, recipient, reply, now).map(Some)
    }

    /// The answer to `RCPT` of a host that refuses with `reply`.
    pub(crate) fn turn_away(
        &self,
        envelope: &Envelope,
        recipient: &str,
        reply: String,
        now: DateTime<Utc>,
    ) -> io::Result<Answer> {
        self.refuse(envelope, recipient, Event::Refused, (now, &reply))?;
        Ok(if reply.starts_with("421") { Answer::Bye(reply) } else { Answer::Say(reply) })
    }

    /// The relay refuses somebody who has named no recipient yet; `reply` is empty where the line breaks instead.
    pub(crate) fn relay_refuses(&self, session: u64, sender: &str, reply: &str, now: DateTime<Utc>) -> io::Result<()> {
        let envelope = Envelope { session, sender: sender.to_owned(), recipients: Vec::new() };
        let line = Truth { event: Event::TurnedAway, reply: reply.to_owned(), ..self.line(&envelope, "", now) };
        self.record(&[line], b"")
    }

    /// A message is too large: the answer for all its recipients.
    pub(crate) fn too_large(&self, envelope: &Envelope, raw: &[u8], now: DateTime<Utc>) -> io::Result<()> {
        let (subject, message_id) = names(raw);
        let line = |recipient: &String| Truth {
            reply: TOO_LARGE.to_owned(),
            subject: subject.clone(),
            message_id: message_id.clone(),
            ..self.line(envelope, recipient, now)
        };
        self.record(&envelope.recipients.iter().map(line).collect::<Vec<_>>(), b"")
    }

    /// How long the host of `recipient` lets `RCPT` wait.
    pub(crate) fn wait_at_rcpt(&self, recipient: &str) -> Duration {
        if self.behaviour(recipient) == Behaviour::Tarpit { self.settings.slowness } else { Duration::ZERO }
    }

    /// How long the hosts of `recipients` take to answer at the end of the data.
    pub(crate) fn wait(&self, recipients: &[String]) -> Duration {
        let slow = recipients.iter().any(|recipient| self.behaviour(recipient) == Behaviour::Slow);
        self.settings.latency + if slow { self.settings.slowness } else { Duration::ZERO }
    }

    /// The answer at the end of the data of message `ordinal`.
    pub(crate) fn take(&self, envelope: &Envelope, raw: &[u8], ordinal: u64, now: DateTime<Utc>) -> io::Result<Answer> {
        let mut lines: Vec<Truth> = Vec::with_capacity(envelope.recipients.len());
        for recipient in &envelope.recipients {
            lines.push(self.judge(envelope, recipient, raw, (ordinal, now)));
        }
        let reply = lines.first().map_or_else(String::new, |line| line.reply.clone());
        let once = |behaviour| lines.iter().any(|line| self.does_once(behaviour, line));
        let (loses, loses_answer) = (once(Behaviour::LosesMessage), once(Behaviour::LosesAnswer));
        let mumbles = once(Behaviour::Mumbles);
        if loses || self.settings.drop_before_record.hits(ordinal) {
            let lost = |line: &Truth| Truth { queue_id: None, ..dropped(line) };
            self.record(&lines.iter().map(lost).collect::<Vec<_>>(), raw)?;
            return Ok(Answer::Drop);
        }
        self.record(&lines, raw)?;
        for report in lines.iter().filter_map(|line| Report::promised(line, raw)) {
            self.reports.owe(report, self.settings.report_delay);
        }
        if loses_answer || mumbles || self.settings.drop_after_record.hits(ordinal) {
            self.record(&lines.iter().map(dropped).collect::<Vec<_>>(), raw)?;
            return Ok(if mumbles { Answer::Wrong(Wrong::Bytes(MUMBLED)) } else { Answer::Drop });
        }
        Ok(Answer::Say(reply))
    }

    /// Whether the host of a mailbox has yet to do what it does once.
    fn does_once(&self, behaviour: Behaviour, line: &Truth) -> bool {
        line.behaviour == behaviour && !self.memory().has_dropped(&line.recipient)
    }

    /// Notes the end of a report, which is then no longer owed.
    pub(crate) fn note_report(&self, event: Event, report: &Report, reply: String, now: DateTime<Utc>) {
        let line = Truth { at: now, event, reply, report: Some(report.kind), ..report.original.clone() };
        if let Err(why) = self.record(&[line], b"") {
            tracing::error!(%why, "the truth file could not be written");
        }
        self.reports.settle();
    }

    /// What becomes of one recipient's copy.
    fn judge(&self, envelope: &Envelope, recipient: &str, raw: &[u8], (ordinal, now): (u64, DateTime<Utc>)) -> Truth {
        let line = self.line(envelope, recipient, now);
        let (subject, message_id) = names(raw);
        let line = Truth { subject, message_id, ..line };
        if line.behaviour.refuses_after_data() {
            let reply = words::refusal(line.behaviour, recipient, 0);
            return Truth { event: Event::Refused, reply, ..line };
        }
        let copies = self.memory().received(recipient).len();
        let report = ReportKind::after(line.behaviour, recipient, copies);
        let queue_id = format!("{:X}.{ordinal:X}", self.run);
        let reply = words::acceptance(recipient, &queue_id);
        Truth { event: Event::Accepted, reply, report, queue_id: Some(queue_id), ..line }
    }

    fn refuse(
        &self,
        envelope: &Envelope,
        recipient: &str,
        event: Event,
        (now, reply): (DateTime<Utc>, &str),
    ) -> io::Result<()> {
        let line = Truth { event, reply: reply.to_owned(), ..self.line(envelope, recipient, now) };
        self.record(&[line], b"")
    }

    fn line(&self, envelope: &Envelope, recipient: &str, now: DateTime<Utc>) -> Truth {
        Truth {
            at: now,
            event: Event::Refused,
            session: envelope.session,
            sender: envelope.sender.clone(),
            recipient: recipient.to_owned(),
            message_id: None,
            subject: None,
            queue_id: None,
            behaviour: self.behaviour(recipient),
            reply: String::new(),
            report: None,
        }
    }

    /// Writes `lines`, then remembers them.
    fn record(&self, lines: &[Truth], raw: &[u8]) -> io::Result<()> {
        self.truth.append(lines)?;
        let kept = if self.settings.keep_messages { raw } else { b"" };
        let mut memory = self.memory();
        for line in lines {
            memory.apply(line, kept, self.settings.pace());
        }
        Ok(())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The line broke before `line` was answered.
fn dropped(line: &Truth) -> Truth {
    Truth { event: Event::Dropped, report: None, ..line.clone() }
}

/// The reports that were promised and neither delivered nor refused.
fn unsent(said: &[Truth]) -> impl Iterator<Item = Report> {
    let settled = |line: &&Truth| matches!(line.event, Event::Reported | Event::ReportRefused);
    let done: HashSet<_> = said.iter().filter(settled).map(|line| (&line.queue_id, &line.recipient)).collect();
    let open = move |line: &&Truth| line.event == Event::Accepted && !done.contains(&(&line.queue_id, &line.recipient));
    said.iter().filter(open).filter_map(Report::remembered)
}

/// Subject and Message-ID of a message.
fn names(raw: &[u8]) -> (Option<String>, Option<String>) {
    let parsed = MessageParser::new().with_minimal_headers().with_message_ids().parse_headers(raw);
    parsed
        .map_or((None, None), |message| (message.subject().map(str::to_owned), message.message_id().map(str::to_owned)))
}

/// Whole seconds, rounded up, so that who waits as told has waited long enough.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0))
}

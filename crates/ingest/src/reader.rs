//! Unread message → whose delivery → what it means → what that does to the contact.

use crate::Error;
use crate::events::{self, Facts, Heard, Told};
use crate::whose::whose;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use rebound_classify::{Action, FailedRecipient, Report};
use rebound_contacts::rules::InForce;
use rebound_contacts::{RuleBook, record_arrivals, record_bounces, record_complaints, record_deliveries};
use rebound_db::inbox::{self, Arrived, Reading};
use rebound_db::{Pool, deliveries, fail_point, policies};
use rebound_domain::{
    AddressKey, Bounce, Clock, Complaint, DeliveryId, EmailAddress, Grade, InboxId, Keys, Refusal, ReportKind,
    ReturnPath, StatusClass, Verdict,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How many messages share a transaction at most.
const TOGETHER: u32 = 256;
/// What one message says at most, if it is to share a transaction: a report by mail is about few people.
const MANY: usize = 100;
/// How many are taken apart at once.
const AT_ONCE: usize = 4;
/// How long one message may take. It takes microseconds, and the classifier has limits of its own: this is for the
/// message that finds a way around them, and long enough for a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait for another process to say that mail came, before looking.
const PAUSE: Duration = Duration::from_secs(2);

/// Reads the inbox.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Where the inbox and everybody in it are.
    pub db: Pool,
    /// What our return paths and Message-IDs are signed with.
    pub keys: Keys,
    /// The product's time.
    pub clock: Clock,
    /// The rules that reports are read by.
    pub rules: RuleBook,
}

/// What came, understood.
enum Understood {
    Mail(Box<Mail>),
    Events(InboxId, Heard),
}

/// A message, understood.
#[derive(Debug)]
struct Mail {
    id: InboxId,
    arrived: Arrived,
    /// What it is, or why that cannot be said.
    report: Result<Report, String>,
    whose: Option<(ReturnPath, Grade)>,
}

/// What is to be written down about one message.
#[derive(Debug)]
struct Findings {
    reading: Reading,
    facts: Facts,
}

impl Reader {
    /// Reads what there is, and then whatever comes, until `stop`. `wake` says that something came.
    pub async fn run(self, wake: Arc<Notify>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.read_batch(self.clock.at(Utc::now())).await {
                Ok(1..) => continue,
                Ok(0) => {}
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "reports could not be read; they wait");
                }
            }
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Reads the oldest unread messages at `now`; how many. 0 when all are read.
    ///
    /// What each means, and that it was read, is one transaction.
    ///
    /// # Errors
    /// [`Error::Database`]: nothing was changed, and the same messages come again.
    pub async fn read_batch(&self, now: DateTime<Utc>) -> Result<usize, Error> {
        let unread = inbox::unread(&self.db, TOGETHER).await?;
        if unread.is_empty() {
            return Ok(0);
        }
        // Rules that were saved since the last batch hold for this one.
        let rules = self.rules.in_force(&self.db).await?;
        let understood: Vec<Understood> = stream::iter(unread)
            .map(|(id, arrived)| understand(id, arrived, &self.keys, Arc::clone(&rules)))
            .buffered(AT_ONCE)
            .collect()
            .await;
        let named: Vec<DeliveryId> = understood.iter().flat_map(Understood::deliveries).collect();
        let people = deliveries::keys(&self.db, &named).await?;
        let findings: Vec<Findings> = understood.into_iter().map(|understood| understood.findings(&people)).collect();
        // Nobody else records bounces meanwhile: requests that tell of thousands go one by one.
        for together in findings.chunk_by(|one, next| one.facts.count() + next.facts.count() < MANY) {
            if let Err(error) = self.write(together, now).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "reports could not be noted together; one by one"
                );
                self.write_apart(together, now).await?;
            }
        }
        Ok(findings.len())
    }

    async fn write(&self, findings: &[Findings], now: DateTime<Utc>) -> Result<(), rebound_contacts::Error> {
        let bounces: Vec<Bounce> = findings.iter().flat_map(|found| found.facts.bounces.clone()).collect();
        let complaints: Vec<Complaint> = findings.iter().flat_map(|found| found.facts.complaints.clone()).collect();
        let delivered: Vec<_> = findings.iter().flat_map(|found| found.facts.delivered.clone()).collect();
        let readings: Vec<Reading> = findings.iter().map(|found| found.reading.clone()).collect();
        let transaction = self.db.begin().await?;
        let kept: Vec<DeliveryId> = findings.iter().flat_map(|found| found.facts.kept.clone()).collect();
        if findings.iter().any(|found| found.facts.count() > 0) {
            // A policy that was saved since the last batch holds for this one.
            let policy = policies::in_force(&transaction).await?;
            let seen = complaints.iter().filter(|complaint| complaint.is_from_reader());
            let seen: Vec<DeliveryId> = seen.map(|complaint| complaint.delivery).collect();
            record_arrivals(&transaction, &seen, "its reader sent feedback", &policy, now).await?;
            record_arrivals(&transaction, &kept, "whoever took it goes on trying", &policy, now).await?;
            record_deliveries(&transaction, &delivered, &policy, now).await?;
            record_bounces(&transaction, &bounces, &policy, rand::random, now).await?;
            record_complaints(&transaction, &complaints, now).await?;
        }
        inbox::mark_read(&transaction, &readings, now).await?;
        fail_point("reading").await;
        Ok(transaction.commit().await?)
    }

    /// One message that cannot be noted must not hold up the others: it keeps its error, and they go on.
    async fn write_apart(&self, findings: &[Findings], now: DateTime<Utc>) -> Result<(), Error> {
        for found in findings {
            if let Err(error) = self.write(std::slice::from_ref(found), now).await {
                match error {
                    // Says nothing about the message: it stays unread and comes again.
                    rebound_contacts::Error::Database(error) if error.outage().is_some() => return Err(error.into()),
                    error => self.set_aside(&found.reading, &error, now).await?,
                }
            }
        }
        Ok(())
    }

    /// What the database will never take must not come again and again, before all others.
    async fn set_aside(
        &self,
        reading: &Reading,
        error: &rebound_contacts::Error,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        tracing::error!(inbox.id = %reading.id, error = error as &dyn std::error::Error, "a report is set aside");
        let reading = Reading { error: Some(in_words(error)), ..reading.clone() };
        Ok(inbox::mark_read(&self.db, &[reading], now).await?)
    }
}

/// What went wrong, and why, in one line.
fn in_words(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Takes a message apart on a thread that nobody waits for longer than [`PATIENCE`].
async fn understand(id: InboxId, mut arrived: Arrived, keys: &Keys, rules: Arc<InForce>) -> Understood {
    if arrived.source == events::SOURCE {
        let keys = keys.clone();
        let read = spawn_blocking(move || events::read(&arrived, &keys, rules.rules()));
        let failed = |_| Heard { told: vec![], error: Some("reading it failed".to_owned()) };
        return Understood::Events(id, read.await.unwrap_or_else(failed));
    }
    let raw = std::mem::take(&mut arrived.raw);
    let report = match timeout(PATIENCE, spawn_blocking(move || rules.rules().report(&raw))).await {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(_)) => Err("reading it failed".to_owned()),
        Err(_) => Err(format!("reading it took longer than {} s", PATIENCE.as_secs())),
    };
    let whose = report.as_ref().ok().and_then(|report| whose(&arrived, &report.original, keys));
    Understood::Mail(Box::new(Mail { id, arrived, report, whose }))
}

impl Understood {
    /// Those of ours that it names.
    fn deliveries(&self) -> Vec<DeliveryId> {
        match self {
            Self::Mail(mail) => mail.whose.iter().map(|(path, _)| path.delivery).collect(),
            Self::Events(_, heard) => heard.told.iter().map(Told::delivery).collect(),
        }
    }

    fn findings(self, people: &BTreeMap<DeliveryId, AddressKey>) -> Findings {
        let (id, Heard { told, error }) = match self {
            Self::Mail(mail) => return mail.findings(people),
            Self::Events(id, heard) => (id, heard),
        };
        let kind = error.is_none().then_some(ReportKind::NotBounce);
        Findings { reading: Reading { id, kind, error }, facts: events::facts(told, id, people) }
    }
}

impl Mail {
    /// `people` are the addresses of the deliveries that reports name. A delivery that is not among them was
    /// signed by us and is gone since: what is said about it is only noted.
    fn findings(self, people: &BTreeMap<DeliveryId, AddressKey>) -> Findings {
        let known = self.whose.and_then(|(path, grade)| Some((path, grade, people.get(&path.delivery)?.clone())));
        let (kind, error) = match &self.report {
            Ok(report) => (Some(report.kind), None),
            Err(error) => (None, Some(error.clone())),
        };
        let (bounces, complaints) = match &self.report {
            Ok(report) => (self.bounces(report, known.as_ref()), self.complaints(report, known.as_ref())),
            Err(_) => (Vec::new(), Vec::new()),
        };
        let facts = Facts { bounces, complaints, ..Facts::default() };
        Findings { reading: Reading { id: self.id, kind, error }, facts }
    }

    fn bounces(&self, report: &Report, known: Option<&Known>) -> Vec<Bounce> {
        if !matches!(report.kind, ReportKind::Bounce | ReportKind::Delay) {
            return Vec::new();
        }
        let about: Vec<&FailedRecipient> = match known {
            Some((_, _, key)) => about_them(&report.recipients, key),
            None => report.recipients.iter().collect(),
        };
        about.into_iter().filter_map(|failed| self.bounce(report.kind, failed, known)).collect()
    }

    /// Of a delivery that is known to be ours the contact is known too, whatever address the text gives: mail that
    /// is forwarded fails under another name.
    fn bounce(&self, kind: ReportKind, failed: &FailedRecipient, known: Option<&Known>) -> Option<Bounce> {
        let (delivery, attempt, grade, address) = match known {
            Some((path, grade, key)) => (Some(path.delivery), path.attempt, *grade, key.clone()),
            None => (None, 0, Grade::TextOnly, named(failed).next()?),
        };
        let held = kind == ReportKind::Delay || failed.action == Action::Delayed;
        Some(Bounce {
            delivery,
            attempt,
            address,
            grade,
            refusal: if held { Refusal::Transient } else { refusal(&failed.verdict) },
            held,
            receiver: None,
            learned: None,
            verdict: failed.verdict.clone(),
            reporting_mta: failed.reporting_mta.clone().or_else(|| failed.remote_mta.clone()),
            inbox: Some(self.id),
            at: self.arrived.received,
        })
    }

    fn complaints(&self, report: &Report, known: Option<&Known>) -> Vec<Complaint> {
        let about = known.filter(|_| report.kind == ReportKind::Feedback);
        let kind = || report.feedback_type.clone().unwrap_or_else(|| "abuse".to_owned());
        let complaint =
            |(path, ..): &Known| Complaint { delivery: path.delivery, kind: kind(), at: self.arrived.received };
        about.map(complaint).into_iter().collect()
    }
}

/// A delivery of ours, how well that is known, and whom it went to.
type Known = (ReturnPath, Grade, AddressKey);

/// Those that name `key`; all of them where none does, since mail that is forwarded fails under other names.
fn about_them<'a>(failed: &'a [FailedRecipient], key: &AddressKey) -> Vec<&'a FailedRecipient> {
    let by_name: Vec<_> = failed.iter().filter(|failed| named(failed).any(|name| name == *key)).collect();
    if by_name.is_empty() { failed.iter().collect() } else { by_name }
}

fn named(failed: &FailedRecipient) -> impl Iterator<Item = AddressKey> {
    let names = failed.original_recipient.iter().chain(&failed.recipient);
    names.filter_map(|name| name.parse::<EmailAddress>().ok()).map(|address| address.key())
}

/// Whether the host refused for now or for good. A report without any code speaks of the end.
pub(crate) fn refusal(verdict: &Verdict) -> Refusal {
    let by_status = verdict.status.map(|status| status.class == StatusClass::Transient);
    let by_reply = verdict.reply_code.map(|code| (400..500).contains(&code));
    if by_status.or(by_reply).unwrap_or(false) { Refusal::Transient } else { Refusal::Permanent }
}

//! Which kind of message came back, and what it says about whom.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rebound_domain::{BounceCause, EvidenceField, ReportKind, SmtpCommand, Verdict};
use serde::{Deserialize, Serialize};

use crate::auto_reply::{is_auto_reply, is_challenge};
use crate::dsn::{Action, Dsn, Fields};
use crate::facts::command_in;
use crate::feedback::Feedback;
use crate::judge::{Heard, judge};
use crate::message::{Message, Part, unify_line_ends};
use crate::notification::{self, Notification, What};
use crate::original::{Original, Text, first_address};
use crate::place::Search;
use crate::plain::{self, Plain};
use crate::rules::Rules;

/// A message that came back, understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What it is.
    pub kind: ReportKind,
    /// The recipients it speaks of, each with a verdict. Empty unless it is a bounce or a delay.
    pub recipients: Vec<FailedRecipient>,
    /// For a complaint: `abuse`, `fraud`, `not-spam` … (RFC 5965 §3.1).
    pub feedback_type: Option<String>,
    /// For a complaint: who complained, where the report still says so.
    pub complainants: Vec<String>,
    /// The address in the message's own `From`.
    pub from: Option<String>,
    /// The message's own `Auto-Submitted`, in lower case (RFC 3834 §5).
    pub auto_submitted: Option<String>,
    /// What is left of the message we sent.
    pub original: Original,
}

/// What a report says about one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRecipient {
    /// The address that failed, as the report writes it; `None` when it names nobody.
    pub recipient: Option<String>,
    /// The address we sent to, when it was changed on the way.
    pub original_recipient: Option<String>,
    /// What the reporting host did.
    pub action: Action,
    /// Why.
    pub verdict: Verdict,
    /// The host that reports.
    pub reporting_mta: Option<String>,
    /// The host that refused.
    pub remote_mta: Option<String>,
}

/// Reads a message that came back.
///
/// It never fails: what it cannot make out is [`ReportKind::NotBounce`]. It looks at no more than 25 MiB, and
/// weighs no more than 64 KiB of text.
///
/// ```
/// use rebound_domain::{BounceCause, ReportKind};
///
/// let report = rebound_classify::report(
///     b"From: MAILER-DAEMON@mx.test\nSubject: failure notice\n\n\
///       Hi. This is the qmail-send program at mx.test.\n\
///       I'm afraid I wasn't able to deliver your message to the following addresses.\n\n\
///       <ada@example.test>:\nSorry, no mailbox here by that name. (#5.1.1)\n",
/// );
/// assert_eq!(report.kind, ReportKind::Bounce);
/// assert_eq!(report.recipients[0].recipient.as_deref(), Some("ada@example.test"));
/// assert_eq!(report.recipients[0].verdict.cause, BounceCause::MailboxUnknown);
/// ```
#[must_use]
pub fn report(bytes: &[u8]) -> Report {
    read_safely(Rules::built_in(), bytes)
}

/// As [`report`], by `rules`.
pub(crate) fn read_safely(rules: &Rules, bytes: &[u8]) -> Report {
    // Strangers write these bytes and a decoder is not ours: a fault in it costs one message its meaning, no more.
    let read = catch_unwind(AssertUnwindSafe(|| read(rules, bytes)));
    read.unwrap_or_else(|_| Report::of(ReportKind::NotBounce, &Message::default(), &Text::default()))
}

/// As [`report`], but a fault shows.
pub(crate) fn read(rules: &Rules, bytes: &[u8]) -> Report {
    let unified = unify_line_ends(bytes);
    let message = Message::read(&unified);
    let text = Text::new(message.text());
    let mut report = understand(rules, &message, &text);
    let mut search = Search::of(bytes);
    for failed in &mut report.recipients {
        search.fill(&mut failed.verdict.evidence);
    }
    report
}

fn understand(rules: &Rules, message: &Message<'_>, text: &Text) -> Report {
    if let Some(feedback) = Feedback::read(message, text.all()) {
        return complaint(message, text, feedback);
    }
    // Dovecot's sieve rejects by such a notification; the others are read receipts (RFC 8098).
    if message.part(&["message/disposition-notification"]).is_some() && !text.all().contains("automatically rejected") {
        return Report::of(ReportKind::NotBounce, message, text);
    }
    if let Some(notified) = notification::read(text.all()) {
        return from_notification(rules, message, text, notified);
    }
    match status_fields(message, text) {
        Some(dsn) => from_dsn(rules, message, text, &dsn),
        None => from_words(rules, message, text),
    }
}

/// Amazon SES writes what failed as JSON, and SNS delivers it by mail.
fn from_notification(rules: &Rules, message: &Message<'_>, text: &Text, notified: Notification) -> Report {
    let kind = match notified.what {
        What::Bounce => ReportKind::Bounce,
        What::Delay => ReportKind::Delay,
        What::Complaint => ReportKind::Feedback,
        What::Other => ReportKind::NotBounce,
    };
    let mut report = Report::of(kind, message, text);
    report.original.message_id = report.original.message_id.or(notified.message_id);
    report.original.from = report.original.from.or(notified.source);
    report.original.subject = report.original.subject.or(notified.subject);
    match notified.what {
        What::Complaint => {
            report.feedback_type = Some(notified.feedback_type.unwrap_or_else(|| "abuse".to_owned()));
            report.complainants = notified.recipients.into_iter().map(|told| told.recipient).collect();
        }
        What::Bounce | What::Delay => {
            let action = if notified.what == What::Bounce { Action::Failed } else { Action::Delayed };
            report.recipients = notified
                .recipients
                .into_iter()
                .map(|told| {
                    let heard = Heard { status: told.status, ..Heard::default() };
                    let words = format!("{} {}", told.diagnostic, told.hint);
                    let said = (EvidenceField::DiagnosticCode, words.as_str());
                    FailedRecipient {
                        recipient: Some(told.recipient),
                        original_recipient: None,
                        action,
                        verdict: judge(rules, &[said], &heard),
                        reporting_mta: notified.reporting_mta.clone(),
                        remote_mta: None,
                    }
                })
                .collect();
        }
        What::Other => {}
    }
    report
}

/// The delivery status part, or its fields where a broken report left them: in the text.
fn status_fields(message: &Message<'_>, text: &Text) -> Option<Dsn> {
    const TYPES: &[&str] = &["message/delivery-status", "message/global-delivery-status", "text/delivery-status"];
    let parts = message.parts.iter().filter(|part| TYPES.contains(&part.content_type.as_str()));
    let mut dsn: Option<Dsn> = None;
    for read in parts.map(Part::text).filter_map(|text| Dsn::read(&text)) {
        match &mut dsn {
            Some(first) => first.extend(read),
            None => dsn = Some(read),
        }
        if dsn.as_ref().is_some_and(Dsn::is_full) {
            break;
        }
    }
    dsn.or_else(|| [text.words(), text.quoted(), text.all()].into_iter().find_map(|text| Dsn::read(fields_in(text)?)))
}

/// Where delivery status fields begin in a text.
fn fields_in(text: &str) -> Option<&str> {
    let folded = text.to_ascii_lowercase();
    let final_recipient = line_start(&folded, "final-recipient:")?;
    let start = line_start(&folded, "reporting-mta:").filter(|at| *at < final_recipient).unwrap_or(final_recipient);
    let start = line_start(&folded, "action: failed").filter(|at| *at < start && start - at < 40).unwrap_or(start);
    text.get(start..)
}

fn line_start(folded: &str, words: &str) -> Option<usize> {
    folded.match_indices(words).map(|(at, _)| at).find(|at| *at == 0 || folded[..*at].ends_with('\n'))
}

fn complaint(message: &Message<'_>, text: &Text, feedback: Feedback) -> Report {
    let mut report = Report::of(ReportKind::Feedback, message, text);
    report.feedback_type = Some(feedback.kind);
    report.complainants = feedback.recipients;
    if report.complainants.is_empty() {
        report.complainants.extend(report.original.to.clone());
    }
    report
}

fn from_dsn(rules: &Rules, message: &Message<'_>, text: &Text, dsn: &Dsn) -> Report {
    let outcomes: Vec<Action> = dsn.recipients.iter().map(|fields| outcome(fields, text)).collect();
    let challenged = dsn.recipients.iter().any(|fields| is_challenge(&fields.diagnostic));
    let kind = match () {
        () if challenged => ReportKind::AutoReply,
        () if outcomes.contains(&Action::Failed) => ReportKind::Bounce,
        () if outcomes.contains(&Action::Delayed) => ReportKind::Delay,
        () => ReportKind::NotBounce,
    };
    let mut report = Report::of(kind, message, text);
    if matches!(kind, ReportKind::Bounce | ReportKind::Delay) {
        let wanted = if kind == ReportKind::Bounce { Action::Failed } else { Action::Delayed };
        let told = dsn.recipients.iter().zip(outcomes).filter(|(_, outcome)| *outcome == wanted);
        let told = told.map(|(fields, action)| failed_recipient(rules, fields, action, text, dsn, &report.original));
        report.recipients = told.collect();
        report.name_whom_we_wrote_to();
    }
    report
}

/// What became of a recipient. OpenSMTPD calls a message late when it gives it up: its time in the queue is over.
fn outcome(fields: &Fields, text: &Text) -> Action {
    let told = fields.outcome();
    let is_late = told == Action::Delayed && fields.status.is_some_and(|code| (code.subject, code.detail) == (4, 7));
    if !is_late {
        return told;
    }
    let name = fields.recipient.as_deref().unwrap_or_default();
    let words = format!("{} {}", fields.diagnostic, plain::words_about(text, name));
    if plain::is_last_word(&words) { Action::Failed } else { told }
}

fn failed_recipient(
    rules: &Rules,
    fields: &Fields,
    action: Action,
    text: &Text,
    dsn: &Dsn,
    original: &Original,
) -> FailedRecipient {
    let named = fields.recipient.clone().filter(|name| name.contains('@'));
    let named = named
        .or_else(|| fields.original_recipient.clone())
        .or_else(|| fields.recipient.clone())
        .or_else(|| original.to.clone());
    let hosts = [host_of(named.as_deref()), fields.remote_mta.clone().unwrap_or_default().to_ascii_lowercase()];
    let hosts = hosts.each_ref().map(String::as_str);
    let heard = Heard {
        status: fields.status,
        reply_code: None,
        command: command_for(&fields.diagnostic, text.unwrapped()),
        hosts: &hosts,
    };
    let said = (EvidenceField::DiagnosticCode, fields.diagnostic.as_str());
    let mut verdict = judge(rules, &[said], &heard);
    if says_little(&verdict) {
        // The words for people may say more than the field.
        let about = plain::words_about(text, named.as_deref().unwrap_or_default());
        verdict = surer(verdict, judge(rules, &[said, (EvidenceField::Text, about)], &heard));
    }
    FailedRecipient {
        recipient: named,
        original_recipient: fields.original_recipient.clone(),
        action,
        verdict,
        reporting_mta: dsn.reporting_mta.clone(),
        remote_mta: fields.remote_mta.clone(),
    }
}

fn host_of(address: Option<&str>) -> String {
    address.and_then(|address| address.rsplit_once('@')).map_or_else(String::new, |(_, host)| host.to_ascii_lowercase())
}

/// The command that was answered with `diagnostic`, which the words for people may say when the field does not. `text`
/// is one line in lower case.
fn command_for(diagnostic: &str, text: &str) -> Option<SmtpCommand> {
    /// Characters of the reply by which it is found again.
    const KNOWN_BY: usize = 24;
    /// Bytes around it that can name the command.
    const NEAR: usize = 400;
    let folded = diagnostic.to_ascii_lowercase();
    command_in(&folded).or_else(|| {
        let unwrapped = folded.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let words: String = unwrapped.chars().take(KNOWN_BY).collect();
        if words.len() < 6 {
            return None;
        }
        // A transcript has the command before the reply, Postfix has it behind.
        let (at, _) = text.match_indices(&words).last()?;
        let end = text.floor_char_boundary((at + NEAR).min(text.len()));
        let start = text.floor_char_boundary(at.saturating_sub(NEAR));
        let before = text.get(start..at).unwrap_or_default();
        // Sendmail sends RCPT and DATA in one breath: the 503 to DATA is heard after the answer to RCPT.
        let early = text.get(at..end).is_some_and(|after| after.contains("<<< 503"));
        let transcript = before.rfind(">>> ").and_then(|from| command_in(before.get(from..).unwrap_or_default()));
        let transcript = transcript.map(|command| if early { SmtpCommand::RcptTo } else { command });
        let behind = || {
            let rest = text.get(at..end)?;
            let rest = rest.get(..rest.find(" --").unwrap_or(rest.len()))?;
            rest.contains("in reply to ").then(|| command_in(rest))?
        };
        transcript.or_else(behind)
    })
}

/// Whether no word, but at most a code, led to the verdict.
fn says_little(verdict: &Verdict) -> bool {
    let by_code = |rule: &str| rule.starts_with("status.") || rule.starts_with("reply.");
    verdict.evidence.iter().all(|evidence| by_code(&evidence.rule))
}

/// The second verdict if words led to it, else the first.
fn surer(first: Verdict, second: Verdict) -> Verdict {
    if says_little(&second) && first.cause != BounceCause::Undetermined { first } else { second }
}

fn from_words(rules: &Rules, message: &Message<'_>, text: &Text) -> Report {
    let subject = message.headers.text("subject").unwrap_or_default();
    // Many mail systems mark their reports as automatic replies, and sign them.
    if !plain::is_by_machine(message) && is_auto_reply(message, &subject, text.all()) {
        return Report::of(ReportKind::AutoReply, message, text);
    }
    match plain::read(message, &subject, text) {
        Some(plain) => from_plain(rules, message, &subject, text, plain),
        None => Report::of(ReportKind::NotBounce, message, text),
    }
}

fn from_plain(rules: &Rules, message: &Message<'_>, subject: &str, text: &Text, plain: Plain) -> Report {
    let kind = if plain.is_delay { ReportKind::Delay } else { ReportKind::Bounce };
    let mut report = Report::of(kind, message, text);
    let action = if plain.is_delay { Action::Delayed } else { Action::Failed };
    for plain::Told { recipient, original, words: said } in plain.recipients {
        let host = host_of(recipient.as_deref());
        let hosts = [host.as_str()];
        let heard = Heard { hosts: &hosts, ..Heard::default() };
        let mut verdict = judge(rules, &[(EvidenceField::Text, &said)], &heard);
        if says_little(&verdict) {
            let words = text.words();
            let all =
                [(EvidenceField::Text, said.as_str()), (EvidenceField::Text, words), (EvidenceField::Subject, subject)];
            verdict = surer(verdict, judge(rules, &all, &heard));
        }
        report.recipients.push(FailedRecipient {
            recipient: recipient.or_else(|| report.original.to.clone()),
            original_recipient: original,
            action,
            verdict,
            reporting_mta: None,
            remote_mta: None,
        });
    }
    report.name_whom_we_wrote_to();
    report
}

impl Report {
    /// A message to one person that failed at another address was sent on: the one in its `To` is ours.
    fn name_whom_we_wrote_to(&mut self) {
        let to = self.original.to.clone();
        if let [failed] = self.recipients.as_mut_slice()
            && failed.original_recipient.is_none()
            && let (Some(to), Some(recipient)) = (to, &failed.recipient)
            && !to.eq_ignore_ascii_case(recipient)
            && recipient.contains('@')
        {
            failed.original_recipient = Some(to);
        }
    }

    fn of(kind: ReportKind, message: &Message<'_>, text: &Text) -> Self {
        Self {
            kind,
            recipients: Vec::new(),
            feedback_type: None,
            complainants: Vec::new(),
            from: message.headers.raw("from").and_then(first_address),
            auto_submitted: message.headers.raw("auto-submitted").map(|value| value.trim().to_ascii_lowercase()),
            original: Original::read(message, text.quoted()),
        }
    }
}

//! What the hosts write back: delivery reports (RFC 3464), feedback reports (RFC 5965) and
//! automatic replies (RFC 3834).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::mailboxes::{Behaviour, DOMAIN, domain_of};
use crate::truth::Truth;
use crate::words::{Style, failure};

/// What a report tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// `5.2.2`: the mailbox is full.
    MailboxFull,
    /// `5.1.1`: there is no such mailbox.
    MailboxUnknown,
    /// `5.1.1` about the address that the mailbox forwards to.
    ForwardUnknown,
    /// The person is away.
    AutoReply,
    /// The person calls it spam.
    Complaint,
}

impl ReportKind {
    /// The report that follows an accepted message; `copies` were accepted before it.
    pub(crate) fn after(behaviour: Behaviour, recipient: &str, copies: usize) -> Option<Self> {
        let full_times = if crate::chance::number_of(recipient).is_multiple_of(2) { 1 } else { 2 };
        match behaviour {
            Behaviour::FullByReport => (copies < full_times).then_some(Self::MailboxFull),
            Behaviour::GoneByReport => Some(Self::MailboxUnknown),
            Behaviour::Forwards => Some(Self::ForwardUnknown),
            Behaviour::OutOfOffice => Some(Self::AutoReply),
            Behaviour::Complains => Some(Self::Complaint),
            _ => None,
        }
    }
}

/// A report that is owed to the sender of an accepted message.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) kind: ReportKind,
    /// The acceptance that it follows.
    pub(crate) original: Truth,
    /// The header of the original, as it was sent.
    pub(crate) header: Vec<u8>,
}

impl Report {
    /// The report promised by `original`, whose header is found at the start of `raw`.
    pub(crate) fn promised(original: &Truth, raw: &[u8]) -> Option<Self> {
        let kind = original.report.filter(|_| !original.sender.is_empty())?;
        let header = header_of(raw).to_vec();
        Some(Self { kind, original: original.clone(), header })
    }

    /// The same, when only the truth file is left of the original.
    pub(crate) fn remembered(original: &Truth) -> Option<Self> {
        let id = original.message_id.as_deref().unwrap_or_default();
        let header = format!("To: <{}>\r\nMessage-ID: <{id}>\r\n", original.recipient);
        Self::promised(original, header.as_bytes())
    }

    /// The message, lines ended by CRLF.
    pub(crate) fn message(&self, now: DateTime<Utc>) -> Vec<u8> {
        match self.kind {
            ReportKind::AutoReply => self.auto_reply(now).into_bytes(),
            ReportKind::Complaint => self.multipart("feedback-report", &self.complaint(now)),
            _ => self.multipart("delivery-status", &self.failure(now)),
        }
        .into_crlf()
    }

    fn multipart(&self, report_type: &str, text: &Parts) -> Vec<u8> {
        let boundary = self.boundary();
        let Parts { head, human, machine } = text;
        let mut message = format!(
            "{head}\
             Auto-Submitted: auto-generated\n\
             MIME-Version: 1.0\n\
             Content-Type: multipart/report; report-type={report_type};\n\tboundary=\"{boundary}\"\n\
             \n\
             --{boundary}\n\
             Content-Type: text/plain; charset=us-ascii\n\
             \n\
             {human}\n\
             --{boundary}\n\
             Content-Type: message/{report_type}\n\
             \n\
             {machine}\n\
             --{boundary}\n\
             Content-Type: text/rfc822-headers\n\
             \n"
        )
        .into_bytes();
        message.extend_from_slice(&self.header);
        message.extend_from_slice(format!("\n--{boundary}--\n").as_bytes());
        message
    }

    fn failure(&self, now: DateTime<Utc>) -> Parts {
        let Truth { sender, recipient, at, .. } = &self.original;
        let host = format!("mx1.{}", domain_of(recipient));
        let behaviour = match self.kind {
            ReportKind::MailboxFull => Behaviour::FullByReport,
            _ => Behaviour::Gone,
        };
        let failed = match self.kind {
            ReportKind::ForwardUnknown => forward_address(recipient),
            _ => recipient.clone(),
        };
        let (status, reply) = failure(behaviour, &failed);
        let remote = format!("store.{}", domain_of(&failed));
        let (from, subject, human) = match Style::of(recipient) {
            Style::Postfix => (
                format!("MAILER-DAEMON@{host} (Mail Delivery System)"),
                "Undelivered Mail Returned to Sender",
                format!(
                    "This is the mail system at host {host}.\n\n\
                     Your message could not be delivered to the recipient below.\n\n\
                     <{failed}>: host {remote} said: {reply} (in reply to RCPT TO command)\n"
                ),
            ),
            Style::Exim => (
                format!("Mail Delivery System <Mailer-Daemon@{host}>"),
                "Mail delivery failed: returning message to sender",
                format!(
                    "A message that you sent could not be delivered to its recipient.\n\
                     This is a lasting error. The following address failed:\n\n\
                     \x20 {failed}\n    host {remote}\n    {reply}\n"
                ),
            ),
            Style::Exchange => (
                format!("Postmaster <postmaster@{}>", domain_of(recipient)),
                "Undeliverable: your message",
                format!("Delivery to this recipient has failed:\n\n{failed}\n\n{remote} gave this error:\n{reply}\n"),
            ),
        };
        let machine = format!(
            "Reporting-MTA: dns; {host}\n\
             X-Queue-ID: {id}\n\
             Arrival-Date: {arrival}\n\
             \n\
             Original-Recipient: rfc822;{recipient}\n\
             Final-Recipient: rfc822; {failed}\n\
             Action: failed\n\
             Status: {status}\n\
             Remote-MTA: dns; {remote}\n\
             Diagnostic-Code: smtp; {reply}\n",
            id = self.queue_id(),
            arrival = at.to_rfc2822(),
        );
        Parts { head: self.head(&from, sender, subject, now), human, machine }
    }

    fn complaint(&self, now: DateTime<Utc>) -> Parts {
        let Truth { sender, recipient, at, .. } = &self.original;
        let domain = domain_of(recipient);
        let head =
            self.head(&format!("Feedback Loop <feedback@{domain}>"), sender, "Complaint about your message", now);
        let human =
            format!("This is an abuse report of {domain} about a message that one of its people received from you.\n");
        let machine = format!(
            "Feedback-Type: abuse\n\
             User-Agent: SandboxFeedback/1.0\n\
             Version: 1\n\
             Original-Mail-From: <{sender}>\n\
             Original-Rcpt-To: <{recipient}>\n\
             Arrival-Date: {arrival}\n\
             Reporting-MTA: dns; mx1.{domain}\n\
             Source-IP: 192.0.2.1\n\
             Incidents: 1\n",
            arrival = at.to_rfc2822(),
        );
        Parts { head, human, machine }
    }

    fn auto_reply(&self, now: DateTime<Utc>) -> String {
        let Truth { sender, recipient, message_id, .. } = &self.original;
        let (subject, text) = match Style::of(recipient) {
            Style::Postfix => ("Out of office", "I am out of office and will read your message next week."),
            Style::Exim => ("Away until Monday", "Thank you for your message. I am on vacation until Monday."),
            Style::Exchange => {
                ("Automatische Antwort: Abwesenheit", "Ich bin bis Montag im Urlaub und lese Ihre Nachricht danach.")
            }
        };
        let head = self.head(&format!("<{recipient}>"), sender, subject, now);
        let id = message_id.as_deref().unwrap_or_default();
        format!(
            "{head}\
             In-Reply-To: <{id}>\n\
             References: <{id}>\n\
             Auto-Submitted: auto-replied\n\
             MIME-Version: 1.0\n\
             Content-Type: text/plain; charset=us-ascii\n\
             \n\
             {text}\n"
        )
    }

    fn head(&self, from: &str, to: &str, subject: &str, now: DateTime<Utc>) -> String {
        let id = self.queue_id();
        let domain = domain_of(&self.original.recipient);
        format!(
            "From: {from}\nTo: <{to}>\nSubject: {subject}\nDate: {}\nMessage-ID: <report.{id}@mx1.{domain}>\n",
            now.to_rfc2822()
        )
    }

    fn boundary(&self) -> String {
        format!("=_{}_{DOMAIN}", self.queue_id())
    }

    fn queue_id(&self) -> &str {
        self.original.queue_id.as_deref().unwrap_or("0")
    }
}

struct Parts {
    head: String,
    human: String,
    machine: String,
}

/// Where a forwarding mailbox sends its mail: a person elsewhere, who does not exist.
fn forward_address(recipient: &str) -> String {
    let local = recipient.split('@').next().unwrap_or_default();
    format!("{local}.private@elsewhere.{DOMAIN}")
}

/// The header of a message, without the empty line; at most 64 KB of whole lines.
fn header_of(raw: &[u8]) -> &[u8] {
    let mut length = 0;
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        let end = length + line.len();
        if line.trim_ascii().is_empty() || end > 64 << 10 {
            break;
        }
        length = end;
    }
    raw.get(..length).unwrap_or(raw)
}

trait IntoCrlf {
    fn into_crlf(self) -> Vec<u8>;
}

impl IntoCrlf for Vec<u8> {
    fn into_crlf(self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.len() + self.len() / 32);
        for line in self.split_inclusive(|byte| *byte == b'\n') {
            text.extend_from_slice(line.strip_suffix(b"\n").map_or(line, |l| l.strip_suffix(b"\r").unwrap_or(l)));
            text.extend_from_slice(b"\r\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::Event;
    use mail_parser::{MessageParser, MimeHeaders};

    fn report(behaviour: Behaviour, recipient: &str) -> Report {
        let original = Truth {
            at: DateTime::UNIX_EPOCH,
            event: Event::Accepted,
            session: 1,
            sender: "b-7@news.example".to_owned(),
            recipient: recipient.to_owned(),
            message_id: Some("m7@news.example".to_owned()),
            subject: Some("Spring".to_owned()),
            queue_id: Some("Q7".to_owned()),
            behaviour,
            reply: "250 OK".to_owned(),
            report: ReportKind::after(behaviour, recipient, 0),
        };
        Report::promised(&original, b"Message-ID: <m7@news.example>\r\nSubject: Spring\r\n\r\nHello").unwrap()
    }

    #[test]
    fn a_delivery_report_has_three_parts_and_the_fields_of_rfc_3464() {
        for (behaviour, recipient, fields) in [
            (
                Behaviour::GoneByReport,
                "ada@north.sandbox.test",
                ["Final-Recipient: rfc822; ada@north.sandbox.test", "Status: 5.1.1"],
            ),
            (
                Behaviour::FullByReport,
                "ada@hollow.sandbox.test",
                ["Final-Recipient: rfc822; ada@hollow.sandbox.test", "Status: 5.2.2"],
            ),
            (
                Behaviour::Forwards,
                "ada@plum.sandbox.test",
                ["Final-Recipient: rfc822; ada.private@elsewhere.sandbox.test", "Status: 5.1.1"],
            ),
        ] {
            let raw = report(behaviour, recipient).message(DateTime::UNIX_EPOCH);
            let message = MessageParser::new().parse(&raw).unwrap();
            assert_eq!(message.content_type().unwrap().attribute("report-type"), Some("delivery-status"));
            assert_eq!(message.parts.len(), 4, "{}", String::from_utf8_lossy(&raw));
            let status = String::from_utf8_lossy(message.parts[2].contents()).into_owned();
            for field in
                fields.into_iter().chain([&*format!("Original-Recipient: rfc822;{recipient}"), "Action: failed"])
            {
                assert!(status.contains(field), "{field} in {status}");
            }
            let header = String::from_utf8_lossy(message.parts[3].contents()).into_owned();
            assert!(header.contains("Message-ID: <m7@news.example>") && !header.contains("Hello"));
        }
    }

    #[test]
    fn every_line_of_a_report_ends_in_crlf() {
        for recipient in ["complains@sandbox.test", "away@sandbox.test", "gone-report@sandbox.test"] {
            let raw = report(crate::behaviour_of(recipient), recipient).message(DateTime::UNIX_EPOCH);
            assert!(raw.ends_with(b"\r\n"));
            let bare = raw.iter().zip(raw.iter().skip(1)).filter(|(a, b)| **b == b'\n' && **a != b'\r');
            assert_eq!(bare.count(), 0);
        }
    }

    #[test]
    fn a_full_mailbox_reports_once_or_twice_and_then_keeps_the_message() {
        for name in ["a", "b", "c", "d"] {
            let recipient = format!("{name}@hollow.sandbox.test");
            let after = |copies| ReportKind::after(Behaviour::FullByReport, &recipient, copies);
            assert_eq!(after(0), Some(ReportKind::MailboxFull));
            assert_eq!(after(2), None);
        }
    }

    #[test]
    fn nobody_reports_to_the_empty_sender() {
        let mut original = report(Behaviour::GoneByReport, "ada@north.sandbox.test").original;
        original.sender.clear();
        assert!(Report::promised(&original, b"").is_none());
    }
}

//! What a host's words were taken to mean, and why.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::bounce::{BounceCause, Permanence, UnknownName};
use crate::status_code::EnhancedStatusCode;

/// How sure a verdict is, in percent.
pub type Confidence = u8;

/// What one host said about one recipient, judged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Verdict {
    /// Why the message did not arrive.
    pub cause: BounceCause,
    /// Whether the address is to blame for good.
    pub permanence: Permanence,
    /// How sure the cause is, in percent.
    pub confidence: Confidence,
    /// The next best cause and how sure that would be; `None` when nothing else spoke for another.
    pub second: Option<(BounceCause, Confidence)>,
    /// The enhanced status code the host gave.
    pub status: Option<EnhancedStatusCode>,
    /// The three-digit reply the host gave.
    pub reply_code: Option<u16>,
    /// The host's own words without control characters, at most 2 KiB.
    pub diagnostic: String,
    /// What in those words led to the cause, strongest first.
    pub evidence: Vec<Evidence>,
    /// In how many seconds the host wants to be asked again.
    pub retry_after: Option<u32>,
    /// Something finer than the cause: `domain_null_mx`, `dns_failure`, `attachment_rejected`.
    pub detail: Option<String>,
    /// The SMTP command that was answered, where that is known.
    #[serde(default)]
    pub command: Option<SmtpCommand>,
    /// The host's own code beside the standard ones: `TSS04`, `S3150`, `OFR_506`.
    #[serde(default)]
    pub provider_code: Option<String>,
    /// The blocklist that the host names.
    #[serde(default)]
    pub blocklist: Option<String>,
    /// The pages that the host points to, at most four.
    #[serde(default)]
    pub links: Vec<String>,
    /// The version of the rules that judged; empty where no rule did.
    #[serde(default)]
    pub rules: Cow<'static, str>,
}

impl Verdict {
    /// A verdict that no rule was needed for: we know the cause ourselves.
    #[must_use]
    pub fn known(cause: BounceCause, permanence: Permanence, words: &str) -> Self {
        Self {
            cause,
            permanence,
            confidence: 100,
            second: None,
            status: None,
            reply_code: None,
            diagnostic: words.to_owned(),
            evidence: Vec::new(),
            retry_after: None,
            detail: None,
            command: None,
            provider_code: None,
            blocklist: None,
            links: Vec::new(),
            rules: Cow::Borrowed(""),
        }
    }

    /// Whether the address is to blame for good.
    #[must_use]
    pub fn is_hard(&self) -> bool {
        self.permanence == Permanence::Hard
    }
}

/// One rule that spoke for a cause, and the words it recognised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Evidence {
    /// The rule, such as `common.mailbox-unknown` or `status.x.1.1`.
    pub rule: String,
    /// The words it recognised.
    pub matched: String,
    /// Where they begin in the diagnostic, in bytes.
    pub start: usize,
    /// Where they end, in bytes; equal to `start` when they came from elsewhere in the report.
    pub end: usize,
    /// What they were read from.
    #[serde(default)]
    pub field: EvidenceField,
    /// Where they stand in the raw message or reply: from which byte to which. `None` where they are encoded there.
    #[serde(default)]
    pub raw: Option<(usize, usize)>,
}

/// What a piece of evidence was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceField {
    /// The reply to our own attempt.
    #[default]
    Reply,
    /// The `Diagnostic-Code` of a delivery status report, or its kin.
    DiagnosticCode,
    /// The `Status` of a delivery status report.
    Status,
    /// The report's words for people.
    Text,
    /// The report's subject.
    Subject,
}

impl EvidenceField {
    /// The field as a person calls it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Reply => "the host’s reply",
            Self::DiagnosticCode => "Diagnostic-Code",
            Self::Status => "Status",
            Self::Text => "the report’s text",
            Self::Subject => "Subject",
        }
    }
}

/// The step of an SMTP session that a host answered (RFC 5321 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpCommand {
    /// The connection itself, by the greeting.
    Connect,
    /// `EHLO` or `HELO`.
    Helo,
    /// `STARTTLS`.
    StartTls,
    /// `AUTH`.
    Auth,
    /// `MAIL FROM`.
    MailFrom,
    /// `RCPT TO`.
    RcptTo,
    /// `DATA`, or the dot after the message.
    Data,
}

/// What a message that came back is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportKind {
    /// A delivery failed for good.
    Bounce,
    /// A delivery is late and still being tried.
    Delay,
    /// A recipient complained (RFC 5965).
    Feedback,
    /// Written by a machine on behalf of a person: out of office, challenge (RFC 3834).
    #[serde(rename = "autoreply")]
    AutoReply,
    /// Anything else: ordinary mail, success reports, read receipts.
    NotBounce,
}

impl ReportKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Bounce, Self::Delay, Self::Feedback, Self::AutoReply, Self::NotBounce];

    /// The name used in the database and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bounce => "bounce",
            Self::Delay => "delay",
            Self::Feedback => "feedback",
            Self::AutoReply => "autoreply",
            Self::NotBounce => "not-bounce",
        }
    }
}

impl fmt::Display for ReportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ReportKind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| UnknownName(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in ReportKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }
}

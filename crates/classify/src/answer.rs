//! Verdicts as JSON: one object for each message or reply.

use rebound_domain::{Advice, BounceCause, Evidence, Permanence, ReportKind, SmtpCommand, Verdict};
use serde::Serialize;

use crate::{FailedRecipient, Report};

/// What a message was judged to be, as one line of JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Answer<'a> {
    /// The file the message came from.
    pub path: &'a str,
    /// What the message is.
    pub kind: ReportKind,
    /// The recipients it speaks of.
    pub recipients: Vec<RecipientAnswer<'a>>,
    /// For a complaint: its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback_type: Option<&'a str>,
    /// The `Message-ID` of the message we sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_message_id: Option<&'a str>,
}

/// One recipient within an [`Answer`].
#[derive(Clone, Debug, Serialize)]
pub struct RecipientAnswer<'a> {
    /// The address that failed.
    pub recipient: Option<&'a str>,
    /// The address we sent to.
    pub original_recipient: Option<&'a str>,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: VerdictAnswer<'a>,
    /// The host that reports.
    pub reporting_mta: Option<&'a str>,
}

/// A [`Verdict`], flat.
#[derive(Clone, Debug, Serialize)]
pub struct VerdictAnswer<'a> {
    /// Why.
    pub cause: BounceCause,
    /// Whether the address is to blame for good.
    pub permanence: Permanence,
    /// How sure the cause is, in percent.
    pub confidence: u8,
    /// The enhanced status code.
    pub status: Option<String>,
    /// The three-digit reply.
    pub reply_code: Option<u16>,
    /// Something finer than the cause.
    pub detail: Option<&'a str>,
    /// The command that was answered.
    pub command: Option<SmtpCommand>,
    /// The host's own code beside the standard ones.
    pub provider_code: Option<&'a str>,
    /// The blocklist that the host names.
    pub blocklist: Option<&'a str>,
    /// The pages that the host points to.
    pub links: &'a [String],
    /// In how many seconds the host wants to be asked again.
    pub retry_after: Option<u32>,
    /// The next best cause, and how sure that would be in percent.
    pub second: Option<(BounceCause, u8)>,
    /// What can be done about it.
    pub advice: Advice,
    /// The version of the rules that judged.
    pub rules: &'a str,
    /// The host's own words.
    pub diagnostic: &'a str,
    /// What in those words led to the cause.
    pub evidence: &'a [Evidence],
}

/// What a reply was judged to mean, as one line of JSON. All but the reply is absent when it refuses nothing.
#[derive(Clone, Debug, Serialize)]
pub struct ReplyAnswer<'a> {
    /// The reply as it was given.
    pub reply: &'a str,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Option<VerdictAnswer<'a>>,
}

impl<'a> Answer<'a> {
    /// The answer for the message at a path.
    #[must_use]
    pub fn new(path: &'a str, report: &'a Report) -> Self {
        Self {
            path,
            kind: report.kind,
            recipients: report.recipients.iter().map(RecipientAnswer::new).collect(),
            feedback_type: report.feedback_type.as_deref(),
            original_message_id: report.original.message_id.as_deref(),
        }
    }
}

impl<'a> RecipientAnswer<'a> {
    fn new(failed: &'a FailedRecipient) -> Self {
        Self {
            recipient: failed.recipient.as_deref(),
            original_recipient: failed.original_recipient.as_deref(),
            verdict: VerdictAnswer::new(&failed.verdict),
            reporting_mta: failed.reporting_mta.as_deref(),
        }
    }
}

impl<'a> VerdictAnswer<'a> {
    fn new(verdict: &'a Verdict) -> Self {
        Self {
            cause: verdict.cause,
            permanence: verdict.permanence,
            confidence: verdict.confidence,
            status: verdict.status.map(|status| status.to_string()),
            reply_code: verdict.reply_code,
            detail: verdict.detail.as_deref(),
            command: verdict.command,
            provider_code: verdict.provider_code.as_deref(),
            blocklist: verdict.blocklist.as_deref(),
            links: &verdict.links,
            retry_after: verdict.retry_after,
            second: verdict.second,
            advice: verdict.cause.advice(),
            rules: &verdict.rules,
            diagnostic: &verdict.diagnostic,
            evidence: &verdict.evidence,
        }
    }
}

impl<'a> ReplyAnswer<'a> {
    /// The answer for a reply and its verdict.
    #[must_use]
    pub fn new(reply: &'a str, verdict: Option<&'a Verdict>) -> Self {
        Self { reply, verdict: verdict.map(VerdictAnswer::new) }
    }
}

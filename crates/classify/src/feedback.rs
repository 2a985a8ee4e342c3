//! Feedback reports: a recipient pressed "report spam" (RFC 5965).

use crate::message::{Headers, Message, split_head};
use crate::original::first_address;

/// A complaint, as its fields tell it.
#[derive(Debug)]
pub(crate) struct Feedback {
    /// `abuse`, `fraud`, `not-spam` …, in lower case.
    pub(crate) kind: String,
    /// Who complained, where the report still says so.
    pub(crate) recipients: Vec<String>,
}

impl Feedback {
    pub(crate) fn read(message: &Message<'_>, text: &str) -> Option<Self> {
        let fields = match message.part(&["message/feedback-report"]) {
            Some(part) => split_head(part.text().trim_start().as_bytes()).0,
            None => without_a_part(message, text)?,
        };
        let recipients = ["original-rcpt-to", "redacted-address", "removal-recipient", "x-hmxmroriginalrecipient"]
            .into_iter()
            .flat_map(|name| fields.all(name).filter_map(first_address).collect::<Vec<_>>())
            .collect();
        Some(Self { kind: fields.raw("feedback-type").unwrap_or("abuse").trim().to_ascii_lowercase(), recipients })
    }
}

/// Hotmail's older reports are the message itself with a header on top; others put the fields into plain text.
fn without_a_part(message: &Message<'_>, text: &str) -> Option<Headers> {
    let subject = message.headers.raw("subject").unwrap_or_default().to_ascii_lowercase();
    let returned = message.part(&["message/rfc822"]).map(|part| split_head(part.body.trim_ascii_start()).0);
    if let Some(headers) = returned.filter(|headers| headers.raw("x-hmxmroriginalrecipient").is_some()) {
        return Some(headers);
    }
    if message.headers.raw("x-hmxmroriginalrecipient").is_some() && subject.contains("complaint") {
        return Some(message.headers.clone());
    }
    let claimed =
        message.headers.raw("content-type").is_some_and(|value| value.to_ascii_lowercase().contains("feedback-report"));
    let at = text.find("Feedback-Type:")?;
    let in_front = text[..at].lines().count() < 40;
    (claimed || (in_front && text.contains("User-Agent:"))).then(|| split_head(&text.as_bytes()[at..]).0)
}

//! What Amazon SES tells as JSON: bounces, complaints and delays, bare or within an SNS message.
//!
//! Source: the SES Developer Guide, "Amazon SNS notification contents" and "Amazon SES event data".

use rebound_domain::EnhancedStatusCode;
use serde_json::Value;

use crate::dsn::NAME_BYTES;
use crate::message::cut;

/// Recipients of one notification that are read.
const RECIPIENTS: usize = 1_000;

/// What a notification is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Bounce,
    Delay,
    Complaint,
    /// A delivery, an open, a click.
    Other,
}

/// A notification, as far as it says what came of a message.
#[derive(Debug)]
pub(crate) struct Notification {
    pub(crate) what: What,
    pub(crate) recipients: Vec<Told>,
    pub(crate) feedback_type: Option<String>,
    pub(crate) reporting_mta: Option<String>,
    pub(crate) message_id: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) subject: Option<String>,
}

/// What it says about one recipient.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) recipient: String,
    pub(crate) status: Option<EnhancedStatusCode>,
    pub(crate) diagnostic: String,
    /// SES's own label, which is evidence and not truth.
    pub(crate) hint: &'static str,
}

/// Reads a text that is such a notification and nothing else.
pub(crate) fn read(text: &str) -> Option<Notification> {
    let text = text.trim_start();
    if !text.starts_with('{') || !(text.contains("notificationType") || text.contains("eventType")) {
        return None;
    }
    // Old mail systems break long lines by "!" and a new line. Footers for people may follow the JSON.
    let value = first_value(&text.replace("!\n ", "").replace('\n', " "))?;
    match value.get("Message").and_then(Value::as_str) {
        Some(inner) => of(&first_value(inner)?),
        None => of(&value),
    }
}

fn first_value(text: &str) -> Option<Value> {
    serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok()
}

fn of(value: &Value) -> Option<Notification> {
    let kind = value.get("notificationType").or_else(|| value.get("eventType"))?.as_str()?;
    let (what, part, list) = match kind {
        "Bounce" => (What::Bounce, "bounce", "bouncedRecipients"),
        "Complaint" => (What::Complaint, "complaint", "complainedRecipients"),
        "DeliveryDelay" => (What::Delay, "deliveryDelay", "delayedRecipients"),
        _ => (What::Other, "", ""),
    };
    let part = value.get(part).unwrap_or(&Value::Null);
    let string = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
    let hint = hint(string(part, "bounceSubType").or_else(|| string(part, "delayType")).as_deref());
    let told = part.get(list).and_then(Value::as_array).into_iter().flatten().take(RECIPIENTS);
    let recipients = told.filter_map(|one| {
        let diagnostic = string(one, "diagnosticCode").unwrap_or_default();
        Some(Told {
            recipient: string(one, "emailAddress")?,
            status: string(one, "status").and_then(|status| status.parse().ok()),
            diagnostic: diagnostic.trim_start_matches("smtp;").trim().to_owned(),
            hint,
        })
    });
    let mail = value.get("mail").unwrap_or(&Value::Null);
    let common = mail.get("commonHeaders").unwrap_or(&Value::Null);
    Some(Notification {
        what,
        recipients: recipients.collect(),
        feedback_type: string(part, "complaintFeedbackType"),
        reporting_mta: string(part, "reportingMTA")
            .map(|host| cut(host.trim_start_matches("dsn;").trim().to_owned(), NAME_BYTES)),
        message_id: string(common, "messageId").map(|id| id.trim_matches(['<', '>']).to_owned()),
        source: string(mail, "source"),
        subject: string(common, "subject"),
    })
}

/// SES's subtype in words that rules know; nothing where it says no more than the host.
fn hint(subtype: Option<&str>) -> &'static str {
    match subtype {
        Some("MailboxFull") => "(mailbox full)",
        Some("MessageTooLarge") => "(message too large)",
        Some("AttachmentRejected") => "(attachment type not allowed)",
        Some("NoEmail") => "(no such address)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_read_bare_and_within_a_message() {
        let inner = r#"{"notificationType":"Bounce","bounce":{"bounceType":"Transient","bounceSubType":"MailboxFull",
            "bouncedRecipients":[{"emailAddress":"a@b.example","status":"5.2.2","diagnosticCode":"smtp; 552 full"}],
            "reportingMTA":"dsn; a.ses.example"},"mail":{"source":"us@c.example"}}"#;
        let wrapped =
            serde_json::json!({"Type": "Notification", "Message": inner}).to_string() + "\n--\nUnsubscribe here";
        for text in [inner, &wrapped] {
            let read = read(text).unwrap();
            assert_eq!((read.what, read.reporting_mta.as_deref()), (What::Bounce, Some("a.ses.example")));
            let told = &read.recipients[0];
            assert_eq!((told.recipient.as_str(), told.diagnostic.as_str()), ("a@b.example", "552 full"));
        }
        assert!(read("{\"other\": 1}").is_none() && read("Hello").is_none());
    }
}

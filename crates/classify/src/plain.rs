//! Reports for people only: the words of qmail, Exim, older Postfix, Sendmail, Exchange and many others.

use crate::message::Message;
use crate::original::{first_address, split_quoted};
use crate::words::addresses_in;

/// Failed addresses of one plain report that are kept.
const RECIPIENTS: usize = 200;

/// What a plain report says: about whom, and which words about each.
#[derive(Debug)]
pub(crate) struct Plain {
    pub(crate) is_delay: bool,
    pub(crate) recipients: Vec<(Option<String>, String)>,
}

/// Subjects of reports.
const SUBJECTS: [&str; 45] = [
    "undeliver", "returned mail", "returned to sender", "returning message", "failure notice", "delivery failure", "delivery failed", "delivery has failed", "delivery status notification",
    "delivery notification", "delivery problem", "delivery report", "delivery error", "non-delivery", "nondeliverable", "not delivered", "could not be delivered", "could not deliver", "couldn't be delivered",
    "mail delivery", "message delivery", "failure delivery", "delivery system", "mail system error", "message status", "mail failed", "mail error", "message bounced", "email delivery", "error during delivery", "error sending", "unable to deliver", "can't be delivered",
    "unzustellbar", "nicht zugestellt", "non remis", "échec de la remise", "no se puede entregar", "não entregue", "mancata consegna", "не доставлено", "недоставлен", "не может быть доставлено", "could not send message", "aws notification message",
];

/// Words that only a report says, in lower case.
const BODIES: [&str; 53] = [
    "wasn't able to deliver", "was not able to deliver", "were not able to deliver", "were unable to deliver", "was unable to deliver", "unable to deliver", "could not be delivered", "couldn't be delivered", "can not be delivered", "cannot be delivered", "can't be delivered", "could not deliver",
    "not be delivered", "delivery has failed", "delivery failed", "delivery to the following", "delivery of email to", "did not reach the following", "did not reach some or all", "was not delivered", "were not delivered", "has not been delivered", "mail was not delivered", "undeliverable",
    "permanent fatal errors", "had delivery problems", "had delivery errors", "transcript of session follows", "qmail-send program", "created automatically by mail delivery software", "error has occurred while attempting to deliver", "error delivering your mail", "rejected by a remote mail server",
    "failed addresses follow", "failed recipients", "failure reasons", "message not delivered", "message delivery failed", "non-delivery report", "no valid recipients", "there's a problem with the e-mail address", "not accepting mail", "rejected the message", "may not exist, or you may not have permission", "mailbox exceeds allowed size", "unknown user:", "user's mailbox is full", "not a valid user here",
    "duplicated message-id", "не может быть доставлено", "送信できませんでした", "配信できません", "送信に失敗",
];

/// Words of a report that the message is still being tried, in lower case.
const DELAYS: [&str; 21] = [
    "has been delayed", "is delayed", "still being retried", "will be retried for", "has not yet been delivered", "not yet been delivered", "warning message only", "will continue to be made", "delivery attempts will continue", "keep trying", "continue trying", "still trying", "do not need to resend", "do not need to re-send",
    "only a temporary failure report", "will be retried until", "could not send message for past", "will keep trying", "no action is required on your part", "message still undelivered after", "temporarily deferred. we will",
];

/// Words that the last attempt was made, in lower case: they outrank the words of a delay.
const FINAL: [&str; 8] = ["permanent error", "permanent failure", "permanently", "given up", "giving up", "not going to try again", "no further delivery attempts", "could not be delivered"];

/// Reads a message without delivery status fields; `None` if it does not read like a report.
pub(crate) fn read(message: &Message<'_>, subject: &str, text: &str) -> Option<Plain> {
    let (words, _) = split_quoted(text);
    let failed = failed_by_header(message);
    if failed.is_empty() && !reads_like_report(message, subject, words) {
        return None;
    }
    let sender = message.headers.raw("to").and_then(first_address);
    let mut recipients = if failed.is_empty() { blocks(words, sender.as_deref()) } else { with_words(words, failed) };
    if recipients.is_empty() {
        recipients.push((None, words.to_owned()));
    }
    Some(Plain { is_delay: is_delay(subject, words), recipients })
}

/// What a report for people says about one recipient.
pub(crate) fn words_about(text: &str, recipient: &str) -> String {
    let (words, _) = split_quoted(text);
    let wanted = recipient.to_ascii_lowercase();
    let found = blocks(words, None).into_iter().find(|(whom, said)| {
        whom.as_deref().is_some_and(|whom| whom.eq_ignore_ascii_case(&wanted)) && said.trim().len() > 8
    });
    found.map_or_else(|| words.to_owned(), |(_, said)| said)
}

/// Exim and Gmail name the failed addresses in a header.
fn failed_by_header(message: &Message<'_>) -> Vec<String> {
    let values = message.headers.all("x-failed-recipients");
    let addresses = values.flat_map(|value| value.split(',').filter_map(first_address).collect::<Vec<_>>());
    addresses.take(RECIPIENTS).collect()
}

fn with_words(words: &str, failed: Vec<String>) -> Vec<(Option<String>, String)> {
    failed.into_iter().map(|recipient| {
        let said = words_about(words, &recipient);
        (Some(recipient), said)
    }).collect()
}

/// The sender, the subject and the words: two of the three must be those of a report.
fn reads_like_report(message: &Message<'_>, subject: &str, words: &str) -> bool {
    let from = message.headers.text("from").unwrap_or_default().to_lowercase();
    let machine = ["mailer-daemon", "mailerdaemon", "postmaster", "mail delivery", "mail deliver", "maildelivery", "mail-daemon", "mdaemon", "smtp_mail_service", "system administrator", "ndr administrator", "mail system", "daemon@"];
    let by_machine = from.is_empty() || from == "<>" || machine.iter().any(|name| from.contains(name));
    let nobody = message.headers.raw("return-path").is_some_and(|path| path.trim() == "<>" || path.to_ascii_lowercase().contains("mailer-daemon"));
    let folded_subject = subject.to_lowercase();
    let by_subject = SUBJECTS.iter().any(|start| folded_subject.contains(start));
    let folded: String = words.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let by_words = BODIES.iter().any(|said| folded.contains(said)) || DELAYS.iter().any(|said| folded.contains(said));
    let signs = [by_machine || nobody, by_subject, by_words].into_iter().filter(|sign| *sign).count();
    signs >= 2
}

fn is_delay(subject: &str, words: &str) -> bool {
    let folded_subject = subject.to_lowercase();
    let folded: String = words.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let late = DELAYS.iter().any(|said| folded.contains(said)) || folded_subject.contains("(delay)") || folded_subject.contains("delayed") || folded_subject.contains("delivery status notification: warning");
    late && !FINAL.iter().any(|said| folded.contains(said))
}

/// One line's claim to name a failed recipient.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// An address somewhere.
    Mentioned,
    /// An address behind words such as `RCPT TO:`.
    Cued,
    /// The line begins with the address.
    Heads,
}

/// Cuts a report into blocks, each beginning where a failed recipient is named.
fn blocks(words: &str, sender: Option<&str>) -> Vec<(Option<String>, String)> {
    let lines: Vec<&str> = words.lines().collect();
    let claims: Vec<(usize, Claim, String)> =
        lines.iter().enumerate().filter_map(|(at, line)| claim(line, sender).map(|(claim, address)| (at, claim, address))).collect();
    let Some(strongest) = claims.iter().map(|(_, claim, _)| *claim).max() else { return Vec::new() };
    let heads: Vec<_> = claims.into_iter().filter(|(_, claim, _)| *claim == strongest).collect();
    let mut named: Vec<(Option<String>, String)> = Vec::new();
    for (index, (at, _, address)) in heads.iter().enumerate() {
        let end = heads.get(index + 1).map_or(lines.len(), |(next, _, _)| *next);
        let said = lines.get(*at..end).unwrap_or_default().join("\n");
        let full = named.len() >= RECIPIENTS;
        match named.iter_mut().find(|(known, _)| known.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(address))) {
            Some((_, so_far)) => {
                so_far.push('\n');
                so_far.push_str(&said);
            }
            None if !full => named.push((Some(address.clone()), said)),
            None => break,
        }
    }
    // A lone recipient is what the whole report is about; what precedes it often holds the reason.
    if let [(_, said)] = named.as_mut_slice() {
        let before = lines.get(..heads.first().map_or(0, |(at, _, _)| *at)).unwrap_or_default();
        if said.trim().len() < 60 {
            *said = format!("{said}\n{}", before.join("\n"));
        }
    }
    named
}

/// Who a line names as failed, and how plainly.
fn claim(line: &str, sender: Option<&str>) -> Option<(Claim, String)> {
    if line.len() > 2_000 {
        return None;
    }
    let folded = line.to_ascii_lowercase();
    let not_about = ["mail from", "from:", "contact", "originator", "sender", "message-id", "postmaster", "for assistance", "support@", "abuse@", "helpdesk", "envelope-from", "expanded from", "generated from", "message sent by", "a message sent", "on behalf of", "reply-to", "mailto:"];
    let range = addresses_in(line).into_iter().next()?;
    let address = line.get(range.clone())?.trim_matches(['"', '\'', '.', '=', '`']).to_owned();
    let address = address.rsplit_once("SMTP=").map_or(address.clone(), |(_, rest)| rest.to_owned());
    let before = line[..range.start].trim().trim_start_matches(['<', '>', '"', '\'', '-', '*', '|', '(', '[', ' ', '\t']).trim();
    if before.is_empty() && !folded.contains("mailto:") || before.eq_ignore_ascii_case("smtp:") {
        return Some((Claim::Heads, address));
    }
    if before.is_empty() {
        return Some((Claim::Heads, address));
    }
    let cues = ["rcpt to", "recipient", "to:", "to the following", "deliver", "failed", "undeliverable", "unknown user", "mailbox", "address", "user", "for <", "reach", "not be", "account"];
    if not_about.iter().any(|words| folded.contains(words)) || sender.is_some_and(|sender| sender.eq_ignore_ascii_case(&address)) {
        return None;
    }
    let cued = cues.iter().any(|cue| before.to_ascii_lowercase().contains(cue));
    Some((if cued { Claim::Cued } else { Claim::Mentioned }, address))
}

//! An SMTP reply to our own attempt.

use rebound_domain::{BounceCause, EvidenceField, SmtpCommand, Verdict};

use crate::judge::{Heard, judge};
use crate::message::TEXT_BYTES;
use crate::place::Search;
use crate::rules::Rules;

/// What a host's reply to our attempt means; `None` when it is a `2yz` or `3yz`, so no refusal.
///
/// The reply may have several lines, each beginning with the code (RFC 5321 §4.2.1).
///
/// ```
/// use rebound_domain::{BounceCause, Permanence};
///
/// let verdict = rebound_classify::reply(b"452-4.2.2 The mailbox is\r\n452 4.2.2 over quota\r\n").unwrap();
/// assert_eq!((verdict.cause, verdict.permanence), (BounceCause::MailboxFull, Permanence::Soft));
/// assert_eq!(verdict.diagnostic, "452 4.2.2 The mailbox is over quota");
/// assert_eq!(rebound_classify::reply(b"250 2.0.0 queued"), None);
/// ```
#[must_use]
pub fn reply(bytes: &[u8]) -> Option<Verdict> {
    read(Rules::built_in(), bytes, None)
}

/// As [`reply`], by `rules`, to `command` where that is known.
pub(crate) fn read(rules: &Rules, bytes: &[u8], command: Option<SmtpCommand>) -> Option<Verdict> {
    let bytes = &bytes[..bytes.len().min(TEXT_BYTES)];
    let text = String::from_utf8_lossy(bytes);
    let words = text.trim();
    let code = words.get(..3).and_then(|code| code.parse::<u16>().ok()).filter(|code| (200..600).contains(code));
    if code.is_some_and(|code| code < 400) {
        return None;
    }
    let heard = Heard { reply_code: code, command, ..Heard::default() };
    let mut verdict = judge(rules, &[(EvidenceField::Reply, words)], &heard);
    if verdict.cause == BounceCause::TimeoutExpired && code.is_some_and(|code| code < 500) {
        // "Not now" cannot be the end of trying: a host behind the relay did not answer in time.
        verdict.cause = BounceCause::HostUnreachable;
    }
    Search::of(bytes).fill(&mut verdict.evidence);
    Some(verdict)
}

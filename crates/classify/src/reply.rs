//! An SMTP reply to our own attempt.

use rebound_domain::Verdict;

use crate::message::TEXT_BYTES;
use crate::rules::{Context, judge};

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
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_BYTES)]);
    let words = on_one_line(&text);
    let code = words.get(..3).and_then(|code| code.parse::<u16>().ok()).filter(|code| (200..600).contains(code));
    if code.is_some_and(|code| code < 400) {
        return None;
    }
    Some(judge(&words, Context { status: None, reply_code: code }))
}

/// The lines of a reply joined; codes that every line repeats are said once.
fn on_one_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let Some(first) = lines.next() else { return String::new() };
    let (code, words) = split_code(first);
    let (status, _) = split_status(words);
    let mut joined = if code.is_empty() { words.to_owned() } else { format!("{code} {words}") };
    for line in lines {
        let words = match split_code(line) {
            (same, words) if same == code => words,
            _ => line,
        };
        let words = match split_status(words) {
            (same, words) if same == status => words,
            _ => words,
        };
        joined.push(' ');
        joined.push_str(words);
    }
    joined
}

/// The three digits in front of a line and what follows them.
fn split_code(line: &str) -> (&str, &str) {
    match line.as_bytes() {
        [a, b, c, rest @ ..]
            if [a, b, c].iter().all(|d| d.is_ascii_digit()) && matches!(rest.first(), None | Some(b' ' | b'-')) =>
        {
            (&line[..3], line.get(4..).unwrap_or_default().trim_start())
        }
        _ => ("", line),
    }
}

fn split_status(words: &str) -> (&str, &str) {
    let (first, rest) = words.split_once(' ').unwrap_or((words, ""));
    match first.parse::<rebound_domain::EnhancedStatusCode>() {
        Ok(_) => (first, rest.trim_start()),
        Err(_) => ("", words),
    }
}

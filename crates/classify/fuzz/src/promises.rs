//! What the classifier promises for any bytes at all.

use rebound_classify::{Report, Rules};
use rebound_domain::{ReportKind, SmtpCommand, Verdict};

/// Recipients of one report at the most, in either of its lists.
const RECIPIENTS: usize = 1_000;
/// Bytes of a diagnostic at the most.
const DIAGNOSTIC: usize = 2 << 10;

/// Of a reply to our own attempt.
pub fn of_a_reply(bytes: &[u8]) {
    by_rules_of_a_reply(Rules::built_in(), bytes);
}

fn by_rules_of_a_reply(rules: &Rules, bytes: &[u8]) {
    const COMMANDS: [SmtpCommand; 3] = [SmtpCommand::RcptTo, SmtpCommand::MailFrom, SmtpCommand::Data];
    let command = COMMANDS[bytes.len() % COMMANDS.len()];
    for verdict in rules.reply(bytes).into_iter().chain(rules.reply_to(command, bytes)) {
        of_a_verdict(&verdict, bytes);
        assert!(!(is_passing(bytes) && verdict.is_hard()), "a 4yz reply is hard: {verdict:?}");
    }
}

/// Whether a reply begins with a code that says "not now" (RFC 5321 §4.2.1).
fn is_passing(bytes: &[u8]) -> bool {
    match bytes.trim_ascii() {
        [b'4', b'0'..=b'9', b'0'..=b'9'] => true,
        [b'4', b'0'..=b'9', b'0'..=b'9', after, ..] => matches!(after, b' ' | b'-' | b'\r' | b'\n' | b'\t'),
        _ => false,
    }
}

/// Of a message that came back.
pub fn of_a_report(bytes: &[u8]) {
    // A panic would pass as "no bounce" if nobody heard it.
    of_what_was_read(&heard(|| rebound_classify::report(bytes)), bytes);
}

/// Of a feedback report whose fields are `bytes`, or that is `bytes` as a whole.
pub fn of_a_feedback_report(bytes: &[u8]) {
    const HEAD: &[u8] = b"From: fbl@isp.example\nSubject: complaint\nMIME-Version: 1.0\n\
        Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n\n\
        This is an email abuse report\n--b\nContent-Type: message/feedback-report\n\n";
    of_a_report(bytes);
    let report = [HEAD, bytes].concat();
    of_what_was_read(&heard(|| rebound_classify::report(&report)), &report);
}

/// Of a user's own rules: they are refused, or they judge as soundly as ours.
pub fn of_a_rule_file(bytes: &[u8]) {
    match Rules::with(&String::from_utf8_lossy(bytes)) {
        Ok(rules) => {
            let example = bytes.windows(8).position(|at| at == b"example ").map_or(bytes, |at| &bytes[at..]);
            for reply in [&b"450 4.2.2 no such user here, mailbox full"[..], example] {
                by_rules_of_a_reply(&rules, reply);
            }
        }
        Err(faults) => assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.what.is_empty())),
    }
}

fn of_what_was_read(report: &Report, bytes: &[u8]) {
    assert!(report.recipients.len() <= RECIPIENTS, "{} recipients", report.recipients.len());
    assert!(report.complainants.len() <= RECIPIENTS, "{} complainants", report.complainants.len());
    if !matches!(report.kind, ReportKind::Bounce | ReportKind::Delay) {
        assert!(report.recipients.is_empty(), "{:?} names recipients", report.kind);
    }
    for failed in &report.recipients {
        of_a_verdict(&failed.verdict, bytes);
    }
}

fn of_a_verdict(verdict: &Verdict, bytes: &[u8]) {
    assert!((1..=100).contains(&verdict.confidence), "{verdict:?}");
    assert!(verdict.second.is_none_or(|(_, confidence)| confidence <= 100), "{verdict:?}");
    assert!(verdict.diagnostic.len() <= DIAGNOSTIC, "a diagnostic of {} bytes", verdict.diagnostic.len());
    assert!(!verdict.diagnostic.contains(['\n', '\r', '\0']), "{verdict:?}");
    let passing = verdict.reply_code.is_some_and(|code| (400..500).contains(&code));
    assert!(!(passing && verdict.is_hard()), "a 4yz reply is hard: {verdict:?}");
    for evidence in &verdict.evidence {
        let words = verdict.diagnostic.get(evidence.start..evidence.end);
        assert!(words.is_some_and(|words| words.is_empty() || words == evidence.matched), "{evidence:?}");
        let raw = evidence.raw.map(|(start, end)| bytes.get(start..end));
        assert!(raw.is_none_or(|raw| raw.is_some_and(|raw| !raw.is_empty())), "{evidence:?}");
    }
}

/// What `read` gives. A panic within it is heard, even if it is caught on the way.
fn heard(read: impl FnOnce() -> Report) -> Report {
    use std::cell::Cell;
    use std::panic;
    use std::sync::Once;
    thread_local!(static PANICS: Cell<usize> = const { Cell::new(0) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
    let before = PANICS.get();
    let report = read();
    assert_eq!(PANICS.get(), before, "a panic was caught");
    report
}

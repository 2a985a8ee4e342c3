//! Bytes that strangers write: nothing panics, nothing takes long.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use rebound_classify::{reply, report};

/// What one message may take, in a build without optimisation on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn within_patience(name: &str, message: &[u8]) {
    let start = Instant::now();
    let report = report(message);
    assert!(start.elapsed() < PATIENCE, "{name} took {:?}", start.elapsed());
    assert!(report.recipients.iter().all(|failed| failed.verdict.diagnostic.len() <= 2_048), "{name}");
}

#[test]
fn deep_nesting_and_great_length_are_cut() {
    let nested: String =
        (0..5_000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
    let text = format!(
        "From: mailer-daemon@x.test\nSubject: undeliverable\n\n{}",
        "delivery failed <a@b.test> ".repeat(400_000)
    );
    let one_line = format!("Subject: returned mail\n\n{}", "a".repeat(10 << 20));
    let headers: String = (0..200_000).map(|n| format!("X-{n}: v\n")).collect();
    let folded = format!("Subject: a\n{}", " b\n".repeat(1_000_000));
    let parts = format!("Content-Type: multipart/mixed; boundary=b\n\n{}", "--b\n\nx\n".repeat(200_000));
    let recipients = format!(
        "Content-Type: message/delivery-status\n\n{}",
        "Final-Recipient: rfc822; a@b.test\nAction: failed\nDiagnostic-Code: smtp; 550 gone\n\n".repeat(50_000)
    );
    let ats = format!("From: mailer-daemon@x.test\nSubject: undeliverable\n\n{}", "@".repeat(1 << 20));
    for (name, message) in [
        ("nested", nested),
        ("text", text),
        ("one line", one_line),
        ("headers", headers),
        ("folded", folded),
        ("parts", parts),
        ("recipients", recipients),
        ("ats", ats),
    ] {
        within_patience(name, message.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..4_096)) {
        let _ = (report(&bytes), reply(&bytes));
    }

    #[test]
    fn any_damage_to_a_report_is_survived(at in 0_usize..2_000, bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut message = include_bytes!("../../fixtures/postfix-mailbox-unknown.eml").to_vec();
        let at = at.min(message.len());
        message.splice(at..(at + bytes.len()).min(message.len()), bytes);
        for failed in report(&message).recipients {
            for evidence in failed.verdict.evidence {
                prop_assert!(failed.verdict.diagnostic.get(evidence.start..evidence.end).is_some());
            }
        }
    }

    #[test]
    fn any_words_are_judged(code in 400_u16..600, words in ".{0,300}") {
        let verdict = reply(format!("{code} {words}").as_bytes()).unwrap();
        prop_assert!(verdict.confidence <= 100);
        prop_assert!(code >= 500 || !verdict.is_hard());
    }
}

//! Every fixture against its snapshot: read it before accepting it.

use rebound_classify::{Answer, Rules, report};
use rebound_domain::{BounceCause, Permanence};

#[test]
fn fixtures_mean_what_their_hosts_meant() {
    insta::glob!("../../fixtures", "*.eml", |path| {
        let mut report = report(&std::fs::read(path).unwrap());
        for failed in &mut report.recipients {
            assert_eq!(failed.verdict.rules, Rules::built_in().version());
            failed.verdict.rules = "".into(); // every change of a rule would change every snapshot
        }
        insta::assert_debug_snapshot!(report);
    });
}

#[test]
fn an_answer_is_one_line_of_json() {
    let report = report(include_bytes!("../../fixtures/exim-mailbox-full.eml"));
    let json = serde_json::to_value(Answer::new("exim.eml", &report)).unwrap();
    assert_eq!(json["kind"], "bounce");
    let recipient = &json["recipients"][0];
    for (field, expected) in
        [("recipient", "grace@club.example"), ("cause", "mailbox_full"), ("permanence", "soft"), ("status", "5.2.2")]
    {
        assert_eq!(recipient[field], expected, "{field}");
    }
    assert_eq!(recipient["reply_code"], 552);
}

#[test]
fn a_report_is_the_same_whatever_ends_its_lines() {
    for fixture in ["postfix-mailbox-unknown", "qmail-two-recipients", "arf-abuse"] {
        let path = format!("{}/fixtures/{fixture}.eml", env!("CARGO_MANIFEST_DIR"));
        let lines = std::fs::read_to_string(path).unwrap();
        let expected = report(lines.as_bytes());
        for ends in ["\r\n", "\r"] {
            let mut same = report(lines.replace('\n', ends).as_bytes());
            // Only places in the raw bytes may move.
            for (one, other) in same.recipients.iter_mut().zip(&expected.recipients) {
                for (mine, theirs) in one.verdict.evidence.iter_mut().zip(&other.verdict.evidence) {
                    assert_eq!(mine.raw.is_some(), theirs.raw.is_some(), "{fixture} {ends:?}");
                    mine.raw = theirs.raw;
                }
            }
            assert_eq!(same, expected, "{fixture} {ends:?}");
        }
    }
}

#[test]
fn what_one_host_said_is_not_laid_on_the_recipient_at_another() {
    // Sendmail before 8 names each recipient behind what was said about it.
    let report = report(
        b"From: Mail Delivery Subsystem <MAILER-DAEMON@mx.test>\nSubject: Returned mail: User unknown\nTo: us@y.test\n\n\
          \x20  ----- Transcript of session follows -----\nWhile talking to mx.a.test:\n>>> MAIL From:<us@y.test>\n\
          <<< 501 <us@y.test>... no access from a mail server that is an open relay.\n\
          554 <ada@a.test>... Remote protocol error\n550 b.test (smtp)... 550 Host unknown\n\
          554 <grace@b.test>... 550 Host unknown (Authoritative answer from name server)\n\
          While talking to mx.c.test:\n>>> RCPT To:<alan@c.test>\n<<< 550 No such user here.\n\
          550 <alan@c.test>... User unknown\n\n   ----- Unsent message follows -----\nSubject: Spring\n\nHello\n",
    );
    let said = |failed: &rebound_classify::FailedRecipient| {
        (failed.recipient.clone().unwrap(), failed.verdict.cause, failed.verdict.permanence)
    };
    assert_eq!(
        report.recipients.iter().map(said).collect::<Vec<_>>(),
        [
            ("ada@a.test".to_owned(), BounceCause::ReputationBlock, Permanence::Soft),
            ("grace@b.test".to_owned(), BounceCause::DomainUnknown, Permanence::Hard),
            ("alan@c.test".to_owned(), BounceCause::MailboxUnknown, Permanence::Hard),
        ]
    );
}

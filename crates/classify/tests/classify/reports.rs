//! Every fixture against its snapshot: read it before accepting it.

use rebound_classify::{Answer, report};

#[test]
fn fixtures_mean_what_their_hosts_meant() {
    insta::glob!("../../fixtures", "*.eml", |path| {
        let report = report(&std::fs::read(path).unwrap());
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
            assert_eq!(report(lines.replace('\n', ends).as_bytes()), expected, "{fixture} {ends:?}");
        }
    }
}

//! Reports arrive at a second sandbox, which plays the return host.

use std::time::Duration;

use mail_parser::{MessageParser, MimeHeaders};
use rebound_sandbox::{Behaviour, Event, Sandbox, Settings, read_truth};

use crate::client::send;

const RETURN_PATH: &str = "b-7@news.example";

fn quick() -> Settings {
    Settings { report_delay: Duration::ZERO, keep_messages: true, ..Settings::default() }
}

/// A sandbox and the return host that hears its reports.
async fn pair() -> (Sandbox, Sandbox) {
    let catcher = Sandbox::start(quick()).await.unwrap();
    let settings = Settings { return_host: Some(catcher.address()), ..quick() };
    (Sandbox::start(settings).await.unwrap(), catcher)
}

/// The text of the only message that came back.
fn only(catcher: &Sandbox) -> String {
    let mut received = catcher.received(RETURN_PATH);
    assert_eq!(received.len(), 1);
    String::from_utf8(received.remove(0).raw).unwrap()
}

#[tokio::test]
async fn each_kind_of_report_comes_back_to_the_return_path() {
    for (recipient, report_type, words) in [
        (
            "gone-report@sandbox.test",
            "delivery-status",
            ["Status: 5.1.1", "Final-Recipient: rfc822; gone-report@sandbox.test"],
        ),
        ("full-report@sandbox.test", "delivery-status", ["Status: 5.2.2", "Diagnostic-Code: smtp; 552 5.2.2"]),
        (
            "forwards@sandbox.test",
            "delivery-status",
            [
                "Original-Recipient: rfc822;forwards@sandbox.test",
                "Final-Recipient: rfc822; forwards.private@elsewhere.sandbox.test",
            ],
        ),
        (
            "complains@sandbox.test",
            "feedback-report",
            ["Feedback-Type: abuse", "Original-Rcpt-To: <complains@sandbox.test>"],
        ),
        ("away@sandbox.test", "", ["Auto-Submitted: auto-replied", "In-Reply-To: <away.sandbox.test@news.example>"]),
    ] {
        let (sandbox, catcher) = pair().await;
        assert!(send(&sandbox, recipient).await.starts_with("250"));
        sandbox.idle().await;
        let text = only(&catcher);
        let message = MessageParser::new().parse(&text).unwrap();
        let said_type = message.content_type().and_then(|t| t.attribute("report-type"));
        assert_eq!(said_type.unwrap_or_default(), report_type, "{text}");
        for word in words.into_iter().chain([recipient]) {
            assert!(text.contains(word), "{word} in {text}");
        }
        if !report_type.is_empty() {
            let id = format!("Message-ID: <{}@news.example>", recipient.replace('@', "."));
            assert!(text.contains(&id) && !text.contains("Hello"), "{text}");
        }
    }
}

#[tokio::test]
async fn silence_follows_where_all_is_fine_or_refused() {
    let (sandbox, catcher) = pair().await;
    for recipient in ["ada@sandbox.test", "gone@sandbox.test", "spam@sandbox.test"] {
        send(&sandbox, recipient).await;
    }
    assert_eq!(sandbox.reports_pending(), 0);
    sandbox.idle().await;
    assert_eq!(catcher.accepted(), 0);
}

#[tokio::test]
async fn a_full_mailbox_that_reports_keeps_the_message_in_the_end() {
    let (sandbox, catcher) = pair().await;
    for _ in 0..4 {
        send(&sandbox, "full-report@sandbox.test").await;
        sandbox.idle().await;
    }
    let reports = catcher.received(RETURN_PATH).len();
    assert!((1..=2).contains(&reports), "{reports}");
    assert_eq!(sandbox.received("full-report@sandbox.test").len(), 4);
}

#[tokio::test]
async fn a_report_waits_for_its_return_host() {
    let catcher = Sandbox::start(Settings { faster: 3_000.0, ..quick() }).await.unwrap();
    catcher.set_behaviour(RETURN_PATH, Behaviour::Greylisting);
    let sandbox = Sandbox::start(quick()).await.unwrap();
    send(&sandbox, "gone-report@sandbox.test").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(sandbox.reports_pending(), 1);

    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    sandbox.set_return_host(nobody);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(sandbox.reports_pending(), 1);

    sandbox.set_return_host(catcher.address()); // which says 4yz at first
    sandbox.idle().await;
    assert!(only(&catcher).contains("Status: 5.1.1"));
}

#[tokio::test]
async fn a_refused_report_is_given_up_and_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let truth = folder.path().join("truth.jsonl");
    let catcher = Sandbox::start(quick()).await.unwrap();
    catcher.set_behaviour(RETURN_PATH, Behaviour::Gone);
    let settings = Settings { return_host: Some(catcher.address()), truth: Some(truth.clone()), ..quick() };
    let sandbox = Sandbox::start(settings).await.unwrap();
    for _ in 0..3 {
        send(&sandbox, "complains@sandbox.test").await;
    }
    sandbox.idle().await;
    let lines = read_truth(&truth).unwrap();
    let refused: Vec<_> = lines.iter().filter(|line| line.event == Event::ReportRefused).collect();
    assert_eq!(refused.len(), 3);
    assert!(refused[0].reply.starts_with("550 5.1.1"), "{}", refused[0].reply);
}

#[tokio::test]
async fn a_burst_of_reports_arrives_whole() {
    let (sandbox, catcher) = pair().await;
    let mut client = crate::client::Client::greeted(&sandbox).await;
    for n in 0..300 {
        client.send(&format!("gone-report{n}@sandbox.test"), "Spring").await;
    }
    sandbox.idle().await;
    assert_eq!(catcher.received(RETURN_PATH).len(), 300);
}

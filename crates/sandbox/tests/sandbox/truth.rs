use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rebound_sandbox::{Behaviour, Drops, Event, ReportKind, Sandbox, Settings, Truth, read_truth};

use crate::client::{Client, send};

async fn writing(path: &Path, settings: Settings) -> Sandbox {
    let truth = Some(path.to_owned());
    Sandbox::start(Settings { truth, report_delay: Duration::ZERO, ..settings }).await.unwrap()
}

fn events(lines: &[Truth]) -> Vec<(Event, &str)> {
    lines.iter().map(|line| (line.event, line.recipient.as_str())).collect()
}

#[tokio::test]
async fn it_is_written_before_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let sandbox = writing(&path, Settings::default()).await;
    let mut client = Client::greeted(&sandbox).await;
    for n in 0..100 {
        let reply = client.send(&format!("ada{n}@sandbox.test"), "Spring").await;
        // No waiting: the line is there when the answer is.
        let lines = read_truth(&path).unwrap();
        assert_eq!(lines.len(), n + 1);
        assert_eq!(lines[n].reply, reply);
    }
    let line = &read_truth(&path).unwrap()[7];
    assert_eq!((line.event, line.behaviour, line.session), (Event::Accepted, Behaviour::Fine, 1));
    assert_eq!(line.sender, "b-7@news.example");
    assert_eq!(line.message_id.as_deref(), Some("ada7.sandbox.test@news.example"));
    assert_eq!(line.subject.as_deref(), Some("Spring"));
}

#[tokio::test]
async fn refusals_are_written_with_what_is_known_of_the_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let sandbox = writing(&path, Settings::default()).await;
    for recipient in ["gone@sandbox.test", "spam@sandbox.test", "closes@sandbox.test"] {
        send(&sandbox, recipient).await;
    }
    let lines = read_truth(&path).unwrap();
    let expected = [
        (Event::Refused, "gone@sandbox.test"),
        (Event::Refused, "spam@sandbox.test"),
        (Event::Dropped, "closes@sandbox.test"),
    ];
    assert_eq!(events(&lines), expected);
    let known: Vec<_> = lines.iter().map(|line| line.message_id.is_some()).collect();
    assert_eq!(known, [false, true, false]);
    assert!(lines.iter().all(|line| line.sender == "b-7@news.example" && line.queue_id.is_none()));
}

#[tokio::test]
async fn what_the_relay_itself_refuses_is_written_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let login = Some(("ada".to_owned(), "secret".to_owned()));
    let sandbox = writing(&path, Settings { login, max_size: 100, ..Settings::default() }).await;
    let mut client = Client::greeted(&sandbox).await;
    let mut said = vec![];
    for (command, expected) in [
        ("MAIL FROM:<b-7@news.example>", "530"),
        ("AUTH PLAIN AGFkYQB3cm9uZw==", "535"),
        ("AUTH PLAIN AGFkYQBzZWNyZXQ=", "235"),
        ("MAIL FROM:<b-7@news.example> SIZE=101", "552"),
        ("MAIL FROM:<b-7@news.example>", "250"),
        ("RCPT TO:<ada@sandbox.test>", "250"),
        ("DATA", "354"),
    ] {
        let reply = client.ask(command).await;
        assert!(reply.starts_with(expected), "{command}: {reply}");
        said.extend((!["2", "3"].contains(&&expected[..1])).then_some(reply));
    }
    said.push(client.ask(&format!("Subject: Spring\r\n\r\n{}\r\n.", "x".repeat(200))).await);
    let lines = read_truth(&path).unwrap();
    let turned_away = (Event::TurnedAway, "");
    assert_eq!(events(&lines), [turned_away, turned_away, turned_away, (Event::Refused, "ada@sandbox.test")]);
    assert_eq!(lines.iter().map(|line| line.reply.clone()).collect::<Vec<_>>(), said);
    assert_eq!(lines[2].sender, "b-7@news.example");
}

#[tokio::test]
async fn an_answer_can_get_lost_after_the_message_was_taken_or_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let settings = Settings {
        drop_after_record: Drops::At(vec![2]),
        drop_before_record: Drops::At(vec![4]),
        ..Settings::default()
    };
    let sandbox = writing(&path, settings).await;
    let answers = [
        send(&sandbox, "a@sandbox.test").await,
        send(&sandbox, "b@sandbox.test").await,
        send(&sandbox, "b@sandbox.test").await,
        send(&sandbox, "c@sandbox.test").await,
    ];
    assert_eq!(answers.map(|answer| answer.is_empty()), [false, true, false, true]);
    assert_eq!(sandbox.received("b@sandbox.test").len(), 2, "the second copy is visible");
    assert!(sandbox.received("c@sandbox.test").is_empty());
    let lines = read_truth(&path).unwrap();
    let expected = [
        (Event::Accepted, "a@sandbox.test"),
        (Event::Accepted, "b@sandbox.test"),
        (Event::Dropped, "b@sandbox.test"),
        (Event::Accepted, "b@sandbox.test"),
        (Event::Dropped, "c@sandbox.test"),
    ];
    assert_eq!(events(&lines), expected);
    assert_eq!(lines[1].queue_id, lines[2].queue_id);
    assert_ne!(lines[1].queue_id, lines[3].queue_id);
    assert_eq!(lines[4].queue_id, None);
}

#[tokio::test]
async fn a_sandbox_started_again_remembers_and_pays_its_debts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let sandbox = writing(&path, Settings::default()).await;
    send(&sandbox, "ada@sandbox.test").await;
    send(&sandbox, "gone-report@sandbox.test").await;
    send(&sandbox, "emptied@sandbox.test").await;
    sandbox.stop().await;
    // What a killed writer may leave behind.
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"at\":\"2026-").unwrap();

    let catcher = Sandbox::start(Settings { keep_messages: true, ..Settings::default() }).await.unwrap();
    // The hours since the first try have passed while nobody was there.
    let settings = Settings { return_host: Some(catcher.address()), faster: 1e9, ..Settings::default() };
    let sandbox = writing(&path, settings).await;
    assert_eq!(sandbox.received("ada@sandbox.test")[0].subject, "Spring");
    assert!(send(&sandbox, "emptied@sandbox.test").await.starts_with("250"));
    sandbox.idle().await;
    let report = catcher.received("b-7@news.example").remove(0).raw;
    let report = String::from_utf8(report).unwrap();
    assert!(report.contains("Message-ID: <gone-report.sandbox.test@news.example>"), "{report}");
    sandbox.stop().await;

    let lines = read_truth(&path).unwrap();
    let reported: Vec<_> = lines.iter().filter(|line| line.event == Event::Reported).collect();
    assert_eq!(reported.len(), 1);
    assert_eq!(reported[0].report, Some(ReportKind::MailboxUnknown));
    assert_eq!(lines.iter().map(|line| line.session).max(), Some(4), "session numbers go on");
    let sandbox = writing(&path, Settings::default()).await;
    assert_eq!(sandbox.reports_pending(), 0, "paid once");
}

#[tokio::test]
async fn a_truth_file_that_is_none_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    for text in ["Dear diary\n", "Dear diary"] {
        std::fs::write(&path, text).unwrap();
        let started = Sandbox::start(Settings { truth: Some(path.clone()), ..Settings::default() }).await;
        assert_eq!(started.err().unwrap().kind(), std::io::ErrorKind::InvalidData);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

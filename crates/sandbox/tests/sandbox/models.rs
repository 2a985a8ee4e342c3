//! Hosts that take so much and no more, and hosts that do not behave.

use std::time::{Duration, Instant};

use rebound_sandbox::{Event, Knock, Model, Rate, Said, Sandbox, Settings, read_truth};

use crate::client::{Client, send};
use crate::hosts::insist;

#[tokio::test]
async fn a_limit_holds_for_the_domain_and_passes() {
    // An hour of the hosts is a second of ours.
    let rate = Rate { messages: 3, window: Duration::from_secs(60 * 60) };
    let sandbox = Sandbox::start(Settings { faster: 3_600.0, rate, ..Settings::default() }).await.unwrap();
    for (host, code, says_when) in [
        ("rate", "451 4.7.28", true),
        ("hidden", "451 4.7.0", false),
        ("quota", "452 4.7.28", true),
        ("burst", "450 4.7.28", true),
        ("diurnal", "451 4.3.2", true),
    ] {
        let mut client = Client::greeted(&sandbox).await;
        for name in ["a", "b", "c"] {
            let reply = client.send(&format!("{name}@{host}.sandbox.test"), "x").await;
            assert!(reply.starts_with("250"), "{host}: {reply}");
        }
        let recipient = format!("d@{host}.sandbox.test");
        let reply = client.send(&recipient, "x").await;
        assert!(reply.starts_with(code), "{host}: {reply}");
        assert_eq!(reply.contains("seconds"), says_when, "{host}: {reply}");
        insist(&sandbox, &recipient).await;
    }
}

#[tokio::test]
async fn a_tarpit_lets_the_recipient_wait() {
    let slowness = Duration::from_millis(100);
    let sandbox = Sandbox::start(Settings { slowness, ..Settings::default() }).await.unwrap();
    let mut client = Client::greeted(&sandbox).await;
    client.ask("MAIL FROM:<a@b.c>").await;
    let begun = Instant::now();
    assert!(client.ask("RCPT TO:<ada@tarpit.sandbox.test>").await.starts_with("250"));
    assert!(begun.elapsed() >= slowness);
}

#[tokio::test]
async fn a_flaky_host_refuses_about_every_third_try() {
    let sandbox = Sandbox::start(Settings::default()).await.unwrap();
    let mut client = Client::greeted(&sandbox).await;
    let mut refused = 0;
    for number in 0..200 {
        let reply = client.send(&format!("person{number}@flaky.sandbox.test"), "x").await;
        assert!(reply.starts_with("250") || reply.starts_with("451 4.3.0"), "{reply}");
        refused += u32::from(reply.starts_with("451"));
    }
    assert!((40..80).contains(&refused), "{refused}");
    insist(&sandbox, "flaky@sandbox.test").await;
}

#[tokio::test]
async fn a_storm_says_421_hangs_up_and_passes() {
    // Ten minutes of the hosts are 0.6 seconds of ours.
    let sandbox = Sandbox::start(Settings { faster: 1_000.0, ..Settings::default() }).await.unwrap();
    let mut client = Client::greeted(&sandbox).await;
    client.ask("MAIL FROM:<a@b.c>").await;
    assert!(client.ask("RCPT TO:<ada@storms.sandbox.test>").await.starts_with("421 4.3.2"));
    assert_eq!(client.reply().await, "", "the line is closed");
    tokio::time::sleep(Duration::from_millis(650)).await;
    assert!(send(&sandbox, "ben@storms.sandbox.test").await.starts_with("250"));
}

#[tokio::test]
async fn what_gets_lost_is_written_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let sandbox = Sandbox::start(Settings { truth: Some(path.clone()), ..Settings::default() }).await.unwrap();
    for (recipient, said, events) in [
        ("loses@sandbox.test", "", vec![Event::Dropped]),
        ("loses-answer@sandbox.test", "", vec![Event::Accepted, Event::Dropped]),
        ("mumbles@sandbox.test", "well, yes", vec![Event::Accepted, Event::Dropped]),
    ] {
        let written = || {
            let lines = read_truth(&path).unwrap();
            lines.into_iter().filter(|line| line.recipient == recipient).map(|line| line.event).collect::<Vec<_>>()
        };
        assert_eq!(send(&sandbox, recipient).await, said, "{recipient}");
        assert_eq!(written(), events, "{recipient}");
        assert!(send(&sandbox, recipient).await.starts_with("250"), "{recipient}: once only");
        assert_eq!(written(), [events, vec![Event::Accepted]].concat(), "{recipient}");
    }
}

#[tokio::test]
async fn wrong_replies_are_written_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let sandbox = Sandbox::start(Settings { truth: Some(path.clone()), ..Settings::default() }).await.unwrap();
    for (recipient, says) in [
        ("garbage@sandbox.test", vec!["\u{15}\u{3}\u{1}\0\u{2}\u{2}\u{16} what is this?"]),
        ("nines@sandbox.test", vec!["999 5.9.9 Out of range"]),
        ("endless@sandbox.test", vec!["250-One moment, please"; 3]),
    ] {
        let mut client = Client::greeted(&sandbox).await;
        client.ask("MAIL FROM:<a@b.c>").await;
        client.say(format!("RCPT TO:<{recipient}>\r\n").as_bytes()).await;
        for expected in says {
            assert_eq!(client.line().await, expected, "{recipient}");
        }
        let last = read_truth(&path).unwrap().pop().unwrap();
        assert_eq!((last.event, last.recipient.as_str()), (Event::Refused, recipient));
    }
}

#[tokio::test]
async fn an_early_answer_comes_before_the_message() {
    let sandbox = Sandbox::start(Settings::default()).await.unwrap();
    let mut client = Client::greeted(&sandbox).await;
    client.ask("MAIL FROM:<a@b.c>").await;
    assert_eq!(client.ask("RCPT TO:<early@sandbox.test>").await, "250 2.1.5 Ok");
    assert_eq!(client.reply().await, "250 2.0.0 Ok: queued");
    assert_eq!(sandbox.accepted(), 0);
}

/// Refuses every second message, and closes the line with it.
struct EverySecond(u32);

impl Model for EverySecond {
    fn judge(&mut self, knock: &Knock<'_>) -> Said {
        assert_eq!(knock.under_way, 1, "one at a time");
        self.0 += 1;
        let refusal = self.0.is_multiple_of(2).then(|| format!("421 4.7.0 not {}", knock.recipient));
        Said { refusal, after: Duration::from_millis(20) }
    }
}

#[tokio::test]
async fn a_test_may_bring_a_host_of_its_own() {
    let sandbox = Sandbox::start(Settings::default()).await.unwrap();
    sandbox.set_model("Own.Example", EverySecond(0));
    let (mut client, begun) = (Client::greeted(&sandbox).await, Instant::now());
    assert!(client.send("a@own.example", "x").await.starts_with("250"));
    client.ask("MAIL FROM:<a@b.c>").await;
    assert_eq!(client.ask("RCPT TO:<b@own.example>").await, "421 4.7.0 not b@own.example");
    assert_eq!(client.reply().await, "", "the line is closed");
    assert!(begun.elapsed() >= Duration::from_millis(40));
    assert!(Client::greeted(&sandbox).await.send("c@orchard.sandbox.test", "x").await.starts_with("250"));
    assert_eq!((sandbox.accepted(), sandbox.received("a@own.example").len()), (2, 1));
}

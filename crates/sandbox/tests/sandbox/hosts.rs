use std::time::{Duration, Instant};

use rebound_sandbox::{Behaviour, Rate, Sandbox, Settings};

use crate::client::{Client, send};

async fn at_pace(faster: f64) -> Sandbox {
    let slowness = Duration::from_millis(100);
    Sandbox::start(Settings { faster, slowness, ..Settings::default() }).await.unwrap()
}

/// Sends until it is taken; the refusals before.
pub(crate) async fn insist(sandbox: &Sandbox, recipient: &str) -> Vec<String> {
    let mut refusals = Vec::new();
    for _ in 0..500 {
        let reply = send(sandbox, recipient).await;
        if reply.starts_with("250") {
            return refusals;
        }
        refusals.push(reply);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{recipient} was never let in: {refusals:?}");
}

#[tokio::test]
async fn every_host_answers_in_its_way() {
    let sandbox = at_pace(1.0).await;
    for (recipient, expected) in [
        ("ada@sandbox.test", "250 2."),
        ("someone@elsewhere.example", "250 2."),
        ("full@sandbox.test", "452 4.2.2"),
        ("emptied@sandbox.test", "452 4.2.2"),
        ("gone@sandbox.test", "550 5.1.1"),
        ("ada@kelp.sandbox.test", "550 5.1.1"),
        ("down@sandbox.test", "451 4.4.1"),
        ("back@sandbox.test", "451 4.4.1"),
        ("large@sandbox.test", "552 5.3.4"),
        ("spam@sandbox.test", "554"),
        ("ada@elm.sandbox.test", "554"),
        ("grey@sandbox.test", "45"),
        ("moved@sandbox.test", "551 5.1.6"),
        ("inactive@sandbox.test", "550 5.2.1"),
        ("blocked@sandbox.test", "550 5.7.1"),
        ("unexplained@sandbox.test", "554 5.0.0"),
        ("gone-report@sandbox.test", "250 2."),
        ("full-report@sandbox.test", "250 2."),
        ("forwards@sandbox.test", "250 2."),
        ("away@sandbox.test", "250 2."),
        ("complains@sandbox.test", "250 2."),
        ("closes@sandbox.test", ""),
    ] {
        let reply = send(&sandbox, recipient).await;
        assert!(reply.starts_with(expected) && reply.is_empty() == expected.is_empty(), "{recipient}: {reply}");
    }
    assert!(send(&sandbox, "grey2@sandbox.test").await.contains("300 seconds"));
}

#[tokio::test]
async fn waiting_helps_where_a_host_says_so() {
    // An hour of the hosts takes 10 ms here; a greylist delay less than 1.
    let sandbox = at_pace(360_000.0).await;
    for recipient in ["emptied@sandbox.test", "back@sandbox.test"] {
        let refusals = insist(&sandbox, recipient).await;
        assert!(!refusals.is_empty() && refusals.iter().all(|r| r.starts_with("45")), "{recipient}");
    }
    for recipient in ["full@sandbox.test", "down@sandbox.test"] {
        send(&sandbox, recipient).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert!(send(&sandbox, recipient).await.starts_with("45"), "{recipient}");
    }
    let sandbox = at_pace(3_000.0).await;
    assert!(!insist(&sandbox, "grey@sandbox.test").await.is_empty());
}

#[tokio::test]
async fn a_mailbox_can_be_emptied_while_it_runs() {
    let sandbox = at_pace(1.0).await;
    assert!(send(&sandbox, "full@sandbox.test").await.starts_with("452"));
    sandbox.set_behaviour("Full@sandbox.test", Behaviour::Fine);
    assert!(send(&sandbox, "full@sandbox.test").await.starts_with("250"));

    sandbox.set_behaviour("orchard.sandbox.test", Behaviour::Gone);
    sandbox.set_behaviour("ada@orchard.sandbox.test", Behaviour::Fine);
    assert!(send(&sandbox, "ben@orchard.sandbox.test").await.starts_with("550"));
    assert!(send(&sandbox, "ada@orchard.sandbox.test").await.starts_with("250"));
    assert_eq!(sandbox.behaviour("ben@orchard.sandbox.test"), Behaviour::Gone);
}

#[tokio::test]
async fn a_rate_holds_for_the_domain_and_passes() {
    let rate = Rate { messages: 3, window: Duration::from_secs(60) };
    let sandbox = Sandbox::start(Settings { faster: 200.0, rate, ..Settings::default() }).await.unwrap();
    let mut client = Client::greeted(&sandbox).await;
    for name in ["a", "b", "c"] {
        assert!(client.send(&format!("{name}@mint.sandbox.test"), "x").await.starts_with("250"));
    }
    let reply = client.send("d@mint.sandbox.test", "x").await;
    assert!(reply.starts_with("451 4.7.28") && reply.contains("seconds"), "{reply}");
    assert!(client.send("d@onyx.sandbox.test", "x").await.starts_with("250"));
    insist(&sandbox, "d@mint.sandbox.test").await;
}

#[tokio::test]
async fn a_slow_host_takes_its_time_and_holds_up_nobody_else() {
    let sandbox = at_pace(1.0).await;
    let begun = Instant::now();
    let slow = async {
        assert!(send(&sandbox, "slow@sandbox.test").await.starts_with("250"));
        begun.elapsed()
    };
    let quick = async {
        assert!(send(&sandbox, "ada@sandbox.test").await.starts_with("250"));
        begun.elapsed()
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert!(slow >= Duration::from_millis(100) && quick < slow, "{slow:?} {quick:?}");
}

#[tokio::test]
async fn a_misconfigured_relay_says_one_thing_to_everyone() {
    let answer_all = Some("550 5.1.1 No such user".to_owned());
    let sandbox = Sandbox::start(Settings { answer_all, ..Settings::default() }).await.unwrap();
    for recipient in ["ada@sandbox.test", "ben@orchard.sandbox.test", "closes@sandbox.test"] {
        assert_eq!(send(&sandbox, recipient).await, "550 5.1.1 No such user");
    }
}

#[tokio::test]
async fn hosts_that_answer_after_the_data_want_a_message_of_their_own() {
    let sandbox = at_pace(1.0).await;
    for (first, second) in [("ada@sandbox.test", "spam@sandbox.test"), ("large@sandbox.test", "ada@sandbox.test")] {
        let mut client = Client::greeted(&sandbox).await;
        client.ask("MAIL FROM:<a@b.c>").await;
        assert!(client.ask(&format!("RCPT TO:<{first}>")).await.starts_with("250"));
        assert!(client.ask(&format!("RCPT TO:<{second}>")).await.starts_with("452 4.5.3"));
    }
}

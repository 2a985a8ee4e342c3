use std::time::{Duration, Instant};

use rebound_sandbox::{Sandbox, Settings};

use crate::client::Client;

async fn keeping() -> Sandbox {
    Sandbox::start(Settings { keep_messages: true, ..Settings::default() }).await.unwrap()
}

#[tokio::test]
async fn it_says_what_it_can_do() {
    let sandbox = keeping().await;
    let said = Client::connected(sandbox.address()).await.ask("EHLO me").await;
    for word in ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE 26214400"] {
        assert!(said.contains(word), "{said}");
    }
    assert!(!said.contains("AUTH"), "{said}");
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order_and_a_refused_one_spoils_no_other() {
    let sandbox = keeping().await;
    let mut client = Client::greeted(&sandbox).await;
    client.say(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<gone@sandbox.test>\r\nRCPT TO:<ada@sandbox.test>\r\nDATA\r\n").await;
    for expected in ["250 2.1.0", "550 5.1.1", "250 2.1.5", "354"] {
        let reply = client.reply().await;
        assert!(reply.starts_with(expected), "{reply}");
    }
    // The body, its dot and the next group in one piece, as a sender with one round trip does it.
    client
        .say(b"Subject: One\r\n\r\n1\r\n.\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<gone@sandbox.test>\r\nDATA\r\nRSET\r\n")
        .await;
    for expected in ["250", "250 2.1.0", "550 5.1.1", "503 5.5.1", "250"] {
        let reply = client.reply().await;
        assert!(reply.starts_with(expected), "{reply}");
    }
    assert_eq!(sandbox.received("ada@sandbox.test").len(), 1);
    assert!(sandbox.received("gone@sandbox.test").is_empty());
}

#[tokio::test]
async fn dots_are_unstuffed_and_only_a_dot_between_crlf_ends_the_data() {
    let sandbox = keeping().await;
    let mut client = Client::greeted(&sandbox).await;
    client.ask("MAIL FROM:<a@b.c>").await;
    client.ask("RCPT TO:<Ada@sandbox.test>").await;
    client.ask("DATA").await;
    client.say(b"Subject: Dots\r\n\r\n..\r\n...two\r\na\n.\r\nb\r.\r\n.\r\n").await;
    assert!(client.reply().await.starts_with("250"));
    let received = sandbox.received("ada@Sandbox.test");
    assert_eq!(received[0].raw, b"Subject: Dots\r\n\r\n.\r\n..two\r\na\n.\r\nb\r.\r\n");
    assert_eq!(received[0].subject, "Dots");
}

#[tokio::test]
async fn a_subject_is_decoded_and_a_message_id_bare() {
    let sandbox = keeping().await;
    let mut client = Client::greeted(&sandbox).await;
    client.send("ada@sandbox.test", "=?utf-8?q?Fr=C3=BChling?=").await;
    let received = sandbox.received("ada@sandbox.test");
    assert_eq!(received[0].subject, "Frühling");
    assert_eq!(received[0].message_id, "ada.sandbox.test@news.example");
}

#[tokio::test]
async fn commands_out_of_order_and_nonsense_are_told_apart() {
    let sandbox = keeping().await;
    let mut client = Client::connected(sandbox.address()).await;
    for (command, expected) in [
        ("MAIL FROM:<a@b.c>", "503"),
        ("EHLO", "501"),
        ("EHLO me", "250"),
        ("RCPT TO:<a@b.c>", "503"),
        ("DATA", "503"),
        ("FROG", "500"),
        ("MAIL FROM:<a@b.c> SIZE=99999999999", "552"),
        ("MAIL FROM:<a@b.c> FROG=1", "555"),
        ("MAIL FROM:<a@b.c>", "250"),
        ("MAIL FROM:<a@b.c>", "503"),
        ("RCPT TO:nobody", "501"),
        ("NOOP", "250"),
        ("VRFY ada", "252"),
        ("RSET", "250"),
        ("DATA", "503"),
        ("AUTH PLAIN AGEAYg==", "502"),
        ("QUIT", "221"),
    ] {
        let reply = client.ask(command).await;
        assert!(reply.starts_with(expected), "{command}: {reply}");
    }
    assert_eq!(client.reply().await, "");
}

#[tokio::test]
async fn what_is_too_long_is_refused_and_the_talk_goes_on() {
    let sandbox = Sandbox::start(Settings { max_size: 1_000, ..Settings::default() }).await.unwrap();
    let mut client = Client::greeted(&sandbox).await;
    assert!(client.ask(&"x".repeat(100_000)).await.starts_with("500 5.5.6"));
    for body in ["a line\r\n".repeat(1_000), "x".repeat(50_000)] {
        client.ask("MAIL FROM:<a@b.c>").await;
        client.ask("RCPT TO:<ada@sandbox.test>").await;
        client.ask("DATA").await;
        assert!(client.ask(&format!("{body}\r\n.")).await.starts_with("552 5.3.4"));
    }
    assert!(client.send("ada@sandbox.test", "Short").await.starts_with("250"));
}

#[tokio::test]
async fn a_login_is_asked_for_and_checked() {
    let login = Some(("ada".to_owned(), "secret".to_owned()));
    let sandbox = Sandbox::start(Settings { login, ..Settings::default() }).await.unwrap();
    let mut client = Client::connected(sandbox.address()).await;
    assert!(client.ask("EHLO me").await.contains("AUTH PLAIN LOGIN"));
    for (command, expected) in [
        ("MAIL FROM:<a@b.c>", "530 5.7.0"),
        ("AUTH PLAIN AGFkYQB3cm9uZw==", "535 5.7.8"),
        ("AUTH PLAIN ???", "501"),
        ("AUTH FROG", "504"),
        ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
        ("YWRh", "334 UGFzc3dvcmQ6"),
        ("c2VjcmV0", "235"),
        ("MAIL FROM:<a@b.c>", "250"),
    ] {
        let reply = client.ask(command).await;
        assert!(reply.starts_with(expected), "{command}: {reply}");
    }
    let mut client = Client::greeted(&sandbox).await;
    assert_eq!(client.ask("AUTH PLAIN").await, "334");
    assert!(client.ask("AGFkYQBzZWNyZXQ=").await.starts_with("235"));
}

#[tokio::test]
async fn sessions_are_counted_and_stop_ends_them() {
    let sandbox = keeping().await;
    let mut client = Client::greeted(&sandbox).await;
    assert_eq!(sandbox.sessions_open(), 1);
    client.ask("QUIT").await;
    while sandbox.sessions_open() > 0 {
        tokio::task::yield_now().await;
    }
    let mut client = Client::greeted(&sandbox).await;
    sandbox.stop().await;
    assert_eq!(client.reply().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_messages_pass_quickly() {
    let sandbox = keeping().await;
    let begun = Instant::now();
    let mut lines = tokio::task::JoinSet::new();
    for line in 0..4 {
        let mut client = Client::greeted(&sandbox).await;
        lines.spawn(async move {
            for n in 0..500 {
                let group = format!("MAIL FROM:<a@b.c>\r\nRCPT TO:<p{line}.{n}@sandbox.test>\r\nDATA\r\n");
                client.say(group.as_bytes()).await;
                for _ in 0..3 {
                    client.reply().await;
                }
                assert!(
                    client.ask(&format!("Subject: {n}\r\n\r\n{}\r\n.", "x".repeat(4_000))).await.starts_with("250")
                );
            }
        });
    }
    lines.join_all().await;
    let took = begun.elapsed();
    eprintln!("2,000 messages in {took:?}");
    assert_eq!(sandbox.accepted(), 2_000);
    // With a delayed acknowledgement in each it would be above 20 s.
    assert!(took < Duration::from_secs(10), "{took:?}");
}

//! What the listener takes, what it refuses, and what it puts up with.

use crate::world::{DOMAIN, World, gone};
use chrono::TimeDelta;
use rebound_domain::{Keys, ReturnPath};
use rebound_ingest::{Error, Limits, Listener};
use std::time::{Duration, Instant};

const ADA: &str = "ada@orchard.example";

#[tokio::test]
async fn a_message_is_on_the_disk_before_it_is_accepted() {
    let world = World::with(&[ADA]).await;
    let door = world.listen(Limits::default()).await;
    let recipient = world.return_path(ADA).await;

    let answer = door.deliver(&recipient, "Subject: one\r\n\r\n..dot").await;

    assert_eq!(answer, "250 2.0.0 Kept\r\n");
    assert_eq!(world.inbox().await, [b"Subject: one\r\n\r\n.dot\r\n"]);
}

#[tokio::test]
async fn what_cannot_be_stored_is_asked_to_come_back() {
    let world = World::with(&[ADA]).await;
    let door = world.listen(Limits::default()).await;
    let recipient = world.return_path(ADA).await;
    let mut caller = door.ready(&recipient).await;

    world.db.close().await;
    caller.say(b"Subject: one\r\n\r\nx\r\n.\r\n").await;

    assert!(caller.hear().await.starts_with("451 4.3.0 "));
}

#[tokio::test]
async fn only_return_paths_that_we_signed_are_recipients() {
    let world = World::with(&[ADA]).await;
    let door = world.listen(Limits { refusals: 100, ..Limits::default() }).await;
    let ours = world.return_path(ADA).await;
    let path = ReturnPath { delivery: world.delivery(ADA).await, attempt: 1 };
    let local = ours.split('@').next().unwrap();
    let other_key = path.sign(&Keys::new(('a', b"another key".to_vec()), vec![]), world.now);
    let old = path.sign(&world.keys, world.now - TimeDelta::days(47));
    let mut caller = door.greeted().await;
    assert!(caller.ask("RCPT TO:<x@y.example>").await.starts_with("503 "));
    assert!(caller.ask("MAIL FROM:<someone@anywhere.example> SIZE=1000 BODY=8BITMIME").await.starts_with("250 "));
    assert!(caller.ask("DATA").await.starts_with("503 "));

    for (recipient, code) in [
        (ours.clone(), "250 "),
        (ours.to_uppercase(), "250 "),
        (format!("{other_key}@{DOMAIN}"), "550 5.1.1 "),
        (format!("{old}@{DOMAIN}"), "550 5.1.1 "),
        (format!("{local}@elsewhere.example"), "550 5.1.1 "),
        (format!("{local}%elsewhere.example@{DOMAIN}"), "550 5.1.1 "),
        (format!("@{DOMAIN}:ada@orchard.example"), "55"),
        (format!("postmaster@{DOMAIN}"), "550 5.1.1 "),
        (ADA.to_owned(), "550 5.1.1 "),
        (local.to_owned(), "550 5.1.1 "),
        (String::new(), "550 5.1.1 "),
    ] {
        let answer = caller.ask(&format!("RCPT TO:<{recipient}>")).await;
        assert!(answer.starts_with(code), "{recipient}: {answer}");
    }
}

#[tokio::test]
async fn one_message_to_several_is_kept_for_each() {
    let world = World::with(&[ADA, "bob@orchard.example"]).await;
    let door = world.listen(Limits { recipients: 2, ..Limits::default() }).await;
    let (ada, bob) = (world.return_path(ADA).await, world.return_path("bob@orchard.example").await);
    let other_try = ReturnPath { delivery: world.delivery(ADA).await, attempt: 2 }.sign(&world.keys, world.now);
    let mut caller = door.greeted().await;
    caller.ask("MAIL FROM:<>").await;
    for recipient in [&ada, &bob, &ada] {
        assert!(caller.ask(&format!("RCPT TO:<{recipient}>")).await.starts_with("250 "));
    }
    assert!(caller.ask(&format!("RCPT TO:<{other_try}@{DOMAIN}>")).await.starts_with("452 4.5.3 "));
    caller.ask("DATA").await;
    caller.say(b"x\r\n.\r\n").await;
    assert!(caller.hear().await.starts_with("250 "));

    caller.begin(&ada).await;
    caller.say(b"another\r\n.\r\n").await;
    assert!(caller.hear().await.starts_with("250 "));
    assert_eq!(caller.ask("QUIT").await, "221 2.0.0 Bye\r\n");

    assert_eq!(world.inbox().await, [&b"x\r\n"[..], b"x\r\n", b"another\r\n"]);
}

#[tokio::test]
async fn what_is_too_large_is_refused_when_announced_and_when_sent() {
    let world = World::with(&[ADA]).await;
    let door = world.listen(Limits::default()).await;
    let recipient = world.return_path(ADA).await;
    let mut caller = door.greeted().await;
    assert!(caller.ask("MAIL FROM:<> SIZE=31457280").await.starts_with("552 5.3.4 "));

    caller.begin(&recipient).await;
    let line = [&[b'x'; 1022][..], b"\r\n"].concat();
    for _ in 0..30 {
        caller.say(&line.repeat(1024)).await;
    }
    let end = Instant::now();
    caller.say(b".\r\n").await;
    assert!(caller.hear().await.starts_with("552 5.3.4 "));
    assert!(end.elapsed() < Duration::from_secs(5));
    assert!(world.inbox().await.is_empty());

    caller.begin(&recipient).await;
    caller.say(b"small\r\n.\r\n").await;
    assert!(caller.hear().await.starts_with("250 "));
}

#[tokio::test]
async fn who_never_ends_is_hung_up_on() {
    let world = World::with(&[ADA]).await;
    let door = world.listen(Limits { message: 100_000, ..Limits::default() }).await;
    let mut caller = door.ready(&world.return_path(ADA).await).await;
    for _ in 0..100 {
        caller.say(&[b'x'; 10_000]).await;
    }
    let answer = caller.hear().await;
    assert!(answer.is_empty() || answer.starts_with("552 "), "{answer}");
    assert_eq!(caller.hear().await, "");
    assert!(world.inbox().await.is_empty());
}

#[tokio::test]
async fn who_takes_too_long_is_hung_up_on() {
    let world = World::with(&[ADA]).await;
    let short = Duration::from_millis(300);
    let door = world.listen(Limits { command: short, data: short, ..Limits::default() }).await;
    let mut silent = door.call().await;
    let mut slow = door.call().await;
    let mut dripping = door.ready(&world.return_path(ADA).await).await;
    slow.hear().await;
    silent.hear().await;
    for byte in b"EHLO mx.example and a very long name after it" {
        slow.say(&[*byte]).await;
        dripping.say(b"x\r\n").await;
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    for caller in [&mut silent, &mut slow, &mut dripping] {
        assert!(caller.hear().await.starts_with("421 4.4.2 "));
        assert_eq!(caller.hear().await, "");
    }
    assert!(world.inbox().await.is_empty());
}

#[tokio::test]
async fn nobody_gets_more_than_their_share() {
    let world = World::with(&[ADA]).await;
    let limits = Limits { sessions_per_host: 2, refusals: 3, messages: 1, ..Limits::default() };
    let door = world.listen(limits).await;
    let recipient = world.return_path(ADA).await;
    let mut first = door.greeted().await;
    let mut second = door.greeted().await;
    assert!(door.call().await.hear().await.starts_with("421 4.7.0 Too many connections"));

    for _ in 0..3 {
        assert!(first.ask("WHAT").await.starts_with("500 5.5.1 "));
    }
    assert!(first.ask("WHAT").await.starts_with("421 4.7.0 Too many errors"));

    second.begin(&recipient).await;
    second.say(b"x\r\n.\r\n").await;
    assert!(second.hear().await.starts_with("250 "));
    second.ask("MAIL FROM:<>").await;
    second.ask(&format!("RCPT TO:<{recipient}>")).await;
    assert!(second.ask("DATA").await.starts_with("421 4.7.0 "));
    drop((first, second));
    // A seat is free as soon as its session has noticed.
    while !door.call().await.hear().await.starts_with("220 ") {}
}

#[tokio::test]
async fn a_stop_lets_a_message_finish_and_takes_no_other() {
    let world = World::with(&[ADA]).await;
    let door = world.listen(Limits::default()).await;
    let mut busy = door.ready(&world.return_path(ADA).await).await;
    let mut idle = door.greeted().await;

    door.stop.cancel();
    assert!(idle.hear().await.starts_with("421 4.3.2 "));
    busy.say(b"last\r\n.\r\n").await;

    assert!(busy.hear().await.starts_with("250 "));
    assert!(busy.hear().await.starts_with("421 4.3.2 "));
    door.running.await.unwrap();
    assert_eq!(world.inbox().await, [b"last\r\n"]);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let first = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let error = Listener::bind(first.address()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {}", first.address()));
    assert!(matches!(error, Error::Listen { address, .. } if address == first.address()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_accepted_is_lost_when_many_come_at_once() {
    let world = World::with(&[ADA]).await;
    let door = world.listen(Limits::default()).await;
    let recipient = world.return_path(ADA).await;
    let sessions = (0..20).map(|session| {
        let (address, recipient) = (&door, recipient.clone());
        async move {
            let mut caller = address.greeted().await;
            for message in 0..50 {
                caller.begin(&recipient).await;
                caller.say(format!("Subject: {session} {message}\r\n\r\n{}\r\n.\r\n", gone(ADA, "x")).as_bytes()).await;
                assert!(caller.hear().await.starts_with("250 "));
            }
        }
    });
    futures_util::future::join_all(sessions).await;
    assert_eq!(rebound_db::inbox::waiting(&world.db).await.unwrap(), 1000);
}

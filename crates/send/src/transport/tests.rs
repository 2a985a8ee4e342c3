//! A relay that answers wrongly.

use super::{Answer, Envelope, Line, Mail, Wire};
use crate::{Relay, Tls};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// The relay that listens at `port`.
pub(super) fn relay_at(port: u16) -> Relay {
    Relay {
        host: "127.0.0.1".into(),
        port,
        tls: Tls::None,
        authority: None,
        login: None,
        hello: "client.example".into(),
    }
}

/// A relay that says these things in turn: the first at RCPT, the second at DATA, the third after the message.
async fn relay(says: [&'static str; 3], pipelining: bool) -> Relay {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut stream = BufReader::new(socket.accept().await.unwrap().0);
        let (mut answer, mut line, mut is_reading) = ("220 relay\r\n".to_owned(), String::new(), false);
        while stream.write_all(answer.as_bytes()).await.is_ok() {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            answer = match line.trim_end() {
                "." => {
                    is_reading = false;
                    says[2].to_owned()
                }
                _ if is_reading => String::new(),
                "DATA" => {
                    is_reading = true;
                    says[1].to_owned()
                }
                command if command.starts_with("RCPT") => says[0].to_owned(),
                command if command.starts_with("EHLO") && pipelining => "250-relay\r\n250 PIPELINING\r\n".to_owned(),
                _ => "250 ok\r\n".to_owned(),
            };
        }
    });
    relay_at(port)
}

/// What a message comes to, and whether the line can be used again.
async fn sent(says: [&'static str; 3], pipelining: bool) -> (&'static str, bool) {
    let mut line = Line::open(&relay(says, pipelining).await).await.unwrap();
    let message = Wire::new("Subject: Spring\r\n\r\nHello\r\n");
    let mail = Mail { from: "b@news.example", to: "ada@sandbox.test", size: 25 };
    let came_to = match line.envelope(&mail).await {
        Envelope::Refused(_) => "refused",
        Envelope::Lost | Envelope::Ended => "lost",
        Envelope::Ready => match line.message(&message).await {
            Answer::Accepted(_) => "accepted",
            Answer::Refused(_) => "refused",
            Answer::Doubt => "doubt",
        },
    };
    (came_to, !line.is_broken())
}

#[tokio::test]
async fn a_reply_is_taken_only_for_what_it_answers() {
    const OK: &str = "250 ok\r\n";
    const GO_ON: &str = "354 go on\r\n";
    for (says, expected) in [
        ([OK, GO_ON, OK], ("accepted", true)),
        ([OK, GO_ON, "554 spam\r\n"], ("refused", true)),
        (["550 gone\r\n", "503 nobody\r\n", OK], ("refused", true)),
        // Once more than it was asked: what comes next belongs to something else.
        (["250 ok\r\n250 and well\r\n", GO_ON, OK], ("lost", false)),
        ([OK, OK, OK], ("lost", false)),
        ([OK, "354 go on\r\n354 do\r\n", OK], ("doubt", false)),
        ([OK, GO_ON, "354 go on\r\n"], ("doubt", false)),
        // No replies at all.
        (["999 what\r\n", GO_ON, OK], ("lost", false)),
        (["\u{1}\u{2}\r\n", GO_ON, OK], ("lost", false)),
        ([OK, GO_ON, "999 what\r\n"], ("doubt", false)),
        ([OK, GO_ON, "yes\r\n"], ("doubt", false)),
    ] {
        for pipelining in [true, false] {
            assert_eq!(sent(says, pipelining).await, expected, "{says:?}, pipelining: {pipelining}");
        }
    }
}

/// A relay that is asked how it is, and then says this, after a while, and hangs up.
async fn relay_that_leaves(says: &'static str, after: Duration) -> Relay {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut stream = BufReader::new(socket.accept().await.unwrap().0);
        stream.write_all(b"220 relay\r\n").await.unwrap();
        let mut line = String::new();
        // Two greetings: lettre's and ours.
        for _ in 0..2 {
            stream.read_line(&mut line).await.unwrap();
            stream.write_all(b"250 ok\r\n").await.unwrap();
        }
        tokio::time::sleep(after).await;
        stream.write_all(says.as_bytes()).await.unwrap();
    });
    relay_at(port)
}

#[tokio::test]
async fn a_host_that_ends_an_idle_line_is_heard() {
    for says in ["", "421 4.3.2 shutting down\r\n", "250 what\r\n", "4"] {
        let relay = relay_that_leaves(says, Duration::from_millis(20)).await;
        let mut line = Line::open(&relay).await.unwrap();
        timeout(Duration::from_secs(5), line.ended()).await.unwrap_or_else(|_| panic!("{says:?} was not heard"));
        assert!(line.is_broken(), "{says:?}");
    }
}

#[tokio::test]
async fn who_stops_listening_for_the_end_of_a_line_can_use_it() {
    let mut line = Line::open(&relay(["250 ok\r\n", "354 go on\r\n", "250 ok\r\n"], true).await).await.unwrap();
    assert!(timeout(Duration::from_millis(50), line.ended()).await.is_err(), "the line is still there");
    let mail = Mail { from: "b@news.example", to: "ada@sandbox.test", size: 25 };
    assert!(matches!(line.envelope(&mail).await, Envelope::Ready));
    let answer = line.message(&Wire::new("Subject: Spring\r\n\r\nHello\r\n")).await;
    assert!(matches!(answer, Answer::Accepted(_)) && !line.is_broken());
}

//! Relays that take tokens in place of passwords, and who gives those.

use crate::certificate;
use data_encoding::BASE64;
use futures_util::future::join_all;
use rebound_domain::TokenSource;
use rebound_send::{Login, Proof, Relay, RelayDown, Tls, Tokens, probe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

const SECRET: &str = "a client's secret & more";

/// Who gives tokens: t1, t2, and so on.
struct Source {
    given: AtomicUsize,
    /// What it says, but for the number of the token.
    says: Mutex<String>,
    /// What was asked last.
    asked: Mutex<String>,
}

/// A source over https, the address of its tokens, and its authority.
async fn source(says: &str) -> (Arc<Source>, String, String) {
    let (acceptor, authority) = certificate::of("localhost");
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/token", socket.local_addr().unwrap().port());
    let source = Arc::new(Source {
        given: AtomicUsize::new(0),
        says: Mutex::new(says.to_owned()),
        asked: Mutex::new(String::new()),
    });
    let serving = Arc::clone(&source);
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(give(stream, Arc::clone(&serving)));
            }
        }
    });
    (source, url, authority)
}

async fn give(stream: impl AsyncRead + AsyncWrite + Unpin, source: Arc<Source>) {
    let mut stream = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while stream.read_line(&mut line).await.unwrap() > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    *source.asked.lock().unwrap() = String::from_utf8(body).unwrap();
    let number = source.given.fetch_add(1, Ordering::SeqCst) + 1;
    let says = source.says.lock().unwrap().replace("NUMBER", &number.to_string());
    // It may hang up before it has heard all.
    let _ = stream.write_all(says.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn answer(status: &str, json: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{json}")
}

fn token(expires: &str) -> String {
    answer("200 OK", &format!("{{\"token_type\": \"Bearer\"{expires}, \"access_token\": \"tNUMBER\"}}"))
}

/// A relay that takes `taken`, and says of others what `refusal` is.
async fn relay(taken: &Arc<Mutex<String>>, refusal: &'static [&str]) -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, taken) = (socket.local_addr().unwrap().port(), Arc::clone(taken));
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let mut stream = BufReader::new(stream);
            stream.write_all(b"220 relay\r\n").await.unwrap();
            let (mut line, mut refused) = (String::new(), refusal.iter());
            while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
                let right = format!("user=news@fernhill.example\x01auth=Bearer {}\x01\x01", taken.lock().unwrap());
                let answer = match line.trim_end() {
                    line if line.starts_with("EHLO") => "250-relay\r\n250 AUTH XOAUTH2 PLAIN",
                    line if line == format!("AUTH XOAUTH2 {}", BASE64.encode(right.as_bytes())) => "235 2.7.0 welcome",
                    "QUIT" => "221 2.0.0 bye",
                    _ => refused.next().copied().unwrap_or("503 5.5.1 what now"),
                };
                if stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                    break;
                }
                line.clear();
            }
        }
    });
    port
}

fn to(port: u16, url: &str, authority: Option<String>) -> Relay {
    let source = TokenSource::parse(url, "4f1c", "mail.send").unwrap().unwrap();
    let proof = Proof::Token(Tokens::new(source, SECRET.to_owned(), authority));
    Relay {
        host: "127.0.0.1".into(),
        port,
        tls: Tls::None,
        authority: None,
        login: Some(Login { user: "news@fernhill.example".into(), proof }),
        hello: "client.example".into(),
    }
}

#[tokio::test]
async fn one_token_signs_in_many_lines_until_it_is_refused() {
    let taken = Arc::new(Mutex::new("t1".to_owned()));
    let (source, url, authority) = source(&token(", \"expires_in\": 3599")).await;
    let relay = to(relay(&taken, &["535 5.7.3 Authentication unsuccessful"]).await, &url, Some(authority));
    for line in join_all((0..10).map(|_| probe(&relay))).await {
        assert_eq!(line, Ok(()));
    }
    assert_eq!(source.given.load(Ordering::SeqCst), 1, "ten lines, one token");
    assert_eq!(
        *source.asked.lock().unwrap(),
        "grant_type=client_credentials&client_id=4f1c&client_secret=a+client%27s+secret+%26+more&scope=mail.send"
    );

    *taken.lock().unwrap() = "t2".to_owned();
    let refused = probe(&relay).await.unwrap_err();
    assert!(matches!(&refused, RelayDown::Login { why, .. } if why.contains("5.7.3")), "{refused}");
    assert_eq!(probe(&relay).await, Ok(()), "a new one was asked for");
    assert_eq!(source.given.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_token_that_is_about_to_end_is_not_used() {
    let taken = Arc::new(Mutex::new("t1".to_owned()));
    for (expires, asked) in [(", \"expires_in\": 60", 2), (", \"expires_in\": 0", 2), ("", 1)] {
        let (source, url, authority) = source(&token(expires)).await;
        *taken.lock().unwrap() = "t1".to_owned();
        let relay = to(relay(&taken, &["535 5.7.3 no"]).await, &url, Some(authority));
        assert_eq!(probe(&relay).await, Ok(()));
        *taken.lock().unwrap() = format!("t{asked}");
        assert_eq!(probe(&relay).await, Ok(()), "{expires}");
        assert_eq!(source.given.load(Ordering::SeqCst), asked, "{expires}");
    }
}

#[tokio::test]
async fn without_a_token_it_is_said_why_and_the_secret_is_not() {
    let taken = Arc::new(Mutex::new("t1".to_owned()));
    let port = relay(&taken, &[]).await;
    let refusal = "{\"error\": \"invalid_client\", \"error_description\": \"Wrong secret.\\r\\nTrace: 9\"}";
    let endless = answer("200 OK", &"x".repeat(100_000));
    let moved = "HTTP/1.1 307 Moved\r\nlocation: https://localhost:1/token\r\ncontent-length: 0\r\n\r\n";
    for (says, word) in [
        (answer("401 Unauthorized", refusal), "/token: it answers 401, invalid_client: Wrong secret."),
        (answer("503 Busy", "later"), "/token: it answers 503."),
        (answer("200 OK", "{}"), "holds no token"),
        (endless, "has no end"),
        (moved.to_owned(), "it answers 307"),
    ] {
        let (source, url, authority) = source(&says).await;
        let relay = to(port, &url, Some(authority));
        let down = probe(&relay).await.unwrap_err();
        assert!(matches!(&down, RelayDown::NoToken { .. }), "{down}");
        assert_eq!(probe(&relay).await.unwrap_err(), down);
        assert_eq!(source.given.load(Ordering::SeqCst), 1, "it is not asked again at once");
        assert!(down.to_string().contains(word) && !down.to_string().contains("client's"), "{down}");
    }
    let (source, url, _authority) = source(&token("")).await;
    let down = probe(&to(port, &url, None)).await.unwrap_err();
    assert!(down.to_string().contains("certificate"), "{down}");
    assert_eq!(source.given.load(Ordering::SeqCst), 0, "a stranger is told no secret");
}

#[tokio::test]
async fn a_relay_that_says_more_of_its_refusal_is_heard_to_the_end() {
    let taken = Arc::new(Mutex::new("another".to_owned()));
    let (_source, url, authority) = source(&token("")).await;
    let refusal = &["334 eyJzdGF0dXMiOiI0MDAifQ==", "535-5.7.8 Username and Password not accepted.\r\n535 5.7.8 more"];
    let down = probe(&to(relay(&taken, refusal).await, &url, Some(authority))).await.unwrap_err();
    assert!(matches!(&down, RelayDown::Login { why, .. } if why.contains("not accepted")), "{down}");
}

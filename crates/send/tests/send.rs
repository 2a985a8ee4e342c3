//! The relay as it is met on the wire: protected lines, and logins that are refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "send/breaks.rs"]
mod breaks;
#[path = "send/calls.rs"]
mod calls;
#[path = "send/campaigns.rs"]
mod campaigns;
#[path = "send/certificate.rs"]
mod certificate;
#[path = "send/clicks.rs"]
mod clicks;
#[path = "send/limits.rs"]
mod limits;
#[path = "send/looks.rs"]
mod looks;
#[path = "send/offers.rs"]
mod offers;
#[allow(dead_code, reason = "each program of tests uses a part of it")]
#[path = "../../db/tests/db/postgres.rs"]
mod postgres;
#[path = "send/probes.rs"]
mod probes;
#[path = "send/receiver.rs"]
mod receiver;
#[path = "send/relay.rs"]
mod relay;
#[path = "send/shares.rs"]
mod shares;
#[path = "send/signed.rs"]
mod signed;
#[path = "send/tokens.rs"]
mod tokens;
#[path = "send/ways.rs"]
mod ways;

use rebound_send::{Login, Relay, RelayDown, Tls, probe};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// `news` / `secret`, as SASL PLAIN writes them.
const LOGIN: &str = "AG5ld3MAc2VjcmV0";

/// A relay with a certificate of its own authority, which takes mail only from `news` with the right password.
async fn relay(tls: Tls) -> Relay {
    let (acceptor, authority) = certificate::of("localhost");
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            tokio::spawn(serve(stream, acceptor.clone(), tls));
        }
    });
    Relay {
        host: "localhost".into(),
        port,
        tls,
        authority: Some(authority),
        login: Some(Login::password("news", "secret")),
        hello: "client.example".into(),
    }
}

async fn serve(mut stream: TcpStream, acceptor: TlsAcceptor, tls: Tls) {
    if tls == Tls::StartTls {
        let mut plain = BufReader::new(&mut stream);
        plain.write_all(b"220 relay\r\n").await.unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            if plain.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if line.starts_with("STARTTLS") {
                plain.write_all(b"220 go\r\n").await.unwrap();
                break;
            }
            plain.write_all(b"250-relay\r\n250 STARTTLS\r\n").await.unwrap();
        }
    }
    let Ok(protected) = acceptor.accept(stream).await else { return };
    talk(protected, tls == Tls::Implicit).await;
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, greets: bool) {
    let mut stream = BufReader::new(stream);
    if greets {
        stream.write_all(b"220 relay\r\n").await.unwrap();
    }
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
        let answer: &[u8] = match line.trim_end() {
            line if line.starts_with("EHLO") => b"250-relay\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN\r\n",
            line if line.starts_with("AUTH PLAIN") && line.ends_with(LOGIN) => b"235 2.7.0 welcome\r\n",
            line if line.starts_with("AUTH") => b"535 5.7.8 wrong user or password\r\n",
            _ => b"250 ok\r\n",
        };
        if stream.write_all(answer).await.is_err() {
            return;
        }
        line.clear();
    }
}

#[tokio::test]
async fn both_kinds_of_tls_and_a_login_are_spoken() {
    for tls in [Tls::StartTls, Tls::Implicit] {
        let relay = relay(tls).await;
        assert_eq!(probe(&relay).await, Ok(()), "{tls:?}");

        let wrong = Relay { login: Some(Login::password("news", "other")), ..relay.clone() };
        let refused = probe(&wrong).await.unwrap_err();
        assert!(
            matches!(&refused, RelayDown::Login { why, .. } if why.contains("wrong user or password")),
            "{refused}"
        );
        assert!(!refused.to_string().contains("other"), "a password must not be told");

        // A certificate that nobody we trust signed is no protection.
        let stranger = Relay { authority: None, ..relay.clone() };
        assert!(matches!(probe(&stranger).await, Err(RelayDown::Unprotected { .. })), "{tls:?}");
    }
}

#[tokio::test]
async fn a_relay_without_starttls_gets_no_mail_in_the_open() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = socket.accept().await.unwrap();
        talk(stream, true).await;
    });
    let open = Relay { port, ..relay(Tls::StartTls).await };
    assert!(matches!(probe(&open).await, Err(RelayDown::Unprotected { .. })));
}

//! What stands at the other end: a web server for the unsubscribe link, and a mail host for the return path.

use crate::certificate;
use rebound_domain::{Keys, ReturnPath, UnsubscribeLink};
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// How the web server behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pages {
    /// It asks who opens the link, and hears who posts to it.
    Good,
    /// It knows no such page.
    Missing,
    /// It sends whoever posts elsewhere.
    Redirect,
    /// Whoever opens the link has left.
    ActsAtOnce,
    /// Nobody is there.
    Away,
}

/// Starts a web server for `host`; its port, and the authority that signed its certificate.
pub(crate) async fn pages(host: &str, keys: Keys, pages: Pages) -> (u16, String) {
    let (acceptor, authority) = certificate::of(host);
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    if pages == Pages::Away {
        return (port, authority);
    }
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let Ok(mut line) = acceptor.accept(stream).await else { continue };
            let mut bytes = vec![0; 4096];
            let length = line.read(&mut bytes).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let answer = answer(&request, &keys, pages);
            let _ = line.write_all(answer.as_bytes()).await;
            let _ = line.shutdown().await;
        }
    });
    (port, authority)
}

fn answer(request: &str, keys: &Keys, pages: Pages) -> String {
    let path = request.split(' ').nth(1).unwrap_or_default();
    let signed = path.strip_prefix("/u/").and_then(|token| UnsubscribeLink::verify(token, keys)).is_some();
    let posts = request.starts_with("POST") && request.contains("List-Unsubscribe=One-Click");
    let (status, body) = match pages {
        Pages::Missing => ("404 Not Found", ""),
        _ if !signed => ("404 Not Found", ""),
        Pages::Redirect if posts => ("302 Found", ""),
        Pages::ActsAtOnce => ("200 OK", "You have left."),
        _ if posts => ("200 OK", "You have left."),
        _ => ("200 OK", "<form method=post><input name=List-Unsubscribe value=One-Click></form>"),
    };
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// How the mail host of the return path behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// It takes what we signed, and nothing else.
    Ours,
    /// It takes everything.
    Open,
    /// It takes nothing.
    Other,
    /// Nobody is there.
    Away,
}

/// Starts a mail host.
pub(crate) async fn host(keys: Keys, host: Host) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    if host == Host::Away {
        return address;
    }
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (reader, mut writer) = socket.into_split();
            let _ = writer.write_all(b"220 here\r\n").await;
            let mut lines = BufReader::new(reader).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let no = line.strip_prefix("RCPT TO:<").is_some_and(|to| {
                    let local = to.split('@').next().unwrap_or_default();
                    match host {
                        Host::Open => false,
                        Host::Other | Host::Away => true,
                        Host::Ours => ReturnPath::verify(local, &keys, chrono::Utc::now()).is_none(),
                    }
                });
                let answer: &[u8] = if no { b"550 5.1.1 not ours\r\n" } else { b"250 2.0.0 well\r\n" };
                if writer.write_all(answer).await.is_err() {
                    break;
                }
            }
        }
    });
    address
}

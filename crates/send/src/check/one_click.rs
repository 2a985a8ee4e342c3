//! Whether the link to leave works from outside: asked with one that belongs to nobody.

use super::dns::{Dns, Silent};
use super::{Check, Finding};
use crate::Sender;
use crate::roots::roots;
use rebound_domain::DeliveryId;
use rustls::pki_types::ServerName;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// What is read of an answer.
const LONGEST: u64 = 64 << 10;

/// What a mail program posts (RFC 8058 §3.1).
const WISH: &str = "List-Unsubscribe=One-Click";

/// Whether only this machine reaches the pages.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Opens the link, as scanners do, and then posts to it, as mail programs do. Neither changes anything: no delivery
/// has that number.
///
/// [`Silent`] where the name server does not say where the pages are.
pub(super) async fn look(dns: &Dns, sender: &Sender, authority: Option<&str>) -> Result<Option<Finding>, Silent> {
    let link = sender.unsubscribe_url(DeliveryId(0));
    let Ok(url) = Url::parse(&link) else { return Ok(None) };
    if url.scheme() != "https" && !is_loopback(&url) {
        let what = format!("The unsubscribe link is not protected: {}.", sender.public_url);
        return Ok(Some(Finding::new(Check::OneClickPlain, what, "Serve the pages over https.")));
    }
    let fails = |what: String| {
        Finding::new(Check::OneClickFails, what, "Let your web server pass /u/… on to Rebound, as it came.")
    };
    let unreachable = |why: String| {
        let what = format!("{} does not answer from here: {why}.", sender.public_url);
        let remedy = "Look from outside; some networks let no machine call itself by its outside name.";
        Finding::new(Check::OneClickUnreachable, what, remedy)
    };
    let address = match place(dns, &url).await? {
        Some(address) => address,
        None => return Ok(Some(unreachable("its name has no address".to_owned()))),
    };
    let seen = match ask(address, &url, "GET", authority).await {
        Ok(seen) => seen,
        Err(why) => return Ok(Some(unreachable(why))),
    };
    if seen.status != 200 {
        return Ok(Some(fails(format!("Who opens the unsubscribe link hears {}.", seen.status))));
    }
    if !seen.text.contains("One-Click") {
        let what = "Who only opens the unsubscribe link is not asked first.".to_owned();
        let remedy = "Let nothing stand before Rebound that answers in its place.";
        return Ok(Some(Finding::new(Check::OneClickActs, what, remedy)));
    }
    Ok(match ask(address, &url, "POST", authority).await {
        Ok(answer) if answer.status == 200 => None,
        Ok(answer) => {
            Some(fails(format!("A mail program that posts to the unsubscribe link hears {}.", answer.status)))
        }
        Err(why) => Some(unreachable(why)),
    })
}

/// Where the pages are.
async fn place(dns: &Dns, url: &Url) -> Result<Option<SocketAddr>, Silent> {
    let port = url.port_or_known_default().unwrap_or(443);
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(name)) => dns.addresses(name).await?.into_iter().next(),
        None => None,
    };
    Ok(address.map(|address| SocketAddr::new(address, port)))
}

struct Heard {
    status: u16,
    text: String,
}

async fn ask(address: SocketAddr, url: &Url, method: &str, authority: Option<&str>) -> Result<Heard, String> {
    let host = url.host_str().unwrap_or_default();
    let socket = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let body = if method == "POST" { WISH } else { "" };
    let place = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let request = format!(
        "{method} {} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: Rebound\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        url.path(),
        body.len()
    );
    if url.scheme() == "https" {
        converse(protected(socket, host, authority).await?, &request).await
    } else {
        converse(socket, &request).await
    }
}

async fn protected(
    socket: TcpStream,
    host: &str,
    authority: Option<&str>,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, String> {
    let config = rustls::ClientConfig::builder().with_root_certificates(roots(authority)?).with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.map_err(|error| error.to_string())
}

async fn converse(mut line: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Result<Heard, String> {
    line.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    // Many servers just close a TLS line; what came before is good enough.
    let ended = line.take(LONGEST).read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
    match status {
        Some(status) => Ok(Heard { status, text }),
        None => Err(ended.err().map_or_else(|| "it speaks no HTTP".to_owned(), |error| error.to_string())),
    }
}

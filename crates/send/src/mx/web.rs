//! One page over https, as MTA-STS policies are fetched (RFC 8461 §3.3).

use super::names::{Names, NotFound};
use super::place::Places;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// For the whole page.
const PATIENCE: Duration = Duration::from_secs(5);

/// Octets at most, as the standard advises.
const LARGEST: usize = 64 * 1024;

const PATH: &str = "/.well-known/mta-sts.txt";

/// A small client for the web: one page, no redirects, and limits to everything.
pub(super) struct Web {
    pub(super) tls: Arc<ClientConfig>,
    pub(super) port: u16,
    pub(super) places: Places,
}

impl Web {
    /// The policy that `domain` publishes, as text.
    ///
    /// # Errors
    /// Why it cannot be had, in words.
    pub(super) async fn policy(&self, domain: &str, names: &Names) -> Result<String, String> {
        let host = format!("mta-sts.{domain}");
        match timeout(PATIENCE, self.page(&host, names)).await {
            Ok(page) => page.map_err(|why| format!("https://{host}{PATH}: {why}")),
            Err(_) => Err(format!("https://{host}{PATH}: no answer within {} seconds", PATIENCE.as_secs())),
        }
    }

    async fn page(&self, host: &str, names: &Names) -> Result<String, String> {
        let socket = self.connect(host, names).await?;
        let name = ServerName::try_from(host.to_owned()).map_err(said)?;
        let stream = TlsConnector::from(self.tls.clone()).connect(name, socket).await.map_err(said)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
        let request = Request::get(PATH).header(HOST, host).header(ACCEPT, "text/plain");
        let request = request.body(Empty::<Bytes>::new()).map_err(said)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(said)?;
            if response.status() != StatusCode::OK {
                return Err(format!("it answers {}", response.status()));
            }
            let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            if !kind.trim_start().to_ascii_lowercase().starts_with("text/plain") {
                return Err(format!("it is no plain text, but {kind:?}"));
            }
            let body = Limited::new(response.into_body(), LARGEST).collect().await.map_err(said)?;
            String::from_utf8(body.to_bytes().to_vec()).map_err(said)
        };
        // The connection has to be driven while its answer is waited for; a page that is there counts.
        tokio::pin!(answer);
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            _end = connection => answer.await,
        }
    }

    async fn connect(&self, host: &str, names: &Names) -> Result<TcpStream, String> {
        let (v4, v6) = match names.addresses(host).await {
            Ok(found) => found.records,
            Err(NotFound::Name | NotFound::Record) => return Err("it has no address".to_owned()),
            Err(NotFound::Unsaid(why)) => return Err(format!("the name servers do not say where it is: {why}")),
        };
        let mut why = "it has no address that may be called".to_owned();
        for address in v4.into_iter().chain(v6).filter(|address| self.places.may_call(*address)).take(3) {
            match TcpStream::connect(SocketAddr::new(address, self.port)).await {
                Ok(socket) => return Ok(socket),
                Err(error) => why = error.to_string(),
            }
        }
        Err(why)
    }
}

fn said(error: impl ToString) -> String {
    error.to_string()
}

//! A line that is protected from its first byte.

use crate::Relay;
use crate::roots::roots;
use lettre::transport::smtp::client::AsyncTokioStream;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// TLS over a socket, as lettre takes it.
#[derive(Debug)]
pub(crate) struct Protected(TlsStream<TcpStream>);

impl Protected {
    /// Shakes hands with the relay, whose certificate must be good by the web's roots or by its own authority.
    pub(crate) async fn open(socket: TcpStream, relay: &Relay) -> io::Result<Self> {
        let invalid = |words: String| io::Error::new(io::ErrorKind::InvalidInput, words);
        let roots = roots(relay.authority.as_deref()).map_err(invalid)?;
        let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from(relay.host.clone()).map_err(|error| invalid(error.to_string()))?;
        Self::shake(socket, name, Arc::new(config)).await
    }

    /// Shakes hands with the host that `name` names, as `config` wants it.
    pub(super) async fn shake(
        socket: TcpStream,
        name: ServerName<'static>,
        config: Arc<rustls::ClientConfig>,
    ) -> io::Result<Self> {
        Ok(Self(TlsConnector::from(config).connect(name, socket).await?))
    }
}

impl AsyncTokioStream for Protected {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().0.peer_addr()
    }
}

impl AsyncRead for Protected {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Protected {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

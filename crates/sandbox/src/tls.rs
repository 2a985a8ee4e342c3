//! The protected line, as a relay offers it: in order, or with a fault.

use std::io;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What the relay offers as STARTTLS (RFC 3207).
#[derive(Clone, Debug)]
pub struct Tls {
    /// Its certificate, in PEM. One for another name, or of an authority that nobody knows, is a fault of its own.
    pub certificate: String,
    /// The key to it, in PEM.
    pub key: String,
    /// What goes wrong, if anything does.
    pub fault: Option<TlsFault>,
}

/// What goes wrong when a client wants a protected line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// STARTTLS is offered, and refused with `454 4.7.0`.
    Refused,
    /// The line drops when the client begins to shake hands.
    Cut,
}

impl Tls {
    /// # Errors
    /// When certificate or key cannot be read, or do not belong together.
    pub(crate) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect();
        let chain = chain.map_err(|why| invalid(why.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(|why| invalid(why.to_string()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        Ok(TlsAcceptor::from(Arc::new(config.map_err(|why| invalid(why.to_string()))?)))
    }
}

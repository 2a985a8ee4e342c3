//! Whose certificates are good enough.

use super::security::Tlsa;
use crate::roots::roots;
use hickory_resolver::proto::rr::rdata::tlsa::CertUsage;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// How TLS is spoken, from version 1.2 on.
pub(crate) struct Trust {
    provider: Arc<CryptoProvider>,
    by_name: Arc<ClientConfig>,
    anybody: Arc<ClientConfig>,
}

impl Trust {
    /// Trusts whom the web trusts, and the authorities in `authority` (PEM).
    ///
    /// # Errors
    /// If that cannot be read.
    pub(super) fn new(authority: Option<&str>) -> Result<Self, String> {
        let roots = roots(authority)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone());
        let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        let by_name = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
        let anybody = with(&provider, Arc::new(Anybody(provider.clone()))).map_err(|error| error.to_string())?;
        Ok(Self { provider, by_name, anybody })
    }

    /// With whoever has a certificate in the host's name, signed by an authority that is trusted.
    pub(crate) fn by_name(&self) -> Arc<ClientConfig> {
        self.by_name.clone()
    }

    /// With anybody.
    pub(crate) fn anybody(&self) -> Arc<ClientConfig> {
        self.anybody.clone()
    }

    /// With whoever has a certificate that `records` name. One that they name by its authority has to be in one of
    /// `names`: the host's, or the domain's that the mail is for (RFC 7672 §3.2.2).
    pub(crate) fn by_records(&self, records: Vec<Tlsa>, names: [&str; 2]) -> Result<Arc<ClientConfig>, Error> {
        let names = names.iter().filter_map(|name| ServerName::try_from((*name).to_owned()).ok()).collect();
        with(&self.provider, Arc::new(Published { records, names, provider: self.provider.clone() }))
    }
}

fn with(provider: &Arc<CryptoProvider>, verifier: Arc<dyn ServerCertVerifier>) -> Result<Arc<ClientConfig>, Error> {
    let config = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

/// Takes every certificate: the line is protected from those who only listen. What it is worth is said in RFC 7435.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    // Who may have any certificate gains nothing by one that cannot sign.
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Takes the certificates that a domain has published in its signed DNS (RFC 7672 §3.1).
#[derive(Debug)]
struct Published {
    records: Vec<Tlsa>,
    names: Vec<ServerName<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Published {
    /// Whether a record names the certificate itself. Its names and dates do not count then: the record says enough.
    fn names_it(&self, certificate: &CertificateDer<'_>) -> bool {
        let key = key(certificate);
        let mut records = self.records.iter().filter(|record| record.usage == CertUsage::DaneEe);
        records.any(|record| record.names(certificate, &key))
    }

    /// The authorities among `certificates` that a record names.
    fn authorities(&self, certificates: &[CertificateDer<'_>]) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            let key = key(certificate);
            let mut records = self.records.iter().filter(|record| record.usage == CertUsage::DaneTa);
            if records.any(|record| record.names(certificate, &key)) {
                // One that cannot be read vouches for nobody.
                let _unreadable = roots.add(certificate.clone().into_owned());
            }
        }
        roots
    }
}

impl ServerCertVerifier for Published {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.names_it(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let roots = self.authorities(intermediates);
        if roots.is_empty() {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let known = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &roots, intermediates, now, known)?;
        if self.names.iter().any(|name| verify_server_name(&certificate, name).is_ok()) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The key of a certificate (DER of SubjectPublicKeyInfo), empty if it cannot be read.
fn key(certificate: &CertificateDer<'_>) -> Vec<u8> {
    ParsedCertificate::try_from(certificate).map(|parsed| parsed.subject_public_key_info().to_vec()).unwrap_or_default()
}

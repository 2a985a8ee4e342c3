//! Certificates that a story makes itself, so that nobody vouches for them.

use rcgen::generate_simple_self_signed;

pub(crate) struct Certificate {
    /// As an administrator pastes it (PEM).
    pub(crate) text: String,
    /// As DNS publishes it (DER).
    pub(crate) bytes: Vec<u8>,
    key: String,
}

impl Certificate {
    /// One in the name of `host`.
    pub(crate) fn of(host: &str) -> Self {
        let made = generate_simple_self_signed([host.to_owned()]).unwrap();
        Self { text: made.cert.pem(), bytes: made.cert.der().to_vec(), key: made.signing_key.serialize_pem() }
    }

    /// Key and certificate, as a server has them in one file.
    pub(crate) fn chain(&self) -> String {
        format!("{}{}", self.key, self.text)
    }
}

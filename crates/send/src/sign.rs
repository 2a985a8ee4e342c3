//! Signing mail (DKIM, RFC 6376): the one place that knows the library which does it.
//!
//! Relaxed canonicalisation of headers and body. What both keys of a domain sign is canonicalised and hashed once;
//! only the signatures differ. RSA costs some 300 µs a message, Ed25519 26: call it where the CPU may be busy.

use chrono::{DateTime, Utc};
use data_encoding::BASE64;
use mail_auth::common::crypto::{DkimKey as SigningPair, Ed25519Key, RsaKey, Sha256, SigningKey};
use mail_auth::common::headers::{HeaderStream, HeaderWriter, Writable, Writer};
use mail_auth::dkim::{Canonicalization, Signature};
use rebound_domain::{DkimKey, DomainName, KeyAlgorithm};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::signing_key::Secret;

/// The headers that are signed. One that a message lacks is signed as lacking, so that nobody adds it on the way; the
/// last three are named twice, so that nobody adds a second one that mail programs would show (RFC 6376 §8.15).
/// RFC 8058 §4 asks for both of the unsubscribe headers.
const SIGNED: [&str; 16] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-ID",
    "Feedback-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "From",
    "To",
    "Subject",
];

/// Everything that signing for one domain needs. Made once for a campaign, and shared.
pub struct Signer {
    domain: DomainName,
    keys: Vec<Ready>,
    /// What is to be signed, and how; the same for all keys.
    form: Signature,
}

struct Ready {
    selector: String,
    pair: SigningPair,
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The secret is not one of such a key.
    #[error("the key {selector} cannot be used: its secret is damaged. Make another")]
    Key {
        /// The selector of the key.
        selector: String,
    },
    /// Every signature covers the sender.
    #[error("a message without a From header cannot be signed")]
    NoFrom,
    /// The library refused.
    #[error("the message could not be signed")]
    Refused,
}

// No secret must reach a log by way of `{:?}`.
impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let selectors: Vec<&str> = self.keys.iter().map(|key| key.selector.as_str()).collect();
        write!(f, "Signer({}: {})", self.domain, selectors.join(", "))
    }
}

impl Signer {
    /// Signs for `domain` with each of `keys`. `None` where there is no key.
    ///
    /// # Errors
    /// [`SignError::Key`] when a secret does not fit its key.
    pub fn new(domain: DomainName, keys: &[(DkimKey, Secret)]) -> Result<Option<Self>, SignError> {
        let ready: Result<Vec<Ready>, SignError> = keys.iter().map(|(key, secret)| Ready::of(key, secret)).collect();
        let keys = ready?;
        let form = Signature {
            v: 1,
            d: domain.as_str().to_owned(),
            h: SIGNED.map(str::to_owned).to_vec(),
            ch: Canonicalization::Relaxed,
            cb: Canonicalization::Relaxed,
            ..Signature::default()
        };
        Ok((!keys.is_empty()).then_some(Self { domain, keys, form }))
    }

    /// The domain that signs: `d=`.
    #[must_use]
    pub fn domain(&self) -> &DomainName {
        &self.domain
    }

    /// The selectors of the keys that sign.
    pub fn selectors(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.selector.as_str())
    }

    /// The header lines to put in front of `message`, one `DKIM-Signature` a key, each with its CRLF.
    ///
    /// The message is whole: headers, an empty line, body, all lines ended by CRLF, and before dots are doubled for
    /// the line. It is signed as it is then; nothing may change it later.
    ///
    /// # Errors
    /// [`SignError`]
    pub fn sign(&self, message: &[u8], now: DateTime<Utc>) -> Result<Vec<u8>, SignError> {
        let (body, headers, names, _) = self.form.canonicalize(Parts { rest: message });
        let mut canonical = Vec::with_capacity(1024);
        headers.write(&mut canonical);
        if !canonical.split(|byte| *byte == b'\n').any(|field| field.starts_with(b"from:")) {
            return Err(SignError::NoFrom);
        }
        let body = message.get(message.len() - body..).unwrap_or_default();
        let form = Signature {
            bh: body_hash(body).ok_or(SignError::Refused)?,
            t: u64::try_from(now.timestamp()).unwrap_or(0),
            h: names,
            ..self.form.clone()
        };
        let mut lines = Vec::with_capacity(self.keys.len() * 1024);
        for key in &self.keys {
            let mut signature = Signature { a: key.pair.algorithm(), s: key.selector.clone(), ..form.clone() };
            let input = Input { headers: &canonical, signature: &signature };
            signature.b = key.pair.sign(input).map_err(|_| SignError::Refused)?;
            signature.write_header(&mut lines);
        }
        Ok(lines)
    }
}

impl Ready {
    fn of(key: &DkimKey, secret: &Secret) -> Result<Self, SignError> {
        let damaged = || SignError::Key { selector: key.selector.clone() };
        let der = BASE64.decode(secret.as_str().as_bytes()).map_err(|_| damaged())?;
        let (pair, public): (SigningPair, _) = match key.algorithm {
            KeyAlgorithm::Rsa2048 => {
                let pair = RsaKey::<Sha256>::from_key_der(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der)));
                let pair = pair.map_err(|_| damaged())?;
                let public = pair.public_key();
                (pair.into(), public)
            }
            KeyAlgorithm::Ed25519 => {
                let pair = Ed25519Key::from_pkcs8_der(&der).map_err(|_| damaged())?;
                let public = pair.public_key();
                (pair.into(), public)
            }
        };
        // What DNS tells of RSA ends in what the library tells of it.
        let published = BASE64.decode(key.public.as_bytes()).map_err(|_| damaged())?;
        if !published.ends_with(&public) {
            return Err(damaged());
        }
        Ok(Self { selector: key.selector.clone(), pair })
    }
}

/// A message, field by field.
struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> HeaderStream<'a> for Parts<'a> {
    fn next_header(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        if self.rest.is_empty() || self.rest.starts_with(b"\r\n") {
            return None;
        }
        // A line that begins with a blank goes on with the field (RFC 5322 §2.2.3).
        let is_end =
            |at: &usize| self.rest.get(*at) == Some(&b'\n') && !matches!(self.rest.get(at + 1), Some(b' ' | b'\t'));
        let end = (0..self.rest.len()).find(is_end).map_or(self.rest.len(), |at| at + 1);
        let (field, rest) = self.rest.split_at(end);
        self.rest = rest;
        let colon = field.iter().position(|byte| *byte == b':').unwrap_or(field.len());
        Some((field.get(..colon)?, field.get(colon + 1..).unwrap_or_default()))
    }

    fn body(&mut self) -> &'a [u8] {
        self.rest.strip_prefix(b"\r\n").unwrap_or_default()
    }
}

/// What a signature covers: the headers, and itself without its end (RFC 6376 §3.7).
struct Input<'a> {
    headers: &'a [u8],
    signature: &'a Signature,
}

impl Writable for Input<'_> {
    fn write(self, writer: &mut impl Writer) {
        writer.write(self.headers);
        self.signature.write(writer, false);
    }
}

/// SHA-256 of the body in its relaxed form (RFC 6376 §3.4.4).
///
/// Lines of blanks at the end count as empty and go with these; the library would keep one of them, and other
/// verifiers would not follow it.
fn body_hash(body: &[u8]) -> Option<Vec<u8>> {
    let end = body.iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).map_or(0, |last| last + 1);
    let canonical = Canonicalization::Relaxed.canonical_body(body.get(..end)?, 0);
    Some(mail_auth::common::crypto::HashAlgorithm::Sha256.hash(canonical).as_ref().to_vec())
}

#[cfg(test)]
mod tests;

//! 256 random bits, of which we keep only the digest.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};

/// What a browser holds to prove itself.
pub(crate) struct Secret(String);

impl Secret {
    /// A new one.
    pub(crate) fn new() -> Self {
        Self(BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>()))
    }

    /// One that came back.
    pub(crate) fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// What the database keeps of it.
    pub(crate) fn digest(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(self.0.as_bytes()))
    }

    /// The text for the browser.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

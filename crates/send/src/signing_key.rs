//! Making the keys that sign mail.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{KeyPair as RsaPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use data_encoding::BASE64;
use rebound_domain::KeyAlgorithm;

/// The secret half of a key: PKCS #8 in base64. It is kept sealed, and shown nowhere.
pub struct Secret(String);

/// The machine has no random numbers, or no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no key could be made: this machine gave no random numbers. Try again")]
pub struct NotMade;

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Takes a secret as it was unsealed.
    #[must_use]
    pub fn unsealed(text: String) -> Self {
        Self(text)
    }

    /// PKCS #8 in base64.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Makes a key: the public half as DNS tells it, and the secret one. RSA takes a tenth of a second of CPU, or five.
///
/// # Errors
/// [`NotMade`]
pub fn make_key(algorithm: KeyAlgorithm) -> Result<(String, Secret), NotMade> {
    let (public, secret) = match algorithm {
        KeyAlgorithm::Rsa2048 => rsa(),
        KeyAlgorithm::Ed25519 => edwards(),
    }
    .map_err(|Unspecified| NotMade)?;
    Ok((BASE64.encode(&public), Secret(BASE64.encode(&secret))))
}

fn rsa() -> Result<(Vec<u8>, Vec<u8>), Unspecified> {
    let pair = RsaPair::generate(KeySize::Rsa2048)?;
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key())?;
    let secret = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair)?;
    Ok((public.as_ref().to_vec(), secret.as_ref().to_vec()))
}

fn edwards() -> Result<(Vec<u8>, Vec<u8>), Unspecified> {
    let pair = Ed25519KeyPair::generate()?;
    // The bare octets: RFC 8463 §4.
    let public = pair.public_key().as_ref().to_vec();
    Ok((public, pair.to_pkcs8()?.as_ref().to_vec()))
}

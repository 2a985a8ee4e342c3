//! Secrets at rest: sealed with the key of the installation, so that a copy of the database tells none.

use crate::Keys;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::BASE64URL_NOPAD;
use hkdf::Hkdf;
use sha2::Sha256;

/// Bytes of a nonce. It is random, and so long that no two are ever the same.
pub const NONCE: usize = 24;

/// Why a secret does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsealed {
    /// It was sealed with a key that is not at hand.
    #[error("it was sealed with key “{0}”, which is not in the key file")]
    UnknownKey(char),
    /// It was changed, or belongs elsewhere.
    #[error("it was changed, or belongs to another row")]
    Broken,
}

/// `secret`, sealed with the first of `keys`: `s1.<key>.<nonce and ciphertext, base64>`.
///
/// `place` says where it is kept, such as `sending_servers/7/password`: elsewhere it does not open.
/// XChaCha20-Poly1305; its key is derived from the installation's (HKDF-SHA256), which signs return paths too.
/// `None` is never given for secrets shorter than 256 GB.
#[must_use]
pub fn seal(keys: &Keys, secret: &str, place: &str, nonce: [u8; NONCE]) -> Option<String> {
    let (name, key) = keys.first()?;
    let payload = Payload { msg: secret.as_bytes(), aad: place.as_bytes() };
    let sealed = cipher(&key)?.encrypt(&XNonce::from(nonce), payload).ok()?;
    Some(format!("s1.{name}.{}", BASE64URL_NOPAD.encode(&[nonce.as_slice(), &sealed].concat())))
}

/// The secret that was sealed for `place`.
///
/// # Errors
/// [`Unsealed`]
pub fn unseal(keys: &Keys, sealed: &str, place: &str) -> Result<String, Unsealed> {
    let name = sealed_with(sealed).ok_or(Unsealed::Broken)?;
    let key = keys.named(name).ok_or(Unsealed::UnknownKey(name))?;
    let bytes = sealed.splitn(3, '.').nth(2).and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok());
    let bytes = bytes.ok_or(Unsealed::Broken)?;
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE>().ok_or(Unsealed::Broken)?;
    let payload = Payload { msg: sealed, aad: place.as_bytes() };
    let open = cipher(&key).and_then(|cipher| cipher.decrypt(&XNonce::from(*nonce), payload).ok());
    open.and_then(|secret| String::from_utf8(secret).ok()).ok_or(Unsealed::Broken)
}

/// The name of the key that `sealed` needs.
#[must_use]
pub fn sealed_with(sealed: &str) -> Option<char> {
    let mut name = sealed.strip_prefix("s1.")?.split('.').next()?.chars();
    name.next().filter(|_| name.next().is_none())
}

fn cipher(key: &[u8]) -> Option<XChaCha20Poly1305> {
    let mut derived = [0; 32];
    Hkdf::<Sha256>::new(None, key).expand(b"rebound seal 1", &mut derived).ok()?;
    XChaCha20Poly1305::new_from_slice(&derived).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &str) -> Keys {
        let mut all = names.chars().map(|name| (name, format!("a key of 32 bytes, and this is {name}").into_bytes()));
        Keys::new(all.next().unwrap(), all.collect())
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_and_nowhere_else() {
        let sealed = seal(&keys("a"), "correct horse", "sending_servers/7/password", [7; NONCE]).unwrap();
        assert!(!sealed.contains("horse") && sealed.starts_with("s1.a."), "{sealed}");
        assert_eq!(unseal(&keys("a"), &sealed, "sending_servers/7/password").as_deref(), Ok("correct horse"));
        assert_eq!(unseal(&keys("a"), &sealed, "sending_servers/8/password"), Err(Unsealed::Broken));
        assert_eq!(unseal(&keys("b"), &sealed, "sending_servers/7/password"), Err(Unsealed::UnknownKey('a')));
        assert_eq!(unseal(&keys("ba"), &sealed, "sending_servers/7/password").as_deref(), Ok("correct horse"));
        let other = seal(&keys("a"), "correct horse", "sending_servers/7/password", [8; NONCE]).unwrap();
        assert_ne!(sealed, other, "equal secrets must not look equal");
    }

    #[test]
    fn a_changed_secret_does_not_open() {
        let sealed = seal(&keys("a"), "secret", "here", [1; NONCE]).unwrap();
        for at in 5..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(unseal(&keys("a"), &String::from_utf8(changed).unwrap(), "here").is_err(), "byte {at}");
        }
        for junk in ["", "s1", "s1.a", "s1.a.", "s1.ab.AAAA", "s2.a.AAAA", "plain text"] {
            assert!(unseal(&keys("a"), junk, "here").is_err(), "{junk}");
        }
    }
}

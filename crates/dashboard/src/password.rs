//! Passwords: how they are kept, and how many are looked at at once.

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The fewest characters a password has. There are no rules for which ones (NIST SP 800-63B §3.1.1).
pub const SHORTEST: usize = 12;
/// The most characters a password has.
pub const LONGEST: usize = 256;

/// Memory of one hash in KiB: above the 46 MiB that ASVS 5.0 asks of argon2id.
const MEMORY: u32 = 47_104;
const PASSES: u32 = 2;
/// Hashes at once. More would take memory and time from sending.
const AT_ONCE: usize = 2;

/// Hashes passwords and checks them, two at a time.
#[derive(Clone, Debug)]
pub struct Hasher {
    room: Arc<Semaphore>,
}

impl Default for Hasher {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

/// A password that is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// It can be guessed.
    #[error("a password has at least 12 characters")]
    Short,
    /// Nobody types that.
    #[error("a password has at most 256 characters")]
    Long,
    /// The machine could not hash it (no memory).
    #[error("the password could not be hashed; try again")]
    Unhashed,
}

impl Hasher {
    /// The hash of `password`, with its salt and parameters (PHC string).
    ///
    /// # Errors
    /// [`BadPassword`]
    pub async fn hash(&self, password: &str) -> Result<String, BadPassword> {
        match password.chars().count() {
            ..SHORTEST => return Err(BadPassword::Short),
            SHORTEST..=LONGEST => {}
            _ => return Err(BadPassword::Long),
        }
        let password = password.to_owned();
        let hash = move || Some(argon2id()?.hash_password(password.as_bytes()).ok()?.to_string());
        self.alone(hash).await.flatten().ok_or(BadPassword::Unhashed)
    }

    /// Whether `password` is the one behind `hash`. Without a hash it takes as long, and is wrong.
    pub(crate) async fn is(&self, password: &str, hash: Option<String>) -> bool {
        let password: String = password.chars().take(LONGEST + 1).collect();
        let check = move || {
            let Some(hash) = hash else {
                // Nobody signs in with that address; that must not show in the time it takes.
                let _ = argon2id().map(|argon2| argon2.hash_password(password.as_bytes()));
                return false;
            };
            argon2id().is_some_and(|argon2| argon2.verify_password(password.as_bytes(), hash.as_str()).is_ok())
        };
        self.alone(check).await.unwrap_or(false)
    }

    /// Runs `work` on a thread of its own when there is room.
    async fn alone<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let _room = self.room.acquire().await.ok()?;
        tokio::task::spawn_blocking(work).await.ok()
    }
}

fn argon2id() -> Option<Argon2<'static>> {
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(MEMORY, PASSES, 1, None).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passwords_are_long_and_kept_with_argon2id() {
        let hasher = Hasher::default();
        assert_eq!(hasher.hash("eleven chrs").await, Err(BadPassword::Short));
        assert_eq!(hasher.hash(&"x".repeat(257)).await, Err(BadPassword::Long));
        let hash = hasher.hash("correct horse battery").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=47104,t=2,p=1$"), "{hash}");
        assert!(hasher.is("correct horse battery", Some(hash.clone())).await);
        assert!(!hasher.is("correct horse batterz", Some(hash)).await);
        assert!(!hasher.is("correct horse battery", None).await);
    }
}

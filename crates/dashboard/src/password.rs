//! Passwords: how they are kept, and how many are looked at at once.

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;
use tokio::sync::Semaphore;
use zxcvbn::matching::patterns::MatchPattern;
use zxcvbn::{Score, zxcvbn};

/// The fewest characters a password has. There are no rules for which ones (NIST SP 800-63B §3.1.1); only for how
/// soon it would be guessed.
pub const SHORTEST: usize = 12;
/// The most characters a password has.
pub const LONGEST: usize = 256;

/// Memory of one hash in KiB: above the 46 MiB that ASVS 5.0 asks of argon2id.
const MEMORY: u32 = 47_104;
const PASSES: u32 = 2;
/// Hashes at once. More would take memory and time from sending.
const AT_ONCE: usize = 2;
/// Characters of a password that are looked at to tell how soon it would be guessed.
const LOOKED_AT: usize = 100;

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
    /// Every word of so few letters can be tried.
    #[error("a password has at least 12 characters")]
    Short,
    /// It is on the lists of those who guess, or made of what they try: words, rows of keys, years, one's own name.
    #[error(
        "that password is common or easy to guess; choose a short sentence that only you would think of, without your \
         name or address"
    )]
    Guessable,
    /// Nobody types that.
    #[error("a password has at most 256 characters")]
    Long,
    /// The machine could not hash it (no memory).
    #[error("the password could not be hashed; try again")]
    Unhashed,
}

impl Hasher {
    /// The hash of a `password` that somebody chose, with its salt and parameters (PHC string). `person`: what others
    /// know of them, such as name and address.
    ///
    /// # Errors
    /// [`BadPassword`]
    pub async fn hash(&self, password: &str, person: &[&str]) -> Result<String, BadPassword> {
        match password.chars().count() {
            ..SHORTEST => return Err(BadPassword::Short),
            SHORTEST..=LONGEST => {}
            _ => return Err(BadPassword::Long),
        }
        let (password, theirs) = (password.to_owned(), words(person));
        let hash = move || {
            if is_guessable(&password, &theirs) {
                return Err(BadPassword::Guessable);
            }
            let hash = argon2id().and_then(|argon2| argon2.hash_password(password.as_bytes()).ok());
            Ok(hash.ok_or(BadPassword::Unhashed)?.to_string())
        };
        self.alone(hash).await.unwrap_or(Err(BadPassword::Unhashed))
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

/// What a person would be guessed by, in lower case: all that is known of them, the words in it, and our own name.
fn words(person: &[&str]) -> Vec<String> {
    let known = person.iter().map(|text| text.chars().take(LOOKED_AT).collect::<String>().to_lowercase());
    let mut words = vec!["rebound".to_owned()];
    for text in known {
        let parts = text.split(|letter: char| !letter.is_alphanumeric());
        words.extend(parts.map(str::to_owned));
        words.push(text);
    }
    // Two letters are in every sentence; one sign of Chinese is three bytes, and a name.
    words.retain(|word| word.len() > 2);
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words
}

/// Whether it would be found before long: in fewer than 10⁸ tries, or in 10⁶ by whoever knows the person.
fn is_guessable(password: &str, theirs: &[String]) -> bool {
    let looked_at: String = password.chars().take(LOOKED_AT).collect();
    let known: Vec<&str> = theirs.iter().map(String::as_str).collect();
    let whole = zxcvbn(&looked_at, &known);
    let is_listed = matches!(whole.sequence(), [one] if matches!(one.pattern, MatchPattern::Dictionary(_)));
    // Three pieces count as hard to put together, but not where two of them are one's own names.
    let lower = looked_at.to_lowercase();
    let rest = known.iter().fold(lower.clone(), |rest, word| rest.replace(word, ""));
    let is_about_them = rest != lower && zxcvbn(&rest, &known).score() < Score::Two;
    is_listed || is_about_them || whole.score() < Score::Three
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
        assert_eq!(hasher.hash("eleven chrs", &[]).await, Err(BadPassword::Short));
        assert_eq!(hasher.hash(&"x".repeat(257), &[]).await, Err(BadPassword::Long));
        let hash = hasher.hash("correct horse battery", &[]).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=47104,t=2,p=1$"), "{hash}");
        assert!(hasher.is("correct horse battery", Some(hash.clone())).await);
        assert!(!hasher.is("correct horse batterz", Some(hash)).await);
        assert!(!hasher.is("correct horse battery", None).await);
    }

    #[tokio::test]
    async fn what_is_guessed_soon_is_not_taken() {
        let (hasher, ines) = (Hasher::default(), ["ines@fernhill.example", "Ines Okafor"]);
        for common in [
            "password1234",
            "PasswordPassword",
            "P@ssw0rd2024!",
            "123456789012",
            "qwertyuiop[]",
            "1q2w3e4r5t6y",
            "letmeinletmein",
            "abcdefghijkl",
            "aaaaaaaaaaaaaaaaaaaaaaaa",
            "unbelievable",
            "ines@fernhill.example",
            "Ines.Okafor.2026",
            "fernhill fernhill",
            "welcome-fernhill",
            "Rebound!Rebound!",
        ] {
            assert_eq!(hasher.hash(common, &ines).await, Err(BadPassword::Guessable), "{common}");
        }
        for good in ["tulips before the frost", "a short sentence", "ines planted forty tulips", "zażółć gęślą jaźń"]
        {
            assert!(hasher.hash(good, &ines).await.is_ok(), "{good}");
        }
        assert!(hasher.hash("banana tasted salad", &["a@a.example", "A"]).await.is_ok(), "a name of one letter");
    }

    #[test]
    fn telling_how_soon_it_is_guessed_takes_no_time() {
        let begin = std::time::Instant::now();
        for nasty in ["4@8({[<63!1|7$50+%2", "1/1/1991", "aaab", "é1@", "qwertyuiop"] {
            let long: String = nasty.repeat(60).chars().take(LONGEST).collect();
            is_guessable(&long, &words(&[&long, "Ines"]));
        }
        assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
    }
}

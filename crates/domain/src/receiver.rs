//! The mailbox provider behind a domain.

use serde::{Deserialize, Serialize};

/// The receiving side of a [`Lane`](crate::Lane): for now the recipient's domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Receiver(String);

impl Receiver {
    /// The receiver behind `domain`.
    #[must_use]
    pub fn of_domain(domain: &str) -> Self {
        Self(domain.to_ascii_lowercase())
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

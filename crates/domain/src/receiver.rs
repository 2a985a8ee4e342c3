//! The mailbox provider behind a domain.

mod provider;

use serde::{Deserialize, Serialize};

/// The receiving side of a [`Lane`](crate::Lane): whoever takes the mail of a domain.
///
/// Named by a domain in lower case: the recipient's own, or, where it is known which hosts take its mail, the one that
/// these hosts belong to. Thousands of domains are one receiver when the same provider serves them, and what one of
/// them says about our speed or our reputation then holds for all.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Receiver(String);

impl Receiver {
    /// The receiver behind `domain`.
    #[must_use]
    pub fn of_domain(domain: &str) -> Self {
        Self(domain.to_ascii_lowercase())
    }

    /// The receiver behind `domain`, whose mail goes to `mx_hosts`: those of the best preference, in any order.
    ///
    /// Hosts of a large provider are known by the ends of their names; other hosts belong to whoever registered the
    /// domain above them, by the list of public suffixes. Where the hosts belong to several, as with some who are
    /// moving, the recipient's domain stands for itself.
    #[must_use]
    pub fn of_exchange(domain: &str, mx_hosts: &[impl AsRef<str>]) -> Self {
        let mut owners = mx_hosts.iter().map(|host| provider::owner(host.as_ref()));
        let Some(first) = owners.next() else { return Self::of_domain(domain) };
        if owners.all(|owner| owner == first) { Self(first) } else { Self::of_domain(domain) }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

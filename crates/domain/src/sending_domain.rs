//! A domain that mail is sent from, and for which senders it may sign.

use crate::SendingDomainId;
use crate::address::is_host_name;
use chrono::{DateTime, Utc};
use std::{fmt, str::FromStr};

/// A domain that mail is sent from: what stands behind the `@` of a campaign's sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendingDomain {
    /// Its identity.
    pub id: SendingDomainId,
    /// Its name.
    pub name: DomainName,
    /// How close a sender must be to it.
    pub alignment: Alignment,
    /// When it was added.
    pub added: DateTime<Utc>,
    /// Who added it.
    pub added_by: String,
}

/// The name of a domain, in lower case and in its A-label form (IDNA): what DNS is asked for, and what `d=` says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(String);

/// Why a text is no domain that mail can be sent from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDomain {
    /// It is no name.
    #[error("a domain is a name such as news.example.org")]
    Name,
    /// Nobody can own it.
    #[error("that is a public suffix, below which anybody may have a domain; name your own domain below it")]
    PublicSuffix,
}

/// How close the sender's domain must be to the one that signs (DMARC's `adkim`, RFC 7489 §3.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alignment {
    /// Both belong to one organisational domain.
    #[default]
    Relaxed,
    /// Both are the same.
    Strict,
}

impl DomainName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a name as the database keeps it; it was read when it was stored.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for DomainName {
    type Err = BadDomain;

    fn from_str(text: &str) -> Result<Self, BadDomain> {
        let text = text.trim().trim_start_matches('@').trim_end_matches('.');
        let name = idna::domain_to_ascii_strict(text).map_err(|_| BadDomain::Name)?;
        // Keys of it must have a name too, `<selector>._domainkey.<domain>` of 253 octets at most.
        if !is_host_name(&name) || name.len() > 200 {
            return Err(BadDomain::Name);
        }
        if organisational_domain(&name).is_none() { Err(BadDomain::PublicSuffix) } else { Ok(Self(name)) }
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Alignment {
    /// All of them, the usual one first.
    pub const ALL: [Self; 2] = [Self::Relaxed, Self::Strict];

    /// The name: `relaxed`, `strict`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Relaxed => "relaxed",
            Self::Strict => "strict",
        }
    }

    /// The one called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alignment| alignment.as_str() == name)
    }

    /// Whether a signature of `signing` speaks for a sender at `from`. Both in lower case and as A-labels.
    ///
    /// ```
    /// use rebound_domain::Alignment;
    /// assert!(Alignment::Relaxed.holds("news.fernhill.example", "fernhill.example"));
    /// assert!(!Alignment::Strict.holds("news.fernhill.example", "fernhill.example"));
    /// ```
    #[must_use]
    pub fn holds(self, from: &str, signing: &str) -> bool {
        match self {
            Self::Strict => from == signing,
            Self::Relaxed => {
                from == signing
                    || organisational_domain(from).is_some_and(|whole| organisational_domain(signing) == Some(whole))
            }
        }
    }
}

/// The part of `domain` that somebody registered: one label below a public suffix (RFC 7489 §3.2). `None` for a
/// public suffix itself.
#[must_use]
pub fn organisational_domain(domain: &str) -> Option<&str> {
    psl::domain_str(domain)
}

/// Which of `domains` signs for a sender at `from`: the same one, else the closest above it whose alignment allows
/// that. A domain beside it, or below it, does not sign for it, though DMARC might take that.
#[must_use]
pub fn speaks_for<'a>(from: &str, domains: impl IntoIterator<Item = &'a SendingDomain>) -> Option<&'a SendingDomain> {
    let is_above = |name: &str| from == name || from.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
    let fitting = domains.into_iter().filter(|domain| {
        let name = domain.name.as_str();
        is_above(name) && domain.alignment.holds(from, name)
    });
    fitting.max_by_key(|domain| domain.name.as_str().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Alignment::{Relaxed, Strict};

    #[test]
    fn a_signature_speaks_for_senders_of_its_organisation() {
        for (from, signing, relaxed, strict) in [
            ("fernhill.example", "fernhill.example", true, true),
            ("news.fernhill.example", "fernhill.example", true, false),
            ("fernhill.example", "news.fernhill.example", true, false),
            ("a.fernhill.example", "b.fernhill.example", true, false),
            ("fernhill.example", "hill.example", false, false),
            ("fernhill.example", "fernhill.test", false, false),
            ("fernhill.co.uk", "orchard.co.uk", false, false),
            ("news.fernhill.co.uk", "fernhill.co.uk", true, false),
            // Each account is somebody else's.
            ("ada.github.io", "mira.github.io", false, false),
            ("ada.github.io", "github.io", false, false),
            ("news.xn--bcher-kva.example", "xn--bcher-kva.example", true, false),
        ] {
            assert_eq!(Relaxed.holds(from, signing), relaxed, "relaxed: {from}, {signing}");
            assert_eq!(Strict.holds(from, signing), strict, "strict: {from}, {signing}");
        }
    }

    #[test]
    fn a_domain_is_read_as_dns_knows_it() {
        for (text, expected) in [
            ("Fernhill.Example", Ok("fernhill.example")),
            (" @news.fernhill.example. ", Ok("news.fernhill.example")),
            ("bücher.example", Ok("xn--bcher-kva.example")),
            ("fernhill", Err(BadDomain::Name)),
            ("", Err(BadDomain::Name)),
            ("fern hill.example", Err(BadDomain::Name)),
            ("-fernhill.example", Err(BadDomain::Name)),
            ("co.uk", Err(BadDomain::PublicSuffix)),
            ("github.io", Err(BadDomain::PublicSuffix)),
            ("192.0.2.1", Err(BadDomain::Name)),
        ] {
            let read = text.parse::<DomainName>();
            assert_eq!(read.as_ref().map(DomainName::as_str), expected.as_ref().copied(), "{text}");
        }
    }

    #[test]
    fn the_closest_domain_above_the_sender_signs() {
        let domain = |id, name: &str, alignment| SendingDomain {
            id: SendingDomainId(id),
            name: name.parse().unwrap(),
            alignment,
            added: DateTime::UNIX_EPOCH,
            added_by: String::new(),
        };
        let all = [
            domain(1, "fernhill.example", Relaxed),
            domain(2, "news.fernhill.example", Relaxed),
            domain(3, "orchard.example", Strict),
        ];
        let found = |from| speaks_for(from, &all).map(|domain| domain.id.0);
        for (from, expected) in [
            ("fernhill.example", Some(1)),
            ("news.fernhill.example", Some(2)),
            ("spring.news.fernhill.example", Some(2)),
            ("shop.fernhill.example", Some(1)),
            ("orchard.example", Some(3)),
            ("news.orchard.example", None),
            ("xfernhill.example", None),
            ("example", None),
        ] {
            assert_eq!(found(from), expected, "{from}");
        }
    }
}

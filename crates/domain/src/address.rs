//! E-mail addresses: as they go on the wire, and folded to find the same person again.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An address that mail can be sent to.
///
/// The domain is folded to lower case and to its A-label form (IDNA), since domains compare without
/// case. The local part keeps its case: only the receiving host may judge it (RFC 5321 §2.4). To find
/// the same person again, compare [`AddressKey`]s, which fold both.
///
/// ```
/// use rebound_domain::EmailAddress;
/// let address: EmailAddress = "Mira.Sol@Orchard.Example".parse().unwrap();
/// assert_eq!(address.as_str(), "Mira.Sol@orchard.example");
/// assert_eq!(address.key().as_str(), "mira.sol@orchard.example");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

/// An address folded to lower case: it identifies contacts and suppressions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AddressKey(String);

/// Why a text is not an address that mail can be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Nothing, or only blanks.
    #[error("there is no address")]
    Empty,
    /// No `@`.
    #[error("an address needs an @")]
    NoAt,
    /// The part before the `@` is empty, too long (64 octets) or has a character that needs quoting.
    #[error("the part before the @ is not valid")]
    Local,
    /// The part after the `@` is not a host name with at least two labels.
    #[error("the domain after the @ is not valid")]
    Domain,
    /// Longer than 254 octets (RFC 5321 §4.5.3.1.3).
    #[error("the address is longer than 254 characters")]
    TooLong,
}

impl EmailAddress {
    /// The address as it goes on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the `@`, in lower case.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The part before the `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// The folded form.
    #[must_use]
    pub fn key(&self) -> AddressKey {
        AddressKey(self.0.to_lowercase())
    }
}

impl AddressKey {
    /// Takes a key as the database keeps it; it was folded when it was stored.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The folded address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for EmailAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BadAddress::Empty);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(BadAddress::NoAt)?;
        if !is_local_part(local) {
            return Err(BadAddress::Local);
        }
        let domain = idna::domain_to_ascii_strict(domain.trim_end_matches('.')).map_err(|_| BadAddress::Domain)?;
        if !is_host_name(&domain) {
            return Err(BadAddress::Domain);
        }
        let address = format!("{local}@{domain}");
        if address.len() > 254 { Err(BadAddress::TooLong) } else { Ok(Self(address)) }
    }
}

/// A dot-atom (RFC 5322 §3.2.3), or the same with letters beyond ASCII (RFC 6531), or a quoted string
/// whose inside is printable ASCII.
fn is_local_part(local: &str) -> bool {
    if local.is_empty() || local.len() > 64 {
        return false;
    }
    if let Some(inside) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return !inside.is_empty() && inside.chars().all(|c| matches!(c, ' '..='~') && c != '"' && c != '\\');
    }
    let atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    local.split('.').all(|part| !part.is_empty() && part.chars().all(atom))
}

/// Whether `domain` is a host name of at least two labels, in its A-label form.
pub(crate) fn is_host_name(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let last = domain.rsplit('.').next().unwrap_or_default();
    domain.contains('.') && domain.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

impl TryFrom<String> for EmailAddress {
    type Error = BadAddress;
    fn try_from(text: String) -> Result<Self, BadAddress> {
        text.parse()
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_mail_can_be_sent_to_is_an_address() {
        use BadAddress::{Domain, Empty, Local, NoAt, TooLong};
        let long = format!("{}@{}.example", "a".repeat(64), ["b"; 100].join("."));
        for (text, expected) in [
            ("ada@orchard.example", Ok("ada@orchard.example")),
            (" Ada@ORCHARD.example ", Ok("Ada@orchard.example")),
            ("zoë@bücher.example", Ok("zoë@xn--bcher-kva.example")),
            ("\"two words\"@orchard.example", Ok("\"two words\"@orchard.example")),
            ("a+b@orchard.example.", Ok("a+b@orchard.example")),
            ("", Err(Empty)),
            ("ada", Err(NoAt)),
            ("@orchard.example", Err(Local)),
            ("a..b@orchard.example", Err(Local)),
            ("a b@orchard.example", Err(Local)),
            ("a\r\nb@orchard.example", Err(Local)),
            ("ada@orchard", Err(Domain)),
            ("ada@-orchard.example", Err(Domain)),
            ("ada@127.0.0.1", Err(Domain)),
            ("ada@orchard,example", Err(Domain)),
            (&long, Err(TooLong)),
        ] {
            let parsed = text.parse::<EmailAddress>();
            assert_eq!(parsed.as_ref().map(EmailAddress::as_str), expected.as_ref().copied(), "{text}");
        }
    }
}

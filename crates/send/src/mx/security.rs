//! How a line to a mail host must be protected.

use super::sts::{Mode, Policy};
use hickory_resolver::proto::rr::rdata;
use hickory_resolver::proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use sha2::{Digest, Sha256, Sha512};
use std::fmt;

/// What a line must be like before mail goes over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Protected, and proven as told. Else no mail goes.
    Must(Proof),
    /// Protected if the host can; whose certificate it is, nobody checks (RFC 7435).
    Try,
    /// No mail may go to this host, and why.
    Never(String),
}

/// What a host has to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A certificate in its name, signed by an authority that the web trusts (MTA-STS).
    Name,
    /// A certificate that its domain has published (DANE).
    Published(Vec<Tlsa>),
    /// Nothing: the line has to be protected, and that is all.
    Nothing,
}

/// What DNS says of a host's certificates, as far as it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dane {
    /// Nothing, or nobody can prove it.
    None,
    /// It has these.
    Records(Vec<Tlsa>),
    /// It has some, none of which can be used with mail (RFC 7672 §2.2).
    Unusable,
    /// The name server did not say, which may be the work of somebody on the way.
    Unknown(String),
}

/// One certificate or key, published in DNS (RFC 6698 §2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    pub(super) usage: CertUsage,
    selector: Selector,
    matching: Matching,
    data: Vec<u8>,
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Must(Proof::Name) => f.write_str("TLS, with a certificate in the host's name (MTA-STS)"),
            Self::Must(Proof::Published(_)) => f.write_str("TLS, with a certificate that DNS names (DANE)"),
            Self::Must(Proof::Nothing) => f.write_str("TLS, with any certificate (DANE records of no use with mail)"),
            Self::Try => f.write_str("TLS if the host can, with any certificate"),
            Self::Never(why) => write!(f, "no mail: {why}"),
        }
    }
}

impl From<&rdata::TLSA> for Tlsa {
    fn from(tlsa: &rdata::TLSA) -> Self {
        Self { usage: tlsa.cert_usage, selector: tlsa.selector, matching: tlsa.matching, data: tlsa.cert_data.clone() }
    }
}

impl Dane {
    /// Sorts out what mail can use: usages 2 and 3 (RFC 7672 §3.1).
    pub(super) fn of(records: Vec<Tlsa>) -> Self {
        if records.is_empty() {
            return Self::None;
        }
        let usable: Vec<Tlsa> = records.into_iter().filter(Tlsa::is_usable).collect();
        if usable.is_empty() { Self::Unusable } else { Self::Records(usable) }
    }
}

impl Tlsa {
    fn is_usable(&self) -> bool {
        let length = self.data.len();
        let matching = match self.matching {
            Matching::Raw => length > 0,
            Matching::Sha256 => length == 32,
            Matching::Sha512 => length == 64,
            Matching::Unassigned(_) | Matching::Private => false,
        };
        let selector = matches!(self.selector, Selector::Full | Selector::Spki);
        matching && selector && matches!(self.usage, CertUsage::DaneTa | CertUsage::DaneEe)
    }

    /// Whether it speaks of this certificate (DER), whose key is `key` (DER of SubjectPublicKeyInfo).
    pub(super) fn names(&self, certificate: &[u8], key: &[u8]) -> bool {
        let selected = match self.selector {
            Selector::Full => certificate,
            Selector::Spki => key,
            Selector::Unassigned(_) | Selector::Private => return false,
        };
        match self.matching {
            Matching::Raw => self.data == selected,
            Matching::Sha256 => self.data == Sha256::digest(selected).as_slice(),
            Matching::Sha512 => self.data == Sha512::digest(selected).as_slice(),
            Matching::Unassigned(_) | Matching::Private => false,
        }
    }
}

/// How the line to `host` must be protected.
///
/// DANE comes first: a policy over the web must not make good what DNSSEC says is wrong (RFC 8461 §2).
pub(super) fn decide(sts: Option<&Policy>, dane: &Dane, host: &str) -> Security {
    match dane {
        Dane::Records(records) => return Security::Must(Proof::Published(records.clone())),
        Dane::Unknown(why) => {
            return Security::Never(format!("its DNSSEC-signed domain did not say which certificate it has: {why}"));
        }
        Dane::None | Dane::Unusable => {}
    }
    match sts {
        Some(policy) if policy.mode == Mode::Enforce && policy.allows(host) => Security::Must(Proof::Name),
        Some(policy) if policy.mode == Mode::Enforce => {
            Security::Never("the domain's MTA-STS policy does not name it".to_owned())
        }
        Some(_) | None if *dane == Dane::Unusable => Security::Must(Proof::Nothing),
        Some(_) | None => Security::Try,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlsa(usage: u8, selector: u8, matching: u8, data: Vec<u8>) -> Tlsa {
        Tlsa { usage: usage.into(), selector: selector.into(), matching: matching.into(), data }
    }

    #[test]
    fn the_stricter_word_decides() {
        let policy =
            |mode: &str| Policy::read(&format!("version: STSv1\nmode: {mode}\nmx: mx.a.example\nmax_age: 9\n"));
        let [enforce, testing, none] = ["enforce", "testing", "none"].map(|mode| policy(mode).unwrap());
        let record = tlsa(3, 1, 1, vec![7; 32]);
        let records = Dane::of(vec![record.clone()]);
        let published = Security::Must(Proof::Published(vec![record]));
        let (named, other) = ("mx.a.example", "mx.b.example");
        for (sts, dane, host, expected) in [
            (None, Dane::None, named, Security::Try),
            (Some(&none), Dane::None, named, Security::Try),
            (Some(&testing), Dane::None, other, Security::Try),
            (Some(&enforce), Dane::None, named, Security::Must(Proof::Name)),
            (None, records.clone(), named, published.clone()),
            (Some(&enforce), records, named, published),
            (None, Dane::Unusable, named, Security::Must(Proof::Nothing)),
            (Some(&enforce), Dane::Unusable, named, Security::Must(Proof::Name)),
        ] {
            assert_eq!(decide(sts, &dane, host), expected, "{sts:?} {dane:?} {host}");
        }
        let never = |sts, dane| matches!(decide(sts, &dane, other), Security::Never(_));
        assert!(never(Some(&enforce), Dane::None), "a host that the policy does not name");
        assert!(never(None, Dane::Unknown("SERVFAIL".into())), "an answer that somebody may have held back");
    }

    #[test]
    fn records_name_a_certificate_or_its_key() {
        let (certificate, key) = (b"certificate".as_slice(), b"key".as_slice());
        for (selector, matching, data) in [
            (0, 0, certificate.to_vec()),
            (1, 0, key.to_vec()),
            (0, 1, Sha256::digest(certificate).to_vec()),
            (1, 1, Sha256::digest(key).to_vec()),
            (0, 2, Sha512::digest(certificate).to_vec()),
            (1, 2, Sha512::digest(key).to_vec()),
        ] {
            let record = tlsa(3, selector, matching, data);
            assert!(record.is_usable() && record.names(certificate, key), "{selector} {matching}");
            assert!(!record.names(b"another", b"one"), "{selector} {matching}");
        }
    }

    #[test]
    fn what_mail_cannot_use_is_laid_aside() {
        for record in [
            tlsa(0, 0, 1, vec![1; 32]), // signed by an authority of the web's: mail knows none
            tlsa(1, 0, 1, vec![1; 32]),
            tlsa(3, 9, 1, vec![1; 32]),
            tlsa(3, 1, 9, vec![1; 32]),
            tlsa(3, 1, 1, vec![1; 31]), // cut off
            tlsa(3, 1, 2, vec![1; 32]),
            tlsa(2, 0, 0, vec![]),
        ] {
            assert_eq!(Dane::of(vec![record.clone()]), Dane::Unusable, "{record:?}");
        }
        assert_eq!(Dane::of(vec![]), Dane::None);
    }
}

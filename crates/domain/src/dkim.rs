//! A key that signs mail (DKIM, RFC 6376), without its secret; and the states that it passes through.

use crate::{DkimKeyId, RecordState, SendingDomainId};
use chrono::{DateTime, TimeDelta, Utc};

/// How long the record of a key stays needed after the last message was signed with it: mail servers try for five
/// days, and some verify late.
pub const OVERLAP: TimeDelta = TimeDelta::days(7);

/// A key that signs mail of one domain, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimKey {
    /// Its identity.
    pub id: DkimKeyId,
    /// The domain it signs for.
    pub domain: SendingDomainId,
    /// Under which name below the domain its record is found: `<selector>._domainkey.<domain>`.
    pub selector: String,
    /// How it signs.
    pub algorithm: KeyAlgorithm,
    /// The public key in base64, as `p=` has it: a `SubjectPublicKeyInfo` of an RSA key, the bare 32 octets of an
    /// Ed25519 key (RFC 8463 §4).
    pub public: String,
    /// Where it stands.
    pub state: KeyState,
    /// When it was made.
    pub made: DateTime<Utc>,
    /// When its record was looked for last, and what was there.
    pub checked: Option<(DateTime<Utc>, RecordState)>,
}

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyAlgorithm {
    /// RSA with 2048 bits: every receiver can verify it.
    Rsa2048,
    /// Ed25519 (RFC 8463): short and quick; not every receiver can verify it, so it goes beside RSA.
    Ed25519,
}

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Made; its record has not been seen in DNS, so nothing is signed with it yet.
    Waiting,
    /// Mail is signed with it.
    Active {
        /// Since when.
        since: DateTime<Utc>,
    },
    /// Nothing more is signed with it. Its record must stay, for mail that is still on its way.
    Retiring {
        /// Since when.
        since: DateTime<Utc>,
        /// Until when its record is needed.
        until: DateTime<Utc>,
    },
    /// Over: its record may be removed, its secret is gone.
    Retired {
        /// Since when.
        since: DateTime<Utc>,
    },
}

/// A move that makes no sense in a key's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key that is {0} cannot do that; look at the page again, somebody may have been faster")]
pub struct KeyNotNow(pub &'static str);

impl DkimKey {
    /// The name of its record, for `domain`: `<selector>._domainkey.<domain>`, without a dot at the end.
    #[must_use]
    pub fn record_name(&self, domain: &str) -> String {
        format!("{}._domainkey.{domain}", self.selector)
    }

    /// What its TXT record says (RFC 6376 §3.6.1).
    #[must_use]
    pub fn record_value(&self) -> String {
        format!("v=DKIM1; k={}; p={}", self.algorithm.tag(), self.public)
    }

    /// The same in the strings of a TXT record, none of which is longer than 255 octets (RFC 1035 §3.3.14): a
    /// receiver joins them without a blank.
    #[must_use]
    pub fn record_strings(&self) -> Vec<String> {
        let value = self.record_value();
        // It is ASCII throughout.
        value.as_bytes().chunks(255).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
    }

    /// Whether its record is to be looked for: every minute while it is waited for, every ten minutes while mail is
    /// signed with it, later not any more.
    #[must_use]
    pub fn wants_a_look(&self, now: DateTime<Utc>) -> bool {
        let every = match self.state {
            KeyState::Waiting => TimeDelta::minutes(1),
            KeyState::Active { .. } => TimeDelta::minutes(10),
            KeyState::Retiring { .. } | KeyState::Retired { .. } => return false,
        };
        // A time to come was noted before the clock was put back.
        self.checked.as_ref().is_none_or(|(at, _)| *at > now || now - *at >= every)
    }
}

impl KeyAlgorithm {
    /// All of them; the one that every receiver knows first.
    pub const ALL: [Self; 2] = [Self::Rsa2048, Self::Ed25519];

    /// The name: `rsa-2048`, `ed25519`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Ed25519 => "ed25519",
        }
    }

    /// The one called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// The name for people: `RSA, 2048 bits`.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA, 2048 bits",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// What `k=` says in the record.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }

    /// A selector for a key that is made on the day of `now`, the `number`th one of that day counted from 0:
    /// `rsa-20261126`, `rsa-20261126-2`.
    #[must_use]
    pub fn selector(self, now: DateTime<Utc>, number: usize) -> String {
        let (tag, day) = (self.tag(), now.format("%Y%m%d"));
        if number == 0 { format!("{tag}-{day}") } else { format!("{tag}-{day}-{}", number + 1) }
    }
}

impl KeyState {
    /// The name: `waiting`, `active`, `retiring`, `retired`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active { .. } => "active",
            Self::Retiring { .. } => "retiring",
            Self::Retired { .. } => "retired",
        }
    }

    /// Its record was seen: mail is signed with it from now on.
    ///
    /// # Errors
    /// [`KeyNotNow`] unless it waits.
    pub fn seen(self, now: DateTime<Utc>) -> Result<Self, KeyNotNow> {
        match self {
            Self::Waiting => Ok(Self::Active { since: now }),
            _ => Err(KeyNotNow(self.as_str())),
        }
    }

    /// Another key takes its place, or mail is not to be signed any more; for [`OVERLAP`] its record stays needed.
    ///
    /// # Errors
    /// [`KeyNotNow`] unless mail is signed with it.
    pub fn replaced(self, now: DateTime<Utc>) -> Result<Self, KeyNotNow> {
        match self {
            Self::Active { .. } => Ok(Self::Retiring { since: now, until: now + OVERLAP }),
            _ => Err(KeyNotNow(self.as_str())),
        }
    }

    /// It is over: its time is up, or it never came to sign.
    ///
    /// # Errors
    /// [`KeyNotNow`] while mail that was signed with it may be on its way.
    pub fn over(self, now: DateTime<Utc>) -> Result<Self, KeyNotNow> {
        match self {
            Self::Waiting => Ok(Self::Retired { since: now }),
            Self::Retiring { until, .. } if until <= now => Ok(Self::Retired { since: now }),
            Self::Active { .. } | Self::Retiring { .. } | Self::Retired { .. } => Err(KeyNotNow(self.as_str())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000 + days)
    }

    fn key(algorithm: KeyAlgorithm, public: String) -> DkimKey {
        DkimKey {
            id: DkimKeyId(1),
            domain: SendingDomainId(1),
            selector: algorithm.selector(at(0), 0),
            algorithm,
            public,
            state: KeyState::Waiting,
            made: at(0),
            checked: None,
        }
    }

    #[test]
    fn a_key_goes_one_way() {
        let waiting = KeyState::Waiting;
        let active = waiting.seen(at(1)).unwrap();
        assert_eq!(active, KeyState::Active { since: at(1) });
        let retiring = active.replaced(at(2)).unwrap();
        assert_eq!(retiring, KeyState::Retiring { since: at(2), until: at(9) });
        assert_eq!(retiring.over(at(8)), Err(KeyNotNow("retiring")), "mail may be on its way");
        let retired = retiring.over(at(9)).unwrap();
        assert_eq!(retired, KeyState::Retired { since: at(9) });
        for (state, what) in [(active, "active"), (retiring, "retiring"), (retired, "retired")] {
            assert_eq!(state.seen(at(10)), Err(KeyNotNow(what)));
        }
        for state in [waiting, retiring, retired] {
            assert!(state.replaced(at(10)).is_err());
        }
        assert_eq!(waiting.over(at(3)), Ok(KeyState::Retired { since: at(3) }), "it never signed");
        assert!(active.over(at(10)).is_err() && retired.over(at(10)).is_err());
    }

    #[test]
    fn a_record_is_in_strings_that_dns_takes() {
        let short = key(KeyAlgorithm::Ed25519, "A".repeat(44));
        assert_eq!(short.record_name("fernhill.example"), "ed25519-20241004._domainkey.fernhill.example");
        assert_eq!(short.record_strings(), [format!("v=DKIM1; k=ed25519; p={}", "A".repeat(44))]);
        let long = key(KeyAlgorithm::Rsa2048, "B".repeat(392));
        let strings = long.record_strings();
        assert_eq!(strings.iter().map(String::len).collect::<Vec<_>>(), [255, 155]);
        assert_eq!(strings.concat(), long.record_value());
    }

    #[test]
    fn what_is_waited_for_is_looked_for_more_often() {
        let minutes = TimeDelta::minutes;
        let looked = |state, ago| {
            let checked = Some((at(5) - ago, RecordState::Missing));
            DkimKey { state, checked, ..key(KeyAlgorithm::Rsa2048, String::new()) }.wants_a_look(at(5))
        };
        assert!(key(KeyAlgorithm::Rsa2048, String::new()).wants_a_look(at(0)));
        let active = KeyState::Active { since: at(0) };
        for (state, ago, expected) in [
            (KeyState::Waiting, minutes(1), true),
            (KeyState::Waiting, TimeDelta::seconds(59), false),
            (active, minutes(9), false),
            (active, minutes(10), true),
            (active, minutes(-10), true),
            (KeyState::Retiring { since: at(0), until: at(7) }, minutes(900), false),
            (KeyState::Retired { since: at(0) }, minutes(900), false),
        ] {
            assert_eq!(looked(state, ago), expected, "{state:?} {ago}");
        }
    }
}

//! The door for programs that tell what became of our mail: an address that nobody guesses, and a secret that signs what
//! comes by it.

use crate::Keys;
use crate::token::hmac;
use chrono::{DateTime, TimeDelta, Utc};
use data_encoding::{BASE32_NOPAD, BASE64};
use subtle::ConstantTimeEq;

/// How old what was signed may be, and how far ahead the clock of whoever signed it (Standard Webhooks).
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// The longest id of a request, in bytes.
const LONGEST_ID: usize = 256;

/// The door that a key of the installation opens. After a rotation the older ones stay open as long as their keys are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct EventDoor {
    name: String,
    secret: Vec<u8>,
}

impl std::fmt::Debug for EventDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventDoor(…)")
    }
}

/// How a request is signed: the three headers of Standard Webhooks 1.0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signature<'a> {
    /// `webhook-id`: the same when it is sent again.
    pub id: &'a str,
    /// `webhook-timestamp`: when it was signed, in seconds since 1970.
    pub timestamp: &'a str,
    /// `webhook-signature`: `v1,` and the HMAC-SHA256 in base64; several with blanks between them, of which one must fit.
    pub signatures: &'a str,
}

impl EventDoor {
    /// The one to give away: that of the key that signs.
    #[must_use]
    pub fn newest(keys: &Keys) -> Option<Self> {
        let (letter, key) = keys.first()?;
        Some(Self::of(letter, &key))
    }

    /// The one with this name; `None` where no key of ours has it.
    #[must_use]
    pub fn named(name: &str, keys: &Keys) -> Option<Self> {
        let letter = name.strip_prefix("e.")?.chars().next()?;
        let door = Self::of(letter, &keys.named(letter)?);
        bool::from(door.name.as_bytes().ct_eq(name.as_bytes())).then_some(door)
    }

    fn of(letter: char, key: &[u8]) -> Self {
        let name = BASE32_NOPAD.encode(&hmac(key, &[&b"rbe1 name"[..]])[..16]).to_ascii_lowercase();
        Self { name: format!("e.{letter}.{name}"), secret: hmac(key, &[&b"rbe1 secret"[..]]).to_vec() }
    }

    /// The last part of its address.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What requests are signed with: `whsec_` and base64, as libraries for Standard Webhooks take it.
    #[must_use]
    pub fn secret(&self) -> String {
        format!("whsec_{}", BASE64.encode(&self.secret))
    }

    /// The signature of a request with `body`, as `webhook-signature` holds it.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        format!("v1,{}", BASE64.encode(&self.mac(id, timestamp, body)))
    }

    /// Whether whoever has the secret signed `body`, and did so just now.
    #[must_use]
    pub fn lets_in(&self, signature: &Signature<'_>, body: &[u8], now: DateTime<Utc>) -> bool {
        let Ok(seconds) = signature.timestamp.parse::<i64>() else { return false };
        let age = now.timestamp().saturating_sub(seconds).unsigned_abs();
        let is_fresh = age <= TOLERANCE.num_seconds().unsigned_abs();
        if !is_fresh || signature.id.is_empty() || signature.id.len() > LONGEST_ID {
            return false;
        }
        let expected = self.mac(signature.id, signature.timestamp, body);
        let given = signature.signatures.split(' ').take(10).filter_map(|one| one.strip_prefix("v1,"));
        given.filter_map(|one| BASE64.decode(one.as_bytes()).ok()).any(|one| expected[..].ct_eq(&one).into())
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
        hmac(&self.secret, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"kind":"delivered"}"#;

    fn keys() -> Keys {
        Keys::new(('b', b"a newer key".to_vec()), vec![('a', b"a key for tests".to_vec())])
    }

    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        let door = EventDoor { name: String::new(), secret: b"rebound-svix-secret-24byte".to_vec() };
        assert_eq!(door.secret(), "whsec_cmVib3VuZC1zdml4LXNlY3JldC0yNGJ5dGU=");
        let body = br#"{"type":"email.bounced","created_at":"2026-01-15T10:00:00.000Z","data":{"email_id":"e1"}}"#;
        let expected = "v1,BhmHfbxzLjb+oJp+SsT170lflVeayu07GDk/tVqL7h8=";
        assert_eq!(door.sign("msg_2rebound", "1750000000", body), expected);
    }

    #[test]
    fn only_whoever_has_the_secret_comes_in_and_only_now() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(1_750_000_000);
        let door = EventDoor::newest(&keys()).unwrap();
        let signed = door.sign("1", "1750000000", BODY);
        let with = |id, timestamp, signatures| Signature { id, timestamp, signatures };
        let good = with("1", "1750000000", &*signed);
        assert!(door.lets_in(&good, BODY, now));
        let two = format!("v1,AAAA v2,x {signed}");
        assert!(door.lets_in(&with("1", "1750000000", &two), BODY, now), "one of several fits");
        for seconds in [-300, 300] {
            assert!(door.lets_in(&good, BODY, now + TimeDelta::seconds(seconds)));
            assert!(!door.lets_in(&good, BODY, now + TimeDelta::seconds(seconds + seconds.signum())));
        }
        for at in 0..BODY.len() {
            let mut body = BODY.to_vec();
            body[at] ^= 1;
            assert!(!door.lets_in(&good, &body, now));
        }
        for at in 3..signed.len() {
            let mut other = signed.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            let forged = Signature { id: "1", timestamp: "1750000000", signatures: &other };
            assert!(!door.lets_in(&forged, BODY, now), "{other}");
        }
        let long = "1".repeat(300);
        let of_long = door.sign(&long, "1750000000", BODY);
        for bad in [
            Signature::default(),
            with("2", "1750000000", &signed),
            with("1", "1750000001", &signed),
            with("1", "x", &signed),
            with("1", "-9223372036854775808", &signed),
            with("1", "1750000000", ""),
            with("1", "1750000000", &signed[3..]),
            with(&long, "1750000000", &of_long),
        ] {
            assert!(!door.lets_in(&bad, BODY, now), "{bad:?}");
        }
    }

    #[test]
    fn a_door_is_known_by_its_whole_name_also_after_a_rotation() {
        let (new, old) = (EventDoor::newest(&keys()).unwrap(), Keys::new(('a', b"a key for tests".to_vec()), vec![]));
        let old = EventDoor::newest(&old).unwrap();
        assert!(new.name().starts_with("e.b.") && new.name().len() == 30 && new.secret() != old.secret());
        for door in [&new, &old] {
            assert_eq!(EventDoor::named(door.name(), &keys()).as_ref(), Some(door));
        }
        for name in ["", "e.", "e.b", "e.b.", "e.c.aaaa", &new.name()[..29], &new.name().to_uppercase(), "e.é.x"] {
            assert_eq!(EventDoor::named(name, &keys()), None, "{name}");
        }
        assert_eq!(format!("{new:?}"), "EventDoor(…)");
    }
}

//! Names that come back to us from outside, signed so that they can be trusted.

use crate::DeliveryId;
use chrono::{DateTime, Utc};
use data_encoding::{BASE32_NOPAD, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use subtle::ConstantTimeEq;

/// How long bounces are taken for, in days.
pub const RETURN_PATH_DAYS: u16 = 45;

/// The keys that sign: the first signs, all of them verify.
///
/// Clones share them: when the keys of an installation are rotated ([`Keys::replace`]), all parts follow at once.
#[derive(Clone)]
pub struct Keys(Arc<RwLock<Vec<Named>>>);

/// A letter, and the key that it names.
type Named = (char, Vec<u8>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Keys {
    /// Keys named by one letter each; the first one signs.
    #[must_use]
    pub fn new(first: (char, Vec<u8>), older: Vec<(char, Vec<u8>)>) -> Self {
        Self(Arc::new(RwLock::new(std::iter::once(first).chain(older).collect())))
    }

    /// The names, the signing one first. They are no secret.
    #[must_use]
    pub fn names(&self) -> Vec<char> {
        self.read().iter().map(|(name, _)| *name).collect()
    }

    /// Goes on with `newer` keys, here and in all clones.
    pub fn replace(&self, newer: &Self) {
        let newer = newer.read().clone();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = newer;
    }

    /// The one that signs.
    pub(crate) fn first(&self) -> Option<(char, Vec<u8>)> {
        self.read().first().cloned()
    }

    /// The one called `id`.
    pub(crate) fn named(&self, id: char) -> Option<Vec<u8>> {
        self.read().iter().find(|(name, _)| *name == id).map(|(_, key)| key.clone())
    }

    fn signing(&self) -> (char, Vec<u8>) {
        self.first().unwrap_or(('a', vec![]))
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Named>> {
        // The list is replaced in one step, so a panic elsewhere leaves it whole.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The local part of an envelope sender: it says which delivery, which attempt, until which day, and
/// proves that we wrote it.
///
/// `b.<key>.<id 64 bit>.<expiry day 16 bit>.<mac 80 bit>`, in lower-case base32, which survives hosts
/// that change case. The MAC is HMAC-SHA256 over `rbv1`, id and day (big-endian), cut to 80 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReturnPath {
    /// Which message to whom.
    pub delivery: DeliveryId,
    /// Which try, counted from 1; 0 where only the delivery is known. Tries that follow one which was refused in our own
    /// session have its number.
    pub attempt: u8,
}

impl ReturnPath {
    /// The signed local part, good for [`RETURN_PATH_DAYS`] from `now`.
    #[must_use]
    pub fn sign(self, keys: &Keys, now: DateTime<Utc>) -> String {
        let id = self.delivery.0.cast_unsigned() << 8 | u64::from(self.attempt);
        local_part(keys, id, day(now).saturating_add(RETURN_PATH_DAYS))
    }

    /// Reads a local part back; `None` unless we signed it and its day has not passed.
    #[must_use]
    pub fn verify(local: &str, keys: &Keys, now: DateTime<Utc>) -> Option<Self> {
        let local = local.to_ascii_lowercase();
        let mut parts = local.split('.');
        let (tag, key, id, expiry, mac) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let key_id = key.chars().next().filter(|_| tag == "b" && key.len() == 1 && parts.next().is_none())?;
        let id = u64::from_be_bytes(decode(id)?);
        let expiry = u16::from_be_bytes(decode(expiry)?);
        let expected = seal(&keys.named(key_id)?, b"rbv1", &[&id.to_be_bytes(), &expiry.to_be_bytes()]);
        let genuine: bool = expected.ct_eq(&decode::<10>(mac)?).into();
        let delivery = DeliveryId(i64::try_from(id >> 8).ok()?);
        (genuine && day(now) <= expiry).then_some(Self { delivery, attempt: (id & 0xff) as u8 })
    }
}

fn local_part(keys: &Keys, id: u64, expiry: u16) -> String {
    let (key_id, key) = keys.signing();
    let mac = seal(&key, b"rbv1", &[&id.to_be_bytes(), &expiry.to_be_bytes()]);
    let (id, day, mac) = (encode(&id.to_be_bytes()), encode(&expiry.to_be_bytes()), encode(&mac));
    format!("b.{key_id}.{id}.{day}.{mac}")
}

/// The signed name in an unsubscribe link: `u.<key>.<delivery>.<mac 80 bit>`. It does not expire, since
/// a wish to leave does not either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsubscribeLink(pub DeliveryId);

impl UnsubscribeLink {
    /// The signed token.
    #[must_use]
    pub fn sign(self, keys: &Keys) -> String {
        named(keys, 'u', b"rbu1", self.0)
    }

    /// Reads a token back; `None` unless we signed it.
    #[must_use]
    pub fn verify(token: &str, keys: &Keys) -> Option<Self> {
        read_named(token, keys, "u", b"rbu1").map(Self)
    }
}

/// The left side of a Message-ID: the same for every attempt of one delivery, and signed, so that a
/// returned copy of the message names its delivery even where the return path was rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageId(pub DeliveryId);

impl MessageId {
    /// The signed left side: `m.<key>.<delivery>.<mac 80 bit>`.
    #[must_use]
    pub fn sign(self, keys: &Keys) -> String {
        named(keys, 'm', b"rbm1", self.0)
    }

    /// Reads a Message-ID back, with or without angle brackets and right side; `None` unless we signed it.
    #[must_use]
    pub fn verify(text: &str, keys: &Keys) -> Option<Self> {
        let left = text.trim().trim_start_matches('<').split('@').next()?;
        read_named(left, keys, "m", b"rbm1").map(Self)
    }
}

/// The signed name in a link of a letter that is counted: which letter, and which of its links. Where that leads is kept
/// here and never read from the address. `c.<key>.<delivery 64 bit, link 16 bit>.<mac 80 bit>`; it does not expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedLink {
    /// Which letter.
    pub delivery: DeliveryId,
    /// Which of its campaign's links, counted from 1.
    pub link: u16,
}

impl CountedLink {
    /// The signed token.
    #[must_use]
    pub fn sign(self, keys: &Keys) -> String {
        let mut id = [0; 10];
        let (delivery, link) = id.split_at_mut(8);
        delivery.copy_from_slice(&self.delivery.0.to_be_bytes());
        link.copy_from_slice(&self.link.to_be_bytes());
        signed(keys, 'c', b"rbc1", &id)
    }

    /// Reads a token back; `None` unless we signed it.
    #[must_use]
    pub fn verify(token: &str, keys: &Keys) -> Option<Self> {
        let [a, b, c, d, e, f, g, h, link @ ..] = read_signed::<10>(token, keys, "c", b"rbc1")?;
        let delivery = DeliveryId(i64::from_be_bytes([a, b, c, d, e, f, g, h]));
        Some(Self { delivery, link: u16::from_be_bytes(link) })
    }
}

fn named(keys: &Keys, tag: char, domain: &[u8], delivery: DeliveryId) -> String {
    signed(keys, tag, domain, &delivery.0.to_be_bytes())
}

fn read_named(token: &str, keys: &Keys, tag: &str, domain: &[u8]) -> Option<DeliveryId> {
    read_signed(token, keys, tag, domain).map(|id| DeliveryId(i64::from_be_bytes(id)))
}

fn signed(keys: &Keys, tag: char, domain: &[u8], id: &[u8]) -> String {
    let (key_id, key) = keys.signing();
    format!("{tag}.{key_id}.{}.{}", encode(id), encode(&seal(&key, domain, &[id])))
}

fn read_signed<const N: usize>(token: &str, keys: &Keys, tag: &str, domain: &[u8]) -> Option<[u8; N]> {
    let token = token.to_ascii_lowercase();
    let mut parts = token.split('.');
    let (found, key, id, mac) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let key_id = key.chars().next().filter(|_| found == tag && key.len() == 1 && parts.next().is_none())?;
    let id = decode::<N>(id)?;
    let expected = seal(&keys.named(key_id)?, domain, &[&id]);
    let genuine: bool = expected.ct_eq(&decode::<10>(mac)?).into();
    genuine.then_some(id)
}

fn seal(key: &[u8], domain: &[u8], parts: &[&[u8]]) -> [u8; 10] {
    let mut cut = [0; 10];
    let whole = hmac(key, std::iter::once(&domain).chain(parts));
    cut.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
    cut
}

/// HMAC-SHA256 over `parts`, one behind the other.
pub(crate) fn hmac<'a>(key: &[u8], parts: impl IntoIterator<Item = &'a &'a [u8]>) -> [u8; 32] {
    // HMAC takes keys of any length, so this cannot fail; one of zeros alone would verify nothing signed.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    parts.into_iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn day(now: DateTime<Utc>) -> u16 {
    u16::try_from(now.timestamp().div_euclid(86_400)).unwrap_or(u16::MAX)
}

const BASE32: Encoding = BASE32_NOPAD;

fn encode(bytes: &[u8]) -> String {
    BASE32.encode(bytes).to_ascii_lowercase()
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE32.decode(text.to_ascii_uppercase().as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CampaignId;
    use chrono::TimeDelta;

    fn keys() -> Keys {
        Keys::new(('a', b"rebound-verp-key-0001".to_vec()), vec![])
    }

    #[test]
    fn the_written_form_stays_as_it_is() {
        assert_eq!(local_part(&keys(), 0x018f_2a3b_4c5d, 20_468), "b.a.aaaaddzkhngf2.j72a.lgu7uh5n3khcctoh");
    }

    #[test]
    fn what_we_signed_comes_back_and_nothing_else_does() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let path = ReturnPath { delivery: DeliveryId::new(CampaignId(41), 7).unwrap(), attempt: 3 };
        let local = path.sign(&keys(), now);
        assert_eq!(local.len(), 39);
        assert_eq!(ReturnPath::verify(&local.to_uppercase(), &keys(), now), Some(path));
        assert_eq!(ReturnPath::verify(&local, &keys(), now + TimeDelta::days(45)), Some(path));
        assert_eq!(ReturnPath::verify(&local, &keys(), now + TimeDelta::days(46)), None);
        for (i, c) in local.char_indices().skip(4).filter(|(_, c)| *c != '.') {
            let mut other = local.clone();
            other.replace_range(i..=i, if c == 'a' { "b" } else { "a" });
            assert_eq!(ReturnPath::verify(&other, &keys(), now), None, "{other}");
        }
        let rotated = Keys::new(('b', b"new".to_vec()), vec![('a', b"rebound-verp-key-0001".to_vec())]);
        assert_eq!(ReturnPath::verify(&local, &rotated, now), Some(path));
        let before = keys();
        let shared = before.clone();
        shared.replace(&rotated);
        assert_eq!(before.names(), ['b', 'a'], "clones follow");
        for junk in ["", "b", "b....", "b.a.b.c.d", "ada", "b.é.b.c.d", &"b.".repeat(500)] {
            assert_eq!(ReturnPath::verify(junk, &keys(), now), None);
        }
    }

    #[test]
    fn links_and_message_ids_are_not_each_other() {
        let delivery = DeliveryId::new(CampaignId(41), 7).unwrap();
        let link = UnsubscribeLink(delivery).sign(&keys());
        let id = MessageId(delivery).sign(&keys());
        assert_eq!(UnsubscribeLink::verify(&link, &keys()), Some(UnsubscribeLink(delivery)));
        assert_eq!(MessageId::verify(&format!("<{id}@news.example>"), &keys()), Some(MessageId(delivery)));
        assert_eq!(UnsubscribeLink::verify(&id.replacen('m', "u", 1), &keys()), None);
        assert_eq!(MessageId::verify(&link, &keys()), None);
        let counted = CountedLink { delivery, link: 3 };
        let token = counted.sign(&keys());
        assert_eq!(token, "c.a.aaaaafeaaaaaoaad.lgqsw5lryzwa4teh");
        assert_eq!(CountedLink::verify(&token.to_uppercase(), &keys()), Some(counted));
        let (_, seal) = token.rsplit_once('.').unwrap();
        let other = CountedLink { link: 4, ..counted }.sign(&keys());
        let (claim, _) = other.rsplit_once('.').unwrap();
        for other in [format!("{claim}.{seal}"), link.replacen('u', "c", 1), token.replacen('c', "u", 1), id] {
            assert_eq!(CountedLink::verify(&other, &keys()), None, "{other}");
        }
    }
}

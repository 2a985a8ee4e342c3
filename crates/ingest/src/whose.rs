//! Whose delivery a report is about, and how well that is known.

use chrono::{DateTime, Utc};
use rebound_classify::Original;
use rebound_db::inbox::Arrived;
use rebound_domain::{Grade, Keys, MessageId, ReturnPath};

/// The delivery that `arrived` names by something that only we can have written; `None` when it names none.
///
/// It counts when it arrived, not when it is read: a return path does not go stale in the inbox.
pub(crate) fn whose(arrived: &Arrived, original: &Original, keys: &Keys) -> Option<(ReturnPath, Grade)> {
    let now = arrived.received;
    let to_us = return_path(&arrived.recipient, keys, now).map(|path| (path, Grade::Ours));
    to_us.or_else(|| returned(original, keys, now).map(|path| (path, Grade::Returned)))
}

/// The signed names in what came back of our message. The return path is best, as it knows the attempt.
fn returned(original: &Original, keys: &Keys, now: DateTime<Utc>) -> Option<ReturnPath> {
    let headers = original.headers.iter().filter(|(name, _)| name.starts_with("x-rebound")).map(|(_, value)| value);
    let names = || original.return_path.iter().chain(headers.clone()).chain(&original.message_id);
    names().find_map(|name| return_path(name, keys, now)).or_else(|| names().find_map(|name| message_id(name, keys)))
}

pub(crate) fn return_path(address: &str, keys: &Keys, now: DateTime<Utc>) -> Option<ReturnPath> {
    let local = address.trim().trim_start_matches('<').split('@').next()?;
    ReturnPath::verify(local, keys, now)
}

pub(crate) fn message_id(text: &str, keys: &Keys) -> Option<ReturnPath> {
    MessageId::verify(text, keys).map(|MessageId(delivery)| ReturnPath { delivery, attempt: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use rebound_domain::{CampaignId, DeliveryId};

    #[test]
    fn only_what_we_signed_says_whose_it_is() {
        let (keys, now) = (Keys::new(('a', b"key".to_vec()), vec![]), DateTime::UNIX_EPOCH);
        let others = Keys::new(('a', b"another key".to_vec()), vec![]);
        let path = ReturnPath { delivery: DeliveryId::new(CampaignId(1), 7).unwrap(), attempt: 2 };
        let unknown_try = ReturnPath { attempt: 0, ..path };
        let address = |keys: &Keys| format!("{}@bounce.example", path.sign(keys, now));
        let id = |keys: &Keys| format!("{}@news.example", MessageId(path.delivery).sign(keys));
        let original = |message_id: String| Original { message_id: Some(message_id), ..Original::default() };
        let returned = Original { return_path: Some(address(&keys)), ..original(id(&keys)) };
        let header = Original { headers: vec![("x-rebound-id".to_owned(), id(&keys))], ..Original::default() };

        for (recipient, original, days, expected) in [
            (address(&keys), original(id(&keys)), 0, Some((path, Grade::Ours))),
            (address(&keys).to_uppercase(), Original::default(), 45, Some((path, Grade::Ours))),
            (address(&keys), Original::default(), 46, None),
            (address(&others), Original::default(), 0, None),
            ("bounces@example.com".to_owned(), returned, 0, Some((path, Grade::Returned))),
            (String::new(), original(id(&keys)), 400, Some((unknown_try, Grade::Returned))),
            (String::new(), header, 0, Some((unknown_try, Grade::Returned))),
            (String::new(), original(id(&others)), 0, None),
            (String::new(), original("m.a.aaaa.aaaa@news.example".to_owned()), 0, None),
        ] {
            let received = now + TimeDelta::days(days);
            let (source, mail_from, raw) = ("smtp".to_owned(), String::new(), vec![]);
            let arrived = Arrived { received, source, mail_from, recipient, raw };
            assert_eq!(whose(&arrived, &original, &keys), expected, "{arrived:?} {original:?}");
        }
    }
}

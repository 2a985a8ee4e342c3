//! A receiver: it verifies signatures with the public keys that it is told, and asks nobody.

use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};
use rebound_domain::DkimKey;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// DNS, as far as it is known; nothing else is asked.
#[derive(Default)]
pub(crate) struct Records(HashMap<Box<str>, Txt>);

impl Records {
    pub(crate) fn of<'a>(keys: impl IntoIterator<Item = &'a DkimKey>) -> Self {
        let entry = |key: &DkimKey| {
            let record = DomainKey::parse(key.record_value().as_bytes()).unwrap();
            let name = format!("{}.", key.record_name("fernhill.example"));
            (name.into_boxed_str(), Txt::DomainKey(Arc::new(record)))
        };
        Self(keys.into_iter().map(entry).collect())
    }
}

impl ResolverCache<Box<str>, Txt> for Records {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.get(name).cloned()
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: std::time::Instant) {}
}

/// What a receiver makes of each signature of `message`.
pub(crate) async fn verified(message: &[u8], records: &Records) -> Vec<DkimResult> {
    let nobody = MessageAuthenticator::new(ResolverConfig::default(), ResolverOpts::default()).unwrap();
    let message = AuthenticatedMessage::parse(message).unwrap();
    let found = nobody.verify_dkim(Parameters::new(&message).with_txt_cache(records)).await;
    found.iter().map(|one| one.result().clone()).collect()
}

/// How many of them verify.
pub(crate) fn passes(results: &[DkimResult]) -> usize {
    results.iter().filter(|result| **result == DkimResult::Pass).count()
}

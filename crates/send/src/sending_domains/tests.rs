//! Sending domains from their first key to their last, with a name server that says what the test wants.

use super::*;
use crate::dns::pretend::{self, Records};
use chrono::TimeDelta;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::TXT;
use rebound_domain::{DkimKey, RecordState};
use std::net::SocketAddr;
use tempfile::TempDir;

const ME: &str = "ines@fernhill.example";

struct World {
    db: Pool,
    keys: Keys,
    records: Records,
    names: SocketAddr,
    id: SendingDomainId,
    _folder: TempDir,
}

fn at(days: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000 + days)
}

fn by(days: i64) -> By<'static> {
    By { actor: ME, now: at(days) }
}

fn from() -> EmailAddress {
    "news@fernhill.example".parse().unwrap()
}

impl World {
    /// A domain that was just added; DNS knows nothing of it.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = rebound_db::temporary(folder.path()).await.unwrap();
        let keys = Keys::new(('a', b"a key of 32 bytes, kept in a file".to_vec()), vec![]);
        let records = Records::default();
        let names = pretend::names(Arc::clone(&records)).await;
        let name = "fernhill.example".parse().unwrap();
        let id = add(&db, &keys, (&name, Alignment::Relaxed), by(0)).await.unwrap();
        Self { db, keys, records, names, id, _folder: folder }
    }

    async fn all(&self) -> Vec<DkimKey> {
        dkim_keys::of(&self.db, self.id).await.unwrap().into_iter().map(|kept| kept.key).rev().collect()
    }

    async fn states(&self) -> Vec<&'static str> {
        self.all().await.iter().map(|key| key.state.as_str()).collect()
    }

    fn publish(&self, key: &DkimKey, value: &str) {
        let strings = value.as_bytes().chunks(255).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        let data = RData::TXT(TXT::new(strings));
        self.records.lock().unwrap().push((format!("{}.", key.record_name("fernhill.example")), data));
    }

    async fn publish_all(&self) {
        self.records.lock().unwrap().clear();
        for key in self.all().await {
            self.publish(&key, &key.record_value());
        }
    }

    async fn check(&self, days: i64) {
        check(&self.db, self.id, Some(self.names), by(days)).await.unwrap();
    }

    async fn signs_with(&self) -> Vec<String> {
        let signer = signer(&self.db, &self.keys, &from()).await.unwrap();
        signer.map_or_else(Vec::new, |signer| signer.selectors().map(str::to_owned).collect())
    }

    /// What was done to keys and domains, and who did it; not who looked.
    async fn log(&self) -> Vec<(String, String)> {
        let mut log = events::newest(&self.db, None, 100).await.unwrap();
        log.reverse();
        log.retain(|entry| entry.kind != "domain.checked");
        log.into_iter().map(|entry| (entry.kind, entry.actor)).collect()
    }
}

#[tokio::test]
async fn a_key_signs_when_its_record_is_seen() {
    let world = World::new().await;
    assert_eq!(world.states().await, ["waiting", "waiting"]);
    assert!(world.signs_with().await.is_empty(), "no record was seen");
    world.check(1).await;
    let keys = world.all().await;
    assert!(keys.iter().all(|key| key.checked == Some((at(1), RecordState::Missing))), "{keys:?}");

    // One is pasted well, the other one under the wrong name.
    let [rsa, edwards] = [keys[0].clone(), keys[1].clone()];
    world.publish(&rsa, &rsa.record_value());
    world.publish(&edwards, &rsa.record_value());
    world.check(2).await;
    assert_eq!(world.states().await, ["active", "waiting"]);
    assert_eq!(world.all().await[1].checked, Some((at(2), RecordState::Other)));
    assert_eq!(world.signs_with().await, [rsa.selector.as_str()]);

    world.publish_all().await;
    world.check(3).await;
    assert_eq!(world.signs_with().await, [rsa.selector.as_str(), &edwards.selector]);
    // It is taken away later: mail is still signed, and the page says what is wrong.
    world.records.lock().unwrap().clear();
    world.check(4).await;
    assert_eq!(world.states().await, ["active", "active"]);
    assert_eq!(world.all().await[0].checked, Some((at(4), RecordState::Missing)));
    let sub: EmailAddress = "hello@shop.fernhill.example".parse().unwrap();
    assert_eq!(signer(&world.db, &world.keys, &sub).await.unwrap().unwrap().domain().as_str(), "fernhill.example");
    align(&world.db, world.id, Alignment::Strict, by(5)).await.unwrap();
    assert!(signer(&world.db, &world.keys, &sub).await.unwrap().is_none());
    let log = world.log().await;
    let kinds: Vec<&str> = log.iter().map(|(kind, _)| kind.as_str()).collect();
    let expected = ["domain.added", "dkim.made", "dkim.made", "dkim.activated", "dkim.activated", "domain.aligned"];
    assert_eq!(kinds, expected);
    assert!(log.iter().all(|(_, actor)| actor == ME));
}

#[tokio::test]
async fn a_rotation_overlaps_and_ends_by_itself() {
    let world = World::new().await;
    world.publish_all().await;
    world.check(0).await;
    let old = world.signs_with().await;
    rotate(&world.db, &world.keys, world.id, by(30)).await.unwrap();
    let again = rotate(&world.db, &world.keys, world.id, by(30)).await;
    assert!(matches!(again, Err(DomainError::Waiting)));
    let look = async |time| look_at_keys(&world.db, Some(world.names), time).await.unwrap();
    look(at(30)).await;
    assert_eq!(world.states().await, ["active", "active", "waiting", "waiting"]);
    assert_eq!(world.signs_with().await, old, "nothing changes before the records are seen");

    world.publish_all().await;
    look(at(30) + TimeDelta::seconds(59)).await;
    assert_eq!(world.signs_with().await, old, "it was looked for just now");
    look(at(31)).await;
    assert_eq!(world.states().await, ["retiring", "retiring", "active", "active"]);
    let new = world.signs_with().await;
    assert!(new.len() == 2 && new.iter().all(|selector| !old.contains(selector)), "{new:?}");
    let retiring = world.all().await[0].clone();
    assert_eq!(retiring.state, KeyState::Retiring { since: at(31), until: at(38) });
    let early = retire(&world.db, retiring.id, by(37)).await;
    assert!(matches!(early, Err(DomainError::NotNow(_))), "mail may be on its way");

    look(at(37)).await;
    assert_eq!(world.states().await, ["retiring", "retiring", "active", "active"]);
    look(at(38)).await;
    assert_eq!(world.states().await, ["retired", "retired", "active", "active"]);
    let kept = dkim_keys::of(&world.db, world.id).await.unwrap();
    assert_eq!(kept.iter().map(|kept| kept.sealed.is_empty()).collect::<Vec<_>>(), [false, false, true, true]);
    let log = world.log().await;
    let by_itself = log.iter().filter(|(_, actor)| actor == SELF).map(|(kind, _)| kind.as_str());
    let expected =
        ["dkim.retiring", "dkim.activated", "dkim.retiring", "dkim.activated", "dkim.retired", "dkim.retired"];
    assert_eq!(by_itself.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn keys_are_made_anew_on_the_same_day_and_withdrawn() {
    let world = World::new().await;
    for key in world.all().await {
        retire(&world.db, key.id, by(0)).await.unwrap();
    }
    assert_eq!(world.states().await, ["retired", "retired"]);
    rotate(&world.db, &world.keys, world.id, by(0)).await.unwrap();
    let selectors: Vec<String> = world.all().await.into_iter().map(|key| key.selector).collect();
    assert_eq!(selectors, ["rsa-20241004", "ed25519-20241004", "rsa-20241004-2", "ed25519-20241004-2"]);
    world.publish_all().await;
    world.check(1).await;
    assert_eq!(world.states().await, ["retired", "retired", "active", "active"]);
    for key in world.all().await.into_iter().skip(2) {
        retire(&world.db, key.id, by(2)).await.unwrap();
    }
    assert!(world.signs_with().await.is_empty(), "mail goes unsigned from now on");
    remove(&world.db, world.id, by(3)).await.unwrap();
    assert!(matches!(remove(&world.db, world.id, by(3)).await, Err(DomainError::Unknown)));
}

#[tokio::test]
async fn what_a_name_server_does_not_say_changes_nothing() {
    let world = World::new().await;
    let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
    check(&world.db, world.id, Some(nobody), by(1)).await.unwrap();
    assert_eq!(world.states().await, ["waiting", "waiting"]);
    let found = world.all().await[0].checked.clone().unwrap().1;
    assert_eq!(found.as_str(), "unknown", "{found:?}");
}

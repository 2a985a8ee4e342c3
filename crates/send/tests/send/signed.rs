//! Mail that is signed: from keys that the database keeps sealed to what a receiver verifies, on both engines.

use crate::campaigns::{campaign, furnish, in_state, sender, until, work_as};
use crate::receiver::{Records, passes, verified};
use crate::relay::{self, Relayed};
use chrono::Utc;
use rebound_db::{Pool, campaigns, contacts, dkim_keys};
use rebound_domain::{
    Alignment, CampaignId, CampaignState, DkimKey, Draft, EmailAddress, Keys, SendingDomainId, unseal,
};
use rebound_send::sending_domains::{self, By, DomainError};
use rebound_send::servers;
use tempfile::TempDir;

const ME: &str = "ines@fernhill.example";

/// Ten people, a draft to them, and its sender's domain with keys whose records nobody has seen.
struct House {
    db: Pool,
    url: String,
    draft: CampaignId,
    domain: SendingDomainId,
    keys: Keys,
    _folder: TempDir,
}

impl House {
    async fn furnished(db: Pool, url: String, folder: TempDir) -> Self {
        let draft = furnish(&db).await;
        let keys = sender().keys;
        let name = "fernhill.example".parse().unwrap();
        let domain = sending_domains::add(&db, &keys, (&name, Alignment::Relaxed), by()).await.unwrap();
        Self { db, url, draft, domain, keys, _folder: folder }
    }

    async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = rebound_db::temporary(folder.path()).await.unwrap();
        let url = format!("sqlite:{}", folder.path().join("worker.db").display());
        Self::furnished(db, url, folder).await
    }

    async fn on_postgres() -> Self {
        let url = crate::postgres::empty();
        let db = rebound_db::connect(&url).await.unwrap();
        rebound_db::migrate(&db).await.unwrap();
        Self::furnished(db, url, tempfile::tempdir().unwrap()).await
    }

    async fn all(&self) -> Vec<DkimKey> {
        dkim_keys::of(&self.db, self.domain).await.unwrap().into_iter().map(|kept| kept.key).collect()
    }

    async fn activate_all(&self) {
        for key in self.all().await {
            if key.state.as_str() == "waiting" {
                sending_domains::activate(&self.db, key.id, by()).await.unwrap();
            }
        }
    }

    async fn another(&self, name: &str) -> CampaignId {
        let draft = Draft { name: name.into(), ..campaign(&self.db, self.draft).await.draft };
        campaigns::create(&self.db, &draft, Utc::now()).await.unwrap()
    }

    async fn sent(&self, id: CampaignId) {
        rebound_send::launch(&self.db, id, &sender(), ME, Utc::now()).await.unwrap();
        until("the end of the campaign", async || in_state(&self.db, id, CampaignState::Sent).await).await;
    }
}

fn by() -> By<'static> {
    By { actor: ME, now: Utc::now() }
}

/// What the relay took since it was `before`, as a receiver gets it: dots are not doubled any more.
fn since(relay: &Relayed, before: usize) -> Vec<String> {
    relay.messages().into_iter().skip(before).map(|text| text.replace("\r\n..", "\r\n.")).collect()
}

async fn assert_verified(messages: &[String], keys: &[DkimKey], signatures: usize) {
    let records = Records::of(keys);
    for message in messages {
        let results = verified(message.as_bytes(), &records).await;
        assert_eq!((passes(&results), results.len()), (signatures, signatures), "{results:?} {message}");
    }
}

#[tokio::test]
async fn mail_is_signed_as_soon_as_its_keys_are_seen() {
    for house in [House::on_sqlite().await, House::on_postgres().await] {
        let relay = relay::start(&[]).await;
        let (stop, worker) = work_as(&house.db, house.url.clone(), &relay, sender());
        house.sent(house.draft).await;
        assert_verified(&since(&relay, 0), &[], 0).await;

        // The same worker goes on.
        house.activate_all().await;
        let old = house.all().await;
        house.sent(house.another("Summer").await).await;
        let summer = since(&relay, 10);
        assert_eq!(summer.len(), 10);
        assert_verified(&summer, &old, 2).await;

        sending_domains::rotate(&house.db, &house.keys, house.domain, by()).await.unwrap();
        house.activate_all().await;
        house.sent(house.another("Autumn").await).await;
        let new: Vec<DkimKey> = house.all().await.into_iter().filter(|key| key.state.as_str() == "active").collect();
        assert_verified(&since(&relay, 20), &new, 2).await;
        assert_verified(&summer, &house.all().await, 2).await; // the old records stay for a week
        stop.cancel();
        worker.await.unwrap();

        let shown_as: EmailAddress = "p1@orchard.example".parse().unwrap();
        let shown_as = contacts::by_key(&house.db, &shown_as.key()).await.unwrap().unwrap();
        let draft = campaign(&house.db, house.draft).await;
        let to = [ME.parse().unwrap()];
        rebound_send::test_send(
            &house.db,
            (&rebound_send::Egress::only(relay.relay.clone(), 1, None), &sender()),
            &draft,
            &shown_as,
            &to,
            ME,
            Utc::now(),
        )
        .await
        .unwrap();
        let test = since(&relay, 30);
        assert!(test.len() == 1 && test[0].contains("[Test]"));
        assert_verified(&test, &new, 2).await;
    }
}

#[tokio::test]
async fn secrets_are_sealed_and_sealed_anew() {
    for house in [House::on_sqlite().await, House::on_postgres().await] {
        house.activate_all().await;
        for kept in dkim_keys::of(&house.db, house.domain).await.unwrap() {
            assert!(kept.sealed.starts_with("s1.a."), "{}", kept.sealed);
            let secret = unseal(&house.keys, &kept.sealed, &format!("dkim_keys/{}/secret", kept.key.id)).unwrap();
            let beginning = &secret[..40];
            assert!(!format!("{kept:?}").contains(beginning), "not in the row");
            if let Some(file) = house.db.file() {
                let bytes = [std::fs::read(file).unwrap(), std::fs::read(file.with_extension("db-wal")).unwrap()];
                let holds = |text: &str| bytes.concat().windows(text.len()).any(|part| part == text.as_bytes());
                assert!(holds(&kept.key.public[..40]) && !holds(beginning), "not in the file");
            }
        }
        let from: EmailAddress = "news@fernhill.example".parse().unwrap();
        let elsewhere = Keys::new(('b', b"another key of 32 bytes, for now".to_vec()), vec![]);
        let closed = sending_domains::signer(&house.db, &elsewhere, &from).await;
        assert!(matches!(closed, Err(DomainError::Sealed(_))), "another installation's key opens nothing");
        // Nor does a secret open in the row of another key.
        let [one, other] = dkim_keys::of(&house.db, house.domain).await.unwrap().try_into().unwrap();
        dkim_keys::set_secret(&house.db, one.key.id, &other.sealed).await.unwrap();
        let swapped = sending_domains::signer(&house.db, &house.keys, &from).await;
        assert!(matches!(swapped, Err(DomainError::Sealed(_))));
        dkim_keys::set_secret(&house.db, one.key.id, &one.sealed).await.unwrap();

        let both = Keys::new(
            ('b', b"another key of 32 bytes, for now".to_vec()),
            vec![('a', b"a key of 32 bytes, kept in a file".to_vec())],
        );
        assert_eq!(servers::reseal(&house.db, &both, ME, Utc::now()).await.unwrap(), 2);
        let signer = sending_domains::signer(&house.db, &elsewhere, &from).await.unwrap().unwrap();
        assert_eq!(signer.selectors().count(), 2);
        assert!(sending_domains::signer(&house.db, &house.keys, &from).await.is_err(), "the old key opens it no more");
    }
}

#[tokio::test]
async fn mail_whose_keys_do_not_open_waits_for_a_person() {
    let house = House::on_sqlite().await;
    house.activate_all().await;
    let relay = relay::start(&[]).await;
    let lost = Keys::new(('b', b"another key of 32 bytes, for now".to_vec()), vec![]);
    let elsewhere = rebound_send::Sender { keys: lost, ..sender() };
    let (stop, worker) = work_as(&house.db, house.url.clone(), &relay, elsewhere);
    rebound_send::launch(&house.db, house.draft, &sender(), ME, Utc::now()).await.unwrap();
    until("the pause", async || in_state(&house.db, house.draft, CampaignState::Paused).await).await;
    stop.cancel();
    worker.await.unwrap();
    let reason = campaign(&house.db, house.draft).await.reason.unwrap();
    assert!(reason.contains("cannot be signed") && reason.contains("key file"), "{reason}");
    assert!(relay.messages().is_empty(), "nothing goes unsigned by mistake");
}

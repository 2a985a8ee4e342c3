//! Domains that mail is sent from, their keys and the records to paste.

use crate::world::World;
use axum::http::StatusCode;
use rebound_db::dkim_keys;
use rebound_domain::{DkimKey, Role, SendingDomainId, unseal};
use rebound_send::sending_domains::{self, By};

async fn keys(world: &World) -> Vec<DkimKey> {
    let kept = dkim_keys::of(&world.db, SendingDomainId(1)).await.unwrap();
    kept.into_iter().map(|kept| kept.key).rev().collect()
}

#[tokio::test]
async fn a_domain_is_added_and_its_records_are_shown() {
    let world = World::empty().await;
    let owner = world.browser(Role::Owner).await;
    assert!(world.get(Some(&owner), "/sending-domains").await.text.contains("No domain is signed for yet"));
    for (name, words) in [("", "a domain is a name"), ("co.uk", "public suffix"), ("fern hill", "a domain is a name")] {
        let refused = world.post(&owner, "/sending-domains/new", &[("name", name)]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        assert!(refused.text.contains(words), "{name}: {}", refused.text);
    }
    let added = world.post(&owner, "/sending-domains/new", &[("name", "@Fernhill.Example")]).await;
    assert_eq!(added.status, StatusCode::SEE_OTHER, "{}", added.text);
    let again = world.post(&owner, "/sending-domains/new", &[("name", "fernhill.example")]).await;
    assert!(again.status == StatusCode::UNPROCESSABLE_ENTITY && again.text.contains("is there already"));

    let page = world.get(Some(&owner), "/sending-domains/1").await.text;
    let secrets: Vec<String> = dkim_keys::of(&world.db, SendingDomainId(1))
        .await
        .unwrap()
        .iter()
        .map(|kept| {
            let place = format!("dkim_keys/{}/secret", kept.key.id);
            unseal(&crate::seed::sender().keys, &kept.sealed, &place).unwrap()
        })
        .collect();
    for key in keys(&world).await {
        assert!(page.contains(&format!("value=\"{}\"", key.record_name("fernhill.example"))), "{page}");
        assert!(page.contains(&format!("{}._domainkey</code>", key.selector)), "{page}");
        assert!(page.contains(&format!(">{}</textarea>", escaped(&key.record_value()))), "{page}");
        let strings: Vec<String> = key.record_strings().iter().map(|text| escaped(&format!("\"{text}\""))).collect();
        assert!(page.contains(&strings.join(" ")), "{page}");
    }
    for path in ["/sending-domains", "/sending-domains/1", "/audit", "/audit/export", "/settings"] {
        let text = world.get(Some(&owner), path).await.text;
        assert!(secrets.iter().all(|secret| !text.contains(&secret[..40])), "{path}");
    }
    // Nobody answers for names in this world.
    let checked = world.post(&owner, "/sending-domains/1/check", &[]).await;
    assert_eq!(checked.status, StatusCode::SEE_OTHER);
    let page = world.get(Some(&owner), "/sending-domains/1").await.text;
    assert!(page.contains("The name server did not say") && page.contains("Not sure:"), "{page}");
    assert!(world.get(Some(&owner), "/sending-domains").await.text.contains("Waiting for its records"));
}

/// As a template writes it.
fn escaped(text: &str) -> String {
    text.replace('"', "&#34;")
}

#[tokio::test]
async fn keys_are_changed_and_ended_on_the_page() {
    let world = World::empty().await;
    let owner = world.browser(Role::Owner).await;
    world.post(&owner, "/sending-domains/new", &[("name", "fernhill.example")]).await;
    let early = world.post(&owner, "/sending-domains/1/rotate", &[]).await;
    assert!(early.status == StatusCode::CONFLICT && early.text.contains("new keys wait already"), "{}", early.text);
    for key in keys(&world).await {
        let by = By { actor: "ines@fernhill.example", now: world.now };
        sending_domains::activate(&world.db, key.id, by).await.unwrap();
    }
    let signs = world.get(Some(&owner), "/sending-domains/1").await.text;
    assert!(signs.contains("Mail from here is signed.") && signs.contains("Make new keys"), "{signs}");
    let list = world.get(Some(&owner), "/sending-domains").await.text;
    assert!(list.contains("RSA, 2048 bits; Ed25519"), "{list}");

    assert_eq!(world.post(&owner, "/sending-domains/1/rotate", &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(keys(&world).await.len(), 4);
    let both = world.get(Some(&owner), "/sending-domains/1").await.text;
    assert!(both.contains("New keys take over"), "{both}");

    // One that waits is withdrawn, one that signs retires; each after a question.
    let all = keys(&world).await;
    for (key, question) in [(&all[2], "Withdraw 1 key?"), (&all[0], "Stop signing with 1 key?")] {
        let path = format!("/dkim-keys/{}/retire", key.id);
        assert!(world.get(Some(&owner), &path).await.text.contains(question));
        assert_eq!(world.post(&owner, &path, &[]).await.status, StatusCode::SEE_OTHER);
        assert_eq!(world.post(&owner, &path, &[]).await.status, StatusCode::CONFLICT, "it is done");
    }
    let page = world.get(Some(&owner), "/sending-domains/1").await.text;
    assert!(page.contains("Its record may be removed") && page.contains("Keep its record until"), "{page}");

    world.post(&owner, "/sending-domains/1/align", &[("alignment", "strict")]).await;
    assert!(world.get(Some(&owner), "/sending-domains").await.text.contains("strict alignment"));
    let log = world.get(Some(&owner), "/audit").await.text;
    for words in ["added a sending domain", "made a key that signs mail", "signs with this key", "withdrew a key"] {
        assert!(log.contains(words), "{words} in {log}");
    }
    assert!(world.get(Some(&owner), "/sending-domains/1/remove").await.text.contains("Remove 1 domain?"));
    assert_eq!(world.post(&owner, "/sending-domains/1/remove", &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(world.get(Some(&owner), "/sending-domains/1").await.status, StatusCode::NOT_FOUND);
}

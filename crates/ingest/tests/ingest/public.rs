//! The table of public addresses, asked by those who have no link of ours, and by those who have.

use crate::pages::{ADA, Answer, ONE_CLICK, ask, site};
use crate::world::World;
use axum::http::{Method, StatusCode, header};
use rebound_domain::{CountedLink, DeliveryId, EventDoor, Keys, MessageId, ReturnPath, UnsubscribeLink};
use rebound_ingest::{PublicAddress, Signed, public_addresses};

/// Every wish that a form here can hold.
const WISHES: [&str; 4] = [ONE_CLICK, "all=stop", "shown=1", ""];

/// What stands in the database, to the byte.
fn written(world: &World) -> [Vec<u8>; 2] {
    let file = world.db.file().unwrap();
    [file.to_owned(), file.with_extension("db-wal")].map(|path| std::fs::read(path).unwrap())
}

/// What an address takes, for a letter.
fn signed(takes: Signed, delivery: DeliveryId, keys: &Keys) -> String {
    match takes {
        Signed::UnsubscribeLink => UnsubscribeLink(delivery).sign(keys),
        Signed::CountedLink => CountedLink { delivery, link: 1 }.sign(keys),
        Signed::EventDoor => EventDoor::newest(keys).unwrap().name().to_owned(),
    }
}

/// The address of Ada's letter.
async fn of_ada(world: &World, address: &PublicAddress) -> String {
    address.path.replace("{token}", &signed(address.takes, world.delivery(ADA).await, &world.keys))
}

/// Names that look like one of ours and are none: forged, of another kind, damaged, or of somebody else's choice.
async fn forged(takes: Signed, world: &World) -> Vec<String> {
    let delivery = world.delivery(ADA).await;
    let ours = signed(takes, delivery, &world.keys);
    let others = Keys::new(('a', b"the key of somebody else".to_vec()), vec![]);
    let next = signed(takes, DeliveryId(delivery.0 + 1), &world.keys);
    let (_, seal_of_next) = next.rsplit_once('.').unwrap();
    let (claim, _) = ours.rsplit_once('.').unwrap();
    let kind = &ours[..1];
    let mut tokens = vec![
        signed(takes, delivery, &others),
        MessageId(delivery).sign(&world.keys),
        MessageId(delivery).sign(&world.keys).replacen('m', kind, 1),
        if kind == "u" {
            signed(Signed::CountedLink, delivery, &world.keys)
        } else {
            UnsubscribeLink(delivery).sign(&world.keys)
        },
        ReturnPath { delivery, attempt: 1 }.sign(&world.keys, world.now),
        format!("{claim}.{seal_of_next}"),
        format!("{claim}."),
        claim.to_owned(),
        ours[..ours.len() - 1].to_owned(),
        format!("{ours}a"),
        format!("{ours}.a"),
        ours.replacen(".a.", ".b.", 1),
        delivery.0.to_string(),
        ADA.to_owned(),
        "x".to_owned(),
        "..".to_owned(),
        "%00".to_owned(),
        "%ff%fe".to_owned(),
        "%27%20OR%201=1--".to_owned(),
        "a".repeat(5_000),
    ];
    // One wrong letter anywhere.
    for (at, letter) in ours.char_indices().filter(|(_, letter)| *letter != '.') {
        let mut other = ours.clone();
        other.replace_range(at..=at, if letter == 'a' { "c" } else { "a" });
        tokens.push(other);
    }
    tokens
}

#[tokio::test]
async fn without_our_signature_nothing_is_written_and_nothing_is_told() {
    let world = World::with(&[ADA]).await;
    let site = site(&world);
    let (before, mut asked) = (written(&world), 0_u8);
    for address in public_addresses() {
        assert_eq!(address.path.matches("{token}").count(), 1, "{} has no room for what it takes", address.path);
        for token in forged(address.takes, &world).await {
            for wish in WISHES {
                asked = asked.wrapping_add(1);
                let path = address.path.replace("{token}", &token);
                let answer = ask(&site, address.method.clone(), &path, wish, asked).await;
                let name = format!("{} {path} with {wish:?}", address.method);
                assert!(answer.status.is_client_error(), "{name}: {}", answer.status);
                is_guarded(&answer, &name);
                for known in [ADA, "ada", "orchard", "Newsletter", "Fernhill", "Mill Lane", "Spring"] {
                    assert!(!answer.body.contains(known), "{name} tells {known}: {}", answer.body);
                }
            }
        }
    }
    assert!(written(&world) == before, "something was written");

    // The same questions with our signature are answered, so that the silence above means something.
    for address in public_addresses() {
        let path = of_ada(&world, &address).await;
        let before = written(&world);
        for wish in WISHES {
            let answer = ask(&site, address.method.clone(), &path, wish, 1).await;
            let name = format!("{} {path} with {wish:?}", address.method);
            if address.takes == Signed::EventDoor {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}: what is told is signed as well");
                is_guarded(&answer, &name);
                continue;
            }
            let leads = answer.headers.get(header::LOCATION).map_or("", |place| place.to_str().unwrap());
            assert!(answer.body.contains(ADA) || leads.contains(ADA), "{name}: {}", answer.body);
            is_guarded(&answer, &name);
        }
        // That a link is followed is noted; nothing changes for anybody.
        let is_looking = match address.takes {
            Signed::UnsubscribeLink => address.method == Method::GET,
            Signed::CountedLink => false,
            Signed::EventDoor => true,
        };
        assert_eq!(written(&world) == before, is_looking, "{} {path} writes", address.method);
    }
}

#[tokio::test]
async fn whatever_answers_is_guarded_and_sets_no_cookie() {
    let world = World::with(&[ADA]).await;
    let site = site(&world);
    let before = written(&world);
    let table = public_addresses();
    for asked in &table {
        let (path, path_of_ada) = (asked.path, of_ada(&world, asked).await);
        for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE, Method::POST] {
            if table.iter().any(|address| address.path == path && address.method == method) {
                continue;
            }
            let answer = ask(&site, method.clone(), &path_of_ada, ONE_CLICK, 1).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            is_guarded(&answer, path);
        }
    }
    // Coming back reads no form, and programs may tell more.
    let reads = |address: &PublicAddress| !address.path.ends_with("/undo") && address.takes != Signed::EventDoor;
    for address in table.iter().filter(|address| address.method == Method::POST && reads(address)) {
        let long = ask(&site, Method::POST, &of_ada(&world, address).await, &"x".repeat(20 << 10), 1).await;
        assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", address.path);
        is_guarded(&long, address.path);
    }
    // Who guesses too often is told so, with the same guards.
    let mut last = None;
    for _ in 0..40 {
        last = Some(ask(&site, Method::GET, "/u/x", "", 9).await);
    }
    let last = last.unwrap();
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS);
    is_guarded(&last, "too many");
    is_guarded(&ask(&site, Method::GET, "/u/x/nothing/here", "", 2).await, "no such page");
    assert!(written(&world) == before, "something was written");

    let mut paths = Vec::new();
    for address in &table {
        paths.push(of_ada(&world, address).await);
    }
    world.db.close().await;
    let unsigned = |address: &PublicAddress| address.takes == Signed::EventDoor;
    for (address, path) in table.into_iter().zip(paths).filter(|(address, _)| !unsigned(address)) {
        let answer = ask(&site, address.method, &path, ONE_CLICK, 1).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", address.path);
        assert!(!answer.body.contains("sql") && !answer.body.contains("database"), "{}", answer.body);
        is_guarded(&answer, address.path);
    }
}

/// What browsers are told about every answer, whatever made it.
fn is_guarded(answer: &Answer, name: &str) {
    let header = |name: header::HeaderName| {
        let value = answer.headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default()
    };
    let policy = header(header::CONTENT_SECURITY_POLICY);
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{name}: {policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{name}: {policy}");
    assert_eq!(header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{name}");
    assert_eq!(header(header::REFERRER_POLICY), "no-referrer", "{name}");
    assert_eq!(header(header::CACHE_CONTROL), "no-store", "{name}");
    assert!(header(header::STRICT_TRANSPORT_SECURITY).contains("max-age=31536000"), "{name}");
    assert_eq!(header(header::HeaderName::from_static("x-robots-tag")), "noindex", "{name}");
    assert!(!answer.headers.contains_key(header::SET_COOKIE), "{name} sets a cookie");
}

//! How lines are protected, and when mail does not go.

use super::host::{MailHost, Manner, StartTls};
use super::world::{World, page};
use crate::mx::{Answered, NoLine, Protection, Security};
use chrono::Utc;
use hickory_resolver::proto::rr::rdata::tlsa::CertUsage;
use rebound_domain::BounceCause;

const HOST: &str = "mx.orchard.example";

/// `orchard.example` with one host of this manner.
async fn orchard(world: &World, starttls: StartTls) -> MailHost {
    world.names.mx("orchard.example", 10, HOST);
    world.host(HOST, "127.0.0.2", Manner::with(starttls)).await
}

async fn probe(world: &World) -> Result<Answered, NoLine> {
    world.exchanges().of("orchard.example").await.unwrap().probe(Utc::now()).await
}

fn is_refused(answer: Result<Answered, NoLine>, word: &str) {
    let none = answer.unwrap_err();
    assert_eq!((none.permanent, none.cause), (false, BounceCause::SecurityRequired), "{}", none.words);
    assert!(none.words.contains("no protected line") && none.words.contains(word), "{}", none.words);
}

#[tokio::test]
async fn where_nothing_is_demanded_a_failed_handshake_is_left_alone() {
    let world = World::new().await;
    let (config, _) = world.authority.vouches_for(HOST);
    for (starttls, calls) in
        [(StartTls::Absent, 1), (StartTls::Refused, 1), (StartTls::Broken, 2), (StartTls::Injected(config), 2)]
    {
        let world = World::new().await;
        let host = orchard(&world, starttls).await;
        assert_eq!(probe(&world).await.unwrap().protection, Protection::Clear);
        assert_eq!(host.callers().len(), calls);
    }
}

#[tokio::test]
async fn where_nothing_is_demanded_any_certificate_will_do() {
    let world = World::new().await;
    let stranger = World::new().await.authority;
    orchard(&world, StartTls::With(stranger.vouches_for("other.example").0)).await;
    assert_eq!(probe(&world).await.unwrap().protection, Protection::Unproven);
}

#[tokio::test]
async fn mta_sts_wants_a_good_certificate_in_the_name_of_the_host() {
    let stranger = World::new().await.authority;
    for (mode, name, is_ours, expected) in [
        ("enforce", HOST, true, Ok(Protection::Proven)),
        ("enforce", "other.example", true, Err("in another name: other.example")),
        ("enforce", HOST, false, Err("nobody who is trusted")),
        ("testing", "other.example", true, Ok(Protection::Unproven)),
        ("none", HOST, false, Ok(Protection::Unproven)),
    ] {
        let world = World::new().await;
        let authority = if is_ours { &world.authority } else { &stranger };
        let host = orchard(&world, StartTls::With(authority.vouches_for(name).0)).await;
        world.policy("orchard.example", page(mode, "*.orchard.example")).await;
        match expected {
            Ok(protection) => assert_eq!(probe(&world).await.unwrap().protection, protection, "{mode} {name}"),
            Err(word) => {
                is_refused(probe(&world).await, word);
                assert!(!host.heard().iter().any(|said| said.starts_with("MAIL")), "no mail goes");
                assert_eq!(host.callers().len(), 1, "and there is no second try in the clear");
            }
        }
    }
}

#[tokio::test]
async fn mta_sts_wants_tls_and_the_hosts_that_it_names() {
    for (starttls, mx, word) in [
        (StartTls::Absent, HOST, "no STARTTLS"),
        (StartTls::Refused, HOST, "454 4.7.0 not now"),
        (StartTls::Broken, HOST, ""),
        (StartTls::Absent, "mx.other.example", "policy does not name it"),
    ] {
        let world = World::new().await;
        orchard(&world, starttls).await;
        world.policy("orchard.example", page("enforce", mx)).await;
        is_refused(probe(&world).await, word);
    }
}

#[tokio::test]
async fn a_policy_is_fetched_once_and_kept_when_its_record_is_hidden() {
    let world = World::new().await;
    orchard(&world, StartTls::Absent).await;
    let fetched = world.policy("orchard.example", page("enforce", HOST)).await;
    let exchanges = world.exchanges();
    for _ in 0..3 {
        is_refused(exchanges.of("orchard.example").await.unwrap().probe(Utc::now()).await, "STARTTLS");
        exchanges.known.invalidate("orchard.example").await;
        world.names.remove("_mta-sts.orchard.example", None);
    }
    assert_eq!(*fetched.lock().unwrap(), 1);
}

#[tokio::test]
async fn what_is_no_page_is_no_policy() {
    let policy = "version: STSv1\nmode: enforce\nmx: mx.other.example\nmax_age: 86400\n";
    let long = "x".repeat(70_000);
    for (answer, is_policy) in [
        (format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{policy}"), true),
        (format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{policy}"), false),
        (format!("HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n\r\n{policy}"), false),
        ("HTTP/1.1 302 Found\r\nLocation: https://mta-sts.orchard.example/\r\n\r\n".to_owned(), false),
        (format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{policy}{long}"), false),
        ("nonsense".to_owned(), false),
    ] {
        let world = World::new().await;
        orchard(&world, StartTls::Absent).await;
        let fetched = world.policy("orchard.example", answer.clone()).await;
        let exchanges = world.exchanges();
        for _ in 0..2 {
            let exchange = exchanges.of("orchard.example").await.unwrap();
            let is_never = matches!(exchange.hosts()[0].security, Security::Never(_));
            assert_eq!(is_never, is_policy, "{}", &answer[..60.min(answer.len())]);
            exchanges.known.invalidate("orchard.example").await;
        }
        assert_eq!(*fetched.lock().unwrap(), 1, "one that cannot be read is not asked for again at once");
    }
}

#[tokio::test]
async fn a_policy_from_a_stranger_is_no_policy() {
    let mut world = World::new().await;
    orchard(&world, StartTls::Absent).await;
    world.policy("orchard.example", page("enforce", HOST)).await;
    world.authority = World::new().await.authority;
    assert_eq!(probe(&world).await.unwrap().protection, Protection::Clear);
}

#[tokio::test]
async fn dane_wants_the_certificate_that_dns_names() {
    let (itself, authority) = (CertUsage::DaneEe, CertUsage::DaneTa);
    // `right`: what is published belongs to the host; `named`: its certificate bears its name.
    for (usage, right, named, expected) in [
        (itself, true, true, Some(Protection::Proven)),
        (itself, true, false, Some(Protection::Proven)), // the record says enough
        (itself, false, true, None),
        (authority, true, true, Some(Protection::Proven)),
        (authority, true, false, None),
        (authority, false, true, None),
        (CertUsage::PkixEe, true, true, Some(Protection::Unproven)), // of no use with mail, but TLS it must be
    ] {
        let world = World::new().await;
        // An authority that nobody trusts but the record.
        let own = World::new().await.authority;
        let (config, certificate) = own.vouches_for(if named { HOST } else { "other.example" });
        let other = World::new().await.authority;
        let published = match (usage, right) {
            (CertUsage::DaneTa, true) => own.certificate.clone(),
            (_, true) => certificate,
            (_, false) => other.certificate.clone(),
        };
        orchard(&world, StartTls::With(config)).await;
        world.names.sign();
        world.names.tlsa(&format!("_{}._tcp.{HOST}", world.port), usage, &published);
        let answer = probe(&world).await;
        match expected {
            Some(protection) => assert_eq!(answer.unwrap().protection, protection, "{usage:?} {right} {named}"),
            None if named => is_refused(answer, "not the one that the domain names in its DNS"),
            None => is_refused(answer, "its certificate is in another name"),
        }
    }
}

#[tokio::test]
async fn dane_is_not_fooled_by_an_authority_that_signed_nothing() {
    let (published, stranger) = (World::new().await.authority, World::new().await.authority);
    let (borrowed, _) = stranger.vouches_with(HOST, &published.certificate);
    let (config, certificate) = stranger.vouches_for(HOST);
    for (config, record) in [
        (borrowed, published.certificate.clone()), // the right authority's certificate, and another one's signature
        (config, certificate),                     // a host's certificate is no authority
    ] {
        let world = World::new().await;
        orchard(&world, StartTls::With(config)).await;
        world.names.sign();
        world.names.tlsa(&format!("_{}._tcp.{HOST}", world.port), CertUsage::DaneTa, &record);
        is_refused(probe(&world).await, "certificate");
    }
}

#[tokio::test]
async fn the_name_of_the_domain_will_do_for_dane() {
    let world = World::new().await;
    let own = World::new().await.authority;
    orchard(&world, StartTls::With(own.vouches_for("orchard.example").0)).await;
    world.names.sign();
    world.names.tlsa(&format!("_{}._tcp.{HOST}", world.port), CertUsage::DaneTa, &own.certificate);
    assert_eq!(probe(&world).await.unwrap().protection, Protection::Proven);
}

#[tokio::test]
async fn dane_needs_answers_that_are_proven() {
    let world = World::new().await;
    let other = World::new().await.authority;
    orchard(&world, StartTls::Absent).await;
    let name = format!("_{}._tcp.{HOST}", world.port);
    world.names.tlsa(&name, CertUsage::DaneEe, &other.certificate);
    assert_eq!(probe(&world).await.unwrap().protection, Protection::Clear, "nobody vouches for anything");
    // A chain with a weak link holds nothing: hosts, addresses, and the record itself.
    for weak in ["orchard.example", HOST, &name] {
        world.names.sign_all_but(weak);
        assert_eq!(probe(&world).await.unwrap().protection, Protection::Clear, "{weak}");
    }
    world.names.sign_all_but("other.example");
    is_refused(probe(&world).await, "no STARTTLS");
    world.names.truncate();
    is_refused(probe(&world).await, "no STARTTLS");
    world.names.fail(&name);
    is_refused(probe(&world).await, "did not say which certificate");
}

//! From a domain to its hosts.

use super::world::{World, ip};
use crate::mx::{Exchange, NoExchange};
use hickory_resolver::proto::rr::RecordType;
use rebound_domain::BounceCause;
use std::net::IpAddr;
use std::sync::Arc;

fn names(exchange: &Exchange) -> Vec<(u16, &str)> {
    exchange.hosts().iter().map(|host| (host.preference, host.name.as_str())).collect()
}

fn none(answer: Result<Arc<Exchange>, NoExchange>) -> NoExchange {
    answer.err().unwrap()
}

#[tokio::test]
async fn hosts_come_in_the_order_of_their_preference() {
    let world = World::new().await;
    world.names.mx("orchard.example", 20, "b.orchard.example").mx("orchard.example", 5, "A.Orchard.Example");
    world.names.address("a.orchard.example", ip("127.0.0.2")).address("a.orchard.example", ip("::1"));
    world.names.address("b.orchard.example", ip("127.0.0.3"));
    let exchange = world.exchanges().of("Orchard.Example").await.unwrap();
    assert_eq!(names(&exchange), [(5, "a.orchard.example"), (20, "b.orchard.example")]);
    assert_eq!(world.names.asked("orchard.example", RecordType::MX), 2, "once, and once whether it is proven");
    assert_eq!(exchange.receiver().as_str(), "orchard.example");
    let addresses: Vec<String> = exchange.hosts()[0].addresses.iter().map(IpAddr::to_string).collect();
    assert_eq!(addresses, ["127.0.0.2", "::1"]);
    let mut settings = world.settings();
    settings.prefer_ipv6 = true;
    let exchange = world.exchanges_with(settings).of("orchard.example").await.unwrap();
    assert_eq!(exchange.hosts()[0].addresses[0].to_string(), "::1");
}

#[tokio::test]
async fn a_domain_without_mx_records_is_its_own_host() {
    let world = World::new().await;
    world.names.address("plain.example", ip("127.0.0.2")).alias("other.example", "plain.example");
    let exchanges = world.exchanges();
    for domain in ["plain.example", "other.example"] {
        let exchange = exchanges.of(domain).await.unwrap();
        assert_eq!(names(&exchange), [(0, domain)]);
        assert_eq!(exchange.hosts()[0].addresses, ["127.0.0.2".parse::<IpAddr>().unwrap()]);
    }
}

#[tokio::test]
async fn a_domain_beyond_ascii_is_asked_for_as_name_servers_know_it() {
    let world = World::new().await;
    world.names.mx("xn--bcher-kva.example", 10, "mx_1.example").address("mx_1.example", ip("127.0.0.2"));
    let exchanges = world.exchanges();
    for domain in ["bücher.example", "BÜCHER.example.", "xn--bcher-kva.example"] {
        assert_eq!(names(&exchanges.of(domain).await.unwrap()), [(10, "mx_1.example")]);
    }
    assert_eq!(world.names.asked("mx_1.example", RecordType::A), 1);
}

#[tokio::test]
async fn aliases_are_followed() {
    let world = World::new().await;
    world.names.alias("alias.example", "orchard.example").mx("orchard.example", 10, "mx.orchard.example");
    world.names.alias("mx.orchard.example", "host.example").address("host.example", ip("127.0.0.2"));
    let exchange = world.exchanges().of("alias.example").await.unwrap();
    assert_eq!(names(&exchange), [(10, "mx.orchard.example")]);
    assert_eq!(exchange.hosts()[0].addresses.len(), 1);
}

#[tokio::test]
async fn what_takes_no_mail_says_so_for_good() {
    let world = World::new().await;
    world.names.mx("null.example", 0, ".").text("bare.example", "v=spf1 -all");
    let exchanges = world.exchanges();
    for (domain, word) in [
        ("null.example", "null MX"),
        ("gone.example", "NXDOMAIN"),
        ("bare.example", "neither an MX record"),
        ("", "not the name of a domain"),
        ("not a domain", "not the name of a domain"),
        ("two..dots.example", "not the name of a domain"),
        ("[192.0.2.1]", "not the name of a domain"),
    ] {
        let none = none(exchanges.of(domain).await);
        assert_eq!((none.permanent, none.cause), (true, BounceCause::DomainUnknown), "{domain}");
        assert!(none.words.contains(word), "{}", none.words);
    }
}

#[tokio::test]
async fn what_is_not_said_may_be_said_later() {
    let world = World::new().await;
    world.names.mx("orchard.example", 10, "mx.orchard.example").address("mx.orchard.example", ip("127.0.0.2"));
    let exchanges = world.exchanges();
    for failing in ["orchard.example", "mx.orchard.example"] {
        world.names.fail(failing);
        let none = none(exchanges.of("orchard.example").await);
        assert_eq!((none.permanent, none.cause), (false, BounceCause::HostUnreachable), "{}", none.words);
        assert!(none.words.contains("did not say"), "{}", none.words);
        world.names.recover();
        // As when the short while is over for which this is kept.
        exchanges.known.invalidate("orchard.example").await;
    }
    assert!(exchanges.of("orchard.example").await.is_ok());
}

#[tokio::test]
async fn who_denies_the_whole_world_is_not_believed() {
    let world = World::new().await;
    world.names.text("bare.example", "v=spf1 -all");
    world.names.remove(".", None);
    for domain in ["gone.example", "bare.example"] {
        let none = none(world.exchanges().of(domain).await);
        assert_eq!((none.permanent, none.cause), (false, BounceCause::HostUnreachable), "{}", none.words);
        assert!(none.words.contains("deny all names"), "{}", none.words);
    }
}

#[tokio::test]
async fn hosts_without_addresses_are_no_reason_to_give_up() {
    let world = World::new().await;
    world.names.mx("dangling.example", 10, "gone.dangling.example");
    world.names.mx("inward.example", 10, "mx.inward.example").address("mx.inward.example", ip("169.254.169.254"));
    for domain in ["dangling.example", "inward.example"] {
        let none = none(world.exchanges().of(domain).await);
        assert_eq!((none.permanent, none.cause), (false, BounceCause::HostUnreachable), "{}", none.words);
        assert!(none.words.contains("has an address that can be called"), "{}", none.words);
    }
}

#[tokio::test]
async fn mail_that_would_come_back_to_us_does_not_go() {
    let world = World::new().await;
    world.names.mx("both.example", 10, "mx.both.example").mx("both.example", 20, "Out.Sender.Example");
    world.names.mx("both.example", 30, "behind.both.example");
    world.names.mx("ours.example", 10, "out.sender.example").mx("ours.example", 20, "mx.both.example");
    for host in ["mx.both.example", "behind.both.example", "out.sender.example"] {
        world.names.address(host, ip("127.0.0.2"));
    }
    world.names.mx("address.example", 10, "a.address.example").address("a.address.example", ip("192.0.2.1"));
    world.names.mx("address.example", 10, "0.address.example").address("0.address.example", ip("192.0.2.2"));
    let mut settings = world.settings();
    settings.source.push("192.0.2.1".parse().unwrap());
    let exchanges = world.exchanges_with(settings);
    assert_eq!(names(&exchanges.of("both.example").await.unwrap()), [(10, "mx.both.example")]);
    for domain in ["ours.example", "address.example"] {
        let none = none(exchanges.of(domain).await);
        assert_eq!((none.permanent, none.cause), (false, BounceCause::RoutingError), "{}", none.words);
    }
}

#[tokio::test]
async fn many_who_ask_at_once_cost_one_question() {
    let world = World::new().await;
    world.names.mx("orchard.example", 10, "mx.orchard.example").address("mx.orchard.example", ip("127.0.0.2"));
    let exchanges = world.exchanges();
    let all = futures_util::future::join_all((0..50).map(|_| exchanges.of("orchard.example"))).await;
    assert!(all.iter().all(Result::is_ok));
    exchanges.of("ORCHARD.example.").await.unwrap();
    assert_eq!(world.names.asked("mx.orchard.example", RecordType::A), 1, "and none about its addresses");
    assert_eq!(world.names.asked("gone.example", RecordType::MX), 0);
    for _ in 0..2 {
        assert!(none(exchanges.of("gone.example").await).permanent);
    }
    assert_eq!(world.names.asked("gone.example", RecordType::MX), 1, "a no is kept as well");
}

#[tokio::test]
async fn the_number_of_hosts_and_addresses_is_bounded() {
    let world = World::new().await;
    for host in 0..15_u16 {
        let name = format!("mx{host}.many.example");
        world.names.mx("many.example", host, &name);
        for address in 0..15 {
            world.names.address(&name, ip(&format!("127.0.{host}.{}", address + 1)));
        }
    }
    let exchange = world.exchanges().of("many.example").await.unwrap();
    let addresses: Vec<usize> = exchange.hosts().iter().map(|host| host.addresses.len()).collect();
    assert_eq!(addresses, [10, 10, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn a_long_answer_is_fetched_over_tcp() {
    let world = World::new().await;
    world.names.mx("orchard.example", 10, "mx.orchard.example").address("mx.orchard.example", ip("127.0.0.2"));
    world.names.truncate();
    let exchange = world.exchanges().of("orchard.example").await.unwrap();
    assert_eq!(names(&exchange), [(10, "mx.orchard.example")]);
}

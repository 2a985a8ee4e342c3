//! From hosts to a line.

use super::host::{Manner, StartTls};
use super::world::{World, ip};
use crate::mx::{Answered, Protection};
use crate::transport::direct::Patience;
use crate::transport::{Answer, Envelope, Mail, Wire};
use chrono::{TimeDelta, Utc};
use rebound_domain::BounceCause;
use std::collections::HashSet;
use std::time::{Duration, Instant};

const HOSTS: [(&str, &str); 2] = [("a.orchard.example", "127.0.0.2"), ("b.orchard.example", "127.0.0.3")];

/// `orchard.example` with two hosts, the first of which is the better one.
async fn orchard() -> World {
    let world = World::new().await;
    world.names.mx("orchard.example", 10, HOSTS[0].0).mx("orchard.example", 20, HOSTS[1].0);
    world
}

#[tokio::test]
async fn a_message_goes_over_the_line() {
    for is_new in [true, false] {
        for protected in [true, false] {
            let world = orchard().await;
            let (config, _) = world.authority.vouches_for("anything.example");
            let starttls = if protected { StartTls::With(config) } else { StartTls::Absent };
            let host = world.host(HOSTS[0].0, HOSTS[0].1, Manner { is_new, ..Manner::with(starttls) }).await;
            let exchange = world.exchanges().of("orchard.example").await.unwrap();
            let (mut line, answered) = exchange.open(Utc::now()).await.unwrap();
            let is_protected = protected && is_new; // who knows no EHLO offers nothing
            let expected = if is_protected { Protection::Unproven } else { Protection::Clear };
            assert_eq!(answered.protection, expected);
            let offers = line.offers();
            assert_eq!((offers.pipelining, offers.size), (is_new, is_new.then_some(1_000_000)));
            for nth in 0..2 {
                let mail = Mail { from: "b@sender.example", to: "ada@orchard.example", size: 20 };
                assert!(matches!(line.envelope(&mail).await, Envelope::Ready));
                let answer = line.message(&Wire::new("Subject: x\r\n\r\n.\r\n")).await;
                assert!(matches!(answer, Answer::Accepted(reply) if reply.text.contains("taken")), "{nth}");
            }
            line.close().await;
            let heard = host.heard();
            assert_eq!(heard.iter().filter(|said| *said == "TLS").count(), usize::from(is_protected));
            let hellos = heard.iter().filter(|said| said.contains("out.sender.example")).count();
            assert_eq!(hellos, if is_protected || !is_new { 2 } else { 1 }, "no word too many: {heard:?}");
            assert_eq!(heard.iter().filter(|said| *said == "DATA").count(), 2);
            assert_eq!(heard.last().map(String::as_str), Some("QUIT"));
        }
    }
}

#[tokio::test]
async fn the_next_host_is_called_when_the_first_one_is_dead_or_busy() {
    for (manner, word) in [
        (None, "refused"),
        (Some(Manner::greeting("421 4.3.2 too busy")), "421 4.3.2 too busy"),
        (Some(Manner::greeting("554 5.7.1 not you")), "554 5.7.1 not you"),
        (Some(Manner::greeting("HTTP/1.1 400 what")), "not SMTP"),
    ] {
        let world = orchard().await;
        match manner {
            Some(manner) => drop(world.host(HOSTS[0].0, HOSTS[0].1, manner).await),
            None => drop(world.names.address(HOSTS[0].0, ip(HOSTS[0].1))),
        }
        // At first the second one does not answer either.
        world.names.address(HOSTS[1].0, ip(HOSTS[1].1));
        let none = world.exchanges().of("orchard.example").await.unwrap().probe(Utc::now()).await.unwrap_err();
        assert!(none.words.contains(word) && none.words.contains(HOSTS[1].0), "{}", none.words);
        assert_eq!((none.permanent, none.cause), (false, BounceCause::HostUnreachable));

        world.names.remove(HOSTS[1].0, None);
        let second = world.host(HOSTS[1].0, HOSTS[1].1, Manner::plain()).await;
        let exchange = world.exchanges().of("orchard.example").await.unwrap();
        let answered = exchange.probe(Utc::now()).await.unwrap();
        assert_eq!(answered.host, HOSTS[1].0);
        assert_eq!(second.callers().len(), 1);
    }
}

#[tokio::test]
async fn a_host_that_says_nothing_is_not_waited_for_for_long() {
    let (answer, all) = (Duration::from_millis(300), Duration::from_millis(750));
    let mut world = World::new().await;
    world.patience = Patience { answer, all, ..Patience::default() };
    for number in 1..=4 {
        let name = format!("mx{number}.orchard.example");
        world.names.mx("orchard.example", number, &name);
        world.host(&name, &format!("127.0.0.{}", number + 1), Manner::greeting("")).await;
    }
    world.names.mx("fernhill.example", 10, "mx1.orchard.example").mx("fernhill.example", 20, "good.example");
    world.host("good.example", "127.0.0.9", Manner::plain()).await;
    let fernhill = world.exchanges().of("fernhill.example").await.unwrap();
    let since = Instant::now();
    assert_eq!(fernhill.probe(Utc::now()).await.unwrap().host, "good.example");
    assert!(since.elapsed() >= answer);

    let orchard = world.exchanges().of("orchard.example").await.unwrap();
    let since = Instant::now();
    let none = orchard.probe(Utc::now()).await.unwrap_err();
    assert!(since.elapsed() >= all, "for all hosts together");
    assert!(none.words.contains("no answer within 0.3 seconds"), "{}", none.words);
    assert!(none.words.contains("the time was over") && !none.words.contains("mx4"), "{}", none.words);
}

#[tokio::test]
async fn only_a_no_of_all_hosts_is_for_good() {
    let world = orchard().await;
    world.host(HOSTS[0].0, HOSTS[0].1, Manner::greeting("554 5.7.1 not you")).await;
    world.host(HOSTS[1].0, HOSTS[1].1, Manner::greeting("521 5.3.2 nobody takes mail here")).await;
    let none = world.exchanges().of("orchard.example").await.unwrap().probe(Utc::now()).await.unwrap_err();
    assert!(none.permanent, "{}", none.words);
    assert_eq!(none.reply.map(|reply| reply.line()).as_deref(), Some("521 5.3.2 nobody takes mail here"));
}

#[tokio::test]
async fn a_dead_address_rests_and_is_tried_again() {
    let world = orchard().await;
    for (name, address) in HOSTS {
        world.names.address(name, ip(address));
    }
    let exchange = world.exchanges().of("orchard.example").await.unwrap();
    let now = Utc::now();
    assert!(exchange.probe(now).await.unwrap_err().words.contains("refused"));
    let host = world.host("unused.example", HOSTS[0].1, Manner::plain()).await;
    let resting = exchange.probe(now + TimeDelta::minutes(1)).await.unwrap_err();
    assert!(resting.words.contains("called again in 5 minutes"), "{}", resting.words);
    assert_eq!(host.callers().len(), 0);
    exchange.probe(now + TimeDelta::minutes(6)).await.unwrap();
    exchange.probe(now + TimeDelta::minutes(6)).await.unwrap();
    assert_eq!(host.callers().len(), 2);
}

#[tokio::test]
async fn equal_hosts_share_the_work() {
    let world = World::new().await;
    for (name, address) in HOSTS {
        world.names.mx("orchard.example", 10, name);
        world.host(name, address, Manner::plain()).await;
    }
    let exchange = world.exchanges().of("orchard.example").await.unwrap();
    let mut seen = HashSet::new();
    for _ in 0..40 {
        seen.insert(exchange.probe(Utc::now()).await.unwrap().host);
    }
    assert_eq!(seen.len(), 2, "one of two for forty times is a chance of one to 2^39");
}

#[tokio::test]
async fn mail_leaves_from_our_addresses_in_turns() {
    let world = orchard().await;
    let host = world.host(HOSTS[0].0, HOSTS[0].1, Manner::plain()).await;
    let ours = ["127.0.0.21", "127.0.0.22"].map(|address| address.parse().unwrap());
    let mut settings = world.settings();
    settings.source = ours.to_vec();
    let exchange = world.exchanges_with(settings).of("orchard.example").await.unwrap();
    for _ in 0..4 {
        exchange.probe(Utc::now()).await.unwrap();
    }
    let from: Vec<_> = host.callers().into_iter().map(|caller| caller.from).collect();
    assert_eq!(from.iter().filter(|from| **from == ours[0]).count(), 2, "{from:?}");
    assert_eq!(from.iter().filter(|from| **from == ours[1]).count(), 2, "{from:?}");
}

#[tokio::test]
async fn an_address_that_is_not_ours_is_our_fault_alone() {
    let world = orchard().await;
    let host = world.host(HOSTS[0].0, HOSTS[0].1, Manner::plain()).await;
    let mut settings = world.settings();
    settings.source = ["192.0.2.77", "127.0.0.1"].map(|address| address.parse().unwrap()).to_vec();
    let exchange = world.exchanges_with(settings).of("orchard.example").await.unwrap();
    let none = exchange.probe(Utc::now()).await.unwrap_err();
    assert!(none.words.contains("mail cannot leave from 192.0.2.77"), "{}", none.words);
    exchange.probe(Utc::now()).await.unwrap();
    assert_eq!(host.callers().len(), 1, "the host does not rest for it");
}

#[tokio::test]
async fn a_host_is_reached_by_ipv6() {
    let world = orchard().await;
    let host = world.host(HOSTS[0].0, "::1", Manner::plain()).await;
    // Nobody answers at its other address, which is called first.
    world.names.address(HOSTS[0].0, ip(HOSTS[0].1));
    let exchange = world.exchanges().of("orchard.example").await.unwrap();
    let answered = exchange.probe(Utc::now()).await.unwrap();
    let expected =
        Answered { host: HOSTS[0].0.to_owned(), address: "::1".parse().unwrap(), protection: Protection::Clear };
    assert_eq!(answered, expected);
    assert_eq!(host.callers()[0].from, answered.address);
}

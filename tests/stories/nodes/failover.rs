//! How soon others go on with what a dead worker had.

use super::history;
use super::node::{Kind, Node};
use crate::engine::Engine;
use crate::world::{World, until};
use chrono::Utc;
use rebound_sandbox::Settings;
use std::collections::BTreeMap;
use std::time::Duration;

/// A lease, and what it may take beyond it.
const SOON: Duration = Duration::from_secs(15 + 2);

/// What it takes where no lease has to run out.
const AT_ONCE: Duration = Duration::from_secs(3);

/// So slow that whoever dies has letters that it had taken and not handed over.
const SLOW: Kind = Kind { relay: "connections = 4", waits: None };

#[tokio::test]
async fn a_dead_workers_mail_goes_on_within_a_lease_and_two_seconds() {
    let killed = resumed_within(AT_ONCE, Node::kill).await;
    let hung = resumed_within(SOON, Node::hang).await;
    eprintln!("a dead worker's mail goes on after {killed:.1?} (killed) and {hung:.1?} (hung)");
    assert!(killed < AT_ONCE, "its lock is free at once: {killed:?}");
    assert!(hung < SOON, "{hung:?}");
}

#[tokio::test]
async fn a_worker_that_sleeps_between_mark_and_final_dot_hands_nothing_over_when_it_wakes() {
    let world = World::forgetful(Engine::Postgres.database(), Settings::default(), "").await;
    let everybody: Vec<String> = (0..800).map(|place| format!("p{place}@orchard.sandbox.test")).collect();
    world.import(&format!("email\n{}\n", everybody.join("\n"))).await;
    history::note(world.database());
    until("the server has been there for a while", async || history::knows_locks(world.database()).then_some(())).await;
    // It is nearly always there.
    let mut sleeper =
        Node::start(&world, 0, Settings::default(), Kind { waits: Some("after-mark@1000"), ..SLOW }).await;
    let other = Node::start(&world, 1, Settings { latency: Duration::from_millis(60), ..Settings::default() }, SLOW);
    let mut other = other.await;
    world.launch("Spring").await;
    until("it sends, and writes no final dot just now", async || {
        let before = sleeper.accepted();
        tokio::time::sleep(Duration::from_millis(100)).await;
        (before > 8 && sleeper.accepted() == before).then_some(())
    })
    .await;
    sleeper.hang().await;
    world.reaches("Spring", "sent").await;
    let doubts = world.ledger("Spring").await.values().map(|line| line.in_doubt).sum::<i64>();
    assert!(doubts > 0, "it sleeps between mark and dot");
    let before = sleeper.accepted();
    sleeper.come_back().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(sleeper.accepted(), before, "it handed over what others had sent meanwhile");
    let taken = [(0, sleeper.taken()), (1, other.taken())];
    // Whose final dot was written already has two, and stays in doubt.
    let second = taken.iter().map(|(_, lines)| lines.len()).sum::<usize>() - everybody.len();
    let in_doubt = until("what it did not send is known not to be sent", async || {
        let ledger = world.ledger("Spring").await;
        let in_doubt: BTreeMap<_, _> = ledger.into_iter().map(|(who, line)| (who, line.in_doubt)).collect();
        (in_doubt.values().sum::<i64>() == i64::try_from(second).unwrap()).then_some(in_doubt)
    })
    .await;
    let found = history::check(world.database(), &taken, &in_doubt);
    assert_eq!((found.late, found.unexplained, found.double), (0, 0, 0), "{found:?}");
}

/// The shorter of two times, as what else the machine does makes one a little longer; the second is not taken where the first
/// is `soon`.
async fn resumed_within(soon: Duration, end: impl AsyncFn(&mut Node)) -> Duration {
    let first = resumed_after(&end).await;
    if first < soon {
        return first;
    }
    assert!(first < soon + Duration::from_secs(5), "no busy machine makes it that long: {first:?}");
    eprintln!("not within {soon:?}, but after {first:.1?}; once more");
    first.min(resumed_after(&end).await)
}

/// How long it takes from the end of one of two workers until the other hands over the first letter that it had.
async fn resumed_after(end: impl AsyncFnOnce(&mut Node)) -> Duration {
    let world = World::forgetful(Engine::Postgres.database(), Settings::default(), "").await;
    let everybody: Vec<String> = (0..20_000).map(|place| format!("p{place}@orchard.sandbox.test")).collect();
    world.import(&format!("email\n{}\n", everybody.join("\n"))).await;
    history::note(world.database());
    until("the server has been there for a while", async || history::knows_locks(world.database()).then_some(())).await;
    let hosts = || Settings { latency: Duration::from_millis(60), ..Settings::default() };
    let mut dying = Node::start(&world, 0, hosts(), SLOW).await;
    let other = Node::start(&world, 1, hosts(), SLOW).await;
    world.launch("Spring").await;
    until("both send", async || (dying.accepted().min(other.accepted()) > 20).then_some(())).await;

    let ended = Utc::now();
    end(&mut dying).await;
    let resumed = until("the other goes on with it", async || history::resumed(world.database(), (0, 1), ended)).await;
    (resumed - ended).to_std().unwrap()
}

//! What Rebound stands on fails for a while: the database, its disk, the relay. The pages say so, sending goes on by
//! itself, and nobody is lost.

use crate::crash::nobody_is_lost_or_bothered;
use crate::engine::{Engine, on_both_engines};
use crate::pages::{Browser, text_of};
use crate::postgres::Server;
use crate::world::{World, people, until};
use rebound_sandbox::{Sandbox, Settings};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

on_both_engines! {
    a_relay_that_is_started_again_loses_nobody,
}

const PEOPLE: usize = 1_000;
const RELAY: &str = "per_second = 100\nconnections = 4";
/// How long a database is away.
const AWAY: Duration = Duration::from_secs(30);
/// How soon a page answers, with or without a database.
const SOON: Duration = Duration::from_secs(8);

#[tokio::test]
async fn postgres_is_stopped_for_half_a_minute() {
    let mut server = Server::start();
    let mut world = World::asleep(server.url(), Settings::default(), RELAY).await;
    world.serve().await;
    let browser = in_the_middle(&world).await;

    let stopped = Instant::now();
    server.stop();
    says_that_the_database_is_away(&browser).await;
    let there = world.sandbox.accepted();
    tokio::time::sleep(AWAY.saturating_sub(stopped.elapsed())).await;
    assert!(world.sandbox.accepted() <= there + 4, "nothing is sent that could not be written down");
    server.resume();

    everyone_has_it(&world, &browser).await;
}

#[tokio::test]
async fn another_program_holds_the_sqlite_file_for_half_a_minute() {
    let world = World::with(Engine::Sqlite, Settings::default(), RELAY).await;
    let browser = in_the_middle(&world).await;

    let holding = "import sqlite3, sys, time\n\
                   db = sqlite3.connect('rebound.db', isolation_level=None, timeout=30)\n\
                   db.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\ntime.sleep(float(sys.argv[1]))";
    let mut holder = Command::new("python3")
        .args(["-c", holding, &AWAY.as_secs().to_string()])
        .current_dir(world.folder())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut [0; 4]).unwrap();
    // Reading goes on beside it.
    assert!(browser.text("/campaigns/1").await.contains("Spring"));
    let asked = Instant::now();
    let (status, page) = browser.press("/campaigns/1", "/campaigns/1/pause", &[]).await;
    assert!(status == 503 && text_of(&page).contains("Nothing was changed"), "{status}: {page}");
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    let there = world.sandbox.accepted();
    holder.wait().unwrap();
    assert!(world.sandbox.accepted() <= there + 100, "nothing is sent that could not be written down");

    everyone_has_it(&world, &browser).await;
}

#[tokio::test]
async fn what_a_worker_took_and_does_not_know_of_is_given_back() {
    let world = World::with(Engine::Sqlite, Settings::default(), "per_second = 40\nconnections = 4").await;
    let browser = in_the_middle(&world).await;
    let rename = |from: &str, to: &str| {
        let change = "import sqlite3, sys\n\
                      db = sqlite3.connect('rebound.db', timeout=30)\n\
                      db.execute(f'ALTER TABLE contacts RENAME COLUMN {sys.argv[1]} TO {sys.argv[2]}')\ndb.commit()";
        let done = Command::new("python3").args(["-c", change, from, to]).current_dir(world.folder()).status();
        assert!(done.unwrap().success());
    };

    // Deliveries can be taken, and what the next statement would have answered about them is lost.
    rename("fields", "elsewhere");
    until("it happened", async || world.log().contains("answer to a claim was lost").then_some(())).await;
    rename("elsewhere", "fields");

    everyone_has_it(&world, &browser).await;
}

async fn a_relay_that_is_started_again_loses_nobody(engine: Engine) {
    let mut world = World::asleep(engine.database(), Settings::default(), RELAY).await;
    let listen = crate::program::free_port();
    let truth = Some(world.folder().join("relay.jsonl"));
    let hosts = Settings { listen, truth, ..Settings::default() };
    let relay = Sandbox::start(hosts.clone()).await.unwrap();
    world.configure(listen, RELAY);
    world.serve().await;
    world.import(&people(PEOPLE, &[])).await;
    world.launch("Spring").await;
    until("the first letters", async || (relay.accepted() > 50).then_some(())).await;

    relay.stop().await;
    world.reaches("Spring", "waiting").await;
    let overview = world.browser().await.text("/").await;
    assert!(overview.contains("“Spring” is waiting") && overview.contains("cannot be reached"), "{overview}");
    let _again = Sandbox::start(hosts.clone()).await.unwrap();

    world.reaches("Spring", "sent").await;
    let truth = rebound_sandbox::read_truth(hosts.truth.unwrap()).unwrap();
    nobody_is_lost_or_bothered(world.ledger("Spring").await.into_values(), &truth, PEOPLE);
}

/// A campaign is on its way, and somebody has signed in.
async fn in_the_middle(world: &World) -> Browser {
    world.import(&people(PEOPLE, &[])).await;
    let browser = world.browser().await;
    world.launch("Spring").await;
    until("the first letters", async || (world.sandbox.accepted() > 50).then_some(())).await;
    browser
}

async fn says_that_the_database_is_away(browser: &Browser) {
    let asked = Instant::now();
    let (status, page) = browser.get("/").await;
    let words = text_of(&page);
    assert!(status == 503 && words.contains("The database does not answer. Nothing was changed"), "{status}: {words}");
    assert!(words.contains("by itself"), "{words}");
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
}

async fn everyone_has_it(world: &World, browser: &Browser) {
    world.reaches("Spring", "sent").await;
    assert!(browser.text("/campaigns").await.contains("Spring"), "the pages are back, without signing in again");
    let ledger = world.ledger("Spring").await;
    assert!(ledger.values().all(|line| line.in_doubt == 0), "a database that is away puts nothing in doubt");
    nobody_is_lost_or_bothered(ledger.into_values(), &world.truth(), PEOPLE);
}

//! The disk that holds the database is full for a while. The pages, the log and the listener say so, nothing is sent
//! that could not be written down, and with room again everything goes on by itself.

use crate::crash::nobody_is_lost_or_bothered;
use crate::pages::{Browser, text_of};
use crate::smtp::Talk;
use crate::world::{LIST, World, people, until};
use rebound_sandbox::Settings;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PEOPLE: usize = 1_500;
/// People of the campaign during which the disk is full twenty times.
const TWENTY_TIMES: usize = 3_000;
const RELAY: &str = "per_second = 100\nconnections = 4";
/// A letter to us that does not fit into what little is left here and there.
const LARGE: usize = 200_000;

/// A disk of 12 MB. It goes with this value, also when the story panics.
struct Disk(PathBuf);

impl Disk {
    fn mounted_at(folder: PathBuf) -> Self {
        std::fs::create_dir(&folder).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=12m", "rebound-story"]).arg(&folder).output();
        let said = mounted.unwrap();
        assert!(
            said.status.success(),
            "THIS STORY NEEDS TO MOUNT A SMALL DISK (tmpfs): run the tests as root, in a container that may mount. {}",
            String::from_utf8_lossy(&said.stderr)
        );
        Self(folder)
    }

    /// Takes all the room that is left, to the last byte.
    fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_stops_everything_and_loses_nobody() {
    let mut world = World::asleep("sqlite:disk/rebound.db".to_owned(), Settings::default(), RELAY).await;
    let disk = Disk::mounted_at(world.folder().join("disk"));
    world.serve().await;
    world.import(&people(PEOPLE, &[])).await;
    write_a_large_campaign(&world).await;
    let browser = world.browser().await;
    // The file that SQLite writes to first is as large as it ever was, and has room for a while. It begins anew.
    world.stop().await;
    world.serve().await;
    world.launch("Spring").await;
    until("the first letters", async || (world.sandbox.accepted() > 50).then_some(())).await;
    let ours = world.return_path("person0@sandbox.test");

    disk.fill();
    says_that_the_disk_is_full(&disk, &world, &browser).await;
    until("the log says it", async || {
        world.log().lines().any(|line| line.contains("the journal waits") && line.contains("is full")).then_some(())
    })
    .await;
    let there = world.sandbox.accepted();
    until("mail for us is asked to come back", async || {
        let answer = Talk::with(world.bounces).await.hand_over(&ours, &large_letter()).await;
        assert!(answer.starts_with("250") || answer.starts_with("452"), "{answer}");
        answer.starts_with("452 4.3.1").then_some(())
    })
    .await;
    assert!(world.sandbox.accepted() <= there + 100, "nothing is sent that could not be written down");
    assert!(world.sandbox.accepted() < PEOPLE as u64, "it came in the middle of the campaign");

    disk.make_room();
    world.reaches("Spring", "sent").await;
    let answer = Talk::with(world.bounces).await.hand_over(&ours, &large_letter()).await;
    assert!(answer.starts_with("250"), "{answer}");
    let overview = browser.text("/").await;
    assert!(!overview.contains("disk is full"), "{overview}");
    let ledger = world.ledger("Spring").await;
    assert!(ledger.values().all(|line| line.in_doubt == 0), "a full disk puts nothing in doubt");
    nobody_is_lost_or_bothered(ledger.into_values(), &world.truth(), PEOPLE);
    assert!(!world.log().contains("panicked"), "{}", world.log());
}

#[tokio::test]
async fn a_disk_that_is_full_twenty_times_loses_nobody() {
    let mut world = World::asleep("sqlite:disk/rebound.db".to_owned(), Settings::default(), RELAY).await;
    let disk = Disk::mounted_at(world.folder().join("disk"));
    world.serve().await;
    world.import(&people(TWENTY_TIMES, &[])).await;
    let browser = world.browser().await;
    world.launch("Spring").await;

    for time in 1..=20 {
        let before = world.sandbox.accepted();
        until("some more letters", async || (world.sandbox.accepted() >= before + 10).then_some(())).await;
        empty_the_log(&world);
        disk.fill();
        let waited = waits(&world);
        until("the log says it", async || {
            disk.fill();
            (waits(&world) > waited).then_some(())
        })
        .await;
        assert!(browser.text("/").await.contains("The disk is full"), "time {time}");
        let there = world.sandbox.accepted();
        assert!(there < TWENTY_TIMES as u64, "time {time} came in the middle of the campaign");
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(world.sandbox.accepted() <= there + 4, "nothing is sent that could not be written down");
        disk.make_room();
    }
    // It has gone on by itself twenty times. The rest need not take that long.
    world.stop().await;
    world.configure(world.sandbox.address(), "connections = 4");
    world.serve().await;

    world.reaches("Spring", "sent").await;
    let ledger = world.ledger("Spring").await;
    assert!(ledger.values().all(|line| line.in_doubt == 0), "a full disk puts nothing in doubt");
    assert_eq!(world.sandbox.accepted(), TWENTY_TIMES as u64, "everybody once");
    nobody_is_lost_or_bothered(ledger.into_values(), &world.truth(), TWENTY_TIMES);
    assert!(!world.log().contains("panicked"), "{}", world.log());
    world.stop().await;
    assert_eq!(ask_sqlite(&world, "PRAGMA integrity_check"), "('ok',)");
}

/// How often the log said that the journal waits for a disk that is full.
fn waits(world: &World) -> usize {
    world.log().lines().filter(|line| line.contains("the journal waits") && line.contains("is full")).count()
}

/// Gives back the room that SQLite's log takes, so that the next commit needs some. Where somebody is reading, it
/// stays: then it takes a few commits more.
fn empty_the_log(world: &World) {
    ask_sqlite(world, "PRAGMA wal_checkpoint(TRUNCATE)");
}

fn ask_sqlite(world: &World, what: &str) -> String {
    let ask = "import sqlite3, sys; print(sqlite3.connect('disk/rebound.db').execute(sys.argv[1]).fetchone())";
    let asked = Command::new("python3").args(["-c", ask, what]).current_dir(world.folder()).output();
    let asked = asked.unwrap_or_else(|error| panic!("python3: {error}"));
    assert!(asked.status.success(), "{asked:?}");
    String::from_utf8(asked.stdout).unwrap().trim().to_owned()
}

/// Rebound's own log may be on the full disk too.
#[tokio::test]
async fn a_log_that_cannot_be_written_stops_nothing() {
    let mut world = World::asleep("sqlite:rebound.db".to_owned(), Settings::default(), "").await;
    std::os::unix::fs::symlink(Path::new("/dev/full"), world.folder().join("err")).unwrap();
    world.serve().await;
    world.import(&people(20, &[])).await;

    world.send("Spring").await;

    assert_eq!(world.sandbox.accepted(), 20);
    world.stop().await;
}

async fn says_that_the_disk_is_full(disk: &Disk, world: &World, browser: &Browser) {
    // The database has some room within its file; copies of a large campaign take it, and one does not fit any more.
    let page = until("a page that would write says it", async || {
        disk.fill();
        let (status, page) = browser.press("/campaigns/1", "/campaigns/1/copy", &[]).await;
        assert!([200, 404, 503].contains(&status.as_u16()), "{status}: {}", text_of(&page));
        (status == 503).then(|| text_of(&page))
    })
    .await;
    assert!(page.contains("The disk is full") && page.contains("Nothing was changed"), "{page}");
    assert!(page.contains("by itself"), "{page}");
    // What only reads goes on, and says so too.
    let overview = browser.text("/").await;
    assert!(overview.contains("The disk is full"), "{overview}");
    let doctor = world.run(&["doctor"]).await;
    assert!(!doctor.well && doctor.out.contains("WRONG disk"), "{}{}", doctor.out, doctor.err);
}

async fn write_a_large_campaign(world: &World) {
    let text = format!(
        "name = 'A long story'\nlist = '{LIST}'\nfrom_name = 'Fernhill Garden'\nfrom = 'news@fernhill.test'\n\
         subject = 'A long story'\nhtml = '''{}'''\npostal_address = '1 Garden Row, Fernhill'\n",
        large_letter()
    );
    let file = world.write("long.toml", text);
    world.rebound(&["campaign", "create", file.to_str().unwrap()]).await;
}

/// Words that cannot be packed into less.
fn large_letter() -> String {
    let numbers = std::iter::successors(Some(88_172_645_463_325_252_u64), |number| {
        let number = number ^ (number << 13);
        let number = number ^ (number >> 7);
        Some(number ^ (number << 17))
    });
    let lines: String = numbers.take(LARGE / 17).map(|number| format!("{number:016x}\n")).collect();
    format!("From: Ada <ada@elsewhere.test>\nSubject: A long story\n\n{lines}")
}

//! The power goes: what had not reached the disk is gone. No final dot is said before its mark is on the disk, and the
//! database opens, and holds what it should, however much of its log is left.

mod trace;

use crate::crash::nobody_is_lost_or_bothered;
use crate::engine::Engine;
use crate::program;
use crate::smtp::{Talk, bounce};
use crate::world::{World, people, until};
use rebound_sandbox::{Event, Settings};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tokio::net::TcpStream;
use trace::{Dot, dots, kept};

const PEOPLE: usize = 600;
/// What SQLite keeps in its log before it writes it into the database, in bytes. What is in there already is not cut
/// off by a power cut.
const CHECKPOINT: u64 = 1_000 * 4_096;
/// Reports that are handed to us, one after the other.
const REPORTS: usize = 50;
/// How often the log is cut.
const CUTS: u64 = 200;

#[tokio::test]
async fn the_mark_is_on_the_disk_before_the_final_dot() {
    // One line, so that the one commit between DATA and the dot holds the mark of this letter.
    let world = a_worker_that_was_killed("connections = 1", 250).await;

    let (dots, _) = dots(&trace_of(&world));

    assert!(dots.len() >= 250, "{} dots", dots.len());
    let unmarked: Vec<&Dot> = dots.iter().filter(|dot| !dot.is_marked).collect();
    assert!(unmarked.is_empty(), "{} of {} dots came too early: {unmarked:?}", unmarked.len(), dots.len());
}

#[tokio::test]
async fn a_report_is_on_the_disk_before_its_host_hears_that_it_is_kept() {
    let mut world = World::start(Engine::Sqlite).await;
    world.import("email\nada@sandbox.test\n").await;
    world.send("Spring").await;
    let ours = world.return_path("ada@sandbox.test");
    world.stop().await;
    let watched = watch(&world, &["serve", "--without-worker"]);
    until("it listens", async || TcpStream::connect(world.bounces).await.ok()).await;

    let mut talk = Talk::with(world.bounces).await;
    for number in 0..REPORTS {
        let answer = talk.hand_over(&ours, &bounce("ada@sandbox.test", &format!("{number}@elsewhere.test"))).await;
        assert!(answer.starts_with("250"), "{answer}");
    }
    kill(watched).await;

    let kept = kept(&trace_of(&world));
    assert_eq!(kept.len(), REPORTS);
    let too_early = kept.iter().filter(|kept| !kept.is_marked).count();
    assert_eq!(too_early, 0, "of {REPORTS}");
}

#[tokio::test]
async fn whatever_is_left_of_the_log_can_be_gone_on_with() {
    let mut world = a_worker_that_was_killed("connections = 8", 80).await;
    let (dots, generation) = dots(&trace_of(&world));
    let taken: Vec<String> =
        world.truth().into_iter().filter(|line| line.event == Event::Accepted).map(|line| line.recipient).collect();
    assert!(taken.iter().all(|who| dots.iter().any(|dot| dot.recipient == *who)), "the trace shows every dot");
    let log = std::fs::read(world.folder().join("rebound.db-wal")).unwrap();
    let mut judge = Judge::start(world.folder());

    let length = log.len() as u64;
    assert!((100_000..CHECKPOINT).contains(&length), "there is something to cut, and no more: {length}");
    assert!(dots.iter().all(|dot| dot.generation == generation), "it is one log");
    // Anywhere, also amid a frame; another place in every run of the program.
    let seed = u64::from(std::process::id());
    for cut in (0..CUTS).map(|number| (number * length + (seed * 7_919 + number * 104_729) % length) / CUTS) {
        let rows = judge.rows_after(&world, &log[..usize::try_from(cut).unwrap()]).await;
        for dot in dots.iter().filter(|dot| dot.synced <= cut) {
            let row = rows.get(&dot.recipient).unwrap_or_else(|| panic!("{} is not there any more", dot.recipient));
            assert!(
                row.attempts >= 1,
                "{} was sent a dot with {} bytes of the log on the disk; with {cut} of {length} it has no mark: {row:?}",
                dot.recipient,
                dot.synced
            );
        }
    }

    // The power goes right after the last dot, before anything else reaches the disk.
    let kept = dots.last().unwrap().synced;
    std::fs::write(world.folder().join("rebound.db-wal"), &log[..usize::try_from(kept).unwrap()]).unwrap();
    std::fs::remove_file(world.folder().join("rebound.db-shm")).unwrap();
    world.add_worker();
    world.reaches("Spring", "sent").await;
    nobody_is_lost_or_bothered(world.ledger("Spring").await.into_values(), &world.truth(), PEOPLE);
}

/// Everything lies as it did when a worker was killed in the middle of a campaign; its calls are in `trace`.
async fn a_worker_that_was_killed(relay: &str, letters: u64) -> World {
    let world = World::asleep("sqlite:rebound.db".to_owned(), Settings::default(), relay).await;
    world.import(&people(PEOPLE, &[])).await;
    world.launch("Spring").await;
    begin_the_log_anew(&world);
    let watched = watch(&world, &["worker"]);
    until("letters", async || (world.sandbox.accepted() >= letters).then_some(())).await;
    kill(watched).await;
    assert!(world.sandbox.accepted() < PEOPLE as u64, "it was in the middle");
    world
}

/// Runs Rebound, and has its calls written to `trace`.
fn watch(world: &World, args: &[&str]) -> tokio::process::Child {
    let strace = tokio::process::Command::new("strace")
        .args(["-f", "-yy", "-qq", "-s", "20000", "-o", "trace", "-e"])
        .arg("trace=fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg")
        // It ends with its watcher, also when the story panics.
        .args(["setpriv", "--pdeathsig", "KILL"])
        .arg(program::binary())
        .args(args)
        .current_dir(world.folder())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    strace.unwrap_or_else(|error| panic!("strace: {error}; `scripts/setup test` installs it"))
}

/// Kills what is watched, and waits until all is written down.
async fn kill(mut strace: tokio::process::Child) {
    let id = strace.id().unwrap();
    let watched = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    assert!(Command::new("kill").args(["-KILL", watched.trim()]).status().unwrap().success());
    strace.wait().await.unwrap();
}

/// Writes what is in the log into the database, and empties it.
fn begin_the_log_anew(world: &World) {
    let anew =
        "import sqlite3; print(sqlite3.connect('rebound.db').execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchone())";
    let done = Command::new("python3").args(["-c", anew]).current_dir(world.folder()).output();
    let done = done.unwrap_or_else(|error| panic!("python3: {error}"));
    assert!(done.stdout.starts_with(b"(0,"), "{done:?}");
}

fn trace_of(world: &World) -> String {
    String::from_utf8_lossy(&std::fs::read(world.folder().join("trace")).unwrap()).into_owned()
}

/// A delivery, as it stands in the table.
#[derive(Debug)]
struct Row {
    state: u8,
    attempts: i64,
    /// Tries that were noted, and those of them without an answer.
    tries: i64,
    unanswered: i64,
    accepted: i64,
    /// 1 where a worker has it.
    workers: i64,
}

type Columns = (String, u8, i64, i64, i64, i64, i64);

/// Opens databases with another library than ours, and says what it finds.
struct Judge {
    parent: PathBuf,
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

const JUDGE: &str = r"
import json, sqlite3, sys
for line in sys.stdin:
    db = sqlite3.connect(line.strip())
    faults = [row[0] for row in db.execute('PRAGMA integrity_check')] + \
        [str(row) for row in db.execute('PRAGMA foreign_key_check')]
    rows = db.execute('''SELECT c.key, CASE WHEN d.handed IS NULL THEN d.state ELSE 3 END, d.attempts, d.worker IS NOT NULL,
        (SELECT count(*) FROM attempts a WHERE a.delivery_id = d.id),
        (SELECT count(*) FROM attempts a WHERE a.delivery_id = d.id AND a.outcome IS NULL),
        (SELECT count(*) FROM attempts a WHERE a.delivery_id = d.id AND a.outcome = 0)
        FROM deliveries d JOIN contacts c ON c.id = d.contact_id''').fetchall()
    print(json.dumps([faults, rows]), flush=True)
    db.close()
";

impl Judge {
    fn start(parent: &Path) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", JUDGE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("python3: {error}"));
        let (asks, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { parent: parent.to_owned(), child, asks, answers }
    }

    /// Who stands how when only `log` is left. Our own library has opened the database first, and brought it up to date.
    async fn rows_after(&mut self, world: &World, log: &[u8]) -> BTreeMap<String, Row> {
        // A folder for each: ours may still be letting go of the last one.
        let folder = tempfile::tempdir_in(&self.parent).unwrap();
        let file = folder.path().join("rebound.db");
        std::fs::copy(world.folder().join("rebound.db"), &file).unwrap();
        std::fs::write(folder.path().join("rebound.db-wal"), log).unwrap();
        let db = rebound_db::connect(&format!("sqlite:{}", file.display())).await.unwrap();
        rebound_db::migrate(&db).await.unwrap();
        db.close().await;
        writeln!(self.asks, "{}", file.display()).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        let (faults, rows): (Vec<String>, Vec<Columns>) = serde_json::from_str(&answer).unwrap();
        assert_eq!(faults, ["ok"], "with {} bytes of the log", log.len());
        let lawful = |(who, state, attempts, workers, tries, unanswered, accepted): Columns| {
            let row = Row { state, attempts, workers, tries, unanswered, accepted };
            assert!(row.is_lawful(), "{who}, with {} bytes of the log: {row:?}", log.len());
            (who, row)
        };
        rows.into_iter().map(lawful).collect()
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Row {
    /// Whether the program could have left it so at some moment. Nobody was refused, and no line broke.
    fn is_lawful(&self) -> bool {
        let Self { attempts, tries, unanswered, accepted, workers, .. } = *self;
        match self.state {
            0 => (attempts, tries, workers) == (0, 0, 0),
            2 => (attempts, tries, workers) == (0, 0, 1),
            3 => (attempts, tries, unanswered, workers) == (1, 0, 0, 1),
            5 => (attempts, tries, accepted, workers) == (1, 1, 1, 0),
            _ => false,
        }
    }
}

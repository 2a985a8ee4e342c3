//! The program dies, or is asked to stop, while letters are on their way.

use crate::engine::{Engine, on_both_engines};
use crate::program;
use crate::world::{Line, World, people, until};
use rebound_sandbox::{Drops, Event, ReportKind, Settings, Truth, read_truth};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

on_both_engines! {
    a_letter_whose_answer_is_lost_is_in_doubt_by_name,
    a_program_that_is_killed_resumes_by_itself,
    a_program_that_is_asked_to_stop_leaves_no_doubt,
}

#[tokio::test]
async fn a_demo_that_is_killed_three_times_loses_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let truth = kept.join("truth.jsonl");
    let args = ["demo", "--check", "--keep", "kept", "--contacts", "2000", "--faster", "7200"];
    for more in [40, 350, 700] {
        let before = lines(&truth);
        let mut demo = program::start(folder.path(), &[], &args);
        until("it has begun to send", async || (lines(&truth) >= before + more).then_some(())).await;
        demo.kill().await.unwrap();
    }

    let said = program::run(folder.path(), &[], &args, "").await;

    assert!(said.well, "{}\n{}", said.out, said.err);
    assert!(said.out.contains("2000 of 2000 recipients in a final state"), "{}", said.out);
    let ledger = std::fs::read_to_string(kept.join("ledger.jsonl")).unwrap();
    let ledger = ledger.lines().map(|line| serde_json::from_str(line).unwrap());
    nobody_is_lost_or_bothered(ledger, &read_truth(truth).unwrap(), 2000);
}

async fn a_letter_whose_answer_is_lost_is_in_doubt_by_name(engine: Engine) {
    let hosts = Settings {
        drop_after_record: Drops::At(vec![3, 7, 11]),
        drop_before_record: Drops::At(vec![5]),
        ..Settings::default()
    };
    let world = World::with(engine, hosts, "").await;
    world.import(&people(40, &[])).await;

    world.send("Spring").await;

    let ledger = world.ledger("Spring").await;
    let doubtful: Vec<&Line> = ledger.values().filter(|line| line.in_doubt > 0).collect();
    assert_eq!(doubtful.len(), 4, "{doubtful:?}");
    let copies: usize = doubtful.iter().map(|line| world.subjects(&line.recipient).len()).sum();
    assert_eq!(copies, 3 * 2 + 1, "three came twice, and the one that was lost came once");
    nobody_is_lost_or_bothered(ledger.into_values(), &world.truth(), 40);
}

async fn a_program_that_is_killed_resumes_by_itself(engine: Engine) {
    let mut world = World::with(engine, Settings::default(), "per_second = 60\nconnections = 8").await;
    world.import(&people(200, &[])).await;
    world.launch("Spring").await;
    until("the first letters", async || (world.sandbox.accepted() > 30).then_some(())).await;

    world.kill().await;
    world.serve().await;

    world.reaches("Spring", "sent").await;
    let ledger = world.ledger("Spring").await;
    assert!(ledger.values().filter(|line| line.in_doubt > 0).count() <= 8, "one per connection at most");
    nobody_is_lost_or_bothered(ledger.into_values(), &world.truth(), 200);
}

async fn a_program_that_is_asked_to_stop_leaves_no_doubt(engine: Engine) {
    let mut world = World::with(engine, Settings::default(), "per_second = 5\nconnections = 4").await;
    world.import(&people(300, &[])).await;
    world.launch("Spring").await;
    until("the first letters", async || (world.sandbox.accepted() > 5).then_some(())).await;

    let took = world.stop().await;
    let before = world.sandbox.accepted();
    assert!(took < Duration::from_secs(30), "it took {took:?}");
    assert!(before < 200, "it did not send the rest first");
    until("no line is left open", async || (world.sandbox.sessions_open() == 0).then_some(())).await;
    world.configure(world.sandbox.address(), "");
    world.serve().await;

    world.reaches("Spring", "sent").await;
    let ledger = world.ledger("Spring").await;
    assert!(ledger.values().all(|line| line.in_doubt == 0));
    assert_eq!(world.sandbox.accepted(), 300, "everyone once");
}

fn lines(file: &Path) -> usize {
    std::fs::read(file).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count())
}

/// Everyone has an outcome that the hosts confirm; who got a second copy is in doubt by name, or their host gave the
/// first one back.
pub(crate) fn nobody_is_lost_or_bothered(ledger: impl Iterator<Item = Line>, truth: &[Truth], people: usize) {
    let mut copies: BTreeMap<&str, usize> = BTreeMap::new();
    let mut given_back: BTreeMap<&str, usize> = BTreeMap::new();
    let failures = [ReportKind::MailboxFull, ReportKind::MailboxUnknown, ReportKind::ForwardUnknown];
    for line in truth {
        match line.event {
            Event::Accepted => *copies.entry(&line.recipient).or_default() += 1,
            Event::Reported if line.report.is_some_and(|kind| failures.contains(&kind)) => {
                *given_back.entry(&line.recipient).or_default() += 1;
            }
            _ => {}
        }
    }
    let mut seen = 0;
    for line in ledger {
        seen += 1;
        let recipient = line.recipient.to_lowercase();
        let of = |counts: &BTreeMap<&str, usize>| counts.get(recipient.as_str()).copied().unwrap_or(0);
        let may = 1 + of(&given_back) + usize::try_from(line.in_doubt).unwrap();
        assert!(of(&copies) <= may, "{recipient} got {} copies, {may} can be explained", of(&copies));
        match line.state.as_str() {
            "accepted" => assert!(of(&copies) > 0, "{recipient} is said to have it, and has not"),
            "bounced" => assert!(of(&copies) <= of(&given_back), "{recipient} is said to lack it, and has it"),
            state => panic!("{recipient} is {state}"),
        }
    }
    assert_eq!(seen, people);
}

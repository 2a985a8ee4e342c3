//! Throws changed fixtures at the classifier by the million, without looking for new code as `make fuzz` does:
//!
//! ```text
//! cargo run --release -p rebound-classify --example storm -- reply 10000000
//! ```
//!
//! The kinds are `reply`, `report`, `feedback` and `rules`. A broken promise ends it with a panic; the slowest input
//! is told.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "stops at what is broken"
)]

#[path = "../fuzz/src/mutate.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the fuzz targets")]
mod mutate;
#[path = "../fuzz/src/promises.rs"]
#[allow(unreachable_pub, reason = "shared with the fuzz targets")]
mod promises;

use std::path::Path;
use std::time::{Duration, Instant};

/// What is promised of any bytes.
type Promise = fn(&[u8]);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap_or_default();
    let times: u64 = arguments.next().and_then(|times| times.parse().ok()).unwrap_or(100_000);
    let (promise, seeds): (Promise, Vec<Vec<u8>>) = match kind.as_str() {
        "reply" => (promises::of_a_reply, quoted("example = ")),
        "report" => (promises::of_a_report, messages("fixtures")),
        "feedback" => (promises::of_a_feedback_report, messages("fixtures")),
        "rules" => (promises::of_a_rule_file, rules()),
        _ => panic!("one of reply, report, feedback, rules"),
    };
    let (begin, mut slowest) = (Instant::now(), Duration::ZERO);
    for seed in 0..times {
        let mut bytes = seeds[usize::try_from(seed).unwrap() % seeds.len()].clone();
        for change in 0..=seed % 3 {
            mutate::mutate(&mut bytes, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(change));
        }
        let start = Instant::now();
        promise(&bytes);
        slowest = slowest.max(start.elapsed());
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("{times} {kind}: no promise broken, slowest {slowest:?}, {seconds:.1} s");
}

fn here(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn messages(folder: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(here(folder)).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(messages(path.to_str().unwrap()));
        } else if path.extension().is_some_and(|ending| ending == "eml") {
            found.push(std::fs::read(path).unwrap());
        }
    }
    found
}

fn rules() -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(here("rules")).unwrap().flatten().map(|entry| entry.path());
    let texts = files.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let texts = texts.map(|path| std::fs::read_to_string(path).unwrap());
    let rule = |rule: &str| format!("[[rule]]{}", rule.replace("id = \"", "id = \"local.")).into_bytes();
    texts.flat_map(|text| text.split("[[rule]]").skip(1).map(rule).collect::<Vec<_>>()).collect()
}

fn quoted(name: &str) -> Vec<Vec<u8>> {
    let line = |rule: &Vec<u8>| {
        let text = String::from_utf8_lossy(rule).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_matches('"').as_bytes().to_vec())
    };
    rules().iter().filter_map(line).collect()
}

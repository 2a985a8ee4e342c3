//! What real mail servers wrote: every message against the table of what was done to cause it, and against its
//! snapshot. `docs/develop/fixtures.md` tells how they were made.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops, and says where")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use rebound_classify::{FailedRecipient, Report, reply, report};

use crate::share::Share;

/// One row of a table, by column.
type Row = BTreeMap<String, String>;

#[test]
fn real_servers_are_understood() {
    let mut causes = Share::default();
    let (mut detected, mut named, mut false_hard) = (Share::default(), Share::default(), Vec::new());
    for row in rows("expected.tsv") {
        let report = read(&row["file"]);
        detected.count(report.kind.as_str() == row["kind"]);
        if row["kind"] != "bounce" {
            continue;
        }
        let Some(failed) = about(&report, &row["recipient"]) else {
            named.count(false);
            continue;
        };
        named.count(true);
        if !row["cause"].is_empty() {
            causes.count(row["cause"].split('|').any(|cause| cause == failed.verdict.cause.as_str()));
        }
        if failed.verdict.is_hard() && row["permanence"] == "soft" {
            false_hard.push(row["file"].clone());
        }
    }
    eprintln!("kinds {detected}, recipients {named}, causes {causes}");
    assert!(detected.percent() >= 99.5 && named.percent() >= 98.5 && causes.percent() >= 94.0);
    assert!(false_hard.is_empty(), "addresses lost for nothing: {false_hard:?}");
}

#[test]
fn replies_of_real_servers_are_understood() {
    let mut causes = Share::default();
    for row in rows("replies.tsv").iter().filter(|row| !row["cause"].is_empty()) {
        let said = row["reply"].replace("\\n", "\n");
        let verdict = reply(said.as_bytes());
        let cause = verdict.as_ref().map(|verdict| verdict.cause.as_str());
        causes.count(cause.is_some_and(|cause| row["cause"].split('|').any(|accepted| accepted == cause)));
        let hard = verdict.is_some_and(|verdict| verdict.is_hard());
        assert!(!(hard && row["permanence"] == "soft"), "{said}");
    }
    eprintln!("causes of replies {causes}");
    assert!(causes.percent() >= 92.0);
}

#[test]
fn every_message_means_what_its_line_says() {
    let mut lines = String::new();
    let mut files: Vec<String> = rows("expected.tsv").into_iter().map(|row| row["file"].clone()).collect();
    files.dedup();
    for file in files {
        let report = read(&file);
        writeln!(lines, "{file}: {}", report.kind).unwrap();
        for failed in &report.recipients {
            let verdict = &failed.verdict;
            let who = failed.recipient.as_deref().unwrap_or("-");
            let other = failed.original_recipient.as_ref().filter(|ours| !ours.eq_ignore_ascii_case(who));
            let ours = other.map_or(String::new(), |ours| format!(" for {ours}"));
            let rule = verdict.evidence.first().map_or("-", |evidence| evidence.rule.as_str());
            writeln!(lines, "    {who}{ours}: {}, {}, by {rule}", verdict.cause, verdict.permanence).unwrap();
        }
    }
    insta::assert_snapshot!(lines);
}

fn read(file: &str) -> Report {
    report(&std::fs::read(folder().join(file)).unwrap())
}

fn folder() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/servers").into()
}

fn rows(table: &str) -> Vec<Row> {
    let text = std::fs::read_to_string(folder().join(table)).unwrap();
    let mut lines = text.lines();
    let names: Vec<String> = lines.next().unwrap().split('\t').map(str::to_owned).collect();
    let row = |line: &str| names.iter().cloned().zip(line.split('\t').map(str::to_owned)).collect();
    lines.filter(|line| !line.is_empty()).map(row).collect()
}

fn about<'r>(report: &'r Report, recipient: &str) -> Option<&'r FailedRecipient> {
    let named = |name: &Option<String>| {
        name.as_ref().is_some_and(|name| recipient.split('|').any(|wanted| wanted.eq_ignore_ascii_case(name)))
    };
    report.recipients.iter().find(|one| recipient.is_empty() || named(&one.recipient) || named(&one.original_recipient))
}

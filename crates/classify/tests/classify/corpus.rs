//! Scores against a corpus of labelled messages. The corpus is not part of the project: set `REBOUND_CORPUS` to
//! its folder, or put it at `shared/corpus` beside the project.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rebound_classify::{Report, reply, report};

use crate::share::Share;

/// One row of `labels.tsv` or `replies.tsv`, by column.
type Row = BTreeMap<String, String>;

#[test]
fn messages_of_the_corpus_are_understood() {
    let Some(corpus) = corpus() else { return };
    let mut messages: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows(&corpus.join("labels.tsv")) {
        messages.entry(row["path"].clone()).or_default().push(row);
    }
    let (mut detected, mut causes, mut hard, mut false_positives) =
        (Share::default(), Share::default(), Share::default(), Share::default());
    for (path, rows) in &messages {
        let report = report(&std::fs::read(corpus.join(path)).unwrap());
        let kind = report.kind.as_str();
        if rows[0]["kind"] != "bounce" {
            let claims_bounce = matches!(kind, "bounce" | "delay") && rows[0]["kind"] != "delay";
            false_positives.count(claims_bounce);
            continue;
        }
        detected.count(kind == "bounce");
        for row in rows {
            judge_row(row, rows.len() == 1, &report, &mut causes, &mut hard);
        }
    }
    for (name, share, least) in
        [("detected", &detected, 99.5), ("causes", &causes, 91.0), ("hard or soft", &hard, 94.0)]
    {
        eprintln!("{name}: {:.1} % ({}/{})", share.percent(), share.right, share.of);
        assert!(share.percent() >= least, "{name} fell to {:.1} %", share.percent());
    }
    assert!(false_positives.right <= 2, "{} messages are no bounces", false_positives.right);
}

#[test]
fn replies_of_the_corpus_are_understood() {
    let Some(corpus) = corpus() else { return };
    let mut causes = Share::default();
    for row in rows(&corpus.join("replies.tsv")).iter().filter(|row| !row["cause"].is_empty()) {
        let cause = reply(row["reply"].as_bytes()).map(|verdict| verdict.cause.as_str());
        causes.count(cause.is_some_and(|cause| row["cause"].split('|').any(|accepted| accepted == cause)));
    }
    eprintln!("causes of replies: {:.1} % ({}/{})", causes.percent(), causes.right, causes.of);
    assert!(causes.percent() >= 91.0, "fell to {:.1} %", causes.percent());
}

fn judge_row(row: &Row, alone: bool, report: &Report, causes: &mut Share, hard: &mut Share) {
    let wanted = row["recipient"].to_lowercase();
    let named = |name: &Option<String>| {
        name.as_ref().is_some_and(|name| wanted.split('|').any(|w| name.eq_ignore_ascii_case(w)))
    };
    let mut told = report.recipients.iter();
    let failed = if alone {
        told.next()
    } else {
        told.find(|failed| named(&failed.recipient) || named(&failed.original_recipient))
    };
    if !row["cause"].is_empty() {
        let cause = failed.map(|failed| failed.verdict.cause.as_str());
        causes.count(cause.is_some_and(|cause| row["cause"].split('|').any(|accepted| accepted == cause)));
    }
    if let Some(expected) = match row["hard"].as_str() {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    } {
        hard.count(failed.is_some_and(|failed| failed.verdict.is_hard() == expected));
    }
}

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let corpus = std::env::var_os("REBOUND_CORPUS").map_or(beside, PathBuf::from);
    if corpus.join("labels.tsv").is_file() {
        return Some(corpus);
    }
    eprintln!("NOT RUN: there is no corpus at {}; set REBOUND_CORPUS to its folder", corpus.display());
    None
}

fn rows(path: &Path) -> Vec<Row> {
    let table = String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    lines
        .map(|line| {
            names.iter().zip(line.split('\t')).map(|(name, value)| ((*name).to_owned(), value.to_owned())).collect()
        })
        .collect()
}

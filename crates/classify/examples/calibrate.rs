//! Measures how often which score is right, and writes the table of `rules/calibration.toml`:
//!
//! ```text
//! cargo run --release -p rebound-classify --example calibrate -- LABELS.tsv [LABELS.tsv…] > calibration.toml
//! ```
//!
//! A table of labels has a header row and columns `path` or `file`, `source` or `sender`, `kind`, `recipient` and
//! `cause` (accepted ones parted by `|`); the messages lie beside it. Standard error tells the calibration error:
//! the mean distance of confidence and share of right verdicts over ten bins, with each source judged by a table
//! made of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use rebound_classify::{Report, Rules};

/// A verdict: where it comes from, its score in percent, and whether it was right.
struct Judged {
    source: String,
    score: u8,
    right: bool,
}

/// The scores at which the table has its points.
const SCORES: [u8; 8] = [1, 20, 40, 55, 65, 75, 85, 95];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rules = Rules::uncalibrated().map_err(|faults| format!("{faults:?}"))?;
    let mut judged = Vec::new();
    for table in std::env::args().skip(1) {
        judged.extend(judge(&rules, Path::new(&table))?);
    }
    let all: Vec<&Judged> = judged.iter().collect();
    let points: Vec<String> = fit(&all).iter().map(|(score, share)| format!("[{score}, {share:.0}]")).collect();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "# How often a verdict is right, in percent, by the score of its cause. Written by examples/calibrate.rs"
    )?;
    writeln!(out, "# from {} labelled verdicts of {} sources.", judged.len(), sources(&judged).len())?;
    writeln!(out, "points = [{}]", points.join(", "))?;

    let mut unseen = Vec::new();
    for source in sources(&judged) {
        let others: Vec<&Judged> = judged.iter().filter(|one| one.source != source).collect();
        let table = fit(&others);
        unseen.extend(judged.iter().filter(|one| one.source == source).map(|one| (at(&table, one.score), one.right)));
    }
    eprintln!("verdicts {}, right {:.1} %", judged.len(), 100.0 * share(judged.iter().map(|one| one.right)));
    eprintln!("calibration error, each source by a table of the others: {:.3}", error(&unseen));
    Ok(())
}

fn judge(rules: &Rules, table: &Path) -> Result<Vec<Judged>, Box<dyn std::error::Error>> {
    let text = String::from_utf8_lossy(&std::fs::read(table)?).into_owned();
    let folder = table.parent().unwrap_or(Path::new("."));
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let mut judged = Vec::new();
    let mut seen = BTreeSet::new();
    for line in lines {
        let row: BTreeMap<&str, &str> = names.iter().copied().zip(line.split('\t')).collect();
        let value = |one: &str, other: &str| row.get(one).or(row.get(other)).copied().unwrap_or_default();
        let path = value("path", "file");
        let causes = value("cause", "cause");
        let Ok(raw) = std::fs::read(folder.join(path)) else { continue };
        // The same message with other line ends counts once.
        let bare: Vec<u8> = raw.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        if value("kind", "kind") != "bounce"
            || causes.is_empty()
            || !seen.insert((bare, value("recipient", "").to_owned()))
        {
            continue;
        }
        let report = rules.report(&raw);
        if let Some(verdict) = about(&report, value("recipient", "")) {
            let right = causes.split('|').any(|cause| cause == verdict.cause.as_str());
            judged.push(Judged { source: value("source", "sender").to_owned(), score: verdict.confidence, right });
        }
    }
    Ok(judged)
}

fn about<'r>(report: &'r Report, recipient: &str) -> Option<&'r rebound_domain::Verdict> {
    let named = |name: &Option<String>| {
        name.as_ref().is_some_and(|name| recipient.split('|').any(|wanted| wanted.eq_ignore_ascii_case(name)))
    };
    let found = report.recipients.iter().find(|one| named(&one.recipient) || named(&one.original_recipient));
    let only = || report.recipients.first().filter(|_| report.recipients.len() == 1);
    found.or_else(only).map(|one| &one.verdict)
}

fn sources(judged: &[Judged]) -> BTreeSet<String> {
    judged.iter().map(|one| one.source.clone()).collect()
}

/// The share of right verdicts around each point, made to rise (pooled neighbours), a little shy of certainty.
fn fit(judged: &[&Judged]) -> Vec<(u8, f64)> {
    let nearest = |score: u8| {
        let distance = |index: &usize| SCORES.get(*index).map_or(u8::MAX, |at| at.abs_diff(score));
        (0..SCORES.len()).min_by_key(distance).unwrap_or_default()
    };
    // (right, of) with one right and a third of a wrong one already seen, so that no point claims to be certain.
    let mut bins: Vec<(f64, f64, Vec<u8>)> = SCORES.iter().map(|score| (1.0, 1.33, vec![*score])).collect();
    for one in judged {
        if let Some(bin) = bins.get_mut(nearest(one.score)) {
            bin.0 += f64::from(u8::from(one.right));
            bin.1 += 1.0;
        }
    }
    let mut pooled: Vec<(f64, f64, Vec<u8>)> = Vec::new();
    for bin in bins {
        pooled.push(bin);
        while let [.., (right0, of0, _), (right1, of1, _)] = pooled.as_slice()
            && right0 / of0 > right1 / of1
            && let Some((right, of, scores)) = pooled.pop()
            && let Some(last) = pooled.last_mut()
        {
            last.0 += right;
            last.1 += of;
            last.2.extend(scores);
        }
    }
    let points =
        pooled.iter().flat_map(|(right, of, scores)| scores.iter().map(move |score| (*score, 100.0 * right / of)));
    points.collect()
}

fn at(table: &[(u8, f64)], score: u8) -> f64 {
    let after = table.iter().position(|(at, _)| *at >= score).unwrap_or(table.len());
    match (after.checked_sub(1).and_then(|before| table.get(before)), table.get(after)) {
        (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * f64::from(score - x0) / f64::from((x1 - x0).max(1)),
        (Some((_, y)), None) | (None, Some((_, y))) => *y,
        (None, None) => f64::from(score),
    }
}

fn error(judged: &[(f64, bool)]) -> f64 {
    let bin = |number: usize| {
        judged.iter().filter(move |(sure, _)| ((sure / 10.0) as usize).min(9) == number).collect::<Vec<_>>()
    };
    let gap = |bin: Vec<&(f64, bool)>| {
        let mean = bin.iter().map(|(sure, _)| sure / 100.0).sum::<f64>() / bin.len().max(1) as f64;
        (mean - share(bin.iter().map(|(_, right)| *right))).abs() * bin.len() as f64
    };
    (0..10).map(|number| gap(bin(number))).sum::<f64>() / judged.len().max(1) as f64
}

fn share(right: impl Iterator<Item = bool>) -> f64 {
    let (mut of, mut yes) = (0.0_f64, 0.0);
    for one in right {
        of += 1.0;
        yes += f64::from(u8::from(one));
    }
    yes / of.max(1.0)
}

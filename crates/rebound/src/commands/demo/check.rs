//! The headless demo: runs until nothing is left to do, then holds the ledger against what the hosts did.

use crate::commands::ledger::{self, Line};
use crate::roles::Parts;
use anyhow::Context;
use rebound_db::{campaigns, inbox, suppressions};
use rebound_domain::{CampaignId, CampaignState, EmailAddress, SuppressionReason};
use rebound_sandbox::{Behaviour, Event, Expectation, ReportKind, Sandbox, Truth, expected, read_truth};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Far more than a run takes; a demo that hangs says so.
const PATIENCE: Duration = Duration::from_secs(900);

/// Launches, waits, compares; whether everything agreed.
pub(super) async fn run(
    parts: &Parts,
    sandbox: &Sandbox,
    campaign: CampaignId,
    folder: &Path,
    running: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<bool> {
    rebound_send::launch(&parts.db, campaign, &parts.sender(), "demo", parts.now()).await?;
    parts.send.notify_one();
    wait(parts, sandbox, campaign, running).await?;
    let ledger = ledger::lines(parts, campaign).await?;
    let complained = complaints(parts, &ledger).await?;
    parts.halt(running).await;
    write_ledger(&folder.join("ledger.jsonl"), &ledger)?;
    let truth = read_truth(folder.join("truth.jsonl")).context("the hosts' own record cannot be read")?;
    Ok(compare(&ledger, &truth, &complained))
}

/// Until the campaign is sent, every report has come in, and every one of them is read.
async fn wait(
    parts: &Parts,
    sandbox: &Sandbox,
    campaign: CampaignId,
    running: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let (start, mut quiet, mut told) = (Instant::now(), 0, Instant::now());
    while quiet < 3 {
        if let Some(ended) = running.try_join_next() {
            ended??;
            anyhow::bail!("a part stopped before the campaign was through");
        }
        anyhow::ensure!(start.elapsed() < PATIENCE, "the campaign was not through after {} s", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = campaigns::get(&parts.db, campaign).await?.context("the campaign is gone")?;
        if matches!(now.state, CampaignState::Waiting | CampaignState::Paused) {
            anyhow::bail!("the campaign stopped: {}", now.reason.unwrap_or_default());
        }
        let unread = inbox::waiting(&parts.db).await?;
        let done = now.state == CampaignState::Sent && sandbox.reports_pending() == 0 && unread == 0;
        quiet = if done { quiet + 1 } else { 0 };
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            let open = rebound_db::deliveries::counts(&parts.db, campaign).await?;
            let open: i64 = open.iter().filter(|(state, _)| !state.is_final()).map(|(_, count)| count).sum();
            eprintln!("{open} not settled yet; it is {}", parts.now().format("%a %-d %b, %H:%M"));
        }
    }
    Ok(())
}

/// Who complained, as the suppressions say.
async fn complaints(parts: &Parts, ledger: &[Line]) -> anyhow::Result<Vec<String>> {
    let mut complained = Vec::new();
    for line in ledger {
        let key = line.recipient.parse::<EmailAddress>()?.key();
        let standing = suppressions::of(&parts.db, &key).await?;
        if standing.iter().any(|suppression| suppression.reason == SuppressionReason::Complaint) {
            complained.push(line.recipient.to_lowercase());
        }
    }
    Ok(complained)
}

fn write_ledger(path: &Path, ledger: &[Line]) -> anyhow::Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    for line in ledger {
        writeln!(file, "{}", serde_json::to_string(line)?)?;
    }
    Ok(file.flush()?)
}

/// One kind of host, and how its recipients fared.
#[derive(Default)]
struct Row {
    people: u64,
    delivered: u64,
    failed: u64,
    differences: Vec<String>,
}

fn compare(ledger: &[Line], truth: &[Truth], complained: &[String]) -> bool {
    let mut hosts: HashMap<String, Vec<&Truth>> = HashMap::new();
    for line in truth.iter().filter(|line| line.event != Event::TurnedAway) {
        hosts.entry(line.recipient.to_lowercase()).or_default().push(line);
    }
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let (mut settled, mut in_doubt) = (0, Vec::new());
    for line in ledger {
        let recipient = line.recipient.to_lowercase();
        let said = hosts.remove(&recipient).unwrap_or_default();
        let behaviour = rebound_sandbox::behaviour_of(&recipient);
        let row = rows.entry(format!("{behaviour:?}")).or_default();
        row.people += 1;
        row.delivered += u64::from(line.state == "accepted");
        row.failed += u64::from(line.state == "bounced");
        settled += u64::from(matches!(line.state.as_str(), "accepted" | "bounced" | "suppressed" | "cancelled"));
        if line.in_doubt > 0 {
            in_doubt.push(recipient.clone());
        }
        let differences = differences(line, behaviour, &said, complained.contains(&recipient));
        row.differences.extend(differences.into_iter().map(|what| format!("{recipient}: {what}")));
    }
    let strangers: Vec<String> = hosts.into_keys().collect();
    print(&rows, ledger.len() as u64, settled, &in_doubt, &strangers);
    settled == ledger.len() as u64 && strangers.is_empty() && rows.values().all(|row| row.differences.is_empty())
}

/// What the ledger says that the hosts do not, or the other way round.
fn differences(line: &Line, behaviour: Behaviour, said: &[&Truth], complained: bool) -> Vec<String> {
    let mut differences = Vec::new();
    let copies = said.iter().filter(|truth| truth.event == Event::Accepted).count();
    let failed_later = said.iter().any(|truth| is_failure(truth));
    match line.state.as_str() {
        "accepted" if copies == 0 => differences.push("the ledger says accepted, no host took it".to_owned()),
        "bounced" if copies > 0 && !failed_later => {
            differences.push("the ledger says bounced, a host took it and sent no report".to_owned());
        }
        _ => {}
    }
    // A second copy is right after a report gave custody back, and forgiven where it is in doubt by name.
    let returned = said.iter().filter(|truth| is_failure(truth)).count();
    let allowed = 1 + returned + usize::try_from(line.in_doubt).unwrap_or(0);
    if copies > allowed {
        differences.push(format!("{copies} copies arrived, {allowed} at most can be explained"));
    }
    for truth in said.iter().filter(|truth| truth.message_id.as_deref().is_some_and(|id| id != line.message_id)) {
        differences.push(format!("a message came with another Message-ID: {:?}", truth.message_id));
    }
    let verdict = line.verdict.as_deref().unwrap_or("none");
    match expected(behaviour) {
        Expectation::Delivered if line.state != "accepted" => {
            differences.push(format!("should have been delivered, is {} ({verdict})", line.state));
        }
        Expectation::DeliveredThenComplained if line.state != "accepted" || !complained => {
            differences.push(format!(
                "should have been delivered and complained, is {}, complained: {complained}",
                line.state
            ));
        }
        Expectation::NotDelivered { causes } if line.state != "bounced" || !causes.contains(&verdict) => {
            differences.push(format!("should have bounced as {}, is {} ({verdict})", causes.join(" or "), line.state));
        }
        _ => {}
    }
    if complained && !matches!(expected(behaviour), Expectation::DeliveredThenComplained) {
        differences.push("is suppressed for a complaint that nobody made".to_owned());
    }
    differences
}

/// Whether a host reported that it could not deliver after all.
fn is_failure(truth: &Truth) -> bool {
    let failures = [ReportKind::MailboxFull, ReportKind::MailboxUnknown, ReportKind::ForwardUnknown];
    truth.event == Event::Reported && truth.report.is_some_and(|kind| failures.contains(&kind))
}

fn print(rows: &BTreeMap<String, Row>, people: u64, settled: u64, in_doubt: &[String], strangers: &[String]) {
    println!("{:<18} {:>7} {:>10} {:>8} {:>12}", "host", "people", "delivered", "bounced", "differences");
    for (host, row) in rows {
        let differences = row.differences.len();
        println!("{host:<18} {:>7} {:>10} {:>8} {differences:>12}", row.people, row.delivered, row.failed);
    }
    println!("\n{settled} of {people} recipients in a final state; {} in doubt by name.", in_doubt.len());
    in_doubt.iter().for_each(|recipient| println!("  in doubt: {recipient}"));
    strangers.iter().for_each(|recipient| println!("  written to, and not in the ledger: {recipient}"));
    let all: Vec<&String> = rows.values().flat_map(|row| &row.differences).collect();
    match all.len() {
        0 if strangers.is_empty() => println!("No difference between the ledger and the hosts."),
        count => println!("{count} differences:"),
    }
    all.iter().take(50).for_each(|difference| println!("  {difference}"));
}

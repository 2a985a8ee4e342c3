//! `rebound ledger`.

use crate::roles::Parts;
use anyhow::Context;
use rebound_db::{campaigns, deliveries};
use rebound_domain::CampaignId;
use serde::{Deserialize, Serialize};
use std::io::{BufWriter, Write};
use std::process::ExitCode;

const CHUNK: u32 = 5_000;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The campaign
    name: String,
    /// One JSON object a line
    #[arg(long)]
    jsonl: bool,
}

/// A line of the ledger, as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) recipient: String,
    pub(super) message_id: String,
    pub(super) state: String,
    pub(super) attempts: u8,
    /// Tries of which nobody knew whether they had arrived when the next was made, or when a worker died.
    pub(super) in_doubt: i64,
    /// Why it failed last, if it ever did.
    pub(super) verdict: Option<String>,
}

pub(super) async fn run(parts: Parts, args: Args) -> anyhow::Result<ExitCode> {
    let campaign = campaigns::named(&parts.db, &args.name).await?;
    let campaign = campaign.with_context(|| format!("there is no campaign called {}", args.name))?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in lines(&parts, campaign.id).await? {
        if args.jsonl {
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
        } else {
            let verdict = line.verdict.as_deref().unwrap_or("-");
            writeln!(out, "{:<12} {:>2}  {:<20} {}", line.state, line.attempts, verdict, line.recipient)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The whole ledger of a campaign.
pub(super) async fn lines(parts: &Parts, campaign: CampaignId) -> anyhow::Result<Vec<Line>> {
    let sender = parts.sender();
    let mut lines = Vec::new();
    let mut after = None;
    loop {
        let chunk = deliveries::ledger(&parts.db, campaign, after, CHUNK).await?;
        let Some(last) = chunk.last() else { return Ok(lines) };
        after = Some(last.delivery);
        lines.extend(chunk.into_iter().map(|line| Line {
            message_id: sender.message_id(line.delivery),
            recipient: line.recipient,
            state: line.state.as_str().to_owned(),
            attempts: line.attempts,
            in_doubt: line.in_doubt,
            verdict: line.verdict.map(|cause| cause.as_str().to_owned()),
        }));
    }
}

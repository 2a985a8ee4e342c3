//! `rebound serve` and `rebound worker`.

use crate::config::Config;
use crate::roles::{Parts, StopSignal};
use std::process::ExitCode;
use tokio::task::JoinSet;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Send nothing here: that is the part of `rebound worker`, on this machine or others
    #[arg(long)]
    without_worker: bool,
}

/// Runs everything until it is told to stop.
pub(super) async fn serve(config: Config, args: Args) -> anyhow::Result<ExitCode> {
    let parts = Parts::open(config).await?;
    let stop = StopSignal::new()?;
    let mut running = JoinSet::new();
    parts.pages(&mut running).await?;
    let bounces = parts.ingest(&mut running).await?;
    parts.jobs(&mut running);
    println!("Pages: {}", parts.config.public_url);
    println!("Bounces: mail to @{} is taken at {bounces}", parts.config.return_domain);
    match &parts.config.egress {
        Some(egress) => println!("Relay: {}, as configured", egress.name),
        None => {
            let ways = rebound_db::servers::in_use(&parts.db).await?;
            for kept in &ways {
                println!("Relay: {}, as chosen on the page", kept.server.route.summary());
            }
            if ways.is_empty() {
                println!("Relay: none. Campaigns wait until one is chosen at {}/servers.", parts.config.public_url);
            }
        }
    }
    if args.without_worker {
        println!("Sending: by `rebound worker`, which runs on its own.");
    } else {
        parts.worker(&mut running);
    }
    parts.follow_keys(&mut running);
    if let Some(token) = rebound_dashboard::users::setup_link(&parts.db, parts.now()).await? {
        println!("\nSet up the first account, once: {}/setup/{token}", parts.config.public_url);
    }
    parts.wait(stop, &mut running).await?;
    Ok(ExitCode::SUCCESS)
}

/// Sends until it is told to stop.
pub(super) async fn worker(config: Config) -> anyhow::Result<ExitCode> {
    let parts = Parts::open(config).await?;
    let stop = StopSignal::new()?;
    let mut running = JoinSet::new();
    parts.worker(&mut running);
    parts.follow_keys(&mut running);
    parts.jobs(&mut running);
    parts.wait(stop, &mut running).await?;
    Ok(ExitCode::SUCCESS)
}

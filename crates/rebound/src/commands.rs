//! The commands, and what they answer.

mod campaign;
mod classify;
mod demo;
mod doctor;
mod domain;
mod import;
mod ingest;
mod keys;
mod ledger;
mod migrate;
mod serve;
mod user;

use crate::config::Config;
use crate::roles::Parts;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Mail campaigns that understand bounces.
///
/// To look around: `rebound demo`. For a first campaign of your own:
///
///   rebound import people.csv --list Newsletter
///   rebound campaign create spring.toml
///   rebound campaign launch Spring
///   rebound serve
#[derive(Parser)]
#[command(version, max_term_width = 100, verbatim_doc_comment)]
pub(crate) struct Cli {
    /// The configuration [default: rebound.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything: pages, sending, and the listener for bounces
    Serve(serve::Args),
    /// Send only; the pages run elsewhere
    Worker,
    /// Take in bounce mail from files: .eml, mbox, Maildir, or standard input
    Ingest(ingest::Args),
    /// Say what bounce mail or SMTP replies mean; needs no database
    Classify(classify::Args),
    /// Bring people from a CSV file onto a list
    Import(import::Args),
    /// Write, launch, stop and watch campaigns
    #[command(subcommand)]
    Campaign(campaign::Command),
    /// What became of each recipient of a campaign
    Ledger(ledger::Args),
    /// Bring the database to the form this version needs, or move it to PostgreSQL
    Migrate(migrate::Args),
    /// Look around: a pretend internet, 2,000 contacts and a campaign, in one command
    Demo(demo::Args),
    /// Say of every part whether it works, and what to do
    Doctor(doctor::Args),
    /// Add people who may sign in, and change their passwords
    #[command(subcommand)]
    User(user::Command),
    /// Sign mail from your domains: keys, their DNS records, and their rotation
    #[command(subcommand)]
    Domain(domain::Command),
    /// Change the key that signs return paths and seals secrets
    #[command(subcommand)]
    Keys(keys::Command),
}

impl Cli {
    /// Does what was asked.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = || Config::load(self.config.as_deref());
        match self.command {
            Command::Serve(args) => serve::serve(config()?, args).await,
            Command::Worker => serve::worker(config()?).await,
            Command::Ingest(args) => ingest::run(Parts::open(config()?).await?, args).await,
            Command::Classify(args) => classify::run(&args),
            Command::Import(args) => import::run(Parts::open(config()?).await?, args).await,
            Command::Campaign(command) => campaign::run(Parts::open(config()?).await?, command).await,
            Command::Ledger(args) => ledger::run(Parts::open(config()?).await?, args).await,
            Command::Migrate(args) => migrate::run(config()?, args).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Doctor(args) => doctor::run(self.config.as_deref(), args).await,
            Command::Domain(command) => domain::run(Parts::open(config()?).await?, command).await,
            Command::Keys(command) => keys::run(Parts::open(config()?).await?, command).await,
            Command::User(command) => user::run(Parts::open(config()?).await?, command).await,
        }
    }
}

/// `1 row`, `2 rows`.
fn counted(count: i64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

//! Rebound: mail campaigns that understand bounces.
//!
//! The program reads the configuration, starts the parts and stops them. Each command is a file in `commands`.

#![allow(clippy::print_stdout)] // commands answer on standard output

mod commands;
mod config;
mod keys;
mod roles;
mod supply;

use clap::Parser;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // Two providers are in the tree; rustls wants to be told which one to use.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let filter = tracing_subscriber::EnvFilter::try_from_env("REBOUND_LOG").unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new("warn,rebound=info,rebound_send=info,rebound_ingest=info")
    });
    // A log on a full disk must not end what it tells of, as a complaint about it to the same place would.
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false).init();
    match Box::pin(commands::Cli::parse().run()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rebound: {error:#}");
            ExitCode::FAILURE
        }
    }
}

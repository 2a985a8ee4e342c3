//! `rebound demo`: the same program against a pretend internet, with a time that runs faster.

mod check;
mod seed;

use crate::config::Config;
use crate::roles::{Parts, StopSignal};
use anyhow::Context;
use rebound_dashboard::users;
use rebound_domain::{Clock, Role};
use rebound_sandbox::{Sandbox, Settings};
use rebound_send::mx::DirectSettings;
use rebound_send::{Egress, Relay, Tls};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::task::JoinSet;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Run without a browser until nothing is left to do, and compare the ledger with what the hosts did
    #[arg(long)]
    check: bool,
    /// Keep database, truth.jsonl and ledger.jsonl in this folder; a demo that was stopped goes on there
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// How many times faster than the wall clock time runs
    #[arg(long, default_value_t = 3600.0, value_name = "N")]
    faster: f64,
    /// How many contacts
    #[arg(long, default_value_t = 2000, value_name = "N")]
    contacts: usize,
    /// The port of the pages
    #[arg(long, default_value_t = 8025)]
    port: u16,
}

/// Who signs in to the demo.
const EMAIL: &str = "demo@example.test";

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let temporary = tempfile::tempdir()?;
    let folder = args.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let sandbox = sandbox(&args, &folder).await?;
    let mut parts = Parts::open(config(&args, &folder, sandbox.address())).await?;
    parts.clock = clock(&folder, args.faster)?;
    let campaign = seed::seed(&parts, args.contacts).await?;

    let mut running = JoinSet::new();
    sandbox.set_return_host(parts.ingest(&mut running).await?);
    parts.worker(&mut running);
    parts.jobs(&mut running);
    if args.check {
        let agreed = check::run(&parts, &sandbox, campaign, &folder, &mut running).await?;
        sandbox.stop().await;
        return Ok(if agreed { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let stop = StopSignal::new()?;
    let password = sign_in(&parts).await?;
    parts.pages(&mut running).await?;
    println!("\nThe demo runs: {} contacts, one campaign ready to launch.", args.contacts);
    println!("Time runs {} times faster; nothing leaves this machine.\n", args.faster);
    println!("  {}", parts.config.public_url);
    println!("  {EMAIL}");
    println!("  {password}\n");
    println!("Ctrl-C ends it.");
    parts.wait(stop, &mut running).await?;
    sandbox.stop().await;
    Ok(ExitCode::SUCCESS)
}

async fn sandbox(args: &Args, folder: &Path) -> anyhow::Result<Sandbox> {
    let settings = Settings { faster: args.faster, truth: Some(folder.join("truth.jsonl")), ..Settings::default() };
    Sandbox::start(settings).await.context("the pretend internet cannot start")
}

fn config(args: &Args, folder: &Path, relay: SocketAddr) -> Config {
    let port = if args.check { 0 } else { args.port };
    Config {
        database: format!("sqlite:{}", folder.join("rebound.db").display()),
        key_file: folder.join("rebound.key"),
        public_url: format!("http://127.0.0.1:{port}"),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        trusted_proxies: vec![],
        return_domain: "bounce.fernhill.test".to_owned(),
        return_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        egress: Some(Egress::only(through(relay), 16, None)),
        direct: DirectSettings::default(),
    }
}

fn through(relay: SocketAddr) -> Relay {
    Relay {
        host: relay.ip().to_string(),
        port: relay.port(),
        tls: Tls::None,
        authority: None,
        login: None,
        hello: "news.fernhill.test".to_owned(),
    }
}

/// A demo that goes on keeps its time: it began when its folder did.
fn clock(folder: &Path, faster: f64) -> anyhow::Result<Clock> {
    let file = folder.join("began");
    let began = match std::fs::read_to_string(&file) {
        Ok(text) => text.trim().parse().context("the file `began` holds no time")?,
        Err(_) => {
            let now = chrono::Utc::now();
            std::fs::write(&file, now.to_rfc3339())?;
            now
        }
    };
    Ok(Clock::faster(began, faster))
}

/// A password of this run; one from an earlier run stays as it was only in the database.
async fn sign_in(parts: &Parts) -> anyhow::Result<String> {
    let password: String = (0..4).map(|_| format!("{:04x}", rand::random::<u16>())).collect::<Vec<_>>().join("-");
    match users::create(&parts.db, EMAIL, "Ines Okafor", Role::Owner, &password, parts.now()).await {
        Ok(_) => {}
        Err(_) => users::set_password(&parts.db, EMAIL, &password).await?,
    }
    Ok(password)
}

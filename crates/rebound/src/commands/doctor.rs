//! `rebound doctor`.

mod mx;

use crate::config::Config;
use crate::keys;
use rebound_contacts::RuleBook;
use rebound_db::Pool;
use rebound_send::mx::Exchanges;
use rebound_send::{Egress, Via};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    about: Option<About>,
}

#[derive(clap::Subcommand)]
enum About {
    /// Say where the mail of a domain goes, and how the line there must be protected; needs no configuration
    Mx(mx::Args),
}

/// Answers one question, or looks at every part.
pub(super) async fn run(file: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    match args.about {
        Some(About::Mx(args)) => mx::run(args).await,
        None => every_part(file).await,
    }
}

/// Looks at every part, and says what to do about those that do not work.
async fn every_part(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = match Config::load(file) {
        Ok(config) => {
            told("configuration", &Ok(format!("pages at {}", config.public_url)));
            config
        }
        Err(error) => {
            told("configuration", &Err(format!("{error:#}")));
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut well = true;
    for (part, found) in [
        ("key", key(&config)),
        ("database", database(&config).await),
        ("disk", asked(&config, disk).await),
        ("clock", asked(&config, clock).await),
        ("rules", asked(&config, async |db| rules(db, &config).await).await),
        ("pages", port(config.listen, "listen").await),
        ("return path", port(config.return_listen, "return_path.listen").await),
        ("relay", ways_out(&config).await),
    ] {
        well &= found.is_ok();
        told(part, &found);
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn told(part: &str, found: &Result<String, String>) {
    match found {
        Ok(words) => println!("ok    {part}: {words}"),
        Err(words) => println!("WRONG {part}: {words}"),
    }
}

fn key(config: &Config) -> Result<String, String> {
    if !config.key_file.exists() && std::env::var_os("REBOUND_KEY").is_none() {
        return Ok(format!("{} is made on the first start", config.key_file.display()));
    }
    keys::load(&config.key_file).map(|_| config.key_file.display().to_string()).map_err(|error| format!("{error:#}"))
}

async fn database(config: &Config) -> Result<String, String> {
    let sqlite = config.database.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//"));
    if let Some(path) = sqlite.filter(|path| !Path::new(path).exists()) {
        return Ok(format!("{path} is made on the first start"));
    }
    let db = rebound_db::connect(&config.database).await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}. Check `database` in the configuration, and that the server runs.")
    })?;
    let answer = state_of(&db).await;
    db.close().await;
    answer
}

/// What the database answers, where there is one that is up to date; else that was told already.
async fn asked(config: &Config, question: impl AsyncFnOnce(&Pool) -> Result<String, String>) -> Result<String, String> {
    let sqlite = config.database.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//"));
    let unknown = Ok("not known before the database is there".to_owned());
    if sqlite.is_some_and(|path| !Path::new(path).exists()) {
        return unknown;
    }
    let Ok(db) = rebound_db::connect(&config.database).await else { return unknown };
    let answer = if state_of(&db).await.is_ok() { question(&db).await } else { unknown };
    db.close().await;
    answer
}

async fn disk(db: &Pool) -> Result<String, String> {
    if db.is_disk_full() {
        return Err("full. Nothing is sent or taken in until there is room on the disk that holds the database; then \
                    all goes on by itself."
            .to_owned());
    }
    Ok("there is room".to_owned())
}

async fn clock(db: &Pool) -> Result<String, String> {
    let now = crate::roles::clock().map_err(|error| format!("{error:#}"))?.at(chrono::Utc::now());
    match rebound_db::events::put_back(db, now).await {
        Ok(None) => Ok(format!("{} UTC", now.format("%Y-%m-%d %H:%M"))),
        Ok(Some(by)) => Err(format!(
            "put back: the database holds what happened {} minutes from now. Set the machine's time by NTP. Messages \
             that were put off may go so much later; nobody is left out.",
            by.num_minutes()
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// Rules of the installation's own that do not hold any more are laid aside; that must not go unnoticed.
async fn rules(db: &Pool, config: &Config) -> Result<String, String> {
    let in_force = RuleBook::default().in_force(db).await.map_err(|error| error.to_string())?;
    let version = in_force.rules().version();
    match (in_force.version, in_force.faults.first()) {
        (0, _) => Ok(format!("{version}, as they came with the program")),
        (own, None) => Ok(format!("{version}, with version {own} of your own")),
        (own, Some(fault)) => Err(format!(
            "version {own} of your own does not hold any more, and bounces are read by the built-in rules alone: \
             {fault}. Mend it at {}/settings/rules.",
            config.public_url
        )),
    }
}

async fn state_of(db: &Pool) -> Result<String, String> {
    match rebound_db::pending_migrations(db).await {
        Ok(steps) if steps.is_empty() => Ok("up to date".to_owned()),
        Ok(steps) => Err(format!("{} steps behind. Run `rebound migrate`.", steps.len())),
        Err(error) => Err(format!("{error}. Check `database` in the configuration, and that the server runs.")),
    }
}

/// A port is well when we hold it (a running Rebound answers) or could hold it.
async fn port(address: SocketAddr, setting: &str) -> Result<String, String> {
    match TcpListener::bind(address).await {
        Ok(_) => Ok(format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let answers = tokio::time::timeout(Duration::from_secs(2), TcpStream::connect(address)).await;
            match answers {
                Ok(Ok(_)) => Ok(format!("{address} is in use; if not by Rebound, choose another `{setting}`")),
                _ => Err(format!("{address} is taken and does not answer. Choose another `{setting}`.")),
            }
        }
        Err(error) => Err(format!("{address} cannot be used: {error}. Choose another `{setting}`.")),
    }
}

/// The configuration's way, or those that are in use on the page. A database that is not there names none.
async fn chosen(config: &Config) -> Result<Vec<Egress>, String> {
    if let Some(egress) = &config.egress {
        return Ok(vec![egress.clone()]);
    }
    let Ok(()) = database(config).await.map(drop) else { return Ok(vec![]) };
    let sqlite = config.database.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//"));
    if sqlite.is_some_and(|path| !Path::new(path).exists()) {
        return Ok(vec![]);
    }
    let db = rebound_db::connect(&config.database).await.map_err(|error| error.to_string())?;
    let keys = keys::load(&config.key_file).map_err(|error| format!("{error:#}"))?;
    let ways = rebound_send::servers::in_use(&db, &keys, &config.direct).await.map_err(|error| error.to_string());
    db.close().await;
    ways
}

async fn ways_out(config: &Config) -> Result<String, String> {
    let ways = chosen(config).await?;
    if ways.is_empty() {
        let url = &config.public_url;
        return Err(format!(
            "none. Add [relay] with host and port to the configuration, or choose one at {url}/servers."
        ));
    }
    let mut good = Vec::new();
    for egress in ways {
        match &egress.via {
            Via::Relay(relay) => {
                rebound_send::probe(relay).await.map_err(|down| down.to_string())?;
                good.push(format!("{}:{} takes mail", relay.host, relay.port));
            }
            Via::Direct(direct) => {
                Exchanges::new(direct.clone()).map_err(|why| format!("{} cannot send: {why}", egress.name))?;
                good.push(format!("{} goes straight to receivers; try one with `rebound doctor mx`", egress.name));
            }
        }
    }
    Ok(good.join("; "))
}

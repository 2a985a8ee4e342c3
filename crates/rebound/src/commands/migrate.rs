//! `rebound migrate`.

use super::counted;
use crate::config::Config;
use crate::roles::{StopSignal, clock};
use anyhow::{Context, bail};
use chrono::Utc;
use rebound_dashboard::users::By;
use rebound_db::copy::{Copied, Move, Progress, Step, to_postgres};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Move everything from SQLite into this empty PostgreSQL: postgres://user:secret@host/name
    #[arg(long, value_name = "URL")]
    to: Option<String>,
}

/// Brings the database to the form this version needs; or copies it into another.
pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<ExitCode> {
    match args.to {
        Some(url) => copy(&config, &url).await,
        None => bring_up_to_date(&config).await,
    }
}

/// Says which steps it took.
async fn bring_up_to_date(config: &Config) -> anyhow::Result<ExitCode> {
    let db = rebound_db::connect(&config.database).await.context("the database cannot be opened")?;
    let steps = rebound_db::pending_migrations(&db).await?;
    rebound_db::migrate(&db).await.context("a step failed; the steps before it are done")?;
    for step in &steps {
        println!("done: {step}");
    }
    println!("The database is up to date.");
    db.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn copy(config: &Config, url: &str) -> anyhow::Result<ExitCode> {
    let Some(file) = config.database.strip_prefix("sqlite:") else {
        bail!("the configured database is not SQLite: there is nothing to move");
    };
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        bail!("--to needs the address of a PostgreSQL database: postgres://user:secret@host/name");
    }
    let file = Path::new(file.trim_start_matches("//"));
    let begin = Instant::now();
    let mut told = Told::default();
    let clock = clock()?;
    let order = Move { file, url, actor: By::CommandLine.name() };
    let stop = StopSignal::new()?;
    let moved = to_postgres(order, || clock.at(Utc::now()), |progress| told.tell(&progress), stop.heard()).await;
    told.end();
    let moved = moved.context("nothing was switched, and the old database is as it was; the same command goes on")?;
    report(file, &moved, begin.elapsed());
    Ok(ExitCode::SUCCESS)
}

fn report(file: &Path, moved: &[Copied], took: Duration) {
    for Copied { table, rows, digest } in moved {
        println!("{rows:>12}  {table:<20}  {}", digest.get(..16).unwrap_or(digest));
    }
    let rows = counted(moved.iter().map(|one| one.rows).sum(), "row", "rows");
    println!("{rows} in {} tables, each compared with its copy, in {:.1} s.", moved.len(), took.as_secs_f64());
    println!("\nNow change one line of rebound.toml, with the address that you gave:\n");
    println!("    database = \"postgres://…\"\n");
    println!("rebound.key and everything else stay as they are. Then start Rebound.");
    println!("{} was not touched: keep it until you are content, then delete it.", file.display());
}

/// Says on standard error how far it is: over and over on one line where somebody watches, else once per table.
#[derive(Default)]
struct Told {
    last: Option<(Step, String)>,
    at: Option<Instant>,
    is_open: bool,
}

impl Told {
    fn tell(&mut self, progress: &Progress<'_>) {
        let Progress { step, table, rows, total } = *progress;
        let word = match step {
            Step::Copying => "copying",
            Step::Comparing => "comparing",
        };
        let watched = std::io::stderr().is_terminal();
        let is_new = self.last.as_ref().is_none_or(|(before, name)| (*before, name.as_str()) != (step, table));
        let is_time = self.at.is_none_or(|at| at.elapsed() > Duration::from_millis(300));
        if watched && (is_time || rows == total) {
            eprint!("\r\x1b[K{word} {table}: {rows} of {total}");
            (self.at, self.is_open) = (Some(Instant::now()), true);
        } else if !watched && is_new {
            eprintln!("{word} {table}: {total} rows");
        }
        if is_new {
            self.last = Some((step, table.to_owned()));
        }
    }

    fn end(&self) {
        if self.is_open {
            eprintln!();
        }
    }
}

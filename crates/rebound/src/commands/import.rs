//! `rebound import`.

use super::counted;
use crate::roles::Parts;
use anyhow::Context;
use rebound_contacts::{Import, bad_rows, import};
use rebound_db::lists;
use std::fs::File;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The CSV file: UTF-8, UTF-16 or Windows-1252; comma, semicolon or tab
    file: PathBuf,
    /// The list that its people join; made if there is none of that name
    #[arg(long, value_name = "NAME")]
    list: String,
    /// By what consent they may be written to, in words
    #[arg(long, value_name = "WORDS")]
    consent: Option<String>,
    /// Where rows that cannot be taken go, with line and reason [default: FILE.bad.csv]
    #[arg(long, value_name = "FILE")]
    bad: Option<PathBuf>,
}

pub(super) async fn run(parts: Parts, args: Args) -> anyhow::Result<ExitCode> {
    let now = parts.now();
    let file = File::open(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let list = lists::ensure(&parts.db, &args.list, now).await?;
    let name = args.file.file_name().map_or_else(|| "people.csv".into(), |name| name.to_string_lossy().into_owned());
    let mut settings = Import::new(list.id, &name, now);
    if let Some(consent) = args.consent {
        settings.consent = consent;
    }
    let shown = std::io::stderr().is_terminal();
    let mut last = Instant::now();
    let imported = import(&parts.db, file, &settings, |counts| {
        if shown && last.elapsed() > Duration::from_millis(300) {
            last = Instant::now();
            eprint!("\r{} rows read", counts.lines);
        }
    })
    .await
    .with_context(|| format!("{} cannot be imported", args.file.display()))?;
    if shown {
        eprintln!("\r{} rows read", imported.counts.lines);
    }
    let counts = imported.counts;
    println!("{} new, {} changed, {} as they were.", counts.added, counts.updated, counts.unchanged);
    if counts.duplicates > 0 {
        println!("{} merged into an earlier row of the same address.", counted(counts.duplicates, "row", "rows"));
    }
    if counts.suppressed > 0 {
        println!("{} left or suppressed before: not brought back.", counted(counts.suppressed, "person", "people"));
    }
    if counts.bad > 0 {
        let path = args.bad.unwrap_or_else(|| {
            let mut name = args.file.clone().into_os_string();
            name.push(".bad.csv");
            name.into()
        });
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        bad_rows(&parts.db, imported.id, file).await?;
        println!("{} to correct, with line and reason: {}", counted(counts.bad, "row", "rows"), path.display());
    }
    Ok(ExitCode::SUCCESS)
}

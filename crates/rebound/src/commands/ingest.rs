//! `rebound ingest`.

use super::counted;
use crate::roles::Parts;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(super) struct Args {
    /// A .eml file, a folder, an mbox or a Maildir; `-` for one message on standard input
    path: PathBuf,
}

/// Keeps the messages, then reads them; what cannot be read stays kept.
pub(super) async fn run(parts: Parts, args: Args) -> anyhow::Result<ExitCode> {
    let taken = rebound_ingest::take_in(&parts.db, &args.path, &parts.keys, parts.now()).await?;
    let (reader, mut read) = (parts.reader(), 0);
    loop {
        match reader.read_batch(parts.now()).await? {
            0 => break,
            some => read += some,
        }
    }
    println!("{} kept, {read} read.", counted(i64::try_from(taken.kept)?, "message", "messages"));
    for error in &taken.unread {
        eprintln!("rebound: {error}");
    }
    Ok(if taken.unread.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

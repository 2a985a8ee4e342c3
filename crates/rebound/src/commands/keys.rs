//! `rebound keys …`.

use super::counted;
use crate::keys;
use crate::roles::Parts;
use anyhow::ensure;
use rebound_send::servers;
use std::process::ExitCode;

/// Who, in the audit log.
const ACTOR: &str = "command line";

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make a new key and seal all secrets with it; running programs follow within a second
    Rotate,
    /// Seal all secrets with the first key, after a key was put before the others by hand
    Reseal,
}

pub(super) async fn run(parts: Parts, command: Command) -> anyhow::Result<ExitCode> {
    if matches!(command, Command::Rotate) {
        ensure!(
            !keys::are_in_the_environment(),
            "the keys come from REBOUND_KEY. Put a line with a new key before the others there, start every Rebound again, then run `rebound keys reseal`"
        );
        let (name, newer) = keys::rotate(&parts.config.key_file)?;
        parts.keys.replace(&newer);
        println!("Key {name} signs and seals from now on. Keep a copy of {}.", parts.config.key_file.display());
    }
    let sealed = servers::reseal(&parts.db, &parts.keys, ACTOR, parts.now()).await?;
    println!("{} sealed with it.", counted(i64::try_from(sealed)?, "secret is", "secrets are"));
    Ok(ExitCode::SUCCESS)
}

//! `rebound migrate`.

use crate::config::Config;
use anyhow::Context;
use std::process::ExitCode;

/// Brings the database to the form this version needs, and says which steps that took.
pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
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

//! The database, asked from outside: on SQLite and on PostgreSQL alike.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod campaigns;
mod clicks;
mod contacts;
mod copy;
mod deliveries;
mod people;
mod plain;
mod planning;
mod policies;
#[allow(dead_code, reason = "each program of tests uses a part of it")]
mod postgres;
mod rates;
mod sending_domains;
mod upgrade;
mod wake;

use rebound_db::Pool;
use tokio::sync::OnceCell;

/// A migrated database of each engine.
struct Engines {
    sqlite: Pool,
    postgres: Pool,
    /// The address of the PostgreSQL database.
    url: String,
    _folder: tempfile::TempDir,
}

async fn engines() -> Engines {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = rebound_db::temporary(folder.path()).await.unwrap();
    let url = postgres::shared().another(migrated().await);
    let postgres = rebound_db::connect(&url).await.unwrap();
    Engines { sqlite, postgres, url, _folder: folder }
}

/// A database as it is before anybody uses it; a copy is made sooner than all its steps are taken again.
async fn migrated() -> &'static str {
    const NAME: &str = "migrated";
    static MADE: OnceCell<()> = OnceCell::const_new();
    MADE.get_or_init(async || {
        let db = rebound_db::connect(&postgres::shared().create(NAME, "template0")).await.unwrap();
        rebound_db::migrate(&db).await.unwrap();
        db.close().await;
    })
    .await;
    NAME
}

impl Engines {
    fn each(&self) -> [(&'static str, &Pool); 2] {
        [("SQLite", &self.sqlite), ("PostgreSQL", &self.postgres)]
    }
}

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

/// A migrated database of each engine, kept alive by what comes with it.
struct Engines {
    sqlite: Pool,
    postgres: Pool,
    _folder: tempfile::TempDir,
    server: postgres::Server,
}

async fn engines() -> Engines {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = rebound_db::temporary(folder.path()).await.unwrap();
    let server = postgres::Server::start();
    let postgres = rebound_db::connect(&server.url()).await.unwrap();
    rebound_db::migrate(&postgres).await.unwrap();
    Engines { sqlite, postgres, _folder: folder, server }
}

impl Engines {
    fn each(&self) -> [(&'static str, &Pool); 2] {
        [("SQLite", &self.sqlite), ("PostgreSQL", &self.postgres)]
    }
}

//! The two databases that Rebound runs on. Each story is told once, and is true on both.

use crate::postgres::{Server, empty, shared};
use crate::program;
use std::sync::OnceLock;

/// Which database the program of a story has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// Makes two tests of each story: `story::on_sqlite` and `story::on_postgres`.
macro_rules! on_both_engines {
    ($($story:ident),+ $(,)?) => {$(
        mod $story {
            use crate::engine::Engine;

            #[tokio::test]
            async fn on_sqlite() {
                super::$story(Engine::Sqlite).await;
            }

            #[tokio::test]
            async fn on_postgres() {
                super::$story(Engine::Postgres).await;
            }
        }
    )+};
}
pub(crate) use on_both_engines;

impl Engine {
    /// The address of a new database that nobody else has.
    pub(crate) fn database(self) -> String {
        match self {
            Self::Sqlite => "sqlite:rebound.db".to_owned(),
            Self::Postgres => server().another(TEMPLATE),
        }
    }
}

impl Engine {
    /// The address of a PostgreSQL database with nothing in it, not even tables.
    pub(crate) fn nothing() -> String {
        empty()
    }
}

/// A database as it is before anybody uses it; a copy is made sooner than all its steps are taken again.
const TEMPLATE: &str = "template";

/// The server with the template on it.
fn server() -> &'static Server {
    static SERVER: OnceLock<&Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        migrate(&shared().create(TEMPLATE, "template0"));
        shared()
    })
}

fn migrate(database: &str) {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("REBOUND_DATABASE".to_owned(), database.to_owned())];
    let made = program::command(folder.path(), &environment, &["migrate"]).into_std().output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

//! A PostgreSQL server of the tests' own, behind a socket in its own folder: no two servers can meet on a port.
//!
//! A shell keeps it: when the test program ends, however it ends, the shell hears that nobody speaks to it any more,
//! stops the server and removes its folder.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) struct Server {
    keeper: Option<Child>,
    folder: PathBuf,
}

/// A word on standard input stops the server; the end of it also removes the folder, which is `$0`.
const KEEPER: &str =
    r#""$@" & server=$!; read -r _; over=$?; kill -INT $server; wait $server; [ $over = 0 ] || rm -rf "$0""#;

/// The one of all tests of this program that are content with a database: to make a server takes a second, and a database
/// a tenth of one. Its keeper ends it with the program.
pub(crate) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(Server::start)
}

/// The address of a database that nobody else has, with nothing in it.
pub(crate) fn empty() -> String {
    shared().another("template0")
}

impl Server {
    /// A new server with nothing in it.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("rebound-postgres-").tempdir().unwrap().keep();
        let data = folder.join("data");
        std::fs::create_dir(&data).unwrap();
        give_to_postgres(&folder);
        let made = as_postgres(&programs().join("initdb"))
            .args(["--auth=trust", "--username=rebound", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = Self { keeper: None, folder };
        server.resume();
        server
    }

    /// Starts it again after [`Server::stop`], with all that is in it.
    pub(crate) fn resume(&mut self) {
        let server = as_postgres(&programs().join("postgres"));
        let mut keeper = Command::new("sh");
        keeper.arg("-c").arg(KEEPER).arg(&self.folder).arg(server.get_program()).args(server.get_args());
        // The tests kill programs, not the machine: what the system holds for the disk is not lost.
        for setting in ["listen_addresses=", "max_connections=500", "max_wal_size=128MB", "fsync=off"] {
            keeper.args(["-c", setting]);
        }
        keeper.arg("-k").arg(&self.folder).arg("-D").arg(self.folder.join("data"));
        // Not of our group: Ctrl-C must reach the program alone.
        let keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        self.keeper = Some(keeper.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.is_ready() {
            assert!(Instant::now() < deadline, "PostgreSQL did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it: whoever is connected is cut off.
    pub(crate) fn stop(&mut self) {
        let mut keeper = self.keeper.take().unwrap();
        keeper.stdin.take().unwrap().write_all(b"\n").unwrap();
        keeper.wait().unwrap();
    }

    /// The address of the database that is there from the start.
    pub(crate) fn url(&self) -> String {
        self.url_of("postgres")
    }

    pub(crate) fn url_of(&self, database: &str) -> String {
        format!("postgres://rebound@localhost/{database}?host={}", self.folder.display())
    }

    /// Makes a database that is a copy of `template`; its address.
    pub(crate) fn create(&self, database: &str, template: &str) -> String {
        let made = Command::new(programs().join("createdb"))
            .arg("-h")
            .arg(&self.folder)
            .args(["-U", "rebound", "-T", template, database])
            .output()
            .unwrap();
        assert!(made.status.success(), "createdb: {}", String::from_utf8_lossy(&made.stderr));
        self.url_of(database)
    }

    /// Makes a database that nobody else has, as a copy of `template`; its address.
    pub(crate) fn another(&self, template: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        self.create(&format!("another_{}", NEXT.fetch_add(1, Ordering::Relaxed)), template)
    }

    /// Has the database that is there from the start do what `sql` says.
    pub(crate) fn run(&self, sql: &str) {
        let mut psql = Command::new(programs().join("psql"));
        let ran =
            psql.arg("-h").arg(&self.folder).args(["-U", "rebound", "-d", "postgres", "-c", sql]).output().unwrap();
        assert!(ran.status.success(), "psql: {}", String::from_utf8_lossy(&ran.stderr));
    }

    fn is_ready(&self) -> bool {
        let asked = Command::new(programs().join("pg_isready")).arg("-q").arg("-h").arg(&self.folder).status();
        asked.unwrap().success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

/// What the database at `url` answers to `sql`: a line for each row, its columns divided by `|`.
pub(crate) fn ask(url: &str, sql: &str) -> String {
    let mut psql = Command::new(programs().join("psql"));
    let answer = psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, url]).output().unwrap();
    assert!(answer.status.success(), "psql: {}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8(answer.stdout).unwrap()
}

/// The newest version that is installed.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max();
    newest.unwrap_or_else(|| panic!("PostgreSQL is not installed: run `scripts/setup test`"))
}

/// The server refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn give_to_postgres(folder: &Path) {
    if is_root() {
        assert!(Command::new("chown").args(["-R", "postgres:postgres"]).arg(folder).status().unwrap().success());
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.starts_with(b"0")
}

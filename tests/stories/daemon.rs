//! A real server of somebody else's, that lives as long as its story.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server. It ends with this value, also when the story panics.
pub(crate) struct Daemon {
    master: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a program that stays in the foreground and looks after its children.
    ///
    /// `setpriv` sees to it that the server ends even where the story is killed and can tidy up nothing.
    pub(crate) fn start(program: &str, args: &[&str], log: &Path) -> Self {
        let output = |name: &str| std::fs::File::create(log.with_extension(name)).unwrap();
        let master = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", program])
            .args(args)
            .stdin(Stdio::null())
            .stdout(output("out"))
            .stderr(output("err"))
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
        Self { master, log: log.to_owned() }
    }

    /// Ends the story if the server has ended; with what it said.
    pub(crate) fn must_run(&mut self) {
        if let Some(status) = self.master.try_wait().unwrap() {
            panic!("the server ended ({status}): {}", self.log());
        }
    }

    /// What it noted.
    pub(crate) fn log(&self) -> String {
        let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
        format!("{}{}", read(&self.log.with_extension("err")), read(&self.log))
    }

    fn signal(&self, target: &str) {
        let _ = Command::new("kill").args(["-s", "TERM", "--", target]).stderr(Stdio::null()).status();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The master first: it tells its children. Who is left of a group that it leads hears it too.
        self.signal(&self.master.id().to_string());
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if !matches!(self.master.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.signal(&format!("-{}", self.master.id()));
        let _ = self.master.kill();
        let _ = self.master.wait();
    }
}

/// Fails loudly where real mail servers cannot be run: a story that is left out looks as if it were told.
pub(crate) fn must_be_able_to_serve_mail() {
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    assert!(
        is_root,
        "THIS STORY NEEDS ROOT: Postfix and Dovecot drop privileges and refuse to start without them. \
         Run the tests as root, in a container for instance."
    );
    for program in ["/usr/lib/postfix/sbin/master", "/usr/lib/dovecot/lmtp"] {
        assert!(Path::new(program).exists(), "{program} IS MISSING; `scripts/setup test` installs it");
    }
}

/// A folder below `parent` into which every server may look.
pub(crate) fn folder(parent: &Path, name: &str) -> PathBuf {
    let path = parent.join(name);
    std::fs::create_dir_all(&path).unwrap();
    for path in [parent, &path] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    path
}

/// A folder that belongs to `user`.
pub(crate) fn folder_of(user: &str, parent: &Path, name: &str) -> PathBuf {
    let path = folder(parent, name);
    let (uid, gid) = ids(user);
    chown(&path, Some(uid), Some(gid)).unwrap();
    path
}

/// Number of a user, and of their group.
pub(crate) fn ids(user: &str) -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.split(':').next() == Some(user));
    let line = line.unwrap_or_else(|| panic!("there is no user {user}; `scripts/setup test` installs what brings it"));
    let number = |place: usize| line.split(':').nth(place).unwrap().parse().unwrap();
    (number(2), number(3))
}

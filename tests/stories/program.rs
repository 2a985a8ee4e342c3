//! The program as its users have it: a command with arguments, or a process that serves.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// What a command answered.
pub(crate) struct Said {
    pub(crate) well: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `rebound` in `folder`; `input` is typed into it.
pub(crate) async fn run(folder: &Path, environment: &[(String, String)], args: &[&str], input: &str) -> Said {
    let mut child = command(folder, environment, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that does not read what it is told has ended already, and its answer says why.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = tokio::time::timeout(Duration::from_secs(120), child.wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("`rebound {}` did not end", args.join(" "))).unwrap();
    Said {
        well: output.status.success(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Starts `rebound` in `folder`, to run until it is told to stop; what it says is in `out` and `err`.
pub(crate) fn start(folder: &Path, environment: &[(String, String)], args: &[&str]) -> Child {
    let log = |name: &str| File::options().create(true).append(true).open(folder.join(name)).unwrap();
    command(folder, environment, args).stdin(Stdio::null()).stdout(log("out")).stderr(log("err")).spawn().unwrap()
}

/// Asks a process to stop (SIGTERM).
pub(crate) async fn ask_to_stop(child: &Child) {
    signal(child, "-TERM").await;
}

/// Sends a process a signal, such as `-STOP`.
pub(crate) async fn signal(child: &Child, name: &str) {
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args([name, &id]).status().await.unwrap().success());
}

/// A port that nobody has; below those that the system hands out for connections, so that nobody gets it meanwhile.
pub(crate) fn free_port() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id() * 64;
    loop {
        let number = 10_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(number).unwrap()));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// The command itself, with nothing of our own environment that would change what it does.
pub(crate) fn command(folder: &Path, environment: &[(String, String)], args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REBOUND_")) {
        command.env_remove(name);
    }
    command.args(args).current_dir(folder).envs(environment.iter().cloned()).kill_on_drop(true);
    command
}

/// `rebound`, as it was built beside the folder that holds this test.
pub(crate) fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let binary = folder.join(format!("rebound{}", std::env::consts::EXE_SUFFIX));
    assert!(binary.exists(), "{} is not built; run `cargo build -p rebound` first", binary.display());
    binary
}

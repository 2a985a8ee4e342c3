//! Dovecot, as people run it: mailboxes with a limit, behind LMTP, in a temporary folder.

use crate::daemon::{Daemon, folder, folder_of, ids};
use crate::postfix::subjects;
use crate::program::free_port;
use crate::world::until;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::net::TcpStream;

const KEEPER: &str = "nobody";

/// What fits into a mailbox, in bytes.
const QUOTA: usize = 20 * 1024;

/// A running Dovecot.
pub(crate) struct Dovecot {
    daemon: Daemon,
    folder: PathBuf,
}

impl Dovecot {
    /// Starts one that keeps mailboxes for `users` and takes mail for them at `address`.
    pub(crate) async fn start(parent: &Path, address: SocketAddr, users: &[&str]) -> Self {
        let folder = folder(parent, "dovecot");
        for part in ["run", "state"] {
            self::folder(&folder, part);
        }
        folder_of(KEEPER, &folder, "mail");
        let users: String = users.iter().map(|user| format!("{user}:::::::\n")).collect();
        std::fs::write(folder.join("users"), users).unwrap();
        std::fs::write(folder.join("dovecot.conf"), configuration(&folder, address)).unwrap();
        Self::run(folder, address).await
    }

    async fn run(folder: PathBuf, address: SocketAddr) -> Self {
        let config = folder.join("dovecot.conf");
        let args = ["-F", "-c", config.to_str().unwrap()];
        let mut dovecot = Self { daemon: Daemon::start("/usr/sbin/dovecot", &args, &folder.join("log")), folder };
        until("Dovecot listens", async || {
            dovecot.daemon.must_run();
            TcpStream::connect(address).await.ok()
        })
        .await;
        dovecot
    }

    /// Starts one that knows one login, and is asked for it at `address` by whoever takes mail.
    pub(crate) async fn of_logins(parent: &Path, address: SocketAddr, (user, password): (&str, &str)) -> Self {
        let folder = folder(parent, "logins");
        for part in ["run", "state"] {
            self::folder(&folder, part);
        }
        std::fs::write(folder.join("users"), format!("{user}:{{PLAIN}}{password}::::::\n")).unwrap();
        let asked = format!(
            "auth_mechanisms = plain login\nauth_failure_delay = 0\ndisable_plaintext_auth = no\n\
             service auth {{\n inet_listener {{\n  address = {}\n  port = {}\n }}\n}}\n",
            address.ip(),
            address.port(),
        );
        std::fs::write(folder.join("dovecot.conf"), configuration(&folder, free_port()) + &asked).unwrap();
        Self::run(folder, address).await
    }

    /// Puts so much into a mailbox that nothing else fits.
    pub(crate) fn fill(&self, user: &str) {
        let (uid, gid) = ids(KEEPER);
        let mut path = self.folder.join("mail");
        for part in [user, "cur"] {
            path.push(part);
            std::fs::create_dir(&path).unwrap();
            chown(&path, Some(uid), Some(gid)).unwrap();
        }
        let size = QUOTA - 100;
        let letter = format!("Subject: Old\n\n{}\n", "x".repeat(size - 15));
        // The name tells Dovecot the size, as its own do.
        let path = path.join(format!("1.old,S={}:2,S", letter.len()));
        std::fs::write(&path, letter).unwrap();
        chown(&path, Some(uid), Some(gid)).unwrap();
    }

    /// Throws away all that is in a mailbox, as its owner would.
    pub(crate) fn empty(&self, user: &str) {
        let config = self.folder.join("dovecot.conf");
        let done = Command::new("doveadm")
            .args(["-c", config.to_str().unwrap(), "expunge", "-u", user, "mailbox", "INBOX", "all"])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// The subjects in the mailbox of `user`.
    pub(crate) fn subjects(&self, user: &str) -> Vec<String> {
        subjects(&self.folder.join("mail").join(user))
    }

    /// What it noted.
    pub(crate) fn log(&self) -> String {
        self.daemon.log()
    }
}

fn configuration(folder: &Path, address: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "base_dir = {folder}/run\nstate_dir = {folder}/state\nlog_path = {folder}/log\n\
         protocols = lmtp\nlisten = {ip}\nssl = no\n\
         mail_uid = {KEEPER}\nmail_gid = nogroup\nmail_location = maildir:{folder}/mail/%u\n\
         mail_plugins = quota\nplugin {{\n quota = maildir:User quota\n quota_rule = *:bytes={QUOTA}\n quota_grace = 0\n}}\n\
         userdb {{\n driver = passwd-file\n args = username_format=%u {folder}/users\n}}\n\
         passdb {{\n driver = passwd-file\n args = username_format=%u {folder}/users\n}}\n\
         service lmtp {{\n inet_listener lmtp {{\n  address = {ip}\n  port = {port}\n }}\n}}\n",
        ip = address.ip(),
        port = address.port(),
    )
}

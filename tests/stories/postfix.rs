//! Postfix, as people run it: an instance of its own in a temporary folder, on a port of its own.

use crate::certificate::Certificate;
use crate::daemon::{Daemon, folder, folder_of, ids};
use crate::world::until;
use mail_parser::MessageParser;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Whose mailboxes are: nobody's, like those of any host that keeps them for others.
const KEEPER: &str = "nobody";

/// The file with the certificate that it shows, and its key.
const CERTIFICATE: &str = "certificate.pem";

/// An instance that is being set up.
pub(crate) struct Setup {
    folder: PathBuf,
    main: String,
    listeners: String,
    transport: String,
}

/// An instance, that runs until it is stopped.
pub(crate) struct Postfix {
    daemon: Option<Daemon>,
    folder: PathBuf,
    address: SocketAddr,
}

impl Setup {
    /// An instance that calls itself `host`, below `parent`. It asks no DNS: where mail goes is in [`Self::route`].
    pub(crate) fn new(parent: &Path, host: &str) -> Self {
        let folder = folder(parent, host);
        for part in ["etc", "queue", "maps"] {
            self::folder(&folder, part);
        }
        folder_of("postfix", &folder, "data");
        folder_of(KEEPER, &folder, "mail");
        let path = |name: &str| folder.join(name).display().to_string();
        let (uid, gid) = ids(KEEPER);
        let (main, listeners, transport) = (String::new(), String::new(), String::new());
        Self { folder: folder.clone(), main, listeners, transport }
            .set("compatibility_level", "3.6")
            .set("myhostname", host)
            .set("queue_directory", path("queue"))
            .set("data_directory", path("data"))
            .set("maillog_file", path("log"))
            .set("maillog_file_prefixes", path(""))
            .set("inet_interfaces", "127.0.0.1")
            .set("inet_protocols", "ipv4")
            .set("mynetworks", "127.0.0.0/8")
            .set("disable_dns_lookups", "yes")
            .set("smtpd_peername_lookup", "no")
            .set("smtpd_relay_restrictions", "permit_mynetworks, reject")
            .set("mydestination", "")
            .set("local_recipient_maps", "")
            .set("alias_maps", "")
            .set("notify_classes", "")
            // Else a name in the queue comes again.
            .set("enable_long_queue_ids", "yes")
            .set("transport_maps", format!("texthash:{}", path("maps/transport")))
            .set("virtual_mailbox_base", path("mail"))
            .set("virtual_uid_maps", format!("static:{uid}"))
            .set("virtual_gid_maps", format!("static:{gid}"))
    }

    pub(crate) fn set(mut self, name: &str, value: impl AsRef<str>) -> Self {
        writeln!(self.main, "{name} = {}", value.as_ref()).unwrap();
        self
    }

    /// Offers STARTTLS with `certificate`; letters tell how they came. Another certificate, put in its place by
    /// [`Postfix::show`], is shown to the next who calls.
    pub(crate) fn encrypted(self, certificate: &Certificate) -> Self {
        let path = self.folder.join(CERTIFICATE);
        std::fs::write(&path, certificate.chain()).unwrap();
        self.set("smtpd_tls_chain_files", path.display().to_string())
            .set("smtpd_tls_security_level", "may")
            .set("smtpd_tls_received_header", "yes")
            .set("max_use", "1")
    }

    /// Tries after some seconds what it could not pass on. Not after one: what is still locked by the process that tried
    /// it is put off for minutes.
    pub(crate) fn tries_again_soon(self) -> Self {
        self.set("queue_run_delay", "1s").set("minimal_backoff_time", "3s").set("maximal_backoff_time", "4s")
    }

    /// Listens, with settings that hold for this listener alone.
    pub(crate) fn listen(mut self, address: SocketAddr, settings: &[&str]) -> Self {
        let settings: String = settings.iter().map(|setting| format!(" -o {{ {setting} }}")).collect();
        writeln!(self.listeners, "{address} inet n - n - - smtpd{settings}").unwrap();
        self
    }

    /// Hands mail for `domain` to `host`, by `protocol`.
    pub(crate) fn route(mut self, domain: &str, protocol: &str, host: SocketAddr) -> Self {
        let next = match protocol {
            "lmtp" => format!("inet:[{}]:{}", host.ip(), host.port()),
            _ => format!("[{}]:{}", host.ip(), host.port()),
        };
        writeln!(self.transport, "{domain} {protocol}:{next}").unwrap();
        self
    }

    /// Keeps mailboxes for these addresses, each in a Maildir.
    pub(crate) fn mailboxes(self, addresses: impl IntoIterator<Item = String>) -> Self {
        let maildir = |address: String| {
            let (user, domain) = address.split_once('@').unwrap();
            (address.clone(), format!("{domain}/{user}/"))
        };
        let mailboxes: Vec<_> = addresses.into_iter().map(maildir).collect();
        self.table("virtual_mailbox_maps", mailboxes.iter().map(|(address, path)| (&**address, &**path)))
    }

    /// A table that a setting asks: keys and their values.
    pub(crate) fn table<'a>(self, setting: &str, lines: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let path = self.folder.join("maps").join(setting);
        let text: String = lines.into_iter().map(|(key, value)| format!("{key} {value}\n")).collect();
        std::fs::write(&path, text).unwrap();
        self.set(setting, format!("texthash:{}", path.display()))
    }

    /// Writes the configuration and starts it; it is there when it greets at `address`.
    pub(crate) async fn start(self, address: SocketAddr) -> Postfix {
        let config = self.folder.join("etc");
        std::fs::write(config.join("main.cf"), &self.main).unwrap();
        std::fs::write(config.join("master.cf"), self.listeners.clone() + SERVICES).unwrap();
        std::fs::write(self.folder.join("maps/transport"), &self.transport).unwrap();
        // It makes the folders of the queue, with the owners that they need.
        let check = Command::new("/usr/sbin/postfix").arg("-c").arg(&config).arg("check").output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
        let mut postfix = Postfix { daemon: None, folder: self.folder, address };
        postfix.start_again().await;
        postfix
    }
}

impl Postfix {
    /// Starts it with what it has in its queue.
    pub(crate) async fn start_again(&mut self) {
        let config = self.folder.join("etc");
        let args = ["-c", config.to_str().unwrap(), "-s"];
        let mut daemon = Daemon::start("/usr/lib/postfix/sbin/master", &args, &self.folder.join("log"));
        until("Postfix greets", async || {
            daemon.must_run();
            greets(self.address).await.then_some(())
        })
        .await;
        self.daemon = Some(daemon);
    }

    /// Ends it; what it has taken stays in its queue.
    pub(crate) fn stop(&mut self) {
        self.daemon = None;
    }

    /// Shows `certificate` to whoever calls from now on.
    pub(crate) fn show(&self, certificate: &Certificate) {
        std::fs::write(self.folder.join(CERTIFICATE), certificate.chain()).unwrap();
    }

    /// The letters to strangers that it has taken and tried to pass on: to whom each was, by its name in the queue.
    pub(crate) fn taken(&self) -> BTreeMap<String, String> {
        let log = self.log();
        let taken = log.lines().filter_map(|line| {
            let (before, rest) = line.split_once(": to=<")?;
            let (recipient, _) = rest.split_once('>')?;
            // Its own reports go back to us.
            let is_report = recipient.starts_with("b.");
            (!is_report).then(|| (before.rsplit(' ').next().unwrap_or(before).to_owned(), recipient.to_owned()))
        });
        taken.collect()
    }

    /// How many letters wait in its queue for another try.
    pub(crate) fn deferred(&self) -> usize {
        let folders = std::fs::read_dir(self.folder.join("queue/deferred")).into_iter().flatten();
        let letters = |folder: std::io::Result<std::fs::DirEntry>| std::fs::read_dir(folder.ok()?.path()).ok();
        folders.filter_map(letters).map(Iterator::count).sum()
    }

    /// The letters in the mailbox of `user` at `domain`, as they came.
    pub(crate) fn letters(&self, domain: &str, user: &str) -> Vec<String> {
        let maildir = self.folder.join("mail").join(domain).join(user);
        letters(&maildir).map(|raw| String::from_utf8(raw).unwrap()).collect()
    }

    /// The subjects in the mailbox of `user` at `domain`.
    pub(crate) fn subjects(&self, domain: &str, user: &str) -> Vec<String> {
        subjects(&self.folder.join("mail").join(domain).join(user))
    }

    /// What it noted.
    pub(crate) fn log(&self) -> String {
        let log = self.folder.join("log");
        self.daemon.as_ref().map_or_else(|| std::fs::read_to_string(log).unwrap_or_default(), Daemon::log)
    }
}

/// The subjects in a Maildir.
pub(crate) fn subjects(maildir: &Path) -> Vec<String> {
    let subject = |raw: Vec<u8>| MessageParser::new().parse(&raw).unwrap().subject().unwrap_or_default().to_owned();
    letters(maildir).map(subject).collect()
}

fn letters(maildir: &Path) -> impl Iterator<Item = Vec<u8>> {
    let folders = ["new", "cur"].map(|name| maildir.join(name));
    let files = folders.into_iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    files.map(|file| std::fs::read(file.unwrap().path()).unwrap())
}

async fn greets(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    let mut greeting = [0; 4];
    let greeted = stream.read_exact(&mut greeting).await.is_ok() && greeting.starts_with(b"220");
    greeted && stream.write_all(b"QUIT\r\n").await.is_ok()
}

/// The services behind the listeners, as Debian has them, without their chroot.
const SERVICES: &str = "\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
";
